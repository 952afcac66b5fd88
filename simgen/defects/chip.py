"""Break or chip: material really missing at an edge, with a fracture surface of its own.

The removed body is a wedge with facets and lumps, taken from the part's mesh. What it
leaves is shaded by 3-D position: arcs as conchoidal fractures have them, grain, and a
bright crushed lip. Its label comes from the label pass, so there is no outline here.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import trimesh

from simgen.config import bounded
from simgen.defects.bodies import Body, Look
from simgen.defects.profile import frame_axes
from simgen.finishes.noise import blotches, generator
from simgen.geometry import to_vec3
from simgen.parts.mesh import PartMesh
from simgen.parts.sites import Placement, Site
from simgen.sampling import Constant, Distribution, LogUniform, Uniform
from simgen.scene.spec import DefectSpec

PLACEMENT = Placement(edge_mm=(0.0, 0.8))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Length along the edge, width into the face and depth, in mm; look of the fracture.

    `inset_mm` is how far from the edge the middle lies: 0 breaks the edge itself, and a
    narrow body with an inset leaves a slit. `facets` is how many flats the fracture has,
    `lumps` how uneven it is, `ripple` the slope of its arcs, `lip` how much brighter its
    edge is (below 0: darker), `pointed` how sharp its two ends are, from round to wedges.
    """

    length_mm: Distribution = bounded(LogUniform(2.0, 9.0), above=0)
    width_mm: Distribution = bounded(LogUniform(1.0, 5.0), above=0)
    depth_mm: Distribution = bounded(LogUniform(0.5, 2.5), above=0)
    turn_deg: Distribution = bounded(Uniform(-25, 25), low=-180, high=180)
    inset_mm: Distribution = bounded(Constant(0.0), low=0)
    facets: Distribution = bounded(Uniform(2, 7), low=0, high=12)
    lumps: Distribution = bounded(Uniform(0.04, 0.14), low=0, high=0.4)
    tone: Distribution = bounded(LogUniform(0.1, 0.5), above=0, high=1)
    metalness: Distribution = bounded(Uniform(0.0, 0.4), low=0, high=1)
    ripple: Distribution = bounded(Uniform(0.0, 0.25), low=0, high=1)
    lip: Distribution = bounded(Uniform(0.1, 0.9), low=-1, high=4)
    pointed: Distribution = bounded(Constant(0.0), low=0, high=1)


def sample(rng: np.random.Generator, ranges: Ranges, site: Site) -> DefectSpec:
    """Draw a break whose middle is the edge point nearest to `site`."""
    normal = np.asarray(site.normal)
    toward = np.asarray(site.edge_direction)
    if np.linalg.norm(toward) < 0.5:
        toward = np.cross(normal, site.tangent)
    inset = ranges.inset_mm.sample(rng)
    anchor = np.asarray(site.anchor_mm) + (min(site.edge_mm, 50.0) - inset) * toward
    along = np.cross(normal, toward)
    t = np.deg2rad(ranges.turn_deg.sample(rng))
    tangent = np.cos(t) * along + np.sin(t) * toward
    return DefectSpec(
        kind="break",
        anchor_mm=to_vec3(anchor),
        normal=site.normal,
        tangent=to_vec3(tangent),
        size_mm={
            "length": ranges.length_mm.sample(rng),
            "width": ranges.width_mm.sample(rng),
            "depth": ranges.depth_mm.sample(rng),
        },
        values={
            "lumps": ranges.lumps.sample(rng),
            "facets": float(round(ranges.facets.sample(rng))),
            "tone": ranges.tone.sample(rng),
            "metalness": ranges.metalness.sample(rng),
            "roughness": float(rng.uniform(0.45, 0.8)),
            "grain": float(rng.uniform(0.15, 0.5)),
            "ripple": ranges.ripple.sample(rng),
            "lip": ranges.lip.sample(rng),
            "pointed": ranges.pointed.sample(rng),
            "tilt_deg": float(rng.uniform(-20, 20)),
        },
        missing_material=True,
        seed=int(rng.integers(2**31)),
    )


