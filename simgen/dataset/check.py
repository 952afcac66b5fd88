"""Is a dataset on disk what its manifest says, and is every label exact?"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from simgen.dataset.files import sha256_of
from simgen.dataset.records import decode_mask
from simgen.dataset.shards import read_shards
from simgen.errors import DatasetError


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong: what kind of thing, and where."""

    kind: str
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a check found.

    Attributes:
        faults: In the order in which they were found.
        images: Number of images; `clean_images` of them have no defect.
        categories: For each category its statistics: `instances`, percentiles 5, 50
            and 95 of `longest_side_px`, the share that is `partly_hidden`, and for
            defects percentiles of `contrast`.
    """

    faults: tuple[Fault, ...]
    images: int
    clean_images: int
    categories: dict[str, dict[str, Any]]


def check_dataset(
    folder: Path, *, progress: Callable[[Iterable[Any], int], Iterable[Any]] | None = None
) -> Checked:
    """Check files against manifests, records against one another, and every mask.

    Args:
        folder: The dataset.
        progress: Wraps the iteration over images, given it and their number.

    Raises:
        DatasetError: There is no dataset, or its coco.json or manifest.json cannot be read.
    """
    coco, manifest = _load(folder / "coco.json"), _load(folder / "manifest.json")
    faults = [*_file_faults(folder, manifest), *_record_faults(coco, manifest)]
    categories = {c["id"]: c for c in coco["categories"]}
    by_image: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for annotation in coco["annotations"]:
        by_image[annotation["image_id"]].append(annotation)
    images = coco["images"]
    for image in progress(images, len(images)) if progress else images:
        faults += _image_faults(folder, image, by_image[image["id"]], categories)
    defects = {i for i, c in categories.items() if c["supercategory"] == "defect"}
    clean = sum(
        all(a["category_id"] not in defects for a in by_image[image["id"]]) for image in images
    )
    return Checked(
        faults=tuple(faults),
        images=len(images),
        clean_images=clean,
        categories=_statistics(coco["annotations"], categories),
    )


def _load(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read ({error}); render the dataset again") from None
    if not isinstance(value, dict):
        raise DatasetError(f"{path}: holds no mapping; render the dataset again")
    return value


def _file_faults(folder: Path, manifest: dict[str, Any]) -> Iterator[Fault]:
    for name in ("config.yaml", "card.md"):
        if not (folder / name).is_file():
            yield Fault(kind="file is missing", where=name)
    if sha256_of(folder / "coco.json") != manifest["coco_sha256"]:
        yield Fault(kind="file differs from its hash", where="coco.json")
    shards = read_shards(folder)
    listed = {shard["name"]: shard for shard in manifest["shards"]}
    for name in sorted(listed.keys() ^ {s.range.name for s in shards}):
        where = "not on disk" if name in listed else "not in manifest.json"
        yield Fault(kind="shard is unknown or missing", where=f"shards/{name} is {where}")
    position = 0
    for shard in shards:
        where = f"shards/{shard.range.name}"
        if shard.range.first != position:
            yield Fault(
                kind="frames are missing", where=f"frames {position} to {shard.range.first - 1}"
            )
        position = shard.range.stop
        entry = listed.get(shard.range.name)
        if entry and sha256_of(shard.folder / "manifest.json") != entry["manifest_sha256"]:
            yield Fault(kind="file differs from its hash", where=f"{where}/manifest.json")
        if shard.config_sha256 != manifest["config_sha256"]:
            yield Fault(kind="shard was made with another config", where=where)
        for name, expected in shard.files.items():
            path = shard.folder / name
            if not path.is_file():
                yield Fault(kind="file is missing", where=f"{where}/{name}")
            elif sha256_of(path) != expected:
                yield Fault(kind="file differs from its hash", where=f"{where}/{name}")


def _record_faults(coco: dict[str, Any], manifest: dict[str, Any]) -> Iterator[Fault]:
    for key in ("images", "annotations", "categories"):
        counts = Counter(record["id"] for record in coco[key])
        for number, count in counts.items():
            if count > 1 or number < 1:
                yield Fault(kind=f"id in {key} is not unique and positive", where=f"id {number}")
    if coco["categories"] != manifest["categories"]:
        yield Fault(kind="categories differ from the manifest", where="coco.json")
    if len(coco["images"]) != manifest["frames"]:
        where = f"{len(coco['images'])} in coco.json, {manifest['frames']} in manifest.json"
        yield Fault(kind="number of frames differs", where=where)
    for image in coco["images"]:
        if image["id"] != image["frame"] + 1:
            yield Fault(kind="image id is not frame + 1", where=_frame(image))
    images = {image["id"] for image in coco["images"]}
    for annotation in coco["annotations"]:
        where = f"annotation {annotation['id']}"
        if annotation["image_id"] not in images:
            yield Fault(kind="annotation of an unknown image", where=where)
        if (annotation["id"] - 1) // 10_000 + 1 != annotation["image_id"]:
            yield Fault(kind="annotation id is not of its frame", where=where)


def _image_faults(
    folder: Path,
    image: dict[str, Any],
    annotations: list[dict[str, Any]],
    categories: dict[int, dict[str, Any]],
) -> Iterator[Fault]:
    pixels = cv2.imread(str(folder / image["file_name"]), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        yield Fault(kind="image is missing or damaged", where=_frame(image))
        return
    size = (image["height"], image["width"])
    if pixels.shape[:2] != size:
        yield Fault(kind="image size differs from its record", where=_frame(image))
        return
    if pixels.std() < 1:
        yield Fault(kind="image is blank", where=_frame(image))
    masks = {a["id"]: decode_mask(a["segmentation"], *size) for a in annotations}
    for annotation in annotations:
        where = f"{_frame(image)}, annotation {annotation['id']}"
        category = categories.get(annotation["category_id"])
        if category is None:
            yield Fault(kind="unknown category", where=where)
            continue
        kinds = list(_label_faults(annotation, masks[annotation["id"]]))
        if category["supercategory"] == "defect":
            kinds += _defect_faults(annotation, masks)
        for kind in kinds:
            yield Fault(kind=kind, where=where)


def _label_faults(annotation: dict[str, Any], mask: np.ndarray) -> Iterator[str]:
    if not mask.any():
        yield "mask is empty"
        return
    ys, xs = np.nonzero(mask)
    left, top, right, bottom = xs.min(), ys.min(), xs.max() + 1, ys.max() + 1
    if annotation["bbox"] != [left, top, right - left, bottom - top]:
        yield "box is not the bounds of the mask"
    if annotation["area"] != len(xs):
        yield "area is not the mask's"
    if not 0 < annotation.get("visibility", 0) <= 1:
        yield "visibility is not in (0, 1]"
    x, y, width, height = annotation.get("amodal_bbox", (0, 0, 0, 0))
    if left < x or top < y or right > x + width or bottom > y + height:
        yield "visible pixels lie outside the amodal box"


def _defect_faults(annotation: dict[str, Any], masks: dict[int, np.ndarray]) -> Iterator[str]:
    for key in ("part_annotation_id", "defect_mm", "contrast", "contrast_ring"):
        if annotation.get(key) is None:
            yield f"defect has no {key}"
    if annotation.get("missing_material"):
        return
    part = masks.get(annotation.get("part_annotation_id", 0))
    if part is None:
        yield "defect on a part that is not labelled"
    elif (masks[annotation["id"]] & ~part).any():
        yield "defect pixels outside its part"


def _statistics(
    annotations: list[dict[str, Any]], categories: dict[int, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    grouped: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for annotation in annotations:
        grouped[annotation["category_id"]].append(annotation)
    result: dict[str, dict[str, Any]] = {}
    for number, category in categories.items():
        of_kind = grouped[number]
        entry: dict[str, Any] = {
            "supercategory": category["supercategory"],
            "instances": len(of_kind),
        }
        if of_kind:
            hidden = [a.get("visibility", 0) < 0.95 for a in of_kind]
            entry["partly_hidden"] = round(float(np.mean(hidden)), 3)
            entry["longest_side_px"] = _percentiles([max(a["bbox"][2:]) for a in of_kind])
            contrasts = [a["contrast"] for a in of_kind if a.get("contrast") is not None]
            if contrasts:
                entry["contrast"] = _percentiles(contrasts)
        result[category["name"]] = entry
    return result


def _percentiles(values: list[float]) -> list[float]:
    return [round(float(v), 1) for v in np.percentile(values, [5, 50, 95])]


def _frame(image: dict[str, Any]) -> str:
    return f"frame {image['frame']}"
