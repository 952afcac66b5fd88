"""Crack: a kinked, tapering fissure along the process, with branches and satellites."""

from dataclasses import dataclass

import numpy as np

from simgen.config import bounded
from simgen.defects.outlines import turned_path
from simgen.defects.profile import Profile
from simgen.defects.strands import Points, strand_field
from simgen.finishes.noise import generator
from simgen.parts.sites import Site
from simgen.sampling import Choice, Distribution, LogUniform, Uniform, sample_count
from simgen.scene.spec import DefectSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Sizes in mm; `turn_deg` is the angle to the process direction.

    `closed` is the part of the length where the walls nearly touch, `bend_deg` how far
    the whole course swings, `kink_deg` by how much it turns where it meets a grain.
    `branches` leave the main course under an acute angle; `satellites` are short pieces
    beside it or ahead of it. `length_mm` is that of the main course, along it.
    """

    length_mm: Distribution = bounded(LogUniform(2.5, 35.0), above=0)
    width_mm: Distribution = bounded(LogUniform(0.15, 0.6), above=0)
    turn_deg: Distribution = bounded(Uniform(-8, 8), low=-180, high=180)
    bend_deg: Distribution = bounded(Uniform(4, 25), low=0, high=180)
    kink_deg: Distribution = bounded(Uniform(5, 22), low=0, high=60)
    branches: Distribution = bounded(
        Choice((0.0, 1.0, 2.0, 3.0), (0.55, 0.25, 0.13, 0.07)), low=0, high=12
    )
    satellites: Distribution = bounded(Choice((0.0, 1.0, 2.0), (0.7, 0.2, 0.1)), low=0, high=12)
    closed: Distribution = bounded(Uniform(0.0, 0.3), low=0, high=0.9)
    darkness: Distribution = bounded(Uniform(0.01, 0.12), low=0, high=1)
    strength: Distribution = bounded(Uniform(0.7, 1.0), low=0, high=1)


def sample(rng: np.random.Generator, ranges: Ranges, site: Site) -> DefectSpec:
    """Draw a crack whose main course is centred on `site`."""
    length = ranges.length_mm.sample(rng)
    width = min(ranges.width_mm.sample(rng), length / 5)
    bend, kink = ranges.bend_deg.sample(rng), ranges.kink_deg.sample(rng)
    main = _course(rng, length, width / 2, bend, kink, closed=ranges.closed.sample(rng))
    main = _centred(main)
    strands = [main]
    for _ in range(sample_count(rng, ranges.branches)):
        strands.append(_branch(rng, main, length, kink))
    for _ in range(sample_count(rng, ranges.satellites)):
        strands.append(_satellite(rng, main, length, width, kink))
    rows = tuple((*row, float(k)) for k, strand in enumerate(strands) for row in strand)
    return DefectSpec(
        kind="crack",
        anchor_mm=site.anchor_mm,
        normal=site.normal,
        tangent=site.tangent,
        size_mm={"length": length, "width": width},
        values={
            "darkness": ranges.darkness.sample(rng),
            "strength": ranges.strength.sample(rng),
            "max_turn_deg": 60.0,
            "level_mm": 0.8,
        },
        points=turned_path(rows, ranges.turn_deg.sample(rng)),
        seed=int(rng.integers(2**31)),
    )


def _course(
    rng: np.random.Generator, length_mm: float, half_width_mm: float, bend_deg: float,
    kink_deg: float, *, closed: float = 0.0, widest: float = 0.4,
) -> Points:  # fmt: skip
    """Draw a course from the origin along u: it kinks, and soon turns back to its direction.

    `widest` is where along it the course is widest, 0 for a branch, which tapers only.
    """
    steps = int(np.clip(length_mm / 0.25, 8, 90))
    slow = np.cumsum(rng.normal(0, np.deg2rad(bend_deg) / np.sqrt(steps), steps))
    heading = slow - slow.mean()
    kinks = rng.normal(0, np.deg2rad(kink_deg), steps) * (rng.uniform(size=steps) < 0.55)
    # Grains turn a crack one way and the next grain back.
    heading += kinks - 0.6 * np.roll(kinks, 1)
    share = rng.uniform(0.4, 1.6, steps)
    share *= length_mm / share.sum()
    u = np.concatenate([[0.0], np.cumsum(share * np.cos(heading))])
    v = np.concatenate([[0.0], np.cumsum(share * np.sin(heading))])
    s = np.concatenate([[0.0], np.cumsum(share)]) / length_mm
    rise = np.clip(s / max(widest, 1e-3), 0, 1) if widest > 0 else np.ones_like(s)
    fall = np.clip((1 - s) / (1 - widest), 0, 1)
    w = 0.08 + 0.92 * np.minimum(1.7 * np.minimum(rise**0.7, fall**0.8), 1)
    w *= np.clip(1 + 0.1 * rng.normal(size=steps + 1), 0.4, 1.7)
    pinched = np.interp(s, np.linspace(0, 1, 12), rng.uniform(size=12)) < closed
    w = np.where(pinched, 0.3 * w, w)
    w *= half_width_mm / w.max()
    return tuple((float(a), float(b), float(c)) for a, b, c in zip(u, v, w, strict=True))


def _centred(path: Points) -> Points:
    """Return a path whose ends lie on u and whose middle is the origin."""
    u, v = path[-1][0], path[-1][1]
    level = turned_path(path, float(-np.rad2deg(np.arctan2(v, u))))
    half = 0.5 * level[-1][0]
    return tuple((a - half, b, w) for a, b, w in level)


def _branch(rng: np.random.Generator, main: Points, length_mm: float, kink_deg: float) -> Points:
    """Return a side course that leaves the main one forward, thinner than where it starts."""
    k = int(rng.integers(len(main) // 6, max(5 * len(main) // 6, len(main) // 6 + 1)))
    u, v, w = main[k]
    length = float(rng.uniform(0.08, 0.32)) * length_mm
    angle = float(rng.choice([-1, 1]) * rng.uniform(18, 55))
    if rng.uniform() < 0.4:
        angle = 180 - angle
    half = float(rng.uniform(0.35, 0.75)) * w
    side = _course(rng, length, half, 20.0, kink_deg, widest=0.0)
    return tuple((u + a, v + b, c) for a, b, c in turned_path(side, angle))


def _satellite(
    rng: np.random.Generator, main: Points, length_mm: float, width_mm: float, kink_deg: float
) -> Points:
    """Return a short piece ahead of an end of the main course or beside it."""
    length = float(rng.uniform(0.06, 0.2)) * length_mm
    half = float(rng.uniform(0.15, 0.35)) * width_mm
    piece = _centred(_course(rng, length, half, 15.0, kink_deg))
    off = float(rng.choice([-1, 1]) * rng.uniform(0.8, 2.5)) * width_mm
    if rng.uniform() < 0.5:
        at_u = float(rng.choice([-1, 1])) * (0.5 * length_mm + 0.8 * length)
        at_v = 0.5 * off
    else:
        at_u, at_v = float(rng.uniform(-0.4, 0.4)) * length_mm, 2 * off
    return tuple((at_u + a, at_v + b, c) for a, b, c in piece)


def profile(defect: DefectSpec, u: np.ndarray, v: np.ndarray) -> Profile:
    """Return the fissure: black where it gapes, faint where its walls nearly touch."""
    field = strand_field(defect.points, u, v)
    half, r = field.half_width_mm, field.radius
    gape = np.clip(2 * half / np.float32(defect.size_mm["width"]), 0, 1)
    rng = generator(defect.seed, "soil")
    knots = rng.uniform(0.75, 1.0, 14)
    span = np.linspace(0, max(defect.size_mm["length"], 1e-6), 14)
    strength = defect.values["strength"] * np.interp(field.along_mm, span, knots)
    # Walls in the shade; the outer rim is only crumbled.
    seen = strength * (0.45 + 0.55 * np.sqrt(gape))
    dark = defect.values["darkness"]
    return Profile(
        distance_mm=field.distance_mm,
        half_width_mm=half,
        height_mm=(-np.minimum(half, 0.25) * 1.2 * (1 - r**2) ** 2 * seen).astype(np.float32),
        amount=(np.clip(1.5 - r, 0, 1) * seen).astype(np.float32),
        albedo=np.full(3, dark, np.float32),
        roughness=0.85,
        metalness=0.0,
        cavity=(1 - 0.75 * seen * np.clip(1.2 - r, 0, 1)).astype(np.float32),
    )
