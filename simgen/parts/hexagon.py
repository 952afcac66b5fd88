"""Hexagon bolts and nuts, with real threads."""

import numpy as np

from simgen.errors import ConfigError
from simgen.parts.chart import Chart, arc_segments, planar, strip
from simgen.parts.rings import circle_at, flat_ring, turned
from simgen.parts.thread import DEPTH, base_radius, coarse_pitch, thread

_SLOPE = np.tan(np.deg2rad(30))
_FLAT_SHARE = 0.95


def hex_bolt(
    *,
    diameter: float,
    length: float,
    thread_length: float = 0.0,
    pitch: float = 0.0,
    across_flats: float = 0.0,
    head_height: float = 0.0,
    washer: float = 0.4,
    chamfer: float = 0.0,
) -> list[Chart]:
    """Return a hexagon bolt along z, its head up; the origin is the middle of its height.

    Args:
        diameter: Of the thread, nominal.
        length: Below the head.
        thread_length: From the tip; 0 means all but a run-out below the head.
        pitch: Of the thread; 0 means ISO coarse.
        across_flats: Of the head; 0 means 1.5 diameters + 1 mm.
        head_height: 0 means 0.64 diameters.
        washer: Height of the washer face, part of the head; 0 for none.
        chamfer: Of the tip; 0 means half the thread's depth.

    Raises:
        ConfigError: The dimensions contradict each other.
    """
    p = pitch or coarse_pitch(diameter)
    flats, head = across_flats or 1.5 * diameter + 1, head_height or 0.64 * diameter
    r, base = diameter / 2, base_radius(diameter, p, inside=False)
    c = chamfer or 0.5 * DEPTH * p
    if base < 0.25 * diameter:
        raise ConfigError(f"pitch {p:g} is too coarse for diameter {diameter:g}")
    _check_flats(flats, 1.15 * diameter, f"1.15 diameter {diameter:g}")
    if washer >= 0.5 * head:
        raise ConfigError(f"washer {washer:g} must stay below half of head_height {head:g}")
    if c >= 0.6 * base:
        raise ConfigError(f"chamfer {c:g} is too large for diameter {diameter:g}")
    n = _around(r)
    runout, round_mm = DEPTH * p, 0.06 * diameter
    longest = length - runout - round_mm - 0.1 * diameter
    threaded = min(thread_length or longest, longest)
    tip = -(length + head) / 2
    high = tip + threaded
    neck = tip + length - round_mm
    charts = [flat_ring(circle_at(base - c, tip, n), None, up=False)]
    charts += turned([(base - c, tip), (base, tip + c)], n)
    charts += thread(
        diameter_mm=diameter, pitch_mm=p, low_mm=tip + c, high_mm=high, segments=n, inside=False
    )
    charts += turned([(base, high), (r, high + runout)], n)
    charts += turned([(r, high + runout), (r, neck)], n)
    bend = np.linspace(0, np.pi / 2, 6)
    fillet = np.stack([1 - np.cos(bend), np.sin(bend)], axis=1) * round_mm + (r, neck)
    charts += turned(fillet, n)
    under = tip + length
    foot = circle_at(fillet[-1, 0], under, n)
    if washer > 0:
        wide = _FLAT_SHARE * flats / 2
        charts.append(flat_ring(circle_at(wide, under, n), foot, up=False))
        charts += turned([(wide, under), (wide, under + washer)], n)
        foot, under = circle_at(wide, under + washer, n), under + washer
    return charts + _hexagon(flats, under, tip + length + head, low=foot, high=None, n=n)


