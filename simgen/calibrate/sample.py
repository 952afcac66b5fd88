"""Weighted samples: physical parts weigh equally, however many images show them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Values of one quantity with their weights.

    Attributes:
        values: float64, (N,), no NaN.
        weights: float64, (N,), adding up to 1 (or empty).
        parts: Number of distinct physical parts among them.
    """

    values: np.ndarray
    weights: np.ndarray
    parts: int

    def __len__(self) -> int:
        return len(self.values)

    def quantiles(self, at: Sequence[float]) -> list[float]:
        """Return weighted quantiles, between values linearly.

        Raises:
            ValueError: The sample is empty.
        """
        if not len(self.values):
            raise ValueError("an empty sample has no quantiles")
        order = np.argsort(self.values, kind="stable")
        values, weights = self.values[order], self.weights[order]
        middles = np.cumsum(weights) - weights / 2
        return [float(v) for v in np.interp(at, middles, values)]

    @property
    def mean(self) -> float:
        """Weighted mean."""
        return float((self.values * self.weights).sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One value, the part that it was seen on and the stratum that it belongs to."""

    value: float
    part: str
    stratum: str = ""


def weigh(observations: Sequence[Observation], shares: Mapping[str, float] | None = None) -> Sample:
    """Return a sample in which parts weigh equally within a stratum.

    Args:
        observations: NaN values are dropped.
        shares: Weight of each stratum; strata without one are dropped, and those with one
            but no value leave theirs to the others. None: the number of parts in each.
    """
    kept = [o for o in observations if np.isfinite(o.value)]
    if shares is not None:
        kept = [o for o in kept if shares.get(o.stratum, 0) > 0]
    images = Counter((o.stratum, o.part) for o in kept)
    parts: dict[str, int] = Counter(stratum for stratum, _ in images)
    share = {s: float(n if shares is None else shares[s]) for s, n in parts.items()}
    weights = np.array(
        [share[o.stratum] / parts[o.stratum] / images[o.stratum, o.part] for o in kept]
    )
    return Sample(
        values=np.array([o.value for o in kept], np.float64),
        weights=weights / weights.sum() if len(kept) else weights,
        parts=len({o.part for o in kept}),
    )


def ks_distance(a: Sample, b: Sample) -> float:
    """Return the largest difference between two weighted distribution functions, in [0, 1].

    Raises:
        ValueError: A sample is empty.
    """
    if not len(a) or not len(b):
        raise ValueError("an empty sample has no distribution")
    at = np.union1d(a.values, b.values)
    return float(np.abs(_cumulated(a, at) - _cumulated(b, at)).max())


def chance_level(a: Sample, b: Sample) -> float:
    """Return the distance that samples of one distribution exceed once in twenty.

    With parts as the independent samples: Smirnov's asymptotic bound, too large for few.
    """
    return float(min(1.0, 1.358 * np.sqrt(1 / max(a.parts, 1) + 1 / max(b.parts, 1))))


def _cumulated(sample: Sample, at: np.ndarray) -> np.ndarray:
    order = np.argsort(sample.values, kind="stable")
    total = np.concatenate([[0.0], np.cumsum(sample.weights[order])])
    return np.asarray(total[np.searchsorted(sample.values[order], at, side="right")])
