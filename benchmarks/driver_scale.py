"""Memory and speed of the driver by number of frames.

Usage: python benchmarks/driver_scale.py [--frames 10000 100000 1000000] [--shard-size 12]
       python benchmarks/driver_scale.py --workers 2 --folder /dev/shm --shard-size 500

The first form is the driver alone: a null executor answers every shard at once. In the second,
worker processes with a null renderer write and commit shards of tiny images. Both print frames a
second, what a frame costs the driver, and the driver's largest resident memory above that at its
start while shards are rendered; the second also when it then lists what is committed, as a driver
does at its start and end.
"""

import argparse
import gc
import math
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from simgen.config import to_plain
from simgen.config.render import RenderConfig, parse_render
from simgen.dataset import ShardRange, committed_ranges, missing_shards, prepare_dataset
from simgen.execute.driver import FrameCount, ShardExecutor, run_shards
from simgen.execute.local import LocalExecutor
from simgen.execute.worker import Job
from simgen.label.annotation import Frame
from simgen.scene.spec import CameraSpec, EnvironmentSpec, PoseSpec, SceneSpec, SensorSpec

_MIB = 2**20


class NullRenderer:
    """Returns the same tiny frame again and again."""

    def __init__(self, config: RenderConfig) -> None:
        camera = CameraSpec(width=16, height=16, fx=9.0, fy=9.0, cx=8.0, cy=8.0, pose=PoseSpec())
        self._image = np.zeros((16, 16), np.uint8)
        self._spec = SceneSpec(
            scene="null",
            objects=(),
            lights=(),
            environment=EnvironmentSpec(intensity=1.0),
            camera=camera,
            sensor=SensorSpec(),
        )

    def facts(self) -> dict[str, Any]:
        """Say what draws."""
        return {"name": "null"}

    def frame(self, index: int) -> Frame:
        """Return frame `index`."""
        return Frame(
            index=index,
            scene_index=index,
            view=0,
            exposure=0,
            image=self._image,
            annotations=(),
            spec=self._spec,
        )


class NullExecutor:
    """Says of every shard at once that it is committed."""

    deadline_s = math.inf

    def __init__(self) -> None:
        self.done = FrameCount()

    def slots(self) -> int:
        """Return a usual number."""
        return 16

    def submit(self, shard: ShardRange, *, again: bool) -> "Future[bool]":
        """Answer."""
        future: Future[bool] = Future()
        future.set_result(True)
        self.done.add(len(shard))
        return future

    def close(self) -> None:
        """Nothing to stop."""


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """What the driver took for all frames; memory is above that at the start."""

    seconds: float
    cpu_s: float
    held_bytes: int
    listed_bytes: int | None = None


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--shard-size", type=int, default=12)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--folder", default=None)
    args = parser.parse_args()
    print("frames     frames/s   driver us/frame   driver MiB   listed MiB")
    for frames in args.frames:
        with tempfile.TemporaryDirectory(prefix="simgen-scale-", dir=args.folder) as folder:
            seen = _drive(Path(folder), frames, args.shard_size, args.workers)
        rate, each = frames / seen.seconds, seen.cpu_s / frames * 1e6
        listed = f"{seen.listed_bytes / _MIB:.1f}" if seen.listed_bytes is not None else "-"
        held = seen.held_bytes / _MIB
        print(f"{frames:<10} {rate:<10.0f} {each:<17.2f} {held:<12.1f} {listed}", flush=True)


def _drive(folder: Path, frames: int, shard_size: int, workers: int) -> _Seen:
    config = parse_render(
        {
            "scene": {"name": "null"},
            "out": str(folder / "d"),
            "frames": frames,
            "shard_size": shard_size,
            "image": {"width": 16, "height": 16},
        }
    )
    if not workers:
        return _measure(NullExecutor(), config)
    prepare_dataset(config, ())
    job = Job(config=to_plain(config), categories=(), renderer="driver_scale:NullRenderer")
    with _Every(1.0, lambda: _remove_images(Path(config.out))):
        seen = _measure(LocalExecutor(job, workers=workers, recycle_shards=100), config)
    before = resident_bytes(os.getpid())
    with _Highest() as highest:
        committed = committed_ranges(Path(config.out))
        list(missing_shards(committed, frames=frames, shard_size=shard_size))
    assert sum(len(done) for done in committed) == frames
    return replace(seen, listed_bytes=highest.bytes - before)


def _measure(executor: ShardExecutor, config: RenderConfig) -> _Seen:
    """Run all frames with the driver."""
    gc.collect()
    before, started, cpu = resident_bytes(os.getpid()), time.monotonic(), time.process_time()
    counted = 0

    def count(number: int) -> None:
        nonlocal counted
        counted += number

    try:
        missing = missing_shards([], frames=config.frames, shard_size=config.shard_size)
        with _Highest() as highest:
            run_shards(executor, missing, on_frames=count)
    finally:
        executor.close()
    assert counted == config.frames
    return _Seen(
        seconds=time.monotonic() - started,
        cpu_s=time.process_time() - cpu,
        held_bytes=highest.bytes - before,
    )


class _Every:
    """Calls a function at intervals, and once more at the end."""

    def __init__(self, seconds: float, call: Callable[[], None]) -> None:
        self._seconds, self._call = seconds, call
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            self._call()
        self._call()


class _Highest(_Every):
    """The largest resident memory of this process while the block runs."""

    def __init__(self) -> None:
        super().__init__(0.05, self._look)
        self.bytes = resident_bytes(os.getpid())

    def _look(self) -> None:
        self.bytes = max(self.bytes, resident_bytes(os.getpid()))


def _remove_images(out: Path) -> None:
    """Make room: a million files fill what they are measured in. Manifests stay."""
    for folder in (out / "shards").glob("[0-9]*"):
        shutil.rmtree(folder / "images", ignore_errors=True)
        (folder / "frames.jsonl").unlink(missing_ok=True)


def resident_bytes(pid: int) -> int:
    """Return the memory that a process has in RAM now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
