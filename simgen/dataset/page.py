"""Self-contained pages of what `check` and `diff` found; every name in them is escaped."""

import json
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from simgen.dataset.files import replacing
from simgen.dataset.statistics import Distributions, position_grid, summary

_MOST_CHOICES = 24
_SERIES = 24


def write_page(
    folder: Path, name: str, record: Mapping[str, Any], **shown: Any
) -> tuple[Path, Path]:
    """Write `name`.html from our template of that name, and `name`.json, and return their paths.

    Args:
        folder: Where to; it exists.
        name: `check` or `diff`.
        record: What the JSON file holds, which the page shows too.
        shown: What the page shows besides.

    Raises:
        DatasetError: The folder cannot be written.
    """
    text = _environment().get_template(f"{name}.html.j2").render(**record, **shown)
    as_html, as_json = folder / f"{name}.html", folder / f"{name}.json"
    with replacing(as_json) as file:
        file.write(json.dumps(record, indent=1, allow_nan=False).encode())
    with replacing(as_html) as file:
        # A lone surrogate in a name is no UTF-8.
        file.write(text.encode("utf-8", "replace"))
    return as_html, as_json


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("simgen.dataset", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = lambda value: f"{value:.4g}"
    return environment


def distribution_record(found: Distributions) -> dict[str, Any]:
    """Return the statistics of all values by name, for JSON."""
    return {
        "frames": found.frames,
        "frames_in_all": found.frames_in_all,
        "numbers": {name: summary(v) for name, v in sorted(found.numbers.items()) if len(v)},
        "choices": {
            name: dict(counts.most_common(_MOST_CHOICES))
            for name, counts in sorted(found.choices.items())
        },
        "positions": {name: position_grid(v) for name, v in sorted(found.positions.items())},
    }


def bars(*counts: Sequence[int]) -> list[list[float]]:
    """Return the heights in [0, 1] of histograms that share a scale, each of its own total."""
    shares = [np.asarray(c, np.float64) / max(sum(c), 1) for c in counts]
    most = max((s.max(initial=0.0) for s in shares), default=0.0) or 1.0
    return [[round(float(v), 3) for v in s / most] for s in shares]


def histograms(first: array, second: array) -> tuple[list[int], list[int], float, float]:
    """Return counts of two samples in the same bins, and the ends of these."""
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    both = np.concatenate([a, b])
    ends = (float(both.min()), float(both.max()))
    edges = np.linspace(ends[0], ends[1] if ends[1] > ends[0] else ends[0] + 1, _SERIES + 1)
    counts = [np.histogram(x, bins=edges)[0].tolist() for x in (a, b)]
    return counts[0], counts[1], *ends


def shares(counts: Counter[str]) -> list[tuple[str, int, float]]:
    """Return the commonest choices with their counts and shares."""
    total = max(sum(counts.values()), 1)
    return [(name, n, n / total) for name, n in counts.most_common(_MOST_CHOICES)]
