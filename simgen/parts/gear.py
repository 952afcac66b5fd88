"""The spur gear: involute teeth, a bore with a keyway, and recessed faces."""

from dataclasses import dataclass

import numpy as np

from simgen.errors import ConfigError
from simgen.parts.chart import Chart, arc_segments
from simgen.parts.extrude import at_height, edge_bands, hole_bands
from simgen.parts.rings import circle_at, flat_ring, turned

PRESSURE_DEG = 20.0
_DEDENDUM = 1.25
_FILLET = 0.38


def gear(
    *,
    module: float,
    teeth: float,
    width: float,
    bore: float,
    chamfer: float = 0.4,
    tooth_chamfer: float = 0.0,
    keyway: float = 0.0,
    recess: float = 0.0,
    rim: float = 0.0,
    hub_diameter: float = 0.0,
    holes: float = 0.0,
    hole: float = 6.0,
) -> list[Chart]:
    """Return a spur gear along z around the origin, a tooth on +x.

    Args:
        module: Pitch diameter over number of teeth.
        teeth: At least 8.
        width: Along z.
        bore: Its diameter.
        chamfer: Of bore, hub and rim.
        tooth_chamfer: Of the teeth's edges; 0 leaves them sharp.
        keyway: Width of the bore's keyway, half as deep; 0 for none.
        recess: Depth of a ring-shaped recess in both faces; 0 for none.
        rim: Radial thickness of what is left below the teeth; 0 means 2.5 modules.
        hub_diameter: What is left around the bore; 0 means 1.7 bores.
        holes: Holes in the recessed web, the first on +x.
        hole: Their diameter.

    Raises:
        ConfigError: The dimensions contradict each other.
    """
    profile = tooth_profile(module, round(teeth))
    c, z = chamfer, width / 2
    if bore <= 0 or bore / 2 + 2 * c + keyway / 2 >= profile.root - 0.5 * module:
        raise ConfigError(f"bore {bore:g} leaves nothing below the root ({2 * profile.root:.4g})")
    if keyway > 0.7 * bore:
        raise ConfigError(f"keyway {keyway:g} must be at most 0.7 of bore {bore:g}")
    if 2.2 * c >= width:
        raise ConfigError(f"chamfer {c:g} is too large for width {width:g}")
    if 3 * tooth_chamfer >= 2 * profile.tip_half or 4 * tooth_chamfer >= width:
        raise ConfigError(
            f"tooth_chamfer {tooth_chamfer:g} is too large for "
            f"a tip of {2 * profile.tip_half:.3g} mm or width {width:g}"
        )
    outline = gear_outline(profile)
    charts, low, high = edge_bands(outline, -z, z, tooth_chamfer, 2 * profile.tip)
    inside, bore_low, bore_high = edge_bands(_bore_loop(bore / 2, keyway), -z, z, c, width)
    charts += inside
    bore_low, bore_high = bore_low[::-1], bore_high[::-1]
    if recess <= 0:
        charts.append(flat_ring(high, bore_high, up=True))
        return [*charts, flat_ring(low, bore_low, up=False)]
    outer, inner = recess_radii(profile, bore, rim, hub_diameter)
    if 2 * recess >= 0.9 * width or recess <= c:
        raise ConfigError(f"recess {recess:g} must be above chamfer and below {0.45 * width:g}")
    if inner - 2 * c <= bore / 2 + keyway / 2 or outer - inner <= 4 * c:
        raise ConfigError(
            f"hub_diameter {2 * inner:.4g} does not fit between bore {bore:g} "
            f"and rim ({2 * outer:.4g})"
        )
    if round(holes) >= 1 and hole >= 0.9 * (outer - inner):
        raise ConfigError(f"hole {hole:g} does not fit into the web ({outer - inner:.4g})")
    floor = z - recess
    centres = web_hole_centres(outer, inner, round(holes))
    bands, low_rims, high_rims = hole_bands(centres, hole / 2, -floor, floor, 0.0)
    charts += bands
    n, m = arc_segments(outer), arc_segments(inner)
    for up, side, rims in ((True, 1.0, high_rims), (False, -1.0, low_rims)):
        walls = [
            ([(outer, floor), (outer, z - c)], n),
            ([(outer, z - c), (outer + c, z)], n),
            ([(inner - c, z), (inner, z - c)], m),
            ([(inner, z - c), (inner, floor)], m),
        ]
        if c <= 0:
            walls = [walls[0], walls[3]]
        for line, count in walls:
            # The outside is on the right: walls of the recess run down seen from its middle.
            ahead = line[::-1] if up else [(r, -h) for r, h in line]
            charts += turned(ahead, count)
        top, web = side * z, side * floor
        face, rim_bore = (high, bore_high) if up else (low, bore_low)
        charts.append(flat_ring(face, circle_at(outer + c, top, n), up=up))
        charts.append(flat_ring(circle_at(inner - c, top, m), rim_bore, up=up))
        rims = [rim[::-1] if up else rim for rim in rims]
        charts.append(
            flat_ring(circle_at(outer, web, n), circle_at(inner, web, m), up=up, holes=rims)
        )
    return charts


