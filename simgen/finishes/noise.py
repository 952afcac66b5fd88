"""Noise as functions of position on the surface in mm, quick enough for a map a frame."""

from functools import lru_cache

import cv2
import numpy as np
from scipy.signal import lfilter

_TILE = 512
_ROW = 2048


def generator(seed: int, name: str) -> np.random.Generator:
    """Return the generator behind a noise field: a hash function of the spec's seed."""
    return np.random.default_rng([seed, *name.encode()])


def blotches(positions_mm: np.ndarray, scale_mm: float, seed: int, waves: int = 7) -> np.ndarray:
    """Return a smooth random field, mean 0 and standard deviation 1, shape (N,), float32.

    A sum of random cosines with wavelengths around `scale_mm`.
    """
    rng = generator(seed, "blotches")
    directions = rng.normal(size=(waves, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    wavelengths = scale_mm * np.exp(rng.uniform(-0.5, 0.7, (waves, 1)))
    k = (2 * np.pi * directions / wavelengths).astype(np.float32)
    phase = rng.uniform(0, 2 * np.pi, (waves, 1)).astype(np.float32)
    field = np.empty(len(positions_mm), np.float32)
    # In pieces that stay in the processor's cache.
    for start in range(0, len(field), 16384):
        part = slice(start, start + 16384)
        wave = k @ positions_mm[part].T
        wave += phase
        np.cos(wave, out=wave).sum(axis=0, out=field[part])
    field *= np.float32(np.sqrt(2.0 / waves))
    return field


def speckle(positions_mm: np.ndarray, normals: np.ndarray, cell_mm: float, seed: int) -> np.ndarray:
    """Return fine grain, mean 0 and standard deviation about 1, shape (N,), float32.

    Looked up in a tile along the axis that the surface faces most.
    """
    rng = generator(seed, "speckle")
    offset = rng.uniform(0, _TILE, (3, 2)).astype(np.float32)
    size = np.abs(normals)
    on_x = (size[:, 0] >= size[:, 1]) & (size[:, 0] >= size[:, 2])
    on_y = ~on_x & (size[:, 1] >= size[:, 2])
    x = np.where(on_x, positions_mm[:, 1], positions_mm[:, 0]) / np.float32(cell_mm)
    y = np.where(on_x | on_y, positions_mm[:, 2], positions_mm[:, 1]) / np.float32(cell_mm)
    x += np.where(on_x, offset[0, 0], np.where(on_y, offset[1, 0], offset[2, 0]))
    y += np.where(on_x, offset[0, 1], np.where(on_y, offset[1, 1], offset[2, 1]))
    for axis in (x, y):
        axis -= np.floor(axis / _TILE) * _TILE
    return _lookup(_grain_tile(), x, y)


def streaks(
    across_mm: np.ndarray,
    along_mm: np.ndarray,
    *,
    width_mm: float,
    length_mm: float,
    seed: int,
    skew: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return lines left by a grinding process, and their slope across, each (N,), float32.

    Args:
        across_mm, along_mm: Position across and along the process, shape (N,).
        width_mm: Spacing of the finest lines.
        length_mm: Distance along which a line loses its memory (1/e).
        seed: The lines' seed.
        skew: 0 is symmetric; at 1 few strong lines stand out.

    Returns:
        Height of mean 0 and standard deviation 1, and its difference to the
        neighbouring line (per line, not per mm).
    """
    low_a, low_s = float(along_mm.min()), float(across_mm.min())
    step = max(length_mm / 12, width_mm)
    rows = int((float(along_mm.max()) - low_a) / step) + 3
    columns = int((float(across_mm.max()) - low_s) / width_mm) + 3
    rows, columns = min(rows, 4096), min(columns, 8192)
    rng = generator(seed, "streaks")
    memory = float(np.exp(-step / length_mm))
    white = rng.standard_normal((rows + 24, columns)).astype(np.float32)
    lines = lfilter([np.sqrt(1 - memory**2)], [1.0, -memory], white, axis=0)[24:]
    if skew > 0:
        lines = np.exp(skew * lines)
    lines = (lines - lines.mean()) / max(float(lines.std()), 1e-6)
    lines = lines.astype(np.float32)
    x = (across_mm - low_s) / np.float32(width_mm) + 1
    y = (along_mm - low_a) / np.float32(step) + 1
    height = _lookup(lines, x, y)
    slope = _lookup(np.gradient(lines, axis=1).astype(np.float32), x, y)
    return height, slope


def ridged(positions_mm: np.ndarray, scale_mm: float, seed: int) -> np.ndarray:
    """Return rough, creased relief in [0, 1], shape (N,), float32: three octaves of |cosines|."""
    total = np.zeros(len(positions_mm), np.float32)
    for octave in range(3):
        total += np.abs(blotches(positions_mm, scale_mm / 2**octave, seed + octave, 6)) / 2**octave
    return np.clip(total / 2.2, 0, 1)


@lru_cache(maxsize=1)
def _grain_tile() -> np.ndarray:
    rng = generator(0, "grain tile")
    white = rng.standard_normal((_TILE, _TILE)).astype(np.float32)
    smooth = cv2.GaussianBlur(np.tile(white, (3, 3)), (0, 0), 0.6)
    smooth = smooth[_TILE : 2 * _TILE, _TILE : 2 * _TILE]
    return smooth / smooth.std()


def _lookup(tile: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return `tile` at (x, y) bilinearly, wrapped around; shape of x."""
    n = len(x)
    fx, fy = np.zeros((2, -(-n // _ROW) * _ROW), np.float32)
    fx[:n], fy[:n] = x, y
    fx, fy = fx.reshape(-1, _ROW), fy.reshape(-1, _ROW)
    out = np.empty(fx.shape, np.float32)
    for start in range(0, len(fx), 16384):
        part = slice(start, start + 16384)
        out[part] = cv2.remap(
            tile, fx[part], fy[part], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
        )
    return out.reshape(-1)[:n]
