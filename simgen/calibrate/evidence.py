"""What was measured, in sentences and small tables."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from simgen.calibrate.compare import ALL, Populations, Row
from simgen.calibrate.measure import MeasuredImage
from simgen.calibrate.sample import Observation, weigh

_BY = ("brightness", "clipped_share", "contrast", "noise")


def answer(rows: Sequence[Row]) -> str:
    """Return one sentence: which targets are met and which are not."""
    targets = [r for r in rows if r.target is not None and r.distance is not None]
    if not targets:
        return "Nothing could be compared: no quantity was measured on both sides."
    over = [r for r in targets if r.distance is not None and r.distance > (r.target or 0)]
    met = f"{len(targets) - len(over)} of {len(targets)} targeted quantities are within"
    if not over:
        return f"{met} their Kolmogorov-Smirnov distance."
    misses = ", ".join(f"{r.quantity} {r.distance:.2f} (at most {r.target:g})" for r in over)
    return f"{met} their Kolmogorov-Smirnov distance; over it: {misses}."


def population_sentences(shares: Populations) -> list[str]:
    """Return who is compared with whom."""
    found = []
    if shares.clean_share is None:
        found.append("One side has no clean or no defective image, so images are compared as is.")
    else:
        found.append(
            "Images of both sides are weighted to the photographs' share of clean parts,"
            f" {shares.clean_share:.0%}."
        )
    if shares.kind_shares:
        kinds = ", ".join(f"{k} {v:.0%}" for k, v in shares.kind_shares.items())
        found.append(
            f"Pooled labels of both sides are weighted to the photographs' kinds: {kinds}."
        )
    for names, where, hint in (
        (shares.only_real, "photographs", "; name what they are to the scene with categories="),
        (shares.only_simulated, "simulated images", ""),
    ):
        if names:
            found.append(f"Only on {where}, and left out: {', '.join(names)}{hint}.")
    return found


def summary(images: Sequence[MeasuredImage]) -> dict[str, Any]:
    """Return counts of one side."""
    kinds = sorted({k for i in images for k in i.kinds})
    return {
        "images": len(images),
        "parts": len({i.part for i in images}),
        "clean_parts": len({i.part for i in images if not i.kinds}),
        "parts_by_kind": {k: len({i.part for i in images if k in i.kinds}) for k in kinds},
        "labels": sum(len(i.labels) for i in images),
    }


def by_attribute(
    images: Sequence[MeasuredImage], names: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """Return means by each attribute's values, parts weighing equally; absent ones are left out."""
    found = {}
    for name in names:
        groups: dict[Any, list[MeasuredImage]] = defaultdict(list)
        for image in images:
            if name in image.attributes:
                groups[image.attributes[name]].append(image)
        entries = [
            {
                "value": value,
                "images": len(group),
                "parts": len({i.part for i in group}),
                **{q: _mean(group, q) for q in _BY},
            }
            for value, group in sorted(groups.items(), key=lambda e: (str(type(e[0])), e[0]))
        ]
        if entries:
            found[name] = entries
    return found


def table(rows: Sequence[Row]) -> str:
    """Return the distances as text: targeted quantities with their kinds, then the rest."""
    first = [r for r in rows if r.target is not None or (r.chance and _kind_of_target(r, rows))]
    rest = [r for r in rows if r not in first and r.population == ALL]
    head = f"{'quantity':<22}{'of':<12}{'KS':>6}{'target':>8}{'chance':>8}   5 / 50 / 95 %"
    return "\n".join([head, *map(_line, first), "", *map(_line, rest)])


def _kind_of_target(row: Row, rows: Sequence[Row]) -> bool:
    return any(r.quantity == row.quantity and r.target is not None for r in rows)


def _line(row: Row) -> str:
    distance = "–" if row.distance is None else f"{row.distance:.3f}"
    target = "" if row.target is None else f"{row.target:g}"
    mark = "  OVER" if row.target and (row.distance or 0) > row.target else ""
    sides = []
    for name, sample in (("photographs", row.real), ("simulated", row.simulated)):
        if len(sample):
            figures = " / ".join(f"{v:.3g}" for v in sample.quantiles((0.05, 0.5, 0.95)))
            sides.append(f"{name} {figures}")
    return (
        f"{row.quantity:<22}{row.population:<12}{distance:>6}{target:>8}{row.chance:>8.2f}"
        f"   {', '.join(sides)}{mark}"
    )


def _mean(images: Sequence[MeasuredImage], quantity: str) -> float | None:
    sample = weigh(
        [
            Observation(value=i.values.get(quantity, float("nan")), part=i.part, stratum="")
            for i in images
        ]
    )
    return sample.mean if len(sample) else None
