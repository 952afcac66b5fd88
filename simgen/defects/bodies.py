"""Bodies: solids that a defect takes from a part, fills in, or leaves lying on it.

A kind whose defects are solids has a function

    body(defect, mesh) -> Body

beside (or instead of) `profile`. Its label is the body's visible surface and, where
material went or came, what it uncovered or hid; see docs/annotations.md.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.spatial import cKDTree

from simgen.defects.profile import frame_axes, surface_points
from simgen.finishes import Maps
from simgen.geometry import Vec3
from simgen.parts.mesh import PartMesh
from simgen.scene.spec import Colour, DefectSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A body's material, a function of part-local position in mm.

    Attributes:
        albedo, roughness, metalness: Of the bare material.
        grain: Relative variation of tone and tilt of the surface by its grain.
        grain_mm: Size of the grain.
        ripple: Slope of the arcs that a conchoidal fracture leaves; 0 for none.
        ripple_mm: Their spacing at `ripple_origin_mm`, where the crack began; it grows
            away from there.
        lip: How much brighter the crushed edge of a fracture is; below 0: darker.
        lip_mm: Its width.
    """

    albedo: Colour
    roughness: float
    metalness: float = 0.0
    grain: float = 0.2
    grain_mm: float = 0.3
    ripple: float = 0.0
    ripple_mm: float = 1.0
    ripple_origin_mm: Vec3 = (0.0, 0.0, 0.0)
    lip: float = 0.0
    lip_mm: float = 0.1


@dataclass(frozen=True, kw_only=True)
class Body:
    """A closed solid in part-local mm.

    Attributes:
        vertices_mm, faces: Shape (V, 3) float64 and (F, 3), counter-clockwise from outside.
        operation: "remove" takes it from the part, "fill" joins it to the part, "add"
            lays it there as a thing of its own.
        look: Its material; None means the part's finish goes on over it.
        hair_mm: Radius of a body so thin that it may cover less than a pixel; 0: not one.
            Its label is then widened to a pixel footprint, its colour mixed by coverage.
    """

    vertices_mm: np.ndarray
    faces: np.ndarray
    operation: Literal["remove", "fill", "add"]
    look: Look | None
    hair_mm: float = 0.0


@dataclass(frozen=True, kw_only=True)
class BodySurface:
    """What is drawn of a body: a fracture surface, a plug's caps or the body itself.

    Attributes:
        defect: Index of the defect in its object's `defects`.
        vertices_mm, normals: Part-local, shape (V, 3), float32.
        faces: Shape (F, 3), int32.
        shade: For each vertex the distance in mm to the surface's rim and the open part
            of the hemisphere, shape (V, 2), float32; texture coordinates if there are maps.
        look: Its material, None if it has maps.
        maps: Where the part's finish goes on over it.
        hair_mm: See `Body`.
    """

    defect: int
    vertices_mm: np.ndarray
    normals: np.ndarray
    faces: np.ndarray
    shade: np.ndarray
    look: Look | None
    maps: Maps | None = None
    hair_mm: float = 0.0


def body_reach(defect: DefectSpec) -> float:
    """Return the radius in mm around the anchor that holds what a defect removes."""
    # A kind whose body is not a wedge at an edge says it.
    if "reach_mm" in defect.values:
        return defect.values["reach_mm"]
    size = defect.size_mm
    return 1.1 * float(np.linalg.norm([size["length"] / 2, size["width"], size["depth"]]))


def added(index: int, body: Body) -> BodySurface:
    """Return the surface of a body that lies on a part."""
    normals = vertex_normals(body.vertices_mm, body.faces)
    shade = np.ones((len(body.vertices_mm), 2), np.float32)
    shade[:, 0] = 1e6
    return BodySurface(
        defect=index,
        vertices_mm=body.vertices_mm.astype(np.float32),
        normals=normals.astype(np.float32),
        faces=body.faces.astype(np.int32),
        shade=shade,
        look=body.look,
        hair_mm=body.hair_mm,
    )


def lifted(
    defect: DefectSpec, mesh: PartMesh, u: np.ndarray, v: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return where surface points (u, v) of a defect's frame lie, and the normals there.

    Past an edge the surface is continued straight on.

    Args:
        u, v: Lengths along the surface in mm, shape (N,).

    Returns:
        Part-local positions and unit normals, shape (N, 3), float64.
    """
    texels = mesh.texels
    reach = float(np.hypot(u, v).max()) + 2 * mesh.texel_mm
    near = surface_points(defect, texels.positions_mm, texels.normals, reach)
    t, b, n = (axis.astype(np.float64) for axis in frame_axes(defect))
    query = np.stack([u, v], axis=1).astype(np.float64)
    if len(near.index):
        known = np.stack([near.u_mm, near.v_mm], axis=1)
        nearest = cKDTree(known).query(query)[1]
        step = query - known[nearest]
        at = near.index[nearest]
        base = texels.positions_mm[at].astype(np.float64)
        normals = texels.normals[at].astype(np.float64)
    else:
        step = query
        base = np.broadcast_to(np.asarray(defect.anchor_mm), (len(query), 3))
        normals = np.broadcast_to(n, (len(query), 3))
    along_t, along_b = transported(t, b, n, normals)
    return base + step[:, :1] * along_t + step[:, 1:] * along_b, normals


def transported(
    t: np.ndarray, b: np.ndarray, n: np.ndarray, normals: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return a frame's tangents turned with its normal onto each of `normals`, (N, 3) each."""
    # The shortest rotation from n to m maps a, square to n, to a - (a.m) / (1 + n.m) (n + m).
    half = (n + normals) / np.maximum(1 + normals @ n, 1e-3)[:, None]
    return t - (normals @ t)[:, None] * half, b - (normals @ b)[:, None] * half


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return the normals of vertices, weighted by area, shape (V, 3)."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    face = np.cross(b - a, c - a)
    flat = faces.reshape(-1)
    normals = np.stack(
        [np.bincount(flat, np.repeat(face[:, k], 3), len(vertices)) for k in range(3)], axis=1
    )
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def creased_normals(face: np.ndarray, faces: np.ndarray, crease_deg: float = 32.0) -> np.ndarray:
    """Return a normal for each corner, (F, 3, 3): smooth, but not across sharp ridges.

    Args:
        face: Each face's normal times twice its area, shape (F, 3).
        faces: Shape (F, 3).
        crease_deg: Faces that turn by more do not share a normal.
    """
    flat = faces.reshape(-1)
    order = np.argsort(flat, kind="stable")
    start = np.searchsorted(flat[order], np.arange(flat.max() + 2))
    count = np.diff(start)[flat]
    # Every corner with every face at its vertex.
    corner = np.repeat(np.arange(len(flat)), count)
    step = np.arange(len(corner)) - np.repeat(np.cumsum(count) - count, count)
    other = order[np.repeat(start[flat], count) + step] // 3
    unit = face / np.maximum(np.linalg.norm(face, axis=1, keepdims=True), 1e-12)
    alike = np.einsum("ij,ij->i", unit[corner // 3], unit[other]) > np.cos(np.deg2rad(crease_deg))
    corner, other = corner[alike], other[alike]
    total = np.stack([np.bincount(corner, face[other, k], len(flat)) for k in range(3)], axis=1)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return (total / np.maximum(length, 1e-12)).reshape(-1, 3, 3)
