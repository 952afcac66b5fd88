"""The shaft: a cylinder along z with a helical groove, as ball screws have."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from simgen.errors import ConfigError
from simgen.parts.chart import Chart, arc_segments, planar

_FLANK_STEPS = 6
_LIP_STEPS = 6
# Beyond this angle to +x, texels may be coarser: a camera in front does not see the back.
_FRONT_DEG = 96.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Groove:
    """Profile of a groove by the offset x along the axis from its middle, mm."""

    radius: float
    lead: float
    pitch: float
    width: float
    depth: float
    arch: float
    lip: float

    def depth_at(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return depth below the land and its derivative by x, shape of `x`, mm and mm / mm.

        Two arcs of radius `arch` from the lips to the bottom, where they meet at an angle
        if `arch` is above that of the one arc through the three points (a gothic arch);
        the lip is rounded by a parabola over `lip` on either side.
        """
        size = np.abs(x)
        half = self.width / 2
        flank, slope = self._arc(np.minimum(size, half))
        depth = np.where(size < half, flank, 0.0)
        turn = np.where(size < half, slope, 0.0)
        if self.lip > 0:
            start, end = half - self.lip, half + self.lip
            d0, s0 = self._arc(np.array([start]))
            # A cubic that meets the arc at `start` and the land at `end`, both smoothly.
            t = np.clip((size - start) / (end - start), 0, 1)
            span = end - start
            h = d0 * (2 * t**3 - 3 * t**2 + 1) + span * s0 * (t**3 - 2 * t**2 + t)
            dh = d0 * (6 * t**2 - 6 * t) / span + s0 * (3 * t**2 - 4 * t + 1)
            on_lip = (size > start) & (size < end)
            depth, turn = np.where(on_lip, h, depth), np.where(on_lip, dh, turn)
        return depth, turn * np.sign(x)

    def _arc(self, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        half, depth = self.width / 2, self.depth
        chord = np.hypot(half, depth)
        rise = np.sqrt(self.arch**2 - chord**2 / 4)
        # Centre of the arc through (0, depth) and (half, 0), on the side of the axis.
        cx = half / 2 - rise * depth / chord
        cy = depth / 2 - rise * half / chord
        root = np.sqrt(np.maximum(self.arch**2 - (size - cx) ** 2, 1e-12))
        return cy + root, -(size - cx) / root


def groove_of(
    *, diameter: float, lead: float, starts: float, groove_width: float, groove_depth: float,
    groove_radius: float, lip: float,
) -> Groove:  # fmt: skip
    """Return the groove of a `shaft`.

    Raises:
        ConfigError: The dimensions contradict each other.
    """
    pitch = lead / max(round(starts), 1)
    if groove_width + 2 * lip >= pitch:
        raise ConfigError(
            f"groove_width {groove_width:g} and lips leave no land in a pitch of {pitch:g}"
        )
    if groove_depth >= 0.4 * diameter:
        raise ConfigError(f"groove_depth {groove_depth:g} must stay below 0.4 diameter")
    if lip >= groove_width / 6:
        raise ConfigError(f"lip {lip:g} must stay below a sixth of groove_width")
    half = groove_width / 2
    single = (half**2 + groove_depth**2) / (2 * groove_depth)
    if groove_depth >= half:
        raise ConfigError(f"groove_depth {groove_depth:g} must stay below half of groove_width")
    return Groove(
        radius=diameter / 2, lead=lead, pitch=pitch, width=groove_width, depth=groove_depth,
        arch=max(groove_radius, single), lip=lip,
    )  # fmt: skip


def groove_offset(size_mm: dict[str, float], positions_mm: np.ndarray) -> np.ndarray:
    """Return how far points lie from the middle of the nearest groove, along the axis.

    Args:
        size_mm: Of a `shaft`.
        positions_mm: Part-local, shape (N, 3).

    Returns:
        Shape (N,), float32, mm: 0 in the middle, half the groove's width at its lips.
    """
    lead = size_mm["lead"]
    pitch = lead / max(round(size_mm.get("starts", 1.0)), 1)
    angle = np.arctan2(positions_mm[:, 1], positions_mm[:, 0])
    along = positions_mm[:, 2] - lead * angle / (2 * np.pi)
    return (np.mod(along, pitch) - pitch / 2).astype(np.float32)


def shaft(
    *,
    diameter: float,
    length: float,
    lead: float,
    groove_width: float,
    groove_depth: float,
    starts: float = 1.0,
    groove_radius: float = 0.0,
    lip: float = 0.1,
    back_detail: float = 1.0,
) -> list[Chart]:
    """Return a shaft along z around the origin with a right-handed groove and plain ends.

    A groove's middle passes (radius, 0, pitch / 2); it runs z = lead x angle / 2 pi. Lengths
    on the charts of its flanks are true to 4 %.

    Args:
        length: Of the grooved piece, rounded up to whole pitches; the ends add to it.
        lead: Advance along z in one turn.
        groove_width, groove_depth: At the lips, and of the bottom below the land.
        starts: Number of grooves.
        groove_radius: Of the two arcs of the profile; at least that of one arc through
            lips and bottom, which is what 0 means.
        lip: Half the width over which the lip is rounded.
        back_detail: Texels per length on the side away from +x, relative to the front.

    Raises:
        ConfigError: The dimensions contradict each other.
    """
    groove = groove_of(
        diameter=diameter, lead=lead, starts=starts, groove_width=groove_width,
        groove_depth=groove_depth, groove_radius=groove_radius, lip=lip,
    )  # fmt: skip
    if not 0 < back_detail <= 1:
        raise ConfigError(f"back_detail {back_detail:g} must lie above 0 and at most 1")
    turns = max(round(starts), 1)
    count = int(np.ceil(length / groove.pitch)) + turns
    bands = _profile_bands(groove)
    first = -count * groove.pitch / 2
    # The grid's first row lies on the middle of a land, where groove_offset wraps.
    first = np.floor(first / groove.pitch) * groove.pitch
    n = arc_segments(diameter / 2)
    sectors = _sectors(n)
    charts: list[Chart] = []
    for k in range(count):
        for band in bands:
            for angle, detail in zip(sectors, (back_detail, 1.0, back_detail), strict=True):
                charts.append(_band(groove, first + k * groove.pitch, band, angle, detail))
    return charts + _ends(groove, first, count * groove.pitch, turns, bands, sectors, back_detail)


def _sectors(n: int) -> list[np.ndarray]:
    angle = np.linspace(-np.pi, np.pi, n + 1)
    side = int(np.searchsorted(angle, -np.deg2rad(_FRONT_DEG)))
    return [angle[: side + 1], angle[side : n - side + 1], angle[n - side :]]


def _profile_bands(groove: Groove) -> list[np.ndarray]:
    """Return each band's rows p, from 0, the middle of one land, to the pitch, the next."""
    middle, half, lip = groove.pitch / 2, groove.width / 2, groove.lip
    inner, outer = half - lip, half + lip
    flank = np.linspace(0, inner, 2 * _FLANK_STEPS + 1)
    offsets = [np.array([outer, middle])]
    if lip > 0:
        offsets.insert(0, np.linspace(inner, outer, _LIP_STEPS + 1))
    offsets = [flank[: _FLANK_STEPS + 1], flank[_FLANK_STEPS:], *offsets]
    left = [middle - o[::-1] for o in offsets[::-1]]
    return left + [middle + o for o in offsets]


def _points(
    groove: Groove, first: float, p: np.ndarray, angle: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return positions and normals of the grid angle x rows, shape (A, P, 3)."""
    depth, _ = groove.depth_at(p - groove.pitch / 2)
    # A band's normals are those on its own side of a sharp edge.
    _, slope = groove.depth_at(p + 1e-9 * (p.mean() - p) - groove.pitch / 2)
    r = groove.radius - depth
    c = groove.lead / (2 * np.pi)
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    # The two ends of a turn are the same line: the cosine and sine must agree to the bit.
    cos = np.where(np.abs(np.abs(angle[:, None]) - np.pi) < 1e-9, -1.0, cos)
    sin = np.where(np.abs(np.abs(angle[:, None]) - np.pi) < 1e-9, 0.0, sin)
    z = first + p + c * angle[:, None]
    grid = np.stack([r * cos, r * sin, z], axis=-1)
    # Outward: the gradient of r - R + depth(z - c angle).
    turn = -slope * c / r
    normal = np.stack([cos - turn * sin, sin + turn * cos, slope + 0 * cos], axis=-1)
    return grid, normal / np.linalg.norm(normal, axis=-1, keepdims=True)


def _band(groove: Groove, first: float, p: np.ndarray, angle: np.ndarray, detail: float) -> Chart:
    grid, normals = _points(groove, first, p, angle)
    depth, _ = groove.depth_at(p - groove.pitch / 2)
    r0 = groove.radius - float(depth.mean())
    c = groove.lead / (2 * np.pi)
    per_turn = np.hypot(r0, c)
    dz, dr = np.diff(p), np.diff(-depth)
    shift = np.concatenate([[0.0], np.cumsum(c * dz / per_turn)])
    across = np.concatenate([[0.0], np.cumsum(np.sqrt(dr**2 + dz**2 - (c * dz / per_turn) ** 2))])
    flat = np.stack(
        [
            per_turn * angle[:, None] + shift[None],
            np.broadcast_to(across[None], (len(angle), len(p))),
        ],
        axis=-1,
    )
    return Chart(
        vertices_mm=grid.reshape(-1, 3),
        normals=normals.reshape(-1, 3),
        flat_mm=flat.reshape(-1, 2),
        faces=_grid_faces(len(angle), len(p)),
        detail=detail,
    )


def _grid_faces(n: int, m: int) -> np.ndarray:
    k = np.arange(n * m).reshape(n, m)
    a, b, c, d = k[:-1, :-1], k[1:, :-1], k[1:, 1:], k[:-1, 1:]
    return np.stack([a, b, c, a, c, d], axis=-1).reshape(-1, 3)


def _ends(
    groove: Groove, first: float, span: float, turns: int, bands: list[np.ndarray],
    sectors: list[np.ndarray], detail: float,
) -> list[Chart]:  # fmt: skip
    """Return the plain ends: a wall up to the first row, the steps where grooves begin, a face.

    The rows of the first turn begin at the back, at angle -pi, next to the wall's last
    column, angle pi: there, each groove ends at a flat step.
    """
    rim = 0.6 * groove.lead + 2.0
    low, high = first - groove.lead / 2 - rim, first + span + groove.lead / 2 + rim
    rows = np.unique(
        np.round(np.concatenate([b + k * groove.pitch for k in range(turns) for b in bands]), 9)
    )
    charts: list[Chart] = []
    for z_face, base in ((low, first), (high, first + span)):
        up = z_face > base
        for angle in sectors:
            charts.append(_wall(groove, base, z_face, angle, rows, turns, detail))
        charts += _steps(groove, base, bands, turns, up=up, detail=detail)
        angle = np.concatenate([s[:-1] for s in sectors])
        rim_points, _ = _points(groove, 0.0, np.array([0.0]), angle)
        ring = rim_points[:, 0].copy()
        ring[:, 2] = z_face
        face = planar([ring if up else ring[::-1]], (0, 0, 1 if up else -1), (1, 0, 0))
        charts.append(replace(face, detail=detail))
    return charts


def _wall(
    groove: Groove, base: float, z_face: float, angle: np.ndarray, rows: np.ndarray, turns: int,
    detail: float,
) -> Chart:  # fmt: skip
    """Return the cylinder between a flat end and the helical border of the groove's grid."""
    up = z_face > base
    c = groove.lead / (2 * np.pi)
    border = base + c * angle
    edge_angle = -np.pi if up else np.pi
    low = np.full(len(angle), z_face)
    pairs = np.stack([border, low] if up else [low, border], axis=1)
    n = len(angle)
    all_angle, z = np.repeat(angle, 2), pairs.reshape(-1)
    k = np.arange(2 * n).reshape(n, 2)
    faces = _grid_faces(n, 2)
    at_edge = angle[-1] == edge_angle or angle[0] == edge_angle
    if at_edge:
        # Where the wall passes the steps of the grooves, its column has their corners too.
        depth, _ = groove.depth_at(np.mod(rows, groove.pitch) - groove.pitch / 2)
        mine = (rows > 0) if up else (rows < turns * groove.pitch - 1e-6)
        extra = base - groove.lead / 2 + rows[(depth < 1e-6) & mine]
        new = np.arange(len(extra)) + 2 * n
        all_angle = np.concatenate([all_angle, np.full(len(extra), edge_angle)])
        z = np.concatenate([z, extra])
        column = 0 if up else n - 1
        beside = 1 if up else n - 2
        keep = [i for i in range(n - 1) if i != (0 if up else n - 2)]
        faces = faces.reshape(n - 1, 2, 3)[keep].reshape(-1, 3)
        chain = [k[column, 0], *new, k[column, 1]]
        chain = sorted(chain, key=lambda i: z[i])
        near_low, near_high = k[beside, 0], k[beside, 1]
        if z[near_low] > z[near_high]:
            near_low, near_high = near_high, near_low
        fan = []
        if up:
            # Column on the left: fan from the upper right corner, which sees all of it.
            fan = [[a, near_high, b] for a, b in pairwise(chain)]
            fan.append([chain[0], near_low, near_high])
        else:
            fan = [[near_low, a, b] for a, b in pairwise(chain)]
            fan.append([near_low, chain[-1], near_high])
        faces = np.concatenate([faces, np.array(fan)])
    cos = np.where(np.abs(np.abs(all_angle) - np.pi) < 1e-9, -1.0, np.cos(all_angle))
    sin = np.where(np.abs(np.abs(all_angle) - np.pi) < 1e-9, 0.0, np.sin(all_angle))
    out = np.stack([cos, sin, 0 * cos], axis=1)
    return Chart(
        vertices_mm=groove.radius * out + np.stack([0 * z, 0 * z, z], axis=1),
        normals=out,
        flat_mm=np.stack([groove.radius * all_angle, z], axis=1),
        faces=faces,
        detail=detail,
    )


def _steps(
    groove: Groove, base: float, bands: list[np.ndarray], turns: int, *, up: bool, detail: float
) -> list[Chart]:
    """Return the flat steps at the back where grooves begin (below) or end (above)."""
    rows = np.unique(np.round(np.concatenate(bands), 9))
    depth, _ = groove.depth_at(rows - groove.pitch / 2)
    deep = np.flatnonzero(depth > 1e-6)
    loop_rows = rows[deep[0] - 1 : deep[-1] + 2]
    depth, _ = groove.depth_at(loop_rows - groove.pitch / 2)
    charts = []
    for k in range(turns):
        z = base - groove.lead / 2 + k * groove.pitch + loop_rows
        loop = np.stack([-(groove.radius - depth), 0 * z, z], axis=1)
        # Seen from +y the profile runs clockwise with z; below it is the part's inside there.
        normal = (0.0, 1.0, 0.0) if up else (0.0, -1.0, 0.0)
        chart = planar([loop if up else loop[::-1]], normal, (0, 0, 1))
        charts.append(replace(chart, detail=detail))
    return charts
