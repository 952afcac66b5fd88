"""`coco.json`: one COCO file over all shards, written as a stream."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from simgen.config.render import DatasetConfig
from simgen.dataset.files import replacing
from simgen.dataset.shards import CommittedShard, read_jsonl

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
) -> None:
    """Assemble `coco.json` from the shards, holding one frame in memory at a time.

    Args:
        path: Where it goes; what was there is replaced when the new one is whole.
        shards: In the order of their frames.
        dataset: Name and licence for `info`.
        categories: (name, supercategory); position + 1 is the category id.

    Raises:
        DatasetError: A shard cannot be read or the file cannot be written.
    """
    shards = list(shards)
    info = {"description": dataset.name, "contributor": "simgen"}
    licence = {"id": 1, "name": dataset.licence, "url": _LICENCE_URLS.get(dataset.licence, "")}
    with replacing(path) as file:
        file.write(b'{"info":' + _compact(info) + b',\n"licenses":' + _compact([licence]))
        file.write(b',\n"categories":' + _compact(category_records(categories)))
        for key, records in (
            ("images", image_records(shards)),
            ("annotations", annotations_of(shards)),
        ):
            file.write(b',\n"' + key.encode() + b'":[')
            for i, record in enumerate(records):
                file.write((b",\n" if i else b"\n") + _compact(record))
            file.write(b"]")
        file.write(b"}\n")


def category_records(categories: tuple[tuple[str, str], ...]) -> list[dict[str, Any]]:
    """Return COCO's categories, ids from 1."""
    return [
        {"id": i, "name": name, "supercategory": supercategory}
        for i, (name, supercategory) in enumerate(categories, start=1)
    ]


def image_records(shards: Iterable[CommittedShard]) -> Iterator[dict[str, Any]]:
    """Yield COCO's images, with file names relative to the dataset."""
    for shard in shards:
        for record in read_jsonl(shard.folder / "frames.jsonl"):
            yield {
                "id": record["frame"] + 1,
                "file_name": f"shards/{shard.range.name}/{record['file_name']}",
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


def _compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
