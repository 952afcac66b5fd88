"""Screw threads: a ridge that winds around a cylinder, with charts along it."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from simgen.errors import ConfigError
from simgen.parts.chart import Chart, strip
from simgen.parts.rings import turn_table

# ISO 68-1, in pitches: crest and root are flat, flanks lie at 60 degrees to each other.
CREST = 1 / 8
ROOT = 1 / 4
DEPTH = 5 / 8 * np.sqrt(3) / 2
_COARSE_MM = (3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 30, 36, 42, 48)
_COARSE_PITCH_MM = (0.5, 0.7, 0.8, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0)
# The ridge starts blunt, at this share of its height, and this many pitches from the circles.
_START = 0.08
_MARGIN = 0.12


def coarse_pitch(diameter_mm: float) -> float:
    """Return the pitch of the ISO coarse thread, in between sizes by interpolation."""
    return float(np.interp(diameter_mm, _COARSE_MM, _COARSE_PITCH_MM))


def thread(
    *,
    diameter_mm: float,
    pitch_mm: float,
    low_mm: float,
    high_mm: float,
    segments: int,
    inside: bool,
) -> list[Chart]:
    """Return a right-handed thread around z between two circles.

    The ridge rises from the cylinder within half a turn at either end: from the root's
    cylinder, or with `inside` from the major one toward the axis.

    Args:
        diameter_mm: Major diameter.
        pitch_mm: Axial distance of a turn.
        low_mm, high_mm: Heights of the circles, whose radius is that of `base_radius`.
        segments: Around a full turn.
        inside: A nut's thread rather than a bolt's.

    Raises:
        ConfigError: There is no room for two turns.
    """
    base = base_radius(diameter_mm, pitch_mm, inside=inside)
    height = DEPTH * pitch_mm * (-1 if inside else 1)
    n = segments
    room = high_mm - low_mm - 2 * _MARGIN * pitch_mm
    steps = int(room / pitch_mm * n)
    if steps < 2 * n:
        raise ConfigError(f"pitch {pitch_mm:g} leaves no room for two turns of thread")
    k = np.arange(steps + 1)
    grown = np.clip(np.minimum(k, steps - k) / (n / 2), _START, 1)
    middle = (low_mm + high_mm) / 2 + pitch_mm * (k - steps / 2) / n
    out = turn_table(n)[:-1][k % n]
    up = np.array([0, 0, 1.0])

    def line(radius: np.ndarray, half_width: float) -> np.ndarray:
        return radius[:, None] * out + (middle + half_width * pitch_mm * grown)[:, None] * up

    root, crest = np.full(steps + 1, base), base + height * grown
    foot, edge = (1 - ROOT) / 2, CREST / 2
    lines = [line(root, -foot), line(crest, -edge), line(crest, edge), line(root, foot)]
    longest = 2 * np.pi * base
    charts: list[Chart] = []
    for side, (below, above) in enumerate(pairwise(lines)):
        normals = out if side == 1 else _normals(below, above)
        charts += strip(below, above, normals, normals, max_length_mm=longest)
    # The groove between two turns.
    charts += strip(lines[3][:-n], lines[0][n:], out[n:], out[n:], max_length_mm=longest)
    low_circle = base * turn_table(n) + low_mm * up
    high_circle = base * turn_table(n)[(np.arange(n + 1) + steps) % n] + high_mm * up
    charts.append(_end_zone(low_circle, lines[0][: n + 1], lines[3][:1], out[: n + 1]))
    charts.append(
        _turned_over(
            _end_zone(
                _over(high_circle[::-1]),
                _over(lines[3][-n - 1 :][::-1]),
                _over(lines[0][-1:]),
                _over(out[-n - 1 :][::-1]),
            )  # fmt: skip
        )
    )
    for at, sign in ((0, -1.0), (-1, 1.0)):
        corners = np.stack([points[at] for points in lines])
        charts.append(_blunt(corners, sign * (-1 if inside else 1) * np.cross(up, out[at])))
    return [_inside_out(chart) for chart in charts] if inside else charts


def base_radius(diameter_mm: float, pitch_mm: float, *, inside: bool) -> float:
    """Return the radius of the cylinder that a thread's ridge stands on."""
    return diameter_mm / 2 - (0.0 if inside else DEPTH * pitch_mm)


def _normals(below: np.ndarray, above: np.ndarray) -> np.ndarray:
    normals = np.cross(np.gradient(below + above, axis=0), above - below)
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def _end_zone(circle: np.ndarray, line: np.ndarray, start: np.ndarray, out: np.ndarray) -> Chart:
    """Return the cylinder between a circle and the first turn's lower line above it.

    Args:
        circle, line: Shape (n + 1, 3); the circle ends where it began, the line a pitch higher.
        start: Upper corner of the ridge's blunt start, shape (1, 3).
        out: Unit vectors from the axis, shape (n + 1, 3).
    """
    n = len(circle) - 1
    points = np.concatenate([circle, line, line[:1], start])
    side = np.linalg.norm(circle[1] - circle[0]) * np.arange(n + 1)
    x = np.concatenate([side, side, side[-1:], side[-1:]])
    a = np.arange(n)
    quads = np.stack([a, a + 1, n + a + 2, n + a + 1], axis=1)[:-1]
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    # The last column's right side also holds both corners of the ridge's start.
    right = [n, 2 * n + 2, 2 * n + 3, 2 * n + 1, 2 * n]
    last = np.array([(n - 1, p, q) for p, q in pairwise(right)])
    return Chart(
        vertices_mm=points,
        normals=np.concatenate([out, out, out[-1:], out[-1:]]),
        flat_mm=np.stack([x, points[:, 2]], axis=1),
        faces=np.concatenate([faces, last]),
    )


def _blunt(corners: np.ndarray, normal: np.ndarray) -> Chart:
    """Return the flat end of a ridge, a quadrangle given from below upwards."""
    x = corners[1] - corners[0] - (corners[1, 2] - corners[0, 2]) * np.array([0, 0, 1.0])
    x /= np.linalg.norm(x)
    flat = corners @ np.stack([x, np.cross(normal, x)], axis=1)
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    if np.cross(corners[1] - corners[0], corners[2] - corners[0]) @ normal < 0:
        faces = faces[:, ::-1]
    return Chart(vertices_mm=corners, normals=np.tile(normal, (4, 1)), flat_mm=flat, faces=faces)


_HALF_TURN = np.array([1.0, -1.0, -1.0])


def _over(points: np.ndarray) -> np.ndarray:
    """Turn points by half a turn about x: the upper end becomes a lower one, still right-handed."""
    return points * _HALF_TURN


def _turned_over(chart: Chart) -> Chart:
    return replace(chart, vertices_mm=_over(chart.vertices_mm), normals=_over(chart.normals))


def _inside_out(chart: Chart) -> Chart:
    return replace(
        chart,
        normals=-chart.normals,
        flat_mm=chart.flat_mm * (-1, 1),
        faces=chart.faces[:, ::-1],
    )
