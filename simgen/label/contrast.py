"""How well a defect can be seen: against its clean twin, and against its surroundings."""

import cv2
import numpy as np

RING_PX = 10
FACE_DEG = 20.0
FACE_PX = 30
NEAR_PX = 9
SMALL_PX = 64


def box_around(mask: np.ndarray) -> tuple[slice, slice]:
    """Return where in the image a mask and its ring lie; the mask is not empty."""
    result = []
    for axis in (1, 0):
        lines = np.flatnonzero(mask.any(axis=axis))
        result.append(slice(max(int(lines[0]) - RING_PX, 0), int(lines[-1]) + 1 + RING_PX))
    return result[0], result[1]


def ring_around(mask: np.ndarray) -> np.ndarray:
    """Return the pixels within `RING_PX` of a mask but outside it, shape (H, W), bool."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * RING_PX + 1, 2 * RING_PX + 1))
    return (cv2.dilate(mask.astype(np.uint8), kernel) > 0) & ~mask


def same_face(mask: np.ndarray, part: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Return the pixels of a part that face as a defect on it does, (H, W), bool.

    Where the defect goes over an edge, or too little around it faces so, all of the part.

    Args:
        mask: Visible pixels of the defect, (H, W), bool.
        part: Visible pixels of the undamaged part, (H, W), bool.
        normal: Its part-local normals, (H, W, 3), float32.
    """
    under = normal[mask & part]
    mean = under.mean(axis=0) if len(under) else np.zeros(3, np.float32)
    length = float(np.linalg.norm(mean))
    if length < 0.94:
        return part
    face = part & (normal @ (mean / length) > np.cos(np.deg2rad(FACE_DEG)))
    return face if (ring_around(mask) & face).sum() >= FACE_PX else part


def twin_contrast(
    mask: np.ndarray,
    part: np.ndarray,
    y: np.ndarray,
    y_clean: np.ndarray,
    y_clean_noisy: np.ndarray,
) -> float:
    """Return mean |Y - Y_clean| over the mask over the noise of what surrounds it.

    The surroundings are the defect's own face of its part: with a bore, an edge or what
    lies behind the part in the ring, the step there would count as noise, and a break that
    is plain to see at a tile's border would come out fainter than a scratch that nobody
    finds.

    Args:
        mask: Visible pixels of the defect, (H, W), bool, not empty.
        part: Pixels of the undamaged part that count, (H, W), bool; see `same_face`.
        y, y_clean: Noise-free levels in [0, 255] with and without defects, (H, W).
        y_clean_noisy: The twin with noise; its standard deviation in the ring, at
            least 1 level, is the unit.
    """
    ring = ring_around(mask) & part
    spread = float(y_clean_noisy[ring].std()) if ring.any() else 0.0
    return float(np.abs(y[mask] - y_clean[mask]).mean()) / max(1.0, spread)


def stands_out(
    mask: np.ndarray, part: np.ndarray, y: np.ndarray, y_clean_noisy: np.ndarray
) -> float:
    """Return how far a defect differs from what is around it, in the unit of `twin_contrast`.

    A break may change a bevel a good deal and leave it looking like a bevel: far from its
    twin, and yet nobody finds it. What counts is the larger of two figures: the mean within
    against the mean of the ring, and along the outline the mean step from one side to the
    other, which textured fractures and hairlines have though their means are the ring's.

    Args:
        mask: Visible pixels of the defect, (H, W), bool, not empty.
        part: Pixels of the part around it that count, (H, W), bool.
        y: Noise-free levels in [0, 255] with defects, (H, W).
        y_clean_noisy: See `twin_contrast`.
    """
    around = part & ~mask
    ring = ring_around(mask) & around
    if not ring.any():
        return np.inf
    unit = max(1.0, float(y_clean_noisy[ring].std()))
    rows, columns = np.nonzero(mask | ring)
    box = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
    inner, share_in = _mean_near(y[box], mask[box])
    outer, share_out = _mean_near(y[box], around[box])
    outline = (share_in > 0.1) & (share_out > 0.1)
    step = float(np.abs(inner - outer)[outline].mean()) if outline.any() else 0.0
    return max(step, abs(float(y[mask].mean()) - float(y[ring].mean()))) / unit


def _mean_near(y: np.ndarray, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of `y` over `where` in a square of `NEAR_PX`, and its share of pixels."""
    share = cv2.blur(where.astype(np.float32), (NEAR_PX, NEAR_PX))
    total = cv2.blur(np.where(where, y, 0).astype(np.float32), (NEAR_PX, NEAR_PX))
    return total / np.maximum(share, 1e-6), share


def findable(contrast: float, surroundings: float, area_px: int) -> float:
    """Return the figure that `labels.min_contrast` is held against.

    The smaller of the two contrasts, and less for the smallest defects: what the eye needs
    is contrast times the root of the area (Rose, J. Opt. Soc. Am. 38, 196, 1948), up to a
    size beyond which the texture's own blotches are no smaller.
    """
    return min(contrast, surroundings) * min(1.0, (area_px / SMALL_PX) ** 0.5)


def ring_contrast(mask: np.ndarray, y: np.ndarray) -> float:
    """Return |mean in mask - mean in ring| over the ring's standard deviation, at least 1 level.

    It can be computed on photographs too.

    Args:
        mask: Shape (H, W), bool, not empty.
        y: Levels of the finished image, (H, W).
    """
    box = box_around(mask)
    mask, y = mask[box], y[box]
    ring = ring_around(mask)
    if not ring.any():
        return 0.0
    outside = y[ring]
    return abs(float(y[mask].mean()) - float(outside.mean())) / max(1.0, float(outside.std()))
