"""WebDataset: tar files of samples, and an index of them."""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, cast

from simgen.dataset.outputs import OUTPUT_IMAGES
from simgen.export.note import provenance, write_json
from simgen.export.source import ExportFrame, Source
from simgen.export.split import Split, side_of

_BLOCK = tarfile.BLOCKSIZE


def write_webdataset(
    source: Source, frames: Iterable[ExportFrame], folder: Path, split: Split, *, shard_mb: int
) -> dict[str, Any]:
    """Write `train-000000.tar` and so on, and `index.json` with their sizes and hashes.

    A sample is a frame: its image, `json` with image record, annotations and pose, and
    depth, normals and instances where the dataset has them. The tar files are the same
    bytes again: names, order, times and owners are fixed.

    Args:
        source: The dataset.
        frames: Its frames, with all outputs that it has.
        folder: An empty folder.
        split: Which sides there are.
        shard_mb: No tar file is larger in MB (10^6 bytes), unless one sample is.
    """
    tars = {side: _Tars(folder, side, shard_mb * 1_000_000) for side in split.sides}
    origin = provenance(source)
    labels = 0
    try:
        for frame in frames:
            tars[side_of(frame.image["scene"], split.share)].add(_sample(frame, origin))
            labels += len(frame.annotations)
        for side in tars.values():
            side.close()
    finally:
        for side in tars.values():
            side.abandon()
    index = {
        **origin,
        "categories": [
            {"id": c.id, "name": c.name, "supercategory": c.supercategory}
            for c in source.manifest.categories
        ],
        "shards": {name: side.written for name, side in tars.items()},
    }
    write_json(folder / "index.json", index)
    return {"labels": labels, "tar_files": sum(len(side.written) for side in tars.values())}


def output_kinds(source: Source) -> tuple[str, ...]:
    """Return which optional images the dataset has."""
    return tuple(kind for kind in OUTPUT_IMAGES if getattr(source.config.outputs, kind))


def _sample(frame: ExportFrame, origin: dict[str, Any]) -> list[tuple[str, bytes]]:
    """Return (name, content) of a sample's files; the name up to its first dot is the key."""
    key = f"{frame.number:08d}"
    record: dict[str, Any] = {
        "image": {**frame.image, "file_name": frame.name},
        "annotations": list(frame.annotations),
        "erased": frame.erased,
        **({"pose": frame.pose} if frame.pose else {}),
        "source": origin,
    }
    files = [(f"{key}.json", json.dumps(record, separators=(",", ":")).encode())]
    files.append((frame.name, frame.picture.read()))
    files += [(f"{key}.{kind}.png", file.read()) for kind, file in frame.outputs.items()]
    return sorted(files)


class _Tars:
    """The tar files of one side, one after the other."""

    def __init__(self, folder: Path, side: str, most_bytes: int) -> None:
        self._folder = folder
        self._side = side
        self._most = most_bytes
        self._file: _Hashed | None = None
        self._tar: tarfile.TarFile | None = None
        self._samples = 0
        self.written: list[dict[str, Any]] = []

    def add(self, files: list[tuple[str, bytes]]) -> None:
        """Write a sample, into a new tar file if it does not fit."""
        size = sum(_BLOCK + -(-len(data) // _BLOCK) * _BLOCK for _, data in files)
        # A tar file ends with two empty blocks, and is filled up to a whole record.
        if self._file is not None and _whole(self._file.size + size) > self._most:
            self.close()
        if self._tar is None:
            path = self._folder / f"{self._side}-{len(self.written):06d}.tar"
            self._file = _Hashed(path.open("wb"))
            self._tar = tarfile.TarFile(
                fileobj=cast(IO[bytes], self._file), mode="w", format=tarfile.USTAR_FORMAT
            )
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.mode = 0o644
            assert self._tar is not None
            self._tar.addfile(info, io.BytesIO(data))
        self._samples += 1

    def close(self) -> None:
        """Finish the tar file that is open and note it."""
        if self._tar is None or self._file is None:
            return
        self._tar.close()
        self._file.close()
        self.written.append(
            {
                "name": f"{self._side}-{len(self.written):06d}.tar",
                "samples": self._samples,
                "bytes": self._file.size,
                "sha256": self._file.sha256,
            }
        )
        self._tar, self._file, self._samples = None, None, 0

    def abandon(self) -> None:
        """Close a file that an error left open."""
        if self._file is not None:
            self._file.close()


def _whole(size: int) -> int:
    return -(-(size + 2 * _BLOCK) // tarfile.RECORDSIZE) * tarfile.RECORDSIZE


class _Hashed:
    """A file that is hashed and measured as it is written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        self.size += len(data)
        return self._file.write(data)

    def tell(self) -> int:
        return self.size

    def close(self) -> None:
        self._file.close()
