"""Detections of one trained run on one set of images, in memory and as COCO results."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from simgen.errors import DatasetError
from simgen.train.images import LabelledImage

Predict = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detections:
    """What was detected in one image.

    Attributes:
        boxes: float64, shape (N, 4), COCO x, y, width, height.
        scores: float64, shape (N,).
        kinds: int64, shape (N,), index into the classes.
    """

    boxes: np.ndarray
    scores: np.ndarray
    kinds: np.ndarray


def predict_all(
    predict: Predict, images: Sequence[LabelledImage], label: str
) -> tuple[Detections, ...]:
    """Run a detector over whole images at their native scale, in order."""
    found = []
    for image in tqdm(images, desc=label, unit="image", mininterval=1):
        boxes, scores, kinds = predict(image.pixels)
        found.append(Detections(boxes=boxes, scores=scores, kinds=kinds))
    return tuple(found)


def save_predictions(
    file: Path,
    images: Sequence[LabelledImage],
    found: Sequence[Detections],
    classes: Sequence[str],
) -> None:
    """Write detections as COCO results; category ids are 1 + the position in `classes`."""
    results = [
        {
            "image_id": image.image_id,
            "category_id": int(kind) + 1,
            "bbox": [round(float(v), 3) for v in box],
            "score": round(float(score), 6),
        }
        for image, d in zip(images, found, strict=True)
        for box, score, kind in zip(d.boxes, d.scores, d.kinds, strict=True)
    ]
    names = [{"id": i + 1, "name": name} for i, name in enumerate(classes)]
    file.write_text(json.dumps({"categories": names, "results": results}))


def load_predictions(
    file: Path, images: Sequence[LabelledImage], classes: Sequence[str]
) -> tuple[Detections, ...]:
    """Read what `save_predictions` wrote, in the order of `images`.

    Raises:
        DatasetError: The file is missing, broken, or of other classes or images.
    """
    try:
        data = json.loads(file.read_text())
        names = [c["name"] for c in data["categories"]]
        rows: dict[int, list[dict]] = {i.image_id: [] for i in images}
        for result in data["results"]:
            rows[result["image_id"]].append(result)
    except (OSError, ValueError, KeyError, TypeError):
        raise DatasetError(f"{file}: missing, broken or of other images; evaluate again") from None
    if names != list(classes):
        raise DatasetError(f"{file}: holds classes {names}, not {list(classes)}; evaluate again")
    return tuple(_detections(rows[i.image_id]) for i in images)


def _detections(rows: list[dict]) -> Detections:
    return Detections(
        boxes=np.array([r["bbox"] for r in rows], np.float64).reshape(-1, 4),
        scores=np.array([r["score"] for r in rows], np.float64),
        kinds=np.array([r["category_id"] - 1 for r in rows], np.int64),
    )
