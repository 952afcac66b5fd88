"""The arc tile: a segment of a cylinder shell, as the ferrite magnets of motors are."""

from dataclasses import dataclass, replace

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
    hollow_low: float = 0.0,
    hollow_high: float = 0.0,
    nick_low_left: float = 0.0,
    nick_low_right: float = 0.0,
    nick_high_left: float = 0.0,
    nick_high_right: float = 0.0,
    nick_length: float = 3.0,
    nick_inset: float = 0.0,
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
        hollow_low, hollow_high: How far the middle of the end at -y, +y stands back behind its
            corners.
        nick_low_left, nick_low_right, nick_high_left, nick_high_right: How far an end is worn
            back at its corners at -x and +x, smoothly, through the whole thickness.
        nick_length: How far along the end that reaches from where it is deepest.
        nick_inset: How far from the corner that is.
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
    ends = _Ends(
        width=width,
        length=length,
        low=(hollow_low, nick_low_left, nick_low_right),
        high=(hollow_high, nick_high_left, nick_high_right),
        nick_length=nick_length,
        nick_inset=nick_inset,
    )
    n = max(64, int(np.ceil(width / 0.5)))
    top, normals = _top_section(radius, width, bevel, bevel_flat, 0.0, n)
    end, _ = _top_section(radius, width, bevel, bevel_flat, end_chamfer, n)
    # Straight below the end's points, so that an end face is upright strips.
    x = end[:, 0]
    bottom = np.stack([x, np.sqrt(inner**2 - x**2) - radius], axis=1)
    if end[[0, -1], 1].min() <= bottom[0, 1]:
        raise ConfigError(f"thickness {thickness:g} leaves no side below the bevel {bevel:g}")

    y = np.linspace(-length / 2 + end_chamfer, length / 2 - end_chamfer, max(1, round(rows)) + 1)
    first = (len(top) - n - 1) // 2
    arc, arc_normals = top[first : first + n + 1], normals
    charts = [_across(arc, arc_normals, y, ends)]
    full_y = y if end_chamfer <= 0 else np.concatenate([[-length / 2], y, [length / 2]])
    inward = -(bottom + np.array([0.0, radius])) / inner
    charts.append(_across(bottom[::-1], inward[::-1], full_y, ends))
    if bevel > 0:
        for facet in (top[: first + 1], top[-first - 1 :]):
            charts.append(_across(facet, np.repeat(_left(facet), first + 1, axis=0), y, ends))
    for side in (-1, 1):
        charts += _side(side, top, end, bottom, y, end_chamfer, ends)
        charts += _end(side, end, bottom, ends)
        if end_chamfer > 0:
            charts += _end_chamfers(side, top, end, y, first, n, ends)
    return charts


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ends:
    """How the ends of a straight tile are hollowed and worn: all moves along y alone.

    Attributes:
        width, length: Of the tile.
        low, high: Of the end at -y and +y: hollow, nick at -x, nick at +x.
        nick_length, nick_inset: See `arc_tile`.
    """

    width: float
    length: float
    low: tuple[float, float, float]
    high: tuple[float, float, float]
    nick_length: float
    nick_inset: float

    def __post_init__(self) -> None:
        if self.nick_length <= 0 or self.nick_inset < 0 or min(*self.low, *self.high) < 0:
            raise ConfigError(
                f"nick_length {self.nick_length:g} must be above 0, nick_inset"
                f" {self.nick_inset:g} and hollow and nicks not below"
            )
        deepest = max(hollow + left + right for hollow, left, right in (self.low, self.high))
        if deepest > self.length / 8:
            raise ConfigError(
                f"hollow and nicks of {deepest:g} together are above an eighth of length"
                f" {self.length:g}"
            )

    def moved(self, points: np.ndarray) -> np.ndarray:
        """Return points of the straight tile, shape (..., 3), where they are on this one."""
        out = points.copy()
        out[..., 1] += points[..., 1] * self._stretch(points)
        return out

    def end_normals(self, points: np.ndarray, side: int) -> np.ndarray:
        """Return the unit normals of an end at points (N, 3) of the straight tile's."""
        step = 1e-4
        across = np.array([step, 0.0, 0.0])
        slope = points[:, 1] * (self._stretch(points + across) - self._stretch(points - across))
        normals = np.stack([-slope / (2 * step), np.ones(len(points)), 0 * slope], axis=1) * side
        return normals / np.linalg.norm(normals, axis=1, keepdims=True)

    def _stretch(self, points: np.ndarray) -> np.ndarray:
        x = points[..., 0]
        offsets = []
        for hollow, left, right in (self.low, self.high):
            offset = -hollow * (1 - (2 * x / self.width) ** 2)
            for depth, corner in ((left, x + self.width / 2), (right, self.width / 2 - x)):
                t = np.clip((corner - self.nick_inset) / self.nick_length, -1, 1)
                offset = offset - depth * (1 + np.cos(np.pi * t)) / 2
            offsets.append(offset)
        return np.where(points[..., 1] < 0, *offsets) / (self.length / 2)


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
    pieces = max(1, int(np.ceil(bevel / 0.5)))
    steps = np.linspace(0, (width / 2 - start[0]) / down[0], pieces + 1)[1:]
    facet = start + down * steps[:, None]
    facet[-1, 0] = width / 2
    return np.concatenate([facet[::-1] * (-1, 1), arc, facet]), normals


