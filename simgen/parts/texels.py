"""The texel table: where on the part every texel of its atlas lies."""

import cv2
import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from simgen.parts.mesh import PartMesh, TexelTable

FAR_MM = 1e6
_SHIFT = 8
_WALK_STEPS = 12


def texel_table(mesh: PartMesh) -> TexelTable:
    """Return position, normal and distance to the nearest sharp edge of every texel.

    Every texel whose square a chart touches belongs to it, and up to two beyond its
    border, extrapolated, so that filtering there reads good values. `edge_mm` is
    measured along the chart, never across a seam to another, to within a texel
    (mostly far better), and is `FAR_MM` on charts without a sharp edge.
    """
    corners = mesh.uv.astype(np.float64) * [mesh.map_width, mesh.map_height] - 0.5
    face_of = _paint_faces(mesh, corners)
    rows, columns = (a.astype(np.int32) for a in np.nonzero(face_of >= 0))
    x, y = columns.astype(np.float32), rows.astype(np.float32)
    face = _walk(mesh, corners, face_of[rows, columns], x, y)

    # Arrays run (component, texel) inside: numpy is slow along an axis of three.
    first = mesh.faces[:, 0]
    dx, dy = x - _spread(corners[first, 0], face), y - _spread(corners[first, 1], face)
    steps = _spread(_gradients(mesh, corners, mesh.vertices_mm), face)
    positions = _spread(mesh.vertices_mm[first], face) + steps[:3] * dx + steps[3:] * dy
    normals = _spread(mesh.normals[first], face)
    turns = _gradients(mesh, corners, mesh.normals)
    curved = np.flatnonzero(_spread(np.abs(turns).max(axis=1), face) > 0)
    if len(curved):
        turns = _spread(turns, face[curved])
        bent = normals[:, curved] + turns[:3] * dx[curved] + turns[3:] * dy[curved]
        normals[:, curved] = bent / np.sqrt((bent * bent).sum(axis=0))
    edge_mm, direction = _nearest_edges(mesh, corners, rows, columns, x, y, steps)
    table = TexelTable(
        rows=rows,
        columns=columns,
        positions_mm=np.ascontiguousarray(positions.T),
        normals=np.ascontiguousarray(normals.T),
        edge_mm=edge_mm,
        edge_direction=np.ascontiguousarray(direction.T),
        fill=_fill(face_of, rows, columns),
    )
    for name in table.__dataclass_fields__:
        getattr(table, name).flags.writeable = False
    return table


def chart_of_vertices(mesh: PartMesh) -> np.ndarray:
    """Return the chart number of every vertex, shape (V,), int32: charts share no vertex."""
    f = mesh.faces
    pairs = np.concatenate([f[:, [0, 1]], f[:, [1, 2]]])
    count = len(mesh.vertices_mm)
    graph = coo_matrix((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), (count, count))
    return connected_components(graph, directed=False)[1]


def _paint_faces(mesh: PartMesh, corners: np.ndarray) -> np.ndarray:
    """Return the face on each texel, (height, width) int32, -1 in gutters."""
    face_of = np.full((mesh.map_height, mesh.map_width), -1, dtype=np.int32)
    polygons = np.rint(corners * (1 << _SHIFT)).astype(np.int32)[mesh.faces]
    for index, polygon in enumerate(polygons):
        cv2.fillConvexPoly(face_of, polygon, index, shift=_SHIFT)
    # One texel more on all sides: the painter leaves out some that are just touched.
    grown = cv2.dilate(face_of.astype(np.float32), np.ones((3, 3), np.uint8)).astype(np.int32)
    return np.where(face_of < 0, grown, face_of)


def _inverse_edges(mesh: PartMesh, corners: np.ndarray) -> np.ndarray:
    """Return (F, 4): with d from a face's first corner, weights of the other two corners
    are w1 = d . row[:2] and w2 = d . row[2:]."""
    tri = corners[mesh.faces]
    p, q = tri[:, 1] - tri[:, 0], tri[:, 2] - tri[:, 0]
    area = p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]
    return np.stack([q[:, 1], -q[:, 0], -p[:, 1], p[:, 0]], axis=1) / area[:, None]


