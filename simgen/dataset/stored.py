"""What a dataset's files say, read without trusting them.

A dataset may come from anyone. Nothing here leaves the dataset's folder, by a name or
a link, waits for a pipe, takes NaN for a number or executes what it reads.
"""

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path, PurePosixPath
from typing import IO, Any, TypeVar, cast

from simgen.config.parse import bounded, parse
from simgen.dataset.files import disk_errors
from simgen.errors import ConfigError, DatasetError

T = TypeVar("T")

MOST_FRAMES = 1_000_000_000
MOST_PIXELS = 16_384
_JSON_BYTES = 256 << 20
_LINE_BYTES = 64 << 20
_NAME_BYTES = 1_000
# Stands in a manifest for its own hash while that is taken.
NO_HASH = "0" * 64
_REMEDY = "render the dataset again or fetch it anew"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredShard:
    """A shard's entry in a dataset's manifest."""

    name: str
    first: int = bounded(low=0, high=MOST_FRAMES)
    stop: int = bounded(low=1, high=MOST_FRAMES)
    manifest_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCategory:
    """A COCO category."""

    id: int = bounded(low=1, high=MOST_FRAMES)
    name: str
    supercategory: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredManifest:
    """A dataset's manifest.json, as far as the checks and comparisons read it."""

    name: str
    scene: str
    seed: int = bounded(low=0)
    frames: int = bounded(low=0, high=MOST_FRAMES)
    config: dict[str, Any]
    config_sha256: str
    categories: tuple[StoredCategory, ...]
    coco_sha256: str
    shards: tuple[StoredShard, ...]
    sha256: str = ""
    files: dict[str, str] = field(default_factory=dict)
    licence: str = ""
    purpose: str = ""
    version: str = ""
    instances: dict[str, int] = field(default_factory=dict)
    erased: dict[str, int] = field(default_factory=dict)
    made_with: tuple[dict[str, Any], ...] = ()
    assets: tuple[dict[str, Any], ...] = ()


def read_manifest(out: Path) -> StoredManifest:
    """Return a dataset's manifest.

    Raises:
        DatasetError: There is none, or it lacks a field or holds one of another kind.
    """
    path = out / "manifest.json"
    with disk_errors(path):
        if not path.exists():
            raise DatasetError(
                f"{out}: holds no finished dataset; name a folder that render has written"
            )
    return parse_manifest(read_json(path), path)


def parse_manifest(plain: Any, path: Path) -> StoredManifest:
    """Return the manifest that `path` holds as JSON.

    Raises:
        DatasetError: It lacks a field or holds one of another kind.
    """
    if isinstance(plain, dict):
        for key, kind in (("shards", StoredShard), ("categories", StoredCategory)):
            if isinstance(plain.get(key), list):
                plain[key] = [known_fields(kind, entry) for entry in plain[key]]
    return parse_stored(StoredManifest, plain, path)


def parse_stored(cls: type[T], plain: Any, path: Path, remedy: str = _REMEDY) -> T:
    """Return the dataclass `cls` from what a file holds; further keys are ignored.

    Raises:
        DatasetError: A key is missing or of the wrong kind; names file and key.
    """
    try:
        return parse(cls, known_fields(cls, plain))
    except ConfigError as error:
        raise DatasetError(f"{path}: {error}; {remedy}") from None


def known_fields(cls: type[Any], plain: Any) -> Any:
    """Return a mapping without the keys that `cls` has no field for; anything else as it is."""
    if not isinstance(plain, dict):
        return plain
    names = {f.name for f in fields(cls)}
    return {key: value for key, value in plain.items() if key in names}


