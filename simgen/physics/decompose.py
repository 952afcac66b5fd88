"""Convex pieces of any closed mesh: cut by planes until the hulls hardly fill what is hollow."""

import itertools

import manifold3d
import numpy as np

from simgen.errors import AssetError

_MOST_PIECES = 24
# Hollow volume that may stay filled, as a share of the whole part's hull.
_HOLLOW_SHARE = 0.02
_PLANES_AN_AXIS = 9
_MOST_FACES = 4000
_SNAP_MM = 1e-3


def convex_parts(vertices_mm: np.ndarray, faces: np.ndarray) -> list[np.ndarray]:
    """Return the points of convex pieces whose union is nearly the mesh, (N, 3) float64 each.

    The piece with most hollow in its hull is cut in two, by the plane along a face or
    across an axis that leaves least, until little is left. Narrow bores stay filled.

    Args:
        vertices_mm: Shape (V, 3); repeated vertices are merged.
        faces: A closed mesh, shape (F, 3).

    Raises:
        AssetError: The mesh is not closed.
    """
    body = _manifold(vertices_mm, faces)
    pieces = [(_hollow(p), k, p) for k, p in enumerate(body.decompose())]
    limit = _HOLLOW_SHARE * body.hull().volume()
    number = itertools.count(len(pieces))
    while len(pieces) < _MOST_PIECES:
        pieces.sort(key=lambda entry: (-entry[0], entry[1]))
        hollow, _, worst = pieces[0]
        # Many small hollows matter as little as one of the same size.
        if hollow < limit / 4 or sum(h for h, _, _ in pieces) < limit:
            break
        halves = _best_halves(worst)
        if halves is None:
            break
        pieces = pieces[1:] + [(_hollow(p), next(number), p) for p in halves]
    return [np.asarray(p.hull().to_mesh().vert_properties[:, :3], np.float64) for *_, p in pieces]


def _manifold(vertices_mm: np.ndarray, faces: np.ndarray) -> manifold3d.Manifold:
    raw = manifold3d.Mesh(
        vert_properties=np.ascontiguousarray(vertices_mm, np.float32),
        tri_verts=np.ascontiguousarray(faces, np.uint32),
    )
    raw.merge()
    body = manifold3d.Manifold(raw)
    if body.status() != manifold3d.Error.NoError:
        raise AssetError(f"the mesh cannot be cut ({body.status()}); it must be closed")
    size = float(np.ptp(vertices_mm, axis=0).max())
    for share in (2e-4, 1e-3, 4e-3, 1.6e-2):
        if body.num_tri() <= _MOST_FACES:
            break
        body = body.simplify(share * size)
    return body


def _hollow(piece: manifold3d.Manifold) -> float:
    return float(piece.hull().volume() - piece.volume())


def _best_halves(piece: manifold3d.Manifold) -> list[manifold3d.Manifold] | None:
    best, least = None, _hollow(piece) * 0.98
    for normal, offset in _planes(piece):
        above, below = piece.split_by_plane(normal, offset)
        if above.is_empty() or below.is_empty():
            continue
        halves = [*above.decompose(), *below.decompose()]
        left = sum(_hollow(p) for p in halves)
        if left < least:
            best, least = halves, left
    return best


def _planes(piece: manifold3d.Manifold) -> list[tuple[list[float], float]]:
    """Return planes worth trying: along the largest faces at inner corners, and across the axes."""
    mesh = piece.to_mesh()
    points = np.asarray(mesh.vert_properties[:, :3], np.float64)
    faces = np.asarray(mesh.tri_verts, np.int64)
    found: dict[tuple[float, ...], float] = {}
    a, b, c = (points[faces[:, k]] for k in range(3))
    cross = np.cross(b - a, c - a)
    area = np.linalg.norm(cross, axis=1)
    normal = cross / np.maximum(area, 1e-12)[:, None]
    offset = np.einsum("ij,ij->i", normal, a)
    # A face's plane cuts the piece where something sticks out beyond it.
    for k in np.argsort(-area, kind="stable")[:40].tolist():
        if (points @ normal[k] - offset[k]).max() > 0.02:
            key = tuple(np.round([*normal[k], offset[k]], 3).tolist())
            found[key] = found.get(key, 0.0) + float(area[k])
    ranked = sorted(found, key=lambda key: (-found[key], key))[:12]
    planes = [(list(key[:3]), key[3] + _SNAP_MM) for key in ranked]
    for axis in range(3):
        low, high = points[:, axis].min(), points[:, axis].max()
        for share in np.linspace(0, 1, _PLANES_AN_AXIS + 2)[1:-1]:
            planes.append(([float(i == axis) for i in range(3)], float(low + share * (high - low))))
    return planes
