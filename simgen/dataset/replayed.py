"""Is a frame that was rendered again the one that a dataset holds?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from simgen.dataset.audit import stored_scene
from simgen.dataset.check_records import is_annotation
from simgen.dataset.identity import flat
from simgen.dataset.pictures import read_image
from simgen.dataset.records import annotation_records, encode_image
from simgen.dataset.segmentation import decode_mask
from simgen.dataset.shards import CommittedShard, ShardStyle, read_shard, shard_manifests
from simgen.dataset.stored import inside, read_jsonl
from simgen.errors import DatasetError
from simgen.label.annotation import Frame
from simgen.sampling import FrameIndex
from simgen.scene.spec import SceneSpec

# What another driver or CPU may change: last bits of a float, and so a level here and
# there, and at edges the sample that a pixel takes.
_LEVELS = 8
_PIXEL_SHARE = 0.01
_MASK_SHARE = 0.05
_MASK_PX = 8
_VALUE_SHARE = 0.1
_EXACT = ("id", "image_id", "category_id", "part_annotation_id", "defect_mm", "missing_material")


@dataclass(frozen=True, kw_only=True)
class StoredFrame:
    """A frame as a dataset holds it.

    Attributes:
        index: Where it stands.
        scene: Its settled scene.
        record: Its line of frames.jsonl.
        annotations: Its labels.
        image: Its image's file.
        shard: The shard that holds it.
    """

    index: FrameIndex
    scene: SceneSpec
    record: dict[str, Any]
    annotations: tuple[dict[str, Any], ...]
    image: Path
    shard: CommittedShard


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """How a frame rendered again compares with the stored one.

    Attributes:
        same_bytes: The image's file and all labels are equal to the bit.
        changed_pixels: Share of the pixels that differ at all.
        far_pixels: Share of the pixels that differ by more than 8 levels.
        largest: Largest difference of a pixel, in levels.
        labels: What differs in the labels, one line each.
        within: The differences are such as another driver or CPU makes.
        environment: `key: then -> now` of what the two were made with.
    """

    same_bytes: bool
    changed_pixels: float
    far_pixels: float
    largest: int
    labels: tuple[str, ...]
    within: bool
    environment: tuple[str, ...]


def read_frame(folder: Path, number: int, *, own_files: bool = False) -> StoredFrame:
    """Return frame `number` of a dataset from its shard alone.

    Raises:
        DatasetError: No shard holds it, or its record is damaged.
        AssetError: See `audit.stored_scene`.
    """
    shards = [read_shard(path) for path in shard_manifests(folder)]
    shard = next((s for s in shards if s.range.first <= number < s.range.stop), None)
    if shard is None:
        last = max((s.range.stop for s in shards), default=0) - 1
        raise DatasetError(f"frame: {folder} holds no frame {number}; its last one is {last}")
    frames = read_jsonl(inside(shard.folder, "frames.jsonl"))
    record = next((r for r in frames if r.get("frame") == number), None)
    if record is None:
        raise DatasetError(f"{shard.folder}: frame {number} is missing; run simgen check {folder}")
    lines = read_jsonl(inside(shard.folder, "annotations.jsonl"))
    annotations = tuple(a for a in lines if a.get("image_id") == number + 1)
    if not all(is_annotation(a) for a in annotations):
        raise DatasetError(
            f"{shard.folder}: a label of frame {number} is not as documented;"
            f" run simgen check {folder}"
        )
    places: list[Any] = [record.get(key) for key in ("scene", "view", "exposure")]
    if not all(isinstance(p, int) and p >= 0 for p in places):
        raise DatasetError(f"{shard.folder}: frame {number} does not say where it stands; damaged")
    return StoredFrame(
        index=FrameIndex(frame=number, scene=places[0], view=places[1], exposure=places[2]),
        scene=stored_scene(record, own_files=own_files, lit=True),
        record=record,
        annotations=annotations,
        image=inside(shard.folder, record.get("file_name")),
        shard=shard,
    )


def compare_frame(
    stored: StoredFrame, frame: Frame, style: ShardStyle, made_with: dict[str, Any]
) -> Replayed:
    """Compare a frame that was rendered again with the stored one.

    Args:
        stored: What the dataset holds.
        frame: What was rendered from its scene.
        style: How the dataset's labels are written.
        made_with: Renderer and versions now.

    Raises:
        DatasetError: The stored image is missing or damaged.
    """
    data = encode_image(frame.image, stored.image.name, quality=frame.spec.sensor.jpeg_quality)
    before = read_image(stored.image)
    now = _decoded(data)
    labels = list(annotation_records(frame, categories=style.categories, polygons=style.polygons))
    same_labels = list(stored.annotations) == labels
    if before.shape != now.shape:
        raise DatasetError(
            f"{stored.image}: is {before.shape}, its scene gives {now.shape}; run simgen check"
        )
    difference = np.abs(before.astype(np.int32) - now.astype(np.int32))
    difference = difference.max(axis=2) if difference.ndim == 3 else difference
    far = float((difference > _LEVELS).mean())
    lines, close = _label_differences(stored, labels, frame.image.shape[:2])
    erased = stored.record.get("erased")
    if erased != dict(frame.erased):
        lines.append(f"erased: {erased} -> {dict(frame.erased)}")
        close = False
    return Replayed(
        same_bytes=stored.image.read_bytes() == data and same_labels and not lines,
        changed_pixels=float((difference > 0).mean()),
        far_pixels=far,
        largest=int(difference.max(initial=0)),
        labels=tuple(lines),
        within=far <= _PIXEL_SHARE and close,
        environment=tuple(_environment(stored.shard.made_with, made_with)),
    )


def _decoded(data: bytes) -> np.ndarray:
    pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def _label_differences(
    stored: StoredFrame, labels: list[dict[str, Any]], size: tuple[int, ...]
) -> tuple[list[str], bool]:
    """Return what differs, and whether all of it is small."""
    before: dict[Any, dict[str, Any]] = {a.get("id"): a for a in stored.annotations}
    now = {a["id"]: a for a in labels}
    lines = [f"annotation {n}: only in the dataset" for n in before.keys() - now.keys()]
    lines += [f"annotation {n}: only rendered now" for n in now.keys() - before.keys()]
    close = not lines
    for number in sorted(before.keys() & now.keys()):
        old, new = before[number], now[number]
        for key in new.keys() | old.keys():
            if old.get(key) == new.get(key):
                continue
            if key == "segmentation":
                changed, small = _mask_difference(old.get(key), new[key], size)
                lines.append(f"annotation {number}: mask differs in {changed} pixels")
            else:
                lines.append(f"annotation {number}: {key} {old.get(key)} -> {new.get(key)}")
                small = key not in _EXACT and _near(old.get(key), new.get(key))
            close &= small
    return lines, close


def _mask_difference(old: Any, new: Any, size: tuple[int, ...]) -> tuple[int, bool]:
    try:
        a, b = decode_mask(old, *size), decode_mask(new, *size)
    except ValueError:
        return size[0] * size[1], False
    changed = int((a != b).sum())
    return changed, changed <= max(_MASK_PX, _MASK_SHARE * int(b.sum()))


def _near(old: Any, new: Any) -> bool:
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return all(_near(a, b) for a, b in zip(old, new, strict=True))
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in (old, new))
    return numbers and abs(old - new) <= max(2.0, _VALUE_SHARE * abs(old))


def _environment(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    old, new = flat(before), flat(now)
    return [
        f"{key}: {old.get(key, '(none)')} -> {new.get(key, '(none)')}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key) and not key.startswith("renderer.assets")
    ]
