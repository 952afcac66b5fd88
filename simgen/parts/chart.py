"""Chart: a piece of surface with its flat picture, and the three ways to make one.

A shape is a list of charts. Neighbouring charts share border points exactly (the
same numbers), so that the joined mesh is closed; only the flat coordinates differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from simgen.errors import ConfigError

SHARP_DEG = 25.0
_GUTTER_GUESS_MM = 1.5
_MAX_PIECE_TURN_DEG = 190.0


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A developable piece of surface, laid flat without stretch or mirroring.

    Attributes:
        vertices_mm: Part-local positions, shape (V, 3), float64.
        normals: Unit shading normals, shape (V, 3), float64.
        flat_mm: The same vertices laid flat, shape (V, 2), float64; x cross y is the normal.
        faces: Shape (F, 3), int64, counter-clockwise from outside, and in `flat_mm`.
        detail: Texels per length relative to the others; below 1 where nobody looks closely.
    """

    vertices_mm: np.ndarray
    normals: np.ndarray
    flat_mm: np.ndarray
    faces: np.ndarray
    detail: float = 1.0

    def moved(self, rotation: np.ndarray, shift_mm: Sequence[float] = (0.0, 0.0, 0.0)) -> "Chart":
        """Return the chart rotated by a (3, 3) matrix, then shifted."""
        return replace(
            self,
            vertices_mm=self.vertices_mm @ rotation.T + np.asarray(shift_mm),
            normals=self.normals @ rotation.T,
        )


@cache
def arc_segments(radius_mm: float) -> int:
    """Return the segments of a full circle: a multiple of 8, chords within 0.01 mm."""
    wanted = np.pi * np.sqrt(radius_mm / (2 * 0.01))
    return int(np.clip(8 * np.ceil(wanted / 8), 24, 256))


def planar(loops: Sequence[np.ndarray], normal: ArrayLike, x_axis: ArrayLike) -> Chart:
    """Return a flat region.

    Args:
        loops: The outline, then the holes, each shape (N, 3) without repeating the
            first point, and without three points in a line (the triangulation
            would drop the middle one and leave a gap to the neighbour).
        normal: Outward unit normal.
        x_axis: Unit direction in the plane that becomes the flat x.

    Raises:
        ConfigError: The region cannot be triangulated: holes overlap or leave the outline.
    """
    import mapbox_earcut

    points = np.concatenate(loops)
    n, x = np.asarray(normal, float), np.asarray(x_axis, float)
    flat = points @ np.stack([x, np.cross(n, x)], axis=1)
    ends = np.cumsum([len(loop) for loop in loops]).astype(np.uint32)
    faces = mapbox_earcut.triangulate_float64(flat, ends).reshape(-1, 3).astype(np.int64)
    turn = _signed_area(flat[faces])
    faces[turn < 0] = faces[turn < 0][:, [0, 2, 1]]
    areas = [abs(_polygon_area(part)) for part in np.split(flat, ends[:-1])]
    expected = areas[0] - sum(areas[1:])
    if expected <= 0 or abs(np.abs(turn).sum() - expected) > 1e-6 * areas[0]:
        raise ConfigError("holes overlap or leave the face: make them smaller or fewer")
    normals = np.broadcast_to(n, points.shape).copy()
    return Chart(vertices_mm=points, normals=normals, flat_mm=flat, faces=faces)


def sheet(grid: np.ndarray, normals: np.ndarray) -> Chart:
    """Return a plane or cylinder surface given on a grid.

    Args:
        grid: Shape (N, M, 3); the second axis is straight and square to the first.
        normals: Shape (N, M, 3); first axis cross second axis is outward.
    """
    n, m = grid.shape[:2]
    x = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(grid[:, 0], axis=0), axis=1))])
    y = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(grid[0], axis=0), axis=1))])
    flat = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    k = np.arange(n * m).reshape(n, m)
    a, b, c, d = k[:-1, :-1], k[1:, :-1], k[1:, 1:], k[:-1, 1:]
    faces = np.stack([a, b, c, a, c, d], axis=-1).reshape(-1, 3)
    return Chart(
        vertices_mm=grid.reshape(-1, 3),
        normals=normals.reshape(-1, 3),
        flat_mm=flat,
        faces=faces,
    )


def strip(
    lower: np.ndarray,
    upper: np.ndarray,
    lower_normals: np.ndarray,
    upper_normals: np.ndarray,
    *,
    max_length_mm: float = np.inf,
) -> list[Chart]:
    """Return the band between two polylines, unrolled triangle by triangle.

    Unrolling a band is exact whatever its shape (cylinder, cone, chamfer around a
    corner). A band that unrolls to an arc is cut where its pieces fill their
    rectangles best.

    Args:
        lower, upper: Shape (N, 3); walking along with `upper` on the left, the
            outside is toward the viewer. A closed band repeats its first point.
        lower_normals, upper_normals: Unit shading normals, shape (N, 3).
        max_length_mm: No piece is longer, so that the atlas stays compact.
    """
    low, up = _unroll(lower, upper)
    cuts = best_cuts(low, up, max_length_mm)
    charts = []
    for i, j in pairwise(cuts):
        part = slice(i, j + 1)
        flat = _along_x(low[part], up[part])
        n = j - i + 1
        a = np.arange(n - 1)
        faces = np.concatenate(
            [
                np.stack([a, a + 1, n + a + 1], axis=1),
                np.stack([a, n + a + 1, n + a], axis=1),
            ]
        )
        charts.append(
            Chart(
                vertices_mm=np.concatenate([lower[part], upper[part]]),
                normals=np.concatenate([lower_normals[part], upper_normals[part]]),
                flat_mm=np.stack([flat.real, flat.imag], axis=1),
                faces=faces,
            )
        )
    return charts


