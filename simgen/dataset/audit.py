"""Are the labels of a frame those of its scene? Its stored spec, judged by casting rays."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np

from simgen.config import parse
from simgen.config.render import LabelConfig
from simgen.dataset.records import polygons_of
from simgen.dataset.segmentation import decode_mask
from simgen.dataset.stored import MOST_PIXELS
from simgen.defects.kinds import KINDS
from simgen.defects.surface import build_surfaces
from simgen.errors import AssetError, ConfigError, DatasetError
from simgen.label.cast import CastScene
from simgen.label.frame import tight_box
from simgen.label.masks import DefectMask, ViewMasks, merged, padded, view_masks
from simgen.scene.spec import SceneSpec

# Where rays and rasterizer may differ: pixels at a mask's edge, and few beyond it.
_EDGE_PX = 1
_STRAY_PX = 4
_STRAY_SHARE = 0.002
_SMALL_PX = 8
_BOX_PX = 2


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """A label of `objects[object]` as rays see it: masks of the cropped image, (H, W), bool."""

    object: int
    visible: np.ndarray
    amodal: np.ndarray
    visibility: float
    sizes: dict[str, float]
    exact: bool = True


def audit_frame(
    record: dict[str, Any],
    annotations: list[dict[str, Any]],
    categories: dict[int, tuple[str, str]],
    labels: LabelConfig,
    *,
    own_files: bool = False,
) -> list[str]:
    """Return what is wrong with a frame's labels, as kinds of faults; empty if nothing.

    Args:
        record: The frame's line of frames.jsonl.
        annotations: Its labels.
        categories: (name, supercategory) by category id.
        labels: The conventions that the dataset was made with.
        own_files: See `stored_scene`.

    Raises:
        DatasetError: The record holds no scene.
        ConfigError: It holds one that cannot be built.
        AssetError: A file that the scene names is not here, or may not be read.
        RenderError: The ray caster is not installed.
    """
    scene = stored_scene(record, own_files=own_files)
    faults = []
    if hashlib.sha256(_canonical(record["spec"])).hexdigest() != record.get("spec_sha256"):
        faults.append("scene differs from its hash")
    surfaces = [build_surfaces(item) for item in scene.objects]
    rays = CastScene(scene, surfaces)
    hair = {
        (k, body.defect)
        for k, pair in enumerate(surfaces)
        for body in pair.damaged.bodies
        if body.hair_mm > 0
    }
    masks = merged(view_masks(scene, rays, rays.labels()), scene, labels.merge_mm)
    crop = scene.sensor.crop or (0, 0, scene.camera.width, scene.camera.height)
    at = (slice(crop[1], crop[1] + crop[3]), slice(crop[0], crop[0] + crop[2]))
    erased = record.get("erased") or {}
    gone = (masks.ids != masks.clean_ids)[at] if erased else np.zeros((crop[3], crop[2]), bool)
    seen = {
        **{("part", name): items for name, items in _parts(scene, masks, at).items()},
        **{("defect", n): items for n, items in _defects(scene, masks, at, labels, hair).items()},
    }
    stored: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for annotation in annotations:
        name, supercategory = categories[annotation["category_id"]]
        stored.setdefault((supercategory, name), []).append(annotation)
    # Parts come first, so that a defect's part is known by then.
    owners: dict[int, int] = {}
    for key in sorted(seen.keys() | stored.keys(), reverse=True):
        unrecorded = erased.get(key[1], 0) if key[0] == "defect" else 0
        ignore = gone if key[0] == "part" else np.zeros_like(gone)
        faults += _compare(
            key, stored.get(key, []), seen.get(key, []), unrecorded, ignore, owners, labels.polygons
        )
    return faults


def stored_scene(
    record: dict[str, Any], *, own_files: bool = False, lit: bool = False
) -> SceneSpec:
    """Return the SceneSpec of a frame's record, of a size that can be drawn.

    Args:
        record: The frame's line of frames.jsonl.
        own_files: The scene may name mesh files of the user's, and kinds of defects that
            run `defects/<kind>.py`. A dataset from someone else must not.
        lit: Its light is wanted too, so that it may not name a panorama either.

    Raises:
        DatasetError: It holds none.
        AssetError: It names a file, which it may not.
    """
    frame = str(record.get("frame"))[:20]
    try:
        scene = parse(SceneSpec, record.get("spec"))
    except ConfigError as error:
        raise DatasetError(
            f"frame {frame}: its stored scene cannot be read ({error}); it was made by another"
            " version of simgen, or is damaged"
        ) from None
    camera, crop = scene.camera, scene.sensor.crop
    fits = 0 < camera.width <= MOST_PIXELS and 0 < camera.height <= MOST_PIXELS
    if crop is not None:
        fits &= crop[0] >= 0 and crop[1] >= 0 and crop[2] > 0 and crop[3] > 0
        fits &= crop[0] + crop[2] <= camera.width and crop[1] + crop[3] <= camera.height
    size = (camera.width, camera.height) if crop is None else crop[2:]
    if not fits or size != (record.get("width"), record.get("height")):
        raise DatasetError(f"frame {frame}: its stored scene is not of its image's size; damaged")
    named = next(_own_files(scene, lit), None)
    if named is not None and not own_files:
        raise AssetError(
            f"frame {frame}: its scene needs {named}, outside the dataset; if the dataset is"
            " yours, add files=allow"
        )
    return scene


def _own_files(scene: SceneSpec, lit: bool) -> Iterator[str]:
    """Yield what a scene would read or run that simgen does not ship."""
    image = scene.environment.image
    if lit and image is not None and not _shipped(image.path):
        yield f"the panorama {image.path[:200]!r}"
    for item in scene.objects:
        file = item.shape.file
        if file is not None and not _shipped(file.path):
            yield f"the mesh file {file.path[:200]!r}"
        for defect in (*item.defects, *item.marks):
            if defect.kind not in KINDS:
                yield f"a kind of defect of your own, {defect.kind[:40]!r}"


def _shipped(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return parts[:1] == ("assets",) and ".." not in parts and not Path(path).exists()


def _canonical(spec: Any) -> bytes:
    return json.dumps(spec, sort_keys=True, separators=(",", ":")).encode()


def _parts(scene: SceneSpec, masks: ViewMasks, at: tuple[slice, slice]) -> dict[str, list[_Seen]]:
    found: dict[str, list[_Seen]] = {}
    for k, item in enumerate(scene.objects):
        if item.category is None or k not in masks.amodal:
            continue
        visible = masks.ids[at] == k + 1
        if visible.any():
            amodal = masks.amodal[k][at] | visible
            share = float(visible.sum() / amodal.sum())
            found.setdefault(item.category, []).append(
                _Seen(object=k, visible=visible, amodal=amodal, visibility=share, sizes={})
            )
    return found


def _defects(
    scene: SceneSpec,
    masks: ViewMasks,
    at: tuple[slice, slice],
    labels: LabelConfig,
    hair: set[tuple[int, int]],
) -> dict[str, list[_Seen]]:
    found: dict[str, list[_Seen]] = {}
    for mask in masks.defects:
        visible, amodal = mask.visible[at], mask.amodal[at]
        if not visible.any():
            continue
        share = float(visible.sum() / amodal.sum())
        specs = [scene.objects[mask.object].defects[d] for d in mask.defects]
        padding = labels.padding(specs[0].kind)
        if padding > 0:
            visible = visible | (_dilated(visible, padding) & _on_part(masks, mask, at, scene))
            amodal = amodal | visible
        elif padding < 0:
            visible = padded(visible, padding)
            amodal = padded(amodal, padding) | visible
        largest = max(specs, key=lambda s: max(s.size_mm.values()))
        found.setdefault(specs[0].kind, []).append(
            _Seen(
                object=mask.object,
                visible=visible,
                amodal=amodal,
                visibility=share,
                sizes=dict(largest.size_mm),
                exact=not any((mask.object, d) in hair for d in mask.defects),
            )
        )
    return found


def _on_part(
    masks: ViewMasks, mask: DefectMask, at: tuple[slice, slice], scene: SceneSpec
) -> np.ndarray:
    on: np.ndarray = masks.clean_ids[at] == mask.object + 1
    if not scene.objects[mask.object].defects[mask.defects[0]].missing_material:
        on = on & (masks.ids[at] == mask.object + 1)
    return on


def _compare(
    key: tuple[str, str],
    stored: list[dict[str, Any]],
    seen: list[_Seen],
    unrecorded: int,
    ignore: np.ndarray,
    owners: dict[int, int],
    polygons: bool,
) -> Iterator[str]:
    """Yield the faults of one category: each stored label against the likest one seen."""
    left = list(range(len(seen)))
    shown = [
        decode_mask(polygons_of(s.visible), *s.visible.shape) if polygons else s.visible
        for s in seen
    ]
    for annotation in stored:
        where = f"annotation {annotation['id']}"
        mask = decode_mask(annotation["segmentation"], *ignore.shape)
        overlaps = {i: int((mask & shown[i]).sum()) / int((mask | shown[i]).sum()) for i in left}
        best = max(left, key=lambda i: overlaps[i], default=None)
        if best is None or (overlaps[best] == 0 and mask.sum() > _SMALL_PX):
            yield f"rays see no such {key[0]}: {where}"
            continue
        left.remove(best)
        part = annotation.get("part_annotation_id", 0)
        if key[0] == "part":
            owners[annotation["id"]] = seen[best].object
        elif part and owners.get(part) != seen[best].object:
            yield f"defect is given to another part: {where}"
        if seen[best].exact:
            for kind in _differences(annotation, mask, shown[best], seen[best], ignore):
                yield f"{kind}: {where}"
    missed = sum(int(shown[i].sum()) > _SMALL_PX for i in left)
    if missed > unrecorded:
        yield f"rays see {missed} x {key[1]}, but {unrecorded} are recorded as erased and none here"


def _differences(
    annotation: dict[str, Any],
    mask: np.ndarray,
    shown: np.ndarray,
    seen: _Seen,
    ignore: np.ndarray,
) -> Iterator[str]:
    stray = (mask & ~_dilated(shown, _EDGE_PX)) | (shown & ~_dilated(mask, _EDGE_PX))
    allowed = _STRAY_PX + _STRAY_SHARE * shown.sum()
    if (stray & ~ignore).sum() > allowed:
        yield "mask is not what rays see"
    slack = 2 / np.sqrt(seen.amodal.sum())
    if abs(annotation["visibility"] - seen.visibility) > 0.02 + slack:
        yield "visibility is not what rays see"
    box, expected = annotation["amodal_bbox"], tight_box(seen.amodal)
    stated_ends, seen_ends = (
        np.array([b[0], b[1], b[0] + b[2], b[1] + b[3]]) for b in (box, expected)
    )
    if np.abs(stated_ends - seen_ends).max() > _BOX_PX:
        yield "amodal box is not what rays see"
    stated = annotation.get("defect_mm") or {}
    if any(stated.get(name) != value for name, value in seen.sizes.items()):
        yield "defect_mm is not the scene's"


def _dilated(mask: np.ndarray, pixels: int) -> np.ndarray:
    shape = cv2.MORPH_ELLIPSE if pixels > _EDGE_PX else cv2.MORPH_RECT
    kernel = cv2.getStructuringElement(shape, (2 * pixels + 1, 2 * pixels + 1))
    grown: np.ndarray = cv2.dilate(mask.astype(np.uint8), kernel) > 0
    return grown


def audited_frames(total: int, count: int) -> list[int]:
    """Return `count` frame numbers, evenly spaced over `total` frames."""
    count = min(count, total)
    return sorted({i * total // count for i in range(count)})
