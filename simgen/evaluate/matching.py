"""Match detections with labels once; every weighting of the images is then a small sum.

The rules are COCO's: per image and class, the 100 best detections in falling score, each takes
the free label that it overlaps most, if by at least the threshold.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simgen.evaluate.predictions import Detections
from simgen.train.images import LabelledImage

_MAX_DETECTIONS = 100


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


def match(
    images: Sequence[LabelledImage],
    found: Sequence[Detections],
    classes: Sequence[str],
    kind: str,
    min_iou: float,
) -> Matches:
    """Match the detections of one class.

    Args:
        images: The labels.
        found: The detections in each image.
        classes: Names of the detections' kinds.
        kind: The class.
        min_iou: Least overlap of a hit.
    """
    number = list(classes).index(kind)
    owner, hits, scores = [], [], []
    labels = np.zeros(len(images), np.int64)
    for index, (image, detections) in enumerate(zip(images, found, strict=True)):
        truth = np.array([o.box for o in image.objects if o.kind == kind], np.float64).reshape(
            -1, 4
        )
        mine = np.flatnonzero(detections.kinds == number)
        mine = mine[np.argsort(-detections.scores[mine], kind="stable")][:_MAX_DETECTIONS]
        labels[index] = len(truth)
        hits.append(_greedy(iou(detections.boxes[mine], truth), min_iou))
        scores.append(detections.scores[mine])
        owner.append(np.full(len(mine), index))
    order = np.argsort(-np.concatenate(scores), kind="stable")
    return Matches(
        image=np.concatenate(owner)[order].astype(np.int64),
        hit=np.concatenate(hits)[order],
        labels=labels,
    )


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


def _greedy(overlap: np.ndarray, min_iou: float) -> np.ndarray:
    hit = np.zeros(len(overlap), bool)
    free = np.ones(overlap.shape[1], bool)
    for row in range(len(overlap)):
        best, chosen = min(min_iou, 1 - 1e-10), -1
        for column in np.flatnonzero(free):
            # Of equal overlaps the later label is taken, as pycocotools does.
            if overlap[row, column] >= best:
                best, chosen = overlap[row, column], int(column)
        if chosen >= 0:
            hit[row], free[chosen] = True, False
    return hit
