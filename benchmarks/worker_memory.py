"""Memory and time of one worker process by frames rendered; it is not replaced meanwhile.

Usage: python benchmarks/worker_memory.py [--frames 2000] [--scene magnetic_tile] [overrides ...]

A driver has one worker render and commit small frames of a real scene, and reads the worker's
resident memory and CPU time after every shard. Prints every 200 frames what it held at the last
shard's end, the mean and largest over the last 100 frames (scenes differ, and so does what is held
of the last of them), and the CPU-seconds of a frame since the line before. Exits 1 if the last mean
is more than 10 % above that at 200 frames.
"""

import argparse
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from driver_scale import resident_bytes

from simgen import pipeline
from simgen.config import compose, to_plain
from simgen.config.render import RenderConfig, parse_render
from simgen.dataset import plan_shards, prepare_dataset
from simgen.execute.driver import run_shards
from simgen.execute.local import LocalExecutor
from simgen.execute.worker import Job

SMALL = ("image.width=64", "image.height=64", "renderer.supersample=1")
_MIB = 2**20
_EVERY, _MEAN_OF, _GROWTH = 200, 100, 1.10


def main() -> int:
    """Measure and print; return 1 if the worker grew."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--scene", default="magnetic_tile")
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_args()
    if args.frames < 2 * _EVERY:
        parser.error(f"--frames: {args.frames} is too few; ask for at least {2 * _EVERY}")
    means = []
    print("frames     resident MiB   mean     largest  CPU-s a frame")
    with tempfile.TemporaryDirectory(prefix="simgen-memory-") as folder:
        words = [f"+scene={args.scene}", f"out={folder}/d", f"frames={args.frames}", *SMALL]
        config = parse_render(compose("render", [*words, "shard_size=10", *args.overrides]))
        seen: list[float] = []
        spent = 0.0
        for frames, held, used in _worker_memory(config):
            seen.append(held / _MIB)
            if frames % _EVERY == 0:
                last = seen[-_MEAN_OF // config.shard_size :]
                means.append(statistics.mean(last))
                print(
                    f"{frames:<10} {last[-1]:<14.0f} {means[-1]:<8.0f} {max(last):<8.0f}"
                    f" {(used - spent) / _EVERY:.3f}",
                    flush=True,
                )
                spent = used
    growth = means[-1] / means[0]
    print(f"after {args.frames} frames {growth - 1:+.1%} of the mean after {_EVERY}")
    return int(growth > _GROWTH)


def _worker_memory(config: RenderConfig) -> Iterator[tuple[int, int, float]]:
    """Yield (frames rendered, the worker's resident bytes, its CPU-seconds) after every shard."""
    categories = pipeline.categories(config)
    prepare_dataset(config, categories)
    job = Job(
        config=to_plain(config), categories=categories, renderer="simgen.pipeline:FrameRenderer"
    )
    executor = LocalExecutor(job, workers=1, recycle_shards=0)
    pid = 0
    try:
        for shard in plan_shards([], frames=config.frames, shard_size=config.shard_size):
            run_shards(executor, [shard])
            (process,) = multiprocessing.active_children()
            if pid not in (0, process.pid):
                sys.exit(f"the worker died within frames {shard.first} to {shard.stop - 1}")
            pid = process.pid or 0
            yield shard.stop, resident_bytes(pid), _cpu_seconds(pid)
            shutil.rmtree(Path(config.out) / "shards" / shard.name)
    finally:
        executor.close()


def _cpu_seconds(pid: int) -> float:
    # After the name, which may hold anything: fields 14 and 15 of proc(5), in clock ticks.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
