"""The bracket: sheet metal bent to an L, with holes in both legs."""

import numpy as np

from simgen.errors import ConfigError
from simgen.parts.chart import Chart, arc_segments, planar, sheet, strip, wall
from simgen.parts.extrude import at_height, hole_bands
from simgen.parts.plate import hole_centres


def bracket(
    *,
    leg_a: float,
    leg_b: float,
    width: float,
    thickness: float,
    bend: float = 2.0,
    holes: float = 2.0,
    hole: float = 6.0,
) -> list[Chart]:
    """Return an L of sheet metal; leg A lies along x, leg B stands along z, width is y.

    The outer faces look to -z and -x; the origin is the centre of the bounding box.

    Args:
        leg_a, leg_b: Outer lengths.
        bend: Inner radius of the bend.
        holes: Holes in each leg, in a row across the width (at most 2).
        hole: Their diameter.

    Raises:
        ConfigError: The legs are shorter than the bend, or holes do not fit.
    """
    if bend <= 0:
        raise ConfigError(f"bend {bend:g} must be above 0")
    outer = bend + thickness
    if min(leg_a, leg_b) <= outer:
        raise ConfigError(f"legs must be longer than bend + thickness = {outer:g}")
    if round(holes) > 2:
        raise ConfigError(f"holes {holes:g} must be at most 2 in each leg")
    charts = _leg(leg_a, outer, width, thickness, round(holes), hole)
    up = np.array([[0.0, 0.0, 1.0], [0.0, -1.0, 0.0], [1.0, 0.0, 0.0]])
    charts += [c.moved(up) for c in _leg(leg_b, outer, width, thickness, round(holes), hole)]
    charts += _bend(bend, outer, width)
    return [c.moved(np.eye(3), (-leg_a / 2, 0.0, -leg_b / 2)) for c in charts]


def _leg(
    length: float, start: float, width: float, thickness: float, holes: int, hole: float
) -> list[Chart]:
    """Return a leg along x from `start` to `length`, without the side at `start`."""
    y = width / 2
    loop = np.array([(length, -y), (length, y), (start, y), (start, -y)])
    centres = hole_centres(width, length - start, holes, 1.5 * hole)
    middle = (start + length) / 2
    longest = max(length, width)
    sides = wall(at_height(loop, 0.0), at_height(loop, thickness), max_length_mm=longest)
    charts = [side for side in sides if side.normals[0, 0] > -0.5]
    inside, low_rims, high_rims = hole_bands(
        [(middle + b, a) for a, b in centres], hole / 2, 0.0, thickness, 0.0
    )
    top = planar([at_height(loop, thickness), *high_rims], (0, 0, 1), (1, 0, 0))
    bottom = planar([at_height(loop, 0.0)[::-1], *low_rims], (0, 0, -1), (1, 0, 0))
    return [*charts, *inside, top, bottom]


def _bend(inner: float, outer: float, width: float) -> list[Chart]:
    n = max(12, arc_segments(outer) // 4)
    angle = np.linspace(-np.pi / 2, -np.pi, n + 1)  # from leg A to leg B
    ray = np.stack([np.cos(angle), np.zeros(n + 1), np.sin(angle)], axis=1)
    centre = np.array([outer, 0.0, outer])
    sides = np.array([[0, -width / 2, 0], [0, width / 2, 0]])
    out = (centre + outer * ray)[:, None] + sides[None]
    into = (centre + inner * ray)[:, None] + sides[None]
    normals = np.repeat(ray[:, None], 2, axis=1)
    charts = [sheet(out, normals), sheet(into[::-1], -normals[::-1])]
    across = np.tile([0.0, 1.0, 0.0], (n + 1, 1))
    charts += strip(out[::-1, 0], into[::-1, 0], -across, -across)
    charts += strip(out[:, 1], into[:, 1], across, across)
    return charts
