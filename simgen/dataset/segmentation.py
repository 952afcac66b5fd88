"""COCO segmentations to masks, without trusting what they say of themselves.

pycocotools' decoder allocates what a size asks for and walks along a polygon's edges
pixel by pixel, however long they are. Here every count and coordinate is checked
against the image before anything of its size exists.
"""

from typing import Any

import numpy as np
from pycocotools import mask as rle

_MOST_PIXELS = 1 << 28
# Annotators' polygons reach a little beyond the image, but not by several images.
_MOST_BEYOND = 4


def decode_mask(segmentation: Any, height: int, width: int) -> np.ndarray:
    """Return a COCO segmentation (RLE of either kind, or polygons) as bool, shape (H, W).

    Raises:
        ValueError: It is none of these, or does not fit an image of this size.
    """
    if not (0 < height and 0 < width and height * width <= _MOST_PIXELS):
        raise ValueError(f"no image is {width} x {height} pixels")
    if isinstance(segmentation, list):
        polygons = [_polygon(p, max(height, width)) for p in segmentation]
        if not polygons:
            raise ValueError("a segmentation without a polygon")
        packed = rle.merge(rle.frPyObjects(polygons, height, width))
        return rle.decode(packed).astype(bool)
    if not isinstance(segmentation, dict):
        raise ValueError("a segmentation is a list of polygons, or has size and counts")
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if size != [height, width]:
        raise ValueError(f"segmentation's size is {str(size)[:40]}, not [{height}, {width}]")
    runs = _runs(counts)
    if (runs < 0).any() or runs.sum() != height * width:
        raise ValueError("segmentation's counts do not add up to the image")
    ones = np.arange(len(runs)) % 2 == 1
    return np.repeat(ones, runs).reshape(width, height).T.copy()


def _runs(counts: Any) -> np.ndarray:
    if isinstance(counts, str):
        return _unpacked(counts)
    whole = isinstance(counts, list) and all(
        isinstance(n, int) and not isinstance(n, bool) and 0 <= n <= _MOST_PIXELS for n in counts
    )
    if not whole or len(counts) > _MOST_PIXELS:
        raise ValueError("segmentation's counts are neither a text nor whole numbers")
    return np.asarray(counts, np.int64)


def _unpacked(text: str) -> np.ndarray:
    """Return the runs of COCO's compressed counts.

    Numbers are groups of five bits, lowest first, a sixth bit set where another group
    follows, the last group in two's complement. From the fourth number on each is the
    difference to the last but one.
    """
    if not text or len(text) > _MOST_PIXELS:
        raise ValueError("segmentation without counts")
    code = np.frombuffer(text.encode("ascii", "replace"), np.uint8).astype(np.int64) - 48
    if ((code < 0) | (code > 63)).any() or code[-1] & 0x20:
        raise ValueError("segmentation's counts are not COCO's")
    ends = np.flatnonzero(~code & 0x20)
    starts = np.concatenate([[0], ends[:-1] + 1])
    place = np.arange(len(code)) - np.repeat(starts, ends - starts + 1)
    if place.max() > 6:
        raise ValueError("segmentation's counts are too large")
    values = np.add.reduceat((code & 0x1F) << (5 * place), starts)
    negative = (code[ends] & 0x10) > 0
    values -= np.where(negative, 1 << (5 * (place[ends] + 1)), 0)
    for first in (1, 2):
        values[first::2] = np.cumsum(values[first::2])
    return values


def _polygon(points: Any, longest: int) -> list[float]:
    if not isinstance(points, list) or len(points) < 6 or len(points) % 2:
        raise ValueError("a polygon is a list x0, y0, x1, y1, ... of at least three points")
    most = _MOST_BEYOND * longest
    for value in points:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not (number and -most <= value <= most):
            raise ValueError("a polygon's coordinates are numbers near its image")
    return [float(v) for v in points]
