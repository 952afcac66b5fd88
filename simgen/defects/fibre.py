"""Fibre: a hair or a thread that lies curled on the part, a thin body of its own."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from simgen.config import bounded
from simgen.defects.bodies import Body, Look, lifted
from simgen.defects.profile import Profile, turned
from simgen.parts.mesh import PartMesh
from simgen.parts.sites import Placement, Site
from simgen.sampling import Distribution, LogUniform, Uniform
from simgen.scene.spec import Colour, DefectSpec

PLACEMENT = Placement(edge_mm=(0.5, float("inf")))

# Hair, lint and threads of overalls, wipers and brushes.
_COLOURS: tuple[Colour, ...] = (
    (0.05, 0.03, 0.02),
    (0.02, 0.02, 0.02),
    (0.72, 0.70, 0.66),
    (0.30, 0.22, 0.14),
    (0.06, 0.14, 0.40),
    (0.45, 0.06, 0.05),
)
_SIDES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Length along the fibre and its diameter in mm.

    `curl_deg` is how far it turns over its whole length, `waves` how often it changes its
    mind on the way; `lift_mm` is how high its bows rise off the surface.
    """

    length_mm: Distribution = bounded(LogUniform(3.0, 20.0), above=0)
    diameter_mm: Distribution = bounded(LogUniform(0.04, 0.25), above=0)
    curl_deg: Distribution = bounded(Uniform(30, 400), low=0, high=2000)
    waves: Distribution = bounded(Uniform(1, 6), low=0, high=40)
    lift_mm: Distribution = bounded(LogUniform(0.05, 0.6), low=0)


def sample(rng: np.random.Generator, ranges: Ranges, site: Site) -> DefectSpec:
    """Draw a fibre whose middle lies at `site`, running any way."""
    length = ranges.length_mm.sample(rng)
    diameter = ranges.diameter_mm.sample(rng)
    lift = ranges.lift_mm.sample(rng)
    points = _path(
        rng, length, ranges.curl_deg.sample(rng), ranges.waves.sample(rng), lift, diameter / 2
    )
    colour = _COLOURS[int(rng.integers(len(_COLOURS)))]
    shade = float(rng.uniform(0.7, 1.3))
    return DefectSpec(
        kind="fibre",
        anchor_mm=site.anchor_mm,
        normal=site.normal,
        tangent=turned(site, float(rng.uniform(0, 360))),
        size_mm={"length": length, "diameter": diameter, "lift": lift},
        values={
            "red": min(shade * colour[0], 0.95),
            "green": min(shade * colour[1], 0.95),
            "blue": min(shade * colour[2], 0.95),
            "roughness": float(rng.uniform(0.4, 0.8)),
            "max_turn_deg": 75.0,
        },
        points=points,
        seed=int(rng.integers(2**31)),
    )


def _path(
    rng: np.random.Generator, length_mm: float, curl_deg: float, waves: float, lift_mm: float,
    radius_mm: float,
) -> tuple[tuple[float, ...], ...]:  # fmt: skip
    """Return rows (u, v, radius, height of the axis above the surface), evenly spaced."""
    steps = int(np.clip(np.ceil(length_mm / max(0.12, 1.5 * radius_mm)), 24, 160))
    s = (np.arange(steps) + 0.5) / steps
    share = rng.uniform(0.2, 0.9)
    turn = share * curl_deg * s + (1 - share) * curl_deg / 2 * _wave(rng, s, max(waves, 0.5))
    heading = np.deg2rad(turn)
    xy = np.zeros((steps + 1, 2))
    xy[1:] = np.cumsum(np.stack([np.cos(heading), np.sin(heading)], axis=1), axis=0)
    xy = (xy - xy.mean(axis=0)) * length_mm / steps
    along = np.linspace(0, 1, steps + 1)
    # It rests where it is heaviest and bows up between; ends often stand off.
    bow = np.clip(0.6 * _wave(rng, along, 1.5 + waves / 2), 0, 1)
    ends = rng.uniform(0, 0.8, 2) * np.array([(1 - along) ** 6, along**6]).T
    height = radius_mm + lift_mm * np.clip(bow + ends.sum(axis=1), 0, 1)
    return tuple(
        (float(u), float(v), float(radius_mm), float(h))
        for (u, v), h in zip(xy, height, strict=True)
    )


