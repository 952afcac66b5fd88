"""Slices: named, declared subsets of the photographs that figures are given for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from simgen.evaluate.bootstrap import merge_singles
from simgen.evaluate.matching import Counted
from simgen.evaluate.measures import LABEL_MEASURES, image_measure, why_missing
from simgen.evaluate.metrics import Parts
from simgen.train.images import LabelledImage

ALL = "all"
# More values than this are a number, which wants edges.
_MOST_VALUES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A subset of kinds, images and labels.

    Attributes:
        name: `all`, a kind, an attribute and its value such as `exposure 1`, or a measure and
            its range such as `size_px 32-96`.
        group: `all`, `kind`, or the attribute's or measure's name.
        kinds: Kinds whose average precisions are averaged.
        looked_at: Images that take part, bool, shape (I,); clean ones among them
            contribute false detections.
        defective: Images among them that show a label of the slice, bool, shape (I,).
        counted: Which labels count; None: all of the kinds.
        num_parts: Physical parts that carry a label of the slice in these images.
        clean_parts: Clean physical parts among these images.
    """

    name: str
    group: str
    kinds: tuple[str, ...]
    looked_at: np.ndarray
    defective: np.ndarray
    num_parts: int
    clean_parts: int
    counted: Counted | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slices:
    """The slices that there are, and why the others are not.

    Attributes:
        made: In the order of their declaration; the first is everything.
        left_out: Reason by declared name.
    """

    made: tuple[Slice, ...]
    left_out: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Values of a measure between two edges, and the name of their slice."""

    title: str
    low: float
    high: float


def ranges_of(name: str, edges: Sequence[float]) -> list[Range]:
    """Return the ranges between the edges of a measure, those without end included.

    Args:
        name: The measure, `size_px`: its slices are `size_px to 32`, `size_px 32-96`, ...
        edges: Rising.
    """
    ends = [-np.inf, *sorted(edges), np.inf]
    made = []
    for low, high in zip(ends[:-1], ends[1:], strict=True):
        title = f"{name} {low:g}-{high:g}"
        if np.isinf(low) or np.isinf(high):
            title = f"{name} to {high:g}" if np.isinf(low) else f"{name} from {low:g}"
        made.append(Range(title=title, low=low, high=high))
    return made


def make_slices(
    images: Sequence[LabelledImage],
    classes: Sequence[str],
    attributes: Sequence[str],
    bins: Mapping[str, Sequence[float]] | None = None,
) -> Slices:
    """Return the slice of everything, one for each kind, and those that are declared.

    Args:
        images: The photographs.
        classes: Kinds; those without a label are left out.
        attributes: Names of image attributes, a slice for each of their values.
        bins: Edges by measure (`simgen.evaluate.measures`) or numeric attribute.
    """
    kinds = tuple(k for k in classes if any(k in i.kinds for i in images))
    everything = np.ones(len(images), bool)
    made = [_slice(images, ALL, ALL, kinds, everything)]
    made += [_slice(images, k, "kind", (k,), everything) for k in kinds]
    left_out = {k: "no photograph shows it" for k in classes if k not in kinds}
    for attribute in attributes:
        values = [i.attributes.get(attribute) for i in images]
        given = sorted({v for v in values if v is not None}, key=lambda v: (str(type(v)), v))
        if not given:
            left_out[attribute] = "no photograph says it among its attributes"
        elif len(given) > _MOST_VALUES:
            left_out[attribute] = f"it has {len(given)} values; give edges in evaluate.bins"
        else:
            for value in given:
                chosen = np.array([v == value for v in values])
                made.append(_slice(images, f"{attribute} {value}", attribute, kinds, chosen))
    for name, edges in (bins or {}).items():
        binned = [_binned(images, kinds, name, r) for r in ranges_of(name, edges)]
        if not any(s.num_parts for s in binned):
            left_out[name] = why_missing(name)
            continue
        for part in binned:
            if not part.num_parts:
                left_out[part.name] = "no label is in this range"
            elif _is_everything(part, images):
                left_out[part.name] = "every label is in this range: the same as all"
            else:
                made.append(part)
    return Slices(made=tuple(made), left_out=left_out)


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
    return merge_singles(groups)


def _binned(
    images: Sequence[LabelledImage], kinds: tuple[str, ...], name: str, within: Range
) -> Slice:
    """Return the slice of one range of a measure."""
    low, high = within.low, within.high
    if name in LABEL_MEASURES:
        looked_at, counted = np.ones(len(images), bool), _held(images, name, low, high)
    else:
        values = _values([image_measure(name)(image) for image in images])
        # Half open, so that no photograph is in two.
        looked_at, counted = (values >= low) & (values < high), None
    return _slice(images, within.title, name, kinds, looked_at, counted)


def _is_everything(part: Slice, images: Sequence[LabelledImage]) -> bool:
    """Return whether a slice differs from the one of everything in its name alone."""
    if part.counted is None:
        return bool(part.looked_at.all())
    return part.counted.area_px is None and all(o.all() for o in part.counted.objects)


def _held(images: Sequence[LabelledImage], name: str, low: float, high: float) -> Counted:
    """Return the labels within a range; like COCO's area ranges it holds both its ends."""
    measure = LABEL_MEASURES[name]
    values = [_values([measure(image, o) for o in image.objects]) for image in images]
    # What is found of another size than the range is no false alarm in it, as in COCO.
    area = (max(low, 0.0) ** 2, high**2) if name == "size_px" else None
    return Counted(objects=tuple((v >= low) & (v <= high) for v in values), area_px=area)


def _values(given: Sequence[float | None]) -> np.ndarray:
    return np.array([np.nan if v is None else v for v in given], float)


def _slice(
    images: Sequence[LabelledImage],
    name: str,
    group: str,
    kinds: tuple[str, ...],
    looked_at: np.ndarray,
    counted: Counted | None = None,
) -> Slice:
    # The kinds that a label of the slice has.
    shown = [
        {
            o.kind
            for n, o in enumerate(image.objects)
            if o.kind in kinds and (counted is None or counted.objects[index][n])
        }
        if looked_at[index]
        else set()
        for index, image in enumerate(images)
    ]
    defective = np.array([bool(s) for s in shown], bool)
    return Slice(
        name=name,
        group=group,
        kinds=tuple(k for k in kinds if any(k in s for s in shown)),
        looked_at=looked_at,
        defective=defective,
        num_parts=len({i.part for i, s in zip(images, defective, strict=True) if s}),
        clean_parts=len(
            {i.part for i, c in zip(images, looked_at, strict=True) if c and i.is_clean}
        ),
        counted=counted,
    )
