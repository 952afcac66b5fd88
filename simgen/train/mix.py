"""Mixes: exact ratios of named sources in every batch, every draw from its own stream."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from simgen.config import suggest
from simgen.errors import ConfigError, DatasetError
from simgen.sampling import stream
from simgen.train.images import LabelledImage, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """One image pass: an image of a source, aimed at one of its objects or at none."""

    source: str
    image: LabelledImage
    target: int | None


def quotas(ratios: Mapping[str, float], batch: int, key: str) -> dict[str, int]:
    """Return how many images of each source a batch holds.

    Args:
        ratios: Shares by source, adding up to 1.
        batch: Images in a batch.
        key: Dotted key of the ratios, for messages.

    Raises:
        ConfigError: Ratios do not add up to 1, one is not positive, or a share of the
            batch is not a whole number.
    """
    if not ratios or abs(sum(ratios.values()) - 1) > 1e-6:
        raise ConfigError(f"{key}: ratios add up to {sum(ratios.values()):g}; make it 1")
    counts = {}
    for name, ratio in ratios.items():
        exact = ratio * batch
        counts[name] = round(exact)
        if ratio <= 0 or abs(exact - counts[name]) > 1e-6:
            raise ConfigError(
                f"{key}.{name}: {ratio:g} of a batch of {batch} is {exact:g} images;"
                " choose a ratio or train.batch that gives a whole number above 0"
            )
    return counts


def batches(
    sources: Mapping[str, Source],
    quota: Mapping[str, int],
    *,
    steps: int,
    focus: float,
    seed: int,
    first: int = 0,
) -> Iterator[list[Draw]]:
    """Yield the draws of each step; step `i` does not depend on the steps before it.

    Args:
        sources: By name, at least those of `quota`.
        quota: Images of each source in every batch.
        steps: Step to stop before.
        focus: Probability that a draw is aimed at a defect.
        seed: Seed of the run.
        first: Step to begin with.

    Raises:
        ConfigError: A source of the quota does not exist.
        DatasetError: A source has no defect, or no image for what was drawn.
    """
    pools = {}
    for name in quota:
        if name not in sources:
            raise ConfigError(f"arms: no source named {name!r}{suggest(name, sources)}")
        pools[name] = _Pool.of(sources[name])
    for step in range(first, steps):
        draws = []
        for name, count in quota.items():
            rng = stream(seed, step, f"mix/{name}")
            draws += [pools[name].draw(rng, focus) for _ in range(count)]
        yield draws


@dataclass(frozen=True, slots=True)
class _Pool:
    """A source's images by kind and by part, so that no part dominates by its image count."""

    name: str
    by_kind: tuple[tuple[str, tuple[tuple[LabelledImage, ...], ...]], ...]
    clean: tuple[tuple[LabelledImage, ...], ...]

    @classmethod
    def of(cls, source: Source) -> "_Pool":
        by_kind = tuple(
            (kind, _grouped([i for i in source.images if kind in i.kinds])) for kind in source.kinds
        )
        if not by_kind:
            raise DatasetError(
                f"source {source.name}: no image shows a defect; nothing to train on"
            )
        return cls(source.name, by_kind, _grouped([i for i in source.images if i.is_clean]))

    def draw(self, rng: np.random.Generator, focus: float) -> Draw:
        if self.clean and rng.uniform() >= focus:
            return Draw(source=self.name, image=_pick(rng, _pick(rng, self.clean)), target=None)
        kind, parts = _pick(rng, self.by_kind)
        image = _pick(rng, _pick(rng, parts))
        same = [i for i, o in enumerate(image.objects) if o.kind == kind]
        return Draw(source=self.name, image=image, target=_pick(rng, same))


def _grouped(images: list[LabelledImage]) -> tuple[tuple[LabelledImage, ...], ...]:
    parts: dict[str, list[LabelledImage]] = {}
    for image in images:
        parts.setdefault(image.part, []).append(image)
    return tuple(tuple(parts[name]) for name in sorted(parts))


def _pick(rng: np.random.Generator, items):  # type: ignore[no-untyped-def]
    return items[int(rng.integers(len(items)))]
