"""From detections of all runs to figures by slice, intervals and verdicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simgen.evaluate.bootstrap import (
    holm,
    interval,
    minimum_detectable,
    p_value,
    resample_weights,
    verdict,
)
from simgen.evaluate.config import METRICS, EvaluateConfig
from simgen.evaluate.matching import Matches, match
from simgen.evaluate.metrics import (
    Parts,
    alarm_threshold,
    average_precision,
    precision_table,
    recall_above,
)
from simgen.evaluate.predictions import Detections
from simgen.evaluate.slices import Slice, make_slices, parts_of, strata_of
from simgen.train.images import LabelledImage

TOO_FEW = "too few parts"
_IOU = {"ap50": 0.5, "ap10": 0.1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One run's detections on the photographs.

    Attributes:
        arm, seed: Which run.
        found: Detections by image.
    """

    arm: str
    seed: int
    found: tuple[Detections, ...]


def judge(
    images: Sequence[LabelledImage],
    runs: Sequence[Judged],
    classes: Sequence[str],
    config: EvaluateConfig,
    control: str | None,
) -> dict[str, Any]:
    """Return figures by slice for every arm, and each arm against the control.

    Args:
        images: The photographs.
        runs: Detections of every arm and seed on them.
        classes: Names of the detections' kinds.
        config: Intervals, false-alarm rate, and what is too few.
        control: Arm that the others are compared with, or None.

    Returns:
        JSON-ready: `slices` (a list) and `runs` (COCO's own AP50, thresholds).
    """
    slices = make_slices(images, classes, config.by)
    everything = parts_of(images, np.ones(len(images), bool))
    weights = resample_weights(strata_of(images), everything.count, config.resamples, config.seed)
    tables = [_figures(images, r, slices, classes, weights, config) for r in runs]
    arms = list(dict.fromkeys(r.arm for r in runs))

    results = []
    for number, part in enumerate(slices):
        curves = {
            (arm, m): _mean(
                [t[number][m] for t, r in zip(tables, runs, strict=True) if r.arm == arm]
            )
            for arm in arms
            for m in METRICS
        }
        entry: dict[str, Any] = {
            "slice": part.name,
            "group": part.group,
            "parts": part.num_parts,
            "images": int(part.defective.sum()),
            "arms": {},
            "versus_control": {},
        }
        for arm in arms:
            seeds = [(r.seed, t[number]) for t, r in zip(tables, runs, strict=True) if r.arm == arm]
            entry["arms"][arm] = {m: _figure(curves[arm, m], seeds, m, config) for m in METRICS}
            if control in arms and arm != control:
                entry["versus_control"][arm] = {
                    m: _difference(curves[arm, m] - curves[control, m], config) for m in METRICS
                }
        results.append(entry)
    _give_verdicts(results, config)
    return {
        "slices": results,
        "runs": [_run_figures(images, r, classes, config) for r in runs],
        "parts": everything.count,
        "clean_parts": len({i.part for i in images if i.is_clean}),
        "images": len(images),
    }


def image_scores(found: Sequence[Detections]) -> np.ndarray:
    """Return each image's highest detection score over all kinds, 0 without any; shape (I,)."""
    return np.array([d.scores.max(initial=0.0) for d in found])


def coco_ap50(matches: Sequence[Matches], num_images: int) -> float:
    """Return AP50 with images weighted equally: what pycocotools gives for the same detections."""
    parts = Parts(of_image=np.zeros(num_images, np.int64), share=np.ones(num_images), count=1)
    each = [average_precision(precision_table(m, parts), np.ones((1, 1)))[0] for m in matches]
    return float(np.nanmean(each)) if not np.all(np.isnan(each)) else float("nan")