def body(defect: DefectSpec, mesh: PartMesh) -> Body:
    """Return the removed body.

    Half its length lies on either side of the anchor along u, its width along v and its
    depth below; `tilt_deg` then turns it about u.
    """
    size, values = defect.size_mm, defect.values
    directions, faces = _ball()
    local = directions * _radius(defect, directions)[:, None]
    rim = np.abs(directions[:, 2]) < 0.12
    for axis, low, high in (
        (0, size["length"] / 2, size["length"] / 2),
        (1, size["width"], size["width"]),
    ):
        x = local[:, axis]
        scale = np.where(x < 0, -low / x[rim].min(), high / x[rim].max())
        local[:, axis] = x * scale
    z = local[:, 2]
    local[:, 2] = z * np.where(z < 0, -size["depth"] / z.min(), size["depth"] / z.max())
    tilt = np.deg2rad(values["tilt_deg"])
    c, s = np.cos(tilt), np.sin(tilt)
    local = local @ np.array([[1, 0, 0], [0, c, s], [0, -s, c]])
    t, b, n = (a.astype(np.float64) for a in frame_axes(defect))
    vertices = local @ np.stack([t, b, n]) + np.asarray(defect.anchor_mm)
    return Body(vertices_mm=vertices, faces=faces, operation="remove", look=_look(defect))


def _radius(defect: DefectSpec, directions: np.ndarray) -> np.ndarray:
    """Return the wedge's radius by direction: a flattened ball with facets and lumps."""
    values = defect.values
    # Above the surface there is nothing to break: keep the outline of the mouth there.
    level = directions.copy()
    level[:, 2] = np.minimum(level[:, 2], 0)
    level[np.abs(level).max(axis=1) < 1e-6, 0] = 1
    level /= np.linalg.norm(level, axis=1, keepdims=True)
    # Flattened from a ball toward a wedge, as fractures are: little curvature, sharp ends.
    power = 1.9 - 0.8 * values.get("pointed", 0.0)
    radius = 1 / (np.abs(level) ** power).sum(axis=1) ** (1 / power)
    rng = generator(defect.seed, "facets")
    for _ in range(round(values.get("facets", 0.0))):
        flat = rng.normal(size=3) * (1.0, 1.0, 0.9)
        flat[2] = -abs(flat[2])
        flat /= np.linalg.norm(flat)
        offset = rng.uniform(0.5, 0.85)
        radius = np.minimum(radius, offset / np.maximum(level @ flat, 1e-3))
    lump = blotches(level.astype(np.float32), 1.1, defect.seed, 10)
    fine = blotches(level.astype(np.float32), 0.3, defect.seed + 1, 12)
    return radius * np.clip(1 + values["lumps"] * (lump + 0.35 * fine), 0.6, 1.6)


def _look(defect: DefectSpec) -> Look:
    size, values = defect.size_mm, defect.values
    rng = generator(defect.seed, "fracture")
    t, b, _ = frame_axes(defect)
    small = min(size["length"], 2 * size["width"])
    origin = np.asarray(defect.anchor_mm) + rng.uniform(-0.5, 0.5) * size["length"] * t
    origin = origin - rng.uniform(0.0, 0.4) * size["width"] * b
    tone = values["tone"]
    return Look(
        albedo=(tone, tone, tone),
        roughness=values["roughness"],
        metalness=values.get("metalness", 0.0),
        grain=values["grain"],
        grain_mm=float(np.clip(0.12 * small, 0.08, 0.35)),
        ripple=values.get("ripple", 0.0),
        ripple_mm=float(np.clip(rng.uniform(0.06, 0.14) * small, 0.12, 1.0)),
        ripple_origin_mm=to_vec3(origin),
        lip=values.get("lip", 0.0),
        lip_mm=float(np.clip(0.05 * small, 0.06, 0.25)),
    )


@lru_cache(maxsize=1)
def _ball() -> tuple[np.ndarray, np.ndarray]:
    ball = trimesh.creation.icosphere(subdivisions=4)
    return np.asarray(ball.vertices), np.asarray(ball.faces)
