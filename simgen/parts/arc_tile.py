"""The arc tile: a segment of a cylinder shell, as the ferrite magnets of motors are."""

import numpy as np

from simgen.errors import ConfigError
from simgen.parts.chart import Chart, sheet, strip


def arc_tile(
    *,
    radius: float,
    width: float,
    length: float,
    thickness: float,
    bevel: float = 1.0,
    bevel_flat: float = 0.0,
    end_chamfer: float = 0.3,
    rows: float = 12.0,
) -> list[Chart]:
    """Return an arc tile; the origin is the apex of the convex face's middle.

    The convex face looks to +z, the cylinder's axis is y, x runs across.

    Args:
        radius: Of the convex face; the concave face is concentric.
        width: Overall, across (a chord); the long sides are at x = -+ width / 2.
        length: Along y.
        bevel: Width of the flat facet along both long edges, about 45 degrees.
        bevel_flat: By how much of its slope the facet is flatter, 0 to 1: at 1 it looks to +z.
        end_chamfer: Chamfer where the convex face meets the ends; 0 for none.
        rows: Number of mesh rows along y.

    Raises:
        ConfigError: The dimensions contradict each other.
    """
    inner = radius - thickness
    if width / 2 >= 0.98 * inner:
        raise ConfigError(f"width {width:g} must stay below {1.96 * inner:g} for this radius")
    if not 0 <= bevel_flat <= 1:
        raise ConfigError(f"bevel_flat {bevel_flat:g} must be between 0 and 1")
    if 2 * end_chamfer >= length or bevel >= width / 4:
        raise ConfigError(f"bevel {bevel:g} or end_chamfer {end_chamfer:g} is too large")
    n = max(64, int(np.ceil(width / 0.5)))
    top, normals = _top_section(radius, width, bevel, bevel_flat, 0.0, n)
    end, _ = _top_section(radius, width, bevel, bevel_flat, end_chamfer, n)
    half = np.arcsin(width / 2 / inner)
    angle = np.linspace(-half, half, n + 1)
    bottom = np.stack([inner * np.sin(angle), inner * np.cos(angle) - radius], axis=1)
    bottom[[0, -1], 0] = -width / 2, width / 2
    if end[[0, -1], 1].min() <= bottom[0, 1]:
        raise ConfigError(f"thickness {thickness:g} leaves no side below the bevel {bevel:g}")

    y = np.linspace(-length / 2 + end_chamfer, length / 2 - end_chamfer, max(1, round(rows)) + 1)
    first = 1 if bevel > 0 else 0
    arc, arc_normals = top[first : first + n + 1], normals
    charts = [_across(arc, arc_normals, y)]
    full_y = y if end_chamfer <= 0 else np.concatenate([[-length / 2], y, [length / 2]])
    inward = np.stack([-np.sin(angle), -np.cos(angle)], axis=1)
    charts.append(_across(bottom[::-1], inward[::-1], full_y))
    if bevel > 0:
        for pair in (top[:2], top[-2:]):
            charts.append(_across(pair, np.repeat(_left(pair), 2, axis=0), y))
    for side in (-1, 1):
        charts += _side(side, top, end, bottom, y, length, end_chamfer)
        charts += _end(side, end, bottom, length / 2)
        if end_chamfer > 0:
            charts += _end_chamfers(side, top, end, y, length, first, n)
    return charts


