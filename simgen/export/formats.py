"""The formats by name, and `export_dataset`: a dataset into one of them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simgen.dataset.files import sha256_of
from simgen.errors import ConfigError
from simgen.export.bop import require_outputs, write_bop
from simgen.export.coco_pair import write_coco_pair
from simgen.export.folder import Images, publishing
from simgen.export.note import write_note
from simgen.export.source import ExportFrame, Source
from simgen.export.split import Split, count_split
from simgen.export.tables import require_pyarrow, write_parquet
from simgen.export.web import output_kinds, write_webdataset
from simgen.export.yolo import Only, write_yolo

# What each format is, and which keys it knows beside out and split.
FORMATS: dict[str, tuple[str, tuple[str, ...]]] = {
    "yolo": ("Ultralytics YOLO, boxes", ("images", "only")),
    "yolo_segment": ("Ultralytics YOLO, one polygon a label", ("images", "only")),
    "coco": ("COCO beside one folder of images", ("images",)),
    "webdataset": ("tar files of samples", ("shard_mb",)),
    "parquet": ("tables of images and annotations", ("images",)),
    "bop": ("6-D poses, depth, visibility and models", ("images", "files")),
}
Progress = Callable[[Iterable[ExportFrame], int], Iterable[ExportFrame]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """How to export.

    Attributes:
        format: A key of `FORMATS`.
        split: Share of train in (0, 1), None for all in one.
        images: `copy`, `link` (a second name of the same file), or, for tables, `none`.
        only: Labels of parts or of defects alone.
        shard_mb: Largest tar file.
        own_files: Scenes may name files and kinds of defects of the user's.
    """

    format: str
    split: float | None = None
    images: Images = "copy"
    only: Only = "all"
    shard_mb: int = 256
    own_files: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What an export came to.

    Attributes:
        split: Images and scenes a side.
        facts: Counts, and what the format lost.
    """

    split: Split
    facts: dict[str, Any] = field(default_factory=dict)


def export_dataset(
    folder: Path, out: Path, options: ExportOptions, *, progress: Progress | None = None
) -> Exported:
    """Write a finished dataset in another format; `out` is there as a whole or not at all.

    Args:
        folder: The dataset.
        out: A folder that is not there yet, or is empty.
        options: How.
        progress: Wraps the iteration over frames, given it and their number.

    Raises:
        ConfigError: `out` is taken, or the format needs what the dataset lacks.
        DatasetError: The dataset is unfinished or damaged, or the disk cannot be written.
        AssetError: See `write_bop`.
    """
    if out.resolve().is_relative_to(folder.resolve()):
        raise ConfigError(f"out: {out} lies within the dataset; choose a folder beside it")
    source = Source(folder)
    _require(source, options)
    before = sha256_of(folder / "manifest.json")
    split = count_split(source.heads(), options.split)
    with publishing(out) as place:
        frames: Iterable[ExportFrame] = _frames(source, options.format)
        if progress is not None:
            frames = progress(frames, source.manifest.frames)
        facts = _write(source, frames, place, split, options)
        write_note(place, source, options.format, split, facts)
        if sha256_of(folder / "manifest.json") != before:
            raise ConfigError(f"{folder}: was rendered on meanwhile; run the same command again")
    return Exported(split=split, facts=facts)


def _require(source: Source, options: ExportOptions) -> None:
    if options.format == "bop":
        require_outputs(source)
    elif options.format == "parquet":
        require_pyarrow()


def _frames(source: Source, name: str) -> Iterable[ExportFrame]:
    if name == "bop":
        return source.frames(outputs=("depth", "instances"), poses=True, scenes=True)
    if name == "webdataset":
        return source.frames(outputs=output_kinds(source), poses=source.config.outputs.poses)
    return source.frames()


def _write(
    source: Source,
    frames: Iterable[ExportFrame],
    place: Path,
    split: Split,
    options: ExportOptions,
) -> dict[str, Any]:
    match options.format:
        case "yolo" | "yolo_segment":
            return write_yolo(
                source,
                frames,
                place,
                split,
                segments=options.format == "yolo_segment",
                images=options.images,
                only=options.only,
            )
        case "coco":
            return write_coco_pair(source, frames, place, split, images=options.images)
        case "webdataset":
            return write_webdataset(source, frames, place, split, shard_mb=options.shard_mb)
        case "parquet":
            return write_parquet(source, frames, place, split, images=options.images)
        case "bop":
            return write_bop(
                source,
                frames,
                place,
                split,
                images=options.images,
                own_files=options.own_files,
            )
    raise ConfigError(f"format: {options.format} is unknown; choose one of {', '.join(FORMATS)}")
