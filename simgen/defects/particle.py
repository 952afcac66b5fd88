"""Particle: a grain of metal, plastic or dirt that lies on the part, a body of its own."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import trimesh

from simgen.config import bounded
from simgen.defects.bodies import Body, Look, lifted
from simgen.defects.profile import Profile, turned
from simgen.finishes.noise import blotches, generator
from simgen.parts.mesh import PartMesh
from simgen.parts.sites import Placement, Site
from simgen.sampling import Distribution, LogUniform, Uniform
from simgen.scene.spec import Colour, DefectSpec

PLACEMENT = Placement(edge_mm=(0.5, float("inf")))

# (colours, roughness, metalness): swarf and filings, moulded plastics, soil and scale.
_MATERIALS: dict[str, tuple[tuple[Colour, ...], tuple[float, float], float]] = {
    "metal": (((0.62, 0.61, 0.59), (0.75, 0.62, 0.35), (0.80, 0.48, 0.36)), (0.2, 0.45), 1.0),
    "plastic": (
        ((0.75, 0.74, 0.70), (0.03, 0.03, 0.03), (0.45, 0.05, 0.04), (0.05, 0.12, 0.40)),
        (0.3, 0.6),
        0.0,
    ),
    "dirt": (((0.09, 0.06, 0.04), (0.16, 0.11, 0.07), (0.03, 0.03, 0.03)), (0.75, 0.95), 0.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Length over the surface in mm, width and height relative to it.

    `embedded` is how much of the grain's own height lies below the surface, `facets` the
    number of flats that it is broken to, `lumps` how uneven it is. `metal`, `plastic` and
    `dirt` are how often it is made of each.
    """

    length_mm: Distribution = bounded(LogUniform(0.5, 3.0), above=0)
    aspect: Distribution = bounded(Uniform(0.5, 1.0), above=0, high=1)
    height_ratio: Distribution = bounded(Uniform(0.25, 0.7), above=0, high=2)
    embedded: Distribution = bounded(Uniform(0.05, 0.35), low=0, high=0.8)
    facets: Distribution = bounded(Uniform(0, 14), low=0, high=30)
    lumps: Distribution = bounded(Uniform(0.03, 0.2), low=0, high=0.4)
    metal: float = bounded(0.4, low=0)
    plastic: float = bounded(0.25, low=0)
    dirt: float = bounded(0.35, low=0)


def sample(rng: np.random.Generator, ranges: Ranges, site: Site) -> DefectSpec:
    """Draw a grain at `site`, lying in any direction."""
    length = ranges.length_mm.sample(rng)
    names = sorted(_MATERIALS)
    weights = np.array([getattr(ranges, name) for name in names])
    material = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    colours, rough, metalness = _MATERIALS[material]
    colour = colours[int(rng.integers(len(colours)))]
    shade = float(rng.uniform(0.7, 1.2))
    return DefectSpec(
        kind="particle",
        anchor_mm=site.anchor_mm,
        normal=site.normal,
        tangent=turned(site, float(rng.uniform(0, 360))),
        size_mm={
            "length": length,
            "width": length * ranges.aspect.sample(rng),
            "height": length * ranges.height_ratio.sample(rng),
        },
        values={
            "embedded": ranges.embedded.sample(rng),
            "facets": float(round(ranges.facets.sample(rng))),
            "lumps": ranges.lumps.sample(rng),
            "red": min(shade * colour[0], 0.95),
            "green": min(shade * colour[1], 0.95),
            "blue": min(shade * colour[2], 0.95),
            "roughness": float(rng.uniform(*rough)),
            "metalness": metalness,
            "grain": float(rng.uniform(0.05, 0.5)),
        },
        seed=int(rng.integers(2**31)),
    )


def body(defect: DefectSpec, mesh: PartMesh) -> Body:
    """Return the grain: as long and wide as asked over the surface, as high above it."""
    size, values = defect.size_mm, defect.values
    directions, faces = _ball()
    local = directions * _radius(defect, directions)[:, None]
    low, high = local.min(axis=0), local.max(axis=0)
    local = (local - (low + high) / 2) / (high - low)
    local[:, 2] += 0.5 - values["embedded"]
    # Below the surface nothing shows; the widest place above it has the length and width.
    above = local[:, 2] > 0
    for axis, name in ((0, "length"), (1, "width")):
        x = local[:, axis]
        low_x, high_x = x[above].min(), x[above].max()
        local[:, axis] = (x - (low_x + high_x) / 2) / (high_x - low_x) * size[name]
    local[:, 2] *= size["height"] / local[:, 2].max()
    at, normals = lifted(defect, mesh, local[:, 0], local[:, 1])
    look = Look(
        albedo=(values["red"], values["green"], values["blue"]),
        roughness=values["roughness"],
        metalness=values["metalness"],
        grain=values["grain"],
        grain_mm=float(np.clip(0.15 * size["length"], 0.05, 0.4)),
    )
    return Body(vertices_mm=at + local[:, 2:] * normals, faces=faces, operation="add", look=look)


def profile(defect: DefectSpec, u: np.ndarray, v: np.ndarray) -> Profile:
    """Return the dark rim where the grain keeps the sky off the surface around it."""
    size = defect.size_mm
    r = np.hypot(2 * u / size["length"], 2 * v / size["width"])
    beside = (r - 1) * 0.5 * min(size["length"], size["width"])
    reach = 0.8 * size["height"]
    hidden = 0.5 * np.clip(1 - np.maximum(beside, 0) / reach, 0, 1) ** 2
    zero = np.zeros(u.shape, np.float32)
    return Profile(
        distance_mm=(beside - reach).astype(np.float32),
        half_width_mm=np.full(u.shape, size["width"] / 2, np.float32),
        height_mm=zero,
        amount=zero,
        albedo=np.ones(3, np.float32),
        roughness=0.5,
        cavity=(1 - hidden).astype(np.float32),
    )


def _radius(defect: DefectSpec, directions: np.ndarray) -> np.ndarray:
    """Return the grain's radius by direction: a broken ball with lumps."""
    values = defect.values
    rng = generator(defect.seed, "grain")
    radius = np.ones(len(directions))
    for _ in range(round(values["facets"])):
        flat = rng.normal(size=3)
        flat /= np.linalg.norm(flat)
        radius = np.minimum(radius, rng.uniform(0.6, 0.9) / np.maximum(directions @ flat, 1e-3))
    lump = blotches(directions.astype(np.float32), 1.2, defect.seed, 10)
    fine = blotches(directions.astype(np.float32), 0.4, defect.seed + 1, 12)
    return radius * np.clip(1 + values["lumps"] * (lump + 0.4 * fine), 0.5, 1.6)


@lru_cache(maxsize=1)
def _ball() -> tuple[np.ndarray, np.ndarray]:
    ball = trimesh.creation.icosphere(subdivisions=4)
    return np.asarray(ball.vertices), np.asarray(ball.faces)
