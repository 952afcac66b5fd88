"""What surrounds the parts: bench, tray, boxes and cables."""

from dataclasses import replace

import numpy as np

from simgen.errors import ConfigError
from simgen.parts.chart import Chart, arc_segments, planar
from simgen.parts.extrude import edge_bands, extrude, rounded_rectangle

_HIDDEN_DETAIL = 1 / 8


def box(*, length: float, width: float, height: float, chamfer: float = 0.0) -> list[Chart]:
    """Return a box around the origin: length along x, width along y."""
    return extrude(
        rounded_rectangle(length, width, 0.0),
        bottom_mm=-height / 2,
        top_mm=height / 2,
        chamfer_mm=chamfer,
    )


def bench(*, length: float, width: float, thickness: float) -> list[Chart]:
    """Return a slab whose top face's centre is the origin; sides and bottom have coarse texels."""
    charts = extrude(rounded_rectangle(length, width, 0.0), bottom_mm=-thickness, top_mm=0.0)
    return [c if c.normals[0, 2] > 0.5 else replace(c, detail=_HIDDEN_DETAIL) for c in charts]


def tray(
    *,
    length: float,
    width: float,
    height: float,
    wall: float = 2.0,
    floor: float = 2.0,
    corner: float = 0.0,
) -> list[Chart]:
    """Return an open box; the origin is the centre of its underside.

    Args:
        length, width, height: Outer dimensions.
        wall, floor: Their thickness.
        corner: Inner radius of the four upright corners, 0 for sharp ones.

    Raises:
        ConfigError: Walls or floor leave no room inside.
    """
    inside = (length - 2 * wall, width - 2 * wall)
    if min(inside) <= 2 * corner or min(wall, floor) <= 0 or floor >= height:
        raise ConfigError(f"wall {wall:g}, floor {floor:g} or corner {corner:g} does not fit")
    outer = rounded_rectangle(length, width, corner + wall if corner > 0 else 0.0)
    inner = rounded_rectangle(*inside, corner)[::-1]
    longest = max(length, width)
    out_bands, out_low, out_high = edge_bands(outer, 0.0, height, 0.0, longest)
    in_bands, in_low, in_high = edge_bands(inner, floor, height, 0.0, longest)
    hidden = [planar([out_low[::-1]], (0, 0, -1), (1, 0, 0))]
    return [
        planar([in_low[::-1]], (0, 0, 1), (1, 0, 0)),
        *in_bands,
        planar([out_high, in_high], (0, 0, 1), (1, 0, 0)),
        *out_bands,
        *(replace(c, detail=_HIDDEN_DETAIL) for c in hidden),
    ]


def cable(*, length: float, radius: float, bend: float) -> list[Chart]:
    """Return a round cable that runs along x and bends toward +y in the plane z = 0.

    Args:
        length: Along the middle line, whose middle point is the origin.
        radius: Of the cable.
        bend: Radius of the middle line.

    Raises:
        ConfigError: The bend is too tight, or the cable would meet itself.
    """
    if bend < 2 * radius:
        raise ConfigError(f"bend {bend:g} must be at least twice the radius {radius:g}")
    if length > 1.8 * np.pi * bend:
        raise ConfigError(f"length {length:g} must stay below {1.8 * np.pi * bend:g} (1.8 pi bend)")
    along = max(8, int(np.ceil(arc_segments(bend + radius) * length / (2 * np.pi * bend))))
    around = arc_segments(radius)
    turn = (np.linspace(0, 1, along + 1) - 0.5) * length / bend
    out = np.stack([np.sin(turn), -np.cos(turn), np.zeros(along + 1)], axis=1)
    middle = bend * out + (0, bend, 0)
    roll = np.append(2 * np.pi * np.arange(around) / around, 0.0)
    normals = (
        out[:, None] * np.cos(roll)[None, :, None]
        + np.array([0, 0, 1.0]) * np.sin(roll)[None, :, None]
    )
    grid = middle[:, None] + radius * normals
    x = bend * turn
    y = 2 * radius * np.sin(np.pi / around) * np.arange(around + 1)
    flat = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    k = np.arange(flat.shape[0]).reshape(along + 1, around + 1)
    a, b, c, d = k[:-1, :-1], k[1:, :-1], k[1:, 1:], k[:-1, 1:]
    faces = np.stack([a, b, c, a, c, d], axis=-1).reshape(-1, 3)
    tube = Chart(
        vertices_mm=grid.reshape(-1, 3), normals=normals.reshape(-1, 3), flat_mm=flat, faces=faces
    )
    ends = []
    for row, sign in ((0, -1), (-1, 1)):
        loop = grid[row, :-1]
        direction = sign * np.cross([0, 0, 1.0], out[row])
        ends.append(planar([loop[::sign]], direction, (0, 0, 1)))
    return [tube, *ends]
