"""Masks of one view from the label pass: parts, defects from geometry, and what is hidden."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy.spatial import cKDTree

from simgen.defects.bodies import body_reach
from simgen.defects.kinds import has_body, module_of, reshapes
from simgen.defects.profile import reach_of, surface_points
from simgen.render.buffers import LabelBuffers, Window
from simgen.render.renderer import LabelSource
from simgen.scene.spec import CameraSpec, DefectSpec, ObjectSpec, SceneSpec


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
        clean_position_mm: Part-local positions without defects, (H, W, 3), float32.
        seen, clean: The label passes with and without defects; one and the same where no
            defect removes material.
        amodal: For each labelled part its mask as if alone, by object index.
        defects: In the order of parts and their defects; empty ones are left out.
    """

    ids: np.ndarray
    clean_ids: np.ndarray
    clean_position_mm: np.ndarray
    seen: LabelBuffers
    clean: LabelBuffers
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
    reshaped = any(reshapes(d) for o in scene.objects for d in o.defects)
    clean = source.labels(clean=True) if reshaped else seen
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
        found: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        for d, defect in enumerate(spec.defects):
            if not has_body(defect):
                visible = outline_mask(defect, seen_here, k + 1, camera)
                full = outline_mask(defect, alone, k + 1, camera) if hidden else visible
                found[d] = (visible, full)
        if len(found) < len(spec.defects):
            whole_alone = source.alone(k, clean=True, window=window)
            alone_now = alone if hidden else source.alone(k, clean=False, window=window)
            visible_by = body_masks(spec, seen_here, _cropped(clean, window), k + 1)
            amodal_by = body_masks(spec, alone_now, whole_alone, k + 1)
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
    return ViewMasks(
        ids=seen.ids,
        clean_ids=clean.ids,
        clean_position_mm=clean.position_mm,
        seen=seen,
        clean=clean,
        amodal=amodal,
        defects=tuple(masks),
    )


def outline_mask(
    defect: DefectSpec, buffers: LabelBuffers, instance: int, camera: CameraSpec
) -> np.ndarray:
    """Return the pixels whose surface point lies inside a defect's outline, (H, W), bool.

    The outline is widened to half a pixel's step across it on either side, so that a
    hairline is a continuous mask, also where the surface is seen at a slant.
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
    u, v = near.u_mm, near.v_mm
    profile = module_of(defect).profile
    at = profile(defect, u, v)
    head_on = buffers.depth_mm[rows, columns] / np.float32(min(camera.fx, camera.fy))
    reachable = at.distance_mm <= 12 * head_on
    if not reachable.any():
        return mask
    first = rows[reachable].min() - 1, columns[reachable].min() - 1
    size = rows[reachable].max() + 2 - first[0], columns[reachable].max() + 2 - first[1]
    near_by = ((rows >= first[0]) & (rows < first[0] + size[0])) & (
        (columns >= first[1]) & (columns < first[1] + size[1])
    )
    pixels = np.full((2, *size), np.nan, np.float32)
    place = rows[near_by] - first[0], columns[near_by] - first[1]
    pixels[0][place], pixels[1][place] = u[near_by], v[near_by]
    rows, columns, u, v = rows[reachable], columns[reachable], u[reachable], v[reachable]
    step = np.float32(0.02)
    # All four neighbours of every point at once: most of a profile's time is in its calls.
    around = profile(
        defect,
        np.concatenate([u + step, u - step, u, u]),
        np.concatenate([v, v, v + step, v - step]),
    )
    right, left, above, below = np.split(around.distance_mm, 4)
    du, dv = right - left, above - below
    place = rows - first[0], columns - first[1]
    across = [
        (du * _step(pixels[0], axis)[place] + dv * _step(pixels[1], axis)[place]) for axis in (0, 1)
    ]
    # A distance grows by 1 mm a mm; far from an outline with spikes some only nearly are one.
    steep = np.maximum(np.hypot(du, dv), 2 * step)
    footprint = np.hypot(*across) / steep
    footprint = np.where(np.isnan(footprint), head_on[reachable], footprint)
    # A little over half: a line midway between two rows of pixel centres touches both.
    widen = np.maximum(0, 0.55 * footprint - at.half_width_mm[reachable])
    inside = at.distance_mm[reachable] <= widen
    mask[rows[inside], columns[inside]] = True
    return mask


def _step(image: np.ndarray, axis: int) -> np.ndarray:
    """Return the difference to the next pixel along an axis, or from the last where none is."""
    difference = np.diff(image, axis=axis)
    gap = np.full_like(np.take(image, [0], axis=axis), np.nan)
    forward = np.concatenate([difference, gap], axis=axis)
    backward = np.concatenate([gap, difference], axis=axis)
    return np.where(np.isnan(forward), backward, forward)


def body_masks(
    spec: ObjectSpec, now: LabelBuffers, before: LabelBuffers, instance: int
) -> dict[int, np.ndarray]:
    """Return for each defect that is a body its pixels, shape (H, W), bool.

    They are where its surface is seen: the fracture, the plug, or the thing that lies on
    the part. Where it took material away, they are also where the undamaged part would be
    seen but its surface is gone.
    """
    indices = [d for d, x in enumerate(spec.defects) if has_body(x)]
    bodies = np.where(now.ids == instance, now.cut, 0)
    missing = [d for d in indices if spec.defects[d].missing_material]
    result = {d: bodies == d + 1 for d in indices}
    if not missing:
        return result
    same = (now.ids == instance) & (now.cut == 0)
    moved = np.abs(now.position_mm - before.position_mm).max(axis=-1) > 0.05
    gone = (before.ids == instance) & (~same | moved) & (bodies == 0)
    nearest = np.full(gone.shape, np.inf, np.float32)
    owner = np.full(gone.shape, -1, np.int32)
    for d in missing:
        size, within = _relative(spec.defects[d], before.position_mm)
        closer = within & (size < nearest)
        nearest[closer], owner[closer] = size[closer], d
    for d in missing:
        result[d] |= gone & (owner == d)
    return result


def _relative(defect: DefectSpec, position_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return distances from a removed body's middle in its own size, and what its box holds.

    Elsewhere a surface may have moved too: behind a dent, under a thing that was added.
    """
    offset = position_mm - np.asarray(defect.anchor_mm, np.float32)
    reach = np.float32(body_reach(defect))
    distance = np.sqrt(np.einsum("hwc,hwc->hw", offset, offset)) / reach
    return distance, distance < 1


