"""What a defect is, point by point: its outline, relief and material on the surface.

Every kind is a module with the same shape:

    Ranges                          frozen dataclass of distributions, in mm
    sample(rng, ranges, site)       -> DefectSpec, everything decided
    profile(defect, u, v)           -> Profile, a pure function of surface position

and one line in `kinds.KINDS`. `Profile.distance_mm` alone decides the label.
"""

from dataclasses import dataclass

import numpy as np

from simgen.geometry import Vec3, to_vec3
from simgen.parts.sites import Site
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

    Lengths run along the surface: on a face that turns, the component in the
    direction of the turn is stretched from chord to arc, which is exact on
    cylinders and spheres. Points behind a thin wall, on another level or turned
    by more than the kind's limit are left out.

    Args:
        defect: Gives anchor and frame; `values` may hold `max_turn_deg` (default 40)
            and `level_mm` (default 0.4), the allowed departure from the surface.
        positions_mm: Part-local, shape (N, 3).
        normals: Smooth unit normals there, shape (N, 3).
        reach_mm: Radius around the anchor.
    """
    t, b, n = frame_axes(defect)
    anchor = np.asarray(defect.anchor_mm, np.float32)
    limit = np.cos(np.deg2rad(defect.values.get("max_turn_deg", 40.0)))
    level = defect.values.get("level_mm", 0.4)
    offset = positions_mm - anchor
    near = np.flatnonzero(np.einsum("ij,ij->i", offset, offset) < reach_mm**2)
    offset, turned = offset[near], normals[near]
    cosine = turned @ n
    du, dv, dn = offset @ t, offset @ b, offset @ n
    wu, wv = turned @ t, turned @ b
    sine = np.hypot(wu, wv)
    angle = np.arctan2(sine, cosine)
    safe = np.maximum(sine, 1e-6)
    wu, wv = wu / safe, wv / safe
    stretch = np.where(sine > 1e-3, angle / safe, 1.0) - 1.0
    along = (du * wu + dv * wv) * stretch
    rise = (du * wu + dv * wv) * np.tan(angle / 2)
    keep = (cosine > limit) & (np.abs(dn + rise) < level + 0.05 * np.hypot(du, dv))
    return SurfacePoints(
        index=near[keep],
        u_mm=(du + along * wu)[keep].astype(np.float32),
        v_mm=(dv + along * wv)[keep].astype(np.float32),
    )


def reach_of(defect: DefectSpec) -> float:
    """Return a radius in mm around the anchor that surely holds the defect's outline."""
    reach = max(defect.size_mm.values(), default=1.0)
    if defect.points:
        reach = max(reach, max(float(np.hypot(p[0], p[1])) for p in defect.points))
    return 1.15 * reach + 1.0


def turned(site: Site, angle_deg: float) -> Vec3:
    """Return a site's tangent turned by `angle_deg` about its normal."""
    t, n = np.asarray(site.tangent), np.asarray(site.normal)
    a = np.deg2rad(angle_deg)
    return to_vec3(np.cos(a) * t + np.sin(a) * np.cross(n, t))
