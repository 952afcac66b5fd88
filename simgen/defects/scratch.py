"""Scratch: one or more grooves of a hard point, metal thrown up along their lips."""

from dataclasses import dataclass

import numpy as np

from simgen.config import bounded
from simgen.defects.outlines import turned_path, wander
from simgen.defects.patches import patches
from simgen.defects.profile import Profile, standing_out
from simgen.defects.strands import Points, strand_field
from simgen.finishes.noise import generator
from simgen.parts.sites import Site
from simgen.sampling import Choice, Constant, Distribution, LogUniform, Uniform, sample_count
from simgen.scene.spec import DefectSpec

# The groove takes this part of the half width, the burr the rest.
_GROOVE = 0.68


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Sizes in mm; `turn_deg` is the angle to the process direction.

    `burr` is its height relative to the depth, `one_sided` how far it leans to one lip
    (0: both alike, 1: one only). `passes` is the number of grooves side by side, `skips`
    how often the point left the surface on its way, `chatter` the relative swing of the
    depth with a wave of `chatter_mm`. `brightness` is the colour of the bare groove; of
    two draws the one is taken that is farther from the finish, which it lays open.
    """

    length_mm: Distribution = bounded(LogUniform(5.0, 40.0), above=0)
    width_mm: Distribution = bounded(LogUniform(0.12, 0.6), above=0)
    depth_mm: Distribution = bounded(LogUniform(0.02, 0.12), above=0)
    turn_deg: Distribution = bounded(Uniform(-90, 90), low=-180, high=180)
    bend_deg: Distribution = bounded(Uniform(0, 40), low=0, high=180)
    brightness: Distribution = bounded(Uniform(0.35, 0.75), low=0, high=1)
    burr: Distribution = bounded(Uniform(0.2, 0.8), low=0, high=3)
    one_sided: Distribution = bounded(Uniform(0.0, 1.0), low=0, high=1)
    passes: Distribution = bounded(
        Choice((1.0, 2.0, 3.0, 5.0), (0.72, 0.15, 0.08, 0.05)), low=1, high=12
    )
    skips: Distribution = bounded(Choice((0.0, 1.0, 2.0), (0.75, 0.17, 0.08)), low=0, high=6)
    chatter: Distribution = bounded(Choice((0.0, 0.3, 0.7), (0.82, 0.12, 0.06)), low=0, high=1)
    chatter_mm: Distribution = bounded(LogUniform(0.6, 2.5), above=0)
    roughness: Distribution = bounded(Constant(0.32), above=0, high=1)


def sample(rng: np.random.Generator, ranges: Ranges, site: Site) -> DefectSpec:
    """Draw a scratch at `site`."""
    length = ranges.length_mm.sample(rng)
    width = min(ranges.width_mm.sample(rng), length / 4)
    turn, bend = ranges.turn_deg.sample(rng), ranges.bend_deg.sample(rng)
    depth = ranges.depth_mm.sample(rng)
    passes = sample_count(rng, ranges.passes)
    path = wander(
        rng, length_mm=length, steps=18, wobble_deg=bend, half_width_mm=width / 2,
        taper=(float(rng.uniform(0, 0.6)), float(rng.uniform(0, 0.3))), jitter=0.1,
    )  # fmt: skip
    strands = _skipped(rng, path, sample_count(rng, ranges.skips))
    for _ in range(passes - 1):
        strands += _skipped(rng, _beside(rng, path, width), sample_count(rng, ranges.skips))
    rows = tuple((*row, float(k)) for k, strand in enumerate(strands) for row in strand)
    return DefectSpec(
        kind="scratch",
        anchor_mm=site.anchor_mm,
        normal=site.normal,
        tangent=site.tangent,
        size_mm={"length": length, "width": width, "depth": depth},
        values={
            "brightness": standing_out(rng, ranges.brightness, site),
            "burr": ranges.burr.sample(rng),
            "lean": ranges.one_sided.sample(rng) * float(rng.choice([-1.0, 1.0])),
            "chatter": ranges.chatter.sample(rng),
            "chatter_mm": ranges.chatter_mm.sample(rng),
            "roughness": ranges.roughness.sample(rng),
        },
        points=turned_path(rows, turn),
        seed=int(rng.integers(2**31)),
    )


def _beside(rng: np.random.Generator, path: Points, width_mm: float) -> Points:
    """Return another pass of the same point: a part of the path, thinner and off by a little."""
    count = len(path)
    first = int(rng.integers(0, count // 2))
    last = int(rng.integers(first + count // 4, count))
    offset = float(rng.choice([-1, 1]) * rng.uniform(1.2, 3.5)) * width_mm
    skew = float(rng.normal(0, 1.5)) * width_mm
    share = float(rng.uniform(0.4, 0.9))
    rows = []
    for k in range(first, last + 1):
        u, v, w = path[k][:3]
        s = k / (count - 1) - 0.5
        # Thin at its own ends, so that the pass starts and stops as a point does.
        ends = min(1.0, 0.3 + 0.7 * min(k - first, last - k) / 2)
        rows.append((u, v + offset + skew * s, share * ends * w))
    return tuple(rows)


def _skipped(rng: np.random.Generator, path: Points, skips: int) -> list[Points]:
    """Return the pieces of a path between places where the point left the surface."""
    cuts = sorted(int(k) for k in rng.integers(3, max(len(path) - 3, 4), skips))
    pieces, start = [], 0
    for cut in [*cuts, len(path)]:
        piece = path[start:cut]
        if len(piece) >= 2:
            pieces.append(piece)
        start = cut + 1
    return pieces or [path]


def profile(defect: DefectSpec, u: np.ndarray, v: np.ndarray) -> Profile:
    """Return groove and burr; the point bites deep where the groove is wide."""
    values, size = defect.values, defect.size_mm
    field = strand_field(defect.points, u, v)
    r = field.radius
    bite = np.clip(2 * field.half_width_mm / np.float32(size["width"]), 0, 1)
    bite *= _unsteady(defect, field.along_mm)
    groove = np.where(r < _GROOVE, (r / _GROOVE) ** 2 - 1, 0.0)
    lip = np.where(r >= _GROOVE, np.sin(np.pi * (r - _GROOVE) / (1 - _GROOVE)), 0.0)
    side = 1 + values.get("lean", 0.0) * np.sign(field.across_mm)
    burr = values.get("burr", 0.5) * lip * side
    # A point is never clean: it draws finer lines along the groove's bottom.
    fine = patches(
        field.along_mm / 14, field.across_mm, 0.3 * size["width"], defect.seed, octaves=2
    )
    groove = np.maximum(groove * (1 + 0.22 * fine), -1.0)
    tone = values["brightness"] * np.clip(1 + 0.16 * fine, 0.5, 1.5)
    open_part = np.clip(1 - r / _GROOVE, 0, 1)
    return Profile(
        distance_mm=field.distance_mm,
        half_width_mm=field.half_width_mm,
        height_mm=(size["depth"] * bite * (groove + burr)).astype(np.float32),
        amount=np.clip((1.3 - r) * np.clip(0.3 + bite, 0, 1), 0, 1).astype(np.float32),
        albedo=np.stack([tone, tone, 0.98 * tone], axis=1).astype(np.float32),
        roughness=values.get("roughness", 0.32),
        metalness=1.0,
        cavity=(1 - 0.35 * bite * open_part).astype(np.float32),
    )


def _unsteady(defect: DefectSpec, along_mm: np.ndarray) -> np.ndarray:
    """Return the depth's relative course: slow drift of the load, and chatter."""
    rng = generator(defect.seed, "load")
    knots = rng.uniform(0.55, 1.0, 12)
    length = max(defect.size_mm["length"], 1e-6)
    drift = np.interp(along_mm, np.linspace(0, length, 12), knots / knots.max())
    swing = defect.values.get("chatter", 0.0)
    wave = 0.5 + 0.5 * np.cos(2 * np.pi * along_mm / defect.values.get("chatter_mm", 1.0))
    return (drift * (1 - swing * wave)).astype(np.float32)
