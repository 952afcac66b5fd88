"""Estimates, intervals, p-values and verdicts from few parts and few training runs.

Two things vary a figure: which parts judge (crossed with everything), and the luck of training,
that is which real parts train (draws) and, inside each draw, the seed. Neither comes in large
numbers, so each has its own variance and its own degrees of freedom, and half a width is
sqrt(t_parts^2 V_parts + t_runs^2 V_runs) with Student's quantiles.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from simgen.evaluate.bootstrap import Resamples

LEVEL = 0.05
_POWER = 0.8

# A training run of an arm: which draw of the real parts, and which seed.
RunKey = tuple[int, int]
Curves = Mapping[RunKey, np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure or a difference of two, with what is known of its spread.

    Attributes:
        value: As measured; NaN if there is none.
        centre: What the interval is around: `value`, or that pulled from the bounds.
        variances, dfs: Variance and degrees of freedom of every component.
        num_parts: Parts that it rests on.
        num_runs: Training runs, of each arm, that it rests on.
        bounds: What the figure lies in.
    """

    value: float
    centre: float
    variances: tuple[float, ...]
    dfs: tuple[float, ...]
    num_parts: int
    num_runs: int
    bounds: tuple[float, float]

    def half_width(self, level: float) -> float:
        """Return half the width of the interval of confidence 1 - `level`."""
        quantiles = stats.t.isf(level / 2, np.array(self.dfs))
        return float(np.sqrt((quantiles**2 * np.array(self.variances)).sum()))

    def interval(self, confidence: float) -> tuple[float | None, float | None]:
        """Return the interval, cut at the bounds; None without a value or with one part."""
        if np.isnan(self.value) or self.num_parts < 2:
            return None, None
        half = self.half_width(1 - confidence)
        low, high = self.centre - half, self.centre + half
        # A pulled centre must not push the measured value out.
        low, high = min(low, self.value), max(high, self.value)
        return float(max(self.bounds[0], low)), float(min(self.bounds[1], high))

    def p_value(self) -> float | None:
        """Return the two-sided p-value of 0.

        It is never below 2^(1 - parts), the least that a sign test of as many parts can give:
        eight parts that agree to the last digit are still eight parts.
        """
        if np.isnan(self.value) or self.num_parts < 2:
            return None
        least, size = 2.0 ** (1 - self.num_parts), abs(self.centre)
        if size == 0 or self.half_width(1.0 - 1e-9) >= size:
            return 1.0
        low, high = np.log(1e-12), 0.0
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (low, middle) if self.half_width(np.exp(middle)) < size else (middle, high)
        return float(min(1.0, max(np.exp(high), least)))

    def minimum_detectable(self) -> float | None:
        """Return the true difference that would be found four times in five, alone."""
        if np.isnan(self.value) or self.num_parts < 2:
            return None
        total = np.sqrt(sum(self.variances))
        return float(self.half_width(LEVEL) + stats.norm.ppf(_POWER) * total)


def estimate(curves: Curves, resamples: Resamples, num_parts: int) -> Estimate:
    """Estimate an arm's figure: the mean over its draws of the mean over their seeds.

    Args:
        curves: The figure of each run under every row of weights, shape (1 + B + J,).
        resamples: The rows.
        num_parts: Parts that the figure rests on.
    """
    mean = nested_mean(curves)
    variances, dfs = _parts(mean, resamples)
    luck = _luck({k: c[0] for k, c in curves.items()})
    centre, variances[0] = _pulled(mean[0], variances[0], num_parts, 0.5, 0.5)
    return _put(mean[0], centre, variances, dfs, [luck], num_parts, len(curves), (0.0, 1.0))


