"""What changed from one dataset to another: config, versions, assets, and what was drawn."""

from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import kolmogorov
from scipy.stats import chi2_contingency

from simgen.dataset.identity import flat
from simgen.dataset.shards import read_shards
from simgen.dataset.statistics import Distributions, distributions
from simgen.dataset.stored import StoredManifest, read_manifest

# Cliff's delta by convention: below the first "negligible", then small, medium, large.
_SIZES = ((0.147, "negligible"), (0.33, "small"), (0.474, "medium"))
_SIGNIFICANT = 0.01
_UNSET = "(not set)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A key whose value is another one."""

    key: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """How the values of one name differ.

    Attributes:
        name: As in `Distributions`.
        n: Number of values in either dataset.
        middle: Medians, or the commonest choice.
        effect: Cliff's delta in [-1, 1], above 0 where values grew; of choices the total
            variation distance in [0, 1].
        size: negligible, small, medium or large, after |effect|.
        distance: Largest difference of the two cumulative shares (Kolmogorov and Smirnov),
            of choices again the total variation distance.
        p: Of no difference, over all names at once (Holm).
    """

    name: str
    n: tuple[int, int]
    middle: tuple[str, str]
    effect: float
    size: str
    distance: float
    p: float

    @property
    def certain(self) -> bool:
        """Whether chance is no likely reason."""
        return self.p < _SIGNIFICANT


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """All that differs between two datasets.

    Attributes:
        config, made_with, assets, categories: Changed keys, see `ManifestChanges`.
        shifts: All names that both have, the largest certain difference first.
        only: Names that only the first, and only the second dataset has.
        first, second: The distributions themselves.
    """

    config: tuple[Change, ...]
    made_with: tuple[Change, ...]
    assets: tuple[Change, ...]
    categories: tuple[Change, ...]
    shifts: tuple[Shift, ...]
    only: tuple[tuple[str, ...], tuple[str, ...]]
    first: Distributions
    second: Distributions


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestChanges:
    """What two manifests tell of a difference, no shard read.

    Attributes:
        config, made_with, assets, categories: Changed keys.
        labels: Changed numbers of labels by category, if both manifests count them.
    """

    config: tuple[Change, ...]
    made_with: tuple[Change, ...]
    assets: tuple[Change, ...]
    categories: tuple[Change, ...]
    labels: tuple[Change, ...]


def compare_manifests(first: StoredManifest, second: StoredManifest) -> ManifestChanges:
    """Compare what two manifests say of their datasets."""
    counted = first.instances and second.instances
    return ManifestChanges(
        config=_changes(flat(first.config), flat(second.config)),
        made_with=_changes(_made_with(first), _made_with(second)),
        assets=_changes(_assets(first), _assets(second)),
        categories=_changes(_categories(first), _categories(second)),
        labels=_changes(first.instances, second.instances) if counted else (),
    )


def compare_datasets(first: Path, second: Path) -> Difference:
    """Compare two finished datasets.

    Raises:
        DatasetError: One of them cannot be read.
    """
    a, b = read_manifest(first), read_manifest(second)
    values = [
        distributions(read_shards(folder), {c.id: c.name for c in manifest.categories})
        for folder, manifest in ((first, a), (second, b))
    ]
    names = [{*v.numbers, *v.choices} for v in values]
    changed = compare_manifests(a, b)
    return Difference(
        config=changed.config,
        made_with=changed.made_with,
        assets=changed.assets,
        categories=changed.categories,
        shifts=tuple(shifts(*values)),
        only=(tuple(sorted(names[0] - names[1])), tuple(sorted(names[1] - names[0]))),
        first=values[0],
        second=values[1],
    )


def shifts(first: Distributions, second: Distributions) -> list[Shift]:
    """Return how every name that both have differs, the largest certain difference first."""
    found = [
        _number_shift(name, first.numbers[name], second.numbers[name])
        for name in sorted(first.numbers.keys() & second.numbers.keys())
        if len(first.numbers[name]) and len(second.numbers[name])
    ]
    found += [
        _choice_shift(name, first.choices[name], second.choices[name])
        for name in sorted(first.choices.keys() & second.choices.keys())
    ]
    corrected = _holm([shift.p for shift in found])
    found = [replace(shift, p=p) for shift, p in zip(found, corrected, strict=True)]
    return sorted(found, key=lambda s: (not s.certain, -max(abs(s.effect), s.distance), s.name))


