"""What synthetic images are worth, in real parts: a shift along the curve over real parts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from simgen.evaluate.bootstrap import Resamples
from simgen.evaluate.config import EvaluateConfig
from simgen.evaluate.figures import Judged, RunFigures
from simgen.evaluate.inference import Curves, estimate, nested_mean
from simgen.evaluate.slices import Slice
from simgen.sampling import stream


def worth_by_slice(
    runs: Sequence[Judged],
    figures: Sequence[RunFigures],
    slices: Sequence[Slice],
    resamples: Resamples,
    config: EvaluateConfig,
) -> dict[str, list[dict[str, Any]]]:
    """Return `worth` and `worth_curves` of everything and of each kind, as `evaluate.worth` asks.

    A kind's curve stands over the parts of that kind that its arms really had: all of them are
    not equally many of every kind.
    """
    worth: list[dict[str, Any]] = []
    curves: list[dict[str, Any]] = []
    asked = config.worth
    for number, part in enumerate(slices):
        if asked is None or part.group not in ("all", "kind"):
            continue
        by_arm: dict[str, dict[tuple[int, int], np.ndarray]] = {}
        for run, made in zip(runs, figures, strict=True):
            by_arm.setdefault(run.arm, {})[run.key] = made.by_slice[number][asked.metric]
        without = _at_parts(asked.without, runs, by_arm, part)
        mixed = _at_parts(asked.mixed, runs, by_arm, part)
        name = {"slice": part.name, "metric": asked.metric}
        points = {
            which: [
                _point(parts, arm, by_arm[arm], resamples, part.num_parts, config)
                for parts, arm in sorted(named.items())
            ]
            for which, named in (("without", without), ("mixed", mixed))
        }
        curves.append({**name, **points})
        found = worth_in_parts(
            {parts: by_arm[arm] for parts, arm in without.items()},
            {parts: by_arm[arm] for parts, arm in mixed.items()},
            resamples,
            num_parts=part.num_parts,
            confidence=config.confidence,
            seed=config.seed,
        )
        worth += [{**name, **one} for one in found]
    return {"worth": worth, "worth_curves": curves}


def worth_in_parts(
    without: Mapping[int, Curves],
    mixed: Mapping[int, Curves],
    resamples: Resamples,
    *,
    num_parts: int,
    confidence: float,
    seed: int,
) -> list[dict[str, Any]]:
    """Return how many real parts of each kind the synthetic images replace.

    The figures without synthetic images, over the number of real parts, are made monotone and
    joined in log(1 + parts). Where that line reaches the figure of a mix with n parts is what
    the mix does as well as; that less n is the worth. The interval is by resampling of parts,
    draws and seeds together, every figure's spread made as wide as its own interval: the plain
    percentiles of three seeds know nothing of Student's t. A figure beyond the measured line is
    known to be beyond, no more.

    Args:
        without, mixed: By real parts of each kind (0: synthetic alone): the figure of each
            run under every row of weights.
        resamples: The rows.
        num_parts: Parts that judge.
        confidence: Of the interval.
        seed: Seed of the resampling of runs.

    Returns:
        One entry for each number of parts in `mixed`: `real_parts`, `worth`, `low`, `high`, and
        `beyond`, `low_beyond`, `high_beyond`: whether each is only a lower bound. Empty if fewer
        than two numbers of parts are measured without.
    """
    numbers = np.array(sorted(without), float)
    if len(numbers) < 2:
        return []
    rng = stream(seed, 0, "worth")

    def resampled(curves: Curves) -> np.ndarray:
        values = _resampled(curves, resamples, rng)
        return _widened(values, curves, resamples, num_parts, confidence)

    line = np.stack([resampled(without[int(n)]) for n in numbers], axis=1)
    line = np.array([_isotonic(row) for row in line])
    tail = (1 - confidence) / 2
    result = []
    for real_parts in sorted(mixed):
        figure = resampled(mixed[real_parts])
        known = ~np.isnan(figure) & ~np.isnan(line).any(axis=1)
        if not known[0]:
            continue
        pairs = zip(line[known], figure[known], strict=True)
        values = np.array([_reaching(row, value, numbers) for row, value in pairs]) - real_parts
        low, high = np.quantile(values[1:], [tail, 1 - tail], method="inverted_cdf")
        most = numbers[-1] - real_parts
        result.append(
            {
                "real_parts": real_parts,
                "worth": float(min(values[0], most)),
                "low": float(min(low, most)),
                "high": float(min(high, most)),
                "beyond": bool(values[0] > most),
                "low_beyond": bool(low > most),
                "high_beyond": bool(high > most),
            }
        )
    return result


def _at_parts(
    asked: Mapping[str, str], runs: Sequence[Judged], by_arm: Mapping[str, Any], part: Slice
) -> dict[int, str]:
    """Return the arms that were judged by their real parts, of the slice's kind if it has one."""
    result = {}
    for number, arm in sorted(asked.items(), key=lambda item: int(item[0])):
        counts = [r.parts_by_kind.get(part.name, 0) for r in runs if r.arm == arm]
        known = all(r.parts_by_kind for r in runs if r.arm == arm)
        if arm in by_arm:
            of_kind = part.group == "kind" and known and int(number) > 0
            result[round(np.mean(counts)) if of_kind else int(number)] = arm
    return result


