"""Histograms and scatter plots as inline SVG: small, sharp and without any extra."""

from collections.abc import Callable, Sequence

import numpy as np

from simgen.calibrate.sample import Sample

REAL, SIMULATED = "#4c566a", "#d1495b"
_WIDTH, _HEIGHT = 300, 130
_LEFT, _RIGHT, _TOP, _BOTTOM = 8, 8, 6, 20
_BINS = 28


def histogram_svg(real: Sample, simulated: Sample, *, log: bool) -> str:
    """Return both weighted histograms on one axis: photographs filled, simulated as a line.

    Args:
        real, simulated: Not both empty.
        log: Logarithmic axis; values of 0 fall into its first bin.
    """
    values = np.concatenate([real.values, simulated.values])
    scale, ends = _axis(values, log)
    first, last = (float(v) for v in scale(np.array(ends)))
    edges = np.linspace(first, last, _BINS + 1)
    counts = [
        np.histogram(np.clip(scale(s.values), edges[0], edges[-1]), edges, weights=s.weights)[0]
        for s in (real, simulated)
    ]
    top = max(float(c.max(initial=0)) for c in counts) or 1.0
    x = _LEFT + (edges - edges[0]) / (edges[-1] - edges[0]) * (_WIDTH - _LEFT - _RIGHT)
    floor = _HEIGHT - _BOTTOM
    shapes = []
    for sample, count, style in (
        (real, counts[0], f'fill="{REAL}" fill-opacity="0.35" stroke="none"'),
        (simulated, counts[1], f'fill="none" stroke="{SIMULATED}" stroke-width="1.6"'),
    ):
        if len(sample):
            y = floor - count / top * (floor - _TOP)
            points = [(x[0], floor)]
            for k, level in enumerate(y):
                points += [(x[k], level), (x[k + 1], level)]
            points.append((x[-1], floor))
            shapes.append(f'<polygon points="{_points(points)}" {style}/>')
    return _svg([*shapes, *_ticks(ends, x)])


def scatter_svg(
    real: tuple[np.ndarray, np.ndarray], simulated: tuple[np.ndarray, np.ndarray]
) -> str:
    """Return points of both sides, (x, y) each, from zero on both axes."""
    xs, ys = (np.concatenate([real[k], simulated[k]]) for k in (0, 1))
    right, top = float(xs.max(initial=1e-9)), float(ys.max(initial=1e-9))
    floor = _HEIGHT - _BOTTOM
    dots = []
    for (x, y), colour in ((real, REAL), (simulated, SIMULATED)):
        at_x = _LEFT + x / right * (_WIDTH - _LEFT - _RIGHT)
        at_y = floor - y / top * (floor - _TOP)
        dots += [
            f'<circle cx="{a:.1f}" cy="{b:.1f}" r="1.6" fill="{colour}" fill-opacity="0.55"/>'
            for a, b in zip(at_x, at_y, strict=True)
        ]
    ends = np.array([_LEFT, _WIDTH - _RIGHT], np.float64)
    labels = [*_ticks((0.0, right), ends), _text(_LEFT, _TOP + 8, f"{top:.3g}", "start")]
    return _svg([*dots, *labels])


def _axis(
    values: np.ndarray, log: bool
) -> tuple[Callable[[np.ndarray], np.ndarray], tuple[float, float]]:
    if log:
        positive = values[values > 0]
        floor = float(positive.min()) if len(positive) else 1.0
        # Two decades below the median are enough; the rest falls into the first bin.
        floor = max(floor, float(np.median(values)) / 100)
        high = max(float(values.max()), floor * 1.01)
        return lambda v: np.log(np.maximum(np.asarray(v, np.float64), floor)), (floor, high)
    low, high = (float(v) for v in np.quantile(values, (0.005, 0.995)))
    if high <= low:
        low, high = low - 0.5, high + 0.5
    return lambda v: np.asarray(v, np.float64), (low, high)


def _ticks(ends: tuple[float, float], x: np.ndarray) -> Sequence[str]:
    y = _HEIGHT - 5
    line = f'<path d="M{x[0]:.1f} {_HEIGHT - _BOTTOM}H{x[-1]:.1f}" stroke="#888"/>'
    return [
        line,
        _text(x[0], y, f"{ends[0]:.3g}", "start"),
        _text(x[-1], y, f"{ends[1]:.3g}", "end"),
    ]


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="11" fill="#555"'
        f' text-anchor="{anchor}">{text}</text>'
    )


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _svg(parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}"'
        f' role="img">{"".join(parts)}</svg>'
    )
