"""Oil: a film with drops beside it; glossy, a little darker. A distractor."""

from dataclasses import dataclass

import numpy as np

from simgen.config import bounded
from simgen.defects.outlines import blob_distance
from simgen.defects.patches import patches
from simgen.defects.profile import Profile, turned
from simgen.parts.sites import Site
from simgen.sampling import Distribution, LogUniform, Uniform, sample_count
from simgen.scene.spec import DefectSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """The film's width in mm; `aspect` is length over width.

    `drops` lie around it, `drop_mm` wide and as high as a tenth of that. `gloss` is the
    roughness under oil, `tone` multiplies the colour, `strength` is the whole change.
    """

    diameter_mm: Distribution = bounded(LogUniform(4.0, 20.0), above=0)
    aspect: Distribution = bounded(Uniform(1.0, 2.5), low=1)
    drops: Distribution = bounded(Uniform(0, 5), low=0, high=30)
    drop_mm: Distribution = bounded(LogUniform(0.6, 2.5), above=0)
    gloss: Distribution = bounded(Uniform(0.06, 0.2), above=0, high=1)
    tone: Distribution = bounded(Uniform(0.7, 0.92), above=0, high=2)
    strength: Distribution = bounded(Uniform(0.3, 0.8), low=0, high=1)


def sample(rng: np.random.Generator, ranges: Ranges, site: Site) -> DefectSpec:
    """Draw a film of oil and its drops at `site`."""
    width = ranges.diameter_mm.sample(rng)
    length = width * ranges.aspect.sample(rng)
    rows = [(0.0, 0.0, length / 2, width / 2)]
    for _ in range(sample_count(rng, ranges.drops)):
        angle, away = rng.uniform(0, 2 * np.pi), rng.uniform(0.8, 1.6)
        half = ranges.drop_mm.sample(rng) / 2
        u = float(away * length / 2 * np.cos(angle))
        v = float(away * width / 2 * np.sin(angle))
        rows.append((u, v, half, half * float(rng.uniform(0.75, 1.0))))
    return DefectSpec(
        kind="oil",
        anchor_mm=site.anchor_mm,
        normal=site.normal,
        tangent=turned(site, float(rng.uniform(0, 180))),
        size_mm={"length": length, "width": width},
        values={
            "gloss": ranges.gloss.sample(rng),
            "tone": ranges.tone.sample(rng),
            "strength": ranges.strength.sample(rng),
            "max_turn_deg": 50.0,
            "level_mm": 0.8,
        },
        points=tuple(rows),
        seed=int(rng.integers(2**31)),
    )


def profile(defect: DefectSpec, u: np.ndarray, v: np.ndarray) -> Profile:
    """Return a thin film that thins out, and drops with a steep border that catches the light."""
    values = defect.values
    distance = np.full(u.shape, np.inf, np.float32)
    amount, height = np.zeros((2, *u.shape), np.float32)
    for k, (at_u, at_v, half_u, half_v) in enumerate(defect.points):
        d, r = blob_distance(
            u - np.float32(at_u), v - np.float32(at_v), length_mm=2 * half_u, width_mm=2 * half_v,
            seed=defect.seed + k, roughness=0.16 if k == 0 else 0.05,
            harmonics=7 if k == 0 else 3,
        )  # fmt: skip
        distance = np.minimum(distance, d)
        inside = np.clip(1 - r * r, 0, 1)
        if k == 0:
            patchy = np.clip(0.85 + 0.3 * patches(u, v, half_v, defect.seed), 0.2, 1)
            amount = np.maximum(amount, np.clip((1 - r) * 4, 0, 1) * patchy)
        else:
            amount = np.maximum(amount, np.clip((1 - r) * 8, 0, 1))
            height = np.maximum(height, 0.2 * half_v * np.sqrt(inside))
    return Profile(
        distance_mm=distance,
        half_width_mm=np.full(u.shape, defect.size_mm["width"] / 2, np.float32),
        height_mm=height.astype(np.float32),
        amount=(values["strength"] * amount).astype(np.float32),
        albedo=np.full(3, values["tone"], np.float32),
        roughness=values["gloss"],
        tint=True,
    )
