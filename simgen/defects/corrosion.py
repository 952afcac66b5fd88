"""Corrosion: a rust bloom; specks that run together into a raised crust with a halo."""

from dataclasses import dataclass

import numpy as np

from simgen.config import bounded
from simgen.defects.outlines import blob_distance
from simgen.defects.patches import patches
from simgen.defects.profile import Profile, turned
from simgen.parts.sites import Site
from simgen.sampling import Distribution, LogUniform, Uniform
from simgen.scene.spec import DefectSpec

# Linear colours of rust, from fresh over common to old.
_ORANGE = np.array([0.46, 0.17, 0.035], np.float32)
_BROWN = np.array([0.20, 0.075, 0.024], np.float32)
_BLACK = np.array([0.055, 0.03, 0.02], np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """The bloom's width in mm; `aspect` is length over width.

    `cover` is the part of it that crust covers, the rest is specks and discoloured metal;
    `crust_mm` is the crust's height, `age` runs from fresh orange to old black-brown,
    `halo` is the strength of the discolouration around.
    """

    diameter_mm: Distribution = bounded(LogUniform(2.5, 14.0), above=0)
    aspect: Distribution = bounded(Uniform(1.0, 2.2), low=1)
    cover: Distribution = bounded(Uniform(0.25, 0.8), low=0, high=1)
    crust_mm: Distribution = bounded(LogUniform(0.02, 0.15), above=0)
    age: Distribution = bounded(Uniform(0.0, 1.0), low=0, high=1)
    halo: Distribution = bounded(Uniform(0.1, 0.5), low=0, high=1)


def sample(rng: np.random.Generator, ranges: Ranges, site: Site) -> DefectSpec:
    """Draw a rust bloom at `site`."""
    diameter = ranges.diameter_mm.sample(rng)
    return DefectSpec(
        kind="corrosion",
        anchor_mm=site.anchor_mm,
        normal=site.normal,
        tangent=turned(site, float(rng.uniform(0, 180))),
        size_mm={
            "length": diameter * ranges.aspect.sample(rng),
            "width": diameter,
            "height": ranges.crust_mm.sample(rng),
        },
        values={
            "cover": ranges.cover.sample(rng),
            "age": ranges.age.sample(rng),
            "halo": ranges.halo.sample(rng),
            "max_turn_deg": 60.0,
            "level_mm": 1.0,
        },
        seed=int(rng.integers(2**31)),
    )


def profile(defect: DefectSpec, u: np.ndarray, v: np.ndarray) -> Profile:
    """Return crust where specks are dense, discoloured metal between and around."""
    size, values, seed = defect.size_mm, defect.values, defect.seed
    distance, r = blob_distance(
        u, v, length_mm=size["length"], width_mm=size["width"], seed=seed, roughness=0.2,
        harmonics=14,
    )  # fmt: skip
    width = size["width"]
    cluster = patches(u, v, 0.5 * width, seed)
    colony = patches(u, v, max(0.16 * width, 0.5), seed + 1, octaves=4)
    grain = patches(u, v, 0.35, seed + 2, octaves=2)
    # Dense in the middle, scattered toward the outline.
    density = 0.55 * cluster + 0.75 * colony + 0.45 * grain + 3.2 * (values["cover"] - r) + 0.9
    crust = np.clip(0.9 * density, 0, 1) * np.clip((1 - r) * 14, 0, 1)
    film = values["halo"] * np.clip((1 - r) * 3, 0, 1) * np.clip(0.8 + 0.35 * cluster, 0.1, 1.2)
    old = np.clip(values["age"] + 0.28 * cluster + 0.22 * grain, 0, 1)[:, None]
    young = _ORANGE + np.clip(2 * old, 0, 1) * (_BROWN - _ORANGE)
    speckled = np.clip(1 + 0.25 * grain, 0.4, 1.7)[:, None]
    rust = (young + np.clip(2 * old - 1, 0, 1) * (_BLACK - _BROWN)) * speckled
    # The crust rises where there is rust already: a bare slope would shine as a bright seam.
    raised = np.clip(crust - 0.5, 0, 1) * 2
    relief = np.clip(0.5 + 0.2 * colony + 0.25 * grain, 0, 1)
    return Profile(
        distance_mm=distance,
        half_width_mm=np.full(u.shape, width / 2, np.float32),
        height_mm=(size["height"] * raised * relief).astype(np.float32),
        amount=np.clip(np.maximum(1.8 * crust, film), 0, 1).astype(np.float32),
        albedo=rust.astype(np.float32),
        roughness=np.clip(0.82 + 0.08 * grain, 0.5, 1).astype(np.float32),
        metalness=0.0,
        cavity=np.clip(1 - 0.35 * crust * np.clip(-grain, 0, 1), 0.4, 1).astype(np.float32),
    )
