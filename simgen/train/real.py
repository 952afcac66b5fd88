"""Real photographs for training and selection: the splits train and val, never the holdout.

The holdout's file is opened here for one purpose only, to compare part names. Its images and
labels are read by `simgen.evaluate.holdout` alone, which logs every reading.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from simgen.config import bounded
from simgen.errors import DatasetError
from simgen.train.coco import Reading, read_json, read_source
from simgen.train.images import Source

SPLITS = ("train", "val", "holdout")


@dataclass(frozen=True, slots=True, kw_only=True)
class RealConfig:
    """Where the photographs are.

    Attributes:
        root: Folder of all sets.
        set: Name of the set, a folder in `root` with train.json, val.json, holdout.json
            and images/.
        exclude: Categories that are left out, with the images that show them.
        parts_per_kind: Parts of each kind that train; parts are what is scarce.
        clean_per_defective: Clean parts for each defective one that trains, where not all
            do; None: as many as in the whole split.
    """

    root: str
    set: str
    exclude: tuple[str, ...] = ()
    parts_per_kind: int | Literal["all"] = bounded("all", low=1)
    clean_per_defective: float | None = bounded(None, low=0)

    @property
    def folder(self) -> Path:
        """Folder of the set."""
        return Path(self.root) / self.set


def load_real(
    config: RealConfig, split: Literal["train", "val"], rename: Mapping[str, str] | None = None
) -> Source:
    """Return the photographs of `train` or `val`.

    Args:
        config: Where they are.
        split: Which part; the holdout is refused here.
        rename: Category names of the set to ours.

    Raises:
        DatasetError: The split is the holdout, a part is in two splits, or a file is
            missing or broken; see `read_source`.
    """
    if split not in ("train", "val"):
        raise DatasetError(f"real split {split!r}: only train and val may be trained on")
    check_splits(config)
    return read_split(config, split, rename or {})


def check_splits(config: RealConfig) -> None:
    """Check that no physical part and no image file is in two splits.

    Raises:
        DatasetError: One is, or the set or one of its splits is missing.
    """
    folder = config.folder
    if not folder.is_dir():
        raise DatasetError(
            f"real.root: {folder} does not exist; set SIMGEN_DATA or real.root to the folder of the"
            " photographs"
        )
    owner: dict[tuple[str, str], str] = {}
    for split in SPLITS:
        for what, name in sorted(_identities(folder / f"{split}.json")):
            first = owner.setdefault((what, name), split)
            if first != split:
                raise DatasetError(
                    f"{folder}: {what} {name!r} is in {first} and {split}; keep it in one"
                )


def read_split(config: RealConfig, split: str, rename: Mapping[str, str]) -> Source:
    """Return one split; only `load_real` and `simgen.evaluate.holdout` call this."""
    reading = Reading(name="real", rename=rename, exclude=config.exclude)
    return read_source(config.folder / f"{split}.json", config.folder / "images", reading)


def _identities(file: Path) -> set[tuple[str, str]]:
    found = set()
    for record in read_json(file)["images"]:
        found.add(("part", _text(record, "part", file)))
        found.add(("image file", _text(record, "file_name", file)))
    return found


def _text(record: Any, key: str, file: Path) -> str:
    value = record.get(key) if isinstance(record, dict) else None
    if not isinstance(value, str) or not value:
        raise DatasetError(f"{file}: an image has no {key!r}; splits are compared by it")
    return value