def _figures(
    images: Sequence[LabelledImage],
    run: Judged,
    slices: Sequence[Slice],
    classes: Sequence[str],
    weights: np.ndarray,
    config: EvaluateConfig,
) -> list[dict[str, np.ndarray]]:
    """Return per slice and metric the value under each row of weights, shape (B + 1,)."""
    best = image_scores(run.found)
    clean = np.array([i.is_clean for i in images], bool)
    everything = parts_of(images, np.ones(len(images), bool))
    image_weights = weights[:, everything.of_image] * everything.share
    threshold = alarm_threshold(best[clean], image_weights[:, clean], config.false_alarm_rate)
    matches = {
        (m, k): match(images, run.found, classes, k, _IOU[m]) for m in _IOU for k in slices[0].kinds
    }
    precision: dict[tuple[str, str, bytes], np.ndarray] = {}
    rows = []
    for part in slices:
        parts = parts_of(images, part.looked_at)
        row = {}
        for metric in _IOU:
            each = []
            for kind in part.kinds:
                key = (metric, kind, part.looked_at.tobytes())
                if key not in precision:
                    table = precision_table(matches[metric, kind], parts)
                    precision[key] = average_precision(table, weights)
                each.append(precision[key])
            row[metric] = _mean(each) if each else np.full(len(weights), np.nan)
        chosen = part.defective
        shown = parts_of(images, chosen)
        seen = weights[:, shown.of_image[chosen]] * shown.share[chosen]
        row["recall"] = recall_above(best[chosen], seen, threshold)
        rows.append(row)
    return rows


def _mean(values: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean over the first axis without NaN, NaN where all are."""
    stacked = np.stack(values)
    valid = ~np.isnan(stacked)
    count = valid.sum(axis=0)
    total = np.where(valid, stacked, 0.0).sum(axis=0)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def _figure(
    curve: np.ndarray,
    seeds: Sequence[tuple[int, Mapping[str, np.ndarray]]],
    metric: str,
    config: EvaluateConfig,
) -> dict[str, Any]:
    low, high = interval(curve[1:], config.confidence)
    by_seed = {str(seed): _number(row[metric][0]) for seed, row in seeds}
    return {"value": _number(curve[0]), "low": low, "high": high, "by_seed": by_seed}


def _difference(curve: np.ndarray, config: EvaluateConfig) -> dict[str, Any]:
    low, high = interval(curve[1:], config.confidence)
    return {
        "difference": _number(curve[0]),
        "low": low,
        "high": high,
        "p": p_value(curve[1:]),
        "minimum_detectable": minimum_detectable(curve[1:]),
    }


def _give_verdicts(results: list[dict[str, Any]], config: EvaluateConfig) -> None:
    """Add verdicts; Holm's correction is over the slices that have enough parts."""
    compared = results[0]["versus_control"]
    for arm, metric in ((a, m) for a in compared for m in compared[a]):
        family = []
        for result in results:
            entry = result["versus_control"][arm][metric]
            if result["parts"] < config.min_parts:
                entry["verdict"] = TOO_FEW
            elif entry["p"] is None:
                entry["verdict"] = verdict(None, None)
            else:
                family.append(entry)
        for entry, adjusted in zip(family, holm([e["p"] for e in family]), strict=True):
            entry |= {"p_holm": adjusted, "verdict": verdict(entry["difference"], adjusted)}


def _run_figures(
    images: Sequence[LabelledImage], run: Judged, classes: Sequence[str], config: EvaluateConfig
) -> dict[str, Any]:
    kinds = [k for k in classes if any(k in i.kinds for i in images)]
    matches = [match(images, run.found, classes, k, 0.5) for k in kinds]
    clean = np.array([i.is_clean for i in images], bool)
    share = parts_of(images, np.ones(len(images), bool)).share[clean]
    best = image_scores(run.found)[clean]
    threshold = alarm_threshold(best, share[None, :], config.false_alarm_rate)
    alarms = recall_above(best, share[None, :], threshold)
    return {
        "arm": run.arm,
        "seed": run.seed,
        "coco_ap50": _number(coco_ap50(matches, len(images))),
        "alarm_threshold": _number(threshold[0]),
        "false_alarm_rate": _number(alarms[0]),
    }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
