"""Move and widen a range so that what it makes agrees with what was measured.

The simulated images themselves say how a quantity follows a parameter: a straight
line, fitted over the frames. The range's mean moves by the difference of the two
sides' means over the slope; its variance grows by the difference of the variances
over the slope's square. All other sources of variance stay as they are, so they need
not be known. That is one step; the next round measures what it did.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from simgen.calibrate.sample import Sample
from simgen.config import parse
from simgen.sampling import Choice, Constant, Distribution, LogUniform, Normal, stream

# Standard errors that a slope must be away from zero.
_CLEAR = 4.0
# In one round a mean moves by at most this many spreads, and a spread grows or shrinks
# by at most this factor: beyond, the line is extrapolated too far.
_FURTHEST = 4.0
_WIDEST = 2.0
_DRAWS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """How a quantity follows a parameter; both may be logarithms.

    Attributes:
        slope, error: Of the fitted line, and its standard error with scenes as the samples.
        scenes: How many.
    """

    slope: float
    error: float
    scenes: int

    @property
    def clear(self) -> bool:
        """Whether the slope is far enough from zero to be used."""
        return self.scenes >= 8 and abs(self.slope) > _CLEAR * self.error


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One adjustment: the new range as YAML has it, and whether it was cut short."""

    value: Any
    limited: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Holder:
    value: Distribution


def read_distribution(plain: Any, key: str) -> Distribution:
    """Return the distribution that a config value means.

    Raises:
        ConfigError: It is none.
    """
    return parse(_Holder, {"value": plain}, key).value


def fit_line(theta: np.ndarray, y: np.ndarray, scenes: list[str]) -> Line:
    """Fit y = a + slope theta over simulated frames or labels.

    Args:
        theta, y: float64, (N,), finite.
        scenes: The scene of each; they weigh equally and are the independent samples.
    """
    names, owner, count = np.unique(scenes, return_inverse=True, return_counts=True)
    weights = 1.0 / count[owner]
    weights /= weights.sum()
    t = theta - (weights * theta).sum()
    variance = float((weights * t * t).sum())
    if len(names) < 3 or variance <= 1e-12:
        return Line(slope=0.0, error=math.inf, scenes=len(names))
    slope = float((weights * t * y).sum()) / variance
    rest = y - (weights * y).sum() - slope * t
    scatter = float((weights * rest * rest).sum())
    error = math.sqrt(scatter / variance / (len(names) - 2))
    return Line(slope=slope, error=error, scenes=len(names))


def adjusted(
    now: Distribution, line: Line, real: Sample, simulated: Sample, *, log: bool
) -> Step | None:
    """Return the range after one step, or None for a choice, which has no mean to move.

    Args:
        now: The range.
        line: Slope of the quantity over the parameter, clear.
        real, simulated: Samples of the quantity on both sides, as the line has it.
        log: The line is over the parameter's logarithm.
    """
    if isinstance(now, Choice):
        return None
    rng = stream(0, 0, "calibrate")
    draws = np.array([now.sample(rng) for _ in range(_DRAWS)], np.float64)
    draws = np.log(draws) if log else draws
    mean, spread = float(draws.mean()), float(draws.std())
    shift = (real.mean - simulated.mean) / line.slope
    # Beside its own spread, a constant may move by a fifth of itself.
    reach = _FURTHEST * max(spread, 0.2 if log else 0.2 * abs(mean))
    # A part more than was seen will differ from their mean: what few parts cannot show.
    seen = _variance(real) * (1 + 1 / max(real.parts, 1))
    variance = spread**2 + (seen - _variance(simulated)) / line.slope**2
    wanted = math.sqrt(max(variance, 0.0))
    low, high = spread / _WIDEST, max(spread * _WIDEST, 0.1 * reach)
    new_spread = float(np.clip(wanted, low, high))
    moved = float(np.clip(shift, -reach, reach))
    ends = [
        mean + (y - simulated.mean) / line.slope for y in (real.values.min(), real.values.max())
    ]
    value = _of_moments(now, mean + moved, new_spread, _further(sorted(ends)), log)
    return Step(value=value, limited=moved != shift or new_spread != wanted)


def logarithm(sample: Sample, floor: float = 1e-6) -> Sample:
    """Return the sample of logarithms."""
    return Sample(
        values=np.log(np.maximum(sample.values, floor)), weights=sample.weights, parts=sample.parts
    )


def rounded(value: float) -> float:
    """Return a number to three significant digits: more would claim what was not measured."""
    return float(f"{value:.3g}")


def _further(ends: list[float]) -> tuple[float, float]:
    """Return ends a fifth further apart: a range shall not reach far beyond what was seen."""
    low, high = ends
    return low - 0.1 * (high - low), high + 0.1 * (high - low)


def _of_moments(
    now: Distribution, mean: float, spread: float, ends: tuple[float, float], log: bool
) -> Any:
    """Return a range of the same family with these moments (of logarithms, if `log`)."""
    back = math.exp if log else float
    if isinstance(now, Normal):
        middle = back(mean)
        width = middle * spread if log else spread
        factor = width / now.std if now.std else 1.0
        ends = (middle + (now.low - now.mean) * factor, middle + (now.high - now.mean) * factor)
        return {"normal": [rounded(v) for v in (middle, width, *ends)]}
    reach = math.sqrt(3) * spread
    low, high = back(max(mean - reach, ends[0])), back(min(mean + reach, ends[1]))
    if low >= high:
        return rounded(back(mean))
    if now.support()[0] >= 0:
        low = max(low, 0.0)
    if isinstance(now, Constant) and high - low < 0.02 * abs(high):
        return rounded(back(mean))
    tag = "loguniform" if isinstance(now, LogUniform) and low > 0 else "uniform"
    return {tag: [rounded(low), rounded(high)]}


def _variance(sample: Sample) -> float:
    return float((sample.weights * np.square(sample.values - sample.mean)).sum())
