"""`check`: a dataset's integrity, label exactness and statistics."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from simgen.dataset.check import Checked, check_dataset
from simgen.errors import ConfigError

HELP = """
usage: python -m simgen check DATASET

Compares every file with its hash and every record with the others, decodes every mask, and
prints what it finds and what the dataset holds. Exit code 1 if anything is wrong.
"""

_SHOWN = 5


def run(overrides: Sequence[str], config_dir: Path | None) -> int:
    """Check the dataset named by the only argument; 1 if there is a fault."""
    if len(overrides) != 1:
        raise ConfigError(
            f"check: expected one dataset, got {len(overrides)}; write simgen check DATASET"
        )
    checked = check_dataset(Path(overrides[0]), progress=_bar)
    _print_faults(checked)
    _print_statistics(checked)
    return 1 if checked.faults else 0


def _bar(images: Iterable[Any], total: int) -> Iterable[Any]:
    return tqdm(images, total=total, unit="image", desc="check")


def _print_faults(checked: Checked) -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for fault in checked.faults:
        places[fault.kind].append(fault.where)
    for kind, where in places.items():
        more = f" and {len(where) - _SHOWN} more" if len(where) > _SHOWN else ""
        print(f"FAULT {len(where)} x {kind}: {'; '.join(where[:_SHOWN])}{more}")


def _print_statistics(checked: Checked) -> None:
    print(f"{checked.images} images, {checked.clean_images} without a defect")
    print(f"{'category':<16}{'is a':<8}{'count':>7}{'hidden':>8}   longest side px     contrast")
    for name, entry in checked.categories.items():
        row = f"{name:<16}{entry['supercategory']:<8}{entry['instances']:>7}"
        if entry["instances"]:
            row += f"{entry['partly_hidden']:>8.0%}   {_range(entry['longest_side_px']):<20}"
            row += _range(entry["contrast"]) if "contrast" in entry else ""
        print(row.rstrip())
    print("(ranges are the 5th, 50th and 95th percentile; hidden: visibility below 0.95)")
    print(f"{len(checked.faults)} faults")


def _range(values: Sequence[float]) -> str:
    return " / ".join(f"{v:g}" for v in values)
