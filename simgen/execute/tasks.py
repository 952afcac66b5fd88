"""Independent tasks, each a function call: on this machine, as Ray tasks, or as Slurm jobs.

A task must be safe to repeat: one whose worker is lost is started again.
"""

import multiprocessing
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from simgen import errors
from simgen.config.executor import ExecutorConfig, RayConfig, SlurmConfig
from simgen.errors import RenderError, SimgenError
from simgen.execute.lifetime import exit_with_driver
from simgen.execute.on_slurm import slurm_executor, still_running
from simgen.execute.ray_cluster import Membership

_RETRIES = 3
_LOOK_S = 3.0


def run_tasks(
    function: Callable[..., Any],
    tasks: Sequence[tuple[Any, ...]],
    config: ExecutorConfig,
    *,
    workers: int = 1,
) -> list[Any]:
    """Return `function(*arguments)` of every task, in order.

    Args:
        function: Of a module, so that a worker can import it.
        tasks: Arguments; everything picklable.
        config: Where they run.
        workers: Processes on this machine, where that is where they run.

    Raises:
        RenderError: Workers are lost again and again, or the cluster refuses them.
        SimgenError: Whatever a task raised.
    """
    if not tasks:
        return []
    if isinstance(config, RayConfig):
        return _on_ray(function, tasks, config)
    if isinstance(config, SlurmConfig):
        return _on_slurm(function, tasks, config)
    return _here(function, tasks, workers)


def _here(
    function: Callable[..., Any],
    tasks: Sequence[tuple[Any, ...]],
    workers: int,
) -> list[Any]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        max(1, min(workers, len(tasks))), mp_context=context, initializer=exit_with_driver
    ) as pool:
        futures = [pool.submit(function, *task) for task in tasks]
        try:
            return [future.result() for future in futures]
        except BrokenProcessPool:
            raise RenderError(
                "workers: a worker process died, out of memory perhaps; lower workers and run the"
                " same command again, which goes on where it stopped"
            ) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _on_ray(
    function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], config: RayConfig
) -> list[Any]:
    cluster = Membership(config.address)
    ray = cluster.ray
    remote = ray.remote(num_cpus=config.cpus, num_gpus=config.gpus, max_retries=_RETRIES)(_on_node)
    refs = [remote.remote(function, os.getcwd(), task) for task in tasks]
    try:
        return [_result(cluster, ref) for ref in refs]
    except ray.exceptions.RayTaskError as error:
        cause = getattr(error, "cause", None)
        raise (cause if isinstance(cause, Exception) else error) from None
    except ray.exceptions.RayError as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise RenderError(
            f"executor: Ray lost a task {_RETRIES + 1} times ({reason}); run the same command"
            " again, which goes on where it stopped"
        ) from None
    finally:
        cluster.leave(refs)


def _result(cluster: Membership, ref: Any) -> Any:
    while True:
        try:
            return cluster.ray.get(ref, timeout=_LOOK_S)
        except cluster.ray.exceptions.GetTimeoutError:
            cluster.look()


def _on_node(function: Callable[..., Any], folder: str, task: tuple[Any, ...]) -> Any:
    if Path(folder).is_dir():
        os.chdir(folder)
    return function(*task)


def _on_slurm(
    function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], config: SlurmConfig
) -> list[Any]:
    results: dict[int, Any] = {}
    tries = 0
    while len(results) < len(tasks):
        todo = [i for i in range(len(tasks)) if i not in results]
        before = len(results)
        jobs = _submitted(function, [tasks[i] for i in todo], config)
        try:
            while still_running(jobs):
                time.sleep(_LOOK_S)
        finally:
            subprocess.run(
                ["scancel", "--quiet", *(job.job_id for job in jobs)], capture_output=True
            )
        for number, job in zip(todo, jobs, strict=True):
            if job.paths.result_pickle.exists():
                kind, results[number] = job.result()
                if kind:
                    raise getattr(errors, kind)(results[number])
        tries = 0 if len(results) > before else tries + 1
        if tries == _RETRIES:
            raise RenderError(
                f"executor: Slurm jobs ended {tries} times without finishing a task; see the logs"
                f" in {config.folder} and raise executor.minutes if one takes longer"
            )
    return [results[i] for i in range(len(tasks))]


def _submitted(
    function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], config: SlurmConfig
) -> list[Any]:
    executor = slurm_executor(config)
    try:
        return list(executor.map_array(_caught, [function] * len(tasks), tasks))
    except Exception as error:
        lines = str(error).strip().splitlines()
        raise RenderError(
            f"executor: sbatch refused the jobs ({lines[-1] if lines else error!r});"
            " see executor.partition and executor.options"
        ) from None


def _caught(function: Callable[..., Any], task: tuple[Any, ...]) -> tuple[str, Any]:
    """Run in a Slurm job: return the result, or the kind and text of the user's error."""
    try:
        return "", function(*task)
    except SimgenError as error:
        return type(error).__name__, str(error)
