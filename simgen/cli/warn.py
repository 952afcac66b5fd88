"""Warnings of the commands that train and judge, on stderr."""

import sys
from collections.abc import Iterable, Sequence

from simgen.evaluate.config import ExperimentConfig
from simgen.evaluate.guard import guard, provenance_of


def warn(lines: Sequence[str]) -> None:
    """Print each warning on its own line."""
    for line in lines:
        print(f"warning: {line}", file=sys.stderr)


def warn_of_mixes(config: ExperimentConfig, arms: Iterable[str]) -> None:
    """Warn of some arms' mixes; an arm or a source that does not exist is for others to refuse."""
    provenance, mixes = provenance_of(config.datasets), config.mixes()
    known = {a: mixes[a] for a in arms if a in mixes and mixes[a].keys() <= provenance.keys()}
    warn(guard(known, provenance, config.evaluate.max_synthetic_share))