@dataclass(frozen=True, slots=True, kw_only=True)
class ToothProfile:
    """Half a tooth and half a gap, from the middle of the tip to the middle of the root.

    Attributes:
        points: (x, y) with the tooth's middle on +x, shape (N, 2), mm; the first is the
            corner of the tip, the last is next to the middle of the root.
        tip, root, pitch: Radii, mm.
        tip_half: Half the width of the tip.
        teeth: Their number.
        module: Pitch diameter over number of teeth.
    """

    points: np.ndarray
    tip: float
    root: float
    pitch: float
    tip_half: float
    teeth: int
    module: float


def tooth_profile(module: float, teeth: int) -> ToothProfile:
    """Return the flank of an involute tooth with a round fillet at its root.

    Raises:
        ConfigError: There are too few teeth.
    """
    if teeth < 8:
        raise ConfigError(f"teeth {teeth} must be at least 8")
    pitch = module * teeth / 2
    base = pitch * np.cos(np.deg2rad(PRESSURE_DEG))
    tip, root = pitch + module, pitch - _DEDENDUM * module
    involute_at_pitch = np.tan(np.deg2rad(PRESSURE_DEG)) - np.deg2rad(PRESSURE_DEG)

    def half_angle(radius: float) -> float:
        # Below the base circle the flank runs straight to the axis.
        a = np.arccos(min(base / radius, 1.0))
        return float(np.pi / (2 * teeth) + involute_at_pitch - (np.tan(a) - a))

    def flank(radius: float) -> tuple[np.ndarray, np.ndarray]:
        """Return a point of the flank and its normal into the gap."""
        turn = half_angle(radius)
        lean = np.arccos(min(base / radius, 1.0))
        across = turn + np.pi / 2 - lean
        point = radius * np.array([np.cos(turn), np.sin(turn)])
        return point, np.array([np.cos(across), np.sin(across)])

    fillet = _FILLET * module
    while True:
        low, high = root, tip
        for _ in range(60):
            middle = (low + high) / 2
            point, normal = flank(middle)
            if np.linalg.norm(point + fillet * normal) < root + fillet:
                low = middle
            else:
                high = middle
        point, normal = flank(low)
        centre = point + fillet * normal
        bearing = float(np.arctan2(centre[1], centre[0]))
        if bearing < 0.98 * np.pi / teeth:
            break
        fillet *= 0.9
    # Denser near the base circle, where the involute curves most; below it one straight line.
    foot = max(low, float(base))
    radii = foot + (tip - foot) * np.linspace(1, 0, 8) ** 1.5
    if low < foot - 1e-3:
        radii = np.append(radii, low)
    curve = [flank(float(r))[0] for r in radii]
    start = np.arctan2(*(point - centre)[::-1])
    stop = bearing + np.pi
    start += 2 * np.pi * np.round((stop - start) / (2 * np.pi))
    for angle in np.linspace(start, stop, 6)[1:]:
        curve.append(centre + fillet * np.array([np.cos(angle), np.sin(angle)]))
    return ToothProfile(
        points=np.array(curve),
        tip=tip,
        root=root,
        pitch=pitch,
        tip_half=float(curve[0][1]),
        teeth=teeth,
        module=module,
    )


