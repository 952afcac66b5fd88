"""`diff`: what changed from one dataset to another."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from simgen.cli.output import writable_folder
from simgen.cli.words import read_words
from simgen.dataset.compare import Change, Difference, Shift, compare_datasets
from simgen.dataset.page import bars, histograms, write_page
from simgen.dataset.storage import local_copy
from simgen.errors import printable

HELP = """
usage: python -m simgen diff A B [out=FOLDER]

Says what changed from dataset A to dataset B: keys of the config, driver and versions, assets,
categories, and which sampled parameters and label measures are distributed otherwise, with effect
sizes. Frames of one scene share its values; these count once.

  out=FOLDER    write diff.html, with plots, and diff.json there (default outputs/diff/A-B)
"""

_SHOWN = 30
_PLOTS = 60


def run(overrides: Sequence[str], config_dir: Path | None) -> int:
    """Compare the two datasets named by the arguments."""
    places, keys = read_words("diff", overrides, datasets=2, keys={"out": ""})
    first, second = (local_copy(place) for place in places)
    found = compare_datasets(first, second)
    names = (first.resolve().name, second.resolve().name)
    if names[0] == names[1]:
        names = (str(first), str(second))
    default = f"outputs/diff/{first.resolve().name}-{second.resolve().name}"
    out = writable_folder(keys["out"] or default)
    _print(found, names)
    page, _ = write_diff(out, found, names)
    print(f"  page  {page}")
    return 0


def write_diff(folder: Path, found: Difference, names: tuple[str, str]) -> tuple[Path, Path]:
    """Write diff.html and diff.json and return their paths."""
    certain = [shift for shift in found.shifts if shift.certain]
    drawn = []
    for shift in certain[:_PLOTS]:
        if shift.name in found.first.numbers:
            a, b = found.first.numbers[shift.name], found.second.numbers[shift.name]
            one, two, low, high = histograms(a, b)
            heights = bars(one, two)
            drawn.append({"name": shift.name, "heights": heights, "low": low, "high": high})
    record = {
        "names": names,
        "frames": (found.first.frames_in_all, found.second.frames_in_all),
        **{
            key: [dataclasses.asdict(change) for change in getattr(found, key)]
            for key in ("config", "made_with", "assets", "categories")
        },
        "shifts": [dataclasses.asdict(s) | {"certain": s.certain} for s in found.shifts],
        "only": found.only,
    }
    return write_page(folder, "diff", record, certain=certain, drawn=drawn)


def _print(found: Difference, names: tuple[str, str]) -> None:
    print(printable(f"from {names[0]} to {names[1]}"))
    for title, changes in (
        ("config", found.config),
        ("made with", found.made_with),
        ("assets", found.assets),
        ("categories", found.categories),
    ):
        print(f"{title}: {'the same' if not changes else ''}".rstrip())
        for change in changes[:_SHOWN]:
            print(printable(f"  {_change(change)}"))
        if len(changes) > _SHOWN:
            print(f"  and {len(changes) - _SHOWN} more")
    certain = [shift for shift in found.shifts if shift.certain]
    print(f"shifts: {len(certain)} of {len(found.shifts)} that chance does not explain")
    for shift in certain[:_SHOWN]:
        print(printable(f"  {_shift(shift)}"))
    if len(certain) > _SHOWN:
        print(f"  and {len(certain) - _SHOWN} more")
    for only, name in zip(found.only, names, strict=True):
        if only:
            print(printable(f"only in {name}: {', '.join(only[:5])}{_more(len(only) - 5)}"))


def _change(change: Change) -> str:
    return f"{change.key}: {change.before[:80]} -> {change.after[:80]}"


def _shift(shift: Shift) -> str:
    return (
        f"{shift.name}: {shift.middle[0]} -> {shift.middle[1]}, effect {shift.effect:+.2f}"
        f" ({shift.size}), distance {shift.distance:.2f}, n {shift.n[0]} and {shift.n[1]}"
    )


def _more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""
