"""Move a defect's height from the maps into the mesh: dents, which change shape and silhouette."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from simgen.defects.bodies import transported
from simgen.defects.kinds import module_of
from simgen.defects.profile import SurfacePoints, frame_axes, reach_of, surface_points
from simgen.defects.refine import refine_box
from simgen.parts.mesh import PartMesh, number_points
from simgen.scene.spec import DefectSpec

# Triangles across a defect's width: normals are exact at vertices and smooth between.
_ACROSS = 18
# The height fades over this turn before the surface turns away too far to belong.
_FADE_DEG = 12.0
# A wall below a dented edge follows it, less and less, down to so many depths.
_FOLLOW = 2.0


@dataclass(frozen=True, kw_only=True)
class Rest:
    """Where a displaced mesh's vertices were before: what labels are measured on.

    Attributes:
        vertices_mm, normals: Of the undamaged surface, shape (V, 3), float32.
    """

    vertices_mm: np.ndarray
    normals: np.ndarray


def displace_mesh(mesh: PartMesh, defects: Sequence[DefectSpec]) -> tuple[PartMesh, Rest]:
    """Return the mesh with the defects' heights in it, and where it was.

    The mesh is refined under each defect; texture coordinates, seams and closedness are
    kept. A vertex moves along the undamaged normal by the profile's height. Copies of a
    vertex on several faces move together, so that nothing tears at an edge, and a wall
    below a dented edge is squeezed rather than folded.

    Args:
        mesh: The undamaged part.
        defects: Those whose kind says `MOVES_MESH`.
    """
    table = np.concatenate([mesh.vertices_mm, mesh.normals, mesh.uv], axis=1).astype(np.float64)
    faces = mesh.faces.astype(np.int64)
    for defect in defects:
        size = defect.size_mm
        table, faces = refine_box(
            table,
            faces,
            centre_mm=np.asarray(defect.anchor_mm),
            axes=np.stack(frame_axes(defect)),
            half_mm=(0.51 * size["length"], 0.51 * size["width"]),
            step_mm=size["width"] / _ACROSS,
            slab_mm=_FOLLOW * size["depth"],
        )
    rest = table[:, :3].astype(np.float32)
    still = _unit(table[:, 3:6]).astype(np.float32)
    shift, slope = np.zeros_like(rest), np.zeros_like(rest)
    point = number_points(rest)
    for defect in defects:
        _press(defect, rest, still, point, shift, slope)
    moved = replace(
        mesh,
        vertices_mm=rest + shift,
        normals=_unit(still - slope),
        uv=table[:, 6:8].astype(np.float32),
        faces=faces.astype(np.int32),
        traits=None,
    )
    return moved, Rest(vertices_mm=rest, normals=still)


def _press(
    defect: DefectSpec,
    rest: np.ndarray,
    still: np.ndarray,
    point: np.ndarray,
    shift: np.ndarray,
    slope: np.ndarray,
) -> None:
    """Add one defect to `shift` and `slope`."""
    near = surface_points(defect, rest, still, reach_of(defect))
    if not len(near.index):
        return
    at, n = near.index, still[near.index]
    height = module_of(defect).profile(defect, near.u_mm, near.v_mm).height_mm * _fade(defect, n)
    slope[at] += _slope(defect, near, n)
    step_mm = height[:, None] * n
    # One shift a point, the mean of its copies that lie on the defect's own surface.
    count = int(point.max()) + 1
    weight = np.bincount(point[at], minlength=count)
    total = np.stack([np.bincount(point[at], step_mm[:, k], count) for k in range(3)], axis=1)
    mean = (total / np.maximum(weight, 1)[:, None]).astype(np.float32)
    own = np.zeros(len(rest), bool)
    own[at] = True
    shift += mean[point]
    others = np.flatnonzero(~own)
    torn = others[weight[point[others]] > 0]
    edge = torn[np.abs(mean[point[torn]]).max(axis=1) > 1e-5]
    if len(edge):
        _drag(defect, rest, mean[point[edge]], edge, others[weight[point[others]] == 0], shift)


def pressed_normals(
    defect: DefectSpec, positions_mm: np.ndarray, normals: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return which points of the undamaged surface a dent turns, and their normals in it.

    Args:
        defect: Of a kind that says `MOVES_MESH`.
        positions_mm, normals: Points of the undamaged surface, part-local, shape (N, 3).

    Returns:
        Indices (n,) and unit normals (n, 3), float32.
    """
    near = surface_points(defect, positions_mm, normals, reach_of(defect))
    still = normals[near.index]
    if not len(near.index):
        return near.index, still
    return near.index, _unit(still - _slope(defect, near, still))


def _slope(defect: DefectSpec, near: SurfacePoints, normals: np.ndarray) -> np.ndarray:
    """Return the part-space gradient of the height at points near a defect, (n, 3)."""
    profile, fade = module_of(defect).profile, _fade(defect, normals)
    step = np.float32(defect.size_mm["width"] / 400)
    slope = np.zeros_like(normals)
    axes = transported(*frame_axes(defect), normals)
    for axis, du, dv in zip(axes, (step, 0), (0, step), strict=True):
        ahead = profile(defect, near.u_mm + du, near.v_mm + dv).height_mm
        behind = profile(defect, near.u_mm - du, near.v_mm - dv).height_mm
        slope += (fade * (ahead - behind) / (2 * step))[:, None] * axis
    return slope


def _drag(
    defect: DefectSpec,
    rest: np.ndarray,
    edge_shift: np.ndarray,
    edge: np.ndarray,
    others: np.ndarray,
    shift: np.ndarray,
) -> None:
    """Let the faces beyond a dented edge follow it."""
    reach = _FOLLOW * defect.size_mm["depth"]
    offset = np.abs(rest[others] - np.asarray(defect.anchor_mm, np.float32)).max(axis=1)
    others = others[offset < reach_of(defect) + reach]
    if not len(others):
        return
    distance, nearest = cKDTree(rest[edge]).query(rest[others])
    depth = np.linalg.norm(edge_shift[nearest], axis=1)
    share = np.clip(1 - distance / np.maximum(_FOLLOW * depth, 1e-6), 0, 1)
    shift[others] += share[:, None].astype(np.float32) * edge_shift[nearest]


def _fade(defect: DefectSpec, normals: np.ndarray) -> np.ndarray:
    limit = defect.values.get("max_turn_deg", 40.0)
    turn = np.rad2deg(np.arccos(np.clip(normals @ frame_axes(defect)[2], -1, 1)))
    x = np.clip((limit - turn) / min(_FADE_DEG, limit), 0, 1)
    return (x * x * (3 - 2 * x)).astype(np.float32)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
