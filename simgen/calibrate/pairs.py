"""Photographs beside simulated images: crops of one size at native scale, matched by kind."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from simgen.dataset.contact_sheet import Label, Picture, draw_sheet
from simgen.errors import ConfigError
from simgen.train.coco import Reading, read_json, read_source
from simgen.train.images import LabelledImage, LabelledObject, Source

_PHOTOGRAPHS, _SIMULATED = "photographs", "simulated"
# Relative places of clean crops, the same on both sides: middle, borders, corners.
_PLACES = ((0.5, 0.5), (0.5, 0.0), (0.0, 0.5), (1.0, 1.0), (0.5, 1.0), (1.0, 0.5), (0.0, 0.0))


def read_photographs(file: Path, rename: Mapping[str, str], exclude: Sequence[str] = ()) -> Source:
    """Return the photographs of a COCO file; they lie beside it or in `images/`.

    Raises:
        ConfigError: The file is the holdout, or shares photographs with the holdout beside it.
        DatasetError: The file is broken; see `read_source`.
    """
    _refuse_holdout(file)
    images = read_json(file)["images"]
    folder = file.parent
    if images and not (folder / str(images[0].get("file_name"))).is_file():
        folder = folder / "images"
    reading = Reading(
        name="real",
        rename=rename,
        exclude=tuple(exclude),
        exclude_key="exclude",
        require_part=False,
    )
    return read_source(file, folder, reading)


def pairs_sheet(
    real: Source, simulated: Source, *, title: str, crop_px: int, each: int
) -> np.ndarray:
    """Return one sheet: for each kind crops of photographs on the left and simulated on the right,
    then clean regions, which bear no label, then whole images.

    No two crops of one kind show the same physical part or scene, and both sides show
    small to large ones.

    Args:
        real, simulated: The images.
        title: First line of every block.
        crop_px: Side of the square crops in native pixels.
        each: Crops of a kind on each side.

    Returns:
        uint8, shape (H, W, 3), RGB.
    """
    sides = {_PHOTOGRAPHS: real, _SIMULATED: simulated}
    blocks = []
    for kind in sorted({*real.kinds, *simulated.kinds}):
        groups = [(n, _defect_crops(s.images, kind, crop_px, each)) for n, s in sides.items()]
        blocks.append(draw_sheet(groups, title=f"{title}, {kind}"))
    groups = [(n, _clean_crops(s.images, crop_px, each)) for n, s in sides.items()]
    if all(pictures for _, pictures in groups):
        blocks.append(draw_sheet(groups, title=f"{title}, clean regions"))
    groups = [(n, _whole(s.images, each)) for n, s in sides.items()]
    blocks.append(draw_sheet(groups, title=f"{title}, whole images"))
    width = max(b.shape[1] for b in blocks)
    padded = [np.pad(b, ((0, 0), (0, width - b.shape[1]), (0, 0)), mode="edge") for b in blocks]
    return np.concatenate(padded)


def _refuse_holdout(file: Path) -> None:
    # Also behind a link, in another spelling or under another name.
    if "holdout" in file.resolve().stem.lower() or "holdout" in file.stem.lower():
        raise ConfigError(f"compare: {file} is the holdout, for evaluation only; use train.json")
    held = file.parent / "holdout.json"
    if held.is_file():
        names = [{str(i.get("file_name")) for i in read_json(f)["images"]} for f in (held, file)]
        if names[0] & names[1]:
            raise ConfigError(
                f"compare: {file} holds photographs of {held}, for evaluation only; use train.json"
            )


def _defect_crops(
    images: Sequence[LabelledImage], kind: str, size: int, count: int
) -> list[Picture]:
    largest: dict[str, tuple[float, LabelledImage, LabelledObject]] = {}
    for number, image in enumerate(images):
        for item in image.objects:
            if item.kind == kind:
                area = item.box[2] * item.box[3]
                known = largest.get(image.part)
                # Of a part's photographs a different one each time, for their exposures.
                if known is None or number % 3 == 0:
                    largest[image.part] = (area, image, item)
    ordered = sorted(largest.values(), key=lambda e: (e[0], e[1].image_id))
    chosen = _steps(ordered, count)
    return [_crop(image, _centre(item), size) for _, image, item in chosen]


def _clean_crops(images: Sequence[LabelledImage], size: int, count: int) -> list[Picture]:
    by_part: dict[str, LabelledImage] = {}
    for number, image in enumerate(i for i in images if i.is_clean):
        if image.part not in by_part or number % 3 == 0:
            by_part[image.part] = image
    chosen = _steps(sorted(by_part.values(), key=lambda i: i.image_id), count)
    pictures = []
    for number, image in enumerate(chosen):
        height, width = image.pixels.shape[:2]
        x, y = _PLACES[number % len(_PLACES)]
        pictures.append(_crop(image, (x * width, y * height), size))
    return pictures


def _whole(images: Sequence[LabelledImage], count: int) -> list[Picture]:
    by_part: dict[str, LabelledImage] = {}
    for number, image in enumerate(images):
        if image.part not in by_part or number % 3 == 0:
            by_part[image.part] = image
    ordered = sorted(by_part.values(), key=lambda i: (i.is_clean, i.image_id))
    return [_picture(i, i.pixels, i.objects, (0, 0)) for i in _steps(ordered, count)]


def _crop(image: LabelledImage, centre: tuple[float, float], size: int) -> Picture:
    height, width = image.pixels.shape[:2]
    left = int(np.clip(round(centre[0] - size / 2), 0, max(0, width - size)))
    top = int(np.clip(round(centre[1] - size / 2), 0, max(0, height - size)))
    window = image.pixels[top : top + size, left : left + size]
    return _picture(image, window, image.objects, (left, top))


def _picture(
    image: LabelledImage,
    window: np.ndarray,
    objects: Sequence[LabelledObject],
    corner: tuple[int, int],
) -> Picture:
    labels = []
    for item in objects:
        mask = _mask_in(item, corner, window.shape[:2])
        if mask.any():
            labels.append(Label(category=item.kind, is_part=False, mask=mask))
    rgb = np.repeat(window[..., None], 3, axis=2) if window.ndim == 2 else window
    return Picture(title=image.part, image=np.ascontiguousarray(rgb), labels=tuple(labels))


def _mask_in(item: LabelledObject, corner: tuple[int, int], shape: tuple[int, ...]) -> np.ndarray:
    """Return the part of a label's mask (its box, if it has none) within a window."""
    x0, y0, width, height = item.box
    inner = item.mask
    (x, y) = item.corner
    if inner is None:
        x, y = int(x0), int(y0)
        inner = np.ones((max(1, round(height)), max(1, round(width))), bool)
    mask = np.zeros(shape, bool)
    left, top = x - corner[0], y - corner[1]
    from_x, from_y = max(0, -left), max(0, -top)
    inner = inner[from_y:, from_x:]
    left, top = max(0, left), max(0, top)
    inner = inner[: max(0, shape[0] - top), : max(0, shape[1] - left)]
    mask[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return mask


def _centre(item: LabelledObject) -> tuple[float, float]:
    x, y, width, height = item.box
    return x + width / 2, y + height / 2


def _steps(items: Sequence, count: int) -> list:
    count = min(count, len(items))
    if count <= 1:
        return list(items[:count])
    return [items[round(i * (len(items) - 1) / (count - 1))] for i in range(count)]
