"""`export`: a dataset in the formats of others."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

from tqdm import tqdm

from simgen.cli.words import files_allowed, read_words, whole_number
from simgen.config import suggest
from simgen.dataset.storage import is_url, local_copy
from simgen.errors import ConfigError, printable
from simgen.export import FORMATS, Exported, ExportOptions, export_dataset
from simgen.export.folder import Images
from simgen.export.yolo import Only

HELP = """
usage: python -m simgen export DATASET format=NAME [out=FOLDER] [split=0.9] [key=value ...]

Writes a finished dataset in another format, every file of it compared with its hash.

  format=yolo           Ultralytics: boxes
  format=yolo_segment   Ultralytics: one polygon a label
  format=coco           COCO beside one folder of images; with split, train.json and val.json
  format=webdataset     tar files of samples, depth, normals, instances and poses included
  format=parquet        tables of images and annotations; needs the extra `export`
  format=bop            6-D poses, depth, visibility and models; needs embreex (extra `audit`) and a
                        dataset with outputs.depth, outputs.instances and outputs.poses

  out=FOLDER      must not be there yet (default outputs/export/NAME-FORMAT)
  split=0.9       this share of the scenes to train, the others to val; views and exposures of a
                  scene stay together, and a longer dataset moves none of the earlier ones
  images=copy     or link: second names (hard links) of the dataset's files, which must not be
                  edited then; or, for parquet, none
  only=defect     YOLO: labels of defects, or of parts, alone
  shard_mb=256    WebDataset: size of a tar file in MB
  files=allow     BOP: scenes may name mesh files of your own; only for datasets that are yours
"""

_DEFAULTS = {"images": "copy", "only": "all", "shard_mb": "256", "files": ""}
_KEYS = {"format": "", "out": "", "split": "", **dict.fromkeys(_DEFAULTS, "")}


def run(overrides: Sequence[str], config_dir: Path | None) -> int:
    """Export the dataset named by the only argument."""
    (where,), keys = read_words("export", overrides, datasets=1, keys=_KEYS)
    options = _options(keys)
    if is_url(keys["out"]):
        raise ConfigError("out: an export goes to a folder; copy it to the store afterwards")
    folder = local_copy(where)
    name = re.split(r"[/\\]+", str(where).rstrip("/\\"))[-1] if is_url(str(where)) else ""
    name = name or folder.resolve().name
    out = Path(keys["out"] or f"outputs/export/{name}-{options.format}")
    exported = export_dataset(folder, out, options, progress=_bar)
    for line in _lines(exported, options):
        print(printable(line))
    print(f"  folder  {printable(str(out))}")
    return 0


def _options(keys: dict[str, str]) -> ExportOptions:
    name = keys["format"]
    if not name:
        raise ConfigError(f"format: is missing; choose one of {', '.join(FORMATS)}")
    if name not in FORMATS:
        raise ConfigError(f"format: no format {name[:40]!r}{suggest(name, FORMATS)}")
    for key in _DEFAULTS:
        if keys[key] and key not in FORMATS[name][1]:
            others = [other for other, (_, known) in FORMATS.items() if key in known]
            raise ConfigError(f"{key}: goes with format={' or '.join(others)}; leave it out")
    chosen = {key: keys[key] or default for key, default in _DEFAULTS.items()}
    places = ("copy", "link", "none") if name == "parquet" else ("copy", "link")
    return ExportOptions(
        format=name,
        split=_share(keys["split"]),
        images=cast(Images, _choice("images", chosen["images"], places)),
        only=cast(Only, _choice("only", chosen["only"], ("all", "part", "defect"))),
        shard_mb=whole_number("shard_mb", chosen["shard_mb"], low=1),
        own_files=files_allowed(chosen["files"]),
    )


def _share(text: str) -> float | None:
    if not text:
        return None
    if not re.fullmatch(r"0?\.[0-9]{1,9}", text) or not 0 < float(text) < 1:
        raise ConfigError(f"split: expected a share between 0 and 1, got {text[:40]!r}")
    return float(text)


def _choice(key: str, text: str, known: Sequence[str]) -> str:
    if text not in known:
        raise ConfigError(f"{key}: expected {' or '.join(known)}, got {text[:40]!r}")
    return text


def _lines(exported: Exported, options: ExportOptions) -> Iterable[str]:
    split = exported.split
    total = sum(split.images.values())
    if split.share is None:
        yield f"{total} images of {split.scenes['train']} scenes"
    else:
        for side in split.sides:
            share = split.images[side] / total
            yield f"{side}: {split.images[side]} images of {split.scenes[side]} scenes, {share:.1%}"
    for key, value in exported.facts.items():
        yield f"{key.replace('_', ' ')}: {value}"


def _bar(frames: Iterable[Any], total: int) -> Iterable[Any]:
    return tqdm(frames, total=total, unit="frame", desc="export", delay=2)