def _wave(rng: np.random.Generator, s: np.ndarray, count: float) -> np.ndarray:
    """Return a smooth random curve over s in [0, 1] of about `count` waves, within +-1 mostly."""
    total = np.zeros_like(s)
    for k in range(3):
        cycles = count * rng.uniform(0.4, 1.0) / (1 + 0.5 * k)
        total += np.sin(2 * np.pi * (cycles * s + rng.uniform())) / (1 + k)
    return total / 1.5


def body(defect: DefectSpec, mesh: PartMesh) -> Body:
    """Return the fibre as a tube that follows the surface, and hangs over where that ends."""
    path = np.asarray(defect.points)
    at, normals = lifted(defect, mesh, path[:, 0], path[:, 1])
    axis = at + path[:, 3:4] * normals
    radius = float(path[0, 2])
    along = np.gradient(axis, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    side = np.cross(normals, along)
    side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-9)
    up = np.cross(along, side)
    angle = 2 * np.pi * np.arange(_SIDES) / _SIDES
    # Of the same mean width as a round one, seen from any side.
    outer = radius * (np.pi / _SIDES) / np.sin(np.pi / _SIDES)
    round_ = np.cos(angle)[:, None] * side[:, None] + np.sin(angle)[:, None] * up[:, None]
    rings = axis[:, None] + outer * round_
    tips = axis[[0, -1]] + radius * np.array([-along[0], along[-1]])
    vertices = np.concatenate([rings.reshape(-1, 3), tips])
    n = len(path)
    k = np.arange(n * _SIDES).reshape(n, _SIDES)
    a, b = k[:-1], np.roll(k, -1, axis=1)[:-1]
    c, d = np.roll(k, -1, axis=1)[1:], k[1:]
    first, last = k[0], k[-1]
    faces = np.concatenate(
        [
            np.stack([a, b, c], axis=-1).reshape(-1, 3),
            np.stack([a, c, d], axis=-1).reshape(-1, 3),
            np.stack([np.roll(first, -1), first, np.full(_SIDES, n * _SIDES)], axis=-1),
            np.stack([last, np.roll(last, -1), np.full(_SIDES, n * _SIDES + 1)], axis=-1),
        ]
    )
    values = defect.values
    look = Look(
        albedo=(values["red"], values["green"], values["blue"]),
        roughness=values["roughness"],
        grain=0.25,
        grain_mm=0.3,
    )
    return Body(vertices_mm=vertices, faces=faces, operation="add", look=look, hair_mm=radius)


def profile(defect: DefectSpec, u: np.ndarray, v: np.ndarray) -> Profile:
    """Return the faint dark line where the fibre lies close to the surface."""
    path = np.asarray(defect.points, np.float32)
    distance, nearest = cKDTree(path[:, :2]).query(np.stack([u, v], axis=1))
    radius, height = path[0, 2], path[nearest, 3]
    reach = 2.5 * radius + 0.5 * (height - radius)
    hidden = 0.6 * radius / np.maximum(height, radius) * np.clip(1 - distance / reach, 0, 1)
    zero = np.zeros(u.shape, np.float32)
    return Profile(
        distance_mm=(distance - reach).astype(np.float32),
        half_width_mm=np.full(u.shape, radius, np.float32),
        height_mm=zero,
        amount=zero,
        albedo=np.ones(3, np.float32),
        roughness=0.5,
        cavity=(1 - hidden).astype(np.float32),
    )