def _gradients(mesh: PartMesh, corners: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return (F, 6) float32: how per-vertex `values` (V, 3) change per texel in x, then y."""
    tri = values.astype(np.float64)[mesh.faces]
    p, q = tri[:, 1] - tri[:, 0], tri[:, 2] - tri[:, 0]
    w = _inverse_edges(mesh, corners)
    along_x = p * w[:, 0:1] + q * w[:, 2:3]
    along_y = p * w[:, 1:2] + q * w[:, 3:4]
    return np.concatenate([along_x, along_y], axis=1).astype(np.float32)


def _walk(
    mesh: PartMesh, corners: np.ndarray, face: np.ndarray, x: np.ndarray, y: np.ndarray
) -> np.ndarray:
    """Move texels that the painter gave to a neighbouring face to the one that holds them."""
    across = _neighbours(mesh)
    frame = np.concatenate([corners[mesh.faces[:, 0]], _inverse_edges(mesh, corners)], axis=1)
    lowest, worst = _outside(frame, face, x, y)
    active = np.flatnonzero(lowest < -1e-6)
    lowest, worst = lowest[active], worst[active]
    for _ in range(_WALK_STEPS):
        following = across[face[active], worst]
        go = following >= 0
        active, following, lowest = active[go], following[go], lowest[go]
        if not len(active):
            break
        moved, worst = _outside(frame, following, x[active], y[active])
        face[active] = np.where(moved > lowest, following, face[active])
        go = (moved > lowest) & (moved < -1e-6)
        active, lowest, worst = active[go], moved[go], worst[go]
    return face


def _outside(
    frame: np.ndarray, face: np.ndarray, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return each texel's lowest barycentric weight in its face, and which corner has it."""
    f = _spread(frame, face)
    dx, dy = x - f[0], y - f[1]
    w1 = dx * f[2] + dy * f[3]
    w2 = dx * f[4] + dy * f[5]
    w0 = 1 - w1 - w2
    lowest = np.minimum(np.minimum(w0, w1), w2)
    return lowest, 2 - 2 * (lowest == w0) - ((lowest == w1) & (lowest != w0))


def _neighbours(mesh: PartMesh) -> np.ndarray:
    """Return (F, 3): the face across the edge opposite each corner, -1 at chart borders."""
    f = mesh.faces.astype(np.int64)
    edges = np.stack([f[:, [1, 2]], f[:, [2, 0]], f[:, [0, 1]]], axis=1).reshape(-1, 2)
    count = len(mesh.vertices_mm)
    forward = edges[:, 0] * count + edges[:, 1]
    backward = edges[:, 1] * count + edges[:, 0]
    order = np.argsort(forward)
    slot = np.minimum(np.searchsorted(forward[order], backward), len(order) - 1)
    mate = order[slot]
    return np.where(forward[mate] == backward, mate // 3, -1).reshape(-1, 3)


def _nearest_edges(
    mesh: PartMesh,
    corners: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    steps: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return distance to and direction of the nearest crease; `steps` is mm per texel, (6, N)."""
    if not len(mesh.creases):
        far = np.full(len(rows), FAR_MM, dtype=np.float32)
        return far, np.zeros((3, len(rows)), dtype=np.float32)
    nearest = _nearest_crease(mesh, corners)[rows, columns]
    ends = corners[mesh.creases]
    along = ends[:, 1] - ends[:, 0]
    length = np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)
    segment = np.concatenate([ends[:, 0], along / length[:, None], length[:, None]], axis=1)
    s = _spread(segment, _along_chain(mesh, segment, nearest, x, y))
    gx, gy, _ = _gap(s, x, y)
    # On the edge itself the direction is the crease's own normal in the chart.
    on_edge = np.flatnonzero(gx * gx + gy * gy < 1e-8)
    gx[on_edge], gy[on_edge] = s[3, on_edge], -s[2, on_edge]
    direction = steps[:3] * gx + steps[3:] * gy
    distance = np.sqrt((direction * direction).sum(axis=0))
    direction /= np.maximum(distance, 1e-12)
    none = np.flatnonzero(nearest < 0)
    distance[on_edge], distance[none], direction[:, none] = 0.0, FAR_MM, 0.0
    return distance, direction


def _along_chain(
    mesh: PartMesh, segment: np.ndarray, nearest: np.ndarray, x: np.ndarray, y: np.ndarray
) -> np.ndarray:
    """Move texels whose nearest point is a crease's end on to the next crease if it is nearer."""
    following = _next_creases(mesh)
    nearest = nearest.copy()
    active = np.arange(len(nearest))
    for _ in range(_WALK_STEPS):
        gx, gy, beyond = _gap(_spread(segment, nearest[active]), x[active], y[active])
        ends = np.flatnonzero(beyond)
        active, side = active[ends], (beyond[ends] + 1) // 2
        other = following[nearest[active], side]
        ox, oy, _ = _gap(_spread(segment, other), x[active], y[active])
        better = (other >= 0) & (ox * ox + oy * oy < gx[ends] ** 2 + gy[ends] ** 2 - 1e-6)
        active = active[better]
        if not len(active):
            break
        nearest[active] = other[better]
    return nearest


def _gap(s: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the step from texels to their segments, and -1 or 1 where it leads to an end."""
    ox, oy = x - s[0], y - s[1]
    along = ox * s[2] + oy * s[3]
    share = np.clip(along, 0, s[4])
    beyond = (along > s[4]).astype(np.int8) - (along < 0)
    return share * s[2] - ox, share * s[3] - oy, beyond


def _next_creases(mesh: PartMesh) -> np.ndarray:
    """Return the other crease at a crease's first and second end, (E, 2), -1 for none."""
    ends = mesh.creases.reshape(-1)
    order = np.argsort(ends, kind="stable")
    pair = np.flatnonzero(ends[order][1:] == ends[order][:-1])
    following = np.full(len(ends), -1)
    following[order[pair]] = order[pair + 1] // 2
    following[order[pair + 1]] = order[pair] // 2
    return following.reshape(-1, 2)


def _spread(table: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return rows of a table (F, K) or (F,) for each texel, (K, N) or (N,) float32."""
    columns = np.ascontiguousarray(table.T, dtype=np.float32)
    return columns.take(index, axis=-1, mode="clip")


def _nearest_crease(mesh: PartMesh, corners: np.ndarray) -> np.ndarray:
    """Return the crease nearest to each texel of the same chart, (height, width), -1 for none."""
    lines = np.rint(corners * (1 << _SHIFT)).astype(np.int32)[mesh.creases]
    painted = np.full((mesh.map_height, mesh.map_width), -1, dtype=np.int32)
    for index, (a, b) in enumerate(lines.tolist()):
        cv2.line(painted, a, b, index, shift=_SHIFT)
    result = np.full_like(painted, -1)
    for x0, y0, x1, y1 in _chart_boxes(mesh, corners):
        part = painted[y0:y1, x0:x1]
        free = (part < 0).view(np.uint8)
        if free.all():
            continue
        result[y0:y1, x0:x1] = _nearest_value(free, part)
    return result


def _nearest_value(free: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return `values` with every free pixel taking that of the nearest pixel that is not."""
    _, label = cv2.distanceTransformWithLabels(free, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    held = free == 0
    lookup = np.zeros(int(label.max()) + 1, dtype=values.dtype)
    lookup[label[held]] = values[held]
    return lookup[label]


def _chart_boxes(mesh: PartMesh, corners: np.ndarray) -> list[list[int]]:
    chart = chart_of_vertices(mesh)
    count = int(chart.max()) + 1
    low = np.full((count, 2), np.inf)
    high = np.full((count, 2), -np.inf)
    np.minimum.at(low, chart, corners)
    np.maximum.at(high, chart, corners)
    size = [mesh.map_width, mesh.map_height]
    first = np.clip(np.floor(low).astype(int) - 1, 0, size)
    last = np.clip(np.ceil(high).astype(int) + 2, 0, size)
    return np.concatenate([first, last], axis=1).tolist()


def _fill(face_of: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    index = np.full(face_of.shape, -1, dtype=np.int32)
    index[rows, columns] = np.arange(len(rows), dtype=np.int32)
    return _nearest_value((index < 0).view(np.uint8), index)
