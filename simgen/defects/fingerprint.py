"""Fingerprint: greasy ridges in a whorl or loop, plain in the gloss. A distractor."""

from dataclasses import dataclass

import numpy as np

from simgen.config import bounded
from simgen.defects.outlines import blob_distance
from simgen.defects.patches import patches
from simgen.defects.profile import Profile, turned
from simgen.finishes.noise import generator
from simgen.parts.sites import Site
from simgen.sampling import Distribution, Uniform
from simgen.scene.spec import DefectSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Size of the print in mm; `ridge_mm` is the distance from ridge to ridge.

    `gloss` is the roughness of the grease, `tone` multiplies the colour under it,
    `strength` is the whole change, `smudge` how far the ridges have run together.
    """

    length_mm: Distribution = bounded(Uniform(14.0, 22.0), above=0)
    width_mm: Distribution = bounded(Uniform(10.0, 15.0), above=0)
    ridge_mm: Distribution = bounded(Uniform(0.45, 0.7), above=0)
    gloss: Distribution = bounded(Uniform(0.45, 0.7), above=0, high=1)
    tone: Distribution = bounded(Uniform(0.65, 0.92), above=0, high=2)
    strength: Distribution = bounded(Uniform(0.3, 0.8), low=0, high=1)
    smudge: Distribution = bounded(Uniform(0.0, 0.8), low=0, high=1)


def sample(rng: np.random.Generator, ranges: Ranges, site: Site) -> DefectSpec:
    """Draw a fingerprint at `site`."""
    return DefectSpec(
        kind="fingerprint",
        anchor_mm=site.anchor_mm,
        normal=site.normal,
        tangent=turned(site, float(rng.uniform(0, 360))),
        size_mm={"length": ranges.length_mm.sample(rng), "width": ranges.width_mm.sample(rng)},
        values={
            "ridge_mm": ranges.ridge_mm.sample(rng),
            "gloss": ranges.gloss.sample(rng),
            "tone": ranges.tone.sample(rng),
            "strength": ranges.strength.sample(rng),
            "smudge": ranges.smudge.sample(rng),
            "max_turn_deg": 50.0,
            "level_mm": 0.6,
        },
        seed=int(rng.integers(2**31)),
    )


def profile(defect: DefectSpec, u: np.ndarray, v: np.ndarray) -> Profile:
    """Return ridges of grease, pressed unevenly; the shape of the surface stays."""
    size, values = defect.size_mm, defect.values
    distance, r = blob_distance(
        u, v, length_mm=size["length"], width_mm=size["width"], seed=defect.seed,
        roughness=0.08, squareness=2.3,
    )  # fmt: skip
    ridge = 0.5 + 0.5 * np.cos(2 * np.pi * _phase(defect, u, v) / values["ridge_mm"])
    pressed = np.clip(0.75 + 0.45 * patches(u, v, 0.6 * size["width"], defect.seed + 1), 0, 1.2)
    broken = np.clip(1.1 + 0.5 * patches(u, v, 1.4, defect.seed + 2), 0, 1)
    smudge = values["smudge"]
    film = (smudge * 0.6 + (1 - smudge) * ridge**1.5 * broken) * pressed
    film *= np.clip((1 - r) * 5, 0, 1)
    return Profile(
        distance_mm=distance,
        half_width_mm=np.full(u.shape, size["width"] / 2, np.float32),
        height_mm=np.zeros(u.shape, np.float32),
        amount=np.clip(values["strength"] * film, 0, 1).astype(np.float32),
        albedo=np.full(3, values["tone"], np.float32),
        roughness=values["gloss"],
        tint=True,
    )


def _phase(defect: DefectSpec, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return the place across the ridges in mm: rings, a spiral or a loop, opening to the tip."""
    rng = generator(defect.seed, "ridges")
    width = defect.size_mm["width"]
    core_u, core_v = 0.1 * width * rng.normal(size=2)
    x, y = u - core_u, v - core_v
    stretch = rng.uniform(1.15, 1.5)
    pattern = rng.uniform()
    around = np.arctan2(y, x / stretch)
    rings = np.hypot(x / stretch, y)
    if pattern < 0.5:
        field = rings + defect.values["ridge_mm"] * rng.choice([-1, 0, 1]) * around / (2 * np.pi)
    else:
        # A loop: rings on the one side, ridges that run off straight on the other.
        straight = np.abs(y)
        blend = 1 / (1 + np.exp(-x / (0.12 * width)))
        field = rings * blend + straight * (1 - blend)
    # Toward the joint the ridges lie flat across the finger.
    base = 1 / (1 + np.exp((u + 0.3 * defect.size_mm["length"]) / (0.06 * width)))
    field = field * (1 - base) + np.abs(u) * base
    return field + 0.3 * patches(u, v, 6.0, defect.seed + 3, octaves=2)
