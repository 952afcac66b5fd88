"""Contact sheets: a grid of images with their labels drawn, to look at a dataset at once."""

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from simgen.dataset.coco_items import coco_items
from simgen.dataset.files import replacing
from simgen.dataset.pictures import read_rgb
from simgen.dataset.segmentation import decode_mask
from simgen.dataset.stored import inside
from simgen.errors import DatasetError

Colour = tuple[int, int, int]

_BACKGROUND: Colour = (24, 26, 30)
_TEXT: Colour = (226, 228, 232)
_PART: Colour = (120, 190, 255)
# Told apart from one another and from grey metal (after Okabe and Ito's palette).
_DEFECTS: tuple[Colour, ...] = (
    (255, 92, 92),
    (255, 190, 40),
    (64, 224, 128),
    (236, 110, 255),
    (60, 220, 230),
    (255, 140, 200),
    (190, 230, 60),
    (170, 140, 255),
)
_CELL_PX = 384
_SMALL_PX = 12
_GAP_PX = 6
_TITLE_PX = 18
_HEAD_PX = 54
_PAGE_PX = 2346


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One annotation to draw: category, what it is, and its mask, (H, W) bool."""

    category: str
    is_part: bool
    mask: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One image with its labels: uint8, (H, W, 3) RGB."""

    title: str
    image: np.ndarray
    labels: tuple[Label, ...]


def write_contact_sheet(
    coco_json: Path,
    path: Path,
    *,
    title: str,
    count: int = 24,
    compare: Path | None = None,
    fetch: Callable[[Sequence[str]], None] = lambda names: None,
) -> None:
    """Write a PNG with some of a dataset's images and their labels.

    Args:
        coco_json: A COCO file; images lie beside it or in `images/`.
        path: Where the PNG goes.
        title: First line of the sheet.
        count: Number of images, at most.
        compare: COCO file of real photographs, drawn at the same scale on the left.
        fetch: Makes sure that the chosen images of `coco_json`, by file name, are there.

    Raises:
        DatasetError: A file is missing or is not COCO.
    """
    simulated = _pictures(coco_json, count, fetch)
    groups = [("", simulated)]
    if compare is not None:
        groups = [("photographs", _pictures(compare, count)), ("simulated", simulated)]
    sheet = draw_sheet(groups, title=title)
    with replacing(path) as file:
        Image.fromarray(sheet).save(file, format="PNG", compress_level=6)


