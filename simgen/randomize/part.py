"""A part's shape and finish."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simgen.config import bounded
from simgen.errors import ConfigError
from simgen.geometry import Vec3
from simgen.parts.build import size_keys
from simgen.parts.draw import sample_shape
from simgen.sampling import Distribution
from simgen.scene.spec import FinishSpec, ObjectSpec

UP: Vec3 = (0.0, 0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishRanges:
    """A finish that parts may have: a kind in `finishes.FINISHES` and its ranges."""

    kind: str
    weight: float = bounded(1.0, low=0)
    colours: tuple[tuple[float, float, float], ...]
    tone: Distribution = bounded(above=0)
    roughness: Distribution = bounded(above=0, high=1)
    metalness: Distribution = bounded(low=0, high=1)
    anisotropy: Distribution = bounded(low=0, high=1)
    values: dict[str, Distribution] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRanges:
    """A kind of part: its dimensions, which finishes it has, and its process direction."""

    weight: float = bounded(1.0, low=0)
    size_mm: dict[str, Distribution]
    finishes: tuple[str, ...]
    process: Vec3 = (1.0, 0.0, 0.0)


def check_parts(
    parts: Mapping[str, PartRanges], finishes: Mapping[str, FinishRanges], key: str
) -> None:
    """Check that every size key and every finish exists.

    Args:
        parts: By kind, a key of `parts.build.SHAPES`.
        finishes: By name.
        key: Dotted config key of `parts`.

    Raises:
        ConfigError: One does not.
    """
    for kind, part in parts.items():
        known = size_keys(kind)
        for name in part.size_mm:
            if name not in known:
                raise ConfigError(
                    f"{key}.{kind}.size_mm.{name}: unknown key; "
                    f"valid here: {', '.join(sorted(known))}"
                )
        for name in part.finishes:
            if name not in finishes:
                raise ConfigError(
                    f"{key}.{kind}.finishes: no finish {name!r}; "
                    f"scene.finishes has {', '.join(sorted(finishes))}"
                )


def pick(rng: np.random.Generator, entries: Mapping[str, PartRanges]) -> str:
    """Draw a kind by weight."""
    names = sorted(entries)
    weights = np.array([entries[n].weight for n in names])
    return names[int(rng.choice(len(names), p=weights / weights.sum()))]


def sample_object(
    rng: np.random.Generator,
    kind: str,
    part: PartRanges,
    finishes: Mapping[str, FinishRanges],
    *,
    name: str,
    texel_mm: float,
) -> ObjectSpec:
    """Draw an object's dimensions and finish; it has neither pose, category nor defects yet."""
    shape = sample_shape(rng, kind, part.size_mm, texel_mm=texel_mm, key=f"scene: {kind}.size_mm")
    weights = np.array([finishes[n].weight for n in part.finishes])
    finish = part.finishes[int(rng.choice(len(weights), p=weights / weights.sum()))]
    return ObjectSpec(
        name=name, shape=shape, finish=sample_finish(rng, finishes[finish], part.process)
    )


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
        direction=UP if ranges.kind == "turned" else process,
        values={name: values[name].sample(rng) for name in sorted(values)},
        seed=int(rng.integers(2**31)),
    )
