"""The driver: a window of shards in flight, over any executor of `concurrent.futures` kind.

It holds what is in flight and nothing of what is done, so that its memory does not
grow with the number of frames.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Protocol

from simgen.dataset import ShardRange
from simgen.errors import RenderError

_LOSSES = 3
_MACHINES = 20
_COPIES = 4
_POLL_S = 0.2


class WorkerLost(Exception):
    """A worker process is gone; its shard may run again, unless it seems to be the reason.

    `frame` is the one that it was at, None if that is not known.
    """

    def __init__(self, why: str = "", *, frame: int | None = None) -> None:
        super().__init__(why)
        self.frame = frame


class MachineLost(WorkerLost):
    """The whole machine is gone, which says nothing about the shard, unless it goes on so."""


class FrameCount:
    """Counts frames in many threads for one that looks."""

    def __init__(self) -> None:
        self._added: SimpleQueue[int] = SimpleQueue()

    def add(self, count: int) -> None:
        """Count frames that are done; a negative number takes back those that were lost."""
        self._added.put(count)

    def take(self) -> int:
        """Return how many were added since the last call."""
        count = 0
        while True:
            try:
                count += self._added.get_nowait()
            except Empty:
                return count


class ShardExecutor(Protocol):
    """Runs shards somewhere else.

    Attributes:
        deadline_s: A shard that is not done so long after it was submitted is
            submitted again; infinite where a stuck worker cannot be told from a slow one.
        done: Frames that are done, as far as the executor knows.
    """

    deadline_s: float
    done: FrameCount

    def slots(self) -> int:
        """Return how many shards can run at once; it may change."""

    def submit(self, shard: ShardRange, *, again: bool) -> Future[bool]:
        """Start a shard; `again` if an earlier attempt is overdue.

        The future raises WorkerLost if the shard may be tried again, else what is wrong.
        """

    def close(self) -> None:
        """Stop everything at once; what is not committed is lost."""


@dataclass(slots=True)
class _Open:
    """A shard that was handed out and is not committed yet."""

    shard: ShardRange
    due: float
    copies: list[Future[bool]] = field(default_factory=list)
    losses: list[WorkerLost] = field(default_factory=list)


def run_shards(
    executor: ShardExecutor,
    shards: Iterable[ShardRange],
    *,
    on_frames: Callable[[int], object] = lambda count: None,
) -> None:
    """Render and commit every shard.

    Args:
        executor: Runs them; stays open.
        shards: What is missing; drawn as it is handed out.
        on_frames: Called in this thread with the number of frames done since the last call.

    Raises:
        RenderError: Workers died again and again over the same shard.
        SimgenError: Whatever a worker raised.
    """
    waiting = iter(shards)
    opened: dict[int, _Open] = {}
    flying: dict[Future[bool], _Open] = {}
    while True:
        for shard in _next(waiting, 2 * executor.slots() - len(opened)):
            opened[shard.number] = entry = _Open(shard=shard, due=math.inf)
            _submit(executor, entry, flying, again=False)
        if not opened:
            on_frames(executor.done.take())
            return
        finished, _ = wait(flying, timeout=_POLL_S, return_when=FIRST_COMPLETED)
        on_frames(executor.done.take())
        for future in finished:
            entry = flying.pop(future)
            if opened.get(entry.shard.number) is entry:
                entry.copies.remove(future)
                _settle(executor, entry, future, opened, flying)
        now = time.monotonic()
        for entry in [e for e in opened.values() if now > e.due]:
            _submit(executor, entry, flying, again=True)


def _next(waiting: Iterator[ShardRange], count: int) -> Iterator[ShardRange]:
    for _ in range(count):
        shard = next(waiting, None)
        if shard is None:
            return
        yield shard


def _submit(
    executor: ShardExecutor, entry: _Open, flying: dict[Future[bool], _Open], *, again: bool
) -> None:
    future = executor.submit(entry.shard, again=again)
    entry.due = time.monotonic() + executor.deadline_s
    entry.copies.append(future)
    flying[future] = entry
    if len(entry.copies) > _COPIES:
        flying.pop(entry.copies.pop(0))


def _give_up_if_lost_too_often(entry: _Open) -> None:
    machines = sum(isinstance(loss, MachineLost) for loss in entry.losses)
    processes = len(entry.losses) - machines
    if processes < _LOSSES and machines < _MACHINES:
        return
    shard, last = entry.shard, entry.losses[-1]
    died = f"worker processes died {processes}" if processes else f"machines were lost {machines}"
    frames = {loss.frame for loss in entry.losses if not isinstance(loss, MachineLost)}
    place = f"over frames {shard.first} to {shard.stop - 1}"
    if len(frames) == 1 and None not in frames:
        place = f"in frame {frames.pop()}"
    raise RenderError(
        f"{died} times {place}, out of memory perhaps; lower workers or image size,"
        f" and see `simgen doctor`{f' ({last})' if str(last) else ''}"
    ) from None


def _settle(
    executor: ShardExecutor,
    entry: _Open,
    future: Future[bool],
    opened: dict[int, _Open],
    flying: dict[Future[bool], _Open],
) -> None:
    """Act on the end of one attempt at a shard that is not committed yet."""
    try:
        future.result()
    except WorkerLost as error:
        entry.losses.append(error)
        _give_up_if_lost_too_often(entry)
        if not entry.copies:
            _submit(executor, entry, flying, again=False)
        return
    del opened[entry.shard.number]
    for copy in entry.copies:
        # Cancelled if it has not begun; else it finds the shard committed and ends by itself.
        copy.cancel()
        flying.pop(copy, None)
