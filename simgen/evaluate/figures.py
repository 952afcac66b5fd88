"""One run's figures in every slice, under every row of weights of the parts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from simgen.evaluate.config import EvaluateConfig
from simgen.evaluate.inference import nested_mean
from simgen.evaluate.matching import Counted, Matches, match_at
from simgen.evaluate.metrics import (
    Parts,
    alarm_threshold,
    average_precision,
    hits_at_false_alarms,
    precision_table,
    recall_above,
)
from simgen.evaluate.predictions import Detections
from simgen.evaluate.slices import Slice, make_slices, parts_of
from simgen.train.images import LabelledImage

LOOSE_IOU = 0.1
_COCO_IOUS = tuple(np.linspace(0.5, 0.95, 10).tolist())
_IOUS = (LOOSE_IOU, *_COCO_IOUS)
# False detections an image at which the free-response curve is read off.
FALSE_ALARMS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One run's detections on the photographs.

    Attributes:
        arm, draw, seed: Which run; `draw` numbers the draws of which real parts train.
        found: Detections by image.
        threshold: Score above which an image raises an alarm, chosen beforehand on other
            photographs; None: that at the false-alarm rate on these.
        real_parts: Real parts of each kind that it was trained on; None: all or unknown.
        parts_by_kind: How many real parts that really were, by kind; empty: unknown.
    """

    arm: str
    seed: int
    found: tuple[Detections, ...]
    draw: int = 0
    threshold: float | None = None
    real_parts: int | None = None
    parts_by_kind: Mapping[str, int] = field(default_factory=dict)

    @property
    def key(self) -> tuple[int, int]:
        """Draw and seed: runs of two arms with the same key are compared."""
        return self.draw, self.seed


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFigures:
    """One run's figures.

    Attributes:
        by_slice: Per slice, each metric's values, shape (R,) for R rows of weights.
        froc: Per slice, share of labels found at `FALSE_ALARMS`, shape (R, 7), or None for
            slices without a label.
        threshold: Alarm threshold at which the miss rate and false alarms stand.
    """

    by_slice: tuple[Mapping[str, np.ndarray], ...]
    froc: tuple[np.ndarray | None, ...]
    threshold: float


def figures_of(
    images: Sequence[LabelledImage],
    run: Judged,
    slices: Sequence[Slice],
    classes: Sequence[str],
    weights: np.ndarray,
    config: EvaluateConfig,
) -> RunFigures:
    """Compute them all; labels are matched once for each kind and each way of counting them."""
    table = _Precision(images, run.found, classes, weights)
    best = image_scores(run.found)
    clean = np.array([i.is_clean for i in images], bool)
    everything = parts_of(images, np.ones(len(images), bool))
    image_weights = weights[:, everything.of_image] * everything.share
    calibrated = alarm_threshold(best[clean], image_weights[:, clean], config.false_alarm_rate)
    fixed = operating_threshold(images, run, config.false_alarm_rate)
    alarms = np.full(len(weights), fixed)
    rows, froc = [], []
    for part in slices:
        parts = parts_of(images, part.looked_at)
        each = {k: table.of(k, part, parts) for k in part.kinds}
        missing = np.full((len(_IOUS), len(weights)), np.nan)
        mean = mean_known([e[0] for e in each.values()]) if each else missing
        shown = _image_weights(images, part.defective, weights)
        quiet = clean & part.looked_at
        noisy = recall_above(best[quiet], _image_weights(images, quiet, weights), alarms)
        unseen = np.full(len(weights), np.nan)
        rows.append(
            {
                "ap50": mean[1],
                "ap50_95": mean[1:].mean(axis=0),
                "ap10": mean[0],
                "recall": recall_above(best[part.defective], shown, calibrated),
                "miss_rate": 1 - recall_above(best[part.defective], shown, alarms),
                # Clean images show no kind: a kind's false alarms are everybody's.
                "false_alarms": unseen if part.group == "kind" or part.counted else noisy,
            }
        )
        curves = [e[1] for e in each.values()]
        froc.append(mean_known(curves) if curves else None)
    return RunFigures(by_slice=tuple(rows), froc=tuple(froc), threshold=fixed)


