"""What tells a copy of a picture, or of a piece of it, from a picture of something alike.

Three steps, each cheaper than the next is strict: a perceptual hash of the whole picture in all
eight orientations, local features that may match anywhere, and at last the pixels themselves,
laid over each other and correlated block by block. Only the last decides.
"""

from dataclasses import dataclass

import cv2
import numpy as np

_LONGEST_PX = 1024
_HASH_SIDE = 32
_BLOCK_PX = 16
_EVEN_PX = 33
_RATIO = 0.85
_REPROJECTION_PX = 2.5
_LEAST_FEATURES = 4
_MOST_SCALE = 6.0
# Wider than that is what two parts in the same rig share: edges, grooves, reflections.
_FINE_PX = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """A picture, prepared for comparison.

    Attributes:
        grey: The picture, float32, shape (H, W).
        points: Where its features are, float32, shape (N, 2), x and y in pixels of `grey`.
        features: Unit descriptors, float32, shape (N, 128).
        hash: Signs of its low frequencies, bool, shape (64,).
    """

    grey: np.ndarray
    points: np.ndarray
    features: np.ndarray
    hash: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """How well one picture lies on another.

    Attributes:
        agreement: Median over blocks of the correlation of their pixels, from -1 to 1.
        blocks: Number of textured blocks that were compared.
        features: Local features that agree on the shift, turn and scale; 0 if found by hash.
    """

    agreement: float
    blocks: int
    features: int


def fingerprint(pixels: np.ndarray, features: int = 200) -> Fingerprint:
    """Prepare a picture.

    Args:
        pixels: uint8, shape (H, W) or (H, W, 3).
        features: Number of local features; the strongest are kept.
    """
    grey = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    scale = min(1.0, _LONGEST_PX / max(grey.shape))
    if scale < 1:
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    # Features are found where exposure and shading are taken out, so that dark pictures have them.
    stretched = np.clip(128 + 48 * _band(grey.astype(np.float32), 8.0), 0, 255).astype(np.uint8)
    finder = cv2.SIFT.create(nfeatures=features, contrastThreshold=0.02)
    found, sifts = finder.detectAndCompute(stretched, None)
    if sifts is None:
        sifts = np.zeros((0, 128), np.float32)
    # The square root makes the Euclidean distance Hellinger's (Arandjelovic and Zisserman 2012).
    sifts = np.sqrt(sifts / np.maximum(sifts.sum(axis=1, keepdims=True), 1e-6))
    return Fingerprint(
        grey=grey.astype(np.float32),
        points=np.array([p.pt for p in found], np.float32).reshape(-1, 2)[: len(sifts)],
        features=sifts.astype(np.float32),
        hash=perceptual_hash(grey),
    )


def mirrored(pixels: np.ndarray) -> np.ndarray:
    """Return a picture, left and right swapped; features turn along with it by themselves."""
    return np.ascontiguousarray(pixels[:, ::-1])


def orientations(pixels: np.ndarray) -> list[np.ndarray]:
    """Return a picture in its eight orientations."""
    turns = [np.ascontiguousarray(np.rot90(pixels, k)) for k in range(4)]
    return turns + [mirrored(t) for t in turns]


