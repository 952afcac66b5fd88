"""Crops, at native scale or near it; one preparation of pixels for training and prediction."""

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from simgen.train.config import AugmentConfig
from simgen.train.images import LabelledImage, LabelledObject

# Statistics of ImageNet, which the backbone was trained with; a padded pixel equals the mean.
MEAN = np.array([0.485, 0.456, 0.406], np.float32) * 255
STD = np.array([0.229, 0.224, 0.225], np.float32) * 255
_SMALLEST_PIECE_PX = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """A square piece of an image.

    Attributes:
        pixels: float32, shape (S, S, 3), normalised for the backbone, 0 outside the image.
        boxes: float32, shape (N, 4), x1, y1, x2, y2 in pixels of the crop.
        kinds: Names of the N objects' classes.
        mask: uint8, shape (S, S): 1 + the index of the object that a pixel belongs to, 0 none.
    """

    pixels: np.ndarray
    boxes: np.ndarray
    kinds: tuple[str, ...]
    mask: np.ndarray


def normalised(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return an image normalised and padded at its right and bottom.

    Args:
        pixels: Shape (H, W) or (H, W, 3), 8-bit levels, any numeric type.
        height, width: Size of the result, at least H and W.

    Returns:
        float32, shape (height, width, 3).
    """
    rgb = np.asarray(pixels, np.float32)
    rgb = rgb[..., None] if rgb.ndim == 2 else rgb
    out = np.zeros((height, width, 3), np.float32)
    out[: rgb.shape[0], : rgb.shape[1]] = (rgb - MEAN) / STD
    return out


def draw_side(rng: np.random.Generator, size: int, scale: float) -> int:
    """Draw the side in image pixels of a crop that will be `size` pixels wide.

    Args:
        rng: Generator; nothing is drawn from it at scale 1.
        size: Side of the crop when it trains.
        scale: Largest factor of size; drawn log-uniformly in [1 / scale, scale].
    """
    if scale == 1:
        return size
    return round(size / math.exp(rng.uniform(-1, 1) * math.log(scale)))


def draw_crop(
    rng: np.random.Generator, image: LabelledImage, target: int | None, size: int
) -> tuple[int, int]:
    """Draw column and row of a crop's first pixel.

    A side that is shorter than the crop is placed anywhere inside it (so the result may
    be negative); with a target, the crop shows the middle of a random part of its box.

    Args:
        rng: Generator.
        image: The image.
        target: Index of the object to show, or None.
        size: Side of the crop in pixels.
    """
    height, width = image.pixels.shape[:2]
    corner = []
    for axis, length in enumerate((width, height)):
        low, high = min(0, length - size), max(0, length - size)
        if target is not None and length > size:
            start, extent = image.objects[target].box[axis], image.objects[target].box[axis + 2]
            # Off the crop's rim, unless the object itself is at the image's.
            point = start + rng.uniform(0.25, 0.75) * extent
            margin = min(extent / 2, size / 4)
            low = int(np.clip(point + margin - size, low, high))
            high = int(np.clip(point - margin, low, high))
        corner.append(int(rng.integers(low, high + 1)))
    return corner[0], corner[1]


def cut(
    rng: np.random.Generator,
    image: LabelledImage,
    corner: tuple[int, int],
    size: int,
    augment: AugmentConfig,
) -> Crop:
    """Return the crop at `corner`, randomly mirrored and relit.

    The box of a defect that the crop cuts is that of its mask's visible part.

    Args:
        rng: Generator.
        image: The image.
        corner: Column and row of the first pixel; may lie outside the image.
        size: Side in pixels.
        augment: What may happen to it.
    """
    left, top = corner
    height, width = image.pixels.shape[:2]
    x0, y0 = max(0, left), max(0, top)
    x1, y1 = min(width, left + size), min(height, top + size)
    piece = _relit(rng, image.pixels[y0:y1, x0:x1], augment)
    pixels = np.zeros((size, size, 3), np.float32)
    pixels[y0 - top : y1 - top, x0 - left : x1 - left] = normalised(piece, y1 - y0, x1 - x0)

    boxes, kinds = [], []
    mask = np.zeros((size, size), np.uint8)
    for thing in image.objects:
        box = _visible_box(thing, x0, y0, x1, y1)
        if box is not None:
            boxes.append([box[0] - left, box[1] - top, box[2] - left, box[3] - top])
            kinds.append(thing.kind)
            _draw(mask, thing, box, (left, top), min(255, len(kinds)))
    found = np.array(boxes, np.float32).reshape(-1, 4)
    if rng.uniform() < augment.flip_x:
        pixels, mask, found = (
            pixels[:, ::-1],
            mask[:, ::-1],
            np.stack([size - found[:, 2], found[:, 1], size - found[:, 0], found[:, 3]], axis=1),
        )
    if rng.uniform() < augment.flip_y:
        pixels, mask, found = (
            pixels[::-1],
            mask[::-1],
            np.stack([found[:, 0], size - found[:, 3], found[:, 2], size - found[:, 1]], axis=1),
        )
    return Crop(
        pixels=np.ascontiguousarray(pixels), boxes=found, kinds=tuple(kinds), mask=mask.copy()
    )


def resized(crop: Crop, size: int) -> Crop:
    """Return a crop at another size, boxes and mask with it.

    Args:
        crop: The crop.
        size: Side of the result in pixels.
    """
    side = len(crop.pixels)
    if side == size:
        return crop
    smooth = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    return replace(
        crop,
        pixels=cv2.resize(crop.pixels, (size, size), interpolation=smooth),
        boxes=crop.boxes * np.float32(size / side),
        mask=cv2.resize(crop.mask, (size, size), interpolation=cv2.INTER_NEAREST),
    )


def _draw(
    mask: np.ndarray,
    thing: LabelledObject,
    box: tuple[float, float, float, float],
    corner: tuple[int, int],
    number: int,
) -> None:
    """Write `number` where the object is; where it has no mask, in its box."""
    (x0, y0), size = corner, len(mask)
    if thing.mask is None:
        left, top = math.floor(box[0]) - x0, math.floor(box[1]) - y0
        inner = np.ones((math.ceil(box[3]) - y0 - top, math.ceil(box[2]) - x0 - left), bool)
    else:
        left, top = thing.corner[0] - x0, thing.corner[1] - y0
        inner = thing.mask
    rows, columns = inner.shape
    seen = inner[max(0, -top) : max(0, size - top), max(0, -left) : max(0, size - left)]
    place = mask[max(0, top) : max(0, top + rows), max(0, left) : max(0, left + columns)]
    place[seen] = number


def _relit(rng: np.random.Generator, piece: np.ndarray, augment: AugmentConfig) -> np.ndarray:
    gain = np.exp(rng.uniform(-1, 1) * np.log(augment.gain))
    offset = rng.uniform(-1, 1) * augment.offset
    sigma = rng.uniform(0, 1) * augment.noise
    grain = rng.standard_normal(piece.shape, np.float32) * np.float32(sigma)
    return np.clip(piece * np.float32(gain) + np.float32(offset) + grain, 0, 255)


def _visible_box(
    thing: LabelledObject, x0: int, y0: int, x1: int, y1: int
) -> tuple[float, float, float, float] | None:
    x, y, width, height = thing.box
    if x >= x0 and y >= y0 and x + width <= x1 and y + height <= y1:
        return x, y, x + width, y + height
    if thing.mask is None:
        box = (max(x, x0), max(y, y0), min(x + width, x1), min(y + height, y1))
    else:
        left, top = thing.corner
        seen = thing.mask[
            max(0, y0 - top) : max(0, y1 - top), max(0, x0 - left) : max(0, x1 - left)
        ]
        if not seen.any():
            return None
        rows, columns = np.nonzero(seen.any(axis=1))[0], np.nonzero(seen.any(axis=0))[0]
        left, top = max(x0, left), max(y0, top)
        box = (left + columns[0], top + rows[0], left + columns[-1] + 1, top + rows[-1] + 1)
    if min(box[2] - box[0], box[3] - box[1]) < _SMALLEST_PIECE_PX:
        return None
    return box
