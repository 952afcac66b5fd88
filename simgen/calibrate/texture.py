"""Noise, sharpness and streaks of a grey image."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.fft import irfft2, next_fast_len, rfft2

NOTHING = float("nan")

# Where a sensor clips there is neither noise nor texture to measure.
DARKEST, BRIGHTEST = 3.0, 250.0
_LEAST_PIXELS = 400
_LEAST_SHARE = 0.1
_FLATTENING_PX = 12.0
# Median of the absolute value of a standard normal variable.
_MEDIAN_OF_NORMAL = 0.6744898


def usable(grey: np.ndarray, labelled: np.ndarray) -> np.ndarray:
    """Return the pixels that texture is measured on: not clipped and away from labels.

    Args:
        grey: Levels in [0, 255], float32, (H, W).
        labelled: Pixels of labels, bool, (H, W).
    """
    near = cv2.dilate(labelled.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    return (grey > DARKEST) & (grey < BRIGHTEST) & ~near


def noise_level(grey: np.ndarray, where: np.ndarray) -> float:
    """Return the standard deviation of pixel noise in levels, by the median absolute deviation of
    the finest diagonal Haar detail: exact for independent normal noise, blind to gradients and to
    lines along an axis. NaN where too few pixels are usable.

    Args:
        grey: Levels, float32, (H, W).
        where: Pixels to use, bool, (H, W).
    """
    detail, ok = diagonal_detail(grey, where)
    if ok.sum() < _LEAST_PIXELS:
        return NOTHING
    return normal_scale(detail[ok])


def noise_at(
    grey: np.ndarray, where: np.ndarray, levels: Sequence[int], within: float = 25.0
) -> dict[int, float]:
    """Return `noise_level` of the 2 x 2 blocks whose mean level is within 25 of each level."""
    detail, ok = diagonal_detail(grey, where)
    level = (grey[:-1, :-1] + grey[:-1, 1:] + grey[1:, :-1] + grey[1:, 1:]) / 4
    found = {}
    for middle in levels:
        near = detail[ok & (np.abs(level - middle) < within)]
        found[middle] = normal_scale(near) if near.size >= _LEAST_PIXELS else NOTHING
    return found


def diagonal_detail(grey: np.ndarray, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the diagonal Haar detail of every 2 x 2 block and which blocks are wholly usable."""
    detail = (grey[:-1, :-1] - grey[:-1, 1:] - grey[1:, :-1] + grey[1:, 1:]) / 2
    ok = where[:-1, :-1] & where[:-1, 1:] & where[1:, :-1] & where[1:, 1:]
    return detail, ok


def normal_scale(values: np.ndarray) -> float:
    """Return the standard deviation of normal values from their median absolute value.

    The details of 8-bit levels are multiples of a half, so the median is interpolated
    within its step; without that, images would share a handful of noise levels.
    """
    steps = np.round(np.abs(values) * 2).astype(np.int64)
    cumulated = np.cumsum(np.bincount(steps)) / steps.size
    ends = (np.arange(cumulated.size) + 0.5) / 2
    median = np.interp(0.5, np.concatenate([[0.0], cumulated]), np.concatenate([[0.0], ends]))
    return float(median) / _MEDIAN_OF_NORMAL


def sharpness(grey: np.ndarray, where: np.ndarray) -> float:
    """Return the detail finer than a pixel over that of one to three pixels; NaN if unusable."""
    fine = cv2.GaussianBlur(grey, (0, 0), 1.0)
    coarse = cv2.GaussianBlur(grey, (0, 0), 3.0)
    inner = _away_from(where, 3)
    if inner.sum() < _LEAST_PIXELS:
        return NOTHING
    below = float((fine - coarse)[inner].std())
    return float((grey - fine)[inner].std()) / below if below > 0 else NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Streaks:
    """Texture and its direction; see `QUANTITIES` for what each number is."""

    residual: float
    skew: float
    direction_deg: float
    coherence: float
    along: dict[int, float]
    across: dict[int, float]


