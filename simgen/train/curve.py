"""The validation curve: figures through training, the best point, and whether it still rose."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simgen.train.images import Source

Predict = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]

# A curve is flat if, averaged over three points, its last third rose by less than this share of
# its height, or than what is nothing.
_RISE = 0.1
_NOTHING = 0.005
_SMOOTH = 3
_POINTS_NEEDED = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """What a run is looked at with while it trains: val, or a fold, never the holdout.

    Attributes:
        photographs: What is detected in.
        figures: Gives figures by name, `ap50` and `ap10` at least, of a detector on them; NaN
            where there is none.
    """

    photographs: Source
    figures: Callable[[Predict, Source], Mapping[str, float]]


def validation_steps(steps: int, points: int) -> frozenset[int]:
    """Return after which steps to validate: evenly spaced, the last one among them."""
    points = min(points, steps)
    return frozenset(round((i + 1) * steps / points) - 1 for i in range(points))


def best_point(curve: Sequence[Mapping[str, Any]], by: str) -> Mapping[str, Any] | None:
    """Return the first point with the highest figure, None if there is no figure."""
    known = [p for p in curve if p[by] is not None]
    return max(known, key=lambda p: (p[by], -p["passes"]), default=None)


def converged(curve: Sequence[Mapping[str, Any]], by: str) -> bool | None:
    """Return whether the figure had stopped rising; None if too few points tell.

    The falling rate flattens any curve at its end, so a flat one shows only that these passes
    were used up; that more would not help, a run with more passes shows.
    """
    values = [p[by] for p in curve]
    if len(values) < _POINTS_NEEDED or any(v is None for v in values):
        return None
    smooth = np.convolve(values, np.ones(_SMOOTH) / _SMOOTH, mode="valid")
    third = max(1, len(smooth) // 3)
    late, before = smooth[-third:].max(), smooth[:-third].max()
    return bool(late - before < max(_NOTHING, _RISE * late))
