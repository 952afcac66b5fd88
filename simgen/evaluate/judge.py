"""From detections of all runs to figures by slice, intervals and verdicts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from simgen.evaluate.bootstrap import Resamples, resample_parts
from simgen.evaluate.config import METRICS, EvaluateConfig
from simgen.evaluate.figures import (
    FALSE_ALARMS,
    Judged,
    RunFigures,
    coco_figures,
    figures_of,
    image_scores,
)
from simgen.evaluate.inference import (
    Curves,
    Estimate,
    estimate,
    estimate_difference,
    holm,
    verdict,
)
from simgen.evaluate.metrics import recall_above
from simgen.evaluate.mistakes import count_mistakes, one_stray_an_image
from simgen.evaluate.slices import Slice, make_slices, parts_of, strata_of
from simgen.evaluate.worth import worth_by_slice
from simgen.train.images import LabelledImage

TOO_FEW = "too few parts"
# Where mistakes are counted; the first if no part is clean, so that none can alarm falsely.
ONE_STRAY = "one stray detection an image"
ALARM = "the alarm threshold"
# Figures that are shares of images, and those of which less is better.
_SHARES = ("recall", "miss_rate", "false_alarms")
FALLING = ("miss_rate", "false_alarms")


def judge(
    images: Sequence[LabelledImage],
    runs: Sequence[Judged],
    classes: Sequence[str],
    config: EvaluateConfig,
    control: str | Mapping[str, str] | None,
) -> dict[str, Any]:
    """Return figures by slice for every arm, and each arm against its control.

    Args:
        images: The photographs.
        runs: Detections of every arm, draw of real parts and seed on them.
        classes: Names of the detections' kinds.
        config: Slices, intervals, false-alarm rate, and what is too few.
        control: Arm that the others are compared with; a mapping gives each arm its own, the
            one with the same real parts; None compares nothing.

    Returns:
        JSON-ready: `slices` (a list), `left_out`, `runs`, `mistakes`, `mistakes_at` (what their
        threshold is), `worth`, `worth_curves` and counts.
    """
    slices = make_slices(images, classes, config.by, config.bins)
    num_parts = parts_of(images, np.ones(len(images), bool)).count
    resamples = resample_parts(strata_of(images), num_parts, config.resamples, config.seed)
    figures = [figures_of(images, r, slices.made, classes, resamples.weights, config) for r in runs]
    shown_above = [_shown_above(images, r, f, classes) for r, f in zip(runs, figures, strict=True)]
    arms = list(dict.fromkeys(r.arm for r in runs))
    against = _controls(control, arms)
    results = [
        _entry(number, part, runs, figures, arms, against, resamples, config)
        for number, part in enumerate(slices.made)
    ]
    _give_verdicts(results, config)
    return {
        "slices": results,
        "left_out": dict(slices.left_out),
        "controls": against,
        "runs": [
            _run_figures(images, r, f, slices.made[0], classes) | {"shown_above": t}
            for r, f, t in zip(runs, figures, shown_above, strict=True)
        ],
        "mistakes": _mistakes(images, runs, shown_above, arms, classes),
        "mistakes_at": ONE_STRAY if any(np.isnan(f.threshold) for f in figures) else ALARM,
        **worth_by_slice(runs, figures, slices.made, resamples, config),
        "parts": num_parts,
        "clean_parts": len({i.part for i in images if i.is_clean}),
        "images": len(images),
    }


def _controls(control: str | Mapping[str, str] | None, arms: Sequence[str]) -> dict[str, str]:
    if control is None:
        return {}
    named = control if isinstance(control, Mapping) else dict.fromkeys(arms, control)
    return {a: named[a] for a in arms if a in named and named[a] != a and named[a] in arms}


def _entry(
    number: int,
    part: Slice,
    runs: Sequence[Judged],
    figures: Sequence[RunFigures],
    arms: Sequence[str],
    against: Mapping[str, str],
    resamples: Resamples,
    config: EvaluateConfig,
) -> dict[str, Any]:
    curves: dict[tuple[str, str], Curves] = {
        (arm, m): {
            r.key: f.by_slice[number][m] for r, f in zip(runs, figures, strict=True) if r.arm == arm
        }
        for arm in arms
        for m in METRICS
    }
    entry: dict[str, Any] = {
        "slice": part.name,
        "group": part.group,
        "parts": part.num_parts,
        "clean_parts": part.clean_parts,
        "images": int(part.defective.sum()),
        "arms": {},
        "versus_control": {},
        "froc": {},
    }
    for arm in arms:
        entry["arms"][arm] = {
            m: _figure(estimate(curves[arm, m], resamples, _basis(part, m)), curves[arm, m], config)
            for m in METRICS
        }
        froc = {r.key: f.froc[number] for r, f in zip(runs, figures, strict=True) if r.arm == arm}
        entry["froc"][arm] = _froc(froc, resamples, part.num_parts, config)
        if arm in against:
            entry["versus_control"][arm] = {
                m: _difference(
                    estimate_difference(
                        curves[arm, m],
                        curves[against[arm], m],
                        resamples,
                        _basis(part, m),
                        pulled=m in _SHARES or _basis(part, m) < config.min_parts,
                    ),
                    _basis(part, m),
                    config,
                )
                for m in METRICS
            }
    return entry


def _basis(part: Slice, metric: str) -> int:
    return part.clean_parts if metric == "false_alarms" else part.num_parts


def _figure(made: Estimate, curves: Curves, config: EvaluateConfig) -> dict[str, Any]:
    low, high = made.interval(config.confidence)
    each = {f"draw {d} seed {s}": _number(c[0]) for (d, s), c in sorted(curves.items())}
    return {"value": _number(made.value), "low": low, "high": high, "by_run": each}


def _froc(
    curves: Mapping[tuple[int, int], np.ndarray | None],
    resamples: Resamples,
    num_parts: int,
    config: EvaluateConfig,
) -> list[dict[str, Any]]:
    points = []
    for column, rate in enumerate(FALSE_ALARMS):
        known = {k: c[:, column] for k, c in curves.items() if c is not None}
        if known:
            made = estimate(known, resamples, num_parts)
            low, high = made.interval(config.confidence)
            value = _number(made.value)
            points.append({"false_alarms": rate, "value": value, "low": low, "high": high})
    return points


def _difference(made: Estimate, parts: int, config: EvaluateConfig) -> dict[str, Any]:
    low, high = made.interval(config.confidence)
    return {
        "difference": _number(made.value),
        "low": low,
        "high": high,
        "p": made.p_value(),
        "minimum_detectable": made.minimum_detectable(),
        "parts": parts,
        "runs": made.num_runs,
    }


def _give_verdicts(results: list[dict[str, Any]], config: EvaluateConfig) -> None:
    """Add verdicts; Holm's correction is over the slices that have enough parts."""
    compared = results[0]["versus_control"]
    for arm, metric in ((a, m) for a in compared for m in compared[a]):
        family = []
        for result in results:
            entry = result["versus_control"][arm][metric]
            if entry["difference"] is None and entry["parts"] == 0:
                entry["verdict"] = verdict(None, None)
            elif entry["parts"] < config.min_parts:
                entry["verdict"] = TOO_FEW
            elif entry["p"] is None:
                entry["verdict"] = verdict(None, None)
            elif entry["runs"] < config.min_runs:
                entry["verdict"] = verdict(None, None)
                entry["why"] = f"{entry['runs']} run an arm: it may be the luck of its seed"
            else:
                family.append(entry)
        rising = metric not in FALLING
        for entry, adjusted in zip(family, holm([e["p"] for e in family]), strict=True):
            entry["p_holm"] = adjusted
            entry["verdict"] = verdict(entry["difference"], adjusted, rising=rising)


