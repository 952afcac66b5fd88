"""The local executor: spawned worker processes, one renderer each, shards as tasks."""

import multiprocessing
import os
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import SpawnContext
from queue import Empty

from simgen.dataset import ShardRange
from simgen.errors import RenderError
from simgen.execute.worker import Job, render_shard, start

_ATTEMPTS = 3


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def run_shards(
    job: Job,
    shards: Sequence[ShardRange],
    *,
    workers: int,
    on_frame: Callable[[], None],
) -> None:
    """Render and commit every shard in worker processes.

    Args:
        job: What to render.
        shards: What is missing.
        workers: Number of processes; 0 is one for each usable core. Never more
            than there are shards.
        on_frame: Called in this process whenever a frame is done.

    Raises:
        RenderError: A worker died again and again over the same shard.
        SimgenError: Whatever a worker raised.
    """
    pending = deque(shards)
    attempts: Counter[int] = Counter()
    while pending:
        count = min(workers or usable_cores(), len(pending))
        with _Pool(job, count, on_frame) as pool:
            lost = pool.run(pending)
        # A process that dies breaks its pool: what was in flight runs again in a new one.
        for shard in lost:
            attempts[shard.number] += 1
            if attempts[shard.number] == _ATTEMPTS:
                raise RenderError(
                    f"worker processes died {_ATTEMPTS} times over frames {shard.first} to"
                    f" {shard.stop - 1}, out of memory perhaps; lower workers or image size,"
                    " and see `simgen doctor`"
                )
        pending.extendleft(reversed(lost))


class _Pool:
    """One generation of worker processes."""

    def __init__(self, job: Job, count: int, on_frame: Callable[[], None]) -> None:
        # A GL context must never exist in a parent that forks, so workers are spawned.
        context: SpawnContext = multiprocessing.get_context("spawn")
        self._count = count
        self._on_frame = on_frame
        self._progress = context.Queue()
        stop, self._stop = context.Pipe(duplex=False)
        self._executor = ProcessPoolExecutor(
            count, mp_context=context, initializer=start, initargs=(job, self._progress, stop)
        )

    def __enter__(self) -> "_Pool":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            # Workers exit at once when this end closes; what they had not committed is lost.
            self._stop.close()
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._stop.close()
        self._drain()
        self._progress.close()

    def run(self, pending: deque[ShardRange]) -> list[ShardRange]:
        """Work off `pending`; return the shards that were lost with a dead process."""
        running: dict[Future[bool], ShardRange] = {}
        lost: list[ShardRange] = []
        while (pending and not lost) or running:
            while pending and not lost and len(running) < 2 * self._count:
                shard = pending.popleft()
                try:
                    running[self._executor.submit(render_shard, shard)] = shard
                except BrokenProcessPool:
                    lost.append(shard)
            finished, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
            self._drain()
            for future in finished:
                shard = running.pop(future)
                try:
                    future.result()
                except BrokenProcessPool:
                    lost.append(shard)
        return sorted(lost, key=lambda s: s.first)

    def _drain(self) -> None:
        while True:
            try:
                self._progress.get_nowait()
            except (Empty, OSError):
                return
            self._on_frame()
