"""How annotators draw: margins around what visibly differs, gaps bridged and left."""

from collections.abc import Sequence

import cv2
import numpy as np

_REACH_PX = 12
_RING_PX = (8.0, 16.0)
_LEAST_PEAK = 1.5


def label_margin(grey: np.ndarray, mask: np.ndarray) -> float:
    """Return the margin in pixels, negative where the mask is too tight, NaN if it cannot be told.

    The mean deviation from the surroundings is a function of the distance to the mask's
    border; what differs begins where it rises through half of its peak. It cannot be told
    where the peak is low, or where the defect does not differ at its own centre.

    Args:
        grey: Levels, float32, (H, W).
        mask: Bool, (H, W), not empty.
    """
    window = _window(mask, _REACH_PX + int(_RING_PX[1]))
    grey, mask = grey[window], mask[window].astype(np.uint8)
    # Distances to the border line between the last pixel inside and the first outside.
    inside = cv2.distanceTransform(np.pad(mask, 1, mode="edge"), cv2.DIST_L2, 5)[1:-1, 1:-1]
    outside = cv2.distanceTransform(1 - mask, cv2.DIST_L2, 5)
    distance = np.where(mask > 0, inside - 0.5, 0.5 - outside)
    ring = (distance < -_RING_PX[0]) & (distance > -_RING_PX[1])
    if ring.sum() < 50 or not (mask == 0).any():
        return float("nan")
    middle = float(np.median(grey[ring]))
    deviation = np.abs(grey - middle)
    usual = float(deviation[ring].mean())
    depth = np.arange(-_REACH_PX, min(_REACH_PX, float(distance.max())) + 1e-6)
    profile = np.array(
        [_mean(deviation, np.abs(distance - d) <= 0.75) for d in depth], dtype=np.float64
    )
    excess = profile - usual
    peak = int(np.nanargmax(excess))
    if excess[peak] < _LEAST_PEAK * max(usual, 1.0) or depth[peak] < -1:
        return float("nan")
    half = excess[peak] / 2
    # Outwards from the peak, so that a texture far off is never taken for the border.
    for k in range(peak, 0, -1):
        low, high = excess[k - 1], excess[k]
        if low < half <= high:
            return float(depth[k - 1] + (half - low) / (high - low))
    return float("nan")


def gaps_between(masks: Sequence[np.ndarray], kinds: Sequence[str]) -> list[float]:
    """Return for each label the pixels to the nearest other of its kind, NaN if it is alone."""
    gaps = []
    for i, kind in enumerate(kinds):
        others = [masks[j] for j in range(len(masks)) if j != i and kinds[j] == kind]
        reach = [_gap(masks[i], other) for other in others if masks[i].any() and other.any()]
        gaps.append(min(reach, default=float("nan")))
    return gaps


def gap_within(mask: np.ndarray) -> float:
    """Return the widest gap between a piece of a mask and the nearest other, NaN if whole."""
    count, pieces = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    if not 2 < count <= 40:
        return float("nan")
    return max(_gap(pieces == k, (pieces > 0) & (pieces != k)) for k in range(1, count))


def _gap(a: np.ndarray, b: np.ndarray) -> float:
    away = cv2.distanceTransform(1 - b.astype(np.uint8), cv2.DIST_L2, 5)
    return float(away[a].min())


def _mean(values: np.ndarray, where: np.ndarray) -> float:
    return float(values[where].mean()) if where.any() else float("nan")


def _window(mask: np.ndarray, margin: int) -> tuple[slice, slice]:
    rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + margin + 1),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + margin + 1),
    )
