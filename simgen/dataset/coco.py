"""`coco.json`: one COCO file over all shards, written as a stream."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from simgen.config.render import DatasetConfig
from simgen.dataset.files import replacing
from simgen.dataset.shards import CommittedShard
from simgen.dataset.stored import (
    MOST_FRAMES,
    MOST_PIXELS,
    is_whole,
    read_jsonl,
    require_relative,
)
from simgen.errors import DatasetError

_LICENCE_URLS = {
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC-BY-SA-4.0": "https://creativecommons.org/licenses/by-sa/4.0/",
    "Apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0",
    "MIT": "https://opensource.org/license/mit",
}


def write_coco(
    path: Path,
    shards: Iterable[CommittedShard],
    *,
    dataset: DatasetConfig,
    categories: tuple[tuple[str, str], ...],
    on_label: Callable[[dict[str, Any]], None] = lambda record: None,
) -> dict[str, int]:
    """Assemble `coco.json` from the shards, holding one frame in memory at a time.

    Returns the number of annotations of each category, by name.

    Args:
        path: Where it goes; what was there is replaced when the new one is whole.
        shards: In the order of their frames.
        dataset: Name and licence for `info`.
        categories: (name, supercategory); position + 1 is the category id.
        on_label: Given every annotation as it is written.

    Raises:
        DatasetError: A shard cannot be read or the file cannot be written.
    """
    shards = list(shards)
    info = {"description": dataset.name, "contributor": "simgen"}
    licence = licence_record(dataset.licence)
    counts = {name: 0 for name, _ in categories}
    with replacing(path) as file:
        file.write(b'{"info":' + _compact(info) + b',\n"licenses":' + _compact([licence]))
        file.write(b',\n"categories":' + _compact(category_records(categories)))
        for key, records in (
            ("images", image_records(shards)),
            ("annotations", annotations_of(shards)),
        ):
            file.write(b',\n"' + key.encode() + b'":[')
            for i, record in enumerate(records):
                if key == "annotations":
                    counts[_category(record, categories)] += 1
                    on_label(record)
                file.write((b",\n" if i else b"\n") + _compact(record))
            file.write(b"]")
        file.write(b"}\n")
    return counts


def licence_record(spdx: str) -> dict[str, Any]:
    """Return COCO's licence of an SPDX identifier."""
    return {"id": 1, "name": spdx, "url": _LICENCE_URLS.get(spdx, "")}


def category_records(categories: tuple[tuple[str, str], ...]) -> list[dict[str, Any]]:
    """Return COCO's categories, ids from 1."""
    return [
        {"id": i, "name": name, "supercategory": supercategory}
        for i, (name, supercategory) in enumerate(categories, start=1)
    ]


def image_records(shards: Iterable[CommittedShard]) -> Iterator[dict[str, Any]]:
    """Yield COCO's images, with file names relative to the dataset.

    Raises:
        DatasetError: A shard's frames are not those of its range, or lack a field.
    """
    for shard in shards:
        expected = iter(range(shard.range.first, shard.range.stop))
        path = shard.folder / "frames.jsonl"
        for record in read_jsonl(path, before="spec"):
            if record.get("frame") != next(expected, None):
                raise _damaged(path, f"frame {str(record.get('frame'))[:20]} is out of place")
            yield image_record(record, path)
        if (missing := next(expected, None)) is not None:
            raise _damaged(path, f"frame {missing} is missing")


def image_record(record: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the COCO image of a frame's record, which `path` holds.

    Raises:
        DatasetError: The record lacks a field or holds one of another kind.
    """
    require_relative(path.parent, record.get("file_name"))
    for key, low, high in (
        ("width", 1, MOST_PIXELS), ("height", 1, MOST_PIXELS),
        ("scene", 0, MOST_FRAMES), ("view", 0, MOST_FRAMES), ("exposure", 0, MOST_FRAMES),
    ):  # fmt: skip
        if not is_whole(record.get(key), low, high):
            raise _damaged(path, f"frame {record['frame']} has no {key}")
    if not isinstance(record.get("part"), str):
        raise _damaged(path, f"frame {record['frame']} has no part")
    return {
        "id": record["frame"] + 1,
        "file_name": f"shards/{path.parent.name}/{record['file_name']}",
        "width": record["width"],
        "height": record["height"],
        "license": 1,
        "frame": record["frame"],
        "scene": record["scene"],
        "view": record["view"],
        "exposure": record["exposure"],
        "part": record["part"],
    }


def annotations_of(shards: Iterable[CommittedShard]) -> Iterator[dict[str, Any]]:
    """Yield COCO's annotations."""
    for shard in shards:
        yield from read_jsonl(shard.folder / "annotations.jsonl")


def _category(record: dict[str, Any], categories: tuple[tuple[str, str], ...]) -> str:
    number = record.get("category_id")
    if not is_whole(number, 1, len(categories)):
        raise DatasetError(
            f"annotation {str(record.get('id'))[:20]}: category {str(number)[:20]} is none of the"
            " scene's; remove its shard's folder and render again"
        )
    return categories[int(str(number)) - 1][0]


def _damaged(path: Path, what: str) -> DatasetError:
    return DatasetError(f"{path}: {what}; remove the shard's folder and render again")


def _compact(value: Any) -> bytes:
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    except ValueError:
        raise DatasetError(
            f"a label holds a number without end ({str(value)[:60]}); remove its shard and render"
            " again"
        ) from None
