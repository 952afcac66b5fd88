"""Warnings of the commands that train and judge, on stderr."""

import sys
from collections.abc import Iterable, Sequence

from simgen.evaluate.config import ExperimentConfig
from simgen.evaluate.guard import guard, provenance_of


def warn(lines: Sequence[str]) -> None:
    """Print each warning on its own line."""
    for line in lines:
        print(f"warning: {line}", file=sys.stderr)


def warn_of_mixes(configs: Iterable[ExperimentConfig], arms: Sequence[str]) -> None:
    """Warn of some arms' mixes, of what several configs share once.

    An arm or a source that does not exist is for others to refuse.
    """
    lines: list[str] = []
    for config in configs:
        provenance, mixes = provenance_of(config.datasets), config.mixes()
        known = {a: mixes[a] for a in arms if a in mixes and mixes[a].keys() <= provenance.keys()}
        lines += guard(known, provenance, config.evaluate.max_synthetic_share)
    warn(list(dict.fromkeys(lines)))
