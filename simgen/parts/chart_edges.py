"""Distance to sharp edges along the charts of a part, texel by texel."""

from dataclasses import dataclass

import cv2
import numpy as np

from simgen.parts.edges import FAR_MM
from simgen.parts.mesh import PartMesh

_WALK_STEPS = 12
_FAR_TEXELS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Creases:
    """Creases in texels: first end, unit direction and length, (5, E), and who follows them."""

    segment: np.ndarray
    following: np.ndarray

    @classmethod
    def of(cls, mesh: PartMesh, corners: np.ndarray) -> "Creases | None":
        """Return a part's; None if it has none, or finds its edges in another way."""
        if not len(mesh.creases) or mesh.traits is not None:
            return None
        ends = corners[mesh.creases]
        along = ends[:, 1] - ends[:, 0]
        length = np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)
        segment = np.concatenate([ends[:, 0], along / length[:, None], length[:, None]], axis=1)
        return cls(segment=columns_of(segment), following=_next_creases(mesh))


def nearest_crease(
    mesh: PartMesh, chart: np.ndarray, corners: np.ndarray, held: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the crease nearest to each texel of the same chart, -1 for none, and if it is far.

    Args:
        mesh, chart, corners: The part, its vertices' charts and places in texels.
        held: Flat index of every texel, shape (N,).

    Returns:
        Shape (N,) int32 and bool.
    """
    painted = _paint_creases(mesh, corners)
    result, far = np.full_like(painted, -1), np.ones(painted.shape, bool)
    for x0, y0, x1, y1 in _chart_boxes(mesh, chart, corners):
        part = painted[y0:y1, x0:x1]
        free = part < 0
        if free.all():
            continue
        distance, label = to_nearest(free)
        result[y0:y1, x0:x1] = np.append(np.int32(-1), part[~free]).take(label)
        far[y0:y1, x0:x1] = distance > _FAR_TEXELS
    return result.take(held), far.take(held)


def edges_of_run(
    lines: Creases,
    nearest: np.ndarray,
    far: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    steps: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return distance to (n,) and direction of (3, n) the nearest crease of a run of texels."""
    gx, gy, s = _to_crease(lines, nearest, far, x, y)
    # On the edge itself the direction is the crease's own normal in the chart.
    on_edge = np.flatnonzero(gx * gx + gy * gy < 1e-8)
    gx[on_edge], gy[on_edge] = s[3, on_edge], -s[2, on_edge]
    direction = steps[:3] * gx
    direction += steps[3:] * gy
    distance = np.sqrt((direction * direction).sum(axis=0))
    direction /= np.maximum(distance, 1e-12)
    none = np.flatnonzero(nearest < 0)
    distance[on_edge], distance[none], direction[:, none] = 0.0, FAR_MM, 0.0
    return distance, direction


def _to_crease(
    lines: Creases, nearest: np.ndarray, far: np.ndarray, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the step (x, y) to the nearest crease and its segment, (5, n).

    Where the nearest point of a crease is its end, the next one of the chain is tried. From
    far away one is as near as the next, to within about a texel.
    """
    s = take_columns(lines.segment, nearest)
    gx, gy, beyond = _gap(s, x, y)
    active = np.flatnonzero((beyond != 0) & ~far)
    now, side = nearest[active], (beyond[active] + 1) // 2
    best = gx[active] ** 2 + gy[active] ** 2
    for _ in range(_WALK_STEPS):
        now = lines.following[now, side]
        other = take_columns(lines.segment, now)
        ox, oy, beyond = _gap(other, x[active], y[active])
        square = ox * ox + oy * oy
        better = np.flatnonzero((now >= 0) & (square < best - 1e-6))
        active, now, best, beyond = active[better], now[better], square[better], beyond[better]
        s[:, active] = other[:, better]
        gx[active], gy[active] = ox[better], oy[better]
        ends = np.flatnonzero(beyond)
        active, now, best, side = active[ends], now[ends], best[ends], (beyond[ends] + 1) // 2
        if not len(active):
            break
    return gx, gy, s


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


def _paint_creases(mesh: PartMesh, corners: np.ndarray) -> np.ndarray:
    """Return the crease that runs through each texel, (height, width) int32, -1 for none."""
    ends = corners[mesh.creases]
    along = ends[:, 1] - ends[:, 0]
    # Half a texel from point to point: a line without gaps.
    points = np.ceil(2 * np.abs(along).max(axis=1)).astype(np.int64) + 1
    crease = np.repeat(np.arange(len(ends)), points)
    step = np.arange(len(crease)) - np.repeat(np.cumsum(points) - points, points)
    share = step / np.maximum(points - 1, 1)[crease]
    at = np.rint(ends[crease, 0] + share[:, None] * along[crease]).astype(np.int64)
    inside = ((at >= 0) & (at < [mesh.map_width, mesh.map_height])).all(axis=1)
    painted = np.full((mesh.map_height, mesh.map_width), -1, dtype=np.int32)
    painted[at[inside, 1], at[inside, 0]] = crease[inside]
    return painted


def _chart_boxes(mesh: PartMesh, chart: np.ndarray, corners: np.ndarray) -> list[list[int]]:
    count = int(chart.max()) + 1
    low = np.full((count, 2), np.inf)
    high = np.full((count, 2), -np.inf)
    np.minimum.at(low, chart, corners)
    np.maximum.at(high, chart, corners)
    size = [mesh.map_width, mesh.map_height]
    first = np.clip(np.floor(low).astype(int) - 1, 0, size)
    last = np.clip(np.ceil(high).astype(int) + 2, 0, size)
    return np.concatenate([first, last], axis=1).tolist()


def to_nearest(free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each pixel's distance to the nearest one that is not free, and that one's number.

    They are numbered from 1, row by row.
    """
    distance, label = cv2.distanceTransformWithLabels(
        free.view(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    return distance, label


def columns_of(table: np.ndarray) -> np.ndarray:
    """Return a table (F, K) as (K, F) float32."""
    return np.ascontiguousarray(table.T, dtype=np.float32)


def take_columns(columns: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return the columns of a table (K, F) for each texel, (K, n)."""
    return columns.take(index, axis=-1, mode="clip")
