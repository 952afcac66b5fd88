"""Weld a triangle soup at shared corners, and turn slivers into proper triangles."""

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

_ROUNDS = 20


def weld(corners_mm: np.ndarray, tolerance_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct points, (P, 3), and for each corner its point, (F, 3).

    Points within the tolerance of each other become the first of them; the order of
    points is that of their first use.
    """
    flat = corners_mm.reshape(-1, 3)
    _, first, inverse = np.unique(flat, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    points, index = flat[first[order]], rank[inverse.reshape(-1)]
    pairs = cKDTree(points).query_pairs(tolerance_mm, output_type="ndarray")
    if len(pairs):
        graph = coo_matrix(
            (np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), (len(points),) * 2
        )
        _, group = connected_components(graph, directed=False)
        _, lowest, inverse = np.unique(group, return_index=True, return_inverse=True)
        points, index = points[lowest], inverse.reshape(-1)[index]
    return points, index.reshape(-1, 3)


def without_slivers(
    points: np.ndarray, faces: np.ndarray, height_mm: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Swap the long edge of triangles that are hardly higher than a line.

    A sliver has no normal and no room in a texture. Its tip lies on its long edge, so
    that swapping this edge with the neighbour's diagonal moves the surface by less
    than `height_mm`.

    Returns:
        Faces (F, 3); for each corner of them the face that it had its attributes
        from before; and weights (F, 3, 3) of that face's three corners.
    """
    faces = faces.copy()
    source = np.repeat(np.arange(len(faces))[:, None], 3, axis=1)
    weights = np.broadcast_to(np.eye(3), (len(faces), 3, 3)).copy()
    for _ in range(_ROUNDS):
        slivers = np.flatnonzero(_heights(points, faces) < height_mm)
        if not len(slivers):
            break
        owner = _edge_owners(faces)
        busy: set[int] = set()
        changed = False
        for f in slivers.tolist():
            changed |= _swap(points, faces, source, weights, owner, busy, f)
        if not changed:
            break
    return faces, source, weights


def _heights(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = (points[faces[:, k]] for k in range(3))
    twice_area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    longest = np.max([np.linalg.norm(x, axis=1) for x in (b - a, c - b, a - c)], axis=0)
    return twice_area / np.maximum(longest, 1e-12)


def _edge_owners(faces: np.ndarray) -> dict[tuple[int, int], tuple[int, int]]:
    """Return for each directed edge its face and which corner starts it."""
    return {
        (int(face[k]), int(face[(k + 1) % 3])): (f, k)
        for f, face in enumerate(faces)
        for k in range(3)
    }


def _swap(
    points: np.ndarray,
    faces: np.ndarray,
    source: np.ndarray,
    weights: np.ndarray,
    owner: dict[tuple[int, int], tuple[int, int]],
    busy: set[int],
    f: int,
) -> bool:
    corners = points[faces[f]]
    lengths = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    k = int(np.argmax(lengths))
    a, b, tip = (int(faces[f][(k + j) % 3]) for j in range(3))
    if (b, a) not in owner:
        return False
    g, m = owner[(b, a)]
    far = int(faces[g][(m + 2) % 3])
    if f in busy or g in busy or f == g or far == tip:
        return False
    if (tip, far) in owner or (far, tip) in owner:
        return False
    busy.update((f, g))
    share = float((points[tip] - points[a]) @ (points[b] - points[a]) / lengths[k] ** 2)
    share = min(max(share, 0.0), 1.0)
    # The neighbour's corners: m is at b, m + 1 at a, m + 2 the far one.
    at_b, at_a, at_far = (weights[g, (m + j) % 3].copy() for j in range(3))
    on = source[g, 0]
    at_tip = share * at_b + (1 - share) * at_a
    faces[f], faces[g] = (tip, far, b), (a, far, tip)
    weights[f], weights[g] = (at_tip, at_far, at_b), (at_a, at_far, at_tip)
    source[f] = source[g] = on
    return True
