"""Fewer real parts: which of them train, by kind and by draw, and folds of parts.

The order of the parts of a kind is drawn once; draw `d` begins at its `d`-th. So the parts of one
draw at 1 are among those at 2, and as many draws as a kind has parts are all different.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import replace

from simgen.errors import ConfigError
from simgen.sampling import stream
from simgen.train.images import Source

_CLEAN = "clean"


def choose_parts(
    source: Source, parts_per_kind: int, draw: int, clean_per_defective: float | None
) -> Source:
    """Return the images of a few parts of a source.

    A part that carries several kinds counts for each of them, so that a kind may have more parts
    than asked for where its parts carry others too.

    Args:
        source: All images.
        parts_per_kind: Parts of each kind; a kind with fewer keeps them all.
        draw: Which of them.
        clean_per_defective: Clean parts for each defective part; None: as in the source.
    """
    kept: set[str] = set()
    for kind in source.kinds:
        kept.update(_order(source, kind, draw)[:parts_per_kind])
    clean = _order(source, _CLEAN, draw)
    defective = {i.part for i in source.images if not i.is_clean}
    ratio = len(clean) / len(defective) if clean_per_defective is None else clean_per_defective
    kept.update(clean[: math.ceil(ratio * len(kept) - 1e-9)])
    return only_parts(source, kept)


def only_parts(source: Source, parts: set[str]) -> Source:
    """Return the images of these parts, with a hash of their own."""
    said = json.dumps([source.sha256, sorted(parts)])
    return Source(
        name=source.name,
        images=tuple(i for i in source.images if i.part in parts),
        sha256=hashlib.sha256(said.encode()).hexdigest(),
    )


def folds_of(source: Source, count: int, seed: int) -> list[set[str]]:
    """Return the parts of every fold: no part in two, the parts of each kind spread evenly.

    Args:
        source: What is divided.
        count: Number of folds.
        seed: Seed of the order in which parts are dealt out.

    Raises:
        ConfigError: There are fewer parts than folds.
    """
    groups: dict[tuple[str, ...], list[str]] = {}
    for part in sorted({i.part for i in source.images}):
        shown = {k for i in source.images if i.part == part for k in i.kinds}
        groups.setdefault(tuple(sorted(shown)), []).append(part)
    total = sum(len(parts) for parts in groups.values())
    if total < count:
        raise ConfigError(f"folds: {count} folds of {total} parts; choose fewer")
    folds: list[set[str]] = [set() for _ in range(count)]
    held = [dict.fromkeys(source.kinds, 0) for _ in range(count)]
    # The rarest first, each part where there are fewest of its kinds, clean ones fill up.
    for kinds in sorted(groups, key=lambda k: (not k, len(groups[k]), k)):
        for part in _shuffled(groups[kinds], seed, f"folds/{'+'.join(kinds)}"):
            at = min(range(count), key=lambda n: (sum(held[n][k] for k in kinds), len(folds[n])))
            folds[at].add(part)
            for kind in kinds:
                held[at][kind] += 1
    return folds


def join(name: str, sources: Sequence[Source]) -> Source:
    """Return the images of several splits as one source, numbered anew."""
    images = [i for s in sources for i in s.images]
    said = json.dumps([s.sha256 for s in sources])
    return Source(
        name=name,
        images=tuple(replace(i, image_id=number) for number, i in enumerate(images, 1)),
        sha256=hashlib.sha256(said.encode()).hexdigest(),
    )


def _order(source: Source, kind: str, draw: int) -> list[str]:
    shown = [i for i in source.images if (i.is_clean if kind == _CLEAN else kind in i.kinds)]
    parts = sorted({i.part for i in shown})
    if not parts:
        return []
    # Once every part was the first, another order.
    turn, start = divmod(draw, len(parts))
    parts = _shuffled(parts, turn, f"parts/{kind}")
    return parts[start:] + parts[:start]


def _shuffled(parts: list[str], seed: int, name: str) -> list[str]:
    return [parts[i] for i in stream(seed, 0, name).permutation(len(parts))]
