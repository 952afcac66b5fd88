"""Noise as functions of position on the surface in mm, quick enough for a map a frame.

Nothing here depends on which points are asked for together: a field is the same whether
a part is baked whole, in pieces, or with a neighbour.
"""

from functools import lru_cache

import cv2
import numpy as np
from scipy.signal import lfilter

_TILE = 512
_LINES = 1024
_ROW = 2048
_RUN = 16384
_STEPS = (1, 2, 3, 4, 6, 8, 12)


def generator(seed: int, name: str) -> np.random.Generator:
    """Return the generator behind a noise field: a hash function of the spec's seed."""
    return np.random.default_rng([seed, *name.encode()])


def blotches(positions_mm: np.ndarray, scale_mm: float, seed: int, waves: int = 7) -> np.ndarray:
    """Return a smooth random field, mean 0 and standard deviation 1, shape (N,), float32.

    A sum of random cosines with wavelengths around `scale_mm`.

    Args:
        positions_mm: Shape (N, 3).
        scale_mm: Wavelength.
        seed: The field's seed.
        waves: How many cosines.
    """
    field = np.empty(len(positions_mm), np.float32)
    # In pieces that stay in the processor's cache.
    for start in range(0, len(field), _RUN):
        part = slice(start, start + _RUN)
        field[part] = cloud(positions_mm[part].T, scale_mm, seed, waves)
    return field


def cloud(points_mm: np.ndarray, scale_mm: float, seed: int, waves: int = 7) -> np.ndarray:
    """Return `blotches` at points given components first, shape (3, N)."""
    k, phase = _waves(scale_mm, seed, waves)
    wave = k @ points_mm
    wave += phase
    field: np.ndarray = np.cos(wave, out=wave).sum(axis=0)
    field *= np.float32(np.sqrt(2.0 / waves))
    return field


def cloud_with_slope(
    points_mm: np.ndarray, scale_mm: float, seed: int, waves: int = 7
) -> tuple[np.ndarray, np.ndarray]:
    """Return `cloud` and its gradient per mm, shapes (N,) and (3, N)."""
    k, phase = _waves(scale_mm, seed, waves)
    wave = k @ points_mm
    wave += phase
    gain = np.float32(np.sqrt(2.0 / waves))
    field = np.cos(wave).sum(axis=0) * gain
    slope = k.T @ np.sin(wave, out=wave)
    slope *= -gain
    return field, slope


def speckle(u_mm: np.ndarray, v_mm: np.ndarray, cell_mm: float, seed: int) -> np.ndarray:
    """Return fine grain at flat coordinates, mean 0, standard deviation about 1, (N,), float32."""
    x, y = _in_cells(u_mm, v_mm, cell_mm, seed)
    return lookup(_grain_tile(), x, y)


