"""Write report.json and the self-contained report.html."""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from simgen.report.answer import METRIC_NAMES
from simgen.report.gallery import Row
from simgen.report.plots import Panel, froc_panels, learning_panels, worth_panels


def write_report(
    folder: Path,
    record: Mapping[str, Any],
    pictures: Mapping[str, Mapping[str, Sequence[Row]]],
) -> tuple[Path, Path]:
    """Write both reports and return their paths.

    Args:
        folder: Where to.
        record: What report.json holds: `answer`, `name`, `split`, `control`, `arms`,
            `evaluation` (from `judge`), `own_best` (the same for each run's own best weights, or
            None), `runs`, `sources`, `config`, `commands`, `warnings` (the guard's),
            `not_to_be_used`, `leaks`, and `provenance`, `fidelity` and `val_by_share`, which may
            be empty.
        pictures: Galleries by control and slice.
    """
    folder.mkdir(parents=True, exist_ok=True)
    as_json, as_html = folder / "report.json", folder / "report.html"
    as_json.write_text(json.dumps(record, indent=1, allow_nan=False))
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("simgen.report", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = _figure
    environment.filters["signed"] = _signed
    environment.filters["inline"] = lambda data: base64.b64encode(data).decode()
    groups = control_groups(record["evaluation"]["controls"], record["control"])
    page = environment.get_template("report.html.j2").render(
        **record,
        metrics=_asked_first(record),
        answer_lines=_answer_lines(record["answer"]),
        groups=groups,
        widest=_widest,
        mixes=_mixes(record["runs"]),
        training=_training(record["runs"], record["arms"]),
        worth_plots=worth_panels(record["evaluation"]["worth_curves"], METRIC_NAMES),
        plots=_plots(record, groups),
        pictures=pictures,
        config_text=json.dumps(record["config"], indent=1),
    )
    as_html.write_text(page)
    return as_html, as_json


def control_groups(controls: Mapping[str, str], control: str) -> dict[str, list[str]]:
    """Return the arms that are compared with each control, the experiment's control first."""
    groups: dict[str, list[str]] = {control: []}
    for arm, against in controls.items():
        groups.setdefault(against, []).append(arm)
    return groups


def _plots(
    record: Mapping[str, Any], groups: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, list[Panel]]]:
    """Return panels by section and control."""
    asked = (record.get("bottleneck") or {}).get("slice")
    # All slices are in report.json; these are what a reader looks for.
    slices = [
        s
        for s in record["evaluation"]["slices"]
        if s["group"] in ("all", "kind") or s["slice"] == asked
    ]
    made: dict[str, dict[str, list[Panel]]] = {"froc": {}, "learning": {}}
    for control, compared in groups.items():
        arms = [a for a in (control, *compared) if a in record["arms"]]
        made["froc"][control] = froc_panels(slices, arms)
        made["learning"][control] = learning_panels(record["runs"], arms, METRIC_NAMES)
    return made


def _answer_lines(answer: str) -> list[str]:
    """Return the answer's verdict and, one by one, the figures that it rests on."""
    for title in METRIC_NAMES.values():
        verdict, found, details = answer.partition(f" {title}: ")
        if found:
            return [f"{verdict} {title}:", *details.rstrip(".").split("; ")]
    return [answer]


def _asked_first(record: Mapping[str, Any]) -> dict[str, str]:
    """Return names of the figures, that of the experiment's question first."""
    asked = (record.get("bottleneck") or {}).get("metric", "ap50")
    return {asked: METRIC_NAMES[asked], **METRIC_NAMES}


def _mixes(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what was in the batches, by arm and stage; runs that were alike share a row."""
    rows: list[dict[str, Any]] = []
    for run in runs:
        for number, stage in enumerate(run.get("stages", ()), 1):
            sources = {
                name: (f"{s['least']}" if s["least"] == s["most"] else f"{s['least']}–{s['most']}")
                for name, s in stage["sources"].items()
            }
            row = {
                "arm": run["arm"],
                "stage": number,
                "stages": len(run["stages"]),
                "passes": stage["passes"],
                "batches": stage["batches"],
                "in_batch": sources,
                "images": {name: s["images"] for name, s in stage["sources"].items()},
            }
            alike = next((r for r in rows if {**r, "runs": 0} == {**row, "runs": 0}), None)
            if alike:
                alike["runs"] += 1
            else:
                rows.append({**row, "runs": 1})
    return rows


def _training(runs: Sequence[Mapping[str, Any]], arms: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return for every arm how long it trained, and whether it had stopped rising."""
    rows = []
    for arm in arms:
        mine = [r for r in runs if r["arm"] == arm]
        best = [r["best"]["passes"] for r in mine if r.get("best")]
        said = [r["converged"] for r in mine if r.get("converged") is not None]
        rows.append(
            {
                "arm": arm,
                "runs": len(mine),
                "draws": len({r["draw"] for r in mine}),
                "passes": sorted({r["passes"] for r in mine}),
                "best": [min(best), max(best)] if best else None,
                "converged": f"{sum(said)} of {len(said)}" if said else "not known",
                "real_parts": sorted({_listed(r.get("parts_by_kind", {})) for r in mine}),
            }
        )
    return rows


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in counts.items()) or "–"


def _widest(slices: Sequence[Mapping[str, Any]], metric: str) -> float:
    """Return the largest end of an interval against the control, for the scale of its bars."""
    ends = [
        abs(against[metric][end])
        for entry in slices
        for against in entry["versus_control"].values()
        for end in ("low", "high", "difference")
        if against[metric][end] is not None
    ]
    return max([0.05, *ends])


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.3f}"
