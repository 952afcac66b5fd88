"""What images and labels are sorted into bins by."""

from collections.abc import Callable, Mapping

import numpy as np

from simgen.label.contrast import ring_contrast
from simgen.train.images import LabelledImage, LabelledObject

OfImage = Callable[[LabelledImage], float | None]
OfLabel = Callable[[LabelledImage, LabelledObject], float | None]


def area_px(thing: LabelledObject) -> float:
    """Return the number of pixels of a label's mask, or of its box without one."""
    if thing.mask is not None:
        return float(thing.mask.sum())
    return thing.box[2] * thing.box[3]


def image_measure(name: str) -> OfImage:
    """Return a measure of images; a name that is not ours is a number among the attributes."""
    return IMAGE_MEASURES.get(name) or (lambda image: _number(image.attributes.get(name)))


def why_missing(name: str) -> str:
    """Return why photographs may lack a measure, for the report."""
    return _MISSING.get(name, f"no photograph says {name!r} as a number among its attributes")


def _size_px(image: LabelledImage, thing: LabelledObject) -> float:
    return area_px(thing) ** 0.5


def _size_mm(image: LabelledImage, thing: LabelledObject) -> float | None:
    scale = _number(image.attributes.get("px_per_mm"))
    return area_px(thing) ** 0.5 / scale if scale else None


def _contrast(image: LabelledImage, thing: LabelledObject) -> float | None:
    if thing.mask is None:
        return None
    mask = np.zeros(image.pixels.shape[:2], bool)
    left, top = thing.corner
    height, width = thing.mask.shape
    mask[top : top + height, left : left + width] = thing.mask
    if mask.all():
        return None  # Nothing is around it.
    return float(ring_contrast(mask, _grey(image.pixels)))


def _brightness(image: LabelledImage) -> float:
    return float(_grey(image.pixels).mean())


def _visibility(image: LabelledImage, thing: LabelledObject) -> float | None:
    return _number(thing.attributes.get("visibility"))


def _grey(pixels: np.ndarray) -> np.ndarray:
    levels = pixels.astype(np.float32)
    return levels if levels.ndim == 2 else levels @ np.array([0.299, 0.587, 0.114], np.float32)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
        return None
    return float(value)


IMAGE_MEASURES: Mapping[str, OfImage] = {"brightness": _brightness}
LABEL_MEASURES: Mapping[str, OfLabel] = {
    "size_px": _size_px,
    "size_mm": _size_mm,
    "contrast": _contrast,
    "visibility": _visibility,
}
_MISSING = {
    "size_mm": "no photograph says its scale (a number `px_per_mm` among its attributes)",
    "contrast": "no label has a mask with something around it",
    "visibility": "no label says how much of the defect is hidden (`visibility`)",
}
