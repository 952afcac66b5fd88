"""From colour, twin and masks of a view to one finished frame: develop, erase, annotate."""

from collections import Counter
from dataclasses import dataclass

import cv2
import numpy as np

from simgen.config.render import LabelConfig
from simgen.defects.displace import pressed_normals
from simgen.defects.kinds import found_by_absence, has_body, moves_mesh
from simgen.label.annotation import Annotation, Frame, FrameGeometry
from simgen.label.contrast import (
    box_around,
    findable,
    ring_contrast,
    same_face,
    stands_out,
    twin_contrast,
)
from simgen.label.masks import DefectMask, ViewMasks, padded
from simgen.render.buffers import LabelBuffers, Window
from simgen.sampling import FrameIndex
from simgen.scene.spec import DefectSpec, SceneSpec, SensorSpec
from simgen.sensor import develop, luminance, metered, noise_field, quantize

# Mip levels and blur carry a defect a little beyond its outline; the shadow of a broken
# edge or of a thing that lies on the part falls farther.
TWIN_MARGIN_PX = 16
BODY_MARGIN_PX = 64


@dataclass(frozen=True, kw_only=True)
class View:
    """One rendered view, from which its exposures are made.

    Attributes:
        linear: HDR colour, shape (H, W, 3), float32.
        twin: The same without defects where `window` is, (h, w, 3), float32.
        window: Holds all defects and their surroundings; empty without any in view.
        masks: Masks of the view, merged as configured.
        owner: For each pixel of the window the index of the nearest mask in
            `masks.defects`, (h, w), int32.
    """

    linear: np.ndarray
    twin: np.ndarray
    window: Window
    masks: ViewMasks
    owner: np.ndarray


def twin_windows(masks: ViewMasks, scene: SceneSpec) -> list[Window]:
    """Return the windows in which the clean twin can differ: one around each defect.

    Windows that overlap so much that one is cheaper than two are joined.
    """
    width, height = scene.camera.width, scene.camera.height
    windows: list[Window] = []
    for defect in masks.defects:
        solid = has_body(_specs(scene, defect)[0])
        margin = BODY_MARGIN_PX if solid else TWIN_MARGIN_PX
        new = _bounds(defect.visible).grown(margin, width, height)
        apart = []
        for window in windows:
            both = new.union(window)
            if both.area < 1.1 * (new.area + window.area):
                new = both
            else:
                apart.append(window)
        windows = [*apart, new]
    return windows


def nearest_mask(masks: ViewMasks, window: Window) -> np.ndarray:
    """Return the index of the nearest defect for each pixel of the window, int32."""
    h, w = window.y1 - window.y0, window.x1 - window.x0
    best = np.full((h, w), np.inf, np.float32)
    owner = np.zeros((h, w), np.int32)
    for k, defect in enumerate(masks.defects):
        outside = (~defect.visible[window.slices]).astype(np.uint8)
        distance = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        nearer = distance < best
        best[nearer], owner[nearer] = distance[nearer], k
    return owner


def make_frame(index: FrameIndex, scene: SceneSpec, view: View, config: LabelConfig) -> Frame:
    """Return the finished frame of a view: its image and its annotations.

    A defect that is too hard to find for `labels.min_contrast` (see `findable`) is erased:
    its pixels, and those it influences, are the twin's in image and labels alike.
    """
    camera = scene.camera
    size = (camera.width, camera.height)
    sensor = metered(view.linear, scene.sensor, size)
    crop = sensor.crop or (0, 0, camera.width, camera.height)
    at = (slice(crop[1], crop[1] + crop[3]), slice(crop[0], crop[0] + crop[2]))
    noise = noise_field(sensor, crop[3], crop[2])
    linear, ids = view.linear, view.masks.ids
    depth, normal = view.masks.seen.depth_mm, shape_normals(scene, view.masks.seen)
    contrasts, erased = _contrasts(view, scene, sensor, noise, config.min_contrast)
    if erased:
        linear, ids = linear.copy(), ids.copy()
        gone = np.isin(view.owner, list(erased))
        linear[view.window.slices][gone] = view.twin[gone]
        ids[view.window.slices][gone] = view.masks.clean_ids[view.window.slices][gone]
        if view.masks.clean is not view.masks.seen:
            depth, normal = depth.copy(), normal.copy()
            for array, clean in (
                (depth, view.masks.clean.depth_mm),
                (normal, view.masks.clean.normal),
            ):
                array[view.window.slices][gone] = clean[view.window.slices][gone]
    levels = develop(
        np.ascontiguousarray(linear[at]), sensor, origin=crop[:2], camera_size=size, noise=noise
    )
    image = quantize(levels, sensor)
    annotations = _parts(scene, view.masks, ids[at], at)
    place = {k: j for j, (k, _) in enumerate(annotations)}
    y = luminance(image.astype(np.float32))
    defects = []
    for k, contrast in contrasts.items():
        if k not in erased:
            mask = view.masks.defects[k]
            visible, amodal = mask.visible[at], mask.amodal[at]
            part = view.masks.clean_ids[at] == mask.object + 1
            if not _specs(scene, mask)[0].missing_material:
                part &= ids[at] == mask.object + 1
            made = _defect(scene, mask, visible, amodal, part, config.padding(_kind(scene, mask)))
            defects.append(
                Annotation(
                    **made,
                    part=place.get(mask.object),
                    contrast=contrast,
                    contrast_ring=ring_contrast(visible, y),
                )  # fmt: skip
            )
    kinds = Counter(_kind(scene, view.masks.defects[k]) for k in erased if k in contrasts)
    return Frame(
        index=index.frame,
        scene_index=index.scene,
        view=index.view,
        exposure=index.exposure,
        image=image,
        annotations=(*(a for _, a in annotations), *defects),
        spec=scene,
        erased=dict(sorted(kinds.items())),
        geometry=FrameGeometry(ids=ids[at], depth_mm=depth[at], normal=normal[at]),
    )


