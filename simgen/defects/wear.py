"""Wear: a zone rubbed along the process, polished or matt, its edges fading out in streaks."""

from dataclasses import dataclass

import numpy as np

from simgen.config import bounded
from simgen.defects.outlines import blob_distance
from simgen.defects.patches import patches
from simgen.defects.profile import Profile, turned
from simgen.finishes.noise import streaks
from simgen.parts.sites import Site
from simgen.sampling import Choice, Distribution, LogUniform, Uniform
from simgen.scene.spec import DefectSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Length along the rubbing and width across it, in mm; `turn_deg` to the process.

    `gloss` is the roughness that the rubbing leaves: below the finish's it is polished,
    above it matt. `tone` multiplies the colour, `strength` is the whole change and
    `line_mm` the spacing of the streaks.
    """

    length_mm: Distribution = bounded(LogUniform(6.0, 30.0), above=0)
    width_mm: Distribution = bounded(LogUniform(2.5, 10.0), above=0)
    turn_deg: Distribution = bounded(Uniform(-12, 12), low=-180, high=180)
    gloss: Distribution = bounded(
        Choice((0.14, 0.2, 0.65, 0.8), (1.0, 1.0, 1.0, 1.0)), above=0, high=1
    )
    tone: Distribution = bounded(Choice((0.6, 0.75, 1.25, 1.4), (1.0,) * 4), above=0, high=2)
    strength: Distribution = bounded(Uniform(0.6, 0.95), low=0, high=1)
    line_mm: Distribution = bounded(LogUniform(0.25, 0.8), above=0)


def sample(rng: np.random.Generator, ranges: Ranges, site: Site) -> DefectSpec:
    """Draw a worn zone at `site`."""
    length = ranges.length_mm.sample(rng)
    return DefectSpec(
        kind="wear",
        anchor_mm=site.anchor_mm,
        normal=site.normal,
        tangent=turned(site, ranges.turn_deg.sample(rng)),
        size_mm={"length": length, "width": min(ranges.width_mm.sample(rng), length)},
        values={
            "gloss": ranges.gloss.sample(rng),
            "tone": ranges.tone.sample(rng),
            "strength": ranges.strength.sample(rng),
            "line_mm": ranges.line_mm.sample(rng),
            "max_turn_deg": 60.0,
            "level_mm": 1.0,
        },
        seed=int(rng.integers(2**31)),
    )


def profile(defect: DefectSpec, u: np.ndarray, v: np.ndarray) -> Profile:
    """Return a film of rubbing: strong in the middle, in streaks toward its ends and sides."""
    size, values = defect.size_mm, defect.values
    distance, r = blob_distance(
        u, v, length_mm=size["length"], width_mm=size["width"], seed=defect.seed,
        roughness=0.07, squareness=3.2,
    )  # fmt: skip
    line = _streaks(defect, u, v)
    patchy = patches(u, v, 0.6 * size["width"], defect.seed + 1)
    film = np.clip(1.5 * (1 - r) + 0.4 * line + 0.2 * patchy, 0, 1)
    # Something is left up to the outline, so that it bounds what can be seen.
    film = np.maximum(film, 0.08) * np.clip((1 - r) * 12, 0, 1)
    return Profile(
        distance_mm=distance,
        half_width_mm=np.full(u.shape, size["width"] / 2, np.float32),
        height_mm=(film * (0.004 * line - 0.01)).astype(np.float32),
        amount=(values["strength"] * film).astype(np.float32),
        albedo=(values["tone"] * (1 + 0.08 * line))[:, None].repeat(3, axis=1).astype(np.float32),
        roughness=np.clip(values["gloss"] * (1 + 0.12 * line), 0.05, 1).astype(np.float32),
        tint=True,
    )


def _streaks(defect: DefectSpec, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return lines along u, mean 0 and standard deviation 1."""
    length, width = defect.size_mm["length"], defect.size_mm["width"]
    # Lines start at the smallest position given: with the corners of the outline's box they
    # are the same for whatever points are asked for.
    across = np.append(np.clip(v + width / 2, 0, width), [0.0, width]).astype(np.float32)
    along = np.append(np.clip(u + length / 2, 0, length), [0.0, length]).astype(np.float32)
    line, _ = streaks(
        across, along, width_mm=defect.values["line_mm"], length_mm=2 * length,
        seed=defect.seed, skew=0.5,
    )  # fmt: skip
    return line[:-2]
