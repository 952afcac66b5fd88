"""Small pictures of what the control and another arm found, missed and invented, side by side."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from simgen.evaluate.figures import LOOSE_IOU, Judged, image_scores
from simgen.evaluate.matching import iou
from simgen.evaluate.slices import Slice
from simgen.train.images import LabelledImage

_HEIGHT_PX, _MOST_WIDTH_PX = 190, 420
_LABEL, _DETECTION = (60, 220, 90), (255, 90, 60)
FALSE_ALARMS = "false alarms on clean parts"
_OUTCOMES = ("gained", "lost", "missed by all", "found by all", "found by some")


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A JPEG of what one arm detected, and its caption."""

    arm: str
    jpeg: bytes
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One photograph as every arm saw it.

    Attributes:
        outcome: `gained` or `lost` against the control, `missed by all`, ...
        part: The physical part.
        pictures: In the order of the arms, the control first.
    """

    outcome: str
    part: str
    pictures: tuple[Picture, ...]


def gallery(
    images: Sequence[LabelledImage],
    runs: Sequence[Judged],
    classes: Sequence[str],
    thresholds: Sequence[float],
    arms: Sequence[str],
    slices: Sequence[Slice],
    each: int = 2,
) -> dict[str, list[Row]]:
    """Return photographs by slice and, last, false alarms on clean parts.

    Of every slice and outcome at most `each` photographs of different parts are shown. An arm
    stands for itself with its first run.

    Args:
        images: The photographs.
        runs: Detections on them.
        classes: Names of the detections' kinds.
        thresholds: Of every run; detections above it are drawn and counted.
        arms: Which are shown, first the control that the others are compared with.
        slices: What photographs are sorted by.
        each: Photographs of each slice and outcome.
    """
    shown, control = _first_runs(runs, thresholds, arms), arms[0]
    result: dict[str, list[Row]] = {}
    for part in slices:
        entries = []
        for index in map(int, np.flatnonzero(part.defective)):
            hits = {r.arm: _is_hit(images[index], r, index, part, classes, t) for r, t in shown}
            entries.append((_outcome(hits, control), index))
        if entries:
            order = sorted(entries, key=lambda e: (_OUTCOMES.index(e[0]), e[1]))
            result[part.name] = _rows(order, images, shown, classes, each)
    best = {r.arm: image_scores(r.found) for r, _ in shown}
    alarms = [
        (_alarm(loud, control), index)
        for index, image in enumerate(images)
        if image.is_clean and (loud := [r.arm for r, t in shown if best[r.arm][index] > t])
    ]
    result[FALSE_ALARMS] = _rows(sorted(alarms), images, shown, classes, each)
    return result


def _first_runs(
    runs: Sequence[Judged], thresholds: Sequence[float], arms: Sequence[str]
) -> list[tuple[Judged, float]]:
    first: dict[str, tuple[Judged, float]] = {}
    for run, threshold in zip(runs, thresholds, strict=True):
        first.setdefault(run.arm, (run, threshold))
    return [first[arm] for arm in arms]


def _is_hit(
    image: LabelledImage,
    run: Judged,
    index: int,
    part: Slice,
    classes: Sequence[str],
    threshold: float,
) -> bool:
    """Return whether a detection above the threshold touches a label of the slice, of its kind."""
    found = run.found[index]
    for number, thing in enumerate(image.objects):
        counts = part.counted is None or part.counted.objects[index][number]
        if thing.kind not in part.kinds or not counts:
            continue
        mine = (found.kinds == classes.index(thing.kind)) & (found.scores > threshold)
        truth = np.array(thing.box).reshape(1, 4)
        if mine.any() and (iou(found.boxes[mine], truth) >= LOOSE_IOU).any():
            return True
    return False


def _outcome(hits: dict[str, bool], control: str) -> str:
    if all(hits.values()):
        return "found by all"
    if not any(hits.values()):
        return "missed by all"
    if control not in hits:
        return "found by some"
    return "lost" if hits[control] else "gained"


def _alarm(loud: Sequence[str], control: str) -> str:
    if control not in loud:
        return "by others, not by the control"
    return "by the control alone" if len(loud) == 1 else "by the control and others"


def _rows(
    entries: Sequence[tuple[str, int]],
    images: Sequence[LabelledImage],
    shown: Sequence[tuple[Judged, float]],
    classes: Sequence[str],
    each: int,
) -> list[Row]:
    rows: list[Row] = []
    parts: dict[str, set[str]] = {}
    for outcome, index in entries:
        seen = parts.setdefault(outcome, set())
        if images[index].part in seen or len(seen) == each:
            continue
        seen.add(images[index].part)
        made = tuple(_picture(images[index], run, index, classes, t) for run, t in shown)
        rows.append(Row(outcome=outcome, part=images[index].part, pictures=made))
    return rows


def _picture(
    image: LabelledImage, run: Judged, index: int, classes: Sequence[str], threshold: float
) -> Picture:
    height, width = image.pixels.shape[:2]
    scale = min(_HEIGHT_PX / height, _MOST_WIDTH_PX / width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = Image.fromarray(np.array(image.pixels)).convert("RGB").resize(size)
    draw = ImageDraw.Draw(picture)
    for thing in image.objects:
        _outline(draw, thing.box, scale, _LABEL)
    found = run.found[index]
    texts = []
    for number in np.argsort(-found.scores, kind="stable")[:5]:
        if found.scores[number] > threshold:
            _outline(draw, tuple(found.boxes[number]), scale, _DETECTION)
            texts.append(f"{classes[found.kinds[number]]} {found.scores[number]:.2f}")
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    caption = f"{run.arm}: {', '.join(texts) or 'nothing detected'}"
    return Picture(arm=run.arm, jpeg=buffer.getvalue(), caption=caption)


def _outline(
    draw: ImageDraw.ImageDraw,
    box: tuple[float, ...],
    scale: float,
    colour: tuple[int, int, int],
) -> None:
    x, y, width, height = (v * scale for v in box)
    draw.rectangle((x - 1, y - 1, x + width + 1, y + height + 1), outline=colour, width=1)
