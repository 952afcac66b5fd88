"""Local refinement of a mesh: small triangles where a defect will move the surface."""

import numpy as np

from simgen.parts.mesh import number_points

# A triangle cut by a grid of three directions has no more corners.
_CORNERS = 10
# Cuts of a wall below and above a dented edge.
_LEVELS = 4


def refine_box(
    table: np.ndarray,
    faces: np.ndarray,
    *,
    centre_mm: np.ndarray,
    axes: np.ndarray,
    half_mm: tuple[float, float],
    step_mm: float,
    slab_mm: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Slice the triangles in a box by a grid of planes, so that none is longer than a cell.

    The planes stand on the surface along the first two axes, `step_mm` apart, and lie
    parallel to it below an edge. A neighbour of a sliced triangle is split to fit, and
    vertices of equal position are treated alike: a closed mesh stays closed, also across
    the seams of its charts. No vertex moves.

    Args:
        table: A row a vertex, (V, K), float64, position first; the rest is interpolated.
        faces: Shape (F, 3).
        centre_mm, axes: Origin and rows u, v, normal of the box's frame.
        half_mm: Half its extent along u and v.
        step_mm: Distance of the planes.
        slab_mm: Faces that look away from the normal count only this far below or above.

    Returns:
        Table and faces; old vertices keep their rows.
    """
    frame, centre = np.asarray(axes, float), np.asarray(centre_mm, float)
    table, faces = np.asarray(table, float), np.asarray(faces, np.int64)
    bounds = np.array([*half_mm, max(half_mm)])
    knife = _Knife(table, (table[:, :3] - centre) @ frame.T, faces)
    knife.keep_near(bounds, slab_mm)
    for axis, half in enumerate(half_mm):
        for offset in (-half, half):
            knife.slice(axis, offset)
            knife.keep_near(bounds, slab_mm)
    for axis, half in enumerate(half_mm):
        count = int(np.ceil(2 * half / step_mm))
        for offset in np.linspace(-half, half, count + 1)[1:-1]:
            knife.slice(axis, offset)
    for offset in np.linspace(-slab_mm, slab_mm, 2 * _LEVELS + 1):
        if abs(offset) > 1e-9:
            knife.slice(2, offset)
    return knife.result()


class _Knife:
    """A mesh under the knife: convex polygons `near` are sliced, triangles `rest` follow.

    Polygons are rows of vertices, padded with -1: triangles would have to be cut along
    diagonals over and over.
    """

    def __init__(self, table: np.ndarray, local: np.ndarray, faces: np.ndarray):
        self._table, self._local, self._point = table, local, number_points(table[:, :3])
        self._near = np.full((len(faces), _CORNERS), -1, np.int64)
        self._near[:, :3] = faces
        self._rest = faces[:0]
        self._touching = np.zeros(0, bool)

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the table of vertices and all triangles."""
        return self._table, np.concatenate([self._rest, self._triangles(self._near)])

    def keep_near(self, bounds: np.ndarray, slab_mm: float) -> None:
        """Let go of what lies outside the box or does not belong to the surface there."""
        wanted = _wanted(self._local, self._near, bounds, slab_mm)
        let_go = self._triangles(self._near[~wanted])
        self._near = self._near[wanted]
        self._rest = np.concatenate([self._rest, let_go])
        ends = np.zeros(int(self._point.max()) + 1, bool)
        ends[self._point[self._near[self._near >= 0]]] = True
        self._touching = ends[self._point[self._rest]].sum(axis=1) >= 2

    def slice(self, axis: int, offset_mm: float) -> None:
        """Split the polygons along a plane, and their neighbours to fit."""
        height = self._local[:, axis] - offset_mm
        side = np.where(np.abs(height) < 1e-6, 0, np.sign(height)).astype(np.int8)
        here = side[self._near] * (self._near >= 0)
        hit = (here.min(axis=1, initial=0) < 0) & (here.max(axis=1, initial=0) > 0)
        if not hit.any():
            return
        polygons = self._near[hit]
        ends = _ends(polygons)
        crossed = (side[ends[..., 0]] * side[ends[..., 1]] < 0) & (polygons >= 0)
        marks = np.unique(self._keys(ends)[crossed])
        beside = np.flatnonzero(self._touching)
        follow_ends = _ends(self._rest[beside])
        split = _marked(self._keys(follow_ends), marks)
        also = split.any(axis=1)
        beside, follow_ends, split = beside[also], follow_ends[also], split[also]
        cut = self._cut(np.concatenate([ends[crossed], follow_ends[split]]), marks, height)
        middle = np.full(crossed.shape, -1, np.int64)
        middle[crossed] = cut[: crossed.sum()]
        halves = [_half(polygons, middle, side[polygons] * sign >= 0) for sign in (1, -1)]
        self._near = np.concatenate([self._near[~hit], *halves])
        middle = np.full(split.shape, -1, np.int64)
        middle[split] = cut[crossed.sum() :]
        pieces = self._fitted(self._rest[beside], split, middle)
        keep = np.ones(len(self._rest), bool)
        keep[beside] = False
        self._rest = np.concatenate([self._rest[keep], pieces])
        self._touching = np.concatenate([self._touching[keep], np.ones(len(pieces), bool)])

    def _keys(self, ends: np.ndarray) -> np.ndarray:
        """Return a number for each edge (..., 2) that equal edges share, int64."""
        a, b = self._point[ends[..., 0]], self._point[ends[..., 1]]
        return (np.minimum(a, b) << 32) | np.maximum(a, b)

    def _cut(self, ends: np.ndarray, marks: np.ndarray, height: np.ndarray) -> np.ndarray:
        """Add the vertices where edges (N, 2) meet the plane; return them."""
        # The same way round for every copy of an edge, so that all get the same bits.
        swap = self._point[ends[:, 0]] > self._point[ends[:, 1]]
        ends = np.where(swap[:, None], ends[:, ::-1], ends)
        _, first, inverse = np.unique(
            (ends[:, 0] << 32) | ends[:, 1], return_index=True, return_inverse=True
        )
        a, b = ends[first].T
        share = (height[a] / (height[a] - height[b]))[:, None]
        count = len(self._table)
        number = int(self._point.max()) + 1 + np.searchsorted(marks, self._keys(ends[first]))
        self._point = np.concatenate([self._point, number])
        for name in ("_table", "_local"):
            rows = getattr(self, name)
            setattr(self, name, np.concatenate([rows, rows[a] + share * (rows[b] - rows[a])]))
        return count + inverse.reshape(-1)

    def _fitted(self, faces: np.ndarray, split: np.ndarray, middle: np.ndarray) -> np.ndarray:
        """Return the pieces of triangles of which one or two edges are cut at `middle`."""
        one = split.sum(axis=1) == 1
        k = split[one].argmax(axis=1)[:, None]
        a, b, c = np.take_along_axis(faces[one], (k + np.arange(3)) % 3, axis=1).T
        m = np.take_along_axis(middle[one], k, axis=1)[:, 0]
        parts = [np.stack([a, m, c], axis=1), np.stack([m, b, c], axis=1)]
        # Two cut edges meet in the first corner: a tip and a quadrilateral below it.
        k = ((~split[~one]).argmax(axis=1)[:, None] + 2) % 3
        a, b, c = np.take_along_axis(faces[~one], (k + np.arange(3)) % 3, axis=1).T
        m, n = np.take_along_axis(middle[~one], (k + np.array([0, 2])) % 3, axis=1).T
        parts.append(np.stack([a, m, n], axis=1))
        parts.append(self._triangles(np.stack([m, b, c, n], axis=1)))
        return np.concatenate(parts)

    def _triangles(self, polygons: np.ndarray) -> np.ndarray:
        """Return convex polygons as triangles, quadrilaterals along their shorter diagonal."""
        count = (polygons >= 0).sum(axis=1)
        parts = [polygons[:0, :3]]
        for n in range(3, polygons.shape[1] + 1):
            p = polygons[count == n, :n]
            if n == 4:
                at = self._table[p][:, :, :3]
                long = np.linalg.norm(at[:, 0] - at[:, 2], axis=1)
                turn = long > np.linalg.norm(at[:, 1] - at[:, 3], axis=1)
                p = np.where(turn[:, None], np.roll(p, 1, axis=1), p)
            parts += [p[:, [0, k, k + 1]] for k in range(1, n - 1)]
        return np.concatenate(parts)


def _ends(polygons: np.ndarray) -> np.ndarray:
    """Return the vertices at both ends of every edge of padded polygons, (N, K, 2)."""
    after = np.roll(polygons, -1, axis=1)
    return np.stack([polygons, np.where(after < 0, polygons[:, :1], after)], axis=-1)


def _half(polygons: np.ndarray, middle: np.ndarray, stays: np.ndarray) -> np.ndarray:
    """Return what remains of polygons on one side, with the cuts on their edges."""
    both = np.stack([np.where(stays, polygons, -1), middle], axis=-1).reshape(len(polygons), -1)
    order = np.argsort(both < 0, axis=1, kind="stable")
    return np.take_along_axis(both, order, axis=1)[:, :_CORNERS]


def _wanted(
    local: np.ndarray, polygons: np.ndarray, bounds: np.ndarray, slab_mm: float
) -> np.ndarray:
    """Return which polygons reach into the box and belong to the surface there."""
    corners = local[np.where(polygons < 0, polygons[:, :1], polygons)]
    low, high = corners.min(axis=1), corners.max(axis=1)
    inside = ((low < bounds - 1e-6) & (high > 1e-6 - bounds)).all(axis=1)
    near = np.flatnonzero(inside)
    c = corners[near]
    normal = np.cross(c[:, 1] - c[:, 0], c[:, 2] - c[:, 0])
    facing = normal[:, 2] > 0.3 * np.linalg.norm(normal, axis=1)
    level = (low[near, 2] < slab_mm) & (high[near, 2] > -slab_mm)
    inside[near] = facing | level
    return inside


def _marked(keys: np.ndarray, marks: np.ndarray) -> np.ndarray:
    slot = np.minimum(np.searchsorted(marks, keys), len(marks) - 1)
    return marks[slot] == keys
