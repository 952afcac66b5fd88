"""Fixtures that several test modules share."""

from pathlib import Path

import pytest
import stand_in
from hypothesis import settings

import scenes
from simgen import pipeline
from simgen.dataset import (
    ShardRange,
    finish_dataset,
    prepare_dataset,
    shard_style,
    versions,
    write_shard,
)
from simgen.execute.render import render_dataset

# A busy machine is no fault of a test's; the examples are the same in every run.
settings.register_profile("simgen", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("simgen")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the switch of tests/test_golden.py."""
    parser.addoption(
        "--regenerate-golden", action="store_true", help="draw the pictures in tests/golden anew"
    )


@pytest.fixture(scope="session")
def flat_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished dataset of the stand-in renderer; copy it before changing anything."""
    out = tmp_path_factory.mktemp("flat") / "dataset"
    config = stand_in.config(out, frames=7, shard_size=3, views_per_scene=2)
    render_dataset(config, stand_in.CATEGORIES, renderer="stand_in:StandIn")
    return out


@pytest.fixture(scope="session")
def inspection_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small frames by the real renderer with all optional outputs; copy it before changes."""
    out = tmp_path_factory.mktemp("inspection") / "dataset"
    config = scenes.config(
        "inspection", f"out={out}", "frames=2", "seed=4", "image.width=200", "image.height=160",
        "scene.texel_mm=0.9", "scene.part_count=3", "renderer.allow_software=true",
        "renderer.supersample=1",
        "outputs.depth=true", "outputs.normals=true", "outputs.instances=true",
        "outputs.poses=true",
    )  # fmt: skip
    categories = pipeline.categories(config)
    renderer = pipeline.FrameRenderer(config)
    try:
        prepare_dataset(config, categories)
        made_with = {"renderer": renderer.facts(), "versions": versions("inspection")}
        write_shard(
            out,
            ShardRange(number=0, first=0, stop=2),
            (renderer.frame(i) for i in range(2)),
            style=shard_style(config, categories),
            made_with=made_with,
        )
        finish_dataset(config, categories)
    finally:
        renderer.close()
    return out
