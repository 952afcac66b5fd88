"""Fixtures that several test modules share."""

from pathlib import Path

import pytest
import stand_in
from hypothesis import settings

from simgen.execute.render import render_dataset

# A busy machine is no fault of a test's; the examples are the same in every run.
settings.register_profile("simgen", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("simgen")


@pytest.fixture(scope="session")
def flat_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished dataset of the stand-in renderer; copy it before changing anything."""
    out = tmp_path_factory.mktemp("flat") / "dataset"
    config = stand_in.config(out, frames=7, shard_size=3, views_per_scene=2)
    render_dataset(config, stand_in.CATEGORIES, renderer="stand_in:StandIn")
    return out
