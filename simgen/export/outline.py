"""A mask as one closed polygon, which is all that YOLO's segment labels can hold.

Holes are joined to their outline by cuts straight up through the mask: a cut has no
width and covers mask pixels only, so nothing is lost. Separate pieces are joined by
bridges of no width along the shortest way between them, which is across background: a
reader that draws outlines as well as what they enclose (OpenCV's `fillPoly`, and so
Ultralytics) paints the bridges, one pixel wide. That is the only loss.
"""

import cv2
import numpy as np
from scipy.spatial import cKDTree

from simgen.dataset.records import outline_corners

# How far corners lie within the pixels that they bound. Enough for 32-bit floats, so that
# rounding down, as Ultralytics does, gives the pixel itself on the right and below too.
INSET_PX = 0.01
_UNITS = 100


def outline_of(mask: np.ndarray) -> np.ndarray:
    """Return a mask's outline as one closed polygon.

    Args:
        mask: Shape (H, W), bool, not empty.

    Returns:
        Corners in pixels, shape (N, 2), float64, N >= 4. Pixel (x, y) covers [x, x + 1);
        corners lie `INSET_PX` within. Filled by the even-odd rule it gives the mask
        exactly; painted as `fillPoly` does, the mask and the bridges between its pieces.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    part = mask[top : rows[-1] + 1, left : columns[-1] + 1].astype(np.uint8)
    # At twice the size borders on the left and above have even coordinates, those on the
    # right and below odd ones, so that each knows which side of its pixel it is on.
    double = np.repeat(np.repeat(part, 2, axis=0), 2, axis=1)
    found, tree = cv2.findContours(double, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    contours = [c[:, 0, :].astype(np.int64) for c in found]
    parents = tree[0][:, 3]
    pieces = []
    for k, contour in enumerate(contours):
        if parents[k] < 0:
            holes = [contours[i] for i in np.flatnonzero(parents == k)]
            pieces.append(_with_holes(contour, holes, double))
    units = _in_units(_joined(pieces))
    corners: np.ndarray = outline_corners(units) / _UNITS + (left, top)
    return corners


def fill(outline: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the pixels that Ultralytics paints for an outline, bool, shape (H, W)."""
    painted = np.zeros((height, width), np.uint8)
    cv2.fillPoly(painted, [outline.astype(np.int32)], 1)
    return painted > 0


def _with_holes(outer: np.ndarray, holes: list[np.ndarray], double: np.ndarray) -> np.ndarray:
    whole = outer
    # From the top: a cut ends on what is above, which is joined by then.
    for hole in sorted(holes, key=lambda h: int(h[:, 1].min())):
        start = int(np.lexsort((hole[:, 0], hole[:, 1]))[0])
        x, y = hole[start]
        above = np.flatnonzero(double[:y, x] == 0)
        end = np.array([x, above[-1] + 1 if len(above) else 0])
        whole = _spliced(whole, end, hole, start)
    return whole


def _joined(pieces: list[np.ndarray]) -> np.ndarray:
    """Join pieces by the bridges of the shortest tree over them (Prim 1957)."""
    whole = pieces[0]
    waiting = dict(enumerate(pieces[1:], start=1))
    nearest = {k: (np.inf, whole[0], 0) for k in waiting}
    added = whole
    while waiting:
        tree = cKDTree(added)
        for k, piece in waiting.items():
            distances, at = tree.query(piece)
            best = int(np.argmin(distances))
            if distances[best] < nearest[k][0]:
                nearest[k] = (float(distances[best]), added[at[best]], best)
        k = min(waiting, key=lambda i: nearest[i][0])
        added = waiting.pop(k)
        whole = _spliced(whole, nearest[k][1], added, nearest[k][2])
    return whole


def _spliced(whole: np.ndarray, at: np.ndarray, piece: np.ndarray, start: int) -> np.ndarray:
    """Return `whole` with a way from its point `at` to `piece`, around it and back."""
    i = int(np.argmin(np.abs(whole - at).sum(axis=1)))
    around = np.roll(piece, -start, axis=0)
    return np.concatenate([whole[: i + 1], around, around[:1], whole[i:]])


def _in_units(points: np.ndarray) -> np.ndarray:
    """Return doubled coordinates in hundredths of a pixel, inset; whole numbers still."""
    inset = round(INSET_PX * _UNITS)
    half = _UNITS // 2
    return np.where(points % 2 == 0, half * points + inset, half * (points + 1) - inset)
