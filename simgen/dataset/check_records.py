"""Are the records of a coco.json sound: kinds of values, ids, categories and counts?"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from simgen.dataset.check_files import Fault
from simgen.dataset.coco_items import coco_items
from simgen.dataset.stored import (
    MOST_FRAMES,
    MOST_PIXELS,
    StoredCategory,
    StoredManifest,
    is_number,
    is_whole,
    known_fields,
)

_LISTS = ("images", "annotations", "categories")
_MOST_ID = MOST_FRAMES * 10_000


def record_faults(coco: Path, manifest: StoredManifest) -> Iterator[Fault]:
    """Yield what is wrong with the records, each and with one another; images unseen.

    Raises:
        DatasetError: The file is no COCO file.
    """
    images, annotations, owners, frames = (array("q") for _ in range(4))
    categories = []
    unread: Counter[str] = Counter()
    for key, record in coco_items(coco, _LISTS):
        if key == "categories":
            categories.append(known_fields(StoredCategory, record))
        elif key == "images" and is_image(record):
            images.append(record["id"])
            frames.append(record["frame"])
        elif key == "annotations" and is_annotation(record):
            annotations.append(record["id"])
            owners.append(record["image_id"])
        else:
            number = record.get("id") if isinstance(record, dict) else record
            yield Fault(
                kind=f"record in {key} is not as documented", where=f"id {str(number)[:40]!r}"
            )
            unread[key] += 1
    for key, numbers in (("images", images), ("annotations", annotations)):
        unique, counts = np.unique(np.asarray(numbers, np.int64), return_counts=True)
        for number in unique[(counts > 1) | (unique < 1)]:
            yield Fault(kind=f"id in {key} is not unique and positive", where=f"id {number}")
    expected = [known_fields(StoredCategory, _plain(c)) for c in manifest.categories]
    if categories != expected:
        yield Fault(kind="categories differ from the manifest", where="coco.json")
    count = len(images) + unread["images"]
    if count != manifest.frames:
        where = f"{count} in coco.json, {manifest.frames} in manifest.json"
        yield Fault(kind="number of frames differs", where=where)
    ids, frame = np.asarray(images, np.int64), np.asarray(frames, np.int64)
    for k in np.flatnonzero(ids != frame + 1):
        yield Fault(kind="image id is not frame + 1", where=f"frame {frame[k]}")
    number, owner = np.asarray(annotations, np.int64), np.asarray(owners, np.int64)
    for k in np.flatnonzero(~np.isin(owner, ids)):
        yield Fault(kind="annotation of an unknown image", where=f"annotation {number[k]}")
    for k in np.flatnonzero((number - 1) // 10_000 + 1 != owner):
        yield Fault(kind="annotation id is not of its frame", where=f"annotation {number[k]}")


class Grouped:
    """The images of a coco.json, each with its annotations; records that are not sound left out.

    Annotations in the order of their images are read along with them; in any other order
    they are gathered first.
    """

    def __init__(self, coco: Path) -> None:
        self._coco = coco
        images, owners = array("q"), array("q")
        for key, record in coco_items(coco, ("images", "annotations")):
            if key == "images" and is_image(record):
                images.append(record["id"])
            elif key == "annotations" and is_annotation(record):
                owners.append(record["image_id"])
        self.count = len(images)
        both = (np.asarray(images, np.int64), np.asarray(owners, np.int64))
        self._sorted = all((np.diff(x) >= 0).all() for x in both)
        self._sorted &= bool(np.isin(both[1], both[0]).all())

    def images(self) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
        """Yield (image, its annotations)."""
        if not self._sorted:
            by_image: dict[int, list[dict[str, Any]]] = defaultdict(list)
            for _, record in coco_items(self._coco, ("annotations",)):
                if is_annotation(record):
                    by_image[record["image_id"]].append(record)
            for image in self._records("images"):
                yield image, by_image[image["id"]]
            return
        annotations = self._records("annotations")
        ahead = next(annotations, None)
        for image in self._records("images"):
            mine = []
            while ahead is not None and ahead["image_id"] == image["id"]:
                mine.append(ahead)
                ahead = next(annotations, None)
            yield image, mine

    def _records(self, key: str) -> Iterator[dict[str, Any]]:
        sound = is_image if key == "images" else is_annotation
        return (record for _, record in coco_items(self._coco, (key,)) if sound(record))


def is_image(record: Any) -> bool:
    """Return whether a COCO image has what docs/dataset.md says, each of its kind."""
    return (
        isinstance(record, dict)
        and is_whole(record.get("id"), -_MOST_ID, _MOST_ID)
        and is_whole(record.get("frame"), 0, MOST_FRAMES)
        and all(is_whole(record.get(k), 1, MOST_PIXELS) for k in ("width", "height"))
        and isinstance(record.get("file_name"), str)
    )


def is_annotation(record: Any) -> bool:
    """Return whether a COCO annotation has what docs/dataset.md says, each of its kind."""
    if not isinstance(record, dict):
        return False
    numbers = [record.get("area"), record.get("visibility")]
    numbers += [record[k] for k in ("contrast", "contrast_ring") if record.get(k) is not None]
    for key in ("bbox", "amodal_bbox"):
        box = record.get(key)
        if not isinstance(box, list) or len(box) != 4:
            return False
        numbers += box
    return (
        all(is_number(v) for v in numbers)
        and all(
            is_whole(record.get(k), -_MOST_ID, _MOST_ID) for k in ("id", "image_id", "category_id")
        )
        and isinstance(record.get("segmentation"), (dict, list))
        and isinstance(record.get("defect_mm", {}), dict)
        and is_whole(record.get("part_annotation_id", 0), 0, _MOST_ID)
    )


def _plain(category: StoredCategory) -> dict[str, Any]:
    return {"id": category.id, "name": category.name, "supercategory": category.supercategory}
