"""Where a plain mesh is sharp and where smooth: creases, patches, split shading normals."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

_COPLANAR_DEG = 0.3


@dataclass(frozen=True, kw_only=True)
class SmoothMesh:
    """A closed mesh whose vertices are repeated where the shading normal jumps.

    Attributes:
        point: For each vertex its point, shape (V,), int64.
        normals: Unit shading normals, shape (V, 3), float64.
        faces: Vertices of each face, shape (F, 3), int64.
        patch: The smooth region of each face, bounded by creases, (F,), int32.
        sharp: Convex creases as pairs of vertices, once from either side, (E, 2), int64.
        sharp_patch: The patch that a crease bounds on its side, shape (E,), int32.
    """

    point: np.ndarray
    normals: np.ndarray
    faces: np.ndarray
    patch: np.ndarray
    sharp: np.ndarray
    sharp_patch: np.ndarray


def smooth_mesh(points_mm: np.ndarray, faces: np.ndarray, crease_deg: float) -> SmoothMesh:
    """Split a mesh at the edges where its surface turns by more than `crease_deg`.

    A crease that ends within a smooth region splits the normals along it and leaves
    the region in one patch.

    Args:
        points_mm: Shape (P, 3), float64.
        faces: A closed mesh, shape (F, 3), int64.
        crease_deg: Largest dihedral turn that still is smooth.
    """
    mate = mates(faces, len(points_mm))
    face_normal, area = _face_normals(points_mm, faces)
    corner = np.arange(3 * len(faces))
    mine, other = corner // 3, mate // 3
    cosine = np.einsum("ij,ij->i", face_normal[mine], face_normal[other])
    crease = cosine < np.cos(np.deg2rad(crease_deg))
    flat = cosine > np.cos(np.deg2rad(_COPLANAR_DEG))
    patch = _joined(len(faces), mine[~crease], other[~crease])

    # Corners of one point are one vertex if smooth edges lead from face to face between
    # them. Edge k runs from corner k to the next; its mate runs back, so that the
    # mate's second end is our first.
    after = corner - corner % 3 + (corner + 1) % 3
    smooth = ~crease
    vertex = _joined(
        len(corner),
        np.concatenate([corner[smooth], after[smooth]]),
        np.concatenate([after[mate][smooth], mate[smooth]]),
    )
    normals = _normals(points_mm, faces, face_normal, area, flat, mine, other, vertex)
    point = np.empty(len(normals), np.int64)
    point[vertex] = faces.reshape(-1)

    beyond = points_mm[faces[other, (mate % 3 + 2) % 3]] - points_mm[faces.reshape(-1)]
    convex = np.einsum("ij,ij->i", face_normal[mine], beyond) < 0
    edge = np.flatnonzero(crease & convex)
    return SmoothMesh(
        point=point,
        normals=normals,
        faces=vertex.reshape(-1, 3).astype(np.int64),
        patch=patch.astype(np.int32),
        sharp=np.stack([vertex[edge], vertex[after[edge]]], axis=1).astype(np.int64),
        sharp_patch=patch[edge // 3].astype(np.int32),
    )


def mates(faces: np.ndarray, count: int) -> np.ndarray:
    """Return for each edge 3 f + k, from corner k of face f to the next, the one that runs back.

    Args:
        faces: A closed mesh, shape (F, 3).
        count: Number of points.
    """
    start = faces.reshape(-1).astype(np.int64)
    end = np.roll(faces, -1, axis=1).reshape(-1).astype(np.int64)
    forward, backward = start * count + end, end * count + start
    order = np.argsort(forward, kind="stable")
    return order[np.searchsorted(forward[order], backward)]


def _face_normals(points: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b, c = (points[faces[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    length = np.linalg.norm(normal, axis=1)
    return normal / np.maximum(length, 1e-300)[:, None], length / 2


def _joined(count: int, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    graph = coo_matrix((np.ones(len(a), bool), (a, b)), (count, count))
    return connected_components(graph, directed=False)[1]


def _normals(
    points: np.ndarray,
    faces: np.ndarray,
    face_normal: np.ndarray,
    area: np.ndarray,
    flat: np.ndarray,
    mine: np.ndarray,
    other: np.ndarray,
    vertex: np.ndarray,
) -> np.ndarray:
    """Average face normals, weighted by angle and by the area of the flat that a face is part of.

    So a plane keeps its normal where a fillet runs into it, however its triangles lie.
    """
    plane = _joined(len(faces), mine[flat], other[flat])
    plane_area = np.bincount(plane, weights=area)[plane]
    corners = points[faces]
    to_next = np.roll(corners, -1, axis=1) - corners
    to_last = np.roll(corners, 1, axis=1) - corners
    cross = np.linalg.norm(np.cross(to_next, to_last), axis=2)
    angle = np.arctan2(cross, np.einsum("fcx,fcx->fc", to_next, to_last))
    weight = (angle * plane_area[:, None]).reshape(-1)
    normals = np.zeros((int(vertex.max()) + 1, 3))
    np.add.at(normals, vertex, weight[:, None] * np.repeat(face_normal, 3, axis=0))
    length = np.linalg.norm(normals, axis=1)
    lost = length < 1e-12
    if lost.any():
        some = np.empty(len(normals), np.int64)
        some[vertex] = np.arange(len(vertex)) // 3
        normals[lost], length[lost] = face_normal[some[lost]], 1.0
    return normals / length[:, None]
