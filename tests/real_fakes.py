"""Made-up photographs and a made-up rendered dataset, small and quick."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as rle

KINDS = ("dot", "bar", "vague")


def picture(seed: int, kind: str | None, exposure: int = 1) -> tuple[np.ndarray, np.ndarray | None]:
    """Return a grey tile, uint8 (96, 112), and the mask of a defect of `kind` on it."""
    rng = np.random.default_rng(seed)
    grey = rng.normal(90 + 15 * exposure, 4, (96, 112))
    if kind is None:
        return grey.clip(0, 255).astype(np.uint8), None
    mask = np.zeros(grey.shape, bool)
    x, y = int(rng.integers(8, 80)), int(rng.integers(8, 60))
    if kind == "dot":
        mask[y : y + 16, x : x + 16] = True
        grey[mask] -= 70
    else:
        mask[y : y + 28, x : x + 8] = True
        grey[mask] += 70
    return grey.clip(0, 255).astype(np.uint8), mask


def annotation(number: int, image: int, category: int, mask: np.ndarray) -> dict[str, Any]:
    """Return a COCO annotation of a mask."""
    code = rle.encode(np.asfortranarray(mask.astype(np.uint8)))
    box = rle.toBbox(code).tolist()
    segmentation = {"size": list(mask.shape), "counts": code["counts"].decode()}
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": box,
        "area": float(mask.sum()),
        "iscrowd": 0,
        "segmentation": segmentation,
    }


def write_real(root: Path, name: str = "tiles", parts: int = 4, exposures: int = 2) -> Path:
    """Write a set of photographs with all three splits; return its root.

    Each split has `parts` parts of dot, bar, and clean each, and one that is vague. The
    first dot part has one more photograph, without annotation.
    """
    folder = root / name
    (folder / "images").mkdir(parents=True)
    for number, split in enumerate(("train", "val", "holdout")):
        images: list[dict] = []
        annotations: list[dict] = []
        plan = [(k, p) for k in ("dot", "bar", None) for p in range(parts)] + [("vague", 0)]
        for kind, part in plan:
            for exposure in range(1, exposures + 1):
                _add(folder, split, number, images, annotations, kind, part, exposure)
        _add(folder, split, number, images, annotations, "dot", 0, exposures + 1, labelled=False)
        write_coco(folder / f"{split}.json", images, annotations)
    return root


def _add(
    folder: Path,
    split: str,
    number: int,
    images: list[dict],
    annotations: list[dict],
    kind: str | None,
    part: int,
    exposure: int,
    labelled: bool = True,
) -> None:
    image_id = len(images) + 1
    pixels, mask = picture(1000 * number + 10 * image_id, kind, exposure)
    file = f"{split}_{image_id}.png"
    Image.fromarray(pixels).save(folder / "images" / file)
    images.append(
        {
            "id": image_id,
            "file_name": file,
            "width": 112,
            "height": 96,
            "part": f"{split}-{kind}-{part}",
            "attributes": {"exposure": exposure},
        }
    )
    if mask is not None and labelled:
        category = KINDS.index(str(kind)) + 1
        annotations.append(annotation(len(annotations) + 1, image_id, category, mask))


def write_coco(file: Path, images: list[dict], annotations: list[dict]) -> None:
    """Write a COCO file with the made-up categories, which have no supercategory."""
    categories = [{"id": i + 1, "name": k} for i, k in enumerate(KINDS)]
    data = {"images": images, "annotations": annotations, "categories": categories}
    file.write_text(json.dumps(data))


def write_rendered(folder: Path, frames: int = 24) -> Path:
    """Write a rendered dataset in simgen's layout, with parts and defects labelled."""
    (folder / "shards" / "00000" / "images").mkdir(parents=True)
    images, annotations = [], []
    for i in range(frames):
        kind = (None, "dot", "bar")[i % 3]
        pixels, mask = picture(50_000 + i, kind)
        file = f"shards/00000/images/{i:06d}.png"
        Image.fromarray(pixels).save(folder / file)
        images.append({"id": i + 1, "file_name": file, "width": 112, "height": 96, "scene": i // 3})
        annotations.append(annotation(i * 10_000 + 1, i + 1, 1, np.ones(pixels.shape, bool)))
        if mask is not None:
            category = 2 if kind == "dot" else 3
            annotations.append(annotation(i * 10_000 + 2, i + 1, category, mask))
    categories = [
        {"id": 1, "name": "tile", "supercategory": "part"},
        {"id": 2, "name": "dot", "supercategory": "defect"},
        {"id": 3, "name": "bar", "supercategory": "defect"},
    ]
    data = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "coco.json").write_text(json.dumps(data))
    return folder


def edit(file: Path, change: Any) -> None:
    """Rewrite a JSON file after `change(data)`."""
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data))
