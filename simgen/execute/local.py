"""The local executor: spawned worker processes, each fed by a thread of the driver."""

import math
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

from simgen.dataset import ShardRange
from simgen.execute.driver import FrameCount, WorkerLost
from simgen.execute.lifetime import die_with_driver, exit_with_driver
from simgen.execute.worker import ONE_THREAD, Job, Worker

_STOP_S = 5


def usable_cores(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Return how many cores this process may use; a container's limit counts, rounded up."""
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
        return max(1, min(cores, math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):
        # No limit ("max"), or control groups of another kind.
        return cores


class LocalExecutor:
    """Runs shards in processes of this machine, one GL context each.

    Args:
        job: What to render.
        workers: Number of processes; they are started when they are needed.
        recycle_shards: A process is replaced after so many shards; 0 is never.
    """

    deadline_s = math.inf

    def __init__(self, job: Job, *, workers: int, recycle_shards: int) -> None:
        self._job = job
        self._workers = workers
        self._recycle = recycle_shards or sys.maxsize
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="worker")
        self._mine = threading.local()
        self._started: list[_Process] = []
        self._lock = threading.Lock()
        self._closed = False
        self.done = FrameCount()

    def slots(self) -> int:
        """Return the number of processes."""
        return self._workers

    def submit(self, shard: ShardRange, *, again: bool) -> Future[bool]:
        """Start a shard in the next process that is free."""
        return self._threads.submit(self._run, shard)

    def close(self) -> None:
        """Stop all processes at once and wait for them."""
        with self._lock:
            self._closed = True
            processes = list(self._started)
        for process in processes:
            process.stop()
        # A thread that was waiting for its process waits for its end, too.
        self._threads.shutdown(wait=True, cancel_futures=True)
        for process in self._started:
            process.join()

    def _run(self, shard: ShardRange) -> bool:
        process = self._process()
        try:
            done = process.render(shard, self.done)
        except WorkerLost:
            self._drop(process)
            raise
        if process.shards >= self._recycle:
            process.finish()
            self._drop(process)
        return done

    def _process(self) -> "_Process":
        process: _Process | None = getattr(self._mine, "process", None)
        if process is None:
            # One at a time: multiprocessing keeps its list of children without a lock.
            with self._lock:
                if self._closed:
                    raise WorkerLost
                process = _Process(self._job)
                self._started.append(process)
            self._mine.process = process
        return process

    def _drop(self, process: "_Process") -> None:
        self._mine.process = None
        process.stop()
        process.join()
        with self._lock:
            if process in self._started:
                self._started.remove(process)


class _Process:
    """One worker process, as the thread that feeds it sees it."""

    def __init__(self, job: Job) -> None:
        # A GL context must never exist in a parent that forks, so workers are spawned.
        context = multiprocessing.get_context("spawn")
        self._tasks, tasks = context.Pipe()
        stop, self._stop = context.Pipe(duplex=False)
        self._stopping = threading.Lock()
        self._process = context.Process(target=_serve, args=(job, tasks, stop), daemon=True)
        with _without_interrupts():
            self._process.start()
        # Only then does the end of the process end the pipe.
        tasks.close()
        stop.close()
        self.shards = 0

    def render(self, shard: ShardRange, done: FrameCount) -> bool:
        """Have one shard rendered.

        Raises:
            WorkerLost: The process is gone.
            Exception: What the worker raised.
        """
        reported = 0
        try:
            self._tasks.send(shard)
            kind, value = self._tasks.recv()
            while kind == "frame":
                reported += 1
                done.add(1)
                kind, value = self._tasks.recv()
        except (EOFError, OSError):
            done.add(-reported)
            at = shard.first + reported
            raise WorkerLost(frame=at if at < shard.stop else None) from None
        if kind == "error":
            error, trace = value
            raise error from _RemoteTraceback(trace)
        done.add(len(shard) - reported)
        self.shards += 1
        return bool(value)

    def finish(self) -> None:
        """Let the process end by itself."""
        # It may have died meanwhile, which is as good.
        with suppress(OSError):
            self._tasks.send(None)
        self._process.join(_STOP_S)

    def stop(self) -> None:
        """Make the process end at once, whatever it does."""
        # Its thread and the main one may both want that.
        with self._stopping:
            self._stop.close()

    def join(self) -> None:
        """Wait until the process is gone."""
        self._process.join(_STOP_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._tasks.close()


class _RemoteTraceback(Exception):
    """The traceback in a worker, shown as the cause of what it raised."""


def _serve(job: Job, tasks: Connection, stop: Connection) -> None:
    """Render shards as they come; the whole life of a worker process."""
    os.environ.update(ONE_THREAD)
    # Ctrl-C reaches the whole group; the driver alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_driver()
    exit_with_driver(stop)
    worker: Worker | None = None
    while True:
        try:
            shard = tasks.recv()
        except EOFError:
            shard = None
        if shard is None:
            # Without the interpreter's own end: a GL driver's exit handlers may crash.
            os._exit(0)
        answer: tuple[str, Any]
        try:
            worker = worker or Worker(job)
            # One by one: should this process die, the driver knows in which frame.
            answer = ("done", worker.render(shard, lambda: tasks.send(("frame", None))))
        except Exception as error:
            answer = ("error", (_portable(error), traceback.format_exc()))
        try:
            tasks.send(answer)
        except OSError:
            # Nobody is there any more to hear it.
            os._exit(1)


def _portable(error: Exception) -> Exception:
    """Return an exception that the driver can read: itself, or what it says."""
    try:
        # As the pipe would hand it on.
        ForkingPickler.loads(ForkingPickler.dumps(error))
        return error
    except Exception:
        # A library's own, with arguments that it does not keep, say.
        plain = RuntimeError(f"{type(error).__name__}: {error}")
        for note in getattr(error, "__notes__", ()):
            plain.add_note(note)
        return plain


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach: it would while they import, with a traceback."""
    # It lifts the block when it is started itself.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