def _run_figures(
    images: Sequence[LabelledImage],
    run: Judged,
    figures: RunFigures,
    everything: Slice,
    classes: Sequence[str],
) -> dict[str, Any]:
    clean = np.array([i.is_clean for i in images], bool)
    share = parts_of(images, np.ones(len(images), bool)).share[clean]
    best = image_scores(run.found)[clean]
    alarms = recall_above(best, share[None, :], np.array([figures.threshold]))
    coco = coco_figures(images, run.found, everything, classes)
    return {
        "arm": run.arm,
        "draw": run.draw,
        "seed": run.seed,
        "real_parts": run.real_parts,
        "coco_ap50": _number(coco["ap50"]),
        "coco_ap50_95": _number(coco["ap50_95"]),
        "alarm_threshold": _number(figures.threshold),
        "threshold_from": "these photographs" if run.threshold is None else "other photographs",
        "false_alarm_rate": _number(alarms[0]),
    }


def _shown_above(
    images: Sequence[LabelledImage], run: Judged, figures: RunFigures, classes: Sequence[str]
) -> float:
    """Return the score above which detections are shown and sorted into mistakes."""
    if np.isnan(figures.threshold):
        return one_stray_an_image(images, run.found, classes)
    return figures.threshold


def _mistakes(
    images: Sequence[LabelledImage],
    runs: Sequence[Judged],
    thresholds: Sequence[float],
    arms: Sequence[str],
    classes: Sequence[str],
) -> dict[str, dict[str, dict[str, float]]]:
    """Return counts by arm and kind, means over the arm's runs."""
    result = {}
    for arm in arms:
        each = [
            count_mistakes(images, r.found, classes, t)
            for r, t in zip(runs, thresholds, strict=True)
            if r.arm == arm
        ]
        result[arm] = {
            kind: {name: float(np.mean([e[kind][name] for e in each])) for name in each[0][kind]}
            for kind in each[0]
        }
    return result


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