def _top_section(
    radius: float, width: float, bevel: float, flat: float, inset: float, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the (x, z) points of convex arc and bevels from -x to +x, moved inward.

    Also the arc's normals. The bevel's slope is halfway between arc and side, less `flat` of it.
    """
    x = width / 2
    for _ in range(20):
        slope = (1 - flat) * (np.arcsin(x / radius) + np.pi / 2) / 2
        x = width / 2 - bevel * np.cos(slope)
    edge = np.array([x, np.sqrt(radius**2 - x**2) - radius])
    down = np.array([np.cos(slope), -np.sin(slope)])
    start, r = edge, radius - inset
    if inset > 0 and bevel > 0:
        # The moved bevel line meets the moved arc.
        point = edge - inset * np.array([np.sin(slope), np.cos(slope)]) + np.array([0, radius])
        along = point @ down
        t = -along - np.sqrt(along**2 - point @ point + r**2)
        alternative = -along + np.sqrt(along**2 - point @ point + r**2)
        t = t if abs(t) < abs(alternative) else alternative
        start = point + t * down - np.array([0, radius])
    half = np.arcsin((start[0] if bevel > 0 else width / 2) / r)
    angle = np.linspace(-half, half, n + 1)
    arc = np.stack([r * np.sin(angle), r * np.cos(angle) - radius], axis=1)
    normals = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    if bevel <= 0:
        arc[[0, -1], 0] = -width / 2, width / 2
        return arc, normals
    tip = start + down * (width / 2 - start[0]) / down[0]
    tip[0] = width / 2
    return np.concatenate([[tip * (-1, 1)], arc, [tip]]), normals


def _left(pair: np.ndarray) -> np.ndarray:
    """Return the unit (x, z) normal on the left of a section walked along +x."""
    d = pair[1] - pair[0]
    return np.array([[-d[1], d[0]]]) / np.linalg.norm(d)


def _across(section: np.ndarray, normals: np.ndarray, y: np.ndarray) -> Chart:
    return sheet(_lift(section[:, None], y[None]), _lift(normals[:, None], np.zeros((1, len(y)))))


def _lift(xz: np.ndarray, y: np.ndarray) -> np.ndarray:
    xz = np.broadcast_to(xz, (*np.broadcast_shapes(xz.shape[:-1], y.shape), 2))
    return np.stack([xz[..., 0], np.broadcast_to(y, xz.shape[:-1]), xz[..., 1]], axis=-1)


def _side(
    side: int,
    top: np.ndarray,
    end: np.ndarray,
    bottom: np.ndarray,
    y: np.ndarray,
    length: float,
    chamfer: float,
) -> list[Chart]:
    k = 0 if side < 0 else -1
    upper = _lift(top[k], y)
    if chamfer > 0:
        ends = _lift(end[k], np.array([-length / 2, length / 2]))
        upper = np.concatenate([ends[:1], upper, ends[1:]])
    lower = _lift(bottom[k], upper[:, 1])
    if side < 0:
        lower, upper = lower[::-1], upper[::-1]
    normals = np.tile([float(side), 0.0, 0.0], (len(upper), 1))
    return strip(lower, upper, normals, normals)


def _end(side: int, end: np.ndarray, bottom: np.ndarray, y: float) -> list[Chart]:
    """Return one end face: a band whose lower line repeats its first and last point."""
    extra = (len(end) - len(bottom)) // 2
    lower = _lift(bottom, np.full(len(bottom), side * y))
    upper = _lift(end, np.full(len(end), side * y))
    if side > 0:
        lower, upper = lower[::-1], upper[::-1]
    normal = np.array([0.0, float(side), 0.0])
    if extra:
        return [_end_with_bevels(lower, upper, normal)]
    normals = np.tile(normal, (len(lower), 1))
    return strip(lower, upper, normals, normals)


def _end_with_bevels(lower: np.ndarray, upper: np.ndarray, normal: np.ndarray) -> Chart:
    n = len(lower)
    points = np.concatenate([lower, upper])
    a = np.arange(n - 1)
    low, up = a, n + 1 + a
    faces = np.concatenate(
        [
            np.stack([low, low + 1, up + 1], axis=1),
            np.stack([low, up + 1, up], axis=1),
            [[0, n + 1, n], [n - 1, 2 * n + 1, 2 * n]],
        ]
    )
    x = lower[-1] - lower[0]
    x /= np.linalg.norm(x)
    flat = points @ np.stack([x, np.cross(normal, x)], axis=1)
    return Chart(
        vertices_mm=points,
        normals=np.tile(normal, (len(points), 1)),
        flat_mm=flat,
        faces=faces,
    )


def _end_chamfers(
    side: int, top: np.ndarray, end: np.ndarray, y: np.ndarray, length: float, first: int, n: int
) -> list[Chart]:
    near = _lift(top, np.full(len(top), y[0] if side < 0 else y[-1]))
    far = _lift(end, np.full(len(end), side * length / 2))
    lower, upper = (far, near) if side < 0 else (near, far)
    pieces = [slice(first, first + n + 1)]
    if first:
        pieces += [slice(0, 2), slice(n + 1, n + 3)]
    charts: list[Chart] = []
    for piece in pieces:
        low, up = lower[piece], upper[piece]
        along = np.gradient(low, axis=0) if len(low) > 2 else np.repeat(low[1:] - low[:1], 2, 0)
        normals = np.cross(along, up - low)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        charts += strip(low, up, normals, normals)
    return charts
