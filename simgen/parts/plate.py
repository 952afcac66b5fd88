"""Flat plates with holes, and the gripper finger, which is a tapered one."""

import numpy as np

from simgen.errors import ConfigError
from simgen.parts.chart import Chart
from simgen.parts.extrude import extrude, rounded_rectangle


def plate(
    *,
    length: float,
    width: float,
    thickness: float,
    corner: float = 0.0,
    chamfer: float = 0.0,
    holes: float = 0.0,
    hole: float = 6.0,
    margin: float = 0.0,
) -> list[Chart]:
    """Return a rectangular plate around the origin, faces at z = -+ thickness / 2.

    Args:
        corner: Radius of the four corners, 0 for sharp ones.
        holes: Number of holes: one in the middle, two along x, more in two rows.
        hole: Their diameter.
        margin: From hole centre to plate edge; 0 means 1.5 hole diameters.
    """
    if corner > 0 and corner <= chamfer:
        raise ConfigError(f"corner {corner:g} must exceed chamfer {chamfer:g} (or be 0)")
    if 2 * corner >= min(length, width):
        raise ConfigError(f"corner {corner:g} must be below half of {min(length, width):g}")
    centres = hole_centres(length, width, round(holes), margin or 1.5 * hole)
    return extrude(
        rounded_rectangle(length, width, corner),
        bottom_mm=-thickness / 2,
        top_mm=thickness / 2,
        chamfer_mm=chamfer,
        hole_centres_mm=centres,
        hole_radius_mm=hole / 2,
    )


def hole_centres(
    length_mm: float, width_mm: float, count: int, margin_mm: float
) -> list[tuple[float, float]]:
    """Return `count` hole centres on a plate: the middle, a row of two, or two rows."""
    x, y = length_mm / 2 - margin_mm, width_mm / 2 - margin_mm
    if count == 0:
        return []
    if count == 1:
        return [(0.0, 0.0)]
    if x <= 0 or (y <= 0 and count > 2):
        raise ConfigError(
            f"margin {margin_mm:g} leaves no room for holes={count} on {length_mm:g} x {width_mm:g}"
        )
    if count == 2:
        return [(-x, 0.0), (x, 0.0)]
    row = [float(v) for v in np.linspace(-x, x, count // 2)]
    middle = [(0.0, 0.0)] if count % 2 else []
    if len(row) == 1:
        row = [-x]
        return [(-x, -y), (-x, y), (x, 0.0)]
    return [(v, -y) for v in row] + [(v, y) for v in row] + middle


def gripper_finger(
    *, length: float, width: float, thickness: float, chamfer: float = 0.8, tip: float = 0.5
) -> list[Chart]:
    """Return a finger along +x: a chamfered bar whose last third tapers to `tip` of its width.

    `tip` is a share of the width, not a length.
    """
    if tip > 1:
        raise ConfigError(f"tip {tip:g} is a share of the width and must be at most 1")
    x, y = length / 2, width / 2
    taper = x - length / 3
    end = y * max(tip, 0.05)
    outline = [(-x, -y), (taper, -y), (x, -end), (x, end), (taper, y), (-x, y)]
    if end == y:
        outline = [(-x, -y), (x, -y), (x, y), (-x, y)]
    return extrude(
        np.array(outline),
        bottom_mm=-thickness / 2,
        top_mm=thickness / 2,
        chamfer_mm=chamfer,
    )
