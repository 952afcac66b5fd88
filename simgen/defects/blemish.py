"""Blemish: a pinprick or speck too small to reject a part for. A distractor."""

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
    """Width in mm, below the smallest pit that counts; depth relative to it.

    `tone` multiplies the colour: below 1 a dark pinprick, above 1 a bright nick.
    """

    diameter_mm: Distribution = bounded(LogUniform(0.15, 0.5), above=0, high=0.8)
    aspect: Distribution = bounded(Uniform(1.0, 2.0), low=1)
    depth_ratio: Distribution = bounded(Uniform(0.05, 0.3), low=0, high=1)
    tone: Distribution = bounded(Uniform(0.35, 1.3), above=0, high=3)
    strength: Distribution = bounded(Uniform(0.3, 0.9), low=0, high=1)


def sample(rng: np.random.Generator, ranges: Ranges, site: Site) -> DefectSpec:
    """Draw a blemish at `site`."""
    diameter = ranges.diameter_mm.sample(rng)
    return DefectSpec(
        kind="blemish",
        anchor_mm=site.anchor_mm,
        normal=site.normal,
        tangent=turned(site, float(rng.uniform(0, 180))),
        size_mm={
            "length": diameter * ranges.aspect.sample(rng),
            "width": diameter,
            "depth": diameter * ranges.depth_ratio.sample(rng),
        },
        values={"tone": ranges.tone.sample(rng), "strength": ranges.strength.sample(rng)},
        seed=int(rng.integers(2**31)),
    )


def profile(defect: DefectSpec, u: np.ndarray, v: np.ndarray) -> Profile:
    """Return a shallow nick."""
    size = defect.size_mm
    distance, r = blob_distance(
        u, v, length_mm=size["length"], width_mm=size["width"], seed=defect.seed, roughness=0.2
    )
    inside = np.clip(1 - r * r, 0, 1)
    return Profile(
        distance_mm=distance,
        half_width_mm=np.full(u.shape, size["width"] / 2, np.float32),
        height_mm=(-size["depth"] * inside).astype(np.float32),
        amount=(defect.values["strength"] * np.clip(2 * (1 - r), 0, 1)).astype(np.float32),
        albedo=np.full(3, defect.values["tone"], np.float32),
        roughness=0.6,
        tint=True,
    )
