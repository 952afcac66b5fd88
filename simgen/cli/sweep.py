"""`preview sweep=KEY`: one parameter swept over a sheet, everything else the same."""

import copy
import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from simgen import pipeline
from simgen.config import bounded, parse, suggest, to_plain
from simgen.config.render import RenderConfig, parse_render
from simgen.dataset.contact_sheet import Label, Picture, draw_sheet
from simgen.defects.place import KindRanges, parse_kinds
from simgen.errors import ConfigError
from simgen.label.annotation import Frame
from simgen.sampling import Choice, Constant, Distribution, FrameIndex, LogUniform
from simgen.scene.spec import SceneSpec, to_json

# They change which frames there are, or nothing that can be seen.
_NOT_SWEPT = (
    "out", "frames", "seed", "workers", "shard_size", "executor", "dataset", "name",
    "views_per_scene", "exposures_per_view",
)  # fmt: skip
_SCENES_TRIED = 24
_DETAIL_PX = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What to sweep.

    Attributes:
        key: Dotted config key of a range or a number.
        n: Number of values; a choice or a list has its own.
        start, stop: First and last value; default the ends of the range.
    """

    key: str
    n: int = bounded(8, low=2, high=64)
    start: float | None = None
    stop: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Holder:
    value: Distribution


def draw_sweep(plain: Mapping[str, Any], sweep: Sweep, *, scenes: int) -> tuple[np.ndarray, str]:
    """Render one image a value for every view of some scenes; return the sheet and what changed.

    Scenes on which nothing changes (a clean part, when a defect's size is swept) are passed over.

    Args:
        plain: The composed config of `render`.
        sweep: What to sweep.
        scenes: How many scenes to show.

    Returns:
        The sheet, uint8, (H, W, 3), and one line that names the fields of the SceneSpec that
        differ between the values.

    Raises:
        ConfigError: The key cannot be swept; the message names the nearest one that can.
    """
    plain = with_defaults(plain)
    values = swept_values(plain, sweep)
    configs = [parse_render(replaced(plain, sweep.key, value)) for value in values]
    for config in configs:
        pipeline.scene_check(config)
    chosen = _scenes_that_change(configs, scenes)
    frames: list[list[Frame]] = []
    with tqdm(total=len(values) * len(chosen), unit="frame", desc="sweep") as bar:
        for config in configs:
            renderer = pipeline.FrameRenderer(config)
            try:
                frames.append([])
                for number in chosen:
                    frames[-1].append(renderer.frame(number))
                    bar.update()
            finally:
                renderer.close()
    rows = []
    changed: set[str] = set()
    for row in range(len(chosen)):
        shown = [column[row] for column in frames]
        changed |= changed_fields([frame.spec for frame in shown])
        rows.append(_row(shown, [f"{sweep.key.rpartition('.')[2]} = {_text(v)}" for v in values]))
    told = ", ".join(sorted(changed)) or "nothing"
    return _stacked(rows), f"{sweep.key} changes in the SceneSpec: {told}"


def swept_values(plain: Mapping[str, Any], sweep: Sweep) -> list[Any]:
    """Return the values that the key takes, each a plain constant.

    Raises:
        ConfigError: The key is unknown, or holds neither number nor range, or a number without
            ends to sweep between.
    """
    known = list(sweepable_keys(plain))
    if sweep.key not in known:
        tail = [k for k in known if k.endswith(f".{sweep.key}")]
        nearest = f"; did you mean {tail[0]!r}?" if len(tail) == 1 else suggest(sweep.key, known)
        if len(nearest) > 400:
            nearest = "; name the dotted key of a range or a number, such as scene.clean_share"
        raise ConfigError(f"sweep: {sweep.key!r} is no key that can be swept{nearest}")
    now = _at(plain, sweep.key)
    if isinstance(now, bool):
        return [False, True]
    if isinstance(now, list):
        return [[v] for v in now]
    if isinstance(now, Mapping):
        distribution = parse(_Holder, {"value": now}, sweep.key).value
    else:
        distribution = Constant(float(now))
    if isinstance(distribution, Choice):
        return list(distribution.values)
    low, high = distribution.support()
    low = low if sweep.start is None else sweep.start
    high = high if sweep.stop is None else sweep.stop
    if low == high:
        raise ConfigError(f"sweep: {sweep.key} is always {low:g}; give it ends: from=... to=...")
    if isinstance(distribution, LogUniform) and low > 0 and high > 0:
        values = np.geomspace(low, high, sweep.n)
    else:
        values = np.linspace(low, high, sweep.n)
    if isinstance(now, int):
        return sorted({round(v) for v in values}, reverse=low > high)
    return [float(f"{v:.6g}") for v in values]


def sweepable_keys(plain: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return the dotted keys of all numbers, switches, lists of numbers and ranges."""
    found = []
    for name, value in plain.items():
        key = f"{prefix}{name}"
        if key.partition(".")[0] in _NOT_SWEPT:
            continue
        if _is_range(value) or _is_number(value):
            found.append(key)
        elif isinstance(value, list) and len(value) > 1 and all(map(_is_number, value)):
            found.append(key)
        elif isinstance(value, Mapping):
            found += sweepable_keys(value, f"{key}.")
    return found


def with_defaults(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config with the sizes of its defects and marks that YAML leaves to the kinds."""
    full = copy.deepcopy(dict(plain))
    scene = full.get("scene")
    for group in ("defects", "marks"):
        entries = scene.get(group) if isinstance(scene, dict) else None
        if not isinstance(entries, dict) or not entries:
            continue
        ranges = {n: parse(KindRanges, e, f"scene.{group}.{n}") for n, e in entries.items()}
        kinds = parse_kinds(ranges, f"scene.{group}", marks=group == "marks")
        for name, entry in entries.items():
            entry["sizes"] = to_plain(kinds.ranges[name])
    return full


def replaced(plain: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """Return a config with one dotted key set to a constant."""
    full = copy.deepcopy(dict(plain))
    *groups, last = key.split(".")
    node = full
    for word in groups:
        node = node[word]
    node[last] = value
    return full


def changed_fields(specs: Sequence[SceneSpec]) -> set[str]:
    """Return the names of the SceneSpec's fields that differ, items of lists as one `[]`."""
    first, *others = [_flat(json.loads(to_json(spec))) for spec in specs]
    found: set[str] = set()
    for other in others:
        differ = {k for k in first.keys() | other.keys() if first.get(k) != other.get(k)}
        found |= {re.sub(r"#\d+", "", k) for k in differ}
    return found


def _scenes_that_change(configs: Sequence[RenderConfig], count: int) -> list[int]:
    """Return the numbers of the frames to show: every view of the first scenes that change."""
    first = configs[0]
    ends = [pipeline.FrameRenderer(c) for c in (first, configs[-1])]
    try:
        chosen: list[int] = []
        for scene in range(_SCENES_TRIED):
            index = FrameIndex.of(
                scene * first.views_per_scene * first.exposures_per_view,
                views_per_scene=first.views_per_scene,
                exposures_per_view=first.exposures_per_view,
            )
            if len({to_json(renderer.scene(index)) for renderer in ends}) > 1:
                chosen.append(scene)
            if len(chosen) == count:
                break
    finally:
        for renderer in ends:
            renderer.close()
    # Keys of labels and of the renderer leave the spec as it is.
    chosen = chosen or list(range(count))
    views, exposures = first.views_per_scene, first.exposures_per_view
    return [(s * views + v) * exposures for s in chosen for v in range(views)]


def _row(frames: Sequence[Frame], captions: Sequence[str]) -> np.ndarray:
    pictures = [
        Picture(
            title=caption,
            image=_rgb(frame.image),
            labels=tuple(
                Label(category=a.category, is_part=a.supercategory == "part", mask=a.mask)
                for a in frame.annotations
            ),
        )
        for frame, caption in zip(frames, captions, strict=True)
    ]
    first = frames[0]
    where = f"scene {first.scene_index}, view {first.view}"
    sheets = [draw_sheet([("", pictures)], title=where)]
    details = _details(pictures)
    if details:
        sheets.append(draw_sheet([("", details)], title=f"{where}, a detail pixel by pixel"))
    return _stacked(sheets)


def _details(pictures: Sequence[Picture]) -> list[Picture]:
    """Return the same crop of all pictures, around their first defect, unless they are small."""
    height = min(p.image.shape[0] for p in pictures)
    width = min(p.image.shape[1] for p in pictures)
    if max(height, width) <= 2 * _DETAIL_PX:
        return []
    masks = [x.mask for p in pictures for x in p.labels if not x.is_part]
    y, x = height // 2, width // 2
    if masks:
        rows, columns = np.nonzero(masks[0])
        y, x = int(rows.mean()), int(columns.mean())
    size = min(_DETAIL_PX, height, width)
    top = int(np.clip(y - size // 2, 0, height - size))
    left = int(np.clip(x - size // 2, 0, width - size))
    box = (slice(top, top + size), slice(left, left + size))
    return [
        Picture(
            title=p.title,
            image=p.image[box],
            labels=tuple(
                dataclasses.replace(label, mask=label.mask[box])
                for label in p.labels
                if label.mask[box].any() and not label.is_part
            ),
        )
        for p in pictures
    ]


def _stacked(sheets: Sequence[np.ndarray]) -> np.ndarray:
    width = max(s.shape[1] for s in sheets)
    padded = [np.pad(s, ((0, 0), (0, width - s.shape[1]), (0, 0)), mode="edge") for s in sheets]
    return np.concatenate(padded)


def _rgb(image: np.ndarray) -> np.ndarray:
    return np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image


def _flat(value: Any, key: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        items = [(f"{key}.{name}" if key else name, inner) for name, inner in value.items()]
    elif isinstance(value, list) and any(isinstance(v, (dict, list)) for v in value):
        items = [(f"{key}[]#{number}", inner) for number, inner in enumerate(value)]
    else:
        return {key: value}
    flat: dict[str, Any] = {}
    for name, inner in items:
        flat |= _flat(inner, name)
    return flat


def _at(plain: Mapping[str, Any], key: str) -> Any:
    value: Any = plain
    for word in key.split("."):
        value = value[word]
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))


def _is_range(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    try:
        parse(_Holder, {"value": value}, "value")
    except ConfigError:
        return False
    return True


def _text(value: Any) -> str:
    inner = value[0] if isinstance(value, list) else value
    return f"{inner:.4g}" if isinstance(inner, float) else str(inner)