def hash_distances(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return in how many of its 64 bits a hash differs from each of the others, shape (N,)."""
    return (one[None, :] != others).sum(axis=1)


def whole_likeness(a: np.ndarray, b: np.ndarray) -> Likeness:
    """Compare two grey pictures as wholes, the larger stretched onto the smaller."""
    a, b = sorted((a.astype(np.float32), b.astype(np.float32)), key=lambda p: p.size)
    over = cv2.resize(b, (a.shape[1], a.shape[0]), interpolation=cv2.INTER_AREA)
    return _agreement(a, over, np.ones(a.shape, bool), 0)


def piece_likeness(a: Fingerprint, b: Fingerprint) -> Likeness | None:
    """Compare two pictures where their features say that they overlap; None if they do not."""
    pairs = _paired(a.features, b.features)
    if len(pairs) < _LEAST_FEATURES:
        return None
    matrix, inliers = cv2.estimateAffinePartial2D(
        b.points[pairs[:, 1]],
        a.points[pairs[:, 0]],
        method=cv2.RANSAC,
        ransacReprojThreshold=_REPROJECTION_PX,
        maxIters=1000,
        confidence=0.995,
    )
    if matrix is None or inliers.sum() < _LEAST_FEATURES:
        return None
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if not 1 / _MOST_SCALE < scale < _MOST_SCALE:
        return None
    if scale > 1:
        # Compared at the coarser of the two scales; the finer has more than the other can show.
        a, b, scale = b, a, 1 / scale
        matrix = cv2.invertAffineTransform(matrix)
    size = (a.grey.shape[1], a.grey.shape[0])
    smooth = b.grey
    if scale < 0.8:
        smooth = cv2.GaussianBlur(smooth, (0, 0), 0.5 / scale)
    over = cv2.warpAffine(smooth, matrix, size, flags=cv2.INTER_LINEAR)
    there = cv2.warpAffine(np.ones_like(smooth), matrix, size, flags=cv2.INTER_NEAREST) > 0
    if not there.any():
        return None
    over[~there] = over[there].mean()
    return _agreement(a.grey, over, there, int(inliers.sum()))


def _band(grey: np.ndarray, widest: float) -> np.ndarray:
    """Return a band of the picture's detail, evened out to one strength everywhere."""
    fine = cv2.GaussianBlur(grey, (0, 0), 1.0)
    band = fine - cv2.GaussianBlur(grey, (0, 0), widest)
    strength = np.sqrt(np.maximum(cv2.blur(band * band, (_EVEN_PX, _EVEN_PX)), 0))
    return band / np.maximum(strength, 1.0 if widest > 4 else 0.5)


def perceptual_hash(grey: np.ndarray) -> np.ndarray:
    """Return the signs of a grey picture's low frequencies, bool, shape (64,)."""
    small = cv2.resize(grey, (_HASH_SIDE, _HASH_SIDE), interpolation=cv2.INTER_AREA)
    low = cv2.dct(small.astype(np.float32))[:8, :8].reshape(-1)
    bits = low > np.median(low[1:])
    bits[0] = False
    return bits


def _paired(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return index pairs of features that are each other's nearest, clearly so; shape (K, 2)."""
    if len(a) < 2 or len(b) < 2:
        return np.zeros((0, 2), np.int64)
    distance = np.sqrt(np.maximum(2 - 2 * a @ b.T, 0))
    nearest = distance.argmin(axis=1)
    two = np.partition(distance, 1, axis=1)[:, :2]
    rows = np.flatnonzero(
        (distance.argmin(axis=0)[nearest] == np.arange(len(a))) & (two[:, 0] < _RATIO * two[:, 1])
    )
    return np.stack([rows, nearest[rows]], axis=1)


def _agreement(a: np.ndarray, b: np.ndarray, there: np.ndarray, features: int) -> Likeness:
    """Correlate block by block: edges that happen to lie on each other fill few blocks."""
    blocks = _blocks(there.astype(np.float32)).min(axis=1) > 0
    x, y = _blocks(_band(a, _FINE_PX))[blocks], _blocks(_band(b, _FINE_PX))[blocks]
    x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    spread_x, spread_y = (x * x).mean(axis=1), (y * y).mean(axis=1)
    textured = (spread_x > 0.05) & (spread_y > 0.02)
    if not textured.any():
        return Likeness(agreement=0.0, blocks=0, features=features)
    product = (x * y).mean(axis=1)[textured]
    correlation = product / np.sqrt(spread_x * spread_y)[textured]
    return Likeness(
        agreement=float(np.median(correlation)), blocks=int(textured.sum()), features=features
    )


def _blocks(values: np.ndarray) -> np.ndarray:
    rows, columns = values.shape[0] // _BLOCK_PX, values.shape[1] // _BLOCK_PX
    cut = values[: rows * _BLOCK_PX, : columns * _BLOCK_PX]
    cut = cut.reshape(rows, _BLOCK_PX, columns, _BLOCK_PX).swapaxes(1, 2)
    return cut.reshape(rows * columns, _BLOCK_PX * _BLOCK_PX)
