"""Chatter mark: ripples of a tool that swung, or its feed lines. A distractor."""

from dataclasses import dataclass

import numpy as np

from simgen.config import bounded
from simgen.defects.outlines import blob_distance
from simgen.defects.profile import Profile, turned
from simgen.finishes.noise import generator
from simgen.parts.sites import Site
from simgen.sampling import Distribution, LogUniform, Uniform
from simgen.scene.spec import DefectSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Size of the rippled zone in mm, its length along the process.

    `pitch_mm` is from ripple to ripple, `slope` their steepness, `curve_mm` the radius of
    the tool's path, `turn_deg` the angle of the zone to the process, `strength` how much
    of the finish's own lines they replace.
    """

    length_mm: Distribution = bounded(LogUniform(6.0, 25.0), above=0)
    width_mm: Distribution = bounded(LogUniform(3.0, 12.0), above=0)
    pitch_mm: Distribution = bounded(LogUniform(0.8, 2.5), above=0)
    slope: Distribution = bounded(LogUniform(0.03, 0.12), above=0, high=1)
    curve_mm: Distribution = bounded(LogUniform(8.0, 80.0), above=0)
    turn_deg: Distribution = bounded(Uniform(-90, 90), low=-180, high=180)
    strength: Distribution = bounded(Uniform(0.2, 0.7), low=0, high=1)


def sample(rng: np.random.Generator, ranges: Ranges, site: Site) -> DefectSpec:
    """Draw chatter at `site`."""
    return DefectSpec(
        kind="chatter_mark",
        anchor_mm=site.anchor_mm,
        normal=site.normal,
        tangent=turned(site, ranges.turn_deg.sample(rng)),
        size_mm={"length": ranges.length_mm.sample(rng), "width": ranges.width_mm.sample(rng)},
        values={
            "pitch_mm": ranges.pitch_mm.sample(rng),
            "slope": ranges.slope.sample(rng),
            "curve_mm": ranges.curve_mm.sample(rng),
            "strength": ranges.strength.sample(rng),
            "max_turn_deg": 50.0,
            "level_mm": 0.8,
        },
        seed=int(rng.integers(2**31)),
    )


def profile(defect: DefectSpec, u: np.ndarray, v: np.ndarray) -> Profile:
    """Return arcs one beside the other that fade out at the zone's border."""
    size, values = defect.size_mm, defect.values
    distance, r = blob_distance(
        u, v, length_mm=size["length"], width_mm=size["width"], seed=defect.seed,
        roughness=0.12, squareness=3.0,
    )  # fmt: skip
    rng = generator(defect.seed, "ripples")
    pitch = values["pitch_mm"]
    phase = (u - 0.5 * v * v / values["curve_mm"]) / pitch
    # Ripples differ in strength from one to the next.
    knots = rng.uniform(0.3, 1.0, 64)
    strong = np.interp(phase, np.arange(64) - 32, knots)
    fade = np.clip(2.5 * (1 - r), 0, 1)
    height = values["slope"] * pitch / (2 * np.pi) * np.cos(2 * np.pi * phase) * strong
    return Profile(
        distance_mm=distance,
        half_width_mm=np.full(u.shape, size["width"] / 2, np.float32),
        height_mm=(height * fade).astype(np.float32),
        amount=(values["strength"] * fade).astype(np.float32),
        albedo=np.ones(3, np.float32),
        roughness=0.34,
        tint=True,
    )
