"""Pieces of a mesh in each of which the process lines run one way across the texture.

Mitsuba draws an anisotropic highlight out along the direction in which u grows, which charts
lay anyhow. So the mesh is taken apart by the angle between the two, and each piece gets
texture coordinates that are turned by it.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from simgen.scene.spec import FinishSpec

_STEP_DEG = 5.0
_ROUNDS = 5


@dataclass(frozen=True, kw_only=True)
class Charted:
    """A mesh with texture coordinates, part-local.

    Attributes:
        vertices_mm, normals: Shape (V, 3), float64.
        texels: Texture coordinates in texels (column, row), shape (V, 2), float64.
        faces: Shape (F, 3), int64.
    """

    vertices_mm: np.ndarray
    normals: np.ndarray
    texels: np.ndarray
    faces: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Patch:
    """Faces of one chart across which the lines run at about one angle.

    Attributes:
        faces: Indices of the faces, shape (N,).
        turn_rad: From the chart's columns to the direction across the lines.
    """

    faces: np.ndarray
    turn_rad: float


def across_lines(finish: FinishSpec, points_mm: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Return unit vectors on the surface across the process lines at points, (N, 3)."""
    axis = np.asarray(finish.direction, np.float64)
    lead = finish.values.get("lead_mm", 0.0)
    if finish.around or lead > 0:
        lines = np.cross(axis, points_mm) + lead / (2 * np.pi) * axis
    else:
        lines = np.broadcast_to(axis, points_mm.shape)
    across = np.cross(normals, lines)
    length = np.linalg.norm(across, axis=1, keepdims=True)
    # Where the lines go straight into the surface any direction serves, as in colour.frag.
    other = np.where(np.abs(normals[:, 2:]) < 0.9, (0.0, 0.0, 1.0), (1.0, 0.0, 0.0))
    return np.where(length > 1e-4, across, np.cross(normals, np.cross(other, normals))) / np.where(
        length > 1e-4, length, 1.0
    )


def texel_axes(mesh: Charted) -> tuple[np.ndarray, np.ndarray]:
    """Return unit vectors along columns and rows of the texture on each face, (F, 3) each."""
    corners, at = mesh.vertices_mm[mesh.faces], mesh.texels[mesh.faces]
    e1, e2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    d1, d2 = at[:, 1] - at[:, 0], at[:, 2] - at[:, 0]
    sign = np.sign(d1[:, 0] * d2[:, 1] - d2[:, 0] * d1[:, 1])[:, None]
    columns = sign * (e1 * d2[:, 1:] - e2 * d1[:, 1:])
    rows = sign * (e2 * d1[:, :1] - e1 * d2[:, :1])
    return _unit(columns), _unit(rows)


def refined(mesh: Charted, finish: FinishSpec) -> Charted:
    """Return the mesh with those triangles divided within which the lines turn by much."""
    if not (finish.around or finish.values.get("lead_mm", 0.0) > 0):
        return mesh
    for _ in range(_ROUNDS):
        corners = mesh.vertices_mm[mesh.faces]
        flat = _unit(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
        across = np.stack([across_lines(finish, corners[:, k], flat) for k in range(3)], axis=1)
        turn = [np.einsum("ni,ni->n", across[:, k], across[:, (k + 1) % 3]) for k in range(3)]
        coarse = np.min(turn, axis=0) < np.cos(np.deg2rad(_STEP_DEG))
        # About its own axis a disc's lines turn however fine the triangles are.
        side = np.linalg.norm(corners[:, 1] - corners[:, 0], axis=1)
        coarse &= side > 0.3
        if not coarse.any():
            return mesh
        mesh = _divided(mesh, coarse)
    return mesh


def patches(mesh: Charted, finish: FinishSpec) -> list[Patch]:
    """Return the pieces that together are the mesh."""
    middle = mesh.vertices_mm[mesh.faces].mean(axis=1)
    columns, rows = texel_axes(mesh)
    normals = _unit(np.cross(columns, rows))
    across = across_lines(finish, middle, normals)
    turn = np.arctan2(np.einsum("ni,ni->n", across, rows), np.einsum("ni,ni->n", across, columns))
    step = np.deg2rad(_STEP_DEG)
    bins = np.rint(turn / step).astype(np.int64) % int(round(2 * np.pi / step))
    pairs = np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]]])
    graph = coo_matrix((np.ones(len(pairs), bool), tuple(pairs.T)), (len(mesh.vertices_mm),) * 2)
    chart = connected_components(graph, directed=False)[1][mesh.faces[:, 0]]
    key = chart.astype(np.int64) * 1000 + bins
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(key[order]) != 0])
    return [
        Patch(faces=faces, turn_rad=float(bins[faces[0]] * step))
        for faces in np.split(order, starts[1:])
    ]


def _divided(mesh: Charted, which: np.ndarray) -> Charted:
    """Return the mesh with some triangles divided into four."""
    faces = mesh.faces[which]
    count = len(mesh.vertices_mm)
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    unique, index = np.unique(edges, axis=0, return_inverse=True)
    ab, bc, ca = count + index.reshape(3, -1)
    a, b, c = faces.T
    new = [np.stack(x, axis=1) for x in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))]

    def with_middles(values: np.ndarray) -> np.ndarray:
        return np.concatenate([values, values[unique].mean(axis=1)])

    return Charted(
        vertices_mm=with_middles(mesh.vertices_mm),
        normals=with_middles(mesh.normals),
        texels=with_middles(mesh.texels),
        faces=np.concatenate([mesh.faces[~which], *new]),
    )


def _unit(vectors: np.ndarray) -> np.ndarray:
    unit: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    return unit
