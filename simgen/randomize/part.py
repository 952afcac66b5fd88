"""A part's shape and finish."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from simgen.config import bounded, suggest
from simgen.defects.place import require_choice
from simgen.errors import ConfigError
from simgen.finishes import FINISH_VALUES, FINISHES, MAY_BE_ZERO
from simgen.geometry import Vec3
from simgen.parts.build import SHAPES, size_keys
from simgen.parts.draw import sample_shape
from simgen.sampling import Distribution, Streams
from simgen.scene.spec import FinishSpec, ObjectSpec

UP: Vec3 = (0.0, 0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishRanges:
    """A finish that parts may have: a kind in `finishes.FINISHES` and its ranges.

    The process runs along the part's direction, or around its z axis, as "turned" always does.
    """

    kind: str
    weight: float = bounded(1.0, low=0)
    colours: tuple[tuple[float, float, float], ...] = bounded(low=0, high=1, nonempty=True)
    tone: Distribution = bounded(above=0)
    roughness: Distribution = bounded(above=0, high=1)
    metalness: Distribution = bounded(low=0, high=1)
    anisotropy: Distribution = bounded(low=0, high=1)
    process: Literal["along", "around"] = "along"
    values: dict[str, Distribution] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRanges:
    """A kind of part: its dimensions, which finishes it has, and its process direction.

    `designs` is how many sets of dimensions there are in the whole dataset, as a line makes
    few; None draws them anew for every part. What follows from a design is made once a worker.
    """

    weight: float = bounded(1.0, low=0)
    designs: int | None = bounded(None, low=1)
    size_mm: dict[str, Distribution]
    finishes: tuple[str, ...] = bounded(nonempty=True)
    process: Vec3 = (1.0, 0.0, 0.0)


def check_parts(
    parts: Mapping[str, PartRanges], finishes: Mapping[str, FinishRanges], key: str
) -> None:
    """Check that parts can be drawn: shapes, size keys, finishes and weights.

    Args:
        parts: By kind, a key of `parts.build.SHAPES`.
        finishes: By name.
        key: Dotted config key of `parts`.

    Raises:
        ConfigError: A name is unknown, a size is missing, or no weight is above 0.
    """
    require_choice({k: p.weight for k, p in parts.items()}, key)
    for kind, part in parts.items():
        if kind not in SHAPES:
            raise ConfigError(f"{key}.{kind}: no such shape{suggest(kind, SHAPES)}")
        check_sizes(kind, part.size_mm, f"{key}.{kind}.size_mm")
        if not any(part.process):
            raise ConfigError(f"{key}.{kind}.process: must not be all 0; [1, 0, 0] is along x")
        for name in part.finishes:
            if name not in finishes:
                raise ConfigError(
                    f"{key}.{kind}.finishes: no finish {name!r}; "
                    f"scene.finishes has {', '.join(sorted(finishes))}"
                )
        require_choice({n: finishes[n].weight for n in part.finishes}, f"{key}.{kind}.finishes")


def check_sizes(kind: str, size_mm: Mapping[str, Distribution], key: str) -> None:
    """Check that a shape's sizes are those that it has.

    Raises:
        ConfigError: One is unknown or missing.
    """
    known = size_keys(kind)
    for name in size_mm:
        if name not in known:
            raise ConfigError(f"{key}.{name}: unknown key{suggest(name, known)}")
    for name, default in known.items():
        if default is None and name not in size_mm:
            raise ConfigError(f"{key}.{name}: required key is missing")


def check_finish(finish: FinishRanges, key: str) -> None:
    """Check a finish's kind and the names and signs of its values.

    Raises:
        ConfigError: One is unknown, or a value is negative, or a length is 0.
    """
    if finish.kind not in FINISHES:
        raise ConfigError(f"{key}.kind: {finish.kind!r} is unknown{suggest(finish.kind, FINISHES)}")
    known = FINISH_VALUES[finish.kind]
    for name, distribution in (finish.values or {}).items():
        if name not in known:
            raise ConfigError(f"{key}.values.{name}: unknown key{suggest(name, known)}")
        lowest = distribution.support()[0]
        if lowest < 0 or (lowest == 0 and name.endswith("_mm") and name not in MAY_BE_ZERO):
            least = "above 0" if name.endswith("_mm") else "at least 0"
            raise ConfigError(f"{key}.values.{name}: {lowest:g} is too small; it must be {least}")


def pick(rng: np.random.Generator, entries: Mapping[str, PartRanges]) -> str:
    """Draw a kind by weight."""
    names = sorted(entries)
    weights = np.array([entries[n].weight for n in names])
    return names[int(rng.choice(len(names), p=weights / weights.sum()))]


def sample_object(
    streams: Streams,
    rng: np.random.Generator,
    kind: str,
    part: PartRanges,
    finishes: Mapping[str, FinishRanges],
    *,
    name: str,
    texel_mm: float,
) -> ObjectSpec:
    """Draw an object's dimensions and finish; it has neither pose, category nor defects yet."""
    drawer = pick_design(streams, rng, kind, part.designs)
    key = f"scene: {kind}.size_mm"
    shape = sample_shape(drawer, kind, part.size_mm, texel_mm=texel_mm, key=key)
    weights = np.array([finishes[n].weight for n in part.finishes])
    finish = part.finishes[int(rng.choice(len(weights), p=weights / weights.sum()))]
    return ObjectSpec(
        name=name, shape=shape, finish=sample_finish(rng, finishes[finish], part.process)
    )


def pick_design(
    streams: Streams, rng: np.random.Generator, kind: str, designs: int | None
) -> np.random.Generator:
    """Return what draws an object's dimensions: that of one of the designs, or `rng` itself."""
    return rng if designs is None else streams.design(kind, int(rng.integers(designs)))


def sample_finish(rng: np.random.Generator, ranges: FinishRanges, process: Vec3) -> FinishSpec:
    """Draw a finish."""
    colour = ranges.colours[int(rng.integers(len(ranges.colours)))]
    tone = ranges.tone.sample(rng)
    r, g, b = (min(c * tone, 1.0) for c in colour)
    values = ranges.values or {}
    return FinishSpec(
        kind=ranges.kind,
        colour=(r, g, b),
        roughness=ranges.roughness.sample(rng),
        metalness=ranges.metalness.sample(rng),
        anisotropy=ranges.anisotropy.sample(rng),
        direction=UP if ranges.kind == "turned" or ranges.process == "around" else process,
        process=ranges.process,
        values={name: values[name].sample(rng) for name in sorted(values)},
        seed=int(rng.integers(2**31)),
    )
