"""Convex pieces: how the physics sees a shape."""

import json
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise

import numpy as np
from scipy.spatial import ConvexHull

from simgen.parts.build import build_mesh, check_shape, size_keys
from simgen.scene.spec import ShapeSpec, to_json

_TOLERANCE_MM = 0.05
_ROUNDS = 12


def convex_pieces(shape: ShapeSpec) -> tuple[np.ndarray, ...]:
    """Return convex pieces that cover a shape, each the points of a hull, (N, 3) float64 mm.

    Bores and other holes are filled: nothing in a scene falls through them.

    Raises:
        ConfigError, AssetError: As `parts.build.build_mesh`.
    """
    check_shape(shape)
    return _pieces_cached(to_json(shape))


def centre_of_mass(shape: ShapeSpec) -> np.ndarray:
    """Return the part-local centre of mass of a solid of even density, shape (3,), mm."""
    check_shape(shape)
    return _centre_cached(to_json(shape))


@lru_cache(maxsize=64)
def _pieces_cached(text: str) -> tuple[np.ndarray, ...]:
    plain = json.loads(text)
    points = build_mesh(ShapeSpec(**plain)).vertices_mm.astype(np.float64)
    size = {k: v or 0.0 for k, v in size_keys(plain["kind"]).items()} | plain["size_mm"]
    split = _SPLITS.get(plain["kind"])
    groups = split(points, size) if split else [points]
    pieces = tuple(_hull_points(group) for group in groups)
    for piece in pieces:
        piece.flags.writeable = False
    return pieces


@lru_cache(maxsize=64)
def _centre_cached(text: str) -> np.ndarray:
    mesh = build_mesh(ShapeSpec(**json.loads(text)))
    a, b, c = (mesh.vertices_mm[mesh.faces[:, k]].astype(np.float64) for k in range(3))
    volumes = np.einsum("ij,ij->i", a, np.cross(b, c))
    centre = (volumes[:, None] * (a + b + c)).sum(axis=0) / (4 * volumes.sum())
    centre.flags.writeable = False
    return centre


def _hull_points(points: np.ndarray) -> np.ndarray:
    """Return corners of the hull such that no point sticks out by more than the tolerance.

    Quickhull in rounds, stopped early: a fine circle keeps about 40 of its points.
    """
    corners = points[np.sort(ConvexHull(points).vertices)]
    tolerance = max(_TOLERANCE_MM, 5e-4 * float(np.ptp(corners, axis=0).max()))
    diagonals = np.array([(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)])
    kept = np.unique((corners @ diagonals.T).argmax(axis=0))
    if len(kept) < 4:
        return corners
    for _ in range(_ROUNDS):
        planes = ConvexHull(corners[kept], qhull_options="QJ").equations
        outside = corners @ planes[:, :3].T + planes[:, 3]
        worst = outside.argmax(axis=0)
        new = np.unique(worst[outside.max(axis=0) > tolerance])
        if not len(np.setdiff1d(new, kept)):
            break
        kept = np.union1d(kept, new)
    return corners[kept]


def _flange(points: np.ndarray, size: dict[str, float]) -> list[np.ndarray]:
    foot = size["thickness"] - (size["thickness"] + size["hub_height"]) / 2
    reach = np.hypot(points[:, 0], points[:, 1])
    return [
        points[points[:, 2] <= foot + 1e-3],
        points[(points[:, 2] >= foot - 1e-3) & (reach <= size["hub_diameter"] / 2 + 1e-3)],
    ]


def _bracket(points: np.ndarray, size: dict[str, float]) -> list[np.ndarray]:
    x, z = points[:, 0] + size["leg_a"] / 2, points[:, 2] + size["leg_b"] / 2
    end, t = size["bend"] + size["thickness"] + 1e-3, size["thickness"] + 1e-3
    near_a, near_b = (z <= t) & (x >= end - 2e-3), (x <= t) & (z >= end - 2e-3)
    return [points[near_a], points[near_b], points[(x <= end) & (z <= end)]]


def _tray(points: np.ndarray, size: dict[str, float]) -> list[np.ndarray]:
    x, y = size["length"] / 2, size["width"] / 2
    wall, top = size["wall"], size["height"]
    boxes = [((-x, -y, 0.0), (x, y, size["floor"]))]
    for side in (-1, 1):
        boxes.append(((side * x, -y, 0.0), (side * (x - wall), y, top)))
        boxes.append(((-x, side * y, 0.0), (x, side * (y - wall), top)))
    pairs = [np.array(b) for b in boxes]
    pick = np.array([(i, j, k) for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    return [np.stack([pair[pick[:, d], d] for d in range(3)], axis=1) for pair in pairs]


def _screwdriver(points: np.ndarray, size: dict[str, float]) -> list[np.ndarray]:
    foot = size["length"] * (size["handle_share"] - 0.5)
    shaft = (size["shaft_diameter"] or size["handle_diameter"] / 4) / 2
    reach = np.hypot(points[:, 1], points[:, 2])
    return [
        points[points[:, 0] <= foot + 1e-3],
        points[(points[:, 0] >= foot - 1e-3) & (reach <= shaft + 1e-3)],
    ]


def _cable(points: np.ndarray, size: dict[str, float]) -> list[np.ndarray]:
    bend, half = size["bend"], size["length"] / size["bend"] / 2
    turn = np.arctan2(points[:, 0], bend - points[:, 1])
    count = max(1, int(np.ceil(2 * half / 0.25)))
    rings = np.unique(turn.round(6))
    limits = np.linspace(-half, half, count + 1)
    limits = rings[np.abs(rings[None] - limits[:, None]).argmin(axis=1)]
    return [points[(turn >= a - 1e-5) & (turn <= b + 1e-5)] for a, b in pairwise(limits)]


_SPLITS: dict[str, Callable[[np.ndarray, dict[str, float]], list[np.ndarray]]] = {
    "bracket": _bracket,
    "cable": _cable,
    "flange": _flange,
    "screwdriver": _screwdriver,
    "tray": _tray,
}
