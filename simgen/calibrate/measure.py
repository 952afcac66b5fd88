"""Measure one labelled image; the same code for photographs and simulated images."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from tqdm import tqdm

from simgen.calibrate.margin import gap_within, gaps_between, label_margin
from simgen.calibrate.texture import (
    BRIGHTEST,
    noise_at,
    noise_level,
    sharpness,
    streaks,
    usable,
)
from simgen.label.contrast import ring_around, ring_contrast
from simgen.sensor.develop import luminance
from simgen.train.images import LabelledImage, LabelledObject

_ALONG, _ACROSS = (1, 5, 20), (1, 5)
_LEVELS = (50, 100, 150, 200)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredLabel:
    """The numbers of one label; names are those of `QUANTITIES`. A number may be NaN."""

    kind: str
    values: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredImage:
    """The numbers of one image and of its labels.

    Attributes:
        image_id: Its id in its COCO file.
        part: The physical part that it shows.
        kinds: The kinds labelled on it; none, it is clean.
        attributes: What its source says about it.
    """

    image_id: int
    part: str
    kinds: frozenset[str]
    attributes: dict[str, object]
    values: dict[str, float]
    labels: tuple[MeasuredLabel, ...]


def measure_all(images: Sequence[LabelledImage], what: str) -> tuple[MeasuredImage, ...]:
    """Measure every image, with a progress bar named `what`."""
    return tuple(measure_image(image) for image in tqdm(images, desc=what, unit="image"))


def measure_image(image: LabelledImage) -> MeasuredImage:
    """Return the numbers of one image."""
    grey = luminance(image.pixels.astype(np.float32))
    masks = [_full_mask(o, grey.shape) for o in image.objects]
    gaps = gaps_between(masks, [o.kind for o in image.objects])
    labels = tuple(
        MeasuredLabel(kind=o.kind, values={**_label_values(grey, o, mask), "gap_px": gap})
        for o, mask, gap in zip(image.objects, masks, gaps, strict=True)
    )
    values = {
        **_levels(grey),
        **_texture(grey, _any(masks, grey.shape)),
        **_colours(image.pixels),
        **_size(grey.shape),
    }
    if labels:
        values["count"] = float(len(labels))
    return MeasuredImage(
        image_id=image.image_id,
        part=image.part,
        kinds=image.kinds,
        attributes=dict(image.attributes),
        values=values,
        labels=labels,
    )


def _levels(grey: np.ndarray) -> dict[str, float]:
    mean = float(grey.mean())
    p05, p50, p95 = (float(v) for v in np.percentile(grey, (5, 50, 95)))
    height, width = grey.shape
    smooth = cv2.GaussianBlur(grey, (0, 0), max(1.0, min(height, width) / 20))
    h, w = max(1, height // 8), max(1, width // 8)
    corners = [
        grey[y, x].mean() for y in (slice(h), slice(-h, None)) for x in (slice(w), slice(-w, None))
    ]
    top, left = (height - h) // 2, (width - w) // 2
    centre = float(grey[top : top + h, left : left + w].mean())
    return {
        "brightness": mean,
        "brightness_median": p50,
        "dark": p05,
        "bright": p95,
        "clipped_share": float((grey >= BRIGHTEST).mean()),
        "contrast": float(grey.std()) / max(mean, 1.0),
        "spread": (p95 - p05) / max(p50, 1.0),
        "shading": float(smooth.std()) / max(mean, 1.0),
        "corner_fall": float(np.mean(corners)) / max(centre, 1.0),
    }


def _texture(grey: np.ndarray, labelled: np.ndarray) -> dict[str, float]:
    where = usable(grey, labelled)
    noise = noise_level(grey, where)
    values = {
        "noise": noise,
        "noise_share": noise / float(grey[where].mean()) if where.any() else float("nan"),
        "sharpness": sharpness(grey, where),
        **{f"noise_at_{level}": v for level, v in noise_at(grey, where, _LEVELS).items()},
    }
    found = streaks(grey, where, _ALONG, _ACROSS)
    if found is not None:
        values |= {
            "residual": found.residual,
            "texture_skew": found.skew,
            "streak_direction_deg": found.direction_deg,
            "streak_coherence": found.coherence,
            **{f"along_{lag}": v for lag, v in found.along.items()},
            **{f"across_{lag}": v for lag, v in found.across.items()},
        }
    return values


def _colours(pixels: np.ndarray) -> dict[str, float]:
    # A grey photograph that was saved in three channels has no colour to compare.
    if pixels.ndim == 2 or (np.ptp(pixels, axis=2) <= 2).all():
        return {}
    red, green, blue = (float(v) for v in pixels.reshape(-1, 3).mean(axis=0))
    return {"red_over_green": red / max(green, 1.0), "blue_over_green": blue / max(green, 1.0)}


def _size(shape: tuple[int, ...]) -> dict[str, float]:
    height, width = shape[:2]
    return {
        "image_width_px": float(width),
        "image_height_px": float(height),
        "image_aspect": width / height,
    }


def _label_values(grey: np.ndarray, label: LabelledObject, mask: np.ndarray) -> dict[str, float]:
    x, y, width, height = label.box
    image_height, image_width = grey.shape
    box = {
        "box_width_px": width,
        "box_height_px": height,
        "box_area_px": width * height,
        "box_aspect": width / height,
        "box_long_px": max(width, height),
        "box_x": (x + width / 2) / image_width,
        "box_y": (y + height / 2) / image_height,
        "border_px": max(0.0, min(x, y, image_width - x - width, image_height - y - height)),
    }
    return box | _looks(grey, mask, max(width, height)) if mask.any() else box


def _looks(grey: np.ndarray, mask: np.ndarray, long_px: float) -> dict[str, float]:
    ring = ring_around(mask)
    outside = float(grey[ring].mean()) if ring.any() else float("nan")
    return {
        "mask_area_px": float(mask.sum()),
        "mean_width_px": float(mask.sum()) / long_px,
        "ring_contrast": ring_contrast(mask, grey) if ring.any() else float("nan"),
        "tone": float(grey[mask].mean()) / max(outside, 1.0),
        "label_margin_px": label_margin(grey, mask),
        "inner_gap_px": gap_within(mask),
    }


def _full_mask(label: LabelledObject, shape: tuple[int, ...]) -> np.ndarray:
    """Return a label's mask in the whole image; its box where it has none."""
    full = np.zeros(shape[:2], bool)
    if label.mask is not None:
        x, y = label.corner
        full[y : y + label.mask.shape[0], x : x + label.mask.shape[1]] = label.mask
        return full
    x0, y0, width, height = label.box
    rows = slice(max(0, int(y0)), int(np.ceil(y0 + height)))
    full[rows, max(0, int(x0)) : int(np.ceil(x0 + width))] = True
    return full


def _any(masks: Iterable[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    total = np.zeros(shape[:2], bool)
    for mask in masks:
        total |= mask
    return total
