"""Dust: sparse specks and a few fibres of lint that lie on the surface. A distractor."""

from dataclasses import dataclass

import numpy as np

from simgen.config import bounded
from simgen.defects.outlines import turned_path, wander
from simgen.defects.profile import Profile
from simgen.defects.strands import strand_field
from simgen.finishes.noise import generator
from simgen.parts.sites import Site
from simgen.sampling import Distribution, LogUniform, Uniform, sample_count
from simgen.scene.spec import DefectSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Specks of `speck_mm` and lint of `lint_mm` length, strewn over `area_mm`.

    `tone` is their colour, `strength` how opaque they are.
    """

    area_mm: Distribution = bounded(LogUniform(6.0, 30.0), above=0)
    specks: Distribution = bounded(Uniform(4, 25), low=0, high=200)
    speck_mm: Distribution = bounded(LogUniform(0.08, 0.3), above=0)
    lint: Distribution = bounded(Uniform(0, 2), low=0, high=20)
    lint_mm: Distribution = bounded(LogUniform(1.0, 5.0), above=0)
    tone: Distribution = bounded(Uniform(0.35, 0.75), above=0, high=1)
    strength: Distribution = bounded(Uniform(0.2, 0.7), low=0, high=1)


def sample(rng: np.random.Generator, ranges: Ranges, site: Site) -> DefectSpec:
    """Strew dust around `site`."""
    area = ranges.area_mm.sample(rng)
    rows: list[tuple[float, ...]] = []
    specks = sample_count(rng, ranges.specks)
    fibres = sample_count(rng, ranges.lint)
    for k in range(max(specks, 1 - fibres)):
        u, v = _place(rng, area)
        rows.append((u, v, ranges.speck_mm.sample(rng) / 2, float(k)))
    for _ in range(fibres):
        fibre = wander(
            rng, length_mm=ranges.lint_mm.sample(rng), steps=10,
            wobble_deg=float(rng.uniform(20, 160)), half_width_mm=float(rng.uniform(0.02, 0.04)),
        )  # fmt: skip
        u, v = _place(rng, area)
        number = rows[-1][3] + 1 if rows else 0.0
        for a, b, w in turned_path(fibre, float(rng.uniform(0, 180))):
            rows.append((u + a, v + b, w, number))
    return DefectSpec(
        kind="dust",
        anchor_mm=site.anchor_mm,
        normal=site.normal,
        tangent=site.tangent,
        size_mm={"length": area, "width": area},
        values={"tone": ranges.tone.sample(rng), "strength": ranges.strength.sample(rng)},
        points=tuple(rows),
        seed=int(rng.integers(2**31)),
    )


def _place(rng: np.random.Generator, area_mm: float) -> tuple[float, float]:
    radius, angle = 0.5 * area_mm * np.sqrt(rng.uniform()), rng.uniform(0, 2 * np.pi)
    return float(radius * np.cos(angle)), float(radius * np.sin(angle))


def profile(defect: DefectSpec, u: np.ndarray, v: np.ndarray) -> Profile:
    """Return matt grey grains and threads, some more opaque than others."""
    field = strand_field(defect.points, u, v)
    opaque = generator(defect.seed, "opaque").uniform(0.5, 1.0, len(field.length_mm))
    dome = np.sqrt(np.clip(1 - field.radius**2, 0, 1))
    return Profile(
        distance_mm=field.distance_mm,
        half_width_mm=field.half_width_mm,
        height_mm=(0.5 * field.half_width_mm * dome).astype(np.float32),
        amount=(defect.values["strength"] * opaque[field.strand]).astype(np.float32),
        albedo=np.array([1.0, 0.98, 0.94], np.float32) * np.float32(defect.values["tone"]),
        roughness=0.9,
        metalness=0.0,
    )
