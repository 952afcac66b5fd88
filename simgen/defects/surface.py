"""Apply defects and marks to a part: its maps, and where they change its shape its mesh."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from simgen.defects.bodies import BodySurface, added, transported
from simgen.defects.cut import cut_mesh
from simgen.defects.displace import Rest, displace_mesh
from simgen.defects.kinds import has_body, module_of, moves_mesh, reshapes
from simgen.defects.plug import finished
from simgen.defects.profile import frame_axes, reach_of, surface_points
from simgen.finishes import Layers, Maps, bake_finish, patched, to_maps
from simgen.parts.build import build_mesh
from simgen.parts.mesh import PartMesh
from simgen.scene.spec import DefectSpec, FinishSpec, ObjectSpec, PoseSpec


@dataclass(frozen=True, kw_only=True)
class Surface:
    """An object ready to be drawn by any renderer.

    Attributes:
        mesh: Whole, dented or cut mesh; its uv belong to `maps`.
        maps: Material maps.
        finish: For the process direction of the highlights.
        bodies: Fracture surfaces, plugs and things that lie on the part, each with the
            index of its defect.
        rest: Where the mesh's vertices are on the undamaged part, None if where they are.
    """

    mesh: PartMesh
    maps: Maps
    finish: FinishSpec
    bodies: tuple[BodySurface, ...] = ()
    rest: Rest | None = None


@dataclass(frozen=True, kw_only=True)
class SurfacePair:
    """A part with and without its defects; both are the same object if it has none."""

    clean: Surface
    damaged: Surface


class SurfaceCache:
    """The surfaces of the last scene, so that another view of it builds none anew."""

    def __init__(self) -> None:
        self._kept: list[tuple[ObjectSpec, SurfacePair]] = []

    def of(self, objects: Sequence[ObjectSpec]) -> list[SurfacePair]:
        """Return the surfaces of a scene's objects, in their order; see `build_surfaces`."""
        looks = [replace(item, name="", pose=PoseSpec()) for item in objects]
        # What is not in this scene goes first: maps are large.
        self._kept = [(look, pair) for look, pair in self._kept if look in looks]
        for look, item in zip(looks, objects, strict=True):
            if not any(look == known for known, _ in self._kept):
                self._kept.append((look, build_surfaces(item)))
        return [next(pair for known, pair in self._kept if known == look) for look in looks]


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
        if not hasattr(module_of(defect), "profile"):
            continue
        touched = _changed(defect, mesh, layers)
        if touched is not None:
            index, new = touched
            _write(layers, index, new)
            damaged = replace(damaged, maps=patched(damaged.maps, mesh.texels, index, new))
    return SurfacePair(clean=clean, damaged=_reshaped(spec, damaged, mesh))


def _reshaped(spec: ObjectSpec, surface: Surface, whole: PartMesh) -> Surface:
    """Return a surface with dents in its mesh, bodies taken away or filled in, others added."""
    if not any(reshapes(d) for d in spec.defects):
        return surface
    mesh, rest = whole, None
    dents = [d for d in spec.defects if moves_mesh(d)]
    if dents:
        mesh, rest = displace_mesh(mesh, dents)
    bodies = [(k, module_of(d).body(d, whole)) for k, d in enumerate(spec.defects) if has_body(d)]
    joined = [(k, body) for k, body in bodies if body.operation != "add"]
    surfaces: tuple[BodySurface, ...] = ()
    if joined:
        mesh, rest, surfaces = cut_mesh(mesh, rest, joined)
    shown, maps = [], surface.maps
    for left in surfaces:
        if left.look is None:
            left, index, layers = finished(left, whole.texels, whole.texel_mm, spec.finish)
            maps = patched(maps, whole.texels, index, layers) if len(index) else maps
        shown.append(left)
    shown += [added(k, body) for k, body in bodies if body.operation == "add"]
    return replace(surface, mesh=mesh, rest=rest, maps=maps, bodies=tuple(shown))


def _changed(
    defect: DefectSpec, mesh: PartMesh, layers: Layers
) -> tuple[np.ndarray, Layers] | None:
    """Return the texels under a defect and their new material, or None if it has none."""
    texels = mesh.texels
    near = surface_points(defect, texels.positions_mm, texels.normals, reach_of(defect))
    if not len(near.index):
        return None
    profile = module_of(defect).profile
    at = profile(defect, near.u_mm, near.v_mm)
    # Coverage of the texel by the outline, so that lines thinner than a texel fade, not break.
    cover = np.clip(0.5 - at.distance_mm / mesh.texel_mm, 0, 1)
    inside = cover > 0
    if not inside.any():
        return None
    index = near.index[inside]
    u, v, cover, at = near.u_mm[inside], near.v_mm[inside], cover[inside], at.take(inside)
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
    along_u, along_v = transported(*frame_axes(defect), texels.normals[index])
    in_maps: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    if not moves_mesh(defect) and at.height_mm.any():
        # All four neighbours of every texel at once: most of a profile's time is in its calls.
        around = profile(
            defect,
            np.concatenate([u + step, u - step, u, u]),
            np.concatenate([v, v, v + step, v - step]),
        )
        right, left, above, below = np.split(around.height_mm, 4)
        in_maps = [(along_u, right, left), (along_v, above, below)]
    for along, ahead, behind in in_maps:
        ahead, behind = ahead - at.height_mm, at.height_mm - behind
        slope = np.clip((ahead + behind) / (2 * step), -2.5, 2.5)
        new.slope += (cover * slope)[:, None] * along
        # What turns within a texel scatters light as roughness does; as slope it would glitter.
        turn = np.clip(cover * (ahead - behind) / (2 * step), -1, 1)
        new.roughness = (new.roughness**4 + turn * turn) ** np.float32(0.25)
    # Inside a cavity or a wear mark the process lines are gone.
    gone = cover * np.clip(at.amount, 0, 1)
    new.slope -= gone[:, None] * 0.7 * layers.slope[index]
    return index, new


def _write(layers: Layers, index: np.ndarray, new: Layers) -> None:
    for name in ("albedo", "roughness", "metalness", "anisotropy", "cavity", "slope"):
        getattr(layers, name)[index] = getattr(new, name)