def gear_outline(profile: ToothProfile) -> np.ndarray:
    """Return the outline of all teeth, counter-clockwise, shape (N, 2)."""
    half = profile.points
    start = np.arctan2(half[-1, 1], half[-1, 0])
    gap = 2 * np.pi / profile.teeth - 2 * start
    extra = int(np.ceil(gap * profile.root / 1.5)) - 1
    between = start + gap * np.arange(1, extra + 1) / (extra + 1)
    arc = profile.root * np.stack([np.cos(between), np.sin(between)], axis=1)
    crown = np.array([[profile.tip, 0.0]])
    one = np.concatenate([half[::-1] * (1, -1), crown, half, arc])
    turns = 2 * np.pi * np.arange(profile.teeth) / profile.teeth
    c, s = np.cos(turns), np.sin(turns)
    rotation = np.stack([c, -s, s, c], axis=1).reshape(-1, 2, 2)
    return np.einsum("kij,nj->kni", rotation, one).reshape(-1, 2)


def recess_radii(
    profile: ToothProfile, bore: float, rim: float, hub_diameter: float
) -> tuple[float, float]:
    """Return the outer and inner radius of the recess."""
    return profile.root - (rim or 2.5 * profile.module), (hub_diameter or 1.7 * bore) / 2


def web_hole_centres(outer: float, inner: float, count: int) -> list[tuple[float, float]]:
    """Return the centres of the holes in the web."""
    middle = (outer + inner) / 2
    angles = 2 * np.pi * np.arange(count) / max(count, 1)
    return [(float(middle * np.cos(a)), float(middle * np.sin(a))) for a in angles]


def _bore_loop(radius: float, keyway: float) -> np.ndarray:
    """Return the bore's outline, clockwise, its keyway on +y."""
    n = arc_segments(radius)
    if keyway <= 0:
        angle = -2 * np.pi * np.arange(n) / n
        return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    half = float(np.arcsin(keyway / 2 / radius))
    angle = np.pi / 2 - np.linspace(half, 2 * np.pi - half, n)
    arc = radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    top = radius + keyway / 2
    return np.concatenate([arc, [(-keyway / 2, top), (keyway / 2, top)]])


def tooth_body(profile: ToothProfile, width: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Return what takes the tooth on +x away, and the radius down to which it does.

    It ends in the air of both gaps, a little above the root, and leaves the fillets.

    Returns:
        Vertices (V, 3), faces (F, 3), and the stump's radius.
    """
    stump = profile.root + 0.25 * profile.module
    reach = np.pi / profile.teeth
    angle = np.linspace(-reach, reach, 9)
    arc = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    loop = np.concatenate([stump * arc[::-1], (profile.tip + 0.4 * profile.module) * arc])
    z = width / 2 + 0.3 * profile.module
    n = len(loop)
    vertices = np.concatenate([at_height(loop, -z), at_height(loop, z)])
    k, ahead = np.arange(n), np.roll(np.arange(n), -1)
    sides = [np.stack([k, ahead, ahead + n], axis=1), np.stack([k, ahead + n, k + n], axis=1)]
    a, m = np.arange(n // 2 - 1), n - 1
    # Between the two arcs, which run opposite ways.
    caps = np.concatenate(
        [np.stack([a, a + 1, m - a - 1], axis=1), np.stack([a, m - a - 1, m - a], axis=1)]
    )
    # The loop runs down the inner arc, so that it is counter-clockwise.
    faces = np.concatenate([*sides, caps[:, ::-1], caps + n])
    return vertices, faces, stump