def streaks(
    grey: np.ndarray, where: np.ndarray, along: tuple[int, ...], across: tuple[int, ...]
) -> Streaks | None:
    """Return the texture's strength, direction and autocorrelation, or None if it cannot be told.

    Direction and anisotropy are those of the structure tensor, the second moments of the
    power spectrum. Borders, a tenth of each side, are left out.

    Args:
        grey: Levels, float32, (H, W).
        where: Pixels to use, bool, (H, W).
        along, across: Lags in pixels.
    """
    height, width = grey.shape
    box = (slice(height // 10, height - height // 10), slice(width // 10, width - width // 10))
    grey, where = grey[box], where[box]
    if where.sum() < max(_LEAST_PIXELS, _LEAST_SHARE * where.size):
        return None
    texture = np.where(where, grey / np.maximum(_blurred(grey, where), 1.0) - 1, 0)
    texture = np.where(where, texture - texture[where].mean(), 0).astype(np.float32)
    residual = float(texture[where].std())
    if residual <= 0:
        return None
    angle, coherence = _direction(texture, _away_from(where, 2))
    correlation = _autocorrelation(texture, where)
    u = np.array([np.cos(angle), -np.sin(angle)])
    v = np.array([np.sin(angle), np.cos(angle)])
    return Streaks(
        residual=residual,
        skew=float((texture[where] ** 3).mean() / residual**3),
        direction_deg=float(np.rad2deg(angle)) % 180,
        coherence=coherence,
        along={lag: _at(correlation, lag * u) for lag in along},
        across={lag: _at(correlation, lag * v) for lag in across},
    )


def _blurred(grey: np.ndarray, where: np.ndarray) -> np.ndarray:
    # Normalized, so that what is left out does not darken its surroundings.
    weight = where.astype(np.float32)
    size = (0, 0)
    total = cv2.GaussianBlur(grey * weight, size, _FLATTENING_PX)
    return np.asarray(total / np.maximum(cv2.GaussianBlur(weight, size, _FLATTENING_PX), 1e-6))


def _direction(texture: np.ndarray, where: np.ndarray) -> tuple[float, float]:
    """Return the angle of the lines in [0, pi), counter-clockwise from x, and the coherence."""
    if not where.any():
        return NOTHING, NOTHING
    smooth = cv2.GaussianBlur(texture, (0, 0), 1.0)
    gx = cv2.Sobel(smooth, cv2.CV_32F, 1, 0)[where].astype(np.float64)
    gy = -cv2.Sobel(smooth, cv2.CV_32F, 0, 1)[where].astype(np.float64)
    xx, yy, xy = (gx * gx).mean(), (gy * gy).mean(), (gx * gy).mean()
    gradient = 0.5 * np.arctan2(2 * xy, xx - yy)
    coherence = np.hypot(xx - yy, 2 * xy) / max(xx + yy, 1e-12)
    return float((gradient + np.pi / 2) % np.pi), float(coherence)


def _autocorrelation(texture: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Return the autocorrelation over usable pairs, lag (0, 0) in the middle."""
    height, width = texture.shape
    shape = (next_fast_len(2 * height - 1, real=True), next_fast_len(2 * width - 1, real=True))
    pairs = _self_correlation(where.astype(np.float64), shape)
    sums = _self_correlation(texture.astype(np.float64), shape)
    found = np.where(pairs > _LEAST_PIXELS / 4, sums / np.maximum(pairs, 1), np.nan)
    return np.fft.fftshift(found / found[0, 0])


def _self_correlation(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    spectrum = rfft2(image, shape)
    return np.asarray(irfft2(np.abs(spectrum) ** 2, shape))


def _at(correlation: np.ndarray, lag: np.ndarray) -> float:
    """Return the autocorrelation at a lag (x, y), y downwards, between pixels linearly."""
    centre = np.array(correlation.shape)[::-1] // 2
    x, y = centre + lag
    column, row = int(np.floor(x)), int(np.floor(y))
    if not (0 <= column < correlation.shape[1] - 1 and 0 <= row < correlation.shape[0] - 1):
        return NOTHING
    fx, fy = x - column, y - row
    patch = correlation[row : row + 2, column : column + 2]
    return float(np.array([1 - fy, fy]) @ patch @ np.array([1 - fx, fx]))


def _away_from(where: np.ndarray, reach: int) -> np.ndarray:
    """Return the pixels at least `reach` px from any unusable one."""
    kernel = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    return cv2.erode(where.astype(np.uint8), kernel, borderValue=1) > 0
