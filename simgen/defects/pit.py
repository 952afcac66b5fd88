"""Pit: a small deep cavity with a dark interior and a ragged mouth."""

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
    """Mouth in mm; depth relative to the mouth's width."""

    diameter_mm: Distribution = bounded(LogUniform(0.8, 4.0), above=0)
    depth_ratio: Distribution = bounded(Uniform(0.25, 0.7), above=0, high=3)
    aspect: Distribution = bounded(Uniform(1.0, 1.8), low=1)
    darkness: Distribution = bounded(Uniform(0.02, 0.12), low=0, high=1)


def sample(rng: np.random.Generator, ranges: Ranges, site: Site) -> DefectSpec:
    """Draw a pit at `site`."""
    return sample_cavity(rng, ranges, site, kind="pit", turn_deg=float(rng.uniform(0, 180)))


def sample_cavity(
    rng: np.random.Generator, ranges: Ranges, site: Site, *, kind: str, turn_deg: float,
    squareness: float = 2.0, outline: float = 0.22,
) -> DefectSpec:  # fmt: skip
    """Draw a cavity of some `kind`; pits and blowholes differ in outline and place only."""
    diameter = ranges.diameter_mm.sample(rng)
    aspect = ranges.aspect.sample(rng)
    return DefectSpec(
        kind=kind,
        anchor_mm=site.anchor_mm,
        normal=site.normal,
        tangent=turned(site, turn_deg),
        size_mm={
            "length": diameter * aspect,
            "width": diameter,
            "depth": diameter * ranges.depth_ratio.sample(rng),
        },
        values={
            "darkness": ranges.darkness.sample(rng),
            "squareness": squareness,
            "outline": outline,
        },
        seed=int(rng.integers(2**31)),
    )


def profile(defect: DefectSpec, u: np.ndarray, v: np.ndarray) -> Profile:
    """Return steep walls and a rough floor; the floor sees little of the light."""
    size, values = defect.size_mm, defect.values
    distance, r = blob_distance(
        u, v, length_mm=size["length"], width_mm=size["width"], seed=defect.seed,
        roughness=values["outline"], squareness=values["squareness"],
    )  # fmt: skip
    inside = np.clip(1 - r**3, 0, 1)
    floor = 0.18 * np.cos(9 * u / size["width"] + defect.seed % 7) * np.cos(8 * v / size["width"])
    height = -size["depth"] * inside * (1 + floor)
    openness = 1 / (1 + 3.2 * size["depth"] / size["width"])
    dark = values["darkness"] * (1 + 0.5 * floor)
    return Profile(
        distance_mm=distance,
        half_width_mm=np.full(u.shape, size["width"] / 2, np.float32),
        height_mm=height.astype(np.float32),
        amount=np.clip((1 - r) * 6, 0, 1).astype(np.float32),
        albedo=np.stack([dark, 0.95 * dark, 0.9 * dark], axis=1).astype(np.float32),
        roughness=0.75,
        metalness=0.2,
        cavity=(1 - (1 - openness) * np.clip(inside * 2, 0, 1)).astype(np.float32),
    )