def cliffs_delta(first: np.ndarray, second: np.ndarray) -> float:
    """Return P(second > first) - P(second < first) for values drawn from either sample.

    Args:
        first, second: Shape (N,) and (M,), not empty.

    Returns:
        In [-1, 1]; 0 where neither tends to be larger.
    """
    ordered = np.sort(first)
    below = np.searchsorted(ordered, second, side="left").sum()
    not_above = np.searchsorted(ordered, second, side="right").sum()
    above = len(first) * len(second) - not_above
    return float((below - above) / (len(first) * len(second)))


def kolmogorov_smirnov(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Return the largest difference of two samples' cumulative shares, and its p value.

    The p value is that of large samples, too large for small ones.
    """
    both = np.concatenate([first, second])
    shares = [np.searchsorted(np.sort(x), both, side="right") / len(x) for x in (first, second)]
    distance = float(np.abs(shares[0] - shares[1]).max())
    size = np.sqrt(len(first) * len(second) / len(both))
    return distance, float(kolmogorov(size * distance))


def _number_shift(name: str, first: array, second: array) -> Shift:
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    effect = cliffs_delta(a, b)
    distance, p = kolmogorov_smirnov(a, b)
    return Shift(
        name=name,
        n=(len(a), len(b)),
        middle=(f"{np.median(a):.4g}", f"{np.median(b):.4g}"),
        effect=round(effect, 4),
        size=_size(effect),
        distance=round(distance, 4),
        p=p,
    )


def _choice_shift(name: str, first: Counter[str], second: Counter[str]) -> Shift:
    keys = sorted(first.keys() | second.keys())
    table = np.array([[counts[key] for key in keys] for counts in (first, second)], np.float64)
    shares = table / table.sum(axis=1, keepdims=True)
    distance = float(np.abs(shares[0] - shares[1]).sum() / 2)
    p = float(chi2_contingency(table).pvalue) if len(keys) > 1 else 1.0
    return Shift(
        name=name,
        n=(int(table[0].sum()), int(table[1].sum())),
        middle=(first.most_common(1)[0][0], second.most_common(1)[0][0]),
        effect=round(distance, 4),
        size=_size(distance),
        distance=round(distance, 4),
        p=p,
    )


def _size(effect: float) -> str:
    return next((name for limit, name in _SIZES if abs(effect) < limit), "large")


def _holm(values: list[float]) -> list[float]:
    """Return p values for all tests together (Holm 1979)."""
    corrected = [1.0] * len(values)
    largest = 0.0
    for rank, k in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        largest = max(largest, min(1.0, (len(values) - rank) * values[k]))
        corrected[k] = largest
    return corrected


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    return tuple(
        Change(key=key, before=str(before.get(key, _UNSET)), after=str(after.get(key, _UNSET)))
        for key in sorted(before.keys() | after.keys())
        if before.get(key, _UNSET) != after.get(key, _UNSET)
    )


def _made_with(manifest: StoredManifest) -> dict[str, str]:
    """Return every value by key; where shards were made with several, all of them."""
    found: dict[str, list[str]] = {}
    for made in manifest.made_with:
        for key, value in flat(made).items():
            if not key.startswith("renderer.assets"):
                values = found.setdefault(key, [])
                values += [str(value)] if str(value) not in values else []
    return {key: ", ".join(values) for key, values in found.items()}


def _assets(manifest: StoredManifest) -> dict[str, str]:
    return {
        str(asset.get("path")): f"{str(asset.get('sha256'))[:12]}, {asset.get('spdx')}"
        for asset in manifest.assets
    }


def _categories(manifest: StoredManifest) -> dict[str, str]:
    return {c.name: f"{c.id}, {c.supercategory}" for c in manifest.categories}
