"""Draw the labelled defects of lowest contrast, so that one can see whether each can be seen.

python scripts/faintest.py DATASET [--count 40] [--out faintest.png]

Every defect twice, side by side: as it is, and with its mask's outline. Above it stand its
kind, its contrast (docs/annotations.md) and its frame.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as rle

TILE_PX = 200
LEAST_PX = 72
COLUMNS = 4


def tile(image: np.ndarray, mask: np.ndarray, box: list[float], words: str) -> np.ndarray:
    """Return the surroundings of a box, plain and with the outline, shape (~TILE, 2 TILE, 3)."""
    x, y, w, h = box
    side = round(max(LEAST_PX, 1.6 * max(w, h)))
    x0, y0 = round(x + w / 2 - side / 2), round(y + h / 2 - side / 2)
    shift = np.float32([[1, 0, -x0], [0, 1, -y0]]) * (TILE_PX / side)
    size = (TILE_PX, TILE_PX)
    plain = cv2.warpAffine(image, shift, size, flags=cv2.INTER_CUBIC, borderValue=(60, 0, 0))
    shown = cv2.warpAffine(mask, shift, size, flags=cv2.INTER_NEAREST)
    outlined = plain.copy()
    cv2.drawContours(
        outlined,
        cv2.findContours(shown, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)[0],
        -1,
        (0, 0, 255),
        1,
    )
    strip = np.zeros((18, 2 * TILE_PX, 3), np.uint8)
    cv2.putText(strip, words, (3, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1)
    return np.vstack([strip, np.hstack([plain, outlined])])


def main() -> None:
    """Write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--by", choices=["contrast", "contrast_ring"], default="contrast")
    parser.add_argument("--out", type=Path, default=Path("faintest.png"))
    given = parser.parse_args()
    coco = json.loads((given.dataset / "coco.json").read_text())
    kinds = {c["id"]: c for c in coco["categories"]}
    images = {i["id"]: i for i in coco["images"]}
    defects = [
        a for a in coco["annotations"] if kinds[a["category_id"]]["supercategory"] == "defect"
    ]
    defects.sort(key=lambda a: a[given.by])
    tiles = []
    for a in defects[: given.count]:
        file = images[a["image_id"]]["file_name"]
        measures = f"{a['contrast']:.2f} ring {a['contrast_ring']:.2f}"
        words = f"{kinds[a['category_id']]['name']} {measures} frame {a['image_id']}"
        tiles.append(
            tile(
                cv2.imread(str(given.dataset / file)),
                rle.decode(a["segmentation"]),
                a["bbox"],
                words,
            )
        )
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % COLUMNS)
    rows = [np.hstack(tiles[k : k + COLUMNS]) for k in range(0, len(tiles), COLUMNS)]
    cv2.imwrite(str(given.out), np.vstack(rows))
    print(f"{given.out}: {min(given.count, len(defects))} of {len(defects)} defects")


if __name__ == "__main__":
    main()
