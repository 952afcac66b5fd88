"""Scratch: a groove with raised burrs, bright fresh metal inside."""

from dataclasses import dataclass

import numpy as np

from simgen.config import bounded
from simgen.defects.outlines import line_distance, wander
from simgen.defects.profile import Profile
from simgen.parts.sites import Site
from simgen.sampling import Distribution, LogUniform, Uniform
from simgen.scene.spec import DefectSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Sizes in mm; `turn_deg` is the angle to the process direction."""

    length_mm: Distribution = bounded(LogUniform(5.0, 40.0), above=0)
    width_mm: Distribution = bounded(LogUniform(0.12, 0.6), above=0)
    depth_mm: Distribution = bounded(LogUniform(0.02, 0.12), above=0)
    turn_deg: Distribution = bounded(Uniform(-90, 90), low=-180, high=180)
    bend_deg: Distribution = bounded(Uniform(0, 40), low=0, high=180)
    brightness: Distribution = bounded(Uniform(0.35, 0.75), low=0, high=1)


def sample(rng: np.random.Generator, ranges: Ranges, site: Site) -> DefectSpec:
    """Draw a scratch at `site`."""
    length = ranges.length_mm.sample(rng)
    width = min(ranges.width_mm.sample(rng), length / 4)
    depth = ranges.depth_mm.sample(rng)
    turn = np.deg2rad(ranges.turn_deg.sample(rng))
    bend = ranges.bend_deg.sample(rng)
    path = wander(
        rng, length_mm=length, steps=18, wobble_deg=bend, half_width_mm=width / 2,
        taper=(float(rng.uniform(0, 0.6)), float(rng.uniform(0, 0.3))),
    )  # fmt: skip
    c, s = float(np.cos(turn)), float(np.sin(turn))
    return DefectSpec(
        kind="scratch",
        anchor_mm=site.anchor_mm,
        normal=site.normal,
        tangent=site.tangent,
        size_mm={"length": length, "width": width, "depth": depth},
        values={"brightness": ranges.brightness.sample(rng)},
        points=tuple((c * u - s * v, s * u + c * v, w) for u, v, w in path),
    )


def profile(defect: DefectSpec, u: np.ndarray, v: np.ndarray) -> Profile:
    """Return groove and burr: the outer third of the outline is raised, the rest is cut."""
    distance, half, _ = line_distance(defect.points, u, v)
    inner = np.maximum(half, 1e-3)
    r = np.clip((distance + half) / inner, 0, 1)
    depth = defect.size_mm["depth"]
    groove = np.where(r < 0.7, -depth * (1 - (r / 0.7) ** 2), 0.0)
    burr = np.where(r >= 0.7, 0.5 * depth * np.sin(np.pi * (r - 0.7) / 0.3), 0.0)
    tone = defect.values["brightness"]
    return Profile(
        distance_mm=distance,
        half_width_mm=half,
        height_mm=(groove + burr).astype(np.float32),
        amount=np.clip(1.3 - r, 0, 1).astype(np.float32),
        albedo=np.array([tone, tone, 0.98 * tone], np.float32),
        roughness=0.32,
        metalness=1.0,
        cavity=np.where(r < 0.7, 1 - 0.35 * (1 - r), 1.0).astype(np.float32),
    )
