"""Surfaces of revolution in pieces: circles, flat rings, and bands of any profile."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from simgen.parts.chart import Chart, best_cuts, planar

_STRETCH = 0.004


def turn_table(segments: int) -> np.ndarray:
    """Return the unit vectors of a polygon around z, shape (segments + 1, 3), closed to the bit."""
    angle = np.append(2 * np.pi * np.arange(segments) / segments, 0.0)
    return np.stack([np.cos(angle), np.sin(angle), np.zeros(segments + 1)], axis=1)


def circle_at(radius_mm: float, z_mm: float, segments: int) -> np.ndarray:
    """Return a circle around z, counter-clockwise from +x, shape (segments, 3)."""
    return turn_table(segments)[:-1] * radius_mm + (0.0, 0.0, z_mm)


def flat_ring(
    outer: np.ndarray, inner: np.ndarray | None, *, up: bool, holes: Sequence[np.ndarray] = ()
) -> Chart:
    """Return a flat face square to z.

    Args:
        outer, inner: Its rims, counter-clockwise seen from +z, shape (N, 3); `inner` may be None.
        up: Whether it looks to +z.
        holes: Further rims, counter-clockwise seen from +z.
    """
    loops = [outer] + [rim[::-1] for rim in ([] if inner is None else [inner])]
    loops += [rim[::-1] for rim in holes]
    if not up:
        loops = [loop[::-1] for loop in loops]
    return planar(loops, (0, 0, 1 if up else -1), (1, 0, 0))


def turned(profile: ArrayLike, segments: int) -> list[Chart]:
    """Return the band that a smooth profile sweeps around z.

    A band that curves both ways cannot be laid flat; it is cut along its length until
    no piece is stretched by more than half a percent.

    Args:
        profile: (radius, z) points, shape (M, 2), mm; outer walls go up, inner walls down.
            Two points make a cone or cylinder.
        segments: Around a full turn.
    """
    p = np.asarray(profile, dtype=float)
    step = np.diff(p, axis=0)
    length = np.linalg.norm(step, axis=1)
    along = step / length[:, None]
    tangent = np.concatenate([along[:1], along[:-1] + along[1:], along[-1:]])
    if len(p) > 2:
        # A chord turns half its arc's angle short at either end.
        tangent[0] = _past(along[1], along[0])
        tangent[-1] = _past(along[-2], along[-1])
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    bend = np.arccos(np.clip((along[:-1] * along[1:]).sum(axis=1), -1, 1)).sum() / length.sum()
    wide = np.inf
    if bend > 1e-6:
        wide = 2 * np.sqrt(2 * _STRETCH * float(p[:, 0].min()) / bend)
    count = max(1, min(int(np.ceil(length.sum() / wide)), len(step)))
    rows = np.round(np.linspace(0, len(step), count + 1)).astype(int)
    around = turn_table(segments)
    charts: list[Chart] = []
    for i, j in pairwise(rows):
        charts += _band(p[i : j + 1], tangent[i : j + 1], around)
    return charts


def _past(before: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Return the direction half a step beyond `last`, as it came from `before`."""
    middle = before + last
    middle /= np.linalg.norm(middle)
    return 2 * (last @ middle) * last - middle


def _band(p: np.ndarray, tangent: np.ndarray, around: np.ndarray) -> list[Chart]:
    s = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(p, axis=0), axis=1)))
    middle = s[-1] / 2
    radius = float(np.interp(middle, s, p[:, 0]))
    widening = float((p[-1, 0] - p[0, 0]) / s[-1])
    n = len(around) - 1
    # Along chords, as the mesh has them.
    step = 2 * radius * np.sin(np.pi / n)
    x = step * np.arange(n + 1)
    if abs(widening) < 1e-6:
        flat = x[None] + 1j * (s - middle)[:, None]
    else:
        centre = radius / widening
        bearing = np.exp(-1j * x / centre)
        flat = 1j * ((centre + s - middle)[:, None] * bearing[None] - centre)
    grid = p[:, None, :1] * around + p[:, None, 1:] * np.array([0, 0, 1.0])
    normals = tangent[:, None, 1:] * around - tangent[:, None, :1] * np.array([0, 0, 1.0])
    charts = []
    for a, b in pairwise(best_cuts(flat[0], flat[-1], 2 * radius)):
        part = slice(a, b + 1)
        rows, columns = len(p), b - a + 1
        laid = flat[:, part]
        chord = laid[rows // 2, -1] - laid[rows // 2, 0]
        laid = (laid * np.conj(chord) / abs(chord)).reshape(-1)
        k = np.arange(rows * columns).reshape(rows, columns)
        lower, right, opposite, upper = k[:-1, :-1], k[:-1, 1:], k[1:, 1:], k[1:, :-1]
        faces = np.stack([lower, right, opposite, lower, opposite, upper], axis=-1)
        charts.append(
            Chart(
                vertices_mm=grid[:, part].reshape(-1, 3),
                normals=normals[:, part].reshape(-1, 3),
                flat_mm=np.stack([laid.real, laid.imag], axis=1),
                faces=faces.reshape(-1, 3),
            )
        )
    return charts
