"""Fray: irregular wear with a soft, ragged border, the process lines gone inside."""

from dataclasses import dataclass

import numpy as np

from simgen.config import bounded
from simgen.defects.outlines import blob_distance
from simgen.defects.patches import patches
from simgen.defects.profile import Profile, turned
from simgen.parts.sites import Site
from simgen.sampling import Constant, Distribution, LogUniform, Uniform
from simgen.scene.spec import DefectSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Length along the process and width across it, in mm; `strength` of the change.

    `fade` is the share of the radius over which the wear sets in, in tatters.
    """

    length_mm: Distribution = bounded(LogUniform(3.0, 30.0), above=0)
    width_mm: Distribution = bounded(LogUniform(3.0, 14.0), above=0)
    tone: Distribution = bounded(Uniform(0.45, 0.9), above=0, high=2)
    strength: Distribution = bounded(Uniform(0.5, 0.95), low=0, high=1)
    fade: Distribution = bounded(Constant(0.33), above=0, high=1)


def sample(rng: np.random.Generator, ranges: Ranges, site: Site) -> DefectSpec:
    """Draw a fray at `site`."""
    return DefectSpec(
        kind="fray",
        anchor_mm=site.anchor_mm,
        normal=site.normal,
        tangent=turned(site, float(rng.uniform(-12, 12))),
        size_mm={"length": ranges.length_mm.sample(rng), "width": ranges.width_mm.sample(rng)},
        values={
            "tone": ranges.tone.sample(rng),
            "strength": ranges.strength.sample(rng),
            "fade": ranges.fade.sample(rng),
            "max_turn_deg": 60.0,
            "level_mm": 1.5,
        },
        seed=int(rng.integers(2**31)),
    )


def profile(defect: DefectSpec, u: np.ndarray, v: np.ndarray) -> Profile:
    """Return matt, mottled wear of slightly lower level."""
    size = defect.size_mm
    distance, r = blob_distance(
        u, v, length_mm=size["length"], width_mm=size["width"], seed=defect.seed,
        roughness=0.3, squareness=2.0,
    )  # fmt: skip
    ragged = np.clip(0.3 + 0.45 * np.abs(patches(u, v, 1.6, defect.seed, octaves=4)), 0, 1)
    inward = (1 - r) / np.float32(defect.values.get("fade", 1 / 3))
    soft = np.clip(inward + 0.9 * ragged - 0.45, 0, 1) * np.clip(4 * inward, 0, 1)
    fine = patches(u, v, 0.5, defect.seed + 5)
    coarse = patches(u, v, 3.5, defect.seed + 6)
    mottled = defect.values["tone"] * (1 + 0.05 * fine + 0.08 * coarse)
    return Profile(
        distance_mm=distance,
        half_width_mm=np.full(u.shape, min(size.values()) / 2, np.float32),
        height_mm=(-0.06 * soft * (0.6 + 0.8 * ragged)).astype(np.float32),
        amount=(defect.values["strength"] * soft).astype(np.float32),
        albedo=np.clip(mottled, 0.1, 1.6)[:, None].repeat(3, axis=1).astype(np.float32),
        roughness=0.72,
        metalness=0.0,
        tint=True,
    )
