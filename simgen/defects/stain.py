"""Stain: a dried or burnt-in film that changes colour and gloss but not the shape."""

from dataclasses import dataclass

import numpy as np

from simgen.config import bounded
from simgen.defects.outlines import blob_distance
from simgen.defects.patches import patches
from simgen.defects.profile import Profile, standing_out, turned
from simgen.parts.sites import Site
from simgen.sampling import Distribution, LogUniform, Uniform
from simgen.scene.spec import DefectSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Diameter in mm; `strength` of the colour change.

    `tone` is the brightness of what is left, the farther from the finish of two draws,
    `warmth` its colour from grey to rust brown.

    `softness` is the part of the radius over which the film fades out, `rim` how much
    darker its border is.
    """

    diameter_mm: Distribution = bounded(LogUniform(4.0, 18.0), above=0)
    aspect: Distribution = bounded(Uniform(1.0, 2.2), low=1)
    strength: Distribution = bounded(Uniform(0.35, 0.8), low=0, high=1)
    tone: Distribution = bounded(LogUniform(0.04, 0.25), above=0, high=1)
    warmth: Distribution = bounded(Uniform(0.0, 1.0), low=0, high=1)
    softness: Distribution = bounded(Uniform(0.05, 0.35), above=0, high=1)
    rim: Distribution = bounded(Uniform(0.0, 0.5), low=0, high=1)


def sample(rng: np.random.Generator, ranges: Ranges, site: Site) -> DefectSpec:
    """Draw a stain at `site`."""
    diameter = ranges.diameter_mm.sample(rng)
    aspect = ranges.aspect.sample(rng)
    return DefectSpec(
        kind="stain",
        anchor_mm=site.anchor_mm,
        normal=site.normal,
        tangent=turned(site, float(rng.uniform(0, 180))),
        size_mm={"length": diameter * aspect, "width": diameter},
        values={
            "strength": ranges.strength.sample(rng),
            "tone": standing_out(rng, ranges.tone, site),
            "warmth": ranges.warmth.sample(rng),
            "softness": ranges.softness.sample(rng),
            "rim": ranges.rim.sample(rng),
        },
        seed=int(rng.integers(2**31)),
    )


def profile(defect: DefectSpec, u: np.ndarray, v: np.ndarray) -> Profile:
    """Return a patchy film, darker at its rim as dried liquid is."""
    size, values = defect.size_mm, defect.values
    distance, r = blob_distance(
        u, v, length_mm=size["length"], width_mm=size["width"], seed=defect.seed, roughness=0.16
    )
    patchy = 0.75 + 0.3 * patches(u, v, size["width"] / 2, defect.seed, octaves=4)
    rim = values["rim"] * np.exp(-(((r - 0.92) / 0.07) ** 2))
    film = np.clip((1 - r) / values["softness"], 0, 1) * np.clip(patchy + rim, 0.15, 1.3)
    # What is left lies on the surface: darker than most metals, lighter than black paint.
    tone, w = values.get("tone", 0.15), values["warmth"]
    residue = tone * np.array([1 + 0.4 * w, 0.97 - 0.3 * w, 0.93 - 0.63 * w], np.float32)
    return Profile(
        distance_mm=distance,
        half_width_mm=np.full(u.shape, size["width"] / 2, np.float32),
        height_mm=np.zeros(u.shape, np.float32),
        amount=np.clip(values["strength"] * film, 0, 1).astype(np.float32),
        albedo=np.clip(residue, 0, 1),
        roughness=0.62,
        metalness=0.1,
    )
