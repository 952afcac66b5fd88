"""Average precision and image-level recall under any weights of the physical parts.

A bootstrap resample of parts is a row of weights, so that an interval costs a matrix product
and no new matching. With every weight 1, average precision equals pycocotools'.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simgen.evaluate.matching import Matches

_RECALLS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Which physical part each image shows, and what an image counts within its part.

    Attributes:
        of_image: Index of each image's part, int64, shape (I,).
        share: Weight of each image within its part, float64, shape (I,); images that
            are not looked at have 0.
        count: Number of parts.
    """

    of_image: np.ndarray
    share: np.ndarray
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionTable:
    """One class's matches summed up by part: enough for its average precision under weights.

    Attributes:
        part: Part of each hit, by falling score, shape (K,).
        hit: Weight of each hit within its part, shape (K,).
        false: Weight of the false detections of each part between the previous hit
            and this one, shape (P, K).
        labels: Weight of the labels of each part, shape (P,).
    """

    part: np.ndarray
    hit: np.ndarray
    false: np.ndarray
    labels: np.ndarray


def precision_table(matches: Matches, parts: Parts) -> PrecisionTable:
    """Sum up matches by part; detections behind the last hit cannot matter and are dropped."""
    labels = np.bincount(parts.of_image, matches.labels * parts.share, minlength=parts.count)
    seen = parts.share[matches.image] > 0
    image, hit = matches.image[seen], matches.hit[seen]
    position = np.cumsum(hit) - hit
    num_hits = int(hit.sum())
    early = ~hit & (position < num_hits)
    false = np.zeros((parts.count, num_hits))
    np.add.at(false, (parts.of_image[image[early]], position[early]), parts.share[image[early]])
    return PrecisionTable(
        part=parts.of_image[image[hit]], hit=parts.share[image[hit]], false=false, labels=labels
    )


def average_precision(table: PrecisionTable, weights: np.ndarray) -> np.ndarray:
    """Return the 101-point interpolated average precision for each row of weights.

    Args:
        table: Matches of one class.
        weights: Weight of each part, shape (B, P).

    Returns:
        Shape (B,), NaN where no label has weight.
    """
    labels = weights @ table.labels
    result = np.full(len(weights), np.nan)
    some = labels > 0
    result[some] = 0.0
    if len(table.part) == 0:
        return result
    hits = np.cumsum(weights[:, table.part] * table.hit, axis=1)
    false = np.cumsum(weights @ table.false, axis=1)
    precision = hits / (hits + false + np.spacing(1))
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        recall = hits / labels[:, None]
    # Each recall point takes the envelope at the first hit that reaches it.
    reached = np.searchsorted(_RECALLS, recall, side="right")
    points = np.diff(reached, axis=1, prepend=0)
    result[some] = (envelope * points).sum(axis=1)[some] / len(_RECALLS)
    return result


def hits_at_false_alarms(
    table: PrecisionTable, weights: np.ndarray, images: np.ndarray, rates: Sequence[float]
) -> np.ndarray:
    """Return the free-response curve: share of labels found at given false alarms an image.

    Args:
        table: Matches of one class.
        weights: Weight of each part, shape (B, P).
        images: Weight of all images that are looked at, by part, shape (P,).
        rates: False detections an image, R of them.

    Returns:
        Shape (B, R), NaN where no label has weight.
    """
    labels = weights @ table.labels
    result = np.full((len(weights), len(rates)), np.nan)
    result[labels > 0] = 0.0
    if len(table.part) == 0:
        return result
    hits = np.cumsum(weights[:, table.part] * table.hit, axis=1)
    false = np.cumsum(weights @ table.false, axis=1) - 1e-9
    with np.errstate(divide="ignore", invalid="ignore"):
        found = hits / labels[:, None]
    for number, rate in enumerate(rates):
        # False alarms only rise along the hits, so those that may be taken come first.
        taken = (false <= rate * (weights @ images)[:, None]).sum(axis=1)
        some = (labels > 0) & (taken > 0)
        result[some, number] = found[some, taken[some] - 1]
    return result


def alarm_threshold(scores: np.ndarray, weights: np.ndarray, false_alarm_rate: float) -> np.ndarray:
    """Return the score above which an image raises an alarm, for each row of weights.

    It is the lowest score of a clean image such that at most the given share of clean
    images, by weight, scores higher.

    Args:
        scores: Highest detection score of each clean image, shape (C,).
        weights: Weight of each clean image, shape (B, C).
        false_alarm_rate: Allowed share, in [0, 1).

    Returns:
        Shape (B,), NaN where no clean image has weight.
    """
    order = np.argsort(-scores, kind="stable")
    falling, mass = scores[order], np.cumsum(weights[:, order], axis=1)
    if len(scores) == 0:
        return np.full(len(weights), np.nan)
    # Images with equal scores alarm together, so only the last of equals can be the threshold's.
    higher = np.searchsorted(-falling, -falling, side="left")
    above = np.where(higher > 0, mass[:, np.maximum(higher - 1, 0)], 0.0)
    allowed = above <= false_alarm_rate * mass[:, -1:] * (1 + 1e-12)
    lowest = allowed.shape[1] - 1 - np.argmax(allowed[:, ::-1], axis=1)
    return np.where(mass[:, -1] > 0, falling[lowest], np.nan)


def recall_above(scores: np.ndarray, weights: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    """Return the share of images, by weight, that score above a threshold.

    Args:
        scores: Shape (D,), highest detection score of each defective image.
        weights: Shape (B, D).
        threshold: Shape (B,).

    Returns:
        Shape (B,), NaN where no image has weight or the threshold is NaN.
    """
    total = weights.sum(axis=1)
    alarm = (weights * (scores[None, :] > threshold[:, None])).sum(axis=1)
    valid = (total > 0) & ~np.isnan(threshold)
    return np.divide(alarm, total, out=np.full(len(total), np.nan), where=valid)
