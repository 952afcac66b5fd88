"""What a defect is, point by point: its outline, relief and material on the surface.

Every kind is a module with the same shape:

    Ranges                          frozen dataclass of distributions, in mm
    sample(rng, ranges, site)       -> DefectSpec, everything decided
    profile(defect, u, v)           -> Profile, a pure function of surface position

and one line in `kinds.KINDS`. `Profile.distance_mm` alone decides the label.
"""

from dataclasses import dataclass, fields

import numpy as np

from simgen.geometry import Vec3, to_vec3
from simgen.parts.sites import Site
from simgen.sampling import Distribution
from simgen.scene.spec import DefectSpec


@dataclass(kw_only=True)
class Profile:
    """A defect at N points of its surface frame; arrays have shape (N,) unless stated.

    Attributes:
        distance_mm: Signed distance to the outline, negative inside.
        half_width_mm: Half the local width of the outline, so that a hairline can be
            widened to a pixel; large for blobs.
        height_mm: Displacement along the normal.
        amount: How far the material changes toward the target, in [0, 1].
        albedo: Target linear colour, shape (3,) or (N, 3); factors if `tint` is set.
        roughness, metalness: Targets, scalars or (N,).
        cavity: Open part of the hemisphere.
        tint: The albedo multiplies instead of replacing.
    """

    distance_mm: np.ndarray
    half_width_mm: np.ndarray
    height_mm: np.ndarray
    amount: np.ndarray
    albedo: np.ndarray
    roughness: np.ndarray | float
    metalness: np.ndarray | float | None = None
    cavity: np.ndarray | None = None
    tint: bool = False

    def take(self, index: np.ndarray) -> "Profile":
        """Return the profile at some of its points."""
        parts = {}
        for field in fields(self):
            value = getattr(self, field.name)
            # One colour for all points is the only array that is not a row a point.
            same = not isinstance(value, np.ndarray) or (field.name == "albedo" and value.ndim == 1)
            parts[field.name] = value if same else value[index]
        return Profile(**parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class SurfacePoints:
    """Points near a defect in its surface frame.

    Attributes:
        index: Which of the points given are near, shape (M,), int64.
        u_mm, v_mm: Lengths along the surface from the anchor, shape (M,), float32.
    """

    index: np.ndarray
    u_mm: np.ndarray
    v_mm: np.ndarray


def frame_axes(defect: DefectSpec) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the part-local unit vectors of u, v and the normal, float32."""
    n = np.asarray(defect.normal, np.float64)
    n = n / np.linalg.norm(n)
    t = np.asarray(defect.tangent, np.float64)
    t = t - n * (t @ n)
    t = t / np.linalg.norm(t)
    return t.astype(np.float32), np.cross(n, t).astype(np.float32), n.astype(np.float32)


def surface_points(
    defect: DefectSpec, positions_mm: np.ndarray, normals: np.ndarray, reach_mm: float
) -> SurfacePoints:
    """Return the points that lie on the defect's own piece of surface within `reach_mm`.

    Lengths run along the surface, see `_along_turn`: exact on planes, cylinders and
    spheres, and where one of them goes over into another without an edge, as at a bend.
    Points behind a thin wall, on another level or turned by more than the kind's limit
    are left out.

    Args:
        defect: Gives anchor and frame; `values` may hold `max_turn_deg` (default 40)
            and `level_mm` (default 0.4), the allowed departure from the surface.
        positions_mm: Part-local, shape (N, 3).
        normals: Smooth unit normals there, shape (N, 3).
        reach_mm: Radius around the anchor.
    """
    t, b, n = frame_axes(defect)
    limit = np.cos(np.deg2rad(defect.values.get("max_turn_deg", 40.0)))
    level = defect.values.get("level_mm", 0.4)
    near, offset = _within(positions_mm, np.asarray(defect.anchor_mm, np.float32), reach_mm)
    turned = normals[near]
    cosine = turned @ n
    facing = cosine > limit
    if not facing.all():
        near, offset, turned, cosine = near[facing], offset[facing], turned[facing], cosine[facing]
    du, dv, rise = offset @ t, offset @ b, offset @ n
    wu, wv = turned @ t, turned @ b
    sine = np.sqrt(wu * wu + wv * wv)
    safe = np.maximum(sine, 1e-6)
    wu, wv = wu / safe, wv / safe
    along = du * wu + dv * wv
    arc, astray = _along_turn(along, -rise, np.arctan2(sine, cosine), sine, cosine)
    keep = astray < level + 0.05 * np.sqrt(du * du + dv * dv)
    stretch = arc - along
    return SurfacePoints(
        index=near[keep],
        u_mm=(du + stretch * wu)[keep].astype(np.float32),
        v_mm=(dv + stretch * wv)[keep].astype(np.float32),
    )


def _within(
    positions_mm: np.ndarray, centre_mm: np.ndarray, reach_mm: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return indices of the points in a ball, and their offsets from its centre."""
    # Axis by axis: on a part most points are out after the first.
    near = np.flatnonzero(np.abs(positions_mm[:, 0] - centre_mm[0]) < reach_mm)
    for axis in (1, 2):
        near = near[np.abs(positions_mm[near, axis] - centre_mm[axis]) < reach_mm]
    offset = positions_mm[near] - centre_mm
    inside = np.einsum("ij,ij->i", offset, offset) < reach_mm**2
    return near[inside], offset[inside]


def _along_turn(
    chord: np.ndarray, drop: np.ndarray, angle: np.ndarray, sine: np.ndarray, cosine: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the length along the surface in the direction in which its normal turns.

    The section is a straight piece and an arc, in the one order or the other: the turn of
    the normal, the chord and the drop below the anchor's tangent plane fix both.

    Args:
        chord, drop: Components in the tangent plane and below it, mm; both negative
            where the surface is hollow.
        angle, sine, cosine: Of the normal's turn, angle in [0, pi / 2).

    Returns:
        Signed length, and how far the point departs from any such section, mm.
    """
    sign = np.where(chord < 0, np.float32(-1), np.float32(1))
    c, h = np.abs(chord), drop * sign
    bounded = np.clip(h, 0, c * sine / np.maximum(cosine, 1e-3))
    # (angle - sine) / (1 - cosine), which for small angles is their third.
    excess = angle / 3 * (1 + angle * angle / 30)
    large = angle > 0.3
    if large.any():
        excess[large] = (angle[large] - sine[large]) / (1 - cosine[large])
    straight_first = c * (1 - cosine) >= bounded * sine
    arc = np.where(
        straight_first,
        c + bounded * excess,
        c * cosine + bounded * sine + (c * sine - bounded * cosine) * excess,
    )
    return arc * sign, np.abs(h - bounded)


def reach_of(defect: DefectSpec) -> float:
    """Return a radius in mm around the anchor that surely holds the defect's outline."""
    if defect.points:
        return max(float(np.hypot(p[0], p[1])) + p[2] for p in defect.points) + 1.0
    size = defect.size_mm
    if {"length", "width"} <= size.keys():
        return 0.5 * float(np.hypot(size["length"], size["width"])) + 1.0
    return 1.15 * max(size.values(), default=1.0) + 1.0


def standing_out(rng: np.random.Generator, tones: Distribution, site: Site) -> float:
    """Draw a brightness twice and return the one that differs more from a site's finish."""
    drawn = [float(tones.sample(rng)) for _ in range(2)]
    # Differences as the eye takes them: equal steps of the square root.
    return max(drawn, key=lambda tone: abs(np.sqrt(tone) - np.sqrt(site.tone)))


def turned(site: Site, angle_deg: float) -> Vec3:
    """Return a site's tangent turned by `angle_deg` about its normal."""
    t, n = np.asarray(site.tangent), np.asarray(site.normal)
    a = np.deg2rad(angle_deg)
    return to_vec3(np.cos(a) * t + np.sin(a) * np.cross(n, t))
