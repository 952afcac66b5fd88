"""What a dataset holds, as distributions: every sampled parameter and every label."""

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from simgen.dataset.shards import CommittedShard
from simgen.dataset.stored import is_number, read_jsonl

# Enough for any plot or comparison; all frames of a large dataset would fill the memory.
_MOST_FRAMES = 20_000
_MOST_NAMES = 4_000
_MOST_LETTERS = 120
_BINS = 24
_GRID = 12
# Drawn to seed something else, or the name of something: their distribution says nothing.
_NOT_COUNTED = ("seed", "noise_seed", "name", "sha256", "file_sha256", "path")
# What a list of a SceneSpec holds, and by which key its members are told apart.
_ROLES = {"lights": "light", "panels": "panel", "defects": "defect", "marks": "mark"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Distributions:
    """Values by name, such as `light disc irradiance` or `label scratch contrast`.

    Attributes:
        numbers: Numeric values; those that frames of one scene share are counted once.
        choices: How often each text, or true or false, occurs.
        positions: For each category the centres of its boxes, (x, y) in [0, 1], pairwise.
        frames: Number of frames that these are from, of `frames_in_all`.
    """

    numbers: dict[str, array] = field(default_factory=lambda: defaultdict(lambda: array("d")))
    choices: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    positions: dict[str, array] = field(default_factory=lambda: defaultdict(lambda: array("d")))
    frames: int = 0
    frames_in_all: int = 0


def distributions(shards: Iterable[CommittedShard], categories: dict[int, str]) -> Distributions:
    """Return the distributions of a dataset, over evenly spaced frames if it is large.

    Args:
        shards: In the order of their frames.
        categories: Names by category id.

    Raises:
        DatasetError: A shard cannot be read.
    """
    shards = list(shards)
    total = sum(len(shard.range) for shard in shards)
    step = max(1, math.ceil(total / _MOST_FRAMES))
    found = Distributions(frames_in_all=total)
    frames = 0
    scene: object = None
    before: dict[str, list[Any]] = {}
    for shard in shards:
        sizes = {}
        for record in read_jsonl(shard.folder / "frames.jsonl"):
            number = record.get("frame")
            if not isinstance(number, int) or number % step:
                continue
            frames += 1
            sizes[number + 1] = (record.get("width"), record.get("height"))
            now = _by_name(record.get("spec"))
            # Exposures of one view repeat its camera, views of one scene its parts: a value
            # that was drawn once counts once.
            same = scene is not None and record.get("scene") == scene
            for name, values in now.items():
                if not same or before.get(name) != values:
                    _add(found, name, values)
            scene, before = record.get("scene"), now
        _add_labels(found, shard, sizes, categories)
    return Distributions(
        numbers=dict(found.numbers),
        choices=dict(found.choices),
        positions=dict(found.positions),
        frames=frames,
        frames_in_all=total,
    )


def summary(values: array) -> dict[str, Any]:
    """Return n, mean, standard deviation, percentiles and a histogram of numeric values."""
    x = np.asarray(values, np.float64)
    counts, edges = np.histogram(x, bins=_BINS)
    names = ("min", "p5", "p25", "median", "p75", "p95", "max")
    at = np.percentile(x, [0, 5, 25, 50, 75, 95, 100])
    return {
        "n": len(x),
        "mean": _short(x.mean()),
        "std": _short(x.std()),
        **{name: _short(v) for name, v in zip(names, at, strict=True)},
        "histogram": {"edges": [_short(e) for e in edges], "counts": counts.tolist()},
    }


def position_grid(centres: array) -> list[list[int]]:
    """Return how many boxes have their centre in each cell of a grid over the image, by row."""
    points = np.asarray(centres, np.float64).reshape(-1, 2)
    cells = [(0.0, 1.0), (0.0, 1.0)]
    counts, _, _ = np.histogram2d(points[:, 1], points[:, 0], bins=_GRID, range=cells)
    return [[int(v) for v in row] for row in counts]


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def _add(found: Distributions, name: str, values: Iterable[Any]) -> None:
    name = name[:_MOST_LETTERS]
    known = name in found.numbers or name in found.choices
    if not known and len(found.numbers) + len(found.choices) >= _MOST_NAMES:
        return
    for value in values:
        if is_number(value):
            found.numbers[name].append(value)
        elif isinstance(value, (bool, str)):
            found.choices[name][str(value)[:_MOST_LETTERS]] += 1


def _by_name(spec: Any) -> dict[str, list[Any]]:
    """Return all values of a SceneSpec by name, those of like things together."""
    found: dict[str, list[Any]] = defaultdict(list)
    if isinstance(spec, dict):
        for name, value in _leaves(spec, ""):
            found[name].append(value)
    return found


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in _NOT_COUNTED:
                continue
            if key == "objects" and isinstance(inner, list):
                yield from _members(inner, _object_name)
            elif key in _ROLES and isinstance(inner, list):
                yield from _members(inner, partial(_member_name, _ROLES[key]))
            elif key == "points" and isinstance(inner, list):
                yield f"{name} points", len(inner)
            else:
                yield from _leaves(inner, f"{name} {key}".strip())
    elif isinstance(value, list):
        for i, inner in enumerate(value[:16]):
            yield from _leaves(inner, f"{name}[{i}]")
    else:
        yield name, value


def _members(
    members: list[Any], named: Callable[[dict[str, Any]], str]
) -> Iterator[tuple[str, Any]]:
    counts: Counter[str] = Counter()
    for member in members:
        if isinstance(member, dict):
            name = named(member)
            counts[name] += 1
            yield from _leaves(member, name)
    for name, count in counts.items():
        yield f"{name} count", count


def _member_name(role: str, member: dict[str, Any]) -> str:
    return _named(role, member.get("kind"))


def _object_name(item: dict[str, Any]) -> str:
    if isinstance(item.get("category"), str):
        return _named("part", item["category"])
    shape = item.get("shape")
    return _named("prop", shape.get("kind") if isinstance(shape, dict) else None)


def _named(role: str, kind: Any) -> str:
    return f"{role} {kind[:40]}" if isinstance(kind, str) else role


def _add_labels(
    found: Distributions,
    shard: CommittedShard,
    sizes: dict[int, tuple[Any, Any]],
    categories: dict[int, str],
) -> None:
    counts: dict[int, Counter[str]] = {number: Counter() for number in sizes}
    for record in read_jsonl(shard.folder / "annotations.jsonl"):
        number, category = record.get("image_id"), categories.get(_key(record.get("category_id")))
        if _key(number) not in sizes or category is None:
            continue
        counts[_key(number)][category] += 1
        for name, value in _label_values(record):
            _add(found, f"label {category} {name}", [value])
        centre = _centre(record.get("bbox"), sizes[_key(number)])
        if centre is not None:
            found.positions[category].extend(centre)
            _add(found, f"label {category} centre_x", centre[:1])
            _add(found, f"label {category} centre_y", centre[1:])
    for category in categories.values():
        _add(found, f"label {category} count", [c[category] for c in counts.values()])


def _key(value: Any) -> int:
    return value if isinstance(value, int) else -1


def _label_values(record: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    box = record.get("bbox")
    if isinstance(box, list) and len(box) == 4 and all(is_number(v) for v in box):
        yield "longest_side_px", max(box[2:])
    yield "area_px", record.get("area")
    for name in ("visibility", "contrast", "contrast_ring", "missing_material"):
        yield name, record.get(name)
    sizes = record.get("defect_mm")
    for name, value in sizes.items() if isinstance(sizes, dict) else ():
        yield f"{str(name)[:40]} (mm)", value


def _centre(box: Any, size: tuple[Any, Any]) -> tuple[float, float] | None:
    numbers = isinstance(box, list) and len(box) == 4 and all(is_number(v) for v in box)
    if not numbers or not all(is_number(v) and v > 0 for v in size):
        return None
    return ((box[0] + box[2] / 2) / size[0], (box[1] + box[3] / 2) / size[1])
