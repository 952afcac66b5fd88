"""The local executor: spawned worker processes, each fed by a thread of the driver."""

import ctypes
import math
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection, wait
from typing import Any

from simgen.dataset import ShardRange
from simgen.execute.driver import FrameCount, WorkerLost
from simgen.execute.worker import ONE_THREAD, Job, Worker

_REPORT_S = 0.1
_STOP_S = 5
_DEATH_SIGNAL = 1


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


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
        except (EOFError, OSError):
            self._drop(process)
            raise WorkerLost from None
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
        self._process = context.Process(target=_serve, args=(job, tasks, stop), daemon=True)
        self._process.start()
        # Only then does the end of the process end the pipe.
        tasks.close()
        stop.close()
        self.shards = 0

    def render(self, shard: ShardRange, done: FrameCount) -> bool:
        """Have one shard rendered.

        Raises:
            EOFError, OSError: The process is gone.
            Exception: What the worker raised.
        """
        reported = 0
        try:
            self._tasks.send(shard)
            while True:
                kind, value = self._tasks.recv()
                if kind == "frames":
                    reported += value
                    done.add(value)
                elif kind == "done":
                    done.add(len(shard) - reported)
                    self.shards += 1
                    return bool(value)
                else:
                    error, trace = value
                    raise _Raised(error) from _RemoteTraceback(trace)
        except _Raised as raised:
            raise raised.error from raised.__cause__
        except (EOFError, OSError):
            done.add(-reported)
            raise

    def finish(self) -> None:
        """Let the process end by itself."""
        self._tasks.send(None)
        self._process.join(_STOP_S)

    def stop(self) -> None:
        """Make the process end at once, whatever it does."""
        self._stop.close()

    def join(self) -> None:
        """Wait until the process is gone."""
        self._process.join(_STOP_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._tasks.close()


class _Raised(Exception):
    """Carries a worker's exception past the handlers for a lost process."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class _RemoteTraceback(Exception):
    """The traceback in a worker, shown as the cause of what it raised."""


def _serve(job: Job, tasks: Connection, stop: Connection) -> None:
    """Render shards as they come; the whole life of a worker process."""
    os.environ.update(ONE_THREAD)
    # Ctrl-C reaches the whole group; the driver alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_driver()
    threading.Thread(target=_exit_with_driver, args=(stop,), daemon=True).start()
    worker: Worker | None = None
    while True:
        try:
            shard = tasks.recv()
        except EOFError:
            shard = None
        if shard is None:
            # Without the interpreter's own end: a GL driver's exit handlers may crash.
            os._exit(0)
        reports = _Reports(tasks)
        answer: tuple[str, Any]
        try:
            worker = worker or Worker(job)
            answer = ("done", worker.render(shard, reports.one_more))
        except Exception as error:
            answer = ("error", (error, traceback.format_exc()))
        _send(tasks, answer)


class _Reports:
    """Tells the driver how many frames are done, not more often than someone looks."""

    def __init__(self, tasks: Connection) -> None:
        self._tasks = tasks
        self._count = 0
        self._last = time.monotonic()

    def one_more(self) -> None:
        """Count a frame."""
        self._count += 1
        if time.monotonic() - self._last > _REPORT_S:
            self._tasks.send(("frames", self._count))
            self._count, self._last = 0, time.monotonic()


def _send(tasks: Connection, answer: tuple[str, Any]) -> None:
    try:
        tasks.send(answer)
    except (TypeError, AttributeError, ValueError):
        # An exception of a library that cannot be pickled.
        error, trace = answer[1]
        plain = RuntimeError(f"{type(error).__name__}: {error}")
        for note in getattr(error, "__notes__", ()):
            plain.add_note(note)
        tasks.send(("error", (plain, trace)))


def _die_with_driver() -> None:
    """Have the kernel kill this process with its driver, even inside a driver's long call."""
    try:
        libc = ctypes.CDLL(None)
        libc.prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    except (OSError, AttributeError):
        return


def _exit_with_driver(stop: Connection) -> None:
    # Either end closes when the driver asks for it or is gone, however it died.
    from multiprocessing import parent_process

    parent = parent_process()
    wait([stop] if parent is None else [stop, parent.sentinel])
    os._exit(1)
