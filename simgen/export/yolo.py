"""YOLO: a text file beside every image, boxes or one polygon a label."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml

from simgen.dataset.segmentation import decode_mask
from simgen.dataset.stored import StoredCategory
from simgen.errors import ConfigError
from simgen.export.folder import Images, put_image
from simgen.export.note import one_line
from simgen.export.outline import fill, outline_of
from simgen.export.source import ExportFrame, Source
from simgen.export.split import TRAIN, VAL, Split, side_of

Only = Literal["all", "part", "defect"]


def write_yolo(
    source: Source,
    frames: Iterable[ExportFrame],
    folder: Path,
    split: Split,
    *,
    segments: bool,
    images: Images,
    only: Only,
) -> dict[str, Any]:
    """Write images, labels and data.yaml; return counts, and how exact polygons are.

    Args:
        source: The dataset.
        frames: Its frames.
        folder: An empty folder.
        split: Which sides there are.
        segments: Polygons in place of boxes.
        images: Copy or link them.
        only: Labels of parts or of defects alone.

    Raises:
        ConfigError: `only` leaves no category.
        DatasetError: A label or image is damaged.
    """
    categories = [c for c in source.manifest.categories if only in ("all", c.supercategory)]
    if not categories:
        raise ConfigError(f"only: the dataset has no category of {only}s; leave it out")
    classes = {c.id: k for k, c in enumerate(categories)}
    for side in split.sides:
        (folder / "images" / side).mkdir(parents=True)
        (folder / "labels" / side).mkdir(parents=True)
    _write_yaml(folder / "data.yaml", source, categories, split)
    labels = twins = 0
    fidelity = _Fidelity()
    for frame in frames:
        side = side_of(frame.image["scene"], split.share)
        put_image(frame, folder / "images" / side / frame.name, images)
        rows = []
        for annotation in frame.annotations:
            if annotation["category_id"] in classes:
                points = _polygon(annotation, frame, fidelity) if segments else _box(annotation)
                row = _row(points, frame, segments)
                rows.append(f"{classes[annotation['category_id']]} {row}\n")
        labels += len(rows)
        twins += sum(n - 1 for n in Counter(rows).values())
        text = folder / "labels" / side / f"{frame.number:08d}.txt"
        text.write_text("".join(rows))
    facts: dict[str, Any] = {"labels": labels, "labels_equal_to_another_in_their_image": twins}
    return facts | (fidelity.record() if segments else {})


def _box(annotation: dict[str, Any]) -> np.ndarray:
    x, y, width, height = annotation["bbox"]
    return np.array([[x + width / 2, y + height / 2], [width, height]], np.float64)


def _polygon(annotation: dict[str, Any], frame: ExportFrame, fidelity: "_Fidelity") -> np.ndarray:
    try:
        mask = decode_mask(annotation["segmentation"], frame.image["height"], frame.image["width"])
        if not mask.any():
            raise ValueError("an empty mask")
    except ValueError as error:
        raise frame.damaged(f"annotation {annotation['id']}: {error}") from None
    outline = outline_of(mask)
    fidelity.add(mask, outline)
    return outline


def _row(points: np.ndarray, frame: ExportFrame, segments: bool) -> str:
    size = (frame.image["width"], frame.image["height"])
    digits = 9 if segments else 12
    return " ".join(f"{v:.{digits}g}" for v in (points / size).reshape(-1).tolist())


def _write_yaml(path: Path, source: Source, categories: list[StoredCategory], split: Split) -> None:
    both = VAL in split.sides
    lines = [f"# {one_line(source)}"]
    if not both:
        lines.append(
            "# Not split: val names the same images, since Ultralytics wants both keys. Judge on"
        )
        lines.append("# photographs, or export again with split=0.9.")
    names = {k: c.name for k, c in enumerate(categories)}
    body = {"train": f"images/{TRAIN}", "val": f"images/{VAL if both else TRAIN}", "names": names}
    text = yaml.safe_dump(body, sort_keys=False, allow_unicode=False)
    path.write_text("\n".join(lines) + "\n" + text)


class _Fidelity:
    """How like its mask each polygon is, painted as Ultralytics paints it."""

    def __init__(self) -> None:
        self._count = self._exact = 0
        self._sum, self._worst = 0.0, 1.0

    def add(self, mask: np.ndarray, outline: np.ndarray) -> None:
        painted = fill(outline, *mask.shape)
        overlap = float((painted & mask).sum() / (painted | mask).sum())
        self._count += 1
        self._exact += overlap == 1.0
        self._sum += overlap
        self._worst = min(self._worst, overlap)

    def record(self) -> dict[str, Any]:
        mean = self._sum / self._count if self._count else 1.0
        return {
            "polygons_exact": self._exact,
            "mask_iou_mean": round(mean, 6),
            "mask_iou_min": round(self._worst, 6),
        }
