"""Is every label of an image exact, and the one that its shard holds?"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simgen.config.render import RenderConfig
from simgen.dataset.check_files import Fault
from simgen.dataset.check_outputs import output_faults
from simgen.dataset.coco import image_record
from simgen.dataset.pictures import read_image
from simgen.dataset.segmentation import decode_mask
from simgen.dataset.shards import CommittedShard
from simgen.dataset.stored import inside, read_jsonl
from simgen.errors import DatasetError

Annotations = list[dict[str, Any]]


class ShardRecords:
    """Frames and annotations of a dataset's shards; one shard's are in memory."""

    def __init__(self, shards: Sequence[CommittedShard]) -> None:
        self._shards = shards
        self._firsts = [shard.range.first for shard in shards]
        self._held: CommittedShard | None = None
        self._frames: dict[int, dict[str, Any]] = {}
        self._annotations: dict[int, Annotations] = {}
        self._poses: dict[int, dict[str, Any]] = {}

    def of(self, frame: int) -> tuple[dict[str, Any] | None, Annotations]:
        """Return a frame's record and annotations, None if no shard that can be read has it."""
        self._load(frame)
        return self._frames.get(frame), self._annotations.get(frame, [])

    def pose(self, frame: int) -> dict[str, Any] | None:
        """Return a frame's line of poses.jsonl, None if there is none."""
        self._load(frame)
        return self._poses.get(frame)

    def shard_of(self, frame: int) -> CommittedShard | None:
        """Return the shard that holds a frame."""
        k = bisect_right(self._firsts, frame) - 1
        return self._shards[k] if k >= 0 and frame < self._shards[k].range.stop else None

    def has_scene(self, frame: int) -> bool:
        """Return whether a frame was drawn from its SceneSpec, by one of our renderers."""
        shard = self.shard_of(frame)
        return shard is not None and isinstance(shard.made_with["renderer"].get("name"), str)

    def _load(self, frame: int) -> None:
        shard = self.shard_of(frame)
        if shard is self._held:
            return
        self._held = shard
        self._frames, self._annotations, self._poses = {}, {}, {}
        if shard is None:
            return
        try:
            self._frames = _by_frame(shard.folder / "frames.jsonl")
            grouped: dict[int, Annotations] = defaultdict(list)
            for record in read_jsonl(shard.folder / "annotations.jsonl"):
                number = record.get("image_id")
                grouped[number - 1 if isinstance(number, int) else -1].append(record)
            self._annotations = dict(grouped)
            if (shard.folder / "poses.jsonl").is_file():
                self._poses = _by_frame(shard.folder / "poses.jsonl")
        except DatasetError:
            # Found by the check of files already; its frames are without records.
            self._frames = {}


def image_faults(
    folder: Path,
    image: dict[str, Any],
    annotations: Annotations,
    categories: dict[int, tuple[str, str]],
    records: ShardRecords,
    config: RenderConfig | None,
) -> Iterator[Fault]:
    """Yield what is wrong with an image and its labels.

    Args:
        folder: The dataset.
        image: Its record in coco.json.
        annotations: Its annotations there.
        categories: (name, supercategory) by category id.
        records: What the shards say of the same frame.
        config: What the dataset was made with, if that can be read.
    """
    frame = f"frame {image['frame']}"
    for where, kind in _shard_faults(image, annotations, records):
        yield Fault(kind=kind, where=f"{frame}{where}")
    size = (image["height"], image["width"])
    try:
        path = inside(folder, image["file_name"])
    except DatasetError as error:
        yield Fault(kind="image leads out of the dataset", where=f"{frame}: {error}")
        return
    try:
        pixels = read_image(path)
    except DatasetError:
        yield Fault(kind="image is missing or damaged", where=frame)
        return
    if pixels.shape[:2] != size:
        yield Fault(kind="image size differs from its record", where=frame)
        return
    if pixels.std() < 1:
        yield Fault(kind="image is blank", where=frame)
    masks = {}
    for annotation in annotations:
        where = f"{frame}, annotation {annotation['id']}"
        try:
            masks[annotation["id"]] = decode_mask(annotation["segmentation"], *size)
        except ValueError as error:
            yield Fault(kind="mask cannot be decoded", where=f"{where} ({error})")
    for annotation in annotations:
        where = f"{frame}, annotation {annotation['id']}"
        category = categories.get(annotation["category_id"])
        if category is None:
            yield Fault(kind="unknown category", where=where)
        elif annotation["id"] in masks:
            kinds = list(_label_faults(annotation, masks[annotation["id"]]))
            if category[1] == "defect":
                kinds += _defect_faults(annotation, masks)
            for kind in kinds:
                yield Fault(kind=kind, where=where)
    shard = records.shard_of(image["frame"])
    if config is not None and shard is not None:
        parts = {
            a["id"]: masks[a["id"]]
            for a in annotations
            if a["id"] in masks and categories.get(a["category_id"], ("", ""))[1] == "part"
        }
        pose = records.pose(image["frame"])
        for kind in output_faults(shard.folder, image, parts, pose, config):
            yield Fault(kind=kind, where=frame)


def _by_frame(path: Path) -> dict[int, dict[str, Any]]:
    return {
        record["frame"]: record
        for record in read_jsonl(path)
        if isinstance(record.get("frame"), int)
    }


def _shard_faults(
    image: dict[str, Any], annotations: Annotations, records: ShardRecords
) -> Iterator[tuple[str, str]]:
    """Yield (where, kind) for each way in which coco.json is not what the shard says."""
    record, stored = records.of(image["frame"])
    shard = records.shard_of(image["frame"])
    if record is None or shard is None:
        return
    try:
        expected = image_record(record, shard.folder / "frames.jsonl")
    except DatasetError:
        yield "", "frame's record in its shard is not as documented"
        return
    if image != expected:
        keys = [k for k in expected if image.get(k) != expected[k]] or sorted(
            image.keys() - expected
        )
        yield f" ({', '.join(map(str, keys))})", "image differs from its shard's record"
    by_id = {a.get("id"): a for a in stored if isinstance(a.get("id"), int)}
    for annotation in annotations:
        same = by_id.pop(annotation["id"], None)
        where = f", annotation {annotation['id']}"
        if same is None:
            yield where, "label is not in its shard"
        elif same != annotation:
            keys = [k for k in {**same, **annotation} if same.get(k) != annotation.get(k)]
            yield f"{where} ({', '.join(map(str, keys))})", "label differs from its shard's record"
    for number in by_id:
        yield f", annotation {number}", "label of the shard is not in coco.json"


def _label_faults(annotation: dict[str, Any], mask: np.ndarray) -> Iterator[str]:
    if not mask.any():
        yield "mask is empty"
        return
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    left, top, right, bottom = int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1
    if annotation["bbox"] != [left, top, right - left, bottom - top]:
        yield "box is not the bounds of the mask"
    if annotation["area"] != int(mask.sum()):
        yield "area is not the mask's"
    if not 0 < annotation["visibility"] <= 1:
        yield "visibility is not in (0, 1]"
    x, y, width, height = annotation["amodal_bbox"]
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
