"""Shards: runs of consecutive frames, rendered as one and committed as one.

A shard is written to a folder that belongs to one attempt, forced to disk and
renamed to its final name. Whoever comes second finds the name taken and throws
the own copy away. Readers see whole shards or none.
"""

import errno
import json
import os
import shutil
import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simgen.dataset.files import (
    disk_errors,
    new_folder,
    sha256_of,
    sync_folder,
    write_durable,
)
from simgen.dataset.records import annotation_records, encode_image, frame_record, json_line
from simgen.errors import DatasetError
from simgen.label.annotation import Frame

_ATTEMPT = ".attempt"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardRange:
    """Frames `first` to `stop - 1`, kept in `shards/<number>`."""

    number: int
    first: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.first

    @property
    def name(self) -> str:
        """Name of the shard's folder."""
        return f"{self.number:05d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardStyle:
    """What all shards of a dataset have in common.

    Attributes:
        config_sha256: Identity of the config, see `identity.config_sha256`.
        categories: (name, supercategory); position + 1 is the category id.
        part_prefix: Precedes the scene number in an image's `part`.
        image_format: `png` or `jpg`.
        polygons: Write polygons in place of RLE masks.
    """

    config_sha256: str
    categories: tuple[tuple[str, str], ...]
    part_prefix: str
    image_format: str = "png"
    polygons: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedShard:
    """A shard on disk, as its manifest describes it.

    `files` maps paths within the shard to their SHA-256; `erased` counts defects
    erased for too little contrast, by kind; `made_with` is renderer and versions.
    """

    folder: Path
    range: ShardRange
    config_sha256: str
    files: dict[str, str]
    made_with: dict[str, Any]
    erased: dict[str, int] = field(default_factory=dict)


def plan_shards(
    committed: Iterable[ShardRange], *, frames: int, shard_size: int
) -> list[ShardRange]:
    """Return the shards that are still to be rendered, in the order of their frames.

    Committed shards stay as they are, whatever their size: every gap between
    them is cut into pieces of `shard_size`, and pieces take the free numbers.
    """
    done = sorted(committed, key=lambda r: r.first)
    taken = {r.number for r in done}
    free = (n for n in range(len(done) + frames + 1) if n not in taken)
    missing = []
    position = 0
    for first, stop in [*((r.first, r.stop) for r in done), (frames, frames)]:
        for start in range(position, min(first, frames), shard_size):
            end = min(start + shard_size, first, frames)
            missing.append(ShardRange(number=next(free), first=start, stop=end))
        position = max(position, stop)
    return missing


def read_shards(out: Path) -> list[CommittedShard]:
    """Return the committed shards of a dataset in the order of their frames.

    Raises:
        DatasetError: A shard has no readable manifest, or two hold the same frame.
    """
    folder = out / "shards"
    if not folder.is_dir():
        return []
    with disk_errors(folder):
        names = [p for p in folder.iterdir() if p.is_dir() and p.name.isdigit()]
    shards = sorted((_read_shard(p) for p in names), key=lambda s: s.range.first)
    for before, after in zip(shards, shards[1:], strict=False):
        if after.range.first < before.range.stop:
            raise DatasetError(
                f"{after.folder}: holds frame {after.range.first}, which {before.range.name} holds"
                " too; remove one of the two folders and render again"
            )
    return shards


