"""Choices made without the holdout: cross-validation over the parts of train + val."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from simgen.config import bounded, suggest
from simgen.errors import ConfigError
from simgen.evaluate.config import ExperimentConfig
from simgen.evaluate.training import Fold, load_material, train_each
from simgen.train.run import Run

AS_IS = "as_is"


@dataclass(frozen=True, slots=True, kw_only=True)
class CvConfig:
    """How to cross-validate.

    Attributes:
        arms: Which arms.
        folds: Groups of parts, each left out once.
        seed: Of the groups.
        metric: What choices are ranked by.
    """

    arms: tuple[str, ...] = bounded(("real",), nonempty=True)
    folds: int = bounded(3, low=2, high=100)
    seed: int = bounded(0, low=0)
    metric: Literal["ap50", "ap10", "recall"] = "ap50"


@dataclass(slots=True)
class _Result:
    """What one arm did with one choice, run by run."""

    folds: list[int] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)


def crossvalidate(configs: Mapping[str, ExperimentConfig], cv: CvConfig) -> dict[str, Any]:
    """Train every choice on all folds but one, for each, and return figures on the folds.

    Args:
        configs: The experiment with each choice, the first as it is.
        cv: Arms and folds.

    Returns:
        JSON-ready: `entries`, a list with `choice`, `arm`, `figures` (means over folds),
        `by_fold`, `by_run`, `curve` (mean over folds by passes), `best_passes`, and by figure
        the `differences` to the first choice and the `gains` over the first arm with the same
        choice: `mean`, `standard_error` over folds, and `standard_error_runs` over draws and
        seeds, None if there is one.

    Raises:
        ConfigError: An arm does not exist, or there is no validation curve to read figures from.
    """
    plans: dict[tuple[str, int], tuple[ExperimentConfig, Fold]] = {}
    for choice, config in configs.items():
        _check(config, cv)
        for number in range(cv.folds):
            here = replace(
                config,
                arms={a: config.arms[a] for a in cv.arms},
                control=cv.arms[0],
                controls={},
                only=(),
                out=str(Path(config.out) / "crossvalidation" / f"fold{number}of{cv.folds}"),
            )
            plans[choice, number] = here, Fold(number=number, count=cv.folds, seed=cv.seed)
    trained = train_each(
        list(plans.values()), lambda config, fold: load_material(config, cv.arms, fold)
    )
    results: dict[tuple[str, str], _Result] = {}
    for (choice, number), runs in zip(plans, trained, strict=True):
        for run in runs:
            entry = results.setdefault((choice, run.arm), _Result())
            entry.folds.append(number)
            entry.runs.append(run)
    first = next(iter(configs))
    entries = [
        _entry(choice, arm, result, results[first, arm], results[choice, cv.arms[0]], cv)
        for (choice, arm), result in results.items()
    ]
    return {"metric": cv.metric, "folds": cv.folds, "seed": cv.seed, "entries": entries}


def _check(config: ExperimentConfig, cv: CvConfig) -> None:
    for arm in cv.arms:
        if arm not in config.arms:
            raise ConfigError(f"cv.arms: no arm named {arm!r}{suggest(arm, config.arms)}")
    if not config.train.validations:
        raise ConfigError("train.validations: 0 leaves no figure to choose by; set at least 1")


def _entry(
    choice: str, arm: str, result: _Result, base: _Result, control: _Result, cv: CvConfig
) -> dict[str, Any]:
    by_fold = _by_fold(result, -1)
    names = list(dict.fromkeys(n for figures in by_fold for n in figures))
    curve = [
        {
            "passes": point["passes"],
            **{n: _mean(f.get(n) for f in _by_fold(result, at)) for n in names},
        }
        for at, point in enumerate(result.runs[0].curve)
    ]
    known = [p for p in curve if p[cv.metric] is not None]
    best = max(known, key=lambda p: (p[cv.metric], -p["passes"]), default=None)
    return {
        "choice": choice,
        "arm": arm,
        "figures": {n: _mean(f.get(n) for f in by_fold) for n in names},
        "by_fold": by_fold,
        "by_run": [{"draw": d, "seed": s, **f} for (d, s), f in _by_run(result).items()],
        "curve": curve,
        "best_passes": None if best is None else best["passes"],
        "best": None if best is None else best[cv.metric],
        "converged": [r.converged for r in result.runs],
        "differences": {n: _difference(n, result, base) for n in names},
        "gains": {n: _difference(n, result, control) for n in names},
        "runs": [str(r.folder) for r in result.runs],
    }


def _difference(name: str, result: _Result, base: _Result) -> dict[str, float | None]:
    """Return a figure's mean difference, with its standard errors over folds and over runs."""
    over_folds = _differences(name, zip(_by_fold(result, -1), _by_fold(base, -1), strict=True))
    return {
        "mean": _mean(over_folds),
        "standard_error": _standard_error(over_folds),
        "standard_error_runs": _error_of_runs(name, _by_run(result), _by_run(base)),
    }


def _error_of_runs(
    name: str,
    runs: Mapping[tuple[int, int], Mapping[str, float]],
    before: Mapping[tuple[int, int], Mapping[str, float]],
) -> float | None:
    """Return the standard error over runs of a difference of means, None if one cannot be known.

    Runs with the same draw and seed are compared with each other; others are independent.
    """
    if runs.keys() == before.keys():
        return _standard_error(_differences(name, ((runs[k], before[k]) for k in runs)))
    each = [_standard_error([r[name] for r in x.values() if name in r]) for x in (runs, before)]
    known = [e for e in each if e is not None]
    return math.hypot(*known) if len(known) == len(each) else None


def _differences(
    name: str, pairs: Iterable[tuple[Mapping[str, float], Mapping[str, float]]]
) -> list[float]:
    return [a[name] - b[name] for a, b in pairs if name in a and name in b]


def _standard_error(values: Sequence[float]) -> float | None:
    return float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else None


def _by_fold(result: _Result, at: int) -> list[dict[str, float]]:
    """Return each fold's figures at a point of the curve, means over seeds and draws."""
    points: dict[int, list[dict[str, Any]]] = {}
    for run, number in zip(result.runs, result.folds, strict=True):
        points.setdefault(number, []).append(run.curve[at])
    return [_means(points[number]) for number in sorted(points)]


def _by_run(result: _Result) -> dict[tuple[int, int], dict[str, float]]:
    """Return the last figures of each draw and seed, means over folds."""
    points: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for run in result.runs:
        points.setdefault((run.draw, run.seed), []).append(run.curve[-1])
    return {key: _means(found) for key, found in points.items()}


def _means(points: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    names = [n for n in points[0] if n not in ("step", "passes")]
    each = {n: _mean(p.get(n) for p in points) for n in names}
    return {n: v for n, v in each.items() if v is not None}


def _mean(values: Any) -> float | None:
    known: Sequence[float] = [v for v in values if v is not None]
    return float(np.mean(known)) if known else None
