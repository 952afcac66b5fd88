"""Resampling of physical parts, intervals, and verdicts that many slices share one error in."""

from collections.abc import Sequence

import numpy as np

from simgen.sampling import stream

# Two-sided 5 % and 80 % power of a normal difference.
_DETECTABLE = 1.96 + 0.84
_LEVEL = 0.05


def resample_weights(
    strata: Sequence[Sequence[int]], num_parts: int, resamples: int, seed: int
) -> np.ndarray:
    """Return how often each part is drawn, with replacement within its stratum.

    Args:
        strata: Groups of part indices that keep their size in every resample.
        num_parts: Number of parts.
        resamples: Number of resamples B.
        seed: Seed.

    Returns:
        Shape (B + 1, num_parts), float64; the first row is 1 everywhere: the parts as they are.
    """
    rng = stream(seed, 0, "bootstrap")
    weights = np.ones((resamples + 1, num_parts))
    for group in strata:
        chance = np.full(len(group), 1 / len(group))
        weights[1:, list(group)] = rng.multinomial(len(group), chance, size=resamples)
    return weights


def interval(values: np.ndarray, confidence: float) -> tuple[float | None, float | None]:
    """Return the percentile interval of resampled values, shape (B,); NaN is left out."""
    valid = values[~np.isnan(values)]
    if len(valid) == 0:
        return None, None
    tail = (1 - confidence) / 2
    low, high = np.quantile(valid, [tail, 1 - tail])
    return float(low), float(high)


def p_value(differences: np.ndarray) -> float | None:
    """Return the two-sided bootstrap p-value of a difference of 0, never below 1 / (B + 1)."""
    valid = differences[~np.isnan(differences)]
    if len(valid) == 0:
        return None
    smaller, larger = (valid <= 0).sum(), (valid >= 0).sum()
    return float(min(1.0, 2 * (min(smaller, larger) + 1) / (len(valid) + 1)))


def minimum_detectable(differences: np.ndarray) -> float | None:
    """Return the true difference that would be found four times in five, at these few parts."""
    valid = differences[~np.isnan(differences)]
    return float(_DETECTABLE * valid.std()) if len(valid) else None


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm-adjusted p-values, in the order given."""
    adjusted = [1.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def verdict(difference: float | None, adjusted_p: float | None) -> str:
    """Return `helps`, `hurts` or `cannot tell`."""
    if difference is None or adjusted_p is None or adjusted_p >= _LEVEL or difference == 0:
        return "cannot tell"
    return "helps" if difference > 0 else "hurts"