def draw_sheet(groups: Sequence[tuple[str, Sequence[Picture]]], *, title: str) -> np.ndarray:
    """Return groups of pictures side by side, all at one scale, with a legend.

    Returns:
        uint8, shape (H, W, 3), RGB.
    """
    pictures = [p for _, group in groups for p in group]
    kinds = sorted({x.category for p in pictures for x in p.labels if not x.is_part})
    colours = {kind: _DEFECTS[i % len(_DEFECTS)] for i, kind in enumerate(kinds)}
    largest = max((max(p.image.shape[:2]) for p in pictures), default=_CELL_PX)
    # Whole factors enlarge small images, so that a pixel stays a square.
    scale = max(1, _CELL_PX // largest) if largest <= _CELL_PX else _CELL_PX / largest
    grids = [_grid(group, name, colours, scale, len(groups)) for name, group in groups]
    width = max(sum(g.shape[1] for g in grids), 640)
    sheet = np.full((_HEAD_PX + max(g.shape[0] for g in grids), width, 3), _BACKGROUND, np.uint8)
    x = 0
    for grid in grids:
        sheet[_HEAD_PX : _HEAD_PX + grid.shape[0], x : x + grid.shape[1]] = grid
        x += grid.shape[1]
    return _with_legend(sheet, title, colours, pictures)


def _pictures(
    coco_json: Path, count: int, fetch: Callable[[Sequence[str]], None] = lambda names: None
) -> list[Picture]:
    try:
        chosen, categories = _choose(coco_json, count)
        images, by_image = {}, defaultdict(list)
        for key, record in coco_items(coco_json, ("images", "annotations")):
            if key == "images" and record["id"] in chosen:
                images[record["id"]] = record
            elif key == "annotations" and record["image_id"] in chosen:
                by_image[record["image_id"]].append(record)
        fetch([image["file_name"] for image in images.values()])
        return [
            _picture(coco_json.parent, images[number], by_image[number], categories)
            for number in chosen
        ]
    except OSError as error:
        name = error.filename or coco_json
        raise DatasetError(f"{name}: {error.strerror or 'is not an image'}") from None
    except (ArithmeticError, KeyError, TypeError, ValueError, cv2.error) as error:
        raise DatasetError(f"{coco_json}: not a COCO file ({error!r})") from None


def _choose(coco_json: Path, count: int) -> tuple[list[int], dict[int, dict[str, Any]]]:
    """Return ids of the images to show, in order, and the file's categories by id.

    Of the rest of the file only numbers are kept, so that it may be of any size.
    """
    categories = {}
    images, owners, kinds = array("q"), array("q"), array("q")
    for key, record in coco_items(coco_json, ("images", "annotations", "categories")):
        if key == "images":
            images.append(record["id"])
        elif key == "annotations":
            owners.append(record["image_id"])
            kinds.append(record["category_id"])
        else:
            categories[record["id"]] = {**record, "name": str(record["name"])}
    # Even steps through images with defects for most of the sheet, through clean
    # ones for the rest: where most are clean, the defects are what one looks for.
    defects = [number for number, category in categories.items() if not _is_part(category)]
    shown = np.isin(images, np.asarray(owners)[np.isin(kinds, defects)])
    defective, clean = np.asarray(images)[shown].tolist(), np.asarray(images)[~shown].tolist()
    of_defective = min(len(defective), max(count - len(clean), math.ceil(count * 2 / 3)))
    chosen = _steps(defective, of_defective) + _steps(clean, count - of_defective)
    return sorted(chosen), categories


def _steps(items: Sequence[int], count: int) -> list[int]:
    count = min(count, len(items))
    return [items[i * len(items) // count] for i in range(count)]


def _picture(
    folder: Path,
    image: dict[str, Any],
    annotations: Sequence[dict[str, Any]],
    categories: dict[int, dict[str, Any]],
) -> Picture:
    path = inside(folder, image["file_name"])
    if not path.is_file():
        path = inside(folder, f"images/{image['file_name']}")
    pixels = read_rgb(path)
    height, width = pixels.shape[:2]
    labels = tuple(
        Label(
            category=categories[a["category_id"]]["name"],
            is_part=_is_part(categories[a["category_id"]]),
            mask=mask,
        )
        for a in annotations
        if (mask := decode_mask(a["segmentation"], height, width)).any()
    )
    if "frame" in image:
        position = f"frame {image['frame']}"
        for name in ("view", "exposure"):
            position += f", {name} {image[name]}" if image.get(name) else ""
    else:
        position = Path(image["file_name"]).stem
    return Picture(title=position, image=pixels, labels=labels)


def _is_part(category: dict[str, Any]) -> bool:
    return category.get("supercategory") == "part"


def _grid(
    pictures: Sequence[Picture],
    name: str,
    colours: dict[str, Colour],
    scale: float,
    groups: int,
) -> np.ndarray:
    cells = [_cell(p, colours, scale) for p in pictures]
    rows = _shelves(cells, _PAGE_PX // groups)
    top = _TITLE_PX + _GAP_PX if name else 0
    heights = [max(c.shape[0] for c in row) + _GAP_PX for row in rows]
    widths = [sum(c.shape[1] + _GAP_PX for c in row) for row in rows]
    shape = (top + sum(heights) + _GAP_PX, max(widths, default=_CELL_PX) + _GAP_PX, 3)
    grid = np.full(shape, _BACKGROUND, np.uint8)
    y = top
    for row, height in zip(rows, heights, strict=True):
        x = _GAP_PX
        for cell in row:
            grid[y : y + cell.shape[0], x : x + cell.shape[1]] = cell
            x += cell.shape[1] + _GAP_PX
        y += height
    return _written(grid, [(name, (_GAP_PX, 0), 15, _TEXT)]) if name else grid


def _shelves(cells: Sequence[np.ndarray], width: int) -> list[list[np.ndarray]]:
    # Rows as full as they go, since photographs are often crops of all sizes.
    rows: list[list[np.ndarray]] = []
    used = width
    for cell in cells:
        taken = cell.shape[1] + _GAP_PX
        if not rows or used + taken > width:
            rows.append([])
            used = 0
        rows[-1].append(cell)
        used += taken
    return rows


def _cell(picture: Picture, colours: dict[str, Colour], scale: float) -> np.ndarray:
    height, width = (max(1, round(n * scale)) for n in picture.image.shape[:2])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    room = int(ImageFont.load_default(_SMALL_PX).getlength(picture.title)) + 6
    cell = np.full((height + _TITLE_PX, max(width, room), 3), _BACKGROUND, np.uint8)
    pixels = cv2.resize(picture.image, (width, height), interpolation=how)
    texts = [(picture.title, (2, 1), _SMALL_PX, _TEXT)]
    for label in sorted(picture.labels, key=lambda x: not x.is_part):
        colour = _PART if label.is_part else colours[label.category]
        outlines = _outlines(label, scale)
        cv2.polylines(pixels, outlines, True, colour, 1, cv2.LINE_AA, shift=4)
        if not label.is_part:
            x, y, box_width, box_height = cv2.boundingRect(np.concatenate(outlines) >> 4)
            below = y + box_height + 14 < height
            anchor = (
                int(np.clip(x, 0, max(0, width - 7 * len(label.category)))),
                _TITLE_PX + (y + box_height + 1 if below else max(0, y - 14)),
            )
            texts.append((label.category, anchor, 11, colour))
    cell[_TITLE_PX:, :width] = pixels
    return _written(cell, texts)


def _outlines(label: Label, scale: float) -> list[np.ndarray]:
    # Around a defect, not on it: a line on a hairline would hide what is to be seen.
    margin = 0 if label.is_part else math.ceil(2 / scale)
    mask = np.pad(label.mask.astype(np.uint8), margin + 1)
    if margin:
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
        mask = np.asarray(cv2.dilate(mask, disc), np.uint8)
    found, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    centre = 0.5 - margin - 1
    return [np.round(((o + centre) * scale - 0.5) * 16).astype(np.int32) for o in found]


def _with_legend(
    sheet: np.ndarray, title: str, colours: dict[str, Colour], pictures: Sequence[Picture]
) -> np.ndarray:
    counts = Counter(x.category for p in pictures for x in p.labels)
    parts = sorted({x.category for p in pictures for x in p.labels if x.is_part})
    entries = [(f"{kind} {counts[kind]}", colour) for kind, colour in colours.items()]
    if parts:
        entries.insert(0, ("parts: " + ", ".join(f"{p} {counts[p]}" for p in parts), _PART))
    texts = [(f"{title}: {len(pictures)} images", (_GAP_PX, 4), 18, _TEXT)]
    font = ImageFont.load_default(14)
    x = _GAP_PX
    for text, colour in entries:
        sheet[33:43, x : x + 10] = colour
        texts.append((text, (x + 15, 29), 14, _TEXT))
        x += 15 + int(font.getlength(text)) + 18
    return _written(sheet, texts)


def _written(
    pixels: np.ndarray, texts: Sequence[tuple[str, tuple[int, int], int, Colour]]
) -> np.ndarray:
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    for text, position, size, colour in texts:
        font = ImageFont.load_default(size)
        draw.text(position, text, fill=colour, font=font, stroke_width=1, stroke_fill=(0, 0, 0))
    return np.array(image)