def _left(facet: np.ndarray) -> np.ndarray:
    """Return the unit (x, z) normal on the left of a straight section walked along +x."""
    d = facet[-1] - facet[0]
    return np.array([[-d[1], d[0]]]) / np.linalg.norm(d)


def _across(section: np.ndarray, normals: np.ndarray, y: np.ndarray, ends: _Ends) -> Chart:
    straight = sheet(
        _lift(section[:, None], y[None]), _lift(normals[:, None], np.zeros((1, len(y))))
    )
    points = ends.moved(straight.vertices_mm)
    # The section is the same along y: what moves along it stays flat, moved as far.
    flat = straight.flat_mm.copy()
    flat[:, 1] += points[:, 1] - straight.vertices_mm[:, 1]
    return replace(straight, vertices_mm=points, flat_mm=flat)


def _lift(xz: np.ndarray, y: np.ndarray) -> np.ndarray:
    xz = np.broadcast_to(xz, (*np.broadcast_shapes(xz.shape[:-1], y.shape), 2))
    return np.stack([xz[..., 0], np.broadcast_to(y, xz.shape[:-1]), xz[..., 1]], axis=-1)


def _side(
    side: int,
    top: np.ndarray,
    end: np.ndarray,
    bottom: np.ndarray,
    y: np.ndarray,
    chamfer: float,
    ends: _Ends,
) -> list[Chart]:
    k = 0 if side < 0 else -1
    upper = _lift(top[k], y)
    if chamfer > 0:
        tips = _lift(end[k], np.array([-ends.length / 2, ends.length / 2]))
        upper = np.concatenate([tips[:1], upper, tips[1:]])
    lower = _lift(bottom[k], upper[:, 1])
    if side < 0:
        lower, upper = lower[::-1], upper[::-1]
    normals = np.tile([float(side), 0.0, 0.0], (len(upper), 1))
    return strip(ends.moved(lower), ends.moved(upper), normals, normals)


def _end(side: int, end: np.ndarray, bottom: np.ndarray, ends: _Ends) -> list[Chart]:
    y = side * ends.length / 2
    lower = _lift(bottom, np.full(len(bottom), y))
    upper = _lift(end, np.full(len(end), y))
    if side > 0:
        lower, upper = lower[::-1], upper[::-1]
    normals = [ends.end_normals(line, side) for line in (lower, upper)]
    return strip(ends.moved(lower), ends.moved(upper), *normals)


def _end_chamfers(
    side: int, top: np.ndarray, end: np.ndarray, y: np.ndarray, first: int, n: int, ends: _Ends
) -> list[Chart]:
    near = ends.moved(_lift(top, np.full(len(top), y[0] if side < 0 else y[-1])))
    far = ends.moved(_lift(end, np.full(len(end), side * ends.length / 2)))
    lower, upper = (far, near) if side < 0 else (near, far)
    pieces = [slice(first, first + n + 1)]
    if first:
        pieces += [slice(0, first + 1), slice(first + n, 2 * first + n + 1)]
    charts: list[Chart] = []
    for piece in pieces:
        low, up = lower[piece], upper[piece]
        along = np.gradient(low, axis=0) if len(low) > 2 else np.repeat(low[1:] - low[:1], 2, 0)
        normals = np.cross(along, up - low)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        charts += strip(low, up, normals, normals)
    return charts
