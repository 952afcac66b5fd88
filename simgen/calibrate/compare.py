"""Compare like with like: every quantity, pooled and by kind, photographs against simulated."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simgen.calibrate.measure import MeasuredImage
from simgen.calibrate.quantities import QUANTITIES, Quantity
from simgen.calibrate.sample import Observation, Sample, chance_level, ks_distance, weigh

ALL, CLEAN, DEFECTIVE = "all", "clean", "defective"
_SHOWN = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One quantity on one population, on both sides.

    Attributes:
        quantity: Its name in `QUANTITIES`.
        population: `all`, `clean`, `defective`, or a kind of label.
        real, simulated: Weighted samples; one of them may be empty.
        distance: Kolmogorov-Smirnov distance, or None if a side is empty.
        chance: Distance that samples of one distribution exceed once in twenty.
    """

    quantity: str
    population: str
    real: Sample
    simulated: Sample
    distance: float | None
    chance: float

    @property
    def target(self) -> float | None:
        """The distance to reach, for pooled quantities that have one."""
        return QUANTITIES[self.quantity].target if self.population == ALL else None

    def record(self) -> dict[str, Any]:
        """Return what the JSON file says of it."""
        return {
            "quantity": self.quantity,
            "population": self.population,
            "ks": self.distance,
            "chance": self.chance,
            "target": self.target,
            "real": _figures(self.real),
            "simulated": _figures(self.simulated),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Populations:
    """Who is compared with whom, in words and numbers for the page."""

    clean_share: float | None
    kind_shares: dict[str, float]
    only_real: tuple[str, ...]
    only_simulated: tuple[str, ...]


def populations(real: Sequence[MeasuredImage], simulated: Sequence[MeasuredImage]) -> Populations:
    """Return the shares that pooled figures of both sides are brought to.

    `clean_share` is the photographs' share of clean parts, None if one side has no clean or no
    defective image; `kind_shares` the share of each kind among the photographs' parts and kinds,
    for kinds that both sides have.
    """
    ours = {k for image in simulated for k in image.kinds}
    theirs = {k for image in real for k in image.kinds}
    both = sorted(ours & theirs)
    parts = {k: len({i.part for i in real if k in i.kinds}) for k in both}
    total = sum(parts.values())
    has = [{bool(i.kinds) for i in side} for side in (real, simulated)]
    clean = {i.part for i in real if not i.kinds}
    share = len(clean) / len({i.part for i in real}) if all(len(h) == 2 for h in has) else None
    return Populations(
        clean_share=share,
        kind_shares={k: n / total for k, n in parts.items()},
        only_real=tuple(sorted(theirs - ours)),
        only_simulated=tuple(sorted(ours - theirs)),
    )


def compare(real: Sequence[MeasuredImage], simulated: Sequence[MeasuredImage]) -> list[Row]:
    """Return a row for every quantity and population that photographs have.

    Pooled image quantities have the photographs' share of clean parts on both sides, pooled
    label quantities the photographs' shares of kinds. Images of a kind that only one side has
    are left out of the pools.
    """
    shares = populations(real, simulated)
    rows = []
    for name, quantity in QUANTITIES.items():
        of = _image_rows if quantity.of == "image" else _label_rows
        rows += [r for r in of(name, quantity, real, simulated, shares) if len(r.real)]
    return rows


def _image_rows(
    name: str,
    quantity: Quantity,
    real: Sequence[MeasuredImage],
    simulated: Sequence[MeasuredImage],
    shares: Populations,
) -> list[Row]:
    sides = [_image_values(name, images, shares) for images in (real, simulated)]
    present = {o.stratum for o in sides[0]}
    clean = shares.clean_share
    if clean is None:
        # One side is all clean or all defective: only that much can be compared.
        common = present & {o.stratum for o in sides[1]} or present
        strata = {s: 1.0 for s in common} if len(common) == 1 else None
    else:
        strata = {CLEAN: clean, DEFECTIVE: 1 - clean}
    rows = [_row(name, ALL, *(weigh(side, strata) for side in sides))]
    if len(present) == 2:
        rows += [_row(name, s, *(weigh(side, {s: 1.0}) for side in sides)) for s in sorted(present)]
    return rows


def _image_values(
    name: str, images: Sequence[MeasuredImage], shares: Populations
) -> list[Observation]:
    alone = {*shares.only_real, *shares.only_simulated}
    return [
        Observation(
            value=image.values[name], part=image.part, stratum=DEFECTIVE if image.kinds else CLEAN
        )
        for image in images
        if name in image.values and not image.kinds & alone
    ]


def _label_rows(
    name: str,
    quantity: Quantity,
    real: Sequence[MeasuredImage],
    simulated: Sequence[MeasuredImage],
    shares: Populations,
) -> list[Row]:
    sides = [
        [
            Observation(
                value=label.values.get(name, float("nan")), part=image.part, stratum=label.kind
            )
            for image in images
            for label in image.labels
        ]
        for images in (real, simulated)
    ]
    kinds = shares.kind_shares
    if not kinds:
        return [_row(name, ALL, weigh(sides[0]), weigh([]))]
    rows = [_row(name, ALL, *(weigh(side, kinds) for side in sides))]
    if len(kinds) > 1:
        rows += [_row(name, k, *(weigh(side, {k: 1.0}) for side in sides)) for k in kinds]
    return rows


def _row(name: str, population: str, real: Sample, simulated: Sample) -> Row:
    both = len(real) and len(simulated)
    return Row(
        quantity=name,
        population=population,
        real=real,
        simulated=simulated,
        distance=ks_distance(real, simulated) if both else None,
        chance=chance_level(real, simulated),
    )


def _figures(sample: Sample) -> dict[str, Any]:
    if not len(sample):
        return {"values": 0, "parts": 0}
    quantiles = sample.quantiles(_SHOWN)
    names = [f"p{round(100 * q):02d}" for q in _SHOWN]
    # The Kish size: how many equally weighted values would vary as little.
    effective = 1 / float(np.square(sample.weights).sum())
    return {
        "values": len(sample),
        "parts": sample.parts,
        "effective": round(effective, 1),
        "mean": sample.mean,
        **dict(zip(names, quantiles, strict=True)),
    }
