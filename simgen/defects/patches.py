"""Patches: irregular fields over a defect's own surface frame, without a visible period."""

from functools import lru_cache

import cv2
import numpy as np

from simgen.finishes.noise import generator

_TILE = 256
_ROW = 1024


def patches(
    u: np.ndarray, v: np.ndarray, scale_mm: float, seed: int, *, octaves: int = 3
) -> np.ndarray:
    """Return a random field of mean about 0 and standard deviation about 1, shape (N,), float32.

    Args:
        u, v: Where, mm, shape (N,).
        scale_mm: Size of the largest patches; each octave is half the size of the one before.
        seed: Which field.
        octaves: 1 is smooth; more add grain.
    """
    rng = generator(seed, "patches")
    total = np.zeros(len(u), np.float32)
    power, share = 0.0, 1.0
    for _ in range(octaves):
        turn, at_u, at_v = rng.uniform(0, 2 * np.pi), *rng.uniform(0, _TILE, 2)
        c, s = np.float32(np.cos(turn) / scale_mm), np.float32(np.sin(turn) / scale_mm)
        total += np.float32(share) * _lookup(
            c * u - s * v + np.float32(at_u), s * u + c * v + np.float32(at_v)
        )
        power, share, scale_mm = power + share * share, 0.55 * share, scale_mm / 2.03
    return total / np.float32(np.sqrt(power))


@lru_cache(maxsize=1)
def _tile() -> np.ndarray:
    white = generator(0, "patch tile").standard_normal((_TILE, _TILE)).astype(np.float32)
    # Cells of half a unit before cubic interpolation, so that patches are about a unit wide.
    smooth = cv2.GaussianBlur(np.tile(white, (3, 3)), (0, 0), 0.5)
    smooth = smooth[_TILE : 2 * _TILE, _TILE : 2 * _TILE]
    return (smooth - smooth.mean()) / smooth.std()


def _lookup(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    n = len(x)
    rows = max(-(-n // _ROW), 1)
    at = np.zeros((2, rows * _ROW), np.float32)
    # Doubled: two cells of the tile to a unit.
    at[0, :n], at[1, :n] = 2 * x % _TILE, 2 * y % _TILE
    out = np.empty((rows, _ROW), np.float32)
    # remap takes at most 32767 rows.
    for first in range(0, rows, 16384):
        part = slice(first, first + 16384)
        out[part] = cv2.remap(
            _tile(), at[0].reshape(rows, _ROW)[part], at[1].reshape(rows, _ROW)[part],
            cv2.INTER_CUBIC, borderMode=cv2.BORDER_WRAP,
        )  # fmt: skip
    return out.reshape(-1)[:n]
