"""Strands: lines of varying width, several to a defect, and the distance to their outline."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

Points = tuple[tuple[float, ...], ...]

# Beyond this distance the field is interpolated from a coarse grid: nothing there is
# drawn or labelled, and most points are there.
NEAR_MM = 2.0
_CELL_MM = 0.5
_GRID = 96


@dataclass(kw_only=True)
class StrandField:
    """Where N points lie in relation to the strands; arrays have shape (N,), float32.

    Attributes:
        distance_mm: Signed distance to the outline, negative inside. Beyond `NEAR_MM`
            it is approximate, and the other arrays hold nothing of use there.
        half_width_mm: Half width of the nearest strand at the nearest place.
        along_mm: Length along that strand from its beginning.
        across_mm: Signed distance to its middle line, positive on its left.
        strand: Its number, int32.
        length_mm: Length of every strand, shape (S,).
    """

    distance_mm: np.ndarray
    half_width_mm: np.ndarray
    along_mm: np.ndarray
    across_mm: np.ndarray
    strand: np.ndarray
    length_mm: np.ndarray

    @property
    def radius(self) -> np.ndarray:
        """Place across the strand: 0 on the middle line, 1 on the outline, clipped there."""
        inner = np.maximum(self.half_width_mm, 1e-3)
        return np.clip((self.distance_mm + self.half_width_mm) / inner, 0, 1)


def strand_field(points: Points, u: np.ndarray, v: np.ndarray) -> StrandField:
    """Return where points lie in relation to strands.

    Args:
        points: Rows (u, v, half_width) in mm, or (u, v, half_width, strand) for several
            strands, each one's rows together. A strand of one row is a disc.
        u, v: Where, shape (N,).
    """
    strands = _prepared(tuple(points))
    count = len(u)
    distance = np.full(count, np.inf, np.float32)
    if count * len(strands.rows) > 50_000:
        distance = strands.coarse(u, v)
        near = np.flatnonzero(distance < NEAR_MM)
    else:
        near = np.arange(count)
    field = StrandField(
        distance_mm=distance,
        half_width_mm=np.full(count, strands.widest, np.float32),
        along_mm=np.zeros(count, np.float32),
        across_mm=np.zeros(count, np.float32),
        strand=np.zeros(count, np.int32),
        length_mm=strands.length_mm,
    )
    margin = np.inf if len(near) == count else NEAR_MM + 1.0
    strands.measure(field, near, u[near], v[near], margin)
    return field


class _Strands:
    """Segments of all strands: rows a_u, a_v, d_u, d_v, 1 / |d|^2, |d|, w0, w1, start, strand."""

    def __init__(self, points: Points):
        rows: list[tuple[float, ...]] = []
        lengths: dict[int, float] = {}
        number = [int(p[3]) if len(p) > 3 else 0 for p in points]
        for k, (u, v, w, *_) in enumerate(points):
            strand = number[k]
            if k + 1 < len(points) and number[k + 1] == strand:
                du, dv, w1 = points[k + 1][0] - u, points[k + 1][1] - v, points[k + 1][2]
            elif strand in lengths:
                continue
            else:
                du, dv, w1 = 0.0, 0.0, w
            length = float(np.hypot(du, dv))
            start = lengths.get(strand, 0.0)
            square = 1 / max(length * length, 1e-12)
            rows.append((u, v, du, dv, square, length, w, w1, start, strand))
            lengths[strand] = start + length
        self.rows = np.asarray(rows, np.float64)
        self.length_mm = np.array([lengths.get(k, 0.0) for k in range(max(lengths) + 1)])
        self.widest = float(self.rows[:, 6:8].max())
        ends = np.concatenate([self.rows[:, :2], self.rows[:, :2] + self.rows[:, 2:4]])
        self._low = ends.min(axis=0) - self.widest - NEAR_MM - _CELL_MM
        high = ends.max(axis=0) + self.widest + NEAR_MM + _CELL_MM
        self._cell = max(_CELL_MM, float((high - self._low).max()) / _GRID)
        self._shape = np.ceil((high - self._low) / self._cell).astype(int) + 2
        self._grid: np.ndarray | None = None

    def coarse(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return the distance interpolated from a grid; outside the grid that of its border."""
        if self._grid is None:
            i, j = np.meshgrid(*(np.arange(n) for n in self._shape), indexing="ij")
            at = (self._low[k] + self._cell * x.ravel() for k, x in enumerate((i, j)))
            self._grid = self._nearest(*at).reshape(self._shape).astype(np.float32)
        grid = self._grid
        x, y = (u - self._low[0]) / self._cell, (v - self._low[1]) / self._cell
        x = np.clip(x, 0, self._shape[0] - 1.001)
        y = np.clip(y, 0, self._shape[1] - 1.001)
        i, j = x.astype(np.int32), y.astype(np.int32)
        x, y = (x - i).astype(np.float32), (y - j).astype(np.float32)
        near = grid[i, j] * (1 - y) + grid[i, j + 1] * y
        far = grid[i + 1, j] * (1 - y) + grid[i + 1, j + 1] * y
        return near * (1 - x) + far * x

    def _nearest(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        best = np.full(u.shape, np.inf)
        for row in self.rows:
            best = np.minimum(best, _to_segment(row, u, v)[0])
        return best

    def measure(
        self, field: StrandField, near: np.ndarray, u: np.ndarray, v: np.ndarray, margin: float
    ) -> None:
        """Fill in the field at the points `near`, whose places are u and v."""
        best = np.full(u.shape, np.inf, np.float32)
        half, along, across = (np.zeros(u.shape, np.float32) for _ in range(3))
        half += np.float32(self.widest)
        strand = np.zeros(u.shape, np.int32)
        for row in self.rows:
            if np.isfinite(margin):
                reach = max(row[6], row[7]) + margin
                close = np.abs(u - (row[0] + row[2] / 2)) < abs(row[2]) / 2 + reach
                close &= np.abs(v - (row[1] + row[3] / 2)) < abs(row[3]) / 2 + reach
                index = np.flatnonzero(close)
            else:
                index = np.arange(len(u))
            signed, width, place, side = _to_segment(row, u[index], v[index])
            nearer = signed < best[index]
            index = index[nearer]
            best[index] = signed[nearer]
            half[index], across[index] = width[nearer], side[nearer]
            along[index] = row[8] + place[nearer]
            strand[index] = int(row[9])
        found = np.isfinite(best)
        at = near[found]
        field.distance_mm[at] = best[found]
        field.half_width_mm[at], field.along_mm[at] = half[found], along[found]
        field.across_mm[at], field.strand[at] = across[found], strand[found]


def _to_segment(
    row: np.ndarray, u: np.ndarray, v: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return signed distance, half width, length from the first end, signed distance across."""
    a_u, a_v, d_u, d_v, square, length, w0, w1 = (np.float32(x) for x in row[:8])
    x, y = u - a_u, v - a_v
    s = np.clip((x * d_u + y * d_v) * square, 0, 1)
    width = w0 + s * (w1 - w0)
    off_u, off_v = x - s * d_u, y - s * d_v
    middle = np.sqrt(off_u * off_u + off_v * off_v)
    side = np.where(d_u * off_v - d_v * off_u < 0, -middle, middle)
    return middle - width, width, s * length, side


# A profile is asked several times over for one defect.
@lru_cache(maxsize=16)
def _prepared(points: Points) -> _Strands:
    return _Strands(points)
