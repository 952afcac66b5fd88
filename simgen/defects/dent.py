"""Dent: material pushed in by an impact, with a slightly raised rim; it displaces the mesh."""

from dataclasses import dataclass

import numpy as np

from simgen.config import bounded
from simgen.defects.outlines import blob_distance
from simgen.defects.profile import Profile, turned
from simgen.parts.sites import Site
from simgen.sampling import Distribution, LogUniform, Uniform
from simgen.scene.spec import DefectSpec

# The height goes into the mesh, see `displace`; the maps only take colour and occlusion.
MOVES_MESH = True

# Relative radius at which the bowl ends and the rim begins.
_BOWL = 0.82


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Diameter across the rim in mm; depth relative to the diameter; length over width.

    `rim` is the rim's height relative to the depth, `flatness` how flat the floor is: 0 is
    the print of a ball, 1 that of a blunt tool. `burnish` is how far the struck surface is
    polished.
    """

    diameter_mm: Distribution = bounded(LogUniform(3.0, 10.0), above=0)
    depth_ratio: Distribution = bounded(Uniform(0.05, 0.13), above=0, high=0.5)
    aspect: Distribution = bounded(Uniform(1.0, 1.7), low=1)
    rim: Distribution = bounded(Uniform(0.04, 0.14), low=0, high=0.5)
    flatness: Distribution = bounded(Uniform(0.0, 0.8), low=0, high=1)
    burnish: Distribution = bounded(Uniform(0.1, 0.6), low=0, high=1)


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
        values={
            "rim": ranges.rim.sample(rng),
            "flatness": ranges.flatness.sample(rng),
            "burnish": ranges.burnish.sample(rng),
            "max_turn_deg": 55.0,
        },
        seed=int(rng.integers(2**31)),
    )


def profile(defect: DefectSpec, u: np.ndarray, v: np.ndarray) -> Profile:
    """Return a bowl with a rim; the surface is burnished, its colour hardly changes."""
    size, values = defect.size_mm, defect.values
    distance, r = blob_distance(
        u, v, length_mm=size["length"], width_mm=size["width"], seed=defect.seed, roughness=0.06
    )
    x = np.clip(r / _BOWL, 0, 1)
    # Floors from a parabola to nearly flat; both leave the rim without a kink.
    power = 2 + 3 * values.get("flatness", 0.3)
    bowl = -size["depth"] * (1 - x**power) ** 1.6
    # The rim swells where the bowl ends, more on one side than on the other.
    across = np.clip((r - _BOWL + 0.12) / (1 - _BOWL + 0.12), 0, 1)
    side = 1 + 0.5 * np.cos(np.arctan2(v, u) - defect.seed % 7)
    swell = np.maximum(np.sin(np.pi * across**1.3), 0) ** 1.4
    rim = values.get("rim", 0.1) * size["depth"] * side * swell
    # What an even bowl of this depth leaves open of the sky in its middle.
    wall = (2 * size["depth"] / (_BOWL * size["width"])) ** 2
    open_part = 1 - wall / (1 + wall) * np.clip(1 - x * x, 0, 1)
    touched = np.clip(1.5 * (1 - r), 0, 1)
    return Profile(
        distance_mm=distance,
        half_width_mm=np.full(u.shape, size["width"] / 2, np.float32),
        height_mm=(bowl + rim).astype(np.float32),
        amount=(values.get("burnish", 0.4) * touched).astype(np.float32),
        albedo=np.array([0.94, 0.94, 0.94], np.float32),
        roughness=0.34,
        cavity=open_part.astype(np.float32),
        tint=True,
    )
