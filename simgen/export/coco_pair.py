"""COCO: one file a side, beside a folder of all images."""

import json
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from simgen.dataset.coco import licence_record
from simgen.dataset.stored import StoredCategory
from simgen.export.folder import Images, put_image
from simgen.export.note import provenance
from simgen.export.source import ExportFrame, Source
from simgen.export.split import Split, side_of


def write_coco_pair(
    source: Source, frames: Iterable[ExportFrame], folder: Path, split: Split, *, images: Images
) -> dict[str, Any]:
    """Write images/, and train.json and val.json, or coco.json where nothing is split.

    Records are the dataset's own; `file_name` is relative to the file that holds it.
    Annotations wait in files of their own, since COCO wants all images first.
    """
    (folder / "images").mkdir()
    names = {
        side: f"{side}.json" if split.share is not None else "coco.json" for side in split.sides
    }
    labels = 0
    with ExitStack() as stack:
        opened = {side: _Lists(stack, folder, names[side], source) for side in split.sides}
        for frame in frames:
            put_image(frame, folder / "images" / frame.name, images)
            side = opened[side_of(frame.image["scene"], split.share)]
            side.image({**frame.image, "file_name": f"images/{frame.name}"})
            for annotation in frame.annotations:
                side.annotation(annotation)
            labels += len(frame.annotations)
        for lists in opened.values():
            lists.finish()
    return {"labels": labels}


class _Lists:
    """A COCO file whose two long lists grow side by side."""

    def __init__(self, stack: ExitStack, folder: Path, name: str, source: Source) -> None:
        self._waiting = folder / f".{name}.annotations"
        self._file = stack.enter_context((folder / name).open("wb"))
        self._annotations: IO[bytes] = stack.enter_context(self._waiting.open("w+b"))
        manifest = source.manifest
        info = {"description": manifest.name, "contributor": "simgen", **provenance(source)}
        self._file.write(b'{"info":' + _compact(info))
        self._file.write(b',\n"licenses":' + _compact([licence_record(manifest.licence)]))
        self._file.write(b',\n"categories":' + _compact([_plain(c) for c in manifest.categories]))
        self._file.write(b',\n"images":[')
        self._counts = [0, 0]

    def image(self, record: dict[str, Any]) -> None:
        self._add(0, self._file, record)

    def annotation(self, record: dict[str, Any]) -> None:
        self._add(1, self._annotations, record)

    def finish(self) -> None:
        self._file.write(b'],\n"annotations":[')
        self._annotations.seek(0)
        while piece := self._annotations.read(1 << 20):
            self._file.write(piece)
        self._file.write(b"]}\n")
        self._waiting.unlink()

    def _add(self, which: int, file: IO[bytes], record: dict[str, Any]) -> None:
        file.write((b",\n" if self._counts[which] else b"\n") + _compact(record))
        self._counts[which] += 1


def _plain(category: StoredCategory) -> dict[str, Any]:
    return {"id": category.id, "name": category.name, "supercategory": category.supercategory}


def _compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
