"""The report's plots: small panels of PNG bytes, that stand side by side or one below the other."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

# The control is grey. Distinct for colour-blind eyes too (after Okabe and Ito).
_COLOURS = ("#4c566a", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#7b3294")
# With more lines than this, bands hide each other.
_MOST_BANDS = 3
_LOSSES = ("box_loss", "cls_loss", "dfl_loss")


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A plot, and what it says to who cannot see it."""

    title: str
    png: bytes


def froc_panels(slices: Sequence[Mapping[str, Any]], arms: Sequence[str]) -> list[Panel]:
    """Plot the free-response curve of each slice.

    Args:
        slices: Entries of `judge`.
        arms: A control and what is compared with it.
    """
    panels = []
    for entry in slices:
        if not any(entry["froc"].get(arm) for arm in arms):
            continue
        figure, axis = _axis()
        for number, arm in enumerate(arms):
            points = [p for p in entry["froc"][arm] if p["value"] is not None]
            colour = _COLOURS[number % len(_COLOURS)]
            rates = [p["false_alarms"] for p in points]
            axis.plot(rates, [p["value"] for p in points], "o-", color=colour, ms=3, label=arm)
            known = [p for p in points if p["low"] is not None]
            if len(arms) <= _MOST_BANDS:
                axis.fill_between(
                    [p["false_alarms"] for p in known],
                    [p["low"] for p in known],
                    [p["high"] for p in known],
                    color=colour,
                    alpha=0.12,
                    linewidth=0,
                )
        axis.set_xscale("log", base=2)
        rates = [p["false_alarms"] for arm in arms for p in entry["froc"][arm]]
        ticks = sorted(set(rates))
        axis.set_xticks(ticks, [f"{r:g}" for r in ticks])
        axis.set_ylim(-0.02, 1.02)
        axis.set_xlabel("false alarms an image")
        axis.set_ylabel("labels found (IoU 0.1)")
        count = f"{entry['parts']} part{'' if entry['parts'] == 1 else 's'}"
        panels.append(_panel(figure, axis, f"{entry['slice']} ({count})"))
    return panels


def worth_panels(curves: Sequence[Mapping[str, Any]], metrics: Mapping[str, str]) -> list[Panel]:
    """Plot figures over the number of real parts, with and without synthetic images.

    Args:
        curves: `worth_curves` of `judge`.
        metrics: Titles of figures.
    """
    panels = []
    for entry in curves:
        figure, axis = _axis()
        sides = (("without", "without synthetic", -0.02), ("mixed", "with synthetic", 0.02))
        for colour, (which, label, shift) in zip(_COLOURS, sides, strict=False):
            points = [p for p in entry[which] if p["value"] is not None]
            # A little apart, so that intervals at the same number do not hide each other.
            at = [(1 + p["real_parts"]) * (1 + shift) for p in points]
            axis.plot(at, [p["value"] for p in points], "o-", color=colour, ms=4, label=label)
            for x, point in zip(at, points, strict=True):
                if point["low"] is not None:
                    ends = [point["low"], point["high"]]
                    axis.plot([x, x], ends, color=colour, alpha=0.5, lw=2)
        axis.set_xscale("log")
        numbers = sorted({p["real_parts"] for w in ("without", "mixed") for p in entry[w]})
        axis.set_xticks([1 + n for n in numbers], [str(n) for n in numbers])
        axis.set_xticks([], minor=True)
        axis.set_ylim(-0.02, 1.02)
        axis.set_xlabel("real parts of each kind" if entry["slice"] == "all" else "real parts")
        axis.set_ylabel(metrics[entry["metric"]])
        panels.append(_panel(figure, axis, entry["slice"]))
    return panels


def learning_panels(
    runs: Sequence[Mapping[str, Any]],
    arms: Sequence[str],
    metrics: Mapping[str, str],
) -> list[Panel]:
    """Plot every run's figures on val while it trained, and its losses.

    Args:
        runs: The record's runs, with `arm`, `curve` and `losses`.
        arms: A control and what is compared with it.
        metrics: Titles of figures.
    """
    shown = [(n, r) for n, arm in enumerate(arms) for r in runs if r["arm"] == arm]
    panels = []
    for name in ("ap50", "ap10"):
        lines = [(n, [(p["passes"], p[name]) for p in r.get("curve", ())]) for n, r in shown]
        panels.append(_lines(lines, arms, f"{metrics[name]} on val"))
    for term in _LOSSES:
        of_run = [(n, r.get("losses", ())) for n, r in shown]
        lines = [(n, [(p["passes"], p[term]) for p in each if term in p]) for n, each in of_run]
        panels.append(_lines(lines, arms, term.replace("_", " ")))
    return [p for p in panels if p is not None]


def _lines(
    lines: Sequence[tuple[int, Sequence[tuple[float, float | None]]]],
    arms: Sequence[str],
    title: str,
) -> Panel | None:
    known = [(n, [p for p in line if p[1] is not None]) for n, line in lines]
    known = [(n, line) for n, line in known if line]
    if not known:
        return None
    figure, axis = _axis()
    named: set[int] = set()
    for number, line in known:
        label = None if number in named else arms[number]
        named.add(number)
        colour = _COLOURS[number % len(_COLOURS)]
        axis.plot(*zip(*line, strict=True), color=colour, lw=1, alpha=0.85, label=label)
    axis.set_ylim(bottom=0)
    axis.set_xlabel("image passes")
    return _panel(figure, axis, title)


def _axis() -> tuple[Figure, Any]:
    figure = Figure(figsize=(3.6, 2.8), layout="constrained")
    axis = figure.subplots()
    axis.grid(alpha=0.3)
    axis.tick_params(labelsize=8)
    return figure, axis


def _panel(figure: Figure, axis: Any, title: str) -> Panel:
    axis.set_title(title, fontsize=10)
    axis.xaxis.label.set_size(8.5)
    axis.yaxis.label.set_size(8.5)
    axis.legend(fontsize=7, framealpha=0.7, edgecolor="none")
    buffer = io.BytesIO()
    # Without a date in the file, the same figures give the same bytes.
    figure.savefig(buffer, format="png", dpi=130, metadata={"Software": None})
    return Panel(title=title, png=buffer.getvalue())
