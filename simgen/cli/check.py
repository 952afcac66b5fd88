"""`check`: a dataset's integrity, label exactness and statistics."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from simgen.cli.output import writable_folder
from simgen.cli.words import files_allowed, read_words, whole_number
from simgen.dataset.check import Checked, check_dataset
from simgen.dataset.page import bars, distribution_record, write_page
from simgen.dataset.storage import local_copy
from simgen.dataset.stored import StoredManifest, read_manifest
from simgen.errors import RenderError, printable
from simgen.label.cast import require_embree

HELP = """
usage: python -m simgen check DATASET [audit=8] [out=FOLDER] [files=allow]

Compares every file with its hash and every record with the others and with its shard, decodes
every mask, compares the labels of some frames with what an independent ray caster sees of their
scenes, and prints what it finds and what the dataset holds. Exit code 1 if anything is wrong.

  audit=8       frames to cast rays for, evenly spaced, about a second each; 0 for none
  files=allow   scenes may name mesh files and kinds of defects of your own; only for datasets
                that are yours
  out=FOLDER    write check.html and check.json there: faults, and plots of every label and every
                sampled parameter (default outputs/check/NAME)
"""

_SHOWN = 5
_KEYS = {"audit": "", "out": "", "files": ""}
_AUDIT = 8
_NAME = 40


def run(overrides: Sequence[str], config_dir: Path | None) -> int:
    """Check the dataset named by the only argument; 1 if there is a fault."""
    (where,), keys = read_words("check", overrides, datasets=1, keys=_KEYS)
    audit, note = _audit(keys["audit"])
    folder = local_copy(where)
    manifest = read_manifest(folder)
    name = folder.resolve().name
    out = writable_folder(keys["out"] or f"outputs/check/{name}")
    checked = check_dataset(
        folder, audit=audit, own_files=files_allowed(keys["files"]), progress=_bar
    )
    _print_faults(checked)
    _print_statistics(checked)
    for line in (*checked.not_audited[:_SHOWN], *note):
        print(f"not compared with rays: {printable(line)}")
    page, _ = write_check(out, manifest, checked)
    total = sum(checked.counts.values())
    print(f"{total} fault{'' if total == 1 else 's'}")
    print(f"  page  {page}")
    return 1 if checked.counts else 0


def write_check(folder: Path, manifest: StoredManifest, checked: Checked) -> tuple[Path, Path]:
    """Write check.html and check.json and return their paths."""
    values = distribution_record(checked.distributions)
    faults: dict[str, list[str]] = defaultdict(list)
    for fault in checked.faults:
        faults[fault.kind].append(fault.where)
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    constants = {}
    for name, entry in values["numbers"].items():
        if entry["min"] == entry["max"]:
            constants[name] = entry["min"]
            continue
        (heights,) = bars(entry["histogram"]["counts"])
        short = name.removeprefix(f"{_group(name)} ")
        shown = {"name": short, "heights": heights, "low": entry["min"], "high": entry["max"]}
        groups[_group(name)].append({**shown, "n": entry["n"], "median": entry["median"]})
    record = {
        "name": manifest.name,
        "scene": manifest.scene,
        "seed": manifest.seed,
        "config_sha256": manifest.config_sha256,
        "images": checked.images,
        "clean_images": checked.clean_images,
        "faults": dict(faults),
        "fault_counts": checked.counts,
        "audited": list(checked.audited),
        "not_audited": list(checked.not_audited),
        "categories": checked.categories,
        "distributions": values,
    }
    ordered = sorted(groups.items(), key=lambda item: (not item[0].startswith("label"), item[0]))
    return write_page(folder, "check", record, groups=dict(ordered), constants=constants)


def _audit(text: str) -> tuple[int, list[str]]:
    if text:
        return whole_number("audit", text), []
    try:
        require_embree()
    except RenderError as error:
        return 0, [str(error)]
    return _AUDIT, []


def _group(name: str) -> str:
    words = name.split(" ")
    return " ".join(words[:2]) if words[0] in _ROLES else words[0]


_ROLES = ("label", "part", "prop", "defect", "mark", "light", "panel")


def _bar(images: Iterable[Any], total: int) -> Iterable[Any]:
    return tqdm(images, total=total, unit="image", desc="check", delay=2)


def _print_faults(checked: Checked) -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for fault in checked.faults:
        places[fault.kind].append(fault.where)
    for kind, where in places.items():
        count = checked.counts[kind]
        more = f" and {count - _SHOWN} more" if count > _SHOWN else ""
        print(printable(f"FAULT {count} x {kind}: {'; '.join(where[:_SHOWN])}{more}"))


def _print_statistics(checked: Checked) -> None:
    print(f"{checked.images} images, {checked.clean_images} without a defect")
    wide = min(max([14, *map(len, checked.categories)]), _NAME) + 2
    print(
        f"{'category':<{wide}}{'is a':<8}{'count':>7}{'hidden':>8}   longest side px     contrast"
    )
    for name, entry in checked.categories.items():
        row = f"{name[:_NAME]:<{wide}}{entry['supercategory'][:20]:<8}{entry['instances']:>7}"
        if entry["instances"]:
            row += f"{entry['partly_hidden']:>8.0%}   {_range(entry['longest_side_px']):<20}"
            row += _range(entry["contrast"]) if "contrast" in entry else ""
        print(printable(row.rstrip()))
    print("(ranges are the 5th, 50th and 95th percentile; hidden: visibility below 0.95)")
    if checked.audited:
        frames = ", ".join(map(str, checked.audited))
        print(f"labels of frames {frames} compared with what rays see of their scenes")


def _range(values: Sequence[float]) -> str:
    return " / ".join(f"{v:g}" for v in values)
