"""Is a dataset on disk what its manifest says, and is every label exact?"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import simgen
from simgen.config.render import RenderConfig, parse_render
from simgen.dataset.audit import audit_frame, audited_frames
from simgen.dataset.check_files import Fault, file_faults
from simgen.dataset.check_labels import ShardRecords, image_faults
from simgen.dataset.check_records import Grouped, record_faults
from simgen.dataset.identity import config_sha256
from simgen.dataset.statistics import Distributions, distributions
from simgen.dataset.stored import StoredManifest, read_manifest
from simgen.errors import AssetError, ConfigError, DatasetError, SimgenError
from simgen.label.cast import require_embree

# A broken dataset may have a fault for every file; the first of a kind tell enough.
_KEPT = 1_000
Progress = Callable[[Iterable[Any], int], Iterable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a check found.

    Attributes:
        faults: In the order in which they were found, the first thousand of a kind.
        counts: How many there are of each kind.
        images: Number of images; `clean_images` of them have no defect.
        audited: Frames whose labels were compared with what rays see.
        not_audited: Why others were not, one line each.
        categories: For each category its statistics: `instances`, percentiles 5, 50
            and 95 of `longest_side_px`, the share that is `partly_hidden`, and for
            defects percentiles of `contrast`.
        distributions: Of parameters and labels.
    """

    faults: tuple[Fault, ...]
    counts: dict[str, int]
    images: int
    clean_images: int
    audited: tuple[int, ...]
    not_audited: tuple[str, ...]
    categories: dict[str, dict[str, Any]]
    distributions: Distributions


def check_dataset(
    folder: Path,
    *,
    audit: int = 0,
    own_files: bool = False,
    progress: Progress | None = None,
) -> Checked:
    """Check files against manifests, records against one another, and every mask.

    One shard is in memory at a time.

    Args:
        folder: The dataset.
        audit: How many frames to compare with an independent ray caster's view of their scene.
        own_files: Their scenes may name files and kinds of defects of the user's.
        progress: Wraps the iteration over images, given it and their number.

    Raises:
        DatasetError: There is no dataset, or its coco.json or manifest.json cannot be read.
        RenderError: `audit` is not 0 and the ray caster is not installed.
    """
    if audit:
        require_embree()
    manifest = read_manifest(folder)
    found = _Faults()
    shards, more = file_faults(folder, manifest)
    found.add(more)
    coco = folder / "coco.json"
    found.add(record_faults(coco, manifest))
    categories = {c.id: (c.name, c.supercategory) for c in manifest.categories}
    config = _config(manifest, found)
    grouped, records = Grouped(coco), ShardRecords(shards)
    counted = _Counted(categories)
    images: Iterable[Any] = grouped.images()
    for image, annotations in progress(images, grouped.count) if progress else images:
        found.add(image_faults(folder, image, annotations, categories, records, config))
        counted.add(annotations)
    audited, skipped = _audit(records, categories, config, manifest, audit, own_files, found)
    try:
        values = distributions(shards, {number: name for number, (name, _) in categories.items()})
    except DatasetError as error:
        found.add([Fault(kind="records cannot be read", where=str(error))])
        values = Distributions()
    return Checked(
        faults=tuple(found.kept),
        counts=dict(found.counts),
        images=grouped.count,
        clean_images=counted.clean,
        audited=tuple(audited),
        not_audited=tuple(skipped),
        categories=counted.table(),
        distributions=values,
    )


class _Faults:
    """Faults as they are found; of very many of a kind only the number is kept."""

    def __init__(self) -> None:
        self.kept: list[Fault] = []
        self.counts: Counter[str] = Counter()

    def add(self, faults: Iterable[Fault]) -> None:
        for fault in faults:
            self.counts[fault.kind] += 1
            if self.counts[fault.kind] <= _KEPT:
                self.kept.append(fault)


class _Counted:
    """Numbers for the table of categories, eight bytes each."""

    def __init__(self, categories: dict[int, tuple[str, str]]) -> None:
        self._categories = categories
        self._sides: dict[int, array[float]] = defaultdict(lambda: array("d"))
        self._hidden: Counter[int] = Counter()
        self._contrasts: dict[int, array[float]] = defaultdict(lambda: array("d"))
        self.clean = 0

    def add(self, annotations: list[dict[str, Any]]) -> None:
        """Count the labels of one image."""
        kinds = {self._categories.get(a["category_id"], ("", ""))[1] for a in annotations}
        self.clean += "defect" not in kinds
        for a in annotations:
            self._sides[a["category_id"]].append(float(max(a["bbox"][2:])))
            self._hidden[a["category_id"]] += a["visibility"] < 0.95
            if a.get("contrast") is not None:
                self._contrasts[a["category_id"]].append(float(a["contrast"]))

    def table(self) -> dict[str, dict[str, Any]]:
        """Return the statistics of each category, by name."""
        result: dict[str, dict[str, Any]] = {}
        for number, (name, supercategory) in self._categories.items():
            sides = self._sides[number]
            entry: dict[str, Any] = {"supercategory": supercategory, "instances": len(sides)}
            if sides:
                entry["partly_hidden"] = round(self._hidden[number] / len(sides), 3)
                entry["longest_side_px"] = _percentiles(sides)
            if self._contrasts[number]:
                entry["contrast"] = _percentiles(self._contrasts[number])
            result[name] = entry
        return result


def _config(manifest: StoredManifest, found: _Faults) -> RenderConfig | None:
    try:
        config = parse_render(manifest.config)
    except ConfigError as error:
        found.add([Fault(kind="config cannot be read by this version", where=str(error))])
        return None
    # Another version may have other keys, and hash the same config to something else.
    ours = all(_version(made) == simgen.__version__ for made in manifest.made_with)
    if ours and config_sha256(config) != manifest.config_sha256:
        found.add([Fault(kind="config differs from its hash", where="manifest.json")])
    return config


def _version(made_with: dict[str, Any]) -> Any:
    versions = made_with.get("versions")
    return versions.get("simgen") if isinstance(versions, dict) else None


def _audit(
    records: ShardRecords,
    categories: dict[int, tuple[str, str]],
    config: RenderConfig | None,
    manifest: StoredManifest,
    count: int,
    own_files: bool,
    found: _Faults,
) -> tuple[list[int], list[str]]:
    """Compare some frames with what rays see; return which, and why others were not."""
    if count == 0 or config is None:
        return [], []
    audited, skipped = [], []
    for frame in audited_frames(manifest.frames, count):
        record, annotations = records.of(frame)
        if record is None:
            continue
        if not records.has_scene(frame):
            skipped.append(f"frame {frame}: drawn by a renderer that shows no SceneSpec")
            continue
        try:
            kinds = audit_frame(record, annotations, categories, config.labels, own_files=own_files)
        except AssetError as error:
            skipped.append(f"frame {frame}: {error}")
            continue
        except (SimgenError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            kinds = [f"scene cannot be audited ({error})"]
        audited.append(frame)
        found.add(Fault(kind=k.partition(": ")[0], where=_where(frame, k)) for k in kinds)
    return audited, skipped


def _where(frame: int, kind: str) -> str:
    detail = kind.partition(": ")[2]
    return f"frame {frame}" + (f", {detail}" if detail else "")


def _percentiles(values: array) -> list[float]:
    return [round(float(v), 1) for v in np.percentile(values, [5, 50, 95])]
