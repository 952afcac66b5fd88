"""A finished dataset as a stream of frames, each file compared with its hash on the way.

One frame is in memory at a time, and the manifest of one shard. The order is that of the
frames, so that two exports of one dataset write the same bytes.
"""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from simgen.config.render import RenderConfig, parse_render
from simgen.dataset.check_records import is_annotation
from simgen.dataset.coco import image_record
from simgen.dataset.files import disk_errors, sha256_of
from simgen.dataset.pictures import image_size
from simgen.dataset.records import ANNOTATIONS_PER_FRAME
from simgen.dataset.shards import CommittedShard, file_hashes, read_shards
from simgen.dataset.stored import (
    StoredManifest,
    inside,
    is_number,
    is_whole,
    open_regular,
    read_jsonl,
    read_manifest,
)
from simgen.errors import ConfigError, DatasetError

SUFFIXES = (".png", ".jpg")
_MOST_BYTES = 1 << 30
_PIECE = 1 << 20
_NAME = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file of a dataset and the hex SHA-256 that its shard's manifest lists."""

    path: Path
    sha256: str

    def read(self) -> bytes:
        """Return what the file holds.

        Raises:
            DatasetError: It cannot be read, or is not the file that was rendered.
        """
        with open_regular(self.path) as file, disk_errors(self.path):
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES or hashlib.sha256(data).hexdigest() != self.sha256:
            raise _damaged(self.path)
        return data

    def verify(self) -> None:
        """Compare the file with its hash, reading it in pieces; raises as `read` does."""
        found = hashlib.sha256()
        with open_regular(self.path) as file, disk_errors(self.path):
            while piece := file.read(_PIECE):
                found.update(piece)
        if found.hexdigest() != self.sha256:
            raise _damaged(self.path)


@dataclass(frozen=True, kw_only=True)
class ExportFrame:
    """One frame of a dataset.

    Attributes:
        number: Frame number from 0.
        image: Its COCO image; `file_name` is still the dataset's.
        erased: Number of erased defects by kind.
        annotations: Its COCO annotations, in the dataset's order.
        picture: The image's file.
        suffix: `.png` or `.jpg`.
        outputs: Files beside the image that were asked for, by kind.
        pose: Its line of poses.jsonl, if asked for.
        record: Its whole line of frames.jsonl, scene included, if asked for.
    """

    number: int
    image: dict[str, Any]
    erased: dict[str, int]
    annotations: tuple[dict[str, Any], ...]
    picture: StoredFile
    suffix: str
    outputs: dict[str, StoredFile] = field(default_factory=dict)
    pose: dict[str, Any] | None = None
    record: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of its image in an export, without a folder."""
        return f"{self.number:08d}{self.suffix}"

    def damaged(self, what: str) -> DatasetError:
        """Return the error for something in its records that cannot be read."""
        return DatasetError(f"frame {self.number}: {what}; run simgen check on the dataset")


class Source:
    """A finished dataset in a folder.

    Raises:
        DatasetError: It is unfinished or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest: StoredManifest = read_manifest(folder)
        self.config: RenderConfig = _config(folder, self.manifest)
        self._shards = read_shards(folder)
        _require_finished(folder, self.manifest, self._shards)
        for number, category in enumerate(self.manifest.categories, start=1):
            if category.id != number or not _is_name(category.name):
                raise DatasetError(
                    f"{folder / 'manifest.json'}: category {number} has another id, or no name that"
                    f" can be printed; run simgen check {folder}"
                )

    def heads(self) -> Iterator[dict[str, Any]]:
        """Yield the COCO images alone, without opening labels or pictures."""
        for shard in self._shards:
            for _, image in _records(shard, whole=False):
                yield image

    def frames(
        self, *, outputs: Collection[str] = (), poses: bool = False, scenes: bool = False
    ) -> Iterator[ExportFrame]:
        """Yield all frames in order.

        Args:
            outputs: Kinds of files beside the image that are wanted, of those the config has.
            poses: Read poses.jsonl too.
            scenes: Keep the whole line of frames.jsonl, with the settled scene.

        Raises:
            DatasetError: A record is not as documented, or a file not the one rendered.
        """
        for shard in self._shards:
            yield from self._shard(shard, outputs, poses, scenes)

    def _shard(
        self, shard: CommittedShard, outputs: Collection[str], poses: bool, scenes: bool
    ) -> Iterator[ExportFrame]:
        files = _Files(shard)
        for name in ("frames.jsonl", "annotations.jsonl", *(["poses.jsonl"] if poses else [])):
            files.of(name).verify()
        labels = _Labels(shard, self.manifest)
        posed = read_jsonl(inside(shard.folder, "poses.jsonl")) if poses else None
        for record, image in _records(shard, whole=scenes):
            number = image["frame"]
            picture = files.of(record["file_name"])
            suffix = PurePosixPath(record["file_name"]).suffix
            if suffix not in SUFFIXES:
                raise _broken(shard, f"frame {number}: its image is neither PNG nor JPEG")
            if image_size(picture.path) != (image["height"], image["width"]):
                raise _broken(shard, f"frame {number}: its image is not of its record's size")
            pose = next(posed, {}) if posed is not None else None
            if pose is not None and pose.get("frame") != number:
                raise _broken(shard, f"poses.jsonl lacks frame {number}")
            yield ExportFrame(
                number=number,
                image=image,
                erased=_erased(record),
                annotations=labels.of(image),
                picture=picture,
                suffix=suffix,
                outputs={kind: files.of(f"{kind}/{number:08d}.png") for kind in outputs},
                pose=pose,
                record=record if scenes else {},
            )
        labels.require_empty()