def _point(
    parts: int,
    arm: str,
    curves: Curves,
    resamples: Resamples,
    judging_parts: int,
    config: EvaluateConfig,
) -> dict[str, Any]:
    made = estimate(curves, resamples, judging_parts)
    low, high = made.interval(config.confidence)
    value = None if np.isnan(made.value) else made.value
    return {"real_parts": parts, "arm": arm, "value": value, "low": low, "high": high}


def _resampled(curves: Curves, resamples: Resamples, rng: np.random.Generator) -> np.ndarray:
    """Return the nested mean as it is and under B draws of runs and parts, shape (1 + B,)."""
    draws: dict[int, list[np.ndarray]] = {}
    for (draw, _), curve in sorted(curves.items()):
        draws.setdefault(draw, []).append(curve[: 1 + resamples.count])
    count = resamples.count
    # The seeds are resampled inside each draw, then the draws; n - 1 of n, as for parts.
    each = np.stack([_mean_of_some(np.stack(seeds), count, rng) for seeds in draws.values()])
    mean = _mean_of_some(each, count, rng) if len(each) > 1 else each[0]
    mean[0] = nested_mean(curves)[0]
    return mean


def _widened(
    values: np.ndarray, curves: Curves, resamples: Resamples, num_parts: int, confidence: float
) -> np.ndarray:
    """Return resampled values spread about the measured one as far as its interval reaches."""
    spread = float(np.nanstd(values[1:]))
    if not spread > 0:
        return values
    half = estimate(curves, resamples, num_parts).half_width(1 - confidence)
    factor = half / (spread * float(stats.norm.isf((1 - confidence) / 2)))
    return values[0] + max(1.0, factor) * (values - values[0])


def _mean_of_some(values: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    size = len(values)
    if size == 1:
        return values[0].copy()
    weights = np.ones((size, 1 + count))
    chance = np.full(size, 1 / size)
    weights[:, 1:] = rng.multinomial(size - 1, chance, size=count).T * size / (size - 1)
    return (weights * values).mean(axis=0)


def _isotonic(values: np.ndarray) -> np.ndarray:
    """Return the nearest values that never fall (pool adjacent violators)."""
    blocks: list[tuple[float, int]] = []
    for value in values:
        blocks.append((float(value), 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, n), (b, m) = blocks[-2:]
            blocks[-2:] = [((a * n + b * m) / (n + m), n + m)]
    return np.concatenate([np.full(n, v) for v, n in blocks])


def _reaching(line: np.ndarray, value: float, numbers: np.ndarray) -> float:
    """Return the number of parts at which the line first reaches a value, infinite if never."""
    at = int(np.searchsorted(line, value - 1e-12))
    if at == len(line):
        return np.inf
    # Below the first measured figure the line comes from nothing at no part.
    low, before = (line[at - 1], numbers[at - 1]) if at else (0.0, 0.0)
    share = max(0.0, value - low) / (line[at] - low) if line[at] > low else 0.0
    start, end = np.log1p(before), np.log1p(numbers[at])
    return float(np.expm1(start + share * (end - start)))
