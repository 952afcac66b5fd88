"""What runs in a worker process: one renderer, shard after shard.

This module imports nothing heavy at its top: whoever starts a process must set how
many threads OpenBLAS, OpenCV and Mesa may use before they load and read it.
"""

import ctypes
import importlib
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simgen.errors import DatasetError

if TYPE_CHECKING:
    from simgen.dataset.shards import ShardRange
    from simgen.label.annotation import Frame

ONE_THREAD = {
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


class Worker:
    """A renderer and where its shards go; one a process, kept between shards.

    Raises:
        RenderError: The renderer cannot start.
        DatasetError: This machine does not see the dataset.
    """

    def __init__(self, job: Job) -> None:
        import cv2

        from simgen.config.render import parse_render
        from simgen.dataset import open_storage, shard_style, versions

        cv2.setNumThreads(1)
        module, _, name = job.renderer.partition(":")
        self.job = job
        self._config = parse_render(job.config)
        self._storage = open_storage(self._config.out)
        self._plan = b""
        self._require_same_plan()
        self._renderer = getattr(importlib.import_module(module), name)(self._config)
        self._style = shard_style(self._config, job.categories)
        self._versions = versions(self._config.scene_name)

    def render(self, shard: "ShardRange", on_frame: Callable[[], None]) -> bool:
        """Render and commit one shard.

        Returns:
            Whether this attempt is the one that counts; either way the shard is committed.
        """
        from simgen.dataset import write_shard

        if self._storage.has_shard(shard.name):
            return False
        won = write_shard(
            self._storage,
            shard,
            self._frames(shard, on_frame),
            style=self._style,
            made_with={"renderer": self._renderer.facts(), "versions": self._versions},
            before_commit=self._require_same_plan,
        )
        return_memory()
        return won

    def _frames(self, shard: "ShardRange", on_frame: Callable[[], None]) -> "Iterator[Frame]":
        for index in range(shard.first, shard.stop):
            try:
                frame = self._renderer.frame(index)
            except Exception as error:
                error.add_note(f"in frame {index}")
                raise
            yield frame
            on_frame()

    def _require_same_plan(self) -> None:
        """Stop when a later driver has cut the dataset into other shards.

        A worker that was frozen may wake up after its driver was given up for dead.
        """
        from omegaconf import OmegaConf

        text = self._storage.read("config.yaml")
        if text is None:
            raise DatasetError(
                f"out: {self._storage.where} cannot be seen from {socket.gethostname()}; choose a"
                " folder that all machines share, or a URL such as s3://bucket/name"
            )
        if text == self._plan:
            return
        now = OmegaConf.to_container(OmegaConf.create(text.decode()))
        for key in ("frames", "shard_size"):
            mine = getattr(self._config, key)
            theirs = now.get(key) if isinstance(now, dict) else None
            if mine != theirs:
                raise DatasetError(
                    f"out: another render, with {key}={theirs} instead of {mine}, has taken over"
                    f" {self._storage.where}; let it finish"
                )
        self._plan = text


def return_memory() -> None:
    """Give freed memory back to the system, where the C library can.

    Maps of a part are freed and made again in other sizes all the time, and glibc keeps
    what lies between them: a worker would grow long after its caches are full.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        return


# A cluster's worker process hands its renderer from one task to the next through the module.
_worker: Worker | None = None


def render_shard(job: Job, shard: "ShardRange") -> bool:
    """Render and commit one shard with the renderer that this process keeps."""
    global _worker
    if _worker is None or _worker.job != job:
        _worker = Worker(job)
    return _worker.render(shard, lambda: None)
