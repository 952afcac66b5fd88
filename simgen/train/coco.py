"""Read one COCO file and its images strictly: nothing broken passes, nothing is guessed."""

import hashlib
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from simgen.config import suggest
from simgen.dataset.segmentation import decode_mask
from simgen.dataset.stored import decode_json, inside
from simgen.errors import ConfigError, DatasetError
from simgen.train.images import LabelledImage, LabelledObject, Source

# What an annotation may say beside COCO's fields; slices of an evaluation are made of it.
_SAID_OF_OBJECTS = ("visibility", "contrast", "contrast_ring")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How to read a source.

    Attributes:
        name: The source's name.
        rename: Category names of the source to the names of our classes.
        exclude: Categories that are left out with every image that shows one.
        exclude_key: Key that sets them, for messages.
        supercategories: Annotations of other supercategories are ignored; a category
            without one counts as a defect.
        require_part: Every image must name its physical part.
        clean_by_part: An image without annotation counts as clean only if no image of its
            part is annotated. Needed for photographs, where annotators skip images; not
            for renders, where a defect that is out of sight is known to be.
    """

    name: str
    rename: Mapping[str, str]
    exclude: tuple[str, ...] = ()
    exclude_key: str = "real.exclude"
    supercategories: tuple[str, ...] = ("defect",)
    require_part: bool = True
    clean_by_part: bool = True


def read_json(file: Path) -> dict[str, Any]:
    """Return the content of a COCO file.

    Raises:
        DatasetError: It is missing, no JSON, or lacks one of the three lists.
    """
    try:
        data = decode_json(file.read_bytes())
    except OSError:
        raise DatasetError(f"{file}: cannot be read; check the path") from None
    except ValueError as error:
        raise DatasetError(f"{file}: is not valid JSON ({error}); restore the file") from None
    for name in ("images", "annotations", "categories"):
        if not isinstance(data, dict) or not isinstance(data.get(name), list):
            raise DatasetError(f"{file}: has no list {name!r}; it is not a COCO file")
    return data


def read_source(file: Path, image_folder: Path, reading: Reading) -> Source:
    """Return the images of a COCO file, decoded, with their objects.

    An image that shows an excluded category is left out. So is, with `clean_by_part`, an
    image without annotation whose part is annotated elsewhere: it is neither labelled nor
    known to be clean.

    Args:
        file: The COCO file.
        image_folder: The folder that `file_name` is relative to.
        reading: What to take from it.

    Raises:
        DatasetError: An id is not unique, an annotation points nowhere, or an image is
            missing, unreadable or of another size than its record says.
        ConfigError: A category to rename or exclude does not exist.
    """
    data = read_json(file)
    categories = _categories(data, file, reading)
    records = _unique(data["images"], "image", file)
    annotations = _by_image(data, categories, records, file)
    wanted = {
        number
        for number, category in categories.items()
        if category.get("supercategory") in (None, *reading.supercategories)
    }
    defects = {
        i: [a for a in anns if a["category_id"] in wanted] for i, anns in annotations.items()
    }
    marked_parts = {_part(records[i], file, reading) for i, anns in defects.items() if anns}

    digest = hashlib.sha256(file.read_bytes())
    images = []
    for image_id in sorted(records):
        record, marks = records[image_id], defects.get(image_id, [])
        part = _part(record, file, reading)
        excluded = any(categories[a["category_id"]]["name"] in reading.exclude for a in marks)
        unsure = reading.clean_by_part and not marks and part in marked_parts
        if excluded or unsure:
            continue
        path = inside(image_folder, record.get("file_name"))
        pixels, content = _pixels(path, record)
        digest.update(hashlib.sha256(content).digest())
        objects = tuple(_object(a, categories, record, file, reading) for a in marks)
        images.append(
            LabelledImage(
                image_id=image_id,
                file=path,
                pixels=pixels,
                part=part,
                objects=objects,
                attributes=dict(record.get("attributes") or {}),
            )
        )
    if not images:
        raise DatasetError(
            f"{file}: holds no usable image; check {reading.exclude_key} and the labels"
        )
    return Source(name=reading.name, images=tuple(images), sha256=digest.hexdigest())


def _categories(data: dict[str, Any], file: Path, reading: Reading) -> dict[int, dict[str, Any]]:
    categories = _unique(data["categories"], "category", file)
    names = [str(c.get("name")) for c in categories.values()]
    for name in reading.rename:
        if name not in names:
            key = f"train.categories.{reading.name}.{name}"
            raise ConfigError(f"{key}: {file} has no such category{suggest(name, names)}")
    for name in reading.exclude:
        if name not in names:
            raise ConfigError(
                f"{reading.exclude_key}: {file} has no category {name!r}{suggest(name, names)}"
            )
    return categories


def _unique(items: list[Any], what: str, file: Path) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for item in items:
        number = item.get("id") if isinstance(item, dict) else None
        if not isinstance(number, int) or number < 1:
            raise DatasetError(f"{file}: {what} id {number!r} is not a positive whole number")
        if number in found:
            raise DatasetError(f"{file}: {what} id {number} occurs twice; ids must be unique")
        found[number] = item
    return found


def _by_image(
    data: dict[str, Any],
    categories: Mapping[int, Any],
    records: Mapping[int, Any],
    file: Path,
) -> dict[int, list[dict[str, Any]]]:
    grouped: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for number, annotation in _unique(data["annotations"], "annotation", file).items():
        if annotation.get("image_id") not in records:
            raise DatasetError(f"{file}: annotation {number} names an image that does not exist")
        if annotation.get("category_id") not in categories:
            raise DatasetError(f"{file}: annotation {number} names a category that does not exist")
        grouped[annotation["image_id"]].append(annotation)
    return grouped


def _part(record: Mapping[str, Any], file: Path, reading: Reading) -> str:
    part = record.get("part")
    if isinstance(part, str) and part:
        return part
    if reading.require_part:
        raise DatasetError(f"{file}: image {record['id']} names no part; splits are made by part")
    # Frames of one rendered scene show the same physical parts.
    return f"scene{record['scene']}" if "scene" in record else f"image{record['id']}"


def _pixels(path: Path, record: Mapping[str, Any]) -> tuple[np.ndarray, bytes]:
    try:
        content = path.read_bytes()
    except OSError:
        raise DatasetError(f"{path}: image is missing; restore it or its dataset") from None
    try:
        with Image.open(path) as picture:
            mono = picture.mode in ("1", "L", "I", "I;16", "F")
            pixels = np.array(picture.convert("L" if mono else "RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DatasetError(f"{path}: image cannot be decoded ({error}); restore it") from None
    height, width = pixels.shape[:2]
    if (width, height) != (record.get("width"), record.get("height")):
        said = f"{record.get('width')}x{record.get('height')}"
        raise DatasetError(f"{path}: is {width}x{height} pixels but its record says {said}")
    pixels.flags.writeable = False
    return pixels, content


def _object(
    annotation: Mapping[str, Any],
    categories: Mapping[int, Mapping[str, Any]],
    record: Mapping[str, Any],
    file: Path,
    reading: Reading,
) -> LabelledObject:
    name = str(categories[annotation["category_id"]]["name"])
    box = annotation.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(_is_number(v) for v in box):
        raise DatasetError(f"{file}: annotation {annotation['id']} has no box of four numbers")
    if min(box[2:]) <= 0:
        raise DatasetError(f"{file}: annotation {annotation['id']} has an empty box {box}")
    mask, corner = _mask(annotation, record, file)
    x, y, width, height = (float(v) for v in box)
    kind = reading.rename.get(name, name)
    said = annotation.get("attributes")
    attributes = dict(said) if isinstance(said, dict) else {}
    attributes |= {k: annotation[k] for k in _SAID_OF_OBJECTS if k in annotation}
    return LabelledObject(
        kind=kind, box=(x, y, width, height), mask=mask, corner=corner, attributes=attributes
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _mask(
    annotation: Mapping[str, Any], record: Mapping[str, Any], file: Path
) -> tuple[np.ndarray | None, tuple[int, int]]:
    shape = annotation.get("segmentation")
    if not shape:
        return None, (0, 0)
    height, width = record["height"], record["width"]
    try:
        full = decode_mask(shape, height, width)
    except ValueError:
        number = annotation["id"]
        raise DatasetError(
            f"{file}: annotation {number} has a mask that cannot be decoded"
        ) from None
    if not full.any():
        raise DatasetError(f"{file}: annotation {annotation['id']} has an empty or misplaced mask")
    rows, columns = np.nonzero(full.any(axis=1))[0], np.nonzero(full.any(axis=0))[0]
    top, left = int(rows[0]), int(columns[0])
    # A copy, so that the full-size mask can be freed.
    inner = full[top : rows[-1] + 1, left : columns[-1] + 1].copy()
    inner.flags.writeable = False
    return inner, (left, top)