def relief(u_mm: np.ndarray, v_mm: np.ndarray, cell_mm: float, seed: int) -> np.ndarray:
    """Return grain as a height, its slopes along u and v, and 0: (N, 4), each of deviation 1.

    Bumps are about three cells wide.
    """
    return lookup(_relief_tile(), *_in_cells(u_mm, v_mm, cell_mm, seed))


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
        Height of mean 0 and standard deviation about 1, and its difference to the
        neighbouring line (per line, not per mm).
    """
    wanted = min(length_mm / width_mm, float(_STEPS[-1]))
    steps = max(s for s in _STEPS if s <= max(wanted, 1.0))
    shift = _offset("streaks", seed)
    x = across_mm * np.float32(1 / width_mm)
    x += shift[0]
    y = along_mm * np.float32(steps / length_mm)
    y += shift[1]
    found = lookup(_line_tile(steps), x, y)
    height, slope = found[:, 0].copy(), found[:, 1].copy()
    if skew > 0:
        s2 = skew * skew
        mean = np.exp(s2 / 2)
        spread = mean * np.sqrt(np.expm1(s2))
        height *= np.float32(skew)
        np.exp(height, out=height)
        slope *= height
        slope *= np.float32(skew / spread)
        height -= np.float32(mean)
        height *= np.float32(1 / spread)
    return height, slope


def lookup(tile: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return `tile` (h, w) or (h, w, C) at (x, y) bilinearly, wrapped around: (N,) or (N, C)."""
    n = len(x)
    rows = -(-n // _ROW)
    at = np.empty((2, rows * _ROW), np.float32)
    for axis, values, size in ((0, x, tile.shape[1]), (1, y, tile.shape[0])):
        turns = np.floor(values * np.float32(1 / size))
        turns *= size
        np.subtract(values, turns, out=at[axis, :n])
        at[axis, n:] = 0
    maps = at.reshape(2, rows, _ROW)
    out = np.empty((rows, _ROW, *tile.shape[2:]), np.float32)
    for start in range(0, rows, _RUN):
        part = slice(start, start + _RUN)
        out[part] = cv2.remap(
            tile, maps[0, part], maps[1, part], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
        )
    return out.reshape(-1, *tile.shape[2:])[:n]


def blurred(tile: np.ndarray, width: float) -> np.ndarray:
    """Return a tile blurred as what it is, wrapped around."""
    wide = cv2.copyMakeBorder(tile, 8, 8, 8, 8, cv2.BORDER_WRAP)
    return np.ascontiguousarray(cv2.GaussianBlur(wide, (0, 0), width)[8:-8, 8:-8])


def _in_cells(
    u_mm: np.ndarray, v_mm: np.ndarray, cell_mm: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    shift = _offset("speckle", seed)
    scale = np.float32(1 / cell_mm)
    return u_mm * scale + shift[0], v_mm * scale + shift[1]


@lru_cache(maxsize=512)
def _waves(scale_mm: float, seed: int, waves: int) -> tuple[np.ndarray, np.ndarray]:
    rng = generator(seed, "blotches")
    directions = rng.normal(size=(waves, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    wavelengths = scale_mm * np.exp(rng.uniform(-0.5, 0.7, (waves, 1)))
    k = (2 * np.pi * directions / wavelengths).astype(np.float32)
    return k, rng.uniform(0, 2 * np.pi, (waves, 1)).astype(np.float32)


@lru_cache(maxsize=512)
def _offset(name: str, seed: int) -> tuple[np.float32, np.float32]:
    x, y = generator(seed, name).uniform(0, 4096, 2).astype(np.float32)
    return x, y


@lru_cache(maxsize=1)
def _grain_tile() -> np.ndarray:
    rng = generator(0, "grain tile")
    smooth = blurred(rng.standard_normal((_TILE, _TILE)).astype(np.float32), 0.6)
    return smooth / smooth.std()


@lru_cache(maxsize=1)
def _relief_tile() -> np.ndarray:
    """Return height, slope along x, slope along y, 0: four channels are looked up fastest."""
    rng = generator(0, "relief tile")
    height = blurred(rng.standard_normal((_TILE, _TILE)).astype(np.float32), 0.8)
    tile = np.zeros((_TILE, _TILE, 4), np.float32)
    tile[..., 0] = height
    for channel, axis in ((1, 1), (2, 0)):
        tile[..., channel] = np.roll(height, -1, axis) - np.roll(height, 1, axis)
    return tile / np.maximum(tile.std(axis=(0, 1)), 1e-6)


@lru_cache(maxsize=len(_STEPS))
def _line_tile(steps: int) -> np.ndarray:
    """Return lines (down the columns) that lose their memory in `steps` rows, their slope, 0, 0.

    Four channels are looked up in half the time of two.
    """
    rng = generator(steps, "line tile")
    memory = float(np.exp(-1.0 / steps))
    white = rng.standard_normal((_TILE, _LINES)).astype(np.float32)
    # The second round starts as the first ended: the tile closes on itself.
    twice = lfilter([np.sqrt(1 - memory**2)], [1.0, -memory], np.tile(white, (2, 1)), axis=0)
    lines = twice[_TILE:]
    lines = (lines - lines.mean()) / lines.std()
    slope = (np.roll(lines, -1, 1) - np.roll(lines, 1, 1)) / 2
    tile = np.zeros((_TILE, _LINES, 4), np.float32)
    tile[..., 0], tile[..., 1] = lines, slope
    return tile


def ridged(positions_mm: np.ndarray, scale_mm: float, seed: int) -> np.ndarray:
    """Return rough, creased relief in [0, 1], shape (N,), float32: three octaves of |cosines|."""
    total = np.zeros(len(positions_mm), np.float32)
    for octave in range(3):
        total += np.abs(blotches(positions_mm, scale_mm / 2**octave, seed + octave, 6)) / 2**octave
    return np.clip(total / 2.2, 0, 1)


def flat(positions_mm: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return flat coordinates in mm, each (N,): positions along the axis that a surface faces."""
    size = np.abs(normals)
    on_x = (size[:, 0] >= size[:, 1]) & (size[:, 0] >= size[:, 2])
    on_y = ~on_x & (size[:, 1] >= size[:, 2])
    x = np.where(on_x, positions_mm[:, 1], positions_mm[:, 0])
    y = np.where(on_x | on_y, positions_mm[:, 2], positions_mm[:, 1])
    # Far apart, so that faces of different axes do not repeat one another.
    y += np.where(on_x, np.float32(733.0), np.where(on_y, np.float32(1571.0), np.float32(0)))
    return x, y
