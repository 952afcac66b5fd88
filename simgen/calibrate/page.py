"""Write calibrate.json and the self-contained calibrate.html."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from simgen.calibrate.compare import ALL, Row
from simgen.calibrate.measure import MeasuredImage
from simgen.calibrate.plots import REAL, SIMULATED, histogram_svg, scatter_svg
from simgen.calibrate.quantities import QUANTITIES


def write_page(
    folder: Path,
    record: Mapping[str, Any],
    rows: Sequence[Row],
    real: Sequence[MeasuredImage],
    simulated: Sequence[MeasuredImage],
) -> tuple[Path, Path]:
    """Write both files and return their paths, page first.

    Args:
        folder: Where to; it exists.
        record: What calibrate.json holds beside `rows`: `name`, `answer`, `command`, `real`,
            `simulated`, `populations`, `by`, `findings`.
        rows: From `compare`.
        real, simulated: The measured images, for the scatter plot.
    """
    as_json, as_html = folder / "calibrate.json", folder / "calibrate.html"
    plain = _finite({**record, "rows": [r.record() for r in rows]})
    as_json.write_text(json.dumps(plain, indent=1, allow_nan=False))
    entries = [_entry(row) for row in rows]
    groups: dict[str, list[dict[str, Any]]] = {}
    for row, entry in zip(rows, entries, strict=True):
        quantity = QUANTITIES[row.quantity]
        if row.population != ALL and quantity.of == "image":
            continue
        svg = Markup(histogram_svg(row.real, row.simulated, log=quantity.log))
        groups.setdefault(quantity.group, []).append(
            {**entry, "svg": svg, "unit": quantity.unit, "what": quantity.what}
        )
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("simgen.calibrate", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = lambda v: "–" if v is None else f"{v:.3g}"
    environment.filters["spread"] = _spread
    page = environment.get_template("calibrate.html.j2").render(
        **plain | {"rows": entries},
        groups=groups,
        noise_svg=Markup(scatter_svg(_points(real), _points(simulated))),
        colours={"real": REAL, "simulated": SIMULATED},
    )
    as_html.write_text(page)
    return as_html, as_json


def _entry(row: Row) -> dict[str, Any]:
    record = row.record()
    verdict = "none"
    if row.target is not None and row.distance is not None:
        verdict = "within" if row.distance <= row.target else "over"
    return {
        **record,
        "verdict": verdict,
        "targeted": QUANTITIES[row.quantity].target is not None,
    }


def _spread(figures: Mapping[str, Any]) -> str:
    if not figures["values"]:
        return "–"
    return " / ".join(f"{figures[p]:.3g}" for p in ("p05", "p50", "p95"))


def _points(images: Sequence[MeasuredImage]) -> tuple[np.ndarray, np.ndarray]:
    points = np.array([(i.values["brightness"], i.values["noise"]) for i in images], np.float64)
    points = points[np.isfinite(points).all(axis=1)]
    return points[:, 0], points[:, 1]


def _finite(value: Any) -> Any:
    """Return plain values with None where a number is not finite, which JSON cannot say."""
    if isinstance(value, Mapping):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
