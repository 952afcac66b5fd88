"""Crack: a nearly straight, tapering, partly closed fissure along the process."""

from dataclasses import dataclass

import numpy as np

from simgen.config import bounded
from simgen.defects.outlines import line_distance, wander
from simgen.defects.profile import Profile
from simgen.finishes.noise import generator
from simgen.parts.sites import Site
from simgen.sampling import Distribution, LogUniform, Uniform
from simgen.scene.spec import DefectSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Sizes in mm; `closed` is the part of the length where the walls nearly touch."""

    length_mm: Distribution = bounded(LogUniform(2.5, 35.0), above=0)
    width_mm: Distribution = bounded(LogUniform(0.15, 0.6), above=0)
    turn_deg: Distribution = bounded(Uniform(-8, 8), low=-180, high=180)
    bend_deg: Distribution = bounded(Uniform(4, 25), low=0, high=180)
    closed: Distribution = bounded(Uniform(0.0, 0.3), low=0, high=0.9)
    darkness: Distribution = bounded(Uniform(0.01, 0.12), low=0, high=1)
    strength: Distribution = bounded(Uniform(0.7, 1.0), low=0, high=1)


def sample(rng: np.random.Generator, ranges: Ranges, site: Site) -> DefectSpec:
    """Draw a crack centred on `site`."""
    length = ranges.length_mm.sample(rng)
    width = min(ranges.width_mm.sample(rng), length / 5)
    turn = np.deg2rad(ranges.turn_deg.sample(rng))
    steps = int(np.clip(length / 0.5, 8, 60))
    path = wander(
        rng, length_mm=length, steps=steps, wobble_deg=ranges.bend_deg.sample(rng),
        half_width_mm=width / 2, taper=(float(rng.uniform(0.2, 0.8)), 0.05), jitter=0.3,
    )  # fmt: skip
    zigzag = rng.normal(0, 0.12 * width, len(path))
    c, s = float(np.cos(turn)), float(np.sin(turn))
    points = []
    for (u, v, w), z in zip(path, zigzag, strict=True):
        points.append((c * u - s * (v + z), s * u + c * (v + z), w))
    return DefectSpec(
        kind="crack",
        anchor_mm=site.anchor_mm,
        normal=site.normal,
        tangent=site.tangent,
        size_mm={"length": length, "width": width, "depth": 2 * width},
        values={
            "closed": ranges.closed.sample(rng),
            "darkness": ranges.darkness.sample(rng),
            "strength": ranges.strength.sample(rng),
            "max_turn_deg": 60.0,
            "level_mm": 0.8,
        },
        points=tuple(points),
        seed=int(rng.integers(2**31)),
    )


def profile(defect: DefectSpec, u: np.ndarray, v: np.ndarray) -> Profile:
    """Return the fissure; where it is nearly closed it stays in the outline but is faint."""
    distance, half, place = line_distance(defect.points, u, v)
    rng = generator(defect.seed, "closed")
    openings = np.interp(place, np.linspace(0, 1, 14), rng.uniform(0, 1, 14))
    faint = np.where(openings < defect.values["closed"], 0.35, 1.0) * defect.values["strength"]
    r = np.clip((distance + half) / np.maximum(half, 1e-3), 0, 1)
    dark = defect.values["darkness"]
    return Profile(
        distance_mm=distance,
        half_width_mm=half,
        height_mm=(-np.minimum(half, 0.25) * 1.2 * (1 - r**2) * faint).astype(np.float32),
        amount=(np.clip(1.5 - r, 0, 1) * faint).astype(np.float32),
        albedo=np.full(3, dark, np.float32),
        roughness=0.85,
        metalness=0.0,
        cavity=(1 - 0.6 * faint * np.clip(1.2 - r, 0, 1)).astype(np.float32),
    )
