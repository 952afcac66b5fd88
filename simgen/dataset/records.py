"""From one frame to what files hold: encoded image, frame record, COCO annotations."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as rle

from simgen.dataset.segmentation import decode_mask
from simgen.errors import DatasetError
from simgen.label.annotation import Annotation, Frame
from simgen.scene.spec import to_json

ANNOTATIONS_PER_FRAME = 9_999
_JPEG_QUALITY = 95


def frame_record(frame: Frame, *, file_name: str, part_prefix: str) -> dict[str, Any]:
    """Return a frame's line of `frames.jsonl`: where it stands and the settled SceneSpec.

    `part` names the physical scene; frames of one scene show the same parts, so
    a split must keep them together.
    """
    spec = to_json(frame.spec)
    height, width = frame.image.shape[:2]
    return {
        "frame": frame.index,
        "file_name": file_name,
        "width": width,
        "height": height,
        "scene": frame.scene_index,
        "view": frame.view,
        "exposure": frame.exposure,
        "part": f"{part_prefix}s{frame.scene_index:06d}",
        "erased": dict(sorted(frame.erased.items())),
        "spec_sha256": hashlib.sha256(spec.encode()).hexdigest(),
        "spec": json.loads(spec),
    }


def annotation_records(
    frame: Frame, *, categories: tuple[tuple[str, str], ...], polygons: bool
) -> Iterator[dict[str, Any]]:
    """Yield a frame's annotations as COCO records with our additional fields.

    Args:
        frame: The frame; `Annotation.part` counts within `frame.annotations`.
        categories: (name, supercategory); position + 1 is the category id.
        polygons: Polygons in place of RLE; holes are lost, and box and area are
            those of what the polygons decode to.

    Raises:
        DatasetError: More annotations than the id scheme has room for.
        ValueError: An annotation breaks its contract (a bug, not bad input).
    """
    if len(frame.annotations) > ANNOTATIONS_PER_FRAME:
        raise DatasetError(
            f"frame {frame.index}: {len(frame.annotations)} annotations,"
            f" at most {ANNOTATIONS_PER_FRAME} fit into its ids; use fewer objects"
        )
    ids = {category: i for i, category in enumerate(categories, start=1)}
    for j, annotation in enumerate(frame.annotations):
        category = (annotation.category, annotation.supercategory)
        if category not in ids:
            raise ValueError(f"frame {frame.index}: {category} is not a category of the scene")
        if annotation.mask.shape != frame.image.shape[:2] or not annotation.mask.any():
            raise ValueError(f"frame {frame.index}: annotation {j} has no mask of the image's size")
        record = {
            "id": _annotation_id(frame, j),
            "image_id": frame.index + 1,
            "category_id": ids[category],
            **_mask_fields(annotation.mask, polygons),
            "iscrowd": 0,
            "visibility": annotation.visibility,
            "amodal_bbox": [float(v) for v in annotation.amodal_bbox],
        }
        if annotation.supercategory == "defect":
            record |= _defect_fields(frame, annotation)
        yield record


def encode_image(image: np.ndarray, file_name: str, *, quality: int = 0) -> bytes:
    """Return an image in the format of `file_name`.

    Args:
        image: uint8, shape (H, W) mono or (H, W, 3) RGB.
        file_name: Ends in .png (lossless) or .jpg.
        quality: JPEG quality; 0 is our default of 95. What the sensor has already
            compressed loses next to nothing when it is stored at the same quality.
    """
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    # OpenCV's own PNG settings (one filter, runs only) take half the CPU time of its level 1
    # on a noisy image, and less room.
    options = (
        [] if file_name.endswith(".png") else [cv2.IMWRITE_JPEG_QUALITY, quality or _JPEG_QUALITY]
    )
    done, data = cv2.imencode(file_name[file_name.rindex(".") :], pixels, options)
    if not done:
        raise ValueError(f"{file_name}: OpenCV cannot encode {image.dtype} {image.shape}")
    return data.tobytes()


def polygons_of(mask: np.ndarray) -> list[list[float]]:
    """Return the outlines of a mask along pixel edges, holes filled.

    Args:
        mask: Shape (H, W), bool.

    Returns:
        One flat list x0, y0, x1, y1, ... for each connected piece, in COCO
        coordinates, where pixel (x, y) covers [x, x + 1).
    """
    # At twice the size an outline through pixel centres has even coordinates on
    # left and upper borders and odd ones on right and lower borders, which gives
    # the pixel edges exactly; a plain findContours loses half a pixel all around.
    double = np.repeat(np.repeat(mask.astype(np.uint8), 2, axis=0), 2, axis=1)
    outlines, _ = cv2.findContours(double, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    result = []
    for outline in outlines:
        corners = outline_corners((outline[:, 0, :] + 1) // 2)
        result.append([float(v) for v in corners.reshape(-1)])
    return result


def json_line(record: dict[str, Any]) -> bytes:
    """Return a record as one line of JSON lines."""
    return (json.dumps(record, separators=(",", ":"), allow_nan=False) + "\n").encode()


def outline_corners(points: np.ndarray) -> np.ndarray:
    """Return a closed outline, shape (N, 2), without points straight between their neighbours."""
    moved = (points != np.roll(points, 1, axis=0)).any(axis=1)
    points = points[moved]
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    turns = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    backwards = (before * after).sum(axis=1) < 0
    return points[turns | backwards]


def _mask_fields(mask: np.ndarray, polygons: bool) -> dict[str, Any]:
    segmentation: Any
    if polygons:
        segmentation = polygons_of(mask)
        mask = decode_mask(segmentation, *mask.shape)
    else:
        packed = rle.encode(np.asfortranarray(mask, dtype=np.uint8))
        segmentation = {"size": list(mask.shape), "counts": packed["counts"].decode()}
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    x, y = int(columns[0]), int(rows[0])
    box = [x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1]
    return {"segmentation": segmentation, "area": int(mask.sum()), "bbox": box}


def _defect_fields(frame: Frame, annotation: Annotation) -> dict[str, Any]:
    # 0 is no annotation's id: where material is missing, the part may have no pixel left.
    part = 0 if annotation.part is None else _annotation_id(frame, annotation.part)
    return {
        "part_annotation_id": part,
        "defect_mm": {k: float(v) for k, v in sorted(annotation.defect_mm.items())},
        "contrast": annotation.contrast,
        "contrast_ring": annotation.contrast_ring,
        "missing_material": bool(annotation.missing_material),
    }


def _annotation_id(frame: Frame, position: int) -> int:
    return frame.index * 10_000 + position + 1
