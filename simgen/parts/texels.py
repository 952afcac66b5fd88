"""The texel table: where on the part every texel of its atlas lies."""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from simgen.parts.chart_edges import (
    Creases,
    columns_of,
    edges_of_run,
    nearest_crease,
    take_columns,
    to_nearest,
)
from simgen.parts.edges import FAR_MM, edges_by_patch
from simgen.parts.mesh import PartMesh, TexelTable

_SHIFT = 8
_WALK_STEPS = 12
_RUN = 16384


@dataclass(frozen=True, slots=True, kw_only=True)
class _Faces:
    """What texels need of the faces, float32, components first.

    Attributes:
        frame: First corner in texels and `_inverse_edges`, shape (6, F).
        at, normal: Position and normal of the first corner, shape (3, F).
        steps, turns: How they change a texel along x, then y, shape (6, F).
        across: The face across the edge opposite each corner, shape (F, 3).
        flat: The chart's largest face if all of them lie in one plane, else -1, shape (F,).
        curved: The normal turns, shape (F,).
    """

    frame: np.ndarray
    at: np.ndarray
    normal: np.ndarray
    steps: np.ndarray
    turns: np.ndarray
    across: np.ndarray
    flat: np.ndarray
    curved: np.ndarray

    @classmethod
    def of(cls, mesh: PartMesh, chart: np.ndarray, corners: np.ndarray) -> "_Faces":
        first, inverse = mesh.faces[:, 0], _inverse_edges(mesh, corners)
        steps = _gradients(mesh, inverse, mesh.vertices_mm)
        turns = _gradients(mesh, inverse, mesh.normals)
        return cls(
            frame=columns_of(np.concatenate([corners[first], inverse], axis=1)),
            at=columns_of(mesh.vertices_mm[first]),
            normal=columns_of(mesh.normals[first]),
            steps=columns_of(steps),
            turns=columns_of(turns),
            across=_neighbours(mesh),
            flat=_flat_faces(mesh, chart, corners),
            curved=np.abs(turns).max(axis=1) > 0,
        )


