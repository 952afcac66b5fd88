"""Shards: runs of consecutive frames, rendered as one and committed as one.

A shard is written to a folder that belongs to one attempt and published as a whole
(see `storage`). Whoever comes second finds the name taken and throws the own copy
away. Readers see whole shards or none.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from simgen.config.parse import bounded
from simgen.config.render import OutputsConfig
from simgen.dataset.files import disk_errors, sha256_of, write_durable
from simgen.dataset.outputs import OUTPUT_IMAGES, output_files, pose_record
from simgen.dataset.records import annotation_records, encode_image, frame_record, json_line
from simgen.dataset.storage import Storage, open_storage, sweep_folder
from simgen.dataset.stored import MOST_FRAMES, inside, parse_stored, read_json, require_relative
from simgen.errors import DatasetError
from simgen.label.annotation import Frame

_SHARD_NAME = re.compile(r"([0-9]{5}|[1-9][0-9]{5,8})(\.json)?")


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
        outputs: What else is written of every frame.
    """

    config_sha256: str
    categories: tuple[tuple[str, str], ...]
    part_prefix: str
    image_format: str = "png"
    polygons: bool = False
    outputs: OutputsConfig = field(default_factory=OutputsConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class _ShardManifest:
    first: int = bounded(low=0, high=MOST_FRAMES)
    stop: int = bounded(low=1, high=MOST_FRAMES)
    config_sha256: str
    files: dict[str, str]
    made_with: dict[str, Any]
    erased: dict[str, int] = field(default_factory=dict)
    folder: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedShard:
    """A shard on disk, as its manifest describes it.

    `folder` holds its files; its manifest lies there too, or beside the folder where
    the dataset is, or comes from, an object store. `erased` counts defects erased for
    too little contrast, by kind; `made_with` is renderer and versions. The hashes of its
    files are left on disk (`file_hashes`): of all shards they would fill the memory.
    """

    folder: Path
    manifest_path: Path
    range: ShardRange
    config_sha256: str
    made_with: dict[str, Any]
    erased: dict[str, int] = field(default_factory=dict)


def plan_shards(
    committed: Iterable[ShardRange], *, frames: int, shard_size: int
) -> list[ShardRange]:
    """Return the shards that are still to be rendered, in the order of their frames."""
    return list(missing_shards(committed, frames=frames, shard_size=shard_size))


def missing_shards(
    committed: Iterable[ShardRange], *, frames: int, shard_size: int
) -> Iterator[ShardRange]:
    """Yield the shards that are still to be rendered, in the order of their frames.

    Committed shards stay as they are, whatever their size: every gap between
    them is cut into pieces of `shard_size`, and pieces take the free numbers. So a
    plan made again with the same `frames` and `shard_size` is the rest of the first one.
    """
    done = sorted(committed, key=lambda r: r.first)
    taken = {r.number for r in done}
    free = (n for n in range(len(done) + frames + 1) if n not in taken)
    position = 0
    for first, stop in chain(((r.first, r.stop) for r in done), [(frames, frames)]):
        for start in range(position, min(first, frames), shard_size):
            end = min(start + shard_size, first, frames)
            yield ShardRange(number=next(free), first=start, stop=end)
        position = max(position, stop)


def read_shards(out: Path) -> list[CommittedShard]:
    """Return the committed shards of a dataset in the order of their frames.

    Raises:
        DatasetError: A shard has no readable manifest, or two hold the same frame.
    """
    shards, made = [], list[dict[str, Any]]()
    for path in shard_manifests(out):
        shard = read_shard(path)
        # Thousands of shards share a few records of what they were made with.
        same = next((m for m in made if m == shard.made_with), shard.made_with)
        made += [] if same is not shard.made_with else [same]
        shards.append(replace(shard, made_with=same))
    shards.sort(key=lambda s: s.range.first)
    _require_disjoint([s.range for s in shards], out)
    return shards


def committed_ranges(out: Path, *, config_sha256: str | None = None) -> list[ShardRange]:
    """Return which frames are committed, holding one shard's manifest at a time.

    Args:
        out: The dataset.
        config_sha256: The config that all shards must be of, if that matters.

    Raises:
        DatasetError: See `read_shards`; also when a shard is of another config.
    """
    ranges = []
    for path in shard_manifests(out):
        shard = read_shard(path)
        if config_sha256 not in (None, shard.config_sha256):
            raise DatasetError(
                f"{shard.folder}: made with another config than config.yaml beside it says;"
                " remove it and render again, or choose another out"
            )
        ranges.append(shard.range)
    ranges.sort(key=lambda r: r.first)
    _require_disjoint(ranges, out)
    return ranges


def write_shard(
    out: Path | Storage,
    shard: ShardRange,
    frames: Iterable[Frame],
    *,
    style: ShardStyle,
    made_with: dict[str, Any],
    before_commit: Callable[[], None] = lambda: None,
) -> bool:
    """Write and commit a shard; return whether this attempt is the one that counts.

    Args:
        out: The dataset's folder, or its storage.
        shard: Which frames, and under which number.
        frames: The frames of `shard`, in order, rendered as they are asked for.
        style: What all shards have in common.
        made_with: Renderer and versions, for the manifest.
        before_commit: Called when all is written; what it raises keeps the shard out.

    Raises:
        DatasetError: The disk is full or cannot be written.
    """
    storage = open_storage(out) if isinstance(out, Path) else out
    try:
        with disk_errors(Path(storage.where)), storage.attempt(shard.name) as folder:
            manifest = _write_files(folder, shard, frames, style)
            manifest |= {"config_sha256": style.config_sha256, "made_with": made_with}
            write_durable(folder / "manifest.json", _pretty(manifest))
            before_commit()
            return storage.commit(folder, shard.name)
    except DatasetError:
        # A sweep takes the folder from under an attempt once another one has won.
        if storage.has_shard(shard.name):
            return False
        raise


def sweep_attempts(out: Path) -> None:
    """Remove what dead processes of this machine left in a dataset, and attempts that lost."""
    sweep_folder(out)


def _write_files(
    folder: Path, shard: ShardRange, frames: Iterable[Frame], style: ShardStyle
) -> dict[str, Any]:
    lines = ["frames.jsonl", "annotations.jsonl", *(["poses.jsonl"] if style.outputs.poses else [])]
    for kind in ("images", *(k for k in OUTPUT_IMAGES if getattr(style.outputs, k))):
        (folder / kind).mkdir()
    files: dict[str, str] = {}
    erased: dict[str, int] = {}
    numbers: Sequence[int] = range(shard.first, shard.stop)
    with ExitStack() as stack:
        opened = {name: stack.enter_context((folder / name).open("wb")) for name in lines}
        for number, frame in zip(numbers, frames, strict=True):
            if frame.index != number:
                raise ValueError(f"frame {frame.index} came where frame {number} was due")
            file_name = f"images/{number:08d}.{style.image_format}"
            files[file_name] = write_durable(
                folder / file_name,
                encode_image(frame.image, file_name, quality=frame.spec.sensor.jpeg_quality),
            )
            record = frame_record(frame, file_name=file_name, part_prefix=style.part_prefix)
            opened["frames.jsonl"].write(json_line(record))
            for annotation in annotation_records(
                frame, categories=style.categories, polygons=style.polygons
            ):
                opened["annotations.jsonl"].write(json_line(annotation))
            for name, data in output_files(frame, style.outputs):
                files[name] = write_durable(folder / name, data)
            if style.outputs.poses:
                opened["poses.jsonl"].write(json_line(pose_record(frame)))
            for kind, count in frame.erased.items():
                erased[kind] = erased.get(kind, 0) + count
        for file in opened.values():
            file.flush()
            os.fsync(file.fileno())
    for name in lines:
        files[name] = sha256_of(folder / name)
    return {
        "number": shard.number,
        "first": shard.first,
        "stop": shard.stop,
        "erased": dict(sorted(erased.items())),
        "files": files,
    }


def shard_manifests(out: Path) -> list[Path]:
    """Return the manifests of all committed shards: `00000/manifest.json` or `00000.json`.

    Raises:
        DatasetError: The folder cannot be read, or it or a shard is a link.
    """
    folder = inside(out, "shards")
    with disk_errors(folder):
        if not folder.is_dir():
            return []
        names = sorted(p.name for p in folder.iterdir() if _SHARD_NAME.fullmatch(p.name))
    return [
        inside(out, f"shards/{name}" if name.endswith(".json") else f"shards/{name}/manifest.json")
        for name in names
    ]


def _require_disjoint(ranges: Sequence[ShardRange], out: Path) -> None:
    for before, after in zip(ranges, ranges[1:], strict=False):
        if after.first < before.stop:
            raise DatasetError(
                f"{out / 'shards' / after.name}: holds frame {after.first}, which {before.name}"
                " holds too; remove one of the two and render again"
            )


def read_shard(path: Path) -> CommittedShard:
    """Return the shard that a manifest from `shard_manifests` describes.

    Raises:
        DatasetError: The manifest cannot be read, or contradicts its name.
    """
    beside = path.name != "manifest.json"
    name, what = (path, "it") if beside else (path.parent, "the folder")
    remedy = f"damaged shard, remove {what} and render again"
    plain = parse_stored(_ShardManifest, read_json(path, remedy), path, remedy)
    folder = inside(path.parent, plain.folder) if beside else path.parent
    number = path.stem if beside else folder.name
    if beside and (folder.parent != path.parent or not folder.name.startswith(f"{number}-")):
        raise DatasetError(f"{name}: its files lie elsewhere; {remedy}")
    if not _says_what_made_it(plain.made_with):
        raise DatasetError(f"{name}: does not say what it was made with; {remedy}")
    if plain.first >= plain.stop:
        raise DatasetError(f"{name}: holds no frame; {remedy}")
    for file in plain.files:
        require_relative(folder, file)
    return CommittedShard(
        folder=folder,
        manifest_path=path,
        range=ShardRange(number=int(number), first=plain.first, stop=plain.stop),
        config_sha256=plain.config_sha256,
        made_with=plain.made_with,
        erased=plain.erased,
    )


def _says_what_made_it(made_with: dict[str, Any]) -> bool:
    renderer, versions = made_with.get("renderer"), made_with.get("versions")
    return (
        isinstance(renderer, dict)
        and isinstance(versions, dict)
        and isinstance(renderer.get("assets", []), list)
        and isinstance(versions.get("cpu_features", []), list)
    )


def file_hashes(shard: CommittedShard) -> dict[str, str]:
    """Return the SHA-256 of each of a shard's files, by path within it."""
    return parse_stored(_ShardManifest, read_json(shard.manifest_path), shard.manifest_path).files


def _pretty(value: Any) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()
