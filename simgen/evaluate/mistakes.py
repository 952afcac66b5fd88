"""What a detector does wrong at one threshold: five kinds of mistakes, each label once."""

from collections.abc import Sequence

import numpy as np

from simgen.evaluate.matching import MAX_DETECTIONS, iou
from simgen.evaluate.predictions import Detections
from simgen.train.images import LabelledImage

HIT, MISSED, BACKGROUND = "hit", "missed", "background"
LOCALIZATION, CONFUSED, DUPLICATE = "localization", "confused", "duplicate"
NAMES = (HIT, MISSED, LOCALIZATION, CONFUSED, DUPLICATE, BACKGROUND)
_GOOD_IOU, _LOOSE_IOU = 0.5, 0.1


def count_mistakes(
    images: Sequence[LabelledImage],
    found: Sequence[Detections],
    classes: Sequence[str],
    threshold: float,
) -> dict[str, dict[str, int]]:
    """Count hits and mistakes of the detections above a threshold.

    By falling score a detection is a `hit` if it overlaps a free label of its kind by half,
    a `duplicate` if such a label is taken, `localization` if it overlaps a label of its kind by
    a tenth, `confused` if it overlaps one of another kind by a tenth, else `background`. A
    label is `missed` if nothing hit it, nor lay on it with the wrong extent or kind.

    Args:
        images: The labels.
        found: Detections by image.
        classes: Names of the detections' kinds.
        threshold: Detections above it count.

    Returns:
        Counts by name, by kind: the detection's, or that of the missed label.
    """
    counts = {kind: dict.fromkeys(NAMES, 0) for kind in classes}
    for image, detections in zip(images, found, strict=True):
        order = np.argsort(-detections.scores, kind="stable")[:MAX_DETECTIONS]
        order = order[detections.scores[order] > threshold]
        labels = [o for o in image.objects if o.kind in counts]
        boxes = np.array([o.box for o in labels], np.float64).reshape(-1, 4)
        kinds = np.array([list(classes).index(o.kind) for o in labels], np.int64)
        overlap = iou(detections.boxes[order], boxes)
        taken, touched = np.zeros(len(labels), bool), np.zeros(len(labels), bool)
        for row, kind in zip(overlap, detections.kinds[order], strict=True):
            name, label = _outcome(row, kinds == kind, taken)
            counts[classes[kind]][name] += 1
            if name == HIT:
                taken[label] = True
            if label >= 0:
                touched[label] = True
        for thing, seen in zip(labels, touched, strict=True):
            counts[thing.kind][MISSED] += not seen
    return counts


def one_stray_an_image(
    images: Sequence[LabelledImage], found: Sequence[Detections], classes: Sequence[str]
) -> float:
    """Return the score above which detections that touch no label of their kind are one an image.

    Where no part is clean there is no share of false alarms to set a threshold by.

    Args:
        images: The labels.
        found: Detections by image.
        classes: Names of the detections' kinds.

    Returns:
        At most as many strays as images are above it; 0 if there are no more at all.
    """
    scores: list[float] = []
    for image, detections in zip(images, found, strict=True):
        boxes = np.array([o.box for o in image.objects], np.float64).reshape(-1, 4)
        same = np.array(
            [[classes[k] == o.kind for o in image.objects] for k in detections.kinds], bool
        ).reshape(len(detections.kinds), len(boxes))
        touches = (iou(detections.boxes, boxes) >= _LOOSE_IOU) & same
        scores += detections.scores[~touches.any(axis=1)].tolist()
    ranked = sorted(scores, reverse=True)
    return ranked[len(images)] if len(ranked) > len(images) else 0.0


def _outcome(overlap: np.ndarray, same: np.ndarray, taken: np.ndarray) -> tuple[str, int]:
    """Return the name of what a detection did, and the label that it touched or -1."""

    def best(allowed: np.ndarray, least: float) -> int:
        reached = np.where(allowed & (overlap >= least), overlap, -1.0)
        return int(reached.argmax()) if reached.max(initial=-1.0) >= 0 else -1

    tried = (
        (HIT, same & ~taken, _GOOD_IOU),
        (DUPLICATE, same & taken, _GOOD_IOU),
        (LOCALIZATION, same, _LOOSE_IOU),
        (CONFUSED, ~same, _LOOSE_IOU),
    )
    for name, allowed, least in tried:
        label = best(allowed, least)
        if label >= 0:
            return name, label
    return BACKGROUND, -1