def wall(lower: np.ndarray, upper: np.ndarray, *, max_length_mm: float = np.inf) -> list[Chart]:
    """Return the closed band between two loops, cut at their sharp corners.

    Args:
        lower, upper: Shape (N, 3), matching points, not repeating the first; see `strip`.
    """
    n = len(lower)
    ahead = np.arange(1, n + 1) % n
    facet = np.cross(lower[ahead] - lower, upper[ahead] - lower)
    facet += np.cross(upper[ahead] - lower, upper - lower)
    facet /= np.linalg.norm(facet, axis=1, keepdims=True)
    before = np.roll(facet, 1, axis=0)
    sharp = np.einsum("ij,ij->i", before, facet) < np.cos(np.deg2rad(SHARP_DEG))
    smooth = before + facet
    smooth /= np.linalg.norm(smooth, axis=1, keepdims=True)
    corners = np.flatnonzero(sharp)
    starts = corners if len(corners) else np.array([0])
    charts: list[Chart] = []
    for s, e in pairwise(np.append(starts, starts[0] + n)):
        index = np.arange(s, e + 1) % n
        normals = smooth[index].copy()
        if len(corners):
            normals[0], normals[-1] = facet[s % n], facet[(e - 1) % n]
        charts += strip(lower[index], upper[index], normals, normals, max_length_mm=max_length_mm)
    return charts


def _unroll(lower: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lay the band flat, as complex numbers: triangles (l, u', u) and (l, l', u') in turn."""
    across = np.linalg.norm(upper - lower, axis=1)
    along_low = np.linalg.norm(np.diff(lower, axis=0), axis=1)
    along_up = np.linalg.norm(np.diff(upper, axis=0), axis=1)
    diagonal = np.linalg.norm(upper[1:] - lower[:-1], axis=1)
    # Each triangle turns and scales the side that it shares with the one before.
    to_diagonal = _third_corner(diagonal, along_up, across[:-1])
    to_low = _third_corner(along_low, across[1:], diagonal)
    side = 1j * across[0] * np.cumprod(np.append(1.0, (1 - to_low) * to_diagonal))
    low = np.append(0.0, np.cumsum(to_low * to_diagonal * side[:-1]))
    return low, low + side


def _third_corner(to_a: np.ndarray, to_b: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Return the corner on the right of triangles from 0 to 1, whose sides are given, as x + iy."""
    x = (to_a**2 - to_b**2 + base**2) / (2 * base)
    y = np.sqrt(np.maximum(to_a**2 - x**2, 0.0))
    return (x - 1j * y) / base


def best_cuts(low: np.ndarray, up: np.ndarray, max_length_mm: float) -> np.ndarray:
    """Return where to cut a band so that its pieces fill their rectangles best.

    Args:
        low, up: The band's borders laid flat as x + iy, shape (N,).
        max_length_mm: No piece is longer.

    Returns:
        Indices from 0 to N - 1, both included.
    """
    segments = len(low) - 1
    middle = (low + up) / 2
    steps = np.diff(middle)
    length = np.abs(steps).sum()
    turn = np.rad2deg(np.abs(np.angle(steps[1:] / steps[:-1])).sum()) if segments > 1 else 0.0
    fewest = max(1, int(np.ceil(length / max_length_mm)), int(np.ceil(turn / _MAX_PIECE_TURN_DEG)))
    fewest = min(fewest, segments)
    # A straight band fills its rectangle as it is.
    factors = (1, 2, 4, 8, 16) if turn > 1.0 else (1,)
    candidates = sorted({min(fewest * factor, segments) for factor in factors})
    best, best_cost = np.array([0, segments]), np.inf
    for count in candidates:
        cuts = np.round(np.linspace(0, segments, count + 1)).astype(int)
        cost = float((_extents(low, up, cuts) + _GUTTER_GUESS_MM).prod(axis=0).sum())
        if cost < best_cost:
            best, best_cost = cuts, cost
    return best


def _extents(low: np.ndarray, up: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Return the pieces' sizes along and across their chords, shape (2, len(cuts) - 1)."""
    first, last = cuts[:-1], cuts[1:]
    chord = (low + up)[last] - (low + up)[first]
    chord[np.abs(chord) < 1e-9] = 1.0
    # A cut belongs to the pieces on both sides.
    count = last - first + 1
    start = np.cumsum(count) - count
    at = np.arange(count.sum()) + np.repeat(first - start, count)
    turn = np.repeat(np.conj(chord) / np.abs(chord), count)
    laid = np.stack([low[at] * turn, up[at] * turn])
    sizes = []
    for part in (laid.real, laid.imag):
        top = np.maximum.reduceat(part.max(axis=0), start)
        sizes.append(top - np.minimum.reduceat(part.min(axis=0), start))
    return np.stack(sizes)


def _along_x(low: np.ndarray, up: np.ndarray) -> np.ndarray:
    chord = (low[-1] + up[-1]) - (low[0] + up[0])
    if abs(chord) < 1e-9:
        chord = 1.0 + 0j
    return np.concatenate([low, up]) * (np.conj(chord) / abs(chord))


def _signed_area(triangles: np.ndarray) -> np.ndarray:
    a, b = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    return (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / 2


def _polygon_area(points: np.ndarray) -> float:
    x, y = points[:, 0], points[:, 1]
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)
