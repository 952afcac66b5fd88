"""Plates: a flat outline with holes, given a thickness and chamfered edges."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from simgen.errors import ConfigError
from simgen.parts.chart import Chart, arc_segments, planar, wall


def circle(x_mm: float, y_mm: float, radius_mm: float, *, clockwise: bool = False) -> np.ndarray:
    """Return a circle as a polygon, shape (N, 2), mm; holes run clockwise."""
    angle = 2 * np.pi * np.arange(arc_segments(radius_mm)) / arc_segments(radius_mm)
    if clockwise:
        angle = -angle
    return np.stack([x_mm + radius_mm * np.cos(angle), y_mm + radius_mm * np.sin(angle)], axis=1)


def rounded_rectangle(length_mm: float, width_mm: float, radius_mm: float) -> np.ndarray:
    """Return a rectangle around the origin, counter-clockwise, shape (N, 2), mm."""
    x, y = length_mm / 2, width_mm / 2
    if radius_mm <= 0:
        return np.array([(-x, -y), (x, -y), (x, y), (-x, y)])
    n = arc_segments(radius_mm) // 4
    points = []
    centres = [(x, -y, -90), (x, y, 0), (-x, y, 90), (-x, -y, 180)]
    for cx, cy, start in centres:
        angle = np.deg2rad(start) + np.pi / 2 * np.arange(n + 1) / n
        centre = np.array([cx - np.sign(cx) * radius_mm, cy - np.sign(cy) * radius_mm])
        points.append(centre + radius_mm * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    return np.concatenate(points)


def inset(loop: np.ndarray, distance_mm: float) -> np.ndarray:
    """Move a polygon's edges inward (to their left) by `distance_mm`, corners mitred."""
    edge = np.roll(loop, -1, axis=0) - loop
    edge /= np.linalg.norm(edge, axis=1, keepdims=True)
    left = np.stack([-edge[:, 1], edge[:, 0]], axis=1)
    before = np.roll(left, 1, axis=0)
    corner = (left + before) / (1 + np.einsum("ij,ij->i", left, before))[:, None]
    return loop + distance_mm * corner


def at_height(loop: np.ndarray, z_mm: float) -> np.ndarray:
    """Return a 2-D loop as 3-D points at height z."""
    return np.concatenate([loop, np.full((len(loop), 1), z_mm)], axis=1)


def edge_bands(
    loop: np.ndarray, bottom_mm: float, top_mm: float, chamfer_mm: float, max_length_mm: float
) -> tuple[list[Chart], np.ndarray, np.ndarray]:
    """Return the side of an outline or hole, and where its lower and upper rims lie.

    Args:
        loop: Shape (N, 2); the material is on the left, so holes run clockwise.

    Returns:
        The charts (chamfer, wall, chamfer), and the rims of the bottom and top
        faces, shape (N, 3) each.
    """
    if chamfer_mm <= 0:
        low, high = at_height(loop, bottom_mm), at_height(loop, top_mm)
        return wall(low, high, max_length_mm=max_length_mm), low, high
    small = inset(loop, chamfer_mm)
    levels = [
        at_height(small, bottom_mm),
        at_height(loop, bottom_mm + chamfer_mm),
        at_height(loop, top_mm - chamfer_mm),
        at_height(small, top_mm),
    ]
    charts: list[Chart] = []
    for low, high in pairwise(levels):
        charts += wall(low, high, max_length_mm=max_length_mm)
    return charts, levels[0], levels[-1]


def hole_bands(
    centres_mm: Sequence[tuple[float, float]],
    radius_mm: float,
    bottom_mm: float,
    top_mm: float,
    chamfer_mm: float,
) -> tuple[list[Chart], list[np.ndarray], list[np.ndarray]]:
    """Return the insides of equal round holes, and their rims in the bottom and top faces.

    The rims run clockwise seen from outside, as holes of the two faces.
    """
    if not centres_mm:
        return [], [], []
    loop = circle(0.0, 0.0, radius_mm, clockwise=True)
    one, low, high = edge_bands(loop, bottom_mm, top_mm, chamfer_mm, np.inf)
    shifts = [np.array([x, y, 0.0]) for x, y in centres_mm]
    charts = [replace(c, vertices_mm=c.vertices_mm + shift) for shift in shifts for c in one]
    return charts, [(low + shift)[::-1] for shift in shifts], [high + shift for shift in shifts]


def extrude(
    outline: np.ndarray,
    *,
    bottom_mm: float,
    top_mm: float,
    chamfer_mm: float = 0.0,
    hole_centres_mm: Sequence[tuple[float, float]] = (),
    hole_radius_mm: float = 0.0,
) -> list[Chart]:
    """Return a closed plate between two heights.

    Args:
        outline: Counter-clockwise, shape (N, 2), mm, without three points in a line.
        chamfer_mm: Width and height of the 45 degree chamfers; 0 for none.
        hole_centres_mm, hole_radius_mm: Round holes through the plate.

    Raises:
        ConfigError: The chamfers meet, or holes overlap or leave the outline.
    """
    if 2 * chamfer_mm >= top_mm - bottom_mm:
        raise ConfigError(
            f"chamfer {chamfer_mm:g} needs a thickness above {2 * chamfer_mm:g}, "
            f"not {top_mm - bottom_mm:g}"
        )
    longest = float(np.ptp(outline, axis=0).max())
    bands, low, high = edge_bands(outline, bottom_mm, top_mm, chamfer_mm, longest)
    inside, low_rims, high_rims = hole_bands(
        hole_centres_mm, hole_radius_mm, bottom_mm, top_mm, chamfer_mm
    )
    return [
        planar([high, *high_rims], (0, 0, 1), (1, 0, 0)),
        planar([low[::-1], *low_rims], (0, 0, -1), (1, 0, 0)),
        *bands,
        *inside,
    ]
