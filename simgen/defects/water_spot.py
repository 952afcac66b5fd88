"""Water spot: the pale ring that a drop leaves when it dries. A distractor."""

from dataclasses import dataclass

import numpy as np

from simgen.config import bounded
from simgen.defects.outlines import blob_distance
from simgen.defects.patches import patches
from simgen.defects.profile import Profile, turned
from simgen.finishes.noise import generator
from simgen.parts.sites import Site
from simgen.sampling import Distribution, LogUniform, Uniform, sample_count
from simgen.scene.spec import DefectSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """The drop's diameter in mm; `rings` is how often its border stood still as it dried.

    `tone` is the colour of the lime, `strength` how opaque the rings are, `film` how much
    of that lies inside them.
    """

    diameter_mm: Distribution = bounded(LogUniform(2.0, 9.0), above=0)
    rings: Distribution = bounded(Uniform(1, 3), low=1, high=8)
    ring_mm: Distribution = bounded(LogUniform(0.2, 0.6), above=0)
    tone: Distribution = bounded(Uniform(0.55, 0.85), above=0, high=1)
    strength: Distribution = bounded(Uniform(0.08, 0.35), low=0, high=1)
    film: Distribution = bounded(Uniform(0.05, 0.35), low=0, high=1)


def sample(rng: np.random.Generator, ranges: Ranges, site: Site) -> DefectSpec:
    """Draw a dried drop at `site`."""
    diameter = ranges.diameter_mm.sample(rng)
    return DefectSpec(
        kind="water_spot",
        anchor_mm=site.anchor_mm,
        normal=site.normal,
        tangent=turned(site, float(rng.uniform(0, 180))),
        size_mm={"length": diameter * float(rng.uniform(1.0, 1.25)), "width": diameter},
        values={
            "rings": float(sample_count(rng, ranges.rings)),
            "ring_mm": ranges.ring_mm.sample(rng),
            "tone": ranges.tone.sample(rng),
            "strength": ranges.strength.sample(rng),
            "film": ranges.film.sample(rng),
        },
        seed=int(rng.integers(2**31)),
    )


def profile(defect: DefectSpec, u: np.ndarray, v: np.ndarray) -> Profile:
    """Return rings of lime, the outermost the strongest, broken here and there."""
    size, values = defect.size_mm, defect.values
    distance, r = blob_distance(
        u,
        v,
        length_mm=size["length"],
        width_mm=size["width"],
        seed=defect.seed,
        roughness=0.06,
        harmonics=4,
    )
    rng = generator(defect.seed, "rings")
    half = size["width"] / 2
    wide = min(values["ring_mm"] / half, 0.4)
    places = [1 - wide, *(rng.uniform(0.35, 0.9, int(values["rings"]) - 1))]
    rings = np.zeros(u.shape, np.float32)
    for k, place in enumerate(places):
        # The border settles on its outside sharply, on its inside it runs out.
        off = (r - place) / wide
        shape = np.where(off > 0, np.exp(-((off / 0.45) ** 2)), np.exp(-((off / 1.1) ** 2)))
        rings = np.maximum(rings, shape / (1 + 0.7 * k))
    uneven = np.clip(0.8 + 0.35 * patches(u, v, half, defect.seed), 0.1, 1.2)
    film = np.maximum(rings, values["film"] * (r < 1)) * uneven * np.clip((1 - r) * 14, 0, 1)
    return Profile(
        distance_mm=distance,
        half_width_mm=np.full(u.shape, half, np.float32),
        height_mm=np.zeros(u.shape, np.float32),
        amount=np.clip(values["strength"] * film, 0, 1).astype(np.float32),
        albedo=np.array([1.0, 1.0, 0.98], np.float32) * np.float32(values["tone"]),
        roughness=0.6,
        metalness=0.3,
    )
