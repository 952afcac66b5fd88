"""The report's plots, as PNG bytes."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from simgen.report.answer import METRIC_NAMES

_COLOURS = ("#4c566a", "#0b7a75", "#d1495b", "#edae49", "#66479c", "#2e6fbb")


def figures_plot(slices: Sequence[Mapping[str, Any]], arms: Sequence[str]) -> bytes:
    """Plot every metric of every arm by slice, with intervals.

    Args:
        slices: Entries of `judge`.
        arms: Arms in order of their colours.
    """
    figure = Figure(figsize=(3.6 * len(METRIC_NAMES), 0.8 + 0.2 * len(slices) * (len(arms) + 1)))
    axes = figure.subplots(1, len(METRIC_NAMES), sharey=True, squeeze=False)[0]
    rows = np.arange(len(slices))[::-1] * (len(arms) + 1.0)
    for axis, (metric, name) in zip(axes, METRIC_NAMES.items(), strict=True):
        for number, arm in enumerate(arms):
            for row, entry in zip(rows + len(arms) - 1 - number, slices, strict=True):
                figures = entry["arms"][arm][metric]
                _bar(axis, row, figures["value"], figures, _COLOURS[number % len(_COLOURS)])
        axis.set_title(name, fontsize=10)
        axis.set_xlim(-0.02, 1.02)
        axis.grid(axis="x", alpha=0.3)
    _label_rows(axes[0], rows + (len(arms) - 1) / 2, slices)
    handles = [
        axes[0].plot([], [], "o-", color=_COLOURS[n % len(_COLOURS)], label=arm)[0]
        for n, arm in enumerate(arms)
    ]
    figure.legend(handles=handles, loc="lower center", ncols=len(arms), fontsize=9, frameon=False)
    return _png(figure)


def differences_plot(
    slices: Sequence[Mapping[str, Any]], arms: Sequence[str], control: str
) -> bytes:
    """Plot each arm's difference to the control by slice, with intervals."""
    others = [a for a in arms if a != control]
    figure = Figure(figsize=(3.6 * len(METRIC_NAMES), 0.8 + 0.22 * len(slices) * (len(others) + 1)))
    axes = figure.subplots(1, len(METRIC_NAMES), sharey=True, squeeze=False)[0]
    rows = np.arange(len(slices))[::-1] * (len(others) + 1.0)
    for axis, (metric, name) in zip(axes, METRIC_NAMES.items(), strict=True):
        axis.axvline(0, color="black", linewidth=0.8)
        for number, arm in enumerate(others):
            colour = _COLOURS[arms.index(arm) % len(_COLOURS)]
            for row, entry in zip(rows + len(others) - 1 - number, slices, strict=True):
                against = entry["versus_control"][arm][metric]
                _bar(axis, row, against["difference"], against, colour)
        axis.set_title(f"{name}, difference to {control}", fontsize=10)
        axis.grid(axis="x", alpha=0.3)
    _label_rows(axes[0], rows + (len(others) - 1) / 2, slices)
    return _png(figure)


def losses_plot(curves: Mapping[str, Sequence[Mapping[str, float]]]) -> bytes:
    """Plot the training losses of every run over its image passes.

    Args:
        curves: Records of metrics.jsonl by run.
    """
    figure = Figure(figsize=(10.8, 3.0))
    axes = figure.subplots(1, 3)
    for axis, term in zip(axes, ("box_loss", "cls_loss", "dfl_loss"), strict=True):
        for number, (name, records) in enumerate(curves.items()):
            points = [(r["passes"], r[term]) for r in records if term in r]
            axis.plot(
                *zip(*points, strict=True), color=_COLOURS[number % len(_COLOURS)], label=name
            )
        axis.set_title(term.replace("_", " "), fontsize=10)
        axis.set_xlabel("image passes", fontsize=9)
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=8, frameon=False)
    return _png(figure)


def _bar(axis: Any, row: float, value: float | None, ends: Mapping[str, Any], colour: str) -> None:
    if value is None:
        return
    if ends["low"] is not None:
        axis.plot([ends["low"], ends["high"]], [row, row], color=colour, linewidth=2, alpha=0.6)
    axis.plot([value], [row], "o", color=colour, markersize=5)


def _label_rows(axis: Any, rows: np.ndarray, slices: Sequence[Mapping[str, Any]]) -> None:
    axis.set_yticks(rows, [f"{s['slice']} ({s['parts']} parts)" for s in slices], fontsize=9)


def _png(figure: Figure) -> bytes:
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    buffer = io.BytesIO()
    # Without a date in the file, the same figures give the same bytes.
    figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    return buffer.getvalue()