def image_scores(found: Sequence[Detections]) -> np.ndarray:
    """Return each image's highest detection score over all kinds, 0 without any; shape (I,)."""
    return np.array([d.scores.max(initial=0.0) for d in found])


def operating_threshold(
    images: Sequence[LabelledImage], run: Judged, false_alarm_rate: float
) -> float:
    """Return the run's own threshold, or that at the rate on these images; NaN without clean."""
    if run.threshold is not None:
        return run.threshold
    clean = np.array([i.is_clean for i in images], bool)
    share = parts_of(images, np.ones(len(images), bool)).share[clean]
    best = image_scores(run.found)[clean]
    return float(alarm_threshold(best, share[None, :], false_alarm_rate)[0])


def coco_figures(
    images: Sequence[LabelledImage],
    found: Sequence[Detections],
    part: Slice,
    classes: Sequence[str],
) -> dict[str, float]:
    """Return AP50 and AP50-95 of a slice with images weighted equally, as pycocotools does."""
    parts = Parts(
        of_image=np.zeros(len(images), np.int64), share=part.looked_at.astype(float), count=1
    )
    table = _Precision(images, found, classes, np.ones((1, 1)))
    if not part.kinds:
        return {"ap50": np.nan, "ap50_95": np.nan}
    mean = mean_known([table.of(k, part, parts)[0] for k in part.kinds])[1:, 0]
    return {"ap50": float(mean[0]), "ap50_95": float(mean.mean())}


def arm_figures(
    images: Sequence[LabelledImage],
    runs: Sequence[Judged],
    classes: Sequence[str],
    config: EvaluateConfig,
    metric: str,
) -> dict[str, float]:
    """Return one figure of every arm over everything, the mean over its runs, no interval."""
    everything = make_slices(images, classes, ()).made[:1]
    ones = np.ones((1, parts_of(images, everything[0].looked_at).count))
    each: dict[str, dict[tuple[int, int], np.ndarray]] = {}
    for run in runs:
        figures = figures_of(images, run, everything, classes, ones, config)
        each.setdefault(run.arm, {})[run.key] = figures.by_slice[0][metric]
    return {arm: float(nested_mean(curves)[0]) for arm, curves in each.items()}


def mean_known(values: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean over the first axis without NaN, NaN where all are."""
    stacked = np.stack(values)
    valid = ~np.isnan(stacked)
    count = valid.sum(axis=0)
    total = np.where(valid, stacked, 0.0).sum(axis=0)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


class _Precision:
    """Average precisions of one run, each way of counting labels matched once."""

    def __init__(
        self,
        images: Sequence[LabelledImage],
        found: Sequence[Detections],
        classes: Sequence[str],
        weights: np.ndarray,
    ) -> None:
        self._images, self._found, self._classes = images, found, classes
        self._weights = weights
        self._matches: dict[tuple[str, int], list[Matches]] = {}

    def of(self, kind: str, part: Slice, parts: Parts) -> tuple[np.ndarray, np.ndarray]:
        """Return average precision at every overlap, (11, R), and the free-response curve."""
        matches = self._matched(kind, part.counted)
        tables = [precision_table(m, parts) for m in matches]
        precision = np.stack([average_precision(t, self._weights) for t in tables])
        images = np.bincount(parts.of_image, parts.share, minlength=parts.count)
        return precision, hits_at_false_alarms(tables[0], self._weights, images, FALSE_ALARMS)

    def _matched(self, kind: str, counted: Counted | None) -> list[Matches]:
        key = (kind, id(counted))
        if key not in self._matches:
            self._matches[key] = match_at(
                self._images, self._found, self._classes, kind, _IOUS, counted
            )
        return self._matches[key]


def _image_weights(
    images: Sequence[LabelledImage], chosen: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    parts = parts_of(images, chosen)
    return weights[:, parts.of_image[chosen]] * parts.share[chosen]