def inside(folder: Path, name: object) -> Path:
    """Return where the file `name` of a dataset lies.

    Args:
        folder: The dataset, or a folder of it; may itself be a link, being the user's choice.
        name: What the dataset calls the file, relative to `folder`.

    Raises:
        DatasetError: The name leads out of `folder`, by itself or through a link, or
            the folder may not be looked into.
    """
    parts = require_relative(folder, name)
    place = folder.joinpath(*parts)
    on_the_way = [place, *place.parents][: len(parts)]
    with disk_errors(place):
        linked = any(p.is_symlink() for p in on_the_way)
    if linked:
        try:
            stays = place.resolve().is_relative_to(folder.resolve())
        except (OSError, RuntimeError):
            stays = False
        if not stays:
            raise DatasetError(
                f"{folder}: {name!r} is, or passes through, a link that leads out of the dataset;"
                " put the file itself there"
            )
    return place


def require_relative(folder: Path, name: object) -> tuple[str, ...]:
    """Return the parts of a file's name that stays within its folder, links aside.

    Raises:
        DatasetError: It is no such name.
    """
    if not isinstance(name, str) or not 0 < len(name) <= _NAME_BYTES or not name.isprintable():
        raise DatasetError(f"{folder}: {str(name)[:80]!r} is no file name; do not use this dataset")
    path = PurePosixPath(name)
    if path.is_absolute() or not path.parts or ".." in path.parts or "\\" in name:
        raise DatasetError(f"{folder}: {name!r} leads out of the dataset; do not use this dataset")
    return path.parts


def open_regular(path: Path) -> IO[bytes]:
    """Open a file for reading, but no link, pipe or device.

    Raises:
        DatasetError: It is one of those, is missing or may not be read.
    """
    with disk_errors(path):
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise DatasetError(f"{path}: is no ordinary file; remove it and render again")
        return os.fdopen(handle, "rb")


def read_json(path: Path, remedy: str = _REMEDY) -> Any:
    """Return what a JSON file holds.

    Raises:
        DatasetError: It cannot be read, is larger than any of ours, or is not JSON.
    """
    with open_regular(path) as file, disk_errors(path):
        data = file.read(_JSON_BYTES + 1)
    if len(data) > _JSON_BYTES:
        raise DatasetError(f"{path}: over {_JSON_BYTES >> 20} MB, which none of ours is; {remedy}")
    try:
        return decode_json(data)
    except ValueError as error:
        raise DatasetError(f"{path}: cannot be read ({error}); {remedy}") from None


def read_jsonl(path: Path, *, before: str = "") -> Iterator[dict[str, Any]]:
    """Yield the records of a JSON lines file, one in memory at a time.

    Args:
        path: The file.
        before: A key; it and all that comes after it in a record is left out where that
            saves reading it. A frame's line is mostly its `spec`, which many do not need.

    Raises:
        DatasetError: The file is missing or a line is not a JSON mapping.
    """
    # Within a JSON string these quotes would be escaped, so that only a key can match.
    mark = f',"{before}":'.encode()
    with open_regular(path) as file, disk_errors(path):
        number = 0
        while line := file.readline(_LINE_BYTES):
            number += 1
            try:
                head, found, _ = line.partition(mark) if before else (line, b"", b"")
                record = decode_json(head + b"}" if found else line)
                if not isinstance(record, dict):
                    raise ValueError("holds no mapping")
            except ValueError:
                raise DatasetError(
                    f"{path}:{number}: not JSON; remove the shard's folder and render again"
                ) from None
            yield record


def decode_json(data: bytes | str) -> Any:
    """Return a JSON text's value.

    Raises:
        ValueError: It is not JSON, names NaN or Infinity, or is nested beyond all reason.
            A number such as 1e999 still comes as infinity: see `is_number`.
    """
    try:
        return json.loads(data, parse_constant=no_number)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def no_number(text: str) -> None:
    """Refuse NaN, Infinity and -Infinity, which Python's reader would take for numbers."""
    raise ValueError(f"{text} is no number")


def is_whole(value: object, low: int, high: int) -> bool:
    """Return whether `value` is an int, and no bool, within [low, high]."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def is_number(value: object) -> bool:
    """Return whether `value` is an int or float, and no bool, of a size that a float holds."""
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and -1e300 < cast(float, value) < 1e300
    )
