"""Slices: named, declared subsets of the photographs that figures are given for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simgen.evaluate.metrics import Parts
from simgen.train.images import LabelledImage

ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A subset of kinds and images.

    Attributes:
        name: `all`, a kind, or an attribute and its value such as `exposure 1`.
        group: `all`, `kind`, or the attribute's name.
        kinds: Kinds whose average precisions are averaged.
        looked_at: Images that take part, bool, shape (I,); clean ones among them
            contribute false detections.
        defective: Images among them that show one of the kinds, bool, shape (I,).
        num_parts: Physical parts that carry one of the kinds in these images.
    """

    name: str
    group: str
    kinds: tuple[str, ...]
    looked_at: np.ndarray
    defective: np.ndarray
    num_parts: int


def make_slices(
    images: Sequence[LabelledImage], classes: Sequence[str], attributes: Sequence[str]
) -> tuple[Slice, ...]:
    """Return the slice of everything, one for each kind, one for each value of each attribute.

    Args:
        images: The photographs.
        classes: Kinds; those without a label are left out.
        attributes: Names of image attributes.
    """
    kinds = tuple(k for k in classes if any(k in i.kinds for i in images))
    everything = np.ones(len(images), bool)
    slices = [_slice(images, ALL, ALL, kinds, everything)]
    slices += [_slice(images, k, "kind", (k,), everything) for k in kinds]
    for attribute in attributes:
        values = [i.attributes.get(attribute) for i in images]
        for value in sorted({v for v in values if v is not None}, key=lambda v: (str(type(v)), v)):
            chosen = np.array([v == value for v in values])
            present = tuple(
                k
                for k in kinds
                if any(k in i.kinds for i, c in zip(images, chosen, strict=True) if c)
            )
            slices.append(_slice(images, f"{attribute} {value}", attribute, present, chosen))
    return tuple(slices)


def parts_of(images: Sequence[LabelledImage], looked_at: np.ndarray) -> Parts:
    """Return the parts, each weighing 1 shared evenly among its images that are looked at."""
    names = sorted({i.part for i in images})
    number = {name: n for n, name in enumerate(names)}
    of_image = np.array([number[i.part] for i in images], np.int64)
    counts = np.bincount(of_image[looked_at], minlength=len(names))
    share = np.where(looked_at, 1 / np.maximum(counts, 1)[of_image], 0.0)
    return Parts(of_image=of_image, share=share, count=len(names))


def strata_of(images: Sequence[LabelledImage]) -> tuple[tuple[int, ...], ...]:
    """Return groups of part indices, as `parts_of` numbers them, that carry the same kinds."""
    kinds: dict[str, set[str]] = {}
    for image in images:
        kinds.setdefault(image.part, set()).update(image.kinds)
    groups: dict[tuple[str, ...], list[int]] = {}
    for number, part in enumerate(sorted(kinds)):
        groups.setdefault(tuple(sorted(kinds[part])), []).append(number)
    return tuple(tuple(groups[key]) for key in sorted(groups))


def _slice(
    images: Sequence[LabelledImage],
    name: str,
    group: str,
    kinds: tuple[str, ...],
    looked_at: np.ndarray,
) -> Slice:
    shows = np.array([bool(i.kinds.intersection(kinds)) for i in images], bool) & looked_at
    parts = {i.part for i, s in zip(images, shows, strict=True) if s}
    return Slice(
        name=name,
        group=group,
        kinds=kinds,
        looked_at=looked_at,
        defective=shows,
        num_parts=len(parts),
    )
