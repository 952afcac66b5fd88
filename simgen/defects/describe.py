"""What a kind's ranges are, read from its code: for the docs, so that they cannot go stale."""

import dataclasses
import inspect
import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from simgen.sampling import Choice, Constant, LogUniform, Normal, Uniform

_UNITS = {"mm": "mm", "deg": "degrees"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeRow:
    """One key of a kind: its unit, its default and what is allowed, as text."""

    key: str
    unit: str
    default: str
    limits: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A kind in words: the module's first line, what its `Ranges` say, and every key."""

    summary: str
    meaning: str
    rows: tuple[RangeRow, ...]


def describe(module: ModuleType) -> Description:
    """Return the description of a kind's module."""
    summary = " ".join(inspect.cleandoc(module.__doc__ or "").split("\n\n")[0].split())
    meaning = " ".join(inspect.cleandoc(module.Ranges.__doc__ or "").split())
    return Description(summary=summary, meaning=meaning, rows=describe_fields(module.Ranges))


def describe_fields(ranges: type) -> tuple[RangeRow, ...]:
    """Return a row for every key of a dataclass of ranges."""
    return tuple(_row(field) for field in dataclasses.fields(ranges))


def _row(field: "dataclasses.Field[Any]") -> RangeRow:
    tail = field.name.rpartition("_")[2]
    return RangeRow(
        key=field.name,
        unit=_UNITS.get(tail, ""),
        default=_shown(field.default),
        limits=_limits(field.metadata),
    )


def _shown(value: Any) -> str:
    if isinstance(value, Constant):
        return f"{value.value:g}"
    if isinstance(value, Uniform):
        return f"uniform {value.low:g} to {value.high:g}"
    if isinstance(value, LogUniform):
        return f"loguniform {value.low:g} to {value.high:g}"
    if isinstance(value, Normal):
        return f"normal {value.mean:g} ± {value.std:g}, {value.low:g} to {value.high:g}"
    if isinstance(value, Choice):
        total = sum(value.weights)
        parts = zip(value.values, value.weights, strict=True)
        if len(set(value.weights)) == 1:
            return "one of " + ", ".join(f"{v:g}" for v in value.values)
        return ", ".join(f"{v:g} ({100 * w / total:.0f} %)" for v, w in parts)
    return "required" if value is dataclasses.MISSING else f"{value:g}"


def _limits(metadata: Any) -> str:
    parts = []
    if metadata.get("above", -math.inf) > -math.inf:
        parts.append(f"above {metadata['above']:g}")
    if metadata.get("low", -math.inf) > -math.inf:
        parts.append(f"from {metadata['low']:g}")
    if metadata.get("high", math.inf) < math.inf:
        parts.append(f"to {metadata['high']:g}")
    return " ".join(parts)
