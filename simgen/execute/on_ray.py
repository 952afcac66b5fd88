"""The Ray executor: one task a shard, on whatever nodes the cluster has."""

import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from itertools import count
from pathlib import Path
from typing import Any

from simgen.config.executor import RayConfig
from simgen.dataset import ShardRange
from simgen.errors import RenderError
from simgen.execute.driver import FrameCount, MachineLost, WorkerLost
from simgen.execute.ray_cluster import Membership
from simgen.execute.worker import ONE_THREAD, Job, render_shard

_LOOK_S = 5.0


class RayExecutor:
    """Runs shards as tasks of a Ray cluster.

    Args:
        job: What to render.
        config: Address, what a task takes, and its deadline.
        workers: At most so many tasks at once; 0 is what the cluster has room for.

    Raises:
        ConfigError: Ray is not installed.
        RenderError: The cluster does not answer.
    """

    def __init__(self, job: Job, config: RayConfig, *, workers: int) -> None:
        self._cluster = Membership(config.address)
        self._ray = self._cluster.ray
        self._job = job
        self._config = config
        self._workers = workers
        self.deadline_s = config.deadline_s
        self._task = self._ray.remote(
            num_cpus=config.cpus,
            num_gpus=config.gpus,
            max_calls=config.recycle_shards,
            # One rule for all executors: the driver counts attempts and tries again.
            max_retries=0,
            runtime_env={"env_vars": ONE_THREAD},
        )(_render_on_node)
        self._folder = os.getcwd()
        self._refs: dict[Future[bool], Any] = {}
        self.done = FrameCount()
        # When each node last finished a shard: those that did can be trusted with more.
        self._proven: dict[str, float] = {}
        self._turn = count()
        self._suspicious_until = 0.0
        self._slots, self._looked = 1, -_LOOK_S

    def slots(self) -> int:
        """Return how many tasks the cluster has room for now.

        Raises:
            RenderError: There is no cluster any more.
        """
        if time.monotonic() - self._looked > _LOOK_S:
            if self._cluster.look():
                self._slots = max(1, self._room())
            self._looked = time.monotonic()
        return min(self._slots, self._workers or self._slots)

    def submit(self, shard: ShardRange, *, again: bool) -> Future[bool]:
        """Start a shard; while shards are overdue, only on nodes that do finish theirs."""
        if again:
            self._require_room()
            self._suspicious_until = time.monotonic() + 2 * self.deadline_s
        task = self._task
        if time.monotonic() < self._suspicious_until:
            task = self._on_proven_node(task)
        # With an explicit future: its own may be cancelled without harm.
        future: Future[bool] = Future()
        ref = task.remote(self._job, self._folder, shard)
        self._refs[future] = ref
        ref.future().add_done_callback(lambda ended: self._pass_on(ended, future, shard))
        return future

    def close(self) -> None:
        """Cancel what is left and leave the cluster."""
        # Ray's threads take out what ends meanwhile.
        self._cluster.leave(list(self._refs.values()))

    def _room(self) -> int:
        alive = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        return room(alive, cpus=self._config.cpus, gpus=self._config.gpus)

    def _require_room(self) -> None:
        """Stop when a task has waited for its deadline and there is no node that could run it."""
        if not self._proven and not self._room():
            cpus, gpus = self._config.cpus, self._config.gpus
            raise RenderError(
                f"executor.cpus, executor.gpus: no node of the Ray cluster has {cpus:g} CPUs and"
                f" {gpus:g} GPUs for a worker; lower them, add nodes, or raise executor.deadline_s"
                " if nodes are on their way"
            )

    def _on_proven_node(self, task: Any) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        # A frozen node looks idle to Ray's scheduler, which would send more and more there.
        since = time.monotonic() - self.deadline_s / 2
        nodes = sorted(node for node, when in self._proven.items() if when > since)
        if not nodes:
            return task
        node = nodes[next(self._turn) % len(nodes)]
        return task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=True))

    def _pass_on(self, ended: "Future[Any]", future: Future[bool], shard: ShardRange) -> None:
        """Hand a task's end to our future; runs in a thread of Ray's."""
        self._refs.pop(future, None)
        if not future.set_running_or_notify_cancel():
            return
        try:
            won, node = ended.result()
        except self._ray.exceptions.RayTaskError as error:
            future.set_exception(_cause(error))
        except self._ray.exceptions.NodeDiedError:
            future.set_exception(MachineLost())
        except self._ray.exceptions.RayError as error:
            lines = str(error).strip().splitlines()
            future.set_exception(WorkerLost(lines[0] if lines else type(error).__name__))
        except BaseException as error:
            future.set_exception(error)
        else:
            self._proven[node] = time.monotonic()
            self.done.add(len(shard))
            future.set_result(won)


def room(nodes: Sequence[Mapping[str, float]], *, cpus: float, gpus: float) -> int:
    """Return how many tasks nodes have room for, from what each of them has.

    A task runs on one node: two halves of what it needs on two nodes are no room.
    """
    wanted = {"CPU": cpus, "GPU": gpus}
    # A little more, because three times a third is less than one.
    return sum(
        min(int(has.get(name, 0.0) / each + 1e-6) for name, each in wanted.items() if each)
        for has in nodes
    )


def _render_on_node(job: Job, folder: str, shard: ShardRange) -> tuple[bool, str]:
    """Run in a Ray worker: render a shard; return whether it counts, and which node this is."""
    import ray

    # The user's own scenes are looked for where the driver was started, if nodes share that.
    if Path(folder).is_dir():
        os.chdir(folder)
    won = render_shard(job, shard)
    return won, ray.get_runtime_context().get_node_id()


def _cause(error: Exception) -> BaseException:
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, BaseException) else error
