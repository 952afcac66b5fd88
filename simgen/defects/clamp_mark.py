"""Clamp mark: the print of a serrated jaw that held the part. A distractor."""

from dataclasses import dataclass

import numpy as np

from simgen.config import bounded
from simgen.defects.outlines import blob_distance
from simgen.defects.patches import patches
from simgen.defects.profile import Profile, turned
from simgen.parts.sites import Site
from simgen.sampling import Distribution, LogUniform, Uniform
from simgen.scene.spec import DefectSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Size of the print in mm; `pitch_mm` is from tooth to tooth, `depth_mm` how deep they bit.

    `cross` is the chance that the jaw is cut crosswise, which leaves diamonds, not lines.
    """

    length_mm: Distribution = bounded(LogUniform(5.0, 16.0), above=0)
    width_mm: Distribution = bounded(LogUniform(3.0, 8.0), above=0)
    pitch_mm: Distribution = bounded(LogUniform(0.8, 1.8), above=0)
    depth_mm: Distribution = bounded(LogUniform(0.02, 0.08), above=0)
    turn_deg: Distribution = bounded(Uniform(-30, 30), low=-180, high=180)
    cross: float = bounded(0.6, low=0, high=1)


def sample(rng: np.random.Generator, ranges: Ranges, site: Site) -> DefectSpec:
    """Draw the print of a jaw at `site`."""
    return DefectSpec(
        kind="clamp_mark",
        anchor_mm=site.anchor_mm,
        normal=site.normal,
        tangent=turned(site, ranges.turn_deg.sample(rng)),
        size_mm={
            "length": ranges.length_mm.sample(rng),
            "width": ranges.width_mm.sample(rng),
            "depth": ranges.depth_mm.sample(rng),
        },
        values={
            "pitch_mm": ranges.pitch_mm.sample(rng),
            "cross": float(rng.uniform() < ranges.cross),
        },
        seed=int(rng.integers(2**31)),
    )


def profile(defect: DefectSpec, u: np.ndarray, v: np.ndarray) -> Profile:
    """Return the teeth's dents, deeper where the jaw bore harder."""
    size, values = defect.size_mm, defect.values
    distance, r = blob_distance(
        u, v, length_mm=size["length"], width_mm=size["width"], seed=defect.seed,
        roughness=0.03, squareness=9.0,
    )  # fmt: skip
    k = np.float32(np.pi / values["pitch_mm"])
    if values["cross"]:
        tooth = np.abs(np.sin(k * (u + v) * 0.7071)) * np.abs(np.sin(k * (u - v) * 0.7071))
    else:
        tooth = np.abs(np.sin(k * u))
    bite = np.clip(1.6 * tooth - 0.6, 0, 1)
    load = np.clip(0.6 + 0.4 * patches(u, v, size["length"], defect.seed), 0, 1)
    # The jaw's border presses least evenly of all.
    load = load * np.clip(6 * (1 - r), 0, 1)
    return Profile(
        distance_mm=distance,
        half_width_mm=np.full(u.shape, size["width"] / 2, np.float32),
        height_mm=(-size["depth"] * bite * load).astype(np.float32),
        amount=(0.6 * bite * load).astype(np.float32),
        albedo=np.full(3, 1.08, np.float32),
        roughness=0.3,
        tint=True,
    )
