"""Rings of a deep-groove ball bearing, each with its raceway."""

import numpy as np

from simgen.errors import ConfigError
from simgen.parts.chart import Chart, arc_segments
from simgen.parts.rings import circle_at, flat_ring, turned


def bearing_outer_ring(
    *,
    diameter: float,
    width: float,
    wall: float,
    groove_radius: float,
    groove_depth: float,
    chamfer: float = 0.6,
    lip: float = 0.2,
) -> list[Chart]:
    """Return an outer ring around z, the raceway in its bore.

    Args:
        diameter: Outer.
        width: Along z.
        wall: Radial thickness beside the raceway.
        groove_radius: Of the raceway's section, half a ball's diameter and a little more.
        groove_depth: Below the shoulders.
        chamfer: Radius of the rounded corners on the outside.
        lip: Chamfer of the shoulders' corners.

    Raises:
        ConfigError: The dimensions contradict each other.
    """
    r = diameter / 2
    return _ring(r - wall, r, width, wall, groove_radius, groove_depth, chamfer, lip, inside=True)


def bearing_inner_ring(
    *,
    bore: float,
    width: float,
    wall: float,
    groove_radius: float,
    groove_depth: float,
    chamfer: float = 0.6,
    lip: float = 0.2,
) -> list[Chart]:
    """Return an inner ring around z, the raceway on its outside.

    Args:
        bore: Its diameter.
        width, wall, groove_radius, groove_depth, lip: See `bearing_outer_ring`.
        chamfer: Radius of the rounded corners in the bore.

    Raises:
        ConfigError: The dimensions contradict each other.
    """
    r = bore / 2
    return _ring(r, r + wall, width, wall, groove_radius, groove_depth, chamfer, lip, inside=False)


def _ring(
    inner: float,
    outer: float,
    width: float,
    wall: float,
    groove_radius: float,
    groove_depth: float,
    chamfer: float,
    lip: float,
    *,
    inside: bool,
) -> list[Chart]:
    if inner <= 0.1 * outer:
        raise ConfigError(f"wall {wall:g} leaves no bore")
    if groove_depth >= groove_radius or groove_depth >= 0.8 * wall:
        raise ConfigError(
            f"groove_depth {groove_depth:g} must stay below groove_radius {groove_radius:g} "
            f"and 0.8 wall ({0.8 * wall:g})"
        )
    half_groove = float(np.sqrt(groove_radius**2 - (groove_radius - groove_depth) ** 2))
    if half_groove + lip >= 0.98 * width / 2:
        raise ConfigError(
            f"a groove of width {2 * half_groove:.3g} does not fit into width {width:g}"
        )
    if chamfer + lip >= 0.9 * wall or 2 * chamfer >= width:
        raise ConfigError(f"chamfer {chamfer:g} is too large for wall {wall:g} or width {width:g}")
    if min(chamfer, lip) <= 0:
        raise ConfigError("chamfer and lip must be above 0")
    z, n = width / 2, arc_segments(outer)
    # The raceway's side of the ring, where `away` points out of the material.
    shoulder, plain = (inner, outer) if inside else (outer, inner)
    away = -1 if inside else 1
    half_angle = np.arcsin(half_groove / groove_radius)
    steps = max(8, int(np.ceil(half_angle / np.arccos(1 - 0.005 / groove_radius))))
    angle = np.linspace(-half_angle, half_angle, steps + 1)
    raceway = np.stack(
        [
            shoulder + away * (groove_radius - groove_depth - groove_radius * np.cos(angle)),
            groove_radius * np.sin(angle),
        ],
        axis=1,
    )
    raceway[[0, -1], 0] = shoulder
    corner = np.linspace(0, np.pi / 2, 5)
    bend = np.stack([1 - np.sin(corner), 1 - np.cos(corner)], axis=1) * chamfer
    # From the raceway's side over the upper face to the plain side, then mirrored below.
    edge = shoulder - away * lip
    rounded = np.stack([plain + away * bend[:, 0], z - bend[:, 1]], axis=1)
    above = [
        raceway[[-1]],
        np.array([[shoulder, z - lip]]),
        np.array([[edge, z]]),
        rounded,
    ]
    flip = np.array([1.0, -1.0])
    walls = [
        raceway,
        np.concatenate([above[0], above[1]]),
        np.concatenate([above[1], above[2]]),
        rounded,
        np.stack([rounded[-1], rounded[-1] * flip]),
        (rounded * flip)[::-1],
        np.concatenate([above[2] * flip, above[1] * flip]),
        np.concatenate([above[1] * flip, above[0] * flip]),
    ]
    charts: list[Chart] = []
    for profile in walls:
        # `turned` has the outside on the right of a profile.
        charts += turned(profile if not inside else profile[::-1], n)
    rims = sorted((edge, float(rounded[0, 0])))
    for height, up in ((z, True), (-z, False)):
        charts.append(
            flat_ring(circle_at(rims[1], height, n), circle_at(rims[0], height, n), up=up)
        )
    return charts
