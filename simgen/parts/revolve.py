"""Turned parts: a profile around the z axis; flange, cylinder, sphere and screwdriver."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from simgen.errors import ConfigError
from simgen.parts.chart import SHARP_DEG, Chart, arc_segments, planar, strip
from simgen.parts.extrude import at_height, hole_bands

_Z_TO_X = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])


def flange(
    *,
    diameter: float,
    thickness: float,
    bore: float,
    hub_diameter: float,
    hub_height: float,
    bolts: float = 4.0,
    bolt_hole: float = 7.0,
    bolt_circle: float = 0.0,
    chamfer: float = 0.5,
) -> list[Chart]:
    """Return a disc with a raised hub on +z, a bore through both and a circle of bolt holes.

    Args:
        hub_height: How far the hub stands above the disc.
        bolts: Number of bolt holes, the first on +x.
        bolt_circle: Diameter of their circle; 0 means halfway between hub and rim.
        chamfer: Of rim, hub, bore and bolt holes.

    Raises:
        ConfigError: The diameters do not fit into each other.
    """
    middle = bolt_circle or (diameter + hub_diameter) / 2
    room = min(diameter - middle, middle - hub_diameter) - 2 * chamfer
    if bore + 4 * chamfer >= hub_diameter or hub_diameter >= diameter - 2 * chamfer:
        raise ConfigError(
            f"need bore {bore:g} < hub_diameter {hub_diameter:g} < diameter {diameter:g}"
        )
    if bolts >= 1 and bolt_hole + 2 * chamfer >= room:
        raise ConfigError(f"bolt_hole {bolt_hole:g} does not fit between hub and rim ({room:g})")
    if 2 * chamfer >= min(thickness, 2 * hub_height):
        raise ConfigError(f"chamfer {chamfer:g} is too large for thickness or hub_height")
    c, total = chamfer, thickness + hub_height
    ri, rh, ro = bore / 2, hub_diameter / 2, diameter / 2
    profile = [
        (ri + c, 0.0),
        (ro - c, 0.0),
        (ro, c),
        (ro, thickness - c),
        (ro - c, thickness),
        (rh, thickness),
        (rh, total - c),
        (rh - c, total),
        (ri + c, total),
        (ri, total - c),
        (ri, c),
    ]
    distinct = [p for p, q in pairwise([*profile, profile[0]]) if p != q]
    angles = 2 * np.pi * np.arange(round(bolts)) / max(round(bolts), 1)
    centres = [(float(middle / 2 * np.cos(a)), float(middle / 2 * np.sin(a))) for a in angles]
    bands, below, above = hole_bands(centres, bolt_hole / 2, 0.0, thickness, c)
    charts = revolve(distinct, holes={0.0: below, thickness: above}) + bands
    return [chart.moved(np.eye(3), (0, 0, -total / 2)) for chart in charts]


def cylinder(*, radius: float, length: float, chamfer: float = 0.0) -> list[Chart]:
    """Return a cylinder along z around the origin."""
    if chamfer >= radius or 2 * chamfer >= length:
        raise ConfigError(f"chamfer {chamfer:g} is too large for radius or length")
    z, c = length / 2, chamfer
    profile = [(0.0, -z), (radius - c, -z), (radius, c - z), (radius, z - c), (radius - c, z)]
    if c == 0:
        profile = [(0.0, -z), (radius, -z), (radius, z)]
    return revolve([*profile, (0.0, z)])


def screwdriver(
    *,
    length: float,
    handle_diameter: float,
    handle_share: float = 0.4,
    shaft_diameter: float = 0.0,
) -> list[Chart]:
    """Return a screwdriver along x, its tip at +x; a prop.

    Args:
        handle_share: Share of the length that is handle.
        shaft_diameter: 0 means a quarter of the handle's.
    """
    if not 0.05 <= handle_share <= 0.9:
        raise ConfigError(f"handle_share {handle_share:g} must lie between 0.05 and 0.9")
    r, s = handle_diameter / 2, (shaft_diameter or handle_diameter / 4) / 2
    if s >= 0.6 * r:
        raise ConfigError(f"shaft_diameter {2 * s:g} must be below 0.6 handle_diameter")
    handle = length * handle_share
    share = np.array([0.0, 0.015, 0.05, 0.12, 0.22, 0.4, 0.6, 0.74, 0.8, 0.86, 0.93, 0.98, 1.0])
    swell = np.array([0.55, 0.78, 0.93, 1.0, 1.0, 0.96, 0.98, 0.92, 0.78, 0.72, 0.8, 0.78, 0.66])
    points = [(0.0, 0.0)] + [(r * b, handle * a) for a, b in zip(share, swell, strict=True)]
    tip = length - 2.5 * s
    points += [(s, handle), (s, tip), (0.5 * s, length), (0.0, length)]
    return [c.moved(_Z_TO_X, (-length / 2, 0, 0)) for c in revolve(points)]


def sphere(*, radius: float) -> list[Chart]:
    """Return a sphere as six charts of a cube blown up; the only shape that is stretched.

    At the charts' corners an area is up to 1.5 times larger on the map than on the surface.
    """
    n = max(8, arc_segments(radius) // 8)
    angle = np.linspace(-np.pi / 4, np.pi / 4, 2 * (n // 2) + 1)
    u, v = np.meshgrid(np.tan(angle), np.tan(angle), indexing="ij")
    face = np.stack([u, v, np.ones_like(u)], axis=-1)
    face /= np.linalg.norm(face, axis=-1, keepdims=True)
    flat = np.stack(np.meshgrid(angle, angle, indexing="ij"), axis=-1).reshape(-1, 2) * radius
    m = len(angle)
    k = np.arange(m * m).reshape(m, m)
    a, b, c, d = k[:-1, :-1], k[1:, :-1], k[1:, 1:], k[:-1, 1:]
    faces = np.stack([a, b, c, a, c, d], axis=-1).reshape(-1, 3)
    charts = []
    for x, y, z in (
        ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
        ((-1, 0, 0), (0, 1, 0), (0, 0, -1)),
        ((0, 1, 0), (0, 0, 1), (1, 0, 0)),
        ((0, -1, 0), (0, 0, 1), (-1, 0, 0)),
        ((0, 0, 1), (1, 0, 0), (0, 1, 0)),
        ((0, 0, -1), (1, 0, 0), (0, -1, 0)),
    ):
        normals = face.reshape(-1, 3) @ np.array([x, y, z], dtype=float)
        charts.append(
            Chart(vertices_mm=radius * normals, normals=normals, flat_mm=flat, faces=faces)
        )
    return charts


def revolve(
    profile: Sequence[tuple[float, float]],
    *,
    holes: Mapping[float, Sequence[np.ndarray]] | None = None,
) -> list[Chart]:
    """Return the surface of a closed profile turned around z.

    Args:
        profile: (radius, z) points, mm, counter-clockwise with radius to the right:
            outer walls go up. Two neighbours may lie on the axis.
        holes: Rims of holes, shape (N, 3) and clockwise seen from outside, in the
            faces at height z; an upper and a lower face must not share a z.
    """
    p = np.array(profile, dtype=float)
    n = arc_segments(float(p[:, 0].max()))
    angle = np.append(2 * np.pi * np.arange(n) / n, 0.0)
    circle_points = np.stack([np.cos(angle), np.sin(angle), np.zeros(n + 1)], axis=1)
    rings = [r * circle_points + (0, 0, z) for r, z in p]
    step = np.roll(p, -1, axis=0) - p
    outward = np.stack([step[:, 1], -step[:, 0]], axis=1)
    outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-12)
    longest = max(float(2 * p[:, 0].max()), float(np.ptp(p[:, 1])))
    charts: list[Chart] = []
    for i in range(len(p)):
        j = (i + 1) % len(p)
        if p[i, 0] == 0 and p[j, 0] == 0:
            continue
        if p[i, 1] == p[j, 1]:
            inner, outer = (i, j) if p[i, 0] < p[j, 0] else (j, i)
            charts.append(_flat_ring(p, inner, outer, up=outer == i, holes=holes or {}))
            continue
        normals = []
        for neighbour in ((i - 1) % len(p), j):
            smooth = outward[i] @ outward[neighbour] > np.cos(np.deg2rad(SHARP_DEG))
            normal = outward[i] + outward[neighbour] if smooth else outward[i]
            normal = normal / np.linalg.norm(normal)
            normals.append(circle_points * normal[0] + np.array([0, 0, normal[1]]))
        charts += strip(rings[i], rings[j], normals[0], normals[1], max_length_mm=longest)
    return charts


def _flat_ring(
    p: np.ndarray, inner: int, outer: int, *, up: bool, holes: Mapping[float, Sequence[np.ndarray]]
) -> Chart:
    n = arc_segments(float(p[:, 0].max()))
    angle = 2 * np.pi * np.arange(n) / n
    unit = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    z = float(p[outer, 1])
    loops = [at_height(p[outer, 0] * unit, z)]
    if p[inner, 0] > 0:
        loops.append(at_height(p[inner, 0] * unit, z)[::-1])
    if not up:
        loops = [loop[::-1] for loop in loops]
    return planar([*loops, *holes.get(z, ())], (0, 0, 1 if up else -1), (1, 0, 0))
