"""Resampling of physical parts: rows of weights that every figure is computed under at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simgen.sampling import stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Resamples:
    """Weights of the parts: as they are, resampled, and each left out once.

    Attributes:
        weights: Float64, shape (1 + B + J, P). Row 0 is 1 everywhere; rows 1 to B are the
            bootstrap; each of the J others leaves one part out.
        count: Number of bootstrap rows B.
        stratum: Stratum of the part that each of the J rows leaves out, int64, shape (J,).
    """

    weights: np.ndarray
    count: int
    stratum: np.ndarray

    def drawn(self, curve: np.ndarray) -> np.ndarray:
        """Return a figure's values under the bootstrap rows, shape (B,)."""
        return curve[1 : 1 + self.count]

    def parts_variance(self, curve: np.ndarray) -> float:
        """Return the variance of a figure over the bootstrap rows; NaN is left out."""
        values = self.drawn(curve)
        values = values[~np.isnan(values)]
        return float(values.var()) if len(values) else 0.0

    def parts_df(self, curve: np.ndarray) -> float:
        """Return the degrees of freedom of that variance, by Satterthwaite over the strata.

        A mean over kinds whose spread comes from three parts has two, however many parts
        the other kinds have; the jackknife rows tell where the spread comes from.
        """
        out = curve[1 + self.count :]
        shares, sizes = [], []
        for number in np.unique(self.stratum):
            values = out[self.stratum == number]
            size = len(values)
            values = values[~np.isnan(values)]
            shares.append((size - 1) * values.var() if len(values) else 0.0)
            sizes.append(size - 1)
        if not shares:
            return np.inf
        share, df = np.array(shares), np.array(sizes, float)
        if share.sum() <= 0:
            return float(df.sum())
        return float(share.sum() ** 2 / (share**2 / df).sum())


def resample_parts(
    strata: Sequence[Sequence[int]], num_parts: int, resamples: int, seed: int
) -> Resamples:
    """Draw parts with replacement within their strata.

    Of the n parts of a stratum, n - 1 are drawn and weigh n / (n - 1) (Rao and Wu 1988). A
    plain bootstrap draws n, and its variance is too small by (n - 1) / n: a quarter at four
    parts. A stratum of one part has no spread to draw from: see `merge_singles`.

    Args:
        strata: Groups of part indices that keep their total weight in every row.
        num_parts: Number of parts P.
        resamples: Number of bootstrap rows B.
        seed: Seed.
    """
    rng = stream(seed, 0, "bootstrap")
    drawn = np.ones((resamples, num_parts))
    left_out, stratum = [], []
    for number, group in enumerate(strata):
        size, members = len(group), list(group)
        if size < 2:
            continue
        chance = np.full(size, 1 / size)
        drawn[:, members] = rng.multinomial(size - 1, chance, size=resamples) * size / (size - 1)
        for part in members:
            row = np.ones(num_parts)
            row[members] = size / (size - 1)
            row[part] = 0
            left_out.append(row)
            stratum.append(number)
    rows = [np.ones((1, num_parts)), drawn, np.array(left_out).reshape(-1, num_parts)]
    return Resamples(
        weights=np.concatenate(rows), count=resamples, stratum=np.array(stratum, np.int64)
    )


def merge_singles(groups: dict[tuple[str, ...], list[int]]) -> tuple[tuple[int, ...], ...]:
    """Return strata of at least two parts each, as far as there are any to join.

    A part that is alone with its kinds joins the smallest group that shares a kind with it,
    else the other parts that are alone: alone it would never vary.

    Args:
        groups: Part indices by the kinds that they carry.
    """
    strata = {kinds: list(parts) for kinds, parts in sorted(groups.items())}
    alone: list[int] = []
    for kinds in [k for k, parts in strata.items() if len(parts) == 1]:
        if len(strata[kinds]) != 1:
            continue  # Another single part has joined it.
        part = strata.pop(kinds)[0]
        near = [k for k in strata if set(k) & set(kinds)]
        if near:
            strata[min(near, key=lambda k: (len(strata[k]), k))].append(part)
        else:
            alone.append(part)
    result = list(strata.values())
    if len(alone) == 1 and result:
        min(result, key=len).append(alone[0])
    elif alone:
        result.append(alone)
    return tuple(tuple(sorted(parts)) for parts in result)
