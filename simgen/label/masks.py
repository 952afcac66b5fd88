"""Masks of one view from the label pass: parts, defects from geometry, and what is hidden."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from scipy.spatial import cKDTree

from simgen.defects.kinds import kind_module
from simgen.defects.profile import reach_of, surface_points
from simgen.render.buffers import LabelBuffers, Window
from simgen.scene.spec import CameraSpec, DefectSpec, ObjectSpec, SceneSpec


class LabelSource(Protocol):
    """What label passes are asked of; `render.raster.RasterScene` is one."""

    def labels(self, *, clean: bool = False, window: Window | None = None) -> LabelBuffers: ...

    def alone(self, k: int, *, clean: bool, window: Window) -> LabelBuffers: ...

    def window_of(self, k: int) -> Window: ...


@dataclass(frozen=True, kw_only=True)
class DefectMask:
    """A defect (or several merged ones) in one view.

    Attributes:
        object: Index of its part in `objects`.
        defects: Indices in the part's `defects`; more than one after merging.
        visible, amodal: Masks of the whole view, shape (H, W), bool.
    """

    object: int
    defects: tuple[int, ...]
    visible: np.ndarray
    amodal: np.ndarray


@dataclass(frozen=True, kw_only=True)
class ViewMasks:
    """All masks of one view before cropping.

    Attributes:
        ids, clean_ids: Visible instance ids with and without defects, (H, W), uint32.
        amodal: For each labelled part its mask as if alone, by object index.
        defects: In the order of parts and their defects; empty ones are left out.
    """

    ids: np.ndarray
    clean_ids: np.ndarray
    amodal: dict[int, np.ndarray]
    defects: tuple[DefectMask, ...]


def view_masks(scene: SceneSpec, source: LabelSource, seen: LabelBuffers) -> ViewMasks:
    """Return the masks of a view.

    Args:
        scene: The spec that `source` shows.
        source: Further label passes.
        seen: The label pass of the whole scene with its defects.
    """
    camera = scene.camera
    whole = Window(x0=0, y0=0, x1=camera.width, y1=camera.height)
    removing = [
        k for k, o in enumerate(scene.objects) if any(d.missing_material for d in o.defects)
    ]
    clean = source.labels(clean=True) if removing else seen
    amodal, masks = {}, []
    for k, spec in enumerate(scene.objects):
        if spec.category is None:
            continue
        window = source.window_of(k)
        if window.empty:
            continue
        hidden = _may_be_hidden(scene, source, k, window)
        alone = source.alone(k, clean=False, window=window) if hidden else _cropped(seen, window)
        part = np.zeros((camera.height, camera.width), bool)
        part[window.slices] = alone.ids == k + 1
        amodal[k] = part
        if not spec.defects:
            continue
        seen_here = _cropped(seen, window)
        surface = [(d, x) for d, x in enumerate(spec.defects) if not x.missing_material]
        found: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        for d, defect in surface:
            visible = outline_mask(defect, seen_here, k + 1, camera)
            found[d] = (visible, outline_mask(defect, alone, k + 1, camera) if hidden else visible)
        if k in removing:
            whole_alone = source.alone(k, clean=True, window=window)
            alone_now = alone if hidden else source.alone(k, clean=False, window=window)
            visible_by = removed_masks(spec, seen_here, _cropped(clean, window), k + 1)
            amodal_by = removed_masks(spec, alone_now, whole_alone, k + 1)
            for d, mask in visible_by.items():
                found[d] = (mask, amodal_by[d] | mask)
        for d in sorted(found):
            visible, full = found[d]
            if visible.any():
                masks.append(
                    DefectMask(
                        object=k,
                        defects=(d,),
                        visible=_placed(visible, window, whole),
                        amodal=_placed(full | visible, window, whole),
                    )
                )
    return ViewMasks(ids=seen.ids, clean_ids=clean.ids, amodal=amodal, defects=tuple(masks))


def outline_mask(
    defect: DefectSpec, buffers: LabelBuffers, instance: int, camera: CameraSpec
) -> np.ndarray:
    """Return the pixels whose surface point lies inside a defect's outline, (H, W), bool.

    The outline is widened to one pixel footprint, so that a hairline is continuous.
    """
    mask = np.zeros(buffers.ids.shape, bool)
    rows, columns = np.nonzero((buffers.ids == instance) & (buffers.cut == 0))
    if not len(rows):
        return mask
    near = surface_points(
        defect, buffers.position_mm[rows, columns], buffers.normal[rows, columns], reach_of(defect)
    )
    if not len(near.index):
        return mask
    rows, columns = rows[near.index], columns[near.index]
    profile = kind_module(defect.kind).profile(defect, near.u_mm, near.v_mm)
    footprint = buffers.depth_mm[rows, columns] / np.float32(min(camera.fx, camera.fy))
    widen = np.maximum(0, 0.5 * footprint - profile.half_width_mm)
    inside = profile.distance_mm <= widen
    mask[rows[inside], columns[inside]] = True
    return mask


def removed_masks(
    spec: ObjectSpec, now: LabelBuffers, before: LabelBuffers, instance: int
) -> dict[int, np.ndarray]:
    """Return for each defect with missing material its pixels, shape (H, W), bool.

    They are where the undamaged part would be seen but its surface is gone, and where
    the fracture surface is seen. Pixels go to the defect whose anchor is nearest.
    """
    indices = [d for d, x in enumerate(spec.defects) if x.missing_material]
    was = before.ids == instance
    same = (now.ids == instance) & (now.cut == 0)
    moved = np.abs(now.position_mm - before.position_mm).max(axis=-1) > 0.05
    gone = was & (~same | moved)
    facet = (now.ids == instance) & (now.cut > 0)
    anchors = np.array([spec.defects[d].anchor_mm for d in indices], np.float32)
    offset = before.position_mm[..., None, :] - anchors if len(indices) > 1 else None
    result = {}
    for place, d in enumerate(indices):
        mine = gone
        if offset is not None:
            mine = gone & (np.einsum("hwkc,hwkc->hwk", offset, offset).argmin(axis=2) == place)
        result[d] = mine & ~facet | (facet & (now.cut == d + 1))
    return result


def merged(
    masks: tuple[DefectMask, ...], scene: SceneSpec, seen: LabelBuffers, merge_mm: float
) -> tuple[DefectMask, ...]:
    """Join defects of one kind on one part whose visible surfaces are within `merge_mm`."""
    if merge_mm <= 0:
        return masks
    groups: list[list[DefectMask]] = []
    for mask in masks:
        near = [g for g in groups if any(_close(m, mask, scene, seen, merge_mm) for m in g)]
        rest = [g for g in groups if g not in near]
        groups = [*rest, [m for g in near for m in g] + [mask]]
    joined = [_union(g) for g in groups]
    return tuple(sorted(joined, key=lambda m: (m.object, m.defects)))


def _close(
    a: DefectMask, b: DefectMask, scene: SceneSpec, seen: LabelBuffers, merge_mm: float
) -> bool:
    if a.object != b.object:
        return False
    defects = scene.objects[a.object].defects
    if defects[a.defects[0]].kind != defects[b.defects[0]].kind:
        return False
    gap, _ = cKDTree(seen.position_mm[a.visible]).query(seen.position_mm[b.visible])
    return bool(gap.min() <= merge_mm)


def _union(group: list[DefectMask]) -> DefectMask:
    first = group[0]
    for other in group[1:]:
        first = replace(
            first,
            defects=tuple(sorted(first.defects + other.defects)),
            visible=first.visible | other.visible,
            amodal=first.amodal | other.amodal,
        )
    return first


def _may_be_hidden(scene: SceneSpec, source: LabelSource, k: int, window: Window) -> bool:
    """Return whether another object's projection overlaps; what casts no shadow lies under all."""
    for j, other in enumerate(scene.objects):
        if j == k or not other.casts_shadow:
            continue
        w = source.window_of(j)
        overlap_x = min(w.x1, window.x1) > max(w.x0, window.x0)
        if overlap_x and min(w.y1, window.y1) > max(w.y0, window.y0):
            return True
    return False


def _cropped(buffers: LabelBuffers, window: Window) -> LabelBuffers:
    at = window.slices
    cut: Callable[[np.ndarray], np.ndarray] = lambda array: array[at]  # noqa: E731
    return LabelBuffers(
        ids=cut(buffers.ids),
        cut=cut(buffers.cut),
        position_mm=cut(buffers.position_mm),
        depth_mm=cut(buffers.depth_mm),
        normal=cut(buffers.normal),
    )


def _placed(mask: np.ndarray, window: Window, whole: Window) -> np.ndarray:
    full = np.zeros((whole.y1, whole.x1), bool)
    full[window.slices] = mask
    return full
