"""Small pictures of what a run found, missed and invented."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from simgen.evaluate.judge import Judged, image_scores
from simgen.evaluate.matching import iou
from simgen.train.images import LabelledImage

_HEIGHT_PX = 190
_LABEL, _DETECTION = (60, 220, 90), (255, 90, 60)
_LOOSE_IOU = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A JPEG and its caption."""

    jpeg: bytes
    caption: str


def galleries(
    images: Sequence[LabelledImage],
    run: Judged,
    classes: Sequence[str],
    threshold: float,
    per_kind: int = 2,
) -> dict[str, list[Picture]]:
    """Return hits and misses of each kind, and false alarms on clean images, by heading.

    No physical part appears twice under one heading and kind.

    Args:
        images: The photographs.
        run: Detections on them.
        classes: Names of the detections' kinds.
        threshold: Detections above it are drawn and counted.
        per_kind: Pictures of each kind.
    """
    best = image_scores(run.found)
    hits: list[tuple[str, int, float]] = []
    misses: list[tuple[str, int, float]] = []
    for index, image in enumerate(images):
        for kind in sorted(image.kinds):
            score = _best_hit(image, run, index, kind, list(classes).index(kind))
            (hits if score > threshold else misses).append((kind, index, score))
    false = [("", i, best[i]) for i, m in enumerate(images) if m.is_clean and best[i] > threshold]
    chosen = {
        "hits": _best_of(hits, images, per_kind),
        "misses": _best_of(misses, images, per_kind),
        "false alarms on clean parts": _best_of(false, images, 3 * per_kind),
    }
    return {
        heading: [_picture(images[i], run, i, classes, threshold, kind) for kind, i, _ in entries]
        for heading, entries in chosen.items()
    }


def _best_hit(image: LabelledImage, run: Judged, index: int, kind: str, number: int) -> float:
    """Return the highest score of a detection of the kind that touches a label of it, or 0."""
    found = run.found[index]
    truth = np.array([o.box for o in image.objects if o.kind == kind]).reshape(-1, 4)
    mine = found.kinds == number
    if not mine.any():
        return 0.0
    near = iou(found.boxes[mine], truth).max(axis=1) >= _LOOSE_IOU
    return float(found.scores[mine][near].max(initial=0.0))


def _best_of(
    entries: list[tuple[str, int, float]], images: Sequence[LabelledImage], per_kind: int
) -> list[tuple[str, int, float]]:
    shown: list[tuple[str, int, float]] = []
    parts: dict[str, set[str]] = {}
    for kind, index, score in sorted(entries, key=lambda e: (e[0], -e[2], e[1])):
        seen = parts.setdefault(kind, set())
        if images[index].part not in seen and len(seen) < per_kind:
            seen.add(images[index].part)
            shown.append((kind, index, score))
    return shown


def _picture(
    image: LabelledImage,
    run: Judged,
    index: int,
    classes: Sequence[str],
    threshold: float,
    kind: str,
) -> Picture:
    scale = _HEIGHT_PX / image.pixels.shape[0]
    width = max(1, round(image.pixels.shape[1] * scale))
    picture = Image.fromarray(np.array(image.pixels)).convert("RGB").resize((width, _HEIGHT_PX))
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
    seen = ", ".join(texts) or "nothing detected"
    title = f"{kind}, {image.part}" if kind else image.part
    return Picture(jpeg=buffer.getvalue(), caption=f"{title}: {seen}")


def _outline(
    draw: ImageDraw.ImageDraw,
    box: tuple[float, ...],
    scale: float,
    colour: tuple[int, int, int],
) -> None:
    x, y, width, height = (v * scale for v in box)
    draw.rectangle((x - 1, y - 1, x + width + 1, y + height + 1), outline=colour, width=1)
