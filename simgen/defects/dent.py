"""Dent: material pushed in by an impact, with a slightly raised rim."""

from dataclasses import dataclass

import numpy as np

from simgen.config import bounded
from simgen.defects.outlines import blob_distance
from simgen.defects.profile import Profile, turned
from simgen.parts.sites import Site
from simgen.sampling import Distribution, LogUniform, Uniform
from simgen.scene.spec import DefectSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Diameter in mm; depth relative to the diameter; length over width."""

    diameter_mm: Distribution = bounded(LogUniform(3.0, 10.0), above=0)
    depth_ratio: Distribution = bounded(Uniform(0.05, 0.13), above=0, high=0.5)
    aspect: Distribution = bounded(Uniform(1.0, 1.7), low=1)


def sample(rng: np.random.Generator, ranges: Ranges, site: Site) -> DefectSpec:
    """Draw a dent at `site`, its long side in any direction."""
    diameter = ranges.diameter_mm.sample(rng)
    depth = diameter * ranges.depth_ratio.sample(rng)
    aspect = ranges.aspect.sample(rng)
    return DefectSpec(
        kind="dent",
        anchor_mm=site.anchor_mm,
        normal=site.normal,
        tangent=turned(site, float(rng.uniform(0, 180))),
        size_mm={"length": diameter * aspect, "width": diameter, "depth": depth},
        seed=int(rng.integers(2**31)),
    )


def profile(defect: DefectSpec, u: np.ndarray, v: np.ndarray) -> Profile:
    """Return a bowl with a rim; the surface is burnished, its colour hardly changes."""
    size = defect.size_mm
    distance, r = blob_distance(
        u, v, length_mm=size["length"], width_mm=size["width"], seed=defect.seed, roughness=0.06
    )
    inside = np.clip(1 - (r / 0.85) ** 2, 0, 1)
    bowl = -size["depth"] * inside**1.4
    rim = np.where(
        (r > 0.85) & (r < 1), 0.10 * size["depth"] * np.sin(np.pi * (r - 0.85) / 0.15), 0
    )
    return Profile(
        distance_mm=distance,
        half_width_mm=np.full(u.shape, size["width"] / 2, np.float32),
        height_mm=(bowl + rim).astype(np.float32),
        amount=(0.7 * np.clip(1.1 - r, 0, 1)).astype(np.float32),
        albedo=np.array([0.94, 0.94, 0.94], np.float32),
        roughness=0.36,
        cavity=(1 - 0.3 * inside).astype(np.float32),
        tint=True,
    )
