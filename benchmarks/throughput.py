"""Labelled frames a second from sampling to files on disk, by stage and by number of workers.

Usage: python benchmarks/throughput.py [--scene inspection] [--frames 24] [--workers 1 2 ...]
                                       [--warm 2] [--stage-frames 24] [overrides ...]

First the CPU-seconds of a frame by stage, clean twin included, in one process
(benchmarks/frame_cost.py). Then the same frames by 1, 2, ... worker processes up to the cores
(--workers), each time committed as a dataset in a temporary folder. Workers are warm: each has
started and rendered about `--warm` frames before the clock starts, until then it makes its parts'
designs. Printed are frames a second; the efficiency, which is
frames a second by workers over as many times those of one; CPU-seconds of the workers a frame;
and the share of a core that each had. Where CPU-seconds grow with workers, these are in each
other's way (caches, memory, clock rate); where the share falls, they wait for something, or other
programs have the cores, and the efficiency says nothing.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from frame_cost import show, stages_of

from simgen import pipeline
from simgen.config import compose, to_plain
from simgen.config.render import parse_render
from simgen.dataset import plan_shards, prepare_dataset
from simgen.execute.driver import run_shards
from simgen.execute.local import LocalExecutor, usable_cores
from simgen.execute.worker import Job

# Small, so that no worker has nothing to do for long at the end.
SHARD = 2


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How quickly some workers made the same frames."""

    frames_a_s: float
    cpu_s_a_frame: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scene", default="inspection")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--warm", type=int, default=SHARD)
    parser.add_argument("--stage-frames", type=int, default=24)
    parser.add_argument("--workers", type=int, nargs="*")
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_args()
    counts = args.workers or _powers_of_two(usable_cores())
    if min(counts) < 1 or args.frames < SHARD * max(counts):
        parser.error(f"--frames: {args.frames} is too few for {max(counts)} workers")
    counts = sorted({1, *counts})
    if args.stage_frames:
        stages, facts = stages_of(args.scene, args.stage_frames, args.warm, args.overrides)
        print(f"{args.scene}, {args.stage_frames} frames, CPU-seconds; {facts['renderer']}")
        show(stages)
    print(f"\n{args.scene}, {args.frames} frames, {usable_cores()} cores; load {_load()}")
    print("| workers | frames a s | efficiency | CPU-seconds a frame | of a core each |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    alone = 0.0
    for count in counts:
        rate = measure(args.scene, args.frames, count, max(counts), args.warm, args.overrides)
        alone = alone or rate.frames_a_s
        share = rate.frames_a_s / (count * alone)
        busy = rate.cpu_s_a_frame * rate.frames_a_s / count
        print(
            f"| {count} | {rate.frames_a_s:.2f} | {share:.2f} | {rate.cpu_s_a_frame:.2f}"
            f" | {busy:.2f} |",
            flush=True,
        )


def measure(
    scene: str, frames: int, workers: int, most: int, warm: int, overrides: list[str]
) -> Rate:
    """Have workers render frames, each about `warm` others first; `most` workers get the same."""
    each = max(1, -(-warm // SHARD))
    with tempfile.TemporaryDirectory(prefix="simgen-throughput-") as folder:
        total = frames + SHARD * most * each
        words = [f"+scene={scene}", f"out={folder}/d", f"frames={total}", f"shard_size={SHARD}"]
        config = parse_render(compose("render", [*words, *overrides]))
        categories = pipeline.categories(config)
        prepare_dataset(config, categories)
        job = Job(
            config=to_plain(config), categories=categories, renderer="simgen.pipeline:FrameRenderer"
        )
        shards = plan_shards([], frames=total, shard_size=SHARD)
        executor = LocalExecutor(job, workers=workers, recycle_shards=0)
        try:
            # As many as there are workers go to one each: none is done before the last has begun.
            run_shards(executor, shards[:workers])
            run_shards(executor, shards[workers : workers * each])
            started, before = time.monotonic(), _cpu_seconds(workers)
            run_shards(executor, shards[most * each :])
            seconds, cpu = time.monotonic() - started, _cpu_seconds(workers) - before
        finally:
            executor.close()
    return Rate(frames_a_s=frames / seconds, cpu_s_a_frame=cpu / frames)


def _cpu_seconds(workers: int) -> float:
    """Return what the worker processes have used since they started."""
    children = multiprocessing.active_children()
    if len(children) != workers:
        sys.exit(f"{len(children)} of {workers} workers are there: one died, or never started")
    ticks = 0
    for child in children:
        # After the program's name, which may hold spaces.
        fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _powers_of_two(most: int) -> list[int]:
    return [*(1 << k for k in range((most - 1).bit_length())), most]


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f} by all programs"


if __name__ == "__main__":
    main()
