"""Apply defects and marks to a part: its maps, and where material is missing its mesh."""

from dataclasses import dataclass, replace

import numpy as np

from simgen.defects.cut import CutMesh, cut_mesh
from simgen.defects.kinds import kind_module
from simgen.defects.profile import frame_axes, reach_of, surface_points
from simgen.finishes import Layers, Maps, bake_finish, patched, to_maps
from simgen.parts.build import build_mesh
from simgen.parts.mesh import PartMesh
from simgen.scene.spec import DefectSpec, FinishSpec, ObjectSpec


@dataclass(frozen=True, kw_only=True)
class Surface:
    """An object ready to be drawn by any renderer.

    Attributes:
        mesh: Whole or cut mesh; its uv belong to `maps`.
        maps: Material maps.
        finish: For the process direction of the highlights.
        cuts: Fracture surfaces, each with the index of its defect.
    """

    mesh: PartMesh
    maps: Maps
    finish: FinishSpec
    cuts: tuple[CutMesh, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SurfacePair:
    """A part with and without its defects; both are the same object if it has none."""

    clean: Surface
    damaged: Surface


def build_surfaces(spec: ObjectSpec) -> SurfacePair:
    """Return an object's clean and damaged surface, marks on both.

    Raises:
        ConfigError: A shape, finish or defect kind is unknown.
        AssetError: The mesh cannot be built, unwrapped or cut.
    """
    mesh = build_mesh(spec.shape)
    layers = bake_finish(spec.finish, mesh.texels)
    for mark in spec.marks:
        touched = _changed(mark, mesh, layers)
        if touched is not None:
            _write(layers, *touched)
    maps = to_maps(layers, mesh.texels)
    clean = Surface(mesh=mesh, maps=maps, finish=spec.finish)
    if not spec.defects:
        return SurfacePair(clean=clean, damaged=clean)
    damaged = clean
    for defect in spec.defects:
        if defect.missing_material:
            continue
        touched = _changed(defect, mesh, layers)
        if touched is not None:
            index, new = touched
            _write(layers, index, new)
            damaged = replace(damaged, maps=patched(damaged.maps, mesh.texels, index, new))
    missing = [(k, d) for k, d in enumerate(spec.defects) if d.missing_material]
    if missing:
        cut, faces = cut_mesh(mesh, [(k, d, kind_module(d.kind).cutter(d)) for k, d in missing])
        damaged = replace(damaged, mesh=cut, cuts=faces)
    return SurfacePair(clean=clean, damaged=damaged)


def _changed(
    defect: DefectSpec, mesh: PartMesh, layers: Layers
) -> tuple[np.ndarray, Layers] | None:
    """Return the texels under a defect and their new material, or None if it has none."""
    texels = mesh.texels
    near = surface_points(defect, texels.positions_mm, texels.normals, reach_of(defect))
    if not len(near.index):
        return None
    profile = kind_module(defect.kind).profile
    at = profile(defect, near.u_mm, near.v_mm)
    # Coverage of the texel by the outline, so that lines thinner than a texel fade, not break.
    cover = np.clip(0.5 - at.distance_mm / mesh.texel_mm, 0, 1)
    inside = cover > 0
    if not inside.any():
        return None
    index = near.index[inside]
    u, v, cover = near.u_mm[inside], near.v_mm[inside], cover[inside]
    at = profile(defect, u, v)
    new = layers.take(index)
    amount = at.amount * cover
    albedo = np.broadcast_to(at.albedo, new.albedo.shape)
    target = new.albedo * albedo if at.tint else albedo
    new.albedo += amount[:, None] * (target - new.albedo)
    new.roughness += amount * (at.roughness - new.roughness)
    if at.metalness is not None:
        new.metalness += amount * (at.metalness - new.metalness)
        new.anisotropy *= 1 - amount
    if at.cavity is not None:
        new.cavity *= 1 - cover * (1 - at.cavity)
    step = np.float32(mesh.texel_mm / 2)
    axis_u, axis_v, _ = frame_axes(defect)
    for axis, du, dv in ((axis_u, step, 0), (axis_v, 0, step)):
        rise = profile(defect, u + du, v + dv).height_mm - profile(defect, u - du, v - dv).height_mm
        slope = np.clip(rise / (2 * step), -2.5, 2.5)
        new.slope += (cover * slope)[:, None] * axis
    # Inside a cavity or a wear mark the process lines are gone.
    gone = cover * np.clip(at.amount, 0, 1)
    new.slope -= gone[:, None] * 0.7 * layers.slope[index]
    return index, new


def _write(layers: Layers, index: np.ndarray, new: Layers) -> None:
    for name in ("albedo", "roughness", "metalness", "anisotropy", "cavity", "slope"):
        getattr(layers, name)[index] = getattr(new, name)