def estimate_difference(
    arm: Curves, control: Curves, resamples: Resamples, num_parts: int, *, pulled: bool
) -> Estimate:
    """Estimate how an arm differs from its control.

    Runs of the same draw and seed are compared with each other; where the two arms do not
    have the same draws and seeds, their luck adds up.

    Args:
        arm, control: See `estimate`.
        resamples, num_parts: See `estimate`.
        pulled: Whether two made-up parts are added, as for a figure: for shares of images, and
            where parts are so few that no verdict is given. Average precisions of eight parts
            and more vary enough without.
    """
    mean = nested_mean(arm) - nested_mean(control)
    variances, dfs = _parts(mean, resamples)
    if arm.keys() == control.keys():
        luck = [_luck({k: arm[k][0] - control[k][0] for k in arm})]
    else:
        luck = [_luck({k: c[0] for k, c in curves.items()}) for curves in (arm, control)]
    centre = float(mean[0])
    if pulled:
        centre, variances[0] = _pulled(mean[0], variances[0], num_parts, 0.0, 1.0)
    runs = min(len(arm), len(control))
    return _put(mean[0], centre, variances, dfs, luck, num_parts, runs, (-1.0, 1.0))


def nested_mean(curves: Mapping[RunKey, np.ndarray]) -> np.ndarray:
    """Return the mean over draws of the mean over seeds; draws weigh equally."""
    draws: dict[int, list[np.ndarray]] = {}
    for (draw, _), curve in sorted(curves.items()):
        draws.setdefault(draw, []).append(curve)
    return np.mean([np.mean(seeds, axis=0) for seeds in draws.values()], axis=0)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm-adjusted p-values, in the order given."""
    adjusted = [1.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def verdict(difference: float | None, adjusted_p: float | None, *, rising: bool = True) -> str:
    """Return `helps`, `hurts` or `cannot tell`; of false alarms fewer are better."""
    if difference is None or adjusted_p is None or adjusted_p >= LEVEL or difference == 0:
        return "cannot tell"
    return "helps" if (difference > 0) == rising else "hurts"


def _parts(mean: np.ndarray, resamples: Resamples) -> tuple[list[float], list[float]]:
    return [resamples.parts_variance(mean)], [max(1.0, resamples.parts_df(mean))]


def _luck(values: Mapping[RunKey, float]) -> tuple[float, float] | None:
    """Return variance and degrees of freedom of the nested mean over runs, or None of one run.

    With several draws the spread of the draws' means holds that of the seeds inside them.
    This is what resampling draws and, inside them, seeds comes to, n - 1 of n as for parts.
    """
    draws: dict[int, list[float]] = {}
    for (draw, _), value in values.items():
        draws.setdefault(draw, []).append(value)
    means = np.array([np.mean(seeds) for seeds in draws.values()])
    units = means if len(means) > 1 else np.array(next(iter(draws.values())))
    if len(units) < 2 or np.isnan(units).any():
        return None
    return float(units.var(ddof=1) / len(units)), float(len(units) - 1)


def _pulled(
    value: float, variance: float, parts: int, towards: float, spread: float
) -> tuple[float, float]:
    """Return centre and variance of a mean over parts with two made-up parts added.

    Eight parts that are all found leave no spread to resample, though nine in ten would do
    the same. Two parts more, of no preference, are Agresti and Coull's remedy for a share
    (one found, one missed) and Agresti and Min's for a paired difference (half a part each way,
    one without a difference); `spread` is the sum of their squares about `towards`.
    """
    if parts == 0 or np.isnan(value):
        return float(value), variance
    more = parts + 2
    centre = (parts * value + 2 * towards) / more
    added = parts * (value - centre) ** 2 + 2 * (towards - centre) ** 2 + spread
    return centre, (parts**2 * variance + added) / more**2


def _put(
    value: float,
    centre: float,
    variances: list[float],
    dfs: list[float],
    luck: Sequence[tuple[float, float] | None],
    num_parts: int,
    num_runs: int,
    bounds: tuple[float, float],
) -> Estimate:
    known = [one for one in luck if one is not None]
    return Estimate(
        value=float(value),
        centre=float(centre),
        variances=(*variances, *(v for v, _ in known)),
        dfs=(*dfs, *(d for _, d in known)),
        num_parts=num_parts,
        num_runs=num_runs,
        bounds=bounds,
    )
