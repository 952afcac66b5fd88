"""Mark: pencil lines, worm-like smears, scuffs. A distractor: drawn, never labelled."""

from dataclasses import dataclass

import numpy as np

from simgen.config import bounded
from simgen.defects.outlines import line_distance, wander
from simgen.defects.patches import patches
from simgen.defects.profile import Profile
from simgen.parts.sites import Site
from simgen.sampling import Distribution, LogUniform, Uniform
from simgen.scene.spec import DefectSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Sizes in mm; `tone` below 1 darkens, above 1 brightens; `strength` of the change."""

    length_mm: Distribution = bounded(LogUniform(3.0, 25.0), above=0)
    width_mm: Distribution = bounded(LogUniform(0.2, 1.2), above=0)
    turn_deg: Distribution = bounded(Uniform(-90, 90), low=-180, high=180)
    bend_deg: Distribution = bounded(Uniform(10, 160), low=0, high=720)
    tone: Distribution = bounded(Uniform(0.45, 0.85), above=0, high=3)
    strength: Distribution = bounded(Uniform(0.2, 0.7), low=0, high=1)


def sample(rng: np.random.Generator, ranges: Ranges, site: Site) -> DefectSpec:
    """Draw a mark at `site`."""
    length, width = ranges.length_mm.sample(rng), ranges.width_mm.sample(rng)
    turn = np.deg2rad(ranges.turn_deg.sample(rng))
    path = wander(
        rng, length_mm=length, steps=24, wobble_deg=ranges.bend_deg.sample(rng),
        half_width_mm=width / 2, taper=(0.4, 0.2), jitter=0.25,
    )  # fmt: skip
    c, s = float(np.cos(turn)), float(np.sin(turn))
    return DefectSpec(
        kind="mark",
        anchor_mm=site.anchor_mm,
        normal=site.normal,
        tangent=site.tangent,
        size_mm={"length": length, "width": width},
        values={"tone": ranges.tone.sample(rng), "strength": ranges.strength.sample(rng)},
        points=tuple((c * u - s * v, s * u + c * v, w) for u, v, w in path),
        seed=int(rng.integers(2**31)),
    )


def profile(defect: DefectSpec, u: np.ndarray, v: np.ndarray) -> Profile:
    """Return a patchy line of graphite or oil on the surface."""
    distance, half, _ = line_distance(defect.points, u, v)
    patchy = np.clip(0.65 + 0.5 * patches(u, v, 1.5, defect.seed), 0.05, 1)
    r = np.clip((distance + half) / np.maximum(half, 1e-3), 0, 1)
    return Profile(
        distance_mm=distance,
        half_width_mm=half,
        height_mm=np.zeros(u.shape, np.float32),
        amount=(defect.values["strength"] * patchy * (1 - 0.7 * r**2)).astype(np.float32),
        albedo=np.full(3, defect.values["tone"], np.float32),
        roughness=0.55,
        tint=True,
    )
