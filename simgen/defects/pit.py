"""Pit: a small deep cavity with a ragged mouth, or several run together as a spall has them."""

from dataclasses import dataclass

import numpy as np

from simgen.config import bounded
from simgen.defects.outlines import blob_distance
from simgen.defects.patches import patches
from simgen.defects.profile import Profile, turned
from simgen.parts.sites import Site
from simgen.sampling import Constant, Distribution, LogUniform, Uniform, sample_count
from simgen.scene.spec import DefectSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """The mouth's width in mm; depth relative to the width of a single cavity.

    `aspect` is length over width, `ragged` how irregular the mouth is, `lobes` the number
    of cavities that overlap within the one mouth. `darkness` is the colour of the floor,
    `rubble` how broken it is, `stained` how far up its walls that colour goes: bare ones glint.
    """

    diameter_mm: Distribution = bounded(LogUniform(0.8, 4.0), above=0)
    depth_ratio: Distribution = bounded(Uniform(0.25, 0.7), above=0, high=3)
    aspect: Distribution = bounded(Uniform(1.0, 1.8), low=1)
    ragged: Distribution = bounded(Uniform(0.08, 0.2), low=0, high=1)
    lobes: Distribution = bounded(Constant(1.0), low=1, high=24)
    darkness: Distribution = bounded(Uniform(0.04, 0.2), low=0, high=1)
    rubble: Distribution = bounded(Uniform(0.3, 0.8), low=0, high=1)
    stained: Distribution = bounded(Constant(0.0), low=0, high=1)


def sample(rng: np.random.Generator, ranges: Ranges, site: Site) -> DefectSpec:
    """Draw a pit at `site`."""
    return sample_cavity(rng, ranges, site, kind="pit", turn_deg=float(rng.uniform(0, 180)))


def sample_cavity(
    rng: np.random.Generator, ranges: Ranges, site: Site, *, kind: str, turn_deg: float,
    squareness: float = 2.0, slant: float = 0.0,
) -> DefectSpec:  # fmt: skip
    """Draw a cavity of some `kind`; pits and blowholes differ in outline and place only."""
    diameter = ranges.diameter_mm.sample(rng)
    length = diameter * ranges.aspect.sample(rng)
    lobes = _lobes(rng, sample_count(rng, ranges.lobes), length, diameter)
    stained = ranges.stained.sample(rng)
    single = min(2 * min(row[3], row[4]) for row in lobes) if lobes else diameter
    return DefectSpec(
        kind=kind,
        anchor_mm=site.anchor_mm,
        normal=site.normal,
        tangent=turned(site, turn_deg),
        size_mm={
            "length": length,
            "width": diameter,
            "depth": single * ranges.depth_ratio.sample(rng),
        },
        values={
            "darkness": ranges.darkness.sample(rng),
            "squareness": squareness,
            "outline": ranges.ragged.sample(rng),
            "rubble": ranges.rubble.sample(rng),
            "slant": slant,
            # Left out where there is none, as in specs from before it.
            **({"stained": stained} if stained > 0 else {}),
        },
        points=lobes,
        seed=int(rng.integers(2**31)),
    )


def _lobes(
    rng: np.random.Generator, count: int, length_mm: float, width_mm: float
) -> tuple[tuple[float, ...], ...]:
    """Return rows (u, v, longest half, half along u, half along v, depth share), none for one.

    Each new one overlaps an old one; then all are stretched to fill the box.
    """
    if count < 2:
        return ()
    middle, half = [np.zeros(2)], [np.array([1.0, 1.0])]
    for _ in range(count - 1):
        beside = int(rng.integers(len(middle)))
        size = rng.uniform(0.35, 0.95, 2)
        angle = rng.uniform(0, 2 * np.pi)
        reach = 0.8 * (half[beside] + size)
        middle.append(middle[beside] + reach * np.array([np.cos(angle), np.sin(angle)]))
        half.append(size)
    at, size = np.array(middle), np.array(half)
    low, high = (at - size).min(axis=0), (at + size).max(axis=0)
    scale = np.array([length_mm, width_mm]) / (high - low)
    at, size = (at - (low + high) / 2) * scale, size * scale
    share = rng.uniform(0.5, 1.0, count)
    share /= share.max()
    return tuple(
        (float(u), float(v), float(max(a, b)), float(a), float(b), float(d))
        for (u, v), (a, b), d in zip(at, size, share, strict=True)
    )


def profile(defect: DefectSpec, u: np.ndarray, v: np.ndarray) -> Profile:
    """Return steep walls and a broken floor that sees little of the light."""
    size, values = defect.size_mm, defect.values
    lobes = defect.points or ((0.0, 0.0, 0.0, size["length"] / 2, size["width"] / 2, 1.0),)
    distance = np.full(u.shape, np.inf, np.float32)
    deepest = np.zeros(u.shape, np.float32)
    half = np.full(u.shape, size["width"] / 2, np.float32)
    for k, (at_u, at_v, _, half_u, half_v, share) in enumerate(lobes):
        d, r = blob_distance(
            u - np.float32(at_u), v - np.float32(at_v), length_mm=2 * half_u,
            width_mm=2 * half_v, seed=defect.seed + k, roughness=values["outline"],
            squareness=values["squareness"],
        )  # fmt: skip
        nearer = d < distance
        distance = np.where(nearer, d, distance)
        half = np.where(nearer, np.float32(min(half_u, half_v)), half)
        # Flat floors; where cavities meet, bowls, so that a ridge stands between them.
        floor = 3 if len(lobes) == 1 else 2
        deepest = np.maximum(deepest, share * np.clip(1 - r**floor, 0, 1))
    grain = max(0.22 * size["width"], 0.15) / len(lobes) ** 0.4
    lumps = patches(u, v, grain, defect.seed)
    rubble = values.get("rubble", 0.4)
    # The wall is bare for a little way down, here more, there less.
    bare = 1 - np.float32(values.get("stained", 0.0))
    wall = 0.12 * bare * half * np.clip(1 + 0.7 * lumps, 0.2, 2)
    inside = np.clip(-distance / np.maximum(wall, 1e-3), 0, 1)
    depth = size["depth"] * deepest * np.clip(1 + 0.35 * rubble * (lumps - 1), 0.3, 1)
    # What the floor sees of the mouth, and what the walls return.
    openness = 1 / (1 + 1.6 * depth / half)
    facet = np.clip(patches(u, v, 0.6 * grain, defect.seed + 1) - 0.9, 0, 1) * rubble
    # A floor that leans to one side returns more of the light there.
    lean = 1 + values.get("slant", 0.0) * np.clip(2 * v / np.float32(size["width"]), -1, 1)
    dark = lean * values["darkness"] * np.clip(1 + 0.4 * rubble * lumps, 0.3, 2) + 0.25 * facet
    return Profile(
        distance_mm=distance,
        half_width_mm=half.astype(np.float32),
        height_mm=(-depth).astype(np.float32),
        amount=inside.astype(np.float32),
        albedo=np.stack([dark, 0.95 * dark, 0.9 * dark], axis=1).astype(np.float32),
        roughness=(0.75 - 0.3 * facet).astype(np.float32),
        metalness=(0.2 + 0.6 * facet).astype(np.float32),
        cavity=openness.astype(np.float32),
    )