def hex_nut(
    *,
    diameter: float,
    pitch: float = 0.0,
    across_flats: float = 0.0,
    height: float = 0.0,
) -> list[Chart]:
    """Return a hexagon nut around the origin, its thread along z, both faces chamfered.

    Args:
        diameter: Of the thread, nominal.
        pitch: Of the thread; 0 means ISO coarse.
        across_flats: 0 means 1.5 diameters + 1 mm.
        height: 0 means 0.85 diameters.

    Raises:
        ConfigError: The dimensions contradict each other.
    """
    p = pitch or coarse_pitch(diameter)
    flats, tall = across_flats or 1.5 * diameter + 1, height or 0.85 * diameter
    r = diameter / 2
    sunk = 0.06 * diameter
    _check_flats(_FLAT_SHARE * flats, 2.2 * (r + sunk), f"what the thread {diameter:g} needs")
    if r - DEPTH * p < 0.25 * diameter:
        raise ConfigError(f"pitch {p:g} is too coarse for diameter {diameter:g}")
    n = _around(r)
    z = tall / 2
    low, high = circle_at(r + sunk, -z, n), circle_at(r + sunk, z, n)
    charts = turned([(r, sunk - z), (r + sunk, -z)], n)
    charts += turned([(r + sunk, z), (r, z - sunk)], n)
    charts += thread(
        diameter_mm=diameter, pitch_mm=p, low_mm=sunk - z, high_mm=z - sunk, segments=n, inside=True
    )
    return charts + _hexagon(flats, -z, z, low=low, high=high, n=n, chamfer_low=True)


def _around(radius: float) -> int:
    """Return the points of a full turn: the corners of a hexagon are among them."""
    return 24 * max(1, round(arc_segments(radius) / 24))


def _check_flats(flats: float, least: float, what: str) -> None:
    if flats <= least:
        raise ConfigError(f"across_flats {flats:g} must exceed {least:g}, {what}")


def _hexagon(
    flats: float,
    low_mm: float,
    high_mm: float,
    *,
    low: np.ndarray,
    high: np.ndarray | None,
    n: int,
    chamfer_low: bool = False,
) -> list[Chart]:
    """Return a hexagonal prism with corners on x, chamfered by a cone of 30 degrees.

    Args:
        low, high: Rims of what goes through its lower and upper face; None for nothing.
        n: Points around, a multiple of 24.
        chamfer_low: Whether the lower face is chamfered too; otherwise it is a plain hexagon.
    """
    side = n // 6
    angle = 2 * np.pi * np.arange(n) / n
    reach = flats / 2 / np.cos(angle % (np.pi / 3) - np.pi / 6)
    # The corner belongs to both sides; rounding must not tell which it is on.
    reach[::side] = flats / np.sqrt(3)
    inner = _FLAT_SHARE * flats / 2
    unit = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    drop = (reach - inner) * _SLOPE
    if (2 if chamfer_low else 1) * drop.max() >= 0.8 * (high_mm - low_mm):
        raise ConfigError(
            f"across_flats {flats:g} is too large for a height of {high_mm - low_mm:g}"
        )

    def rim(z: np.ndarray | float) -> np.ndarray:
        return np.concatenate([reach[:, None] * unit, np.broadcast_to(z, n)[:, None]], axis=1)

    upper = rim(high_mm - drop)
    lower = rim(low_mm + drop) if chamfer_low else rim(low_mm)[::side]
    charts = [flat_ring(circle_at(inner, high_mm, n), high, up=True)]
    charts += _cone(upper, circle_at(inner, high_mm, n))
    if chamfer_low:
        charts.append(flat_ring(circle_at(inner, low_mm, n), low, up=False))
        charts += _cone(circle_at(inner, low_mm, n), lower)
    else:
        charts.append(flat_ring(lower, low, up=False))
    step = side if chamfer_low else 1
    for k in range(6):
        top = upper[np.arange(k * side, (k + 1) * side + 1) % n]
        bottom = lower[np.arange(k * step, (k + 1) * step + 1) % len(lower)]
        x = bottom[-1] - bottom[0]
        x /= np.linalg.norm(x)
        charts.append(planar([np.concatenate([bottom, top[::-1]])], np.cross(x, (0, 0, 1)), x))
    return charts


def _cone(below: np.ndarray, above: np.ndarray) -> list[Chart]:
    """Return the chamfer between a circle and the hexagon's sides, laid flat."""
    below, above = (np.concatenate([a, a[:1]]) for a in (below, above))
    across = above - below
    out = above * (1, 1, 0) / np.linalg.norm(above[:, :2], axis=1, keepdims=True)
    slope = np.einsum("ij,ij->i", across, out)
    normals = across[:, 2:] * out - slope[:, None] * np.array([0, 0, 1.0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return strip(below, above, normals, normals)