def shape_normals(scene: SceneSpec, seen: LabelBuffers) -> np.ndarray:
    """Return the label pass's normals, in dents those of the dented mesh, (H, W, 3), float32."""
    normal = seen.normal
    for number, item in enumerate(scene.objects, start=1):
        dents = [d for d in item.defects if moves_mesh(d)]
        if not dents:
            continue
        rows, columns = np.nonzero((seen.ids == number) & (seen.cut == 0))
        still = seen.normal[rows, columns]
        for dent in dents:
            near, turned = pressed_normals(dent, seen.position_mm[rows, columns], still)
            normal = normal.copy() if normal is seen.normal else normal
            normal[rows[near], columns[near]] = turned
    return normal


def _contrasts(
    view: View, scene: SceneSpec, sensor: SensorSpec, noise: np.ndarray, least: float
) -> tuple[dict[int, float], set[int]]:
    """Return the contrast of each defect seen within the crop, and which are too faint."""
    camera = scene.camera
    crop = sensor.crop or (0, 0, camera.width, camera.height)
    x0, y0 = max(view.window.x0, crop[0]), max(view.window.y0, crop[1])
    x1 = min(view.window.x1, crop[0] + crop[2])
    y1 = min(view.window.y1, crop[1] + crop[3])
    if x1 <= x0 or y1 <= y0:
        return {}, set()
    in_view = (slice(y0, y1), slice(x0, x1))
    in_twin = (
        slice(y0 - view.window.y0, y1 - view.window.y0),
        slice(x0 - view.window.x0, x1 - view.window.x0),
    )
    in_noise = (slice(y0 - crop[1], y1 - crop[1]), slice(x0 - crop[0], x1 - crop[0]))
    seen, clean = view.linear[in_view], np.ascontiguousarray(view.twin[in_twin])
    size = (camera.width, camera.height)

    def y_of(linear: np.ndarray, field: np.ndarray | None) -> np.ndarray:
        return luminance(develop(linear, sensor, origin=(x0, y0), camera_size=size, noise=field))

    y, y_clean = y_of(seen, None), y_of(clean, None)
    y_noisy = y_of(clean, noise[in_noise])
    contrasts, erased = {}, set()
    for k, defect in enumerate(view.masks.defects):
        mask = defect.visible[in_view]
        if not mask.any():
            # Outside the crop, or only its surroundings reach into it.
            erased.add(k)
            continue
        box = box_around(mask)
        mask, number = mask[box], defect.object + 1
        part = view.masks.clean_ids[in_view][box] == number
        face = same_face(mask, part, view.masks.clean.normal[in_view][box])
        contrasts[k] = twin_contrast(mask, face, y[box], y_clean[box], y_noisy[box])
        # What a defect leaves of its part; a body that lies on it belongs to neither side.
        around = face & (view.masks.ids[in_view][box] == number)
        absent = any(found_by_absence(spec) for spec in _specs(scene, defect))
        surroundings = np.inf if absent else stands_out(mask, around, y[box], y_noisy[box])
        if findable(contrasts[k], surroundings, int(mask.sum())) < least:
            erased.add(k)
    return contrasts, erased


def _parts(
    scene: SceneSpec, masks: ViewMasks, ids: np.ndarray, at: tuple[slice, slice]
) -> list[tuple[int, Annotation]]:
    result = []
    for k, spec in enumerate(scene.objects):
        if spec.category is None or k not in masks.amodal:
            continue
        visible = ids == k + 1
        amodal = masks.amodal[k][at] | visible
        if visible.any():
            result.append(
                (
                    k,
                    Annotation(
                        category=spec.category,
                        supercategory="part",
                        mask=visible,
                        amodal_bbox=tight_box(amodal),
                        visibility=float(visible.sum() / amodal.sum()),
                    ),
                )
            )
    return result


def _defect(
    scene: SceneSpec, mask: DefectMask, visible: np.ndarray, amodal: np.ndarray,
    part: np.ndarray, pad_px: int,
) -> dict:  # fmt: skip
    specs = _specs(scene, mask)
    missing = specs[0].missing_material
    largest = max(specs, key=lambda s: max(s.size_mm.values()))
    sizes = dict(largest.size_mm)
    if len(specs) > 1:
        sizes["count"] = float(len(specs))
    share = float(visible.sum() / amodal.sum())
    if pad_px > 0:
        visible = visible | (padded(visible, pad_px) & part)
        amodal = amodal | visible
    elif pad_px < 0:
        visible = padded(visible, pad_px)
        amodal = padded(amodal, pad_px) | visible
    return {
        "category": specs[0].kind,
        "supercategory": "defect",
        "mask": visible,
        "amodal_bbox": tight_box(amodal),
        "visibility": share,
        "defect_mm": sizes,
        "missing_material": missing,
    }


def tight_box(mask: np.ndarray) -> tuple[float, float, float, float]:
    """Return the COCO box (x, y, width, height) of a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    x, y = float(columns[0]), float(rows[0])
    return (x, y, float(columns[-1]) - x + 1, float(rows[-1]) - y + 1)


def _bounds(mask: np.ndarray) -> Window:
    x, y, w, h = (int(value) for value in tight_box(mask))
    return Window(x0=x, y0=y, x1=x + w, y1=y + h)


def _specs(scene: SceneSpec, mask: DefectMask) -> list[DefectSpec]:
    return [scene.objects[mask.object].defects[d] for d in mask.defects]


def _kind(scene: SceneSpec, mask: DefectMask) -> str:
    return _specs(scene, mask)[0].kind
