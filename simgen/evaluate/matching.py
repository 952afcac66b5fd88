"""Match detections with labels once; every weighting of the images is then a small sum.

The rules are COCO's: per image and class, the 100 best detections in falling score, each takes
the free label that it overlaps most, if by at least the threshold. Labels that do not count
(another size, say) may be taken instead of no label, and then neither help nor harm.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simgen.evaluate.predictions import Detections
from simgen.train.images import LabelledImage

MAX_DETECTIONS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """All detections of one class in a set of images, by falling score, ties in image order.

    Attributes:
        image: Index of each detection's image, int64, shape (N,).
        hit: Whether each found a label of its own, bool, shape (N,).
        labels: Number of labels in each image, int64, shape (I,).
    """

    image: np.ndarray
    hit: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Which labels count, and which unmatched detections.

    Attributes:
        objects: Per image, whether each of its objects counts, bool, shape (objects,).
        area_px: Box areas outside of which an unmatched detection is no false alarm, both
            ends included; None: all are.
    """

    objects: tuple[np.ndarray, ...]
    area_px: tuple[float, float] | None = None


def match(
    images: Sequence[LabelledImage],
    found: Sequence[Detections],
    classes: Sequence[str],
    kind: str,
    min_iou: float,
    counted: Counted | None = None,
) -> Matches:
    """Match the detections of one class at one overlap; see `match_at`."""
    return match_at(images, found, classes, kind, (min_iou,), counted)[0]


def match_at(
    images: Sequence[LabelledImage],
    found: Sequence[Detections],
    classes: Sequence[str],
    kind: str,
    min_ious: Sequence[float],
    counted: Counted | None = None,
) -> list[Matches]:
    """Match the detections of one class, at several overlaps.

    Args:
        images: The labels.
        found: The detections in each image.
        classes: Names of the detections' kinds.
        kind: The class.
        min_ious: Least overlaps of a hit.
        counted: Which labels count; None: all.

    Returns:
        One for each of `min_ious`.
    """
    number = list(classes).index(kind)
    labels = np.zeros(len(images), np.int64)
    owner: list[np.ndarray] = []
    scores: list[np.ndarray] = []
    # Per image, for each overlap and detection: 1 is a hit, 0 a false alarm, -1 neither.
    outcome: list[np.ndarray] = []
    for index, (image, detections) in enumerate(zip(images, found, strict=True)):
        mine = np.flatnonzero(detections.kinds == number)
        mine = mine[np.argsort(-detections.scores[mine], kind="stable")][:MAX_DETECTIONS]
        truth, counts = _truth(image, kind, None if counted is None else counted.objects[index])
        labels[index] = counts.sum()
        boxes = detections.boxes[mine]
        result = np.zeros((len(min_ious), len(mine)), np.int8)
        if len(mine) and len(truth):
            overlap = iou(boxes, truth)
            for row, min_iou in enumerate(min_ious):
                result[row] = _greedy(overlap, counts, min_iou)
        if counted is not None and counted.area_px is not None and len(mine):
            area = boxes[:, 2] * boxes[:, 3]
            outside = (area < counted.area_px[0]) | (area > counted.area_px[1])
            result[(result == 0) & outside] = -1
        owner.append(np.full(len(mine), index))
        scores.append(detections.scores[mine])
        outcome.append(result)
    order = np.argsort(-np.concatenate(scores), kind="stable")
    where, results = np.concatenate(owner)[order], np.concatenate(outcome, axis=1)[:, order]
    return [
        Matches(image=where[r >= 0].astype(np.int64), hit=r[r >= 0] == 1, labels=labels)
        for r in results
    ]


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the overlap of every box in `a` with every box in `b`.

    Args:
        a, b: Shapes (N, 4) and (M, 4), COCO x, y, width, height.

    Returns:
        Intersection over union, float64, shape (N, M).
    """
    a, b = a[:, None, :], b[None, :, :]
    width = np.minimum(a[..., 0] + a[..., 2], b[..., 0] + b[..., 2]) - np.maximum(
        a[..., 0], b[..., 0]
    )
    height = np.minimum(a[..., 1] + a[..., 3], b[..., 1] + b[..., 3]) - np.maximum(
        a[..., 1], b[..., 1]
    )
    inner = np.where((width > 0) & (height > 0), width * height, 0.0)
    union = a[..., 2] * a[..., 3] + b[..., 2] * b[..., 3] - inner
    return np.divide(inner, union, out=np.zeros_like(inner), where=union > 0)


def _truth(
    image: LabelledImage, kind: str, counts: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return boxes of a kind and whether each counts, those that count first."""
    mine = [i for i, o in enumerate(image.objects) if o.kind == kind]
    boxes = np.array([image.objects[i].box for i in mine], np.float64).reshape(-1, 4)
    use = np.ones(len(mine), bool) if counts is None else counts[mine]
    order = np.argsort(~use, kind="stable")
    return boxes[order], use[order]


def _greedy(overlap: np.ndarray, counts: np.ndarray, min_iou: float) -> np.ndarray:
    outcome = np.zeros(len(overlap), np.int8)
    least = min(min_iou, 1 - 1e-10)
    free = np.ones(len(counts), bool)
    # Only detections that overlap something enough can be a hit.
    for row in np.flatnonzero(overlap.max(axis=1) >= least):
        best, chosen = least, -1
        for column in np.flatnonzero(free & (overlap[row] >= least)):
            if chosen >= 0 and counts[chosen] and not counts[column]:
                break
            # Of equal overlaps the later label is taken, as pycocotools does.
            if overlap[row, column] >= best:
                best, chosen = overlap[row, column], int(column)
        if chosen >= 0:
            outcome[row], free[chosen] = (1 if counts[chosen] else -1), False
    return outcome