def write_shard(
    out: Path,
    shard: ShardRange,
    frames: Iterable[Frame],
    *,
    style: ShardStyle,
    made_with: dict[str, Any],
) -> bool:
    """Write and commit a shard; return whether this attempt is the one that counts.

    Args:
        out: The dataset's folder.
        shard: Which frames, and under which number.
        frames: The frames of `shard`, in order, rendered as they are asked for.
        style: What all shards have in common.
        made_with: Renderer and versions, for the manifest.

    Raises:
        DatasetError: The disk is full or cannot be written.
    """
    with disk_errors(out):
        folder = new_folder(out / "shards", f"{_ATTEMPT}-{_owner()}-{shard.name}-")
        try:
            manifest = _write_files(folder, shard, frames, style)
            manifest |= {"config_sha256": style.config_sha256, "made_with": made_with}
            write_durable(folder / "manifest.json", _pretty(manifest))
            sync_folder(folder / "images")
            sync_folder(folder)
            return _commit(folder, out / "shards" / shard.name)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def sweep_attempts(out: Path) -> None:
    """Remove what attempts of this machine left behind whose process is gone."""
    for folder in (out / "shards").glob(f"{_ATTEMPT}-*"):
        owner, _, _ = folder.name.removeprefix(f"{_ATTEMPT}-").partition("-")
        host, _, pid = owner.rpartition("_")
        if host == _host() and pid.isdigit() and not _alive(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a JSON lines file.

    Raises:
        DatasetError: The file is missing or a line is not JSON.
    """
    with disk_errors(path), path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                raise DatasetError(
                    f"{path}:{number}: not JSON; remove the shard's folder and render again"
                ) from None


def _write_files(
    folder: Path, shard: ShardRange, frames: Iterable[Frame], style: ShardStyle
) -> dict[str, Any]:
    (folder / "images").mkdir()
    files: dict[str, str] = {}
    erased: dict[str, int] = {}
    numbers: Sequence[int] = range(shard.first, shard.stop)
    with (
        (folder / "frames.jsonl").open("wb") as frame_file,
        (folder / "annotations.jsonl").open("wb") as annotation_file,
    ):
        for number, frame in zip(numbers, frames, strict=True):
            if frame.index != number:
                raise ValueError(f"frame {frame.index} came where frame {number} was due")
            file_name = f"images/{number:08d}.{style.image_format}"
            files[file_name] = write_durable(
                folder / file_name,
                encode_image(frame.image, file_name, quality=frame.spec.sensor.jpeg_quality),
            )
            record = frame_record(frame, file_name=file_name, part_prefix=style.part_prefix)
            frame_file.write(json_line(record))
            for annotation in annotation_records(
                frame, categories=style.categories, polygons=style.polygons
            ):
                annotation_file.write(json_line(annotation))
            for kind, count in frame.erased.items():
                erased[kind] = erased.get(kind, 0) + count
        for file in (frame_file, annotation_file):
            file.flush()
            os.fsync(file.fileno())
    for name in ("frames.jsonl", "annotations.jsonl"):
        files[name] = sha256_of(folder / name)
    return {
        "number": shard.number,
        "first": shard.first,
        "stop": shard.stop,
        "erased": dict(sorted(erased.items())),
        "files": files,
    }


def _commit(folder: Path, target: Path) -> bool:
    try:
        folder.rename(target)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            return False
        raise
    sync_folder(target.parent)
    return True


def _read_shard(folder: Path) -> CommittedShard:
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        span = ShardRange(number=int(folder.name), first=manifest["first"], stop=manifest["stop"])
        return CommittedShard(
            folder=folder,
            range=span,
            config_sha256=manifest["config_sha256"],
            files=manifest["files"],
            made_with=manifest["made_with"],
            erased=manifest["erased"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{folder}: damaged shard, its manifest.json cannot be read"
            f" ({type(error).__name__}); remove the folder and render again"
        ) from None


def _owner() -> str:
    return f"{_host()}_{os.getpid()}"


def _host() -> str:
    return socket.gethostname().replace("-", "_").replace("/", "_")


def _alive(pid: int) -> bool:
    """Whether a process may still write; one that is dead but not reaped may not."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state not in ("Z", "X")
    except FileNotFoundError:
        # Gone between the two calls, or a system without /proc.
        return not Path("/proc/self/stat").exists()
    except ProcessLookupError:
        return False
    except PermissionError:
        return True


def _pretty(value: Any) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()
