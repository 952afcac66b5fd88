"""Write report.json and the self-contained report.html."""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from simgen.report.answer import METRIC_NAMES
from simgen.report.gallery import Picture
from simgen.report.plots import differences_plot, figures_plot, losses_plot


def write_report(
    folder: Path,
    record: Mapping[str, Any],
    curves: Mapping[str, Sequence[Mapping[str, float]]],
    pictures: Mapping[str, Mapping[str, Sequence[Picture]]],
) -> tuple[Path, Path]:
    """Write both reports and return their paths.

    Args:
        folder: Where to.
        record: What report.json holds: `answer`, `name`, `split`, `control`, `arms`,
            `evaluation` (from `judge`), `runs`, `sources`, `config`, `commands`.
        curves: Training losses by run.
        pictures: Galleries by arm.
    """
    folder.mkdir(parents=True, exist_ok=True)
    as_json, as_html = folder / "report.json", folder / "report.html"
    as_json.write_text(json.dumps(record, indent=1, allow_nan=False))
    slices, arms = record["evaluation"]["slices"], list(record["arms"])
    plots = {"By slice": figures_plot(slices, arms)}
    if any(s["versus_control"] for s in slices):
        plots["Against the control"] = differences_plot(slices, arms, record["control"])
    if curves:
        plots["Training losses"] = losses_plot(curves)
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
    page = environment.get_template("report.html.j2").render(
        **record,
        metrics=METRIC_NAMES,
        plots=plots,
        pictures=pictures,
        config_text=json.dumps(record["config"], indent=1),
    )
    as_html.write_text(page)
    return as_html, as_json


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.3f}"
