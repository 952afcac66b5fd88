"""The report's first line: what synthetic images did for the bottleneck, in plain words."""

from collections.abc import Mapping
from typing import Any

from simgen.evaluate.config import Bottleneck
from simgen.evaluate.judge import FALLING, TOO_FEW

METRIC_NAMES = {
    "ap50": "AP50",
    "ap10": "AP at IoU 0.1",
    "ap50_95": "AP50-95",
    "recall": "image-level recall",
    "miss_rate": "image-level miss rate",
    "false_alarms": "false alarms on clean parts",
}


def answer(bottleneck: Bottleneck | None, judged: Mapping[str, Any], split: str) -> str:
    """Return one line that answers the experiment's question, whatever the answer is.

    Args:
        bottleneck: The question; None asks about everything.
        judged: Result of `judge`.
        split: Name of the photographs' split.
    """
    asked = bottleneck or Bottleneck(slice="all")
    reason = f" ({asked.reason})" if asked.reason else ""
    question = f"Do synthetic images help {asked.slice}{reason}?"
    entry = next((s for s in judged["slices"] if s["slice"] == asked.slice), None)
    if entry is None or not entry["versus_control"]:
        return f"{question} Not answered: no {split} photograph shows it, or nothing was compared."
    compared = {arm: metrics[asked.metric] for arm, metrics in entry["versus_control"].items()}
    controls = judged["controls"]
    details = [_detail(arm, entry, compared[arm], asked.metric, controls[arm]) for arm in compared]
    lead = _lead(compared, entry["parts"], split, falling=asked.metric in FALLING)
    return f"{question} {lead} {METRIC_NAMES[asked.metric]}: {'; '.join(details)}."


def _lead(
    compared: Mapping[str, Mapping[str, Any]], parts: int, split: str, *, falling: bool
) -> str:
    verdicts = {arm: c["verdict"] for arm, c in compared.items()}
    helping = [arm for arm, v in verdicts.items() if v == "helps"]
    hurting = [arm for arm, v in verdicts.items() if v == "hurts"]
    judges = f"{parts} {split} part{'' if parts == 1 else 's'}"
    if helping:
        also = f" ({', '.join(hurting)} hurts)" if hurting else ""
        return f"Yes, in {', '.join(helping)}{also}; judged on {judges}."
    if hurting:
        return f"No: {', '.join(hurting)} hurts; judged on {judges}."
    sign = -1 if falling else 1
    better = [arm for arm, c in compared.items() if sign * (c["difference"] or 0) > 0]
    others = [arm for arm in compared if arm not in better]
    rose, rise = ("fell", "fall") if falling else ("rose", "rise")
    if better and others:
        rose = f"{rose} in {', '.join(better)} and not in {', '.join(others)}"
    return _undecided(verdicts, judges, parts, (rose if better else "", rise))


def _undecided(verdicts: Mapping[str, str], judges: str, parts: int, moved: tuple[str, str]) -> str:
    rose, rise = moved
    if TOO_FEW in verdicts.values():
        seen = f"The figure {rose}, but" if rose else f"No {rise} was seen, and"
        return f"{seen} {judges} {'is' if parts == 1 else 'are'} too few for a verdict."
    if rose:
        return f"Cannot tell: the figure {rose}, within what chance does to {judges}."
    return f"No {rise} was seen on {judges}."


def _detail(
    arm: str, entry: Mapping[str, Any], against: Mapping[str, Any], metric: str, control: str
) -> str:
    before, after = entry["arms"][control][metric]["value"], entry["arms"][arm][metric]["value"]
    if before is None or after is None:
        return f"{arm} has no figure"
    text = f"{control} {before:.3f}, {arm} {after:.3f}, difference {against['difference']:+.3f}"
    if against["low"] is not None:
        text += f" [{against['low']:+.3f}, {against['high']:+.3f}]"
    return f"{text} ({against['verdict']})"
