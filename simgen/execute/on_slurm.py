"""The Slurm executor: an array of long-lived jobs, then again for what they left undone."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from simgen import errors
from simgen.config.executor import SlurmConfig
from simgen.dataset import ShardRange, Storage
from simgen.errors import ConfigError, RenderError
from simgen.execute.driver import run_shards
from simgen.execute.local import LocalExecutor
from simgen.execute.worker import Job

_IDLE_ROUNDS = 2
_LOOK_S = 3.0


def run_on_slurm(
    job: Job,
    config: SlurmConfig,
    storage: Storage,
    shards: Iterable[ShardRange],
    *,
    workers: int,
    on_frames: Callable[[int], object],
) -> None:
    """Render and commit every shard in Slurm jobs; submit again while they make progress.

    Args:
        job: What to render.
        config: How many jobs, and what each may use.
        storage: Where shards show up once they are committed.
        shards: What is missing.
        workers: Processes in each job; 0 is one for each of its cores.
        on_frames: Called with the number of frames committed since the last call.

    Raises:
        ConfigError: This is no Slurm cluster, or submitit is missing.
        RenderError: Jobs end without rendering anything, or Slurm refuses them.
        SimgenError: Whatever a worker raised.
    """
    todo = {shard.name: shard for shard in shards}
    idle = 0
    while todo:
        before = len(todo)
        array = _Array(job, config, list(todo.values()), workers)
        try:
            running = True
            while running:
                # Looked at first, so that what the last job committed is counted.
                running = array.running()
                done = [todo.pop(name) for name in storage.shard_names() & todo.keys()]
                on_frames(sum(len(shard) for shard in done))
                array.raise_errors()
                time.sleep(_LOOK_S if running and todo else 0)
        finally:
            array.cancel()
        idle = idle + 1 if len(todo) == before else 0
        if idle == _IDLE_ROUNDS:
            raise RenderError(
                f"executor: Slurm jobs ended {idle} times without rendering anything; see the logs"
                f" in {config.folder} and raise executor.minutes if a shard takes longer"
            )


def render_share(
    job: Job, shards: Sequence[ShardRange], workers: int, recycle_shards: int
) -> tuple[str, str]:
    """Run in a Slurm job: render its shards; return the kind and text of the user's error."""
    executor = LocalExecutor(job, workers=workers, recycle_shards=recycle_shards)
    try:
        run_shards(executor, shards)
    except errors.SimgenError as error:
        notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
        return type(error).__name__, f"{error}{notes}"
    finally:
        executor.close()
    return "", ""


@dataclass(slots=True)
class _Array:
    """One submission of the array."""

    jobs: list[Any]
    unread: list[Any]

    def __init__(
        self, job: Job, config: SlurmConfig, shards: Sequence[ShardRange], workers: int
    ) -> None:
        world = min(config.jobs, len(shards))
        shares = [s for r in range(world) if (s := _share(shards, r, world))]
        executor = slurm_executor(config)
        count = len(shares)
        try:
            self.jobs = executor.map_array(
                render_share,
                [job] * count,
                shares,
                # Not what the job sees: without cgroups that is the whole node.
                [workers or config.cpus] * count,
                [config.recycle_shards] * count,
            )
        except Exception as error:
            lines = str(error).strip().splitlines()
            raise RenderError(
                f"executor: sbatch refused the jobs ({lines[-1] if lines else error!r});"
                " see executor.partition and executor.options"
            ) from None
        self.unread = list(self.jobs)

    def running(self) -> bool:
        """Return whether any job is waiting or running."""
        return still_running(self.jobs)

    def raise_errors(self) -> None:
        """Raise what a job that has ended reported."""
        for job in list(self.unread):
            if not job.paths.result_pickle.exists():
                continue
            self.unread.remove(job)
            error = job.exception()
            if error is not None:
                continue
            kind, text = job.result()
            if kind:
                raise getattr(errors, kind)(text)

    def cancel(self) -> None:
        """Cancel the jobs that have not ended."""
        if self.unread:
            ids = [job.job_id for job in self.unread]
            subprocess.run(["scancel", "--quiet", *ids], capture_output=True)


def still_running(jobs: Sequence[Any]) -> bool:
    """Return whether any of submitit's jobs is waiting or running."""
    ids = {job.job_id.partition("_")[0] for job in jobs}
    # Not sacct, which needs an accounting database.
    command = ["squeue", "--noheader", "--array", "--format=%i", f"--jobs={','.join(ids)}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode and "Invalid job id" not in done.stderr:
        # The controller does not answer now; its jobs go on.
        return True
    return bool(done.stdout.split())


def _share(shards: Sequence[ShardRange], rank: int, world: int) -> list[ShardRange]:
    return [shard for shard in shards if shard.number % world == rank]


def slurm_executor(config: SlurmConfig) -> Any:
    """Return submitit's executor.

    Raises:
        ConfigError: This is no Slurm cluster, or submitit is missing.
    """
    try:
        import submitit
    except ModuleNotFoundError:
        raise ConfigError(
            'executor: submitit is not installed; pip install "simgen[cluster]"'
        ) from None
    if shutil.which("sbatch") is None or shutil.which("srun") is None:
        raise ConfigError(
            "executor: no sbatch here; run on a Slurm login node, or choose executor=local"
        )
    executor = submitit.SlurmExecutor(folder=os.path.abspath(config.folder))
    executor.update_parameters(
        job_name="simgen",
        nodes=1,
        ntasks_per_node=1,
        cpus_per_task=config.cpus,
        time=config.minutes,
        # What is not committed is lost anyway: time enough to stop, no more.
        signal_delay_s=30,
        array_parallelism=config.jobs,
        setup=list(config.setup),
        additional_parameters=dict(config.options),
        **({"gpus_per_node": config.gpus} if config.gpus else {}),
        **({"mem": f"{config.memory_gb * 1024:.0f}M"} if config.memory_gb else {}),
        **({"partition": config.partition} if config.partition else {}),
    )
    return executor
