"""What runs in a worker process: one renderer, shard after shard.

This module imports nothing heavy at its top: `start` must set how many threads
OpenBLAS, OpenCV and Mesa may use before they load and read it.
"""

import importlib
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

    from simgen.dataset.shards import ShardRange
    from simgen.label.annotation import Frame

_ONE_THREAD = {
    "LP_NUM_THREADS": "0",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What every worker is told, in plain values.

    Attributes:
        config: A RenderConfig as `to_plain` gives it.
        categories: (name, supercategory) in the order of their ids.
        renderer: `module:name` of what makes a renderer from a RenderConfig; it
            is imported in the worker only.
    """

    config: dict[str, Any]
    categories: tuple[tuple[str, str], ...]
    renderer: str


class _Worker:
    """A worker's renderer and what it was told; lives as long as its process."""

    def __init__(self, job: Job, progress: "Queue[int]") -> None:
        import cv2

        from simgen.config.render import parse_render

        cv2.setNumThreads(1)
        module, _, name = job.renderer.partition(":")
        self.config = parse_render(job.config)
        self.job = job
        self.progress = progress
        self.renderer = getattr(importlib.import_module(module), name)(self.config)

    def frames(self, shard: "ShardRange") -> "Iterator[Frame]":
        """Render the frames of a shard, in order."""
        for index in range(shard.first, shard.stop):
            try:
                frame = self.renderer.frame(index)
            except Exception as error:
                error.add_note(f"in frame {index}")
                raise
            yield frame
            self.progress.put(index)


# A process pool hands its initializer's work to its tasks through the module.
_worker: _Worker | None = None
_start: tuple[Job, "Queue[int]"] | None = None


def start(job: Job, progress: "Queue[int]", stop: Connection) -> None:
    """Prepare a fresh process; the renderer itself is made with the first shard."""
    global _start
    os.environ.update(_ONE_THREAD)
    # Ctrl-C reaches the whole group; the driver alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_driver, args=(stop,), daemon=True).start()
    _start = (job, progress)


def render_shard(shard: "ShardRange") -> bool:
    """Render and commit one shard; return whether this attempt is the one that counts."""
    global _worker
    from pathlib import Path

    from simgen.dataset import shard_style, versions, write_shard

    if _worker is None:
        if _start is None:
            raise RuntimeError("start() has not run in this process")
        # Here and not in `start`: an exception there breaks the pool and is lost.
        _worker = _Worker(*_start)
    worker = _worker
    return write_shard(
        Path(worker.config.out),
        shard,
        worker.frames(shard),
        style=shard_style(worker.config, worker.job.categories),
        made_with={
            "renderer": worker.renderer.facts(),
            "versions": versions(worker.config.scene_name),
        },
    )


def _exit_with_driver(stop: Connection) -> None:
    # Either end closes when the driver asks for it or is gone, however it died.
    from multiprocessing import parent_process

    parent = parent_process()
    wait([stop] if parent is None else [stop, parent.sentinel])
    os._exit(1)
