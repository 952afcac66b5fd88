"""A picture from several passes, without the white specks that single paths leave."""

from collections.abc import Callable

import numpy as np

_PASSES = 4
# A pass so much brighter than every other one met a lamp by a path of small chance.
_FACTOR, _FLOOR = 3.0, 0.1


def mean_of_passes(trace: Callable[[int, int], np.ndarray], samples: int, most: int) -> np.ndarray:
    """Return the mean of passes; in a pixel that flashes in one, that one counts as the next.

    The judgement is the pixel's own, so that it is the same in a view and its twin wherever
    they are.

    Args:
        trace: Takes a pass's number and its samples a pixel; returns (h, w, 3), float32.
        samples: A pixel, of all passes.
        most: Samples a pixel that one pass may have.
    """
    count = max(min(_PASSES, samples), -(-samples // most))
    share = -(-samples // count)
    total = trace(0, share)
    brightest = total.copy()
    first = total.max(axis=-1)
    second = np.zeros_like(first)
    for number in range(1, count):
        image = trace(number, share)
        total += image
        bright = image.max(axis=-1)
        leads = bright > first
        second = np.maximum(second, np.minimum(first, bright))
        first[leads], brightest[leads] = bright[leads], image[leads]
    if count > 1:
        flash = first > _FACTOR * second + _FLOOR
        total[flash] -= brightest[flash] * (1 - second[flash] / first[flash])[:, None]
    mean: np.ndarray = total / np.float32(count)
    return mean