def merged(masks: ViewMasks, scene: SceneSpec, merge_mm: float) -> ViewMasks:
    """Join defects of one kind on one part whose visible surfaces are within `merge_mm`.

    Surfaces are those of the undamaged part, so that breaks have one too.
    """
    if merge_mm <= 0:
        return masks
    groups: list[list[DefectMask]] = []
    for mask in masks.defects:
        near = [g for g in groups if any(_close(m, mask, scene, masks, merge_mm) for m in g)]
        rest = [g for g in groups if g not in near]
        groups = [*rest, [m for g in near for m in g] + [mask]]
    joined = [_union(g) for g in groups]
    return replace(masks, defects=tuple(sorted(joined, key=lambda m: (m.object, m.defects))))


def _close(
    a: DefectMask, b: DefectMask, scene: SceneSpec, masks: ViewMasks, merge_mm: float
) -> bool:
    if a.object != b.object:
        return False
    defects = scene.objects[a.object].defects
    if defects[a.defects[0]].kind != defects[b.defects[0]].kind:
        return False
    on_part = masks.clean_ids == a.object + 1
    first, second = a.visible & on_part, b.visible & on_part
    if not (first.any() and second.any()):
        return False
    gap, _ = cKDTree(masks.clean_position_mm[first]).query(masks.clean_position_mm[second])
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


def padded(mask: np.ndarray, pixels: int) -> np.ndarray:
    """Return a mask that is wider by `pixels`, or narrower where they are negative.

    What is narrower keeps the middle of each of its pieces, however thin, and is not
    narrowed from the image's borders, behind which it may go on.

    Args:
        mask: Bool, (H, W).
        pixels: Radius of the disc.
    """
    small = mask.astype(np.uint8)
    if pixels > 0:
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
        return np.asarray(cv2.dilate(small, kernel) > 0)
    if pixels == 0:
        return mask
    depth = cv2.distanceTransform(np.pad(small, 1, mode="edge"), cv2.DIST_L2, 5)[1:-1, 1:-1]
    count, pieces = cv2.connectedComponents(small, connectivity=8)
    piece = np.asarray(pieces, np.intp)
    deepest = np.zeros(count, np.float32)
    np.maximum.at(deepest, piece.reshape(-1), depth.reshape(-1))
    return mask & (depth >= np.minimum(-pixels + 0.5, deepest[piece]))
