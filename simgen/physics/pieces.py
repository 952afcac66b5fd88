"""Convex pieces: how the physics sees a shape."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from importlib.metadata import version
from itertools import pairwise

import numpy as np
from scipy.spatial import ConvexHull

from simgen.config import parse
from simgen.parts.build import build_mesh, check_shape, size_keys
from simgen.parts.cache import cached_arrays
from simgen.parts.gear import recess_radii, tooth_profile
from simgen.physics.decompose import convex_parts
from simgen.scene.spec import ShapeSpec, to_json

_TOLERANCE_MM = 0.05
_ROUNDS = 12
# Raise it with every change to `decompose`.
_DECOMPOSE_VERSION = 1


def convex_pieces(shape: ShapeSpec) -> tuple[np.ndarray, ...]:
    """Return convex pieces that cover a shape, each the points of a hull, (N, 3) float64 mm.

    Bores and other holes are filled, except those of bearing rings: nothing in a scene
    falls through them.

    Raises:
        ConfigError, AssetError: As `parts.build.build_mesh`.
    """
    check_shape(shape)
    return _pieces_cached(to_json(shape))


def centre_of_mass(shape: ShapeSpec) -> np.ndarray:
    """Return the part-local centre of mass of a solid of even density, shape (3,), mm."""
    check_shape(shape)
    return _centre_cached(to_json(shape))


@lru_cache(maxsize=256)
def _pieces_cached(text: str) -> tuple[np.ndarray, ...]:
    plain = json.loads(text)
    shape = parse(ShapeSpec, plain)
    points = build_mesh(shape).vertices_mm.astype(np.float64)
    if shape.file is not None:
        return _file_pieces(shape, points)
    size = {k: v or 0.0 for k, v in size_keys(plain["kind"]).items()} | plain["size_mm"]
    split = _SPLITS.get(plain["kind"])
    groups = split(points, size) if split else [points]
    pieces = tuple(_hull_points(group) for group in groups)
    for piece in pieces:
        piece.flags.writeable = False
    return pieces


@lru_cache(maxsize=256)
def _centre_cached(text: str) -> np.ndarray:
    mesh = build_mesh(parse(ShapeSpec, json.loads(text)))
    a, b, c = (mesh.vertices_mm[mesh.faces[:, k]].astype(np.float64) for k in range(3))
    volumes = np.einsum("ij,ij->i", a, np.cross(b, c))
    centre = (volumes[:, None] * (a + b + c)).sum(axis=0) / (4 * volumes.sum())
    centre.flags.writeable = False
    return centre


def _file_pieces(shape: ShapeSpec, points: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the pieces of a user's part, kept on disk: finding them takes seconds."""
    assert shape.file is not None
    faces = build_mesh(shape).faces
    key = [to_json(replace(shape.file, path="")), _DECOMPOSE_VERSION, version("manifold3d")]
    held = cached_arrays(
        "pieces", key, lambda: {f"{k:03d}": p for k, p in enumerate(convex_parts(points, faces))}
    )
    pieces = tuple(_hull_points(held[name]) for name in sorted(held))
    for piece in pieces:
        piece.flags.writeable = False
    return pieces


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


def _gear(points: np.ndarray, size: dict[str, float]) -> list[np.ndarray]:
    if size["recess"] <= 0:
        return [points]
    profile = tooth_profile(size["module"], round(size["teeth"]))
    outer, inner = recess_radii(profile, size["bore"], size["rim"], size["hub_diameter"])
    floor = size["width"] / 2 - size["recess"]
    reach = np.hypot(points[:, 0], points[:, 1])
    web = (np.abs(points[:, 2]) <= floor + 1e-3) & (reach <= outer + 1e-3)
    hub = points[reach <= inner + 1e-3]
    return [points[web], hub, *_sectors(points[reach >= outer - 1e-3], size)]


def _hex_bolt(points: np.ndarray, size: dict[str, float]) -> list[np.ndarray]:
    head = size["head_height"] or 0.64 * size["diameter"]
    under = (size["length"] - head) / 2
    reach = np.hypot(points[:, 0], points[:, 1])
    shank = (points[:, 2] <= under + 1e-3) & (reach <= 0.6 * size["diameter"])
    return [points[points[:, 2] >= under - 1e-3], points[shank]]


def _sectors(points: np.ndarray, size: dict[str, float]) -> list[np.ndarray]:
    """Return the eighths of a ring, so that its bore stays open: others may lie in it."""
    turn = np.arctan2(points[:, 1], points[:, 0])
    middles = np.arange(8) * np.pi / 4 + np.pi / 8
    away = np.abs((turn[None] - middles[:, None] + np.pi) % (2 * np.pi) - np.pi)
    return [points[near] for near in away <= np.pi / 8 + 1e-4]


_SPLITS: dict[str, Callable[[np.ndarray, dict[str, float]], list[np.ndarray]]] = {
    "bearing_inner_ring": _sectors,
    "bearing_outer_ring": _sectors,
    "bracket": _bracket,
    "cable": _cable,
    "flange": _flange,
    "gear": _gear,
    "hex_bolt": _hex_bolt,
    "screwdriver": _screwdriver,
    "tray": _tray,
}
