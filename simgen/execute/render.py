"""Render a dataset from start to finish: what is there already, what is missing, the rest."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from simgen.config import to_plain
from simgen.config.executor import LocalConfig, RayConfig
from simgen.config.render import RenderConfig
from simgen.dataset import (
    ShardRange,
    Storage,
    committed_ranges,
    finish_dataset,
    missing_shards,
    open_storage,
    prepare_dataset,
)
from simgen.errors import DatasetError
from simgen.execute.driver import ShardExecutor, run_shards
from simgen.execute.local import LocalExecutor, usable_cores
from simgen.execute.worker import Job

_ROUNDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A dataset after a render: its folder or URL, its manifest and how many frames were new.

    There is no manifest if this was one of several ranks, which leave the finish to another run.
    """

    out: str
    manifest: dict[str, Any] | None
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
    storage = open_storage(config.out)
    try:
        storage.probe()
        storage.pull(records=False)
        committed = prepare_dataset(config, categories, folder=storage.folder)
        storage.push(["config.yaml"])
        job = Job(
            # Absolute, because nothing promises that a worker starts in the same folder.
            config={**to_plain(config), "out": storage.where},
            categories=categories,
            renderer=renderer,
        )
        before = sum(len(done) for done in committed)
        try:
            after = _render_missing(config, job, storage, committed)
        finally:
            storage.sweep()
        manifest = None
        if _world(config) == 1:
            storage.pull(records=True)
            manifest = finish_dataset(
                config, categories, folder=storage.folder, fetch=storage.fetch
            )
            storage.push()
        return Rendered(out=storage.where, manifest=manifest, new_frames=after - before)
    finally:
        storage.close()


def _render_missing(
    config: RenderConfig, job: Job, storage: Storage, committed: list[ShardRange]
) -> int:
    """Render until nothing is missing; return how many frames are committed."""
    for _ in range(_ROUNDS):
        done = sum(len(shard) for shard in committed)
        if done == config.frames:
            return done
        missing = missing_shards(committed, frames=config.frames, shard_size=config.shard_size)
        with tqdm(total=config.frames, initial=done, unit="frame", desc="render") as bar:
            _run(config, job, storage, missing, bar.update)
        # What a worker says is no proof: only manifests are.
        storage.pull(records=False)
        committed = committed_ranges(storage.folder)
        if _world(config) > 1:
            return sum(len(shard) for shard in committed)
    if sum(len(shard) for shard in committed) < config.frames:
        raise DatasetError(
            f"out: shards that workers have committed do not show up in {storage.where}; choose a"
            " folder that all machines share, or a URL such as s3://bucket/name"
        )
    return config.frames


def _run(
    config: RenderConfig,
    job: Job,
    storage: Storage,
    missing: Iterable[ShardRange],
    on_frames: Callable[[int], object],
) -> None:
    where = config.executor
    executor: ShardExecutor
    if isinstance(where, LocalConfig):
        missing = (s for s in missing if s.number % where.world == where.rank)
        shards = -(-config.frames // config.shard_size)
        workers = min(config.workers or usable_cores(), shards)
        executor = LocalExecutor(job, workers=workers, recycle_shards=where.recycle_shards)
    elif isinstance(where, RayConfig):
        from simgen.execute.on_ray import RayExecutor

        executor = RayExecutor(job, where, workers=config.workers)
    else:
        from simgen.execute.on_slurm import run_on_slurm

        run_on_slurm(job, where, storage, missing, workers=config.workers, on_frames=on_frames)
        return
    try:
        run_shards(executor, missing, on_frames=on_frames)
    finally:
        executor.close()


def _world(config: RenderConfig) -> int:
    return config.executor.world if isinstance(config.executor, LocalConfig) else 1
