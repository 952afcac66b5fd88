"""Render a dataset from start to finish: what is there already, what is missing, the rest."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from simgen.config import to_plain
from simgen.config.render import RenderConfig
from simgen.dataset import finish_dataset, plan_shards, prepare_dataset, sweep_attempts
from simgen.execute.local import run_shards
from simgen.execute.worker import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A finished dataset: its folder, its manifest and how many frames were new."""

    out: Path
    manifest: dict[str, Any]
    new_frames: int


def render_dataset(
    config: RenderConfig,
    categories: tuple[tuple[str, str], ...],
    *,
    renderer: str,
) -> Rendered:
    """Render what is missing of a dataset and write what is derived from it.

    Args:
        config: The job. Frames that `config.out` holds already are kept.
        categories: (name, supercategory) in the order of their ids.
        renderer: `module:name` of a callable RenderConfig -> renderer, an object
            with `frame(index) -> Frame` and `facts() -> dict`.

    Raises:
        ConfigError: `out` cannot be written.
        DatasetError: `out` holds another dataset, or the disk is full.
        RenderError: The renderer cannot start, or workers keep dying.
    """
    # Absolute, because nothing promises that a worker starts in the same folder.
    out = Path(os.path.abspath(config.out))
    committed = prepare_dataset(config, categories)
    missing = plan_shards(committed, frames=config.frames, shard_size=config.shard_size)
    new = sum(len(shard) for shard in missing)
    if missing:
        job = Job(
            config={**to_plain(config), "out": str(out)},
            categories=categories,
            renderer=renderer,
        )
        with tqdm(
            total=config.frames, initial=config.frames - new, unit="frame", desc="render"
        ) as bar:
            try:
                run_shards(job, missing, workers=config.workers, on_frame=bar.update)
            finally:
                sweep_attempts(out)
    manifest = finish_dataset(config, categories)
    return Rendered(out=out, manifest=manifest, new_frames=new)
