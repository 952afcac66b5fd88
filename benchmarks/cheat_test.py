"""Can a detector cheat: do frames with defects differ from clean ones away from the defects?

python benchmarks/cheat_test.py [--scene magnetic_tile] [--frames 120]

Every frame with labelled defects is rendered again without them. A small classifier sees
statistics of border and noise outside the defects' neighbourhood (the same pixels of both
images) and is asked which is which, on pairs that it was not fitted to. What it should
print is an area under the ROC curve whose interval holds 0.5.
"""

import argparse

import cv2
import numpy as np

from simgen.config import compose
from simgen.config.render import parse_render
from simgen.label.frame import make_frame
from simgen.pipeline import FrameRenderer, render_view
from simgen.sampling import FrameIndex
from simgen.sensor import luminance

NEIGHBOURHOOD_PX = 24
BORDER_PX = 12


def statistics(image: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Return what a cheat may look at: levels, noise, grain, blocks and borders of `kept`."""
    y = luminance(image.astype(np.float32))
    fine = cv2.Laplacian(y, cv2.CV_32F)
    grain = y - cv2.GaussianBlur(y, (0, 0), 2.0)
    rows, own = np.abs(np.diff(y, axis=0)), kept[1:] & kept[:-1]
    on_block = (np.arange(1, len(y)) % 8 == 0)[:, None]
    borders = [
        y[:BORDER_PX], y[-BORDER_PX:], y[:, :BORDER_PX], y[:, -BORDER_PX:],
    ]  # fmt: skip
    masks = [
        kept[:BORDER_PX], kept[-BORDER_PX:], kept[:, :BORDER_PX], kept[:, -BORDER_PX:],
    ]  # fmt: skip
    found = [y[kept].mean(), y[kept].std(), *np.percentile(y[kept], [1, 10, 50, 90, 99])]
    found += [np.median(np.abs(fine[kept])), fine[kept].std(), np.median(np.abs(grain[kept]))]
    found += [np.median(np.abs(grain[kept & (y < 80)])) if (kept & (y < 80)).any() else 0.0]
    found += [rows[own & on_block].mean() / max(rows[own & ~on_block].mean(), 1e-6)]
    for strip, mask in zip(borders, masks, strict=True):
        found += [strip[mask].mean(), strip[mask].std()] if mask.any() else [0.0, 0.0]
    return np.array(found)


def pairs(scene: str, frames: int, overrides: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the statistics of frames with defects and of the same without, (N, F) each."""
    config = parse_render(compose("render", [f"+scene={scene}", *overrides]))
    renderer = FrameRenderer(config)
    damaged, clean = [], []
    for number in range(frames):
        frame = renderer.frame(number)
        masks = [a.mask for a in frame.annotations if a.supercategory == "defect"]
        if not masks:
            continue
        seen = np.logical_or.reduce(masks).astype(np.uint8)
        size = 2 * NEIGHBOURHOOD_PX + 1
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
        kept = cv2.dilate(seen, kernel) == 0
        index = FrameIndex.of(
            number,
            views_per_scene=config.views_per_scene,
            exposures_per_view=config.exposures_per_view,
        )
        whole = frame.spec.without_defects()
        view = render_view(renderer._renderer, whole, config)
        twin = make_frame(index, whole, view, config.labels)
        damaged.append(statistics(frame.image, kept))
        clean.append(statistics(twin.image, kept))
    renderer.close()
    return np.array(damaged), np.array(clean)


def held_out_scores(x: np.ndarray, y: np.ndarray, group: np.ndarray, folds: int) -> np.ndarray:
    """Return a ridge classifier's score of every row, fitted on the other folds' groups."""
    scores = np.zeros(len(x))
    for fold in range(folds):
        test = group % folds == fold
        mean, scale = x[~test].mean(axis=0), x[~test].std(axis=0) + 1e-9
        a = np.c_[(x - mean) / scale, ((x - mean) / scale) ** 2, np.ones(len(x))]
        weights = np.linalg.solve(
            a[~test].T @ a[~test] + 3.0 * np.eye(a.shape[1]), a[~test].T @ (2.0 * y[~test] - 1)
        )
        scores[test] = a[test] @ weights
    return scores


def auc(scores: np.ndarray, y: np.ndarray) -> float:
    """Return the share of (defective, clean) couples that the scores order rightly."""
    difference = scores[y == 1][:, None] - scores[y == 0][None]
    return float((difference > 0).mean() + 0.5 * (difference == 0).mean())


def report(damaged: np.ndarray, clean: np.ndarray, name: str) -> None:
    """Print the area under the curve with a bootstrap interval over pairs."""
    n = len(damaged)
    x, y = np.concatenate([damaged, clean]), np.repeat([1, 0], n)
    group = np.tile(np.arange(n), 2)
    scores = held_out_scores(x, y, group, folds=5)
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(500):
        pick = rng.integers(n, size=n)
        rows = np.concatenate([pick, n + pick])
        draws.append(auc(scores[rows], y[rows]))
    low, high = np.percentile(draws, [2.5, 97.5])
    verdict = "at chance" if low <= 0.5 <= high else "NOT at chance"
    print(f"{name:28s} AUC {auc(scores, y):.3f} [{low:.3f}, {high:.3f}] on {n} pairs: {verdict}")


def main() -> None:
    """Print both areas under the curve."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scene", default="magnetic_tile")
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("overrides", nargs="*", help="as of `simgen render`")
    given = parser.parse_args()
    damaged, clean = pairs(given.scene, given.frames, given.overrides)
    half = len(damaged) // 2
    report(damaged, clean, "frame against its own twin")
    rng = np.random.default_rng(1)
    order = rng.permutation(len(damaged))
    # And frames against the clean twins of other frames, as a training set would hold them.
    report(damaged[order[:half]], clean[order[half : 2 * half]], "frame against other clean")


if __name__ == "__main__":
    main()