def texel_table(mesh: PartMesh) -> TexelTable:
    """Return position, normal and distance to the nearest sharp edge of every texel.

    Every texel whose square a chart touches belongs to it, and up to two beyond its
    border, extrapolated, so that filtering there reads good values. `edge_mm` is
    measured along the chart, never across a seam to another, to within two texels
    (mostly far better), and is `FAR_MM` on charts without a sharp edge.
    """
    corners = mesh.uv.astype(np.float64) * [mesh.map_width, mesh.map_height] - 0.5
    face_of = _paint_faces(mesh, corners)
    held = np.flatnonzero(face_of.reshape(-1) >= 0).astype(np.int32)
    rows, columns = np.divmod(held, np.int32(mesh.map_width))
    face = face_of.take(held)
    chart = chart_of_vertices(mesh)
    faces, lines = _Faces.of(mesh, chart, corners), Creases.of(mesh, corners)
    nearest, far = (None, None) if lines is None else nearest_crease(mesh, chart, corners, held)
    count = len(rows)
    # A component's values together: most uses look at one component of all texels.
    positions, normals, direction = np.empty((3, 3, count), np.float32).transpose(0, 2, 1)
    edge_mm = np.full(count, FAR_MM, np.float32)
    # In runs that stay in the processor's cache; in them, arrays run (component, texel), since
    # numpy is slow along an axis of three.
    for start in range(0, count, _RUN):
        part = slice(start, start + _RUN)
        x, y = columns[part].astype(np.float32), rows[part].astype(np.float32)
        own = _walk(faces, face[part], x, y)
        face[part] = own
        at, normal, steps = _places(faces, own, x, y)
        positions[part], normals[part] = at.T, normal.T
        if lines is not None and nearest is not None and far is not None:
            edge_mm[part], toward = edges_of_run(lines, nearest[part], far[part], x, y, steps)
            direction[part] = toward.T
    if mesh.traits is not None:
        edge_mm, toward = edges_by_patch(mesh, mesh.traits, face, positions.T, normals.T)
        direction = toward.T
    elif lines is None:
        direction[:] = 0
    table = TexelTable(
        rows=rows,
        columns=columns,
        positions_mm=positions,
        normals=normals,
        edge_mm=edge_mm,
        edge_direction=direction,
        face=face,
        fill=_fill(face_of),
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
    # A user's mesh may hold a triangle that is flat to the last bit.
    area = np.where(np.abs(area) < 1e-9, 1e-9, area)
    return np.stack([q[:, 1], -q[:, 0], -p[:, 1], p[:, 0]], axis=1) / area[:, None]


def _gradients(mesh: PartMesh, inverse: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return (F, 6) float32: how per-vertex `values` (V, 3) change per texel in x, then y."""
    tri = values.astype(np.float64)[mesh.faces]
    p, q = tri[:, 1] - tri[:, 0], tri[:, 2] - tri[:, 0]
    along_x = p * inverse[:, 0:1] + q * inverse[:, 2:3]
    along_y = p * inverse[:, 1:2] + q * inverse[:, 3:4]
    return np.concatenate([along_x, along_y], axis=1).astype(np.float32)


def _flat_faces(mesh: PartMesh, chart: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Return `_Faces.flat`; on a user's mesh, whose zones ask for the face itself, nowhere."""
    first = mesh.faces[:, 0]
    if mesh.traits is not None:
        return np.full(len(first), -1)
    chart = chart[first]
    tri = corners[mesh.faces]
    p, q = tri[:, 1] - tri[:, 0], tri[:, 2] - tri[:, 0]
    largest = np.zeros(int(chart.max()) + 1, np.int64)
    order = np.argsort(p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0], kind="stable")
    largest[chart[order]] = order
    own = largest[chart]
    normal, origin = mesh.normals[first[own]], mesh.vertices_mm[first[own]]
    offset = mesh.vertices_mm[mesh.faces] - origin[:, None]
    off = np.abs(np.einsum("fcd,fd->fc", offset, normal)).max(axis=1) > 1e-4
    off |= (mesh.normals[mesh.faces] != normal[:, None]).any(axis=(1, 2))
    bent = np.zeros(len(largest), bool)
    bent[chart[off]] = True
    return np.where(bent[chart], -1, own)


def _places(
    faces: _Faces, face: np.ndarray, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return positions and normals, (3, n), and mm per texel along x, then y, (6, n)."""
    flat = faces.flat[face]
    face = np.where(flat < 0, face, flat)
    first = take_columns(faces.frame[:2], face)
    dx, dy = x - first[0], y - first[1]
    steps = take_columns(faces.steps, face)
    position = take_columns(faces.at, face)
    position += steps[:3] * dx
    position += steps[3:] * dy
    normal = take_columns(faces.normal, face)
    curved = np.flatnonzero(faces.curved[face])
    if len(curved):
        turns = take_columns(faces.turns, face[curved])
        bent = normal[:, curved] + turns[:3] * dx[curved] + turns[3:] * dy[curved]
        normal[:, curved] = bent / np.sqrt((bent * bent).sum(axis=0))
    return position, normal, steps


def _walk(faces: _Faces, face: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Move texels that the painter gave to a neighbouring face to the one that holds them."""
    face = face.copy()
    active = np.flatnonzero(faces.flat[face] < 0)
    lowest, worst = _outside(faces.frame, face[active], x[active], y[active])
    out = np.flatnonzero(lowest < -1e-6)
    active, lowest, worst = active[out], lowest[out], worst[out]
    for _ in range(_WALK_STEPS):
        following = faces.across[face[active], worst]
        go = following >= 0
        active, following, lowest = active[go], following[go], lowest[go]
        if not len(active):
            break
        moved, worst = _outside(faces.frame, following, x[active], y[active])
        face[active] = np.where(moved > lowest, following, face[active])
        go = (moved > lowest) & (moved < -1e-6)
        active, lowest, worst = active[go], moved[go], worst[go]
    return face


def _outside(
    frame: np.ndarray, face: np.ndarray, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return each texel's lowest barycentric weight in its face, and which corner has it."""
    f = take_columns(frame, face)
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


def _fill(face_of: np.ndarray) -> np.ndarray:
    """Return the number of the nearest texel that lies on a chart, (height, width) int32."""
    _, label = to_nearest(face_of < 0)
    label -= 1
    return label
