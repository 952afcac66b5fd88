"""Break or chip: material really missing at an edge, with a fracture facet of its own.

The removed volume is a body with a lumpy surface, subtracted from the part's mesh;
what it leaves is shaded by 3-D position. Its label comes from the label pass of the
whole part, so there is no outline here.
"""

from dataclasses import dataclass

import numpy as np
import trimesh

from simgen.config import bounded
from simgen.defects.profile import frame_axes
from simgen.finishes.noise import blotches
from simgen.parts.sites import Site
from simgen.sampling import Constant, Distribution, LogUniform, Uniform
from simgen.scene.spec import DefectSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Length along the edge, width into the face and depth, in mm; tone of the facet.

    `inset_mm` is how far from the edge the middle lies: 0 breaks the edge itself, and a
    narrow body with an inset leaves a slit.
    """

    length_mm: Distribution = bounded(LogUniform(2.0, 9.0), above=0)
    width_mm: Distribution = bounded(LogUniform(1.0, 5.0), above=0)
    depth_mm: Distribution = bounded(LogUniform(0.5, 2.5), above=0)
    turn_deg: Distribution = bounded(Uniform(-25, 25), low=-180, high=180)
    inset_mm: Distribution = bounded(Constant(0.0), low=0)
    lumps: Distribution = bounded(Uniform(0.05, 0.16), low=0, high=0.4)
    tone: Distribution = bounded(LogUniform(0.1, 0.5), above=0, high=1)


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
        anchor_mm=tuple(float(x) for x in anchor),  # type: ignore[arg-type]
        normal=site.normal,
        tangent=tuple(float(x) for x in tangent),  # type: ignore[arg-type]
        size_mm={
            "length": ranges.length_mm.sample(rng),
            "width": ranges.width_mm.sample(rng),
            "depth": ranges.depth_mm.sample(rng),
        },
        values={
            "lumps": ranges.lumps.sample(rng),
            "tone": ranges.tone.sample(rng),
            "roughness": float(rng.uniform(0.45, 0.8)),
            "grain": float(rng.uniform(0.15, 0.5)),
            "tilt_deg": float(rng.uniform(-20, 20)),
        },
        missing_material=True,
        seed=int(rng.integers(2**31)),
    )


def cutter(defect: DefectSpec) -> tuple[np.ndarray, np.ndarray]:
    """Return the removed body, part-local: vertices (V, 3) float64 in mm and faces (F, 3).

    An ellipsoid whose half axes are half the length along the edge, the width into the
    face and the depth, centred on the edge, with lumps of relative size `lumps`.
    """
    size, values = defect.size_mm, defect.values
    ball = trimesh.creation.icosphere(subdivisions=4)
    directions = np.asarray(ball.vertices)
    lump = blotches(directions.astype(np.float32), 1.1, defect.seed, 10)
    fine = blotches(directions.astype(np.float32), 0.3, defect.seed + 1, 12)
    radius = 1 + values["lumps"] * (lump + 0.3 * fine)
    # Flattened from a ball toward a wedge, as fractures are: little curvature, sharp ends.
    shape = np.sign(directions) * np.abs(directions) ** 1.25
    shape /= np.linalg.norm(shape, axis=1, keepdims=True)
    local = shape * np.clip(radius, 0.5, 1.6)[:, None]
    local *= np.array([size["length"] / 2, size["width"], size["depth"]])
    tilt = np.deg2rad(values["tilt_deg"])
    c, s = np.cos(tilt), np.sin(tilt)
    local = local @ np.array([[1, 0, 0], [0, c, s], [0, -s, c]])
    t, b, n = (a.astype(np.float64) for a in frame_axes(defect))
    return local @ np.stack([t, b, n]) + np.asarray(defect.anchor_mm), np.asarray(ball.faces)
