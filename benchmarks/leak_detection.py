"""How many planted leaks the contamination scan finds in real photographs, and how many it invents.

Usage: python benchmarks/leak_detection.py [--root $SIMGEN_DATA] [--sets magnetic_tile ball_screw]
                                           [--every 4] [--pairs]

Every few photographs of a set's `val` are copied as leaks are (recompressed, darker, flipped,
reduced, cut to pieces) and looked for; printed is how many are found. `--pairs` also looks for
all of `val` in all of `train`, which share no part, and prints what it finds; that takes minutes.
"""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from simgen.evaluate.contamination import Picture, pictures_of, scan
from simgen.train.real import RealConfig, load_real


def main() -> None:
    """Plant, scan and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", default=os.environ.get("SIMGEN_DATA", "../shared/data"))
    parser.add_argument("--sets", nargs="+", default=["magnetic_tile", "ball_screw"])
    parser.add_argument("--every", type=int, default=4)
    parser.add_argument("--pairs", action="store_true")
    args = parser.parse_args()
    print("| planted | " + " | ".join(args.sets) + " |")
    print("|---|" + "---:|" * len(args.sets))
    judges = {n: load_real(RealConfig(root=args.root, set=n), "val").images for n in args.sets}
    for name, make in LEAKS.items():
        cells = []
        for images in judges.values():
            shown = images[:: args.every]
            made = [
                (n, make(np.random.default_rng(n), np.asarray(image.pixels)))
                for n, image in enumerate(shown)
            ]
            copies = [
                Picture(source="rendered", file=Path(str(n)), pixels=pixels)
                for n, pixels in made
                if pixels is not None
            ]
            # A copy is found in the photograph it was made from, not in another.
            found = {
                leak.file
                for leak in scan(shown, copies)
                if str(shown[int(leak.file)].file) == leak.judge
            }
            cells.append(f"{len(found)} of {len(copies)}")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    if args.pairs:
        for name, images in judges.items():
            train = load_real(RealConfig(root=args.root, set=name), "train").images
            leaks = scan(images, pictures_of("real", train, real=True))
            print(f"{name}: {len(leaks)} of {len(train) * len(images)} pairs")
            for leak in leaks:
                print(f"  {leak.judge} in {leak.file}: {leak.what}")


def _recompressed(pixels: np.ndarray, quality: int) -> np.ndarray:
    _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED))


def _crop(rng: np.random.Generator, pixels: np.ndarray, share: float) -> np.ndarray:
    """Return a flipped piece of `share` of the picture's area."""
    height, width = (round(side * share**0.5) for side in pixels.shape[:2])
    y = int(rng.integers(pixels.shape[0] - height + 1))
    x = int(rng.integers(pixels.shape[1] - width + 1))
    return _recompressed(np.ascontiguousarray(pixels[y : y + height, x : x + width][:, ::-1]), 60)


def _piece(side: int) -> Callable[[np.random.Generator, np.ndarray], np.ndarray | None]:
    def cut(rng: np.random.Generator, pixels: np.ndarray) -> np.ndarray | None:
        if min(pixels.shape[:2]) < side:
            return None
        y = int(rng.integers(pixels.shape[0] - side + 1))
        x = int(rng.integers(pixels.shape[1] - side + 1))
        return np.ascontiguousarray(pixels[y : y + side, x : x + side])

    return cut


LEAKS: dict[str, Callable[[np.random.Generator, np.ndarray], np.ndarray | None]] = {
    "JPEG, quality 30": lambda _, p: _recompressed(p, 30),
    "half as bright, quality 60": lambda _, p: _recompressed((p * 0.5).astype(np.uint8), 60),
    "flipped crop of a half, quality 60": lambda rng, p: _crop(rng, p, 0.5),
    "flipped crop of a quarter, quality 60": lambda rng, p: _crop(rng, p, 0.25),
    "half the size, quality 75": lambda _, p: _recompressed(
        cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), 75
    ),
    "piece of 128 px": _piece(128),
    "piece of 96 px": _piece(96),
    "piece of 64 px": _piece(64),
}


if __name__ == "__main__":
    main()