class _Files:
    """A shard's files with the hashes that its manifest lists."""

    def __init__(self, shard: CommittedShard) -> None:
        self._shard = shard
        self._hashes = file_hashes(shard)

    def of(self, name: str) -> StoredFile:
        if name not in self._hashes:
            raise _broken(self._shard, f"{name!r} is not in its manifest")
        return StoredFile(path=inside(self._shard.folder, name), sha256=self._hashes[name])


class _Labels:
    """A shard's annotations, handed out frame by frame as they come."""

    def __init__(self, shard: CommittedShard, manifest: StoredManifest) -> None:
        self._shard = shard
        self._categories = len(manifest.categories)
        self._records = read_jsonl(inside(shard.folder, "annotations.jsonl"))
        self._ahead = next(self._records, None)

    def of(self, image: dict[str, Any]) -> tuple[dict[str, Any], ...]:
        mine: list[dict[str, Any]] = []
        while self._ahead is not None and self._ahead.get("image_id") == image["id"]:
            if len(mine) == ANNOTATIONS_PER_FRAME or not _sound(
                self._ahead, image, self._categories
            ):
                where = str(self._ahead.get("id"))[:20]
                raise _broken(self._shard, f"annotation {where} is not as documented")
            mine.append(self._ahead)
            self._ahead = next(self._records, None)
        if len({a["id"] for a in mine}) != len(mine):
            raise _broken(self._shard, f"frame {image['frame']}: two labels share an id")
        return tuple(mine)

    def require_empty(self) -> None:
        if self._ahead is not None:
            where = str(self._ahead.get("id"))[:20]
            raise _broken(self._shard, f"annotation {where} is out of place")


def _sound(annotation: dict[str, Any], image: dict[str, Any], categories: int) -> bool:
    if not is_annotation(annotation) or not is_whole(annotation["category_id"], 1, categories):
        return False
    sizes = annotation.get("defect_mm", {})
    if not all(_is_name(k) and is_number(v) for k, v in sizes.items()):
        return False
    x, y, width, height = annotation["bbox"]
    across, down = image["width"], image["height"]
    return (
        x >= 0 and y >= 0 and width > 0 and height > 0
        and x + width <= across and y + height <= down
    )  # fmt: skip


def _records(
    shard: CommittedShard, *, whole: bool
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield (line of frames.jsonl, COCO image) of each of a shard's frames."""
    path = inside(shard.folder, "frames.jsonl")
    expected = iter(range(shard.range.first, shard.range.stop))
    for record in read_jsonl(path, before="" if whole else "spec"):
        if record.get("frame") != next(expected, None):
            raise _broken(shard, f"frame {str(record.get('frame'))[:20]} is out of place")
        image = image_record(record, path)
        if not _is_name(image["part"]):
            raise _broken(shard, f"frame {image['frame']} has no part")
        yield record, image
    if (missing := next(expected, None)) is not None:
        raise _broken(shard, f"frame {missing} is missing")


def _is_name(text: object) -> bool:
    return isinstance(text, str) and 0 < len(text) <= _NAME and text.isprintable()


def _erased(record: dict[str, Any]) -> dict[str, int]:
    erased = record.get("erased")
    plain = erased if isinstance(erased, dict) else {}
    return {
        k: v
        for k, v in sorted(plain.items())
        if _is_name(k) and is_whole(v, 0, ANNOTATIONS_PER_FRAME)
    }


def _config(folder: Path, manifest: StoredManifest) -> RenderConfig:
    try:
        return parse_render(manifest.config)
    except ConfigError as error:
        raise DatasetError(
            f"{folder / 'manifest.json'}: not the config of a dataset that this version reads"
            f" ({error}); export it with the version that made it"
        ) from None


def _require_finished(
    folder: Path, manifest: StoredManifest, shards: Sequence[CommittedShard]
) -> None:
    """Check that the shards are those that the manifest lists, and hold all of its frames."""
    remedy = "run the render that made it again, or simgen check"
    listed = {s.name: s for s in manifest.shards}
    found = {s.range.name: s for s in shards}
    for name in sorted(listed.keys() | found.keys()):
        if name not in found:
            raise DatasetError(f"{folder}: is unfinished, shard {name} is missing; {remedy}")
        if name not in listed:
            raise DatasetError(
                f"{folder}: is unfinished, shard {name} is newer than manifest.json; {remedy}"
            )
        with disk_errors(found[name].manifest_path):
            if sha256_of(found[name].manifest_path) != listed[name].manifest_sha256:
                raise DatasetError(f"{folder}: shard {name} is not the one listed; {remedy}")
    held = sum(len(s.range) for s in shards)
    if held != manifest.frames or not shards or shards[-1].range.stop != held:
        raise DatasetError(
            f"{folder}: is unfinished, {held} of {manifest.frames} frames are there; {remedy}"
        )


def _broken(shard: CommittedShard, what: str) -> DatasetError:
    return DatasetError(f"{shard.folder}: {what}; run simgen check on the dataset")


def _damaged(path: Path) -> DatasetError:
    return DatasetError(
        f"{path}: differs from its hash; remove its shard's folder and render again"
    )
