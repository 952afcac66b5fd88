"""Where shards are rendered: on this machine, on a Ray cluster, or as Slurm jobs."""

from dataclasses import dataclass, field
from typing import Literal

from simgen.config.parse import bounded


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalConfig:
    """Worker processes on this machine.

    A process is replaced after `recycle_shards` shards (0: never). With `world`
    above 1 only shards whose number leaves `rank` when divided by `world` are
    rendered here: for batch systems that start the same command many times.
    """

    name: Literal["local"] = "local"
    recycle_shards: int = bounded(100, low=0)
    rank: int = bounded(0, low=0)
    world: int = bounded(1, low=1, high=100_000)

    def __post_init__(self) -> None:
        if self.rank >= self.world:
            raise ValueError(f"rank {self.rank} is too large; world {self.world} ends before it")


@dataclass(frozen=True, slots=True, kw_only=True)
class RayConfig:
    """Tasks on a Ray cluster.

    `address` is that of `ray start --head`; empty, RAY_ADDRESS or a cluster on this
    machine. One task takes `cpus` and `gpus`, which may be fractions. A shard that is
    not done `deadline_s` after it was handed out is handed out again, elsewhere.
    """

    name: Literal["ray"] = "ray"
    address: str = ""
    cpus: float = bounded(1.0, above=0)
    gpus: float = bounded(0.0, low=0)
    deadline_s: float = bounded(900.0, above=0)
    recycle_shards: int = bounded(100, low=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmConfig:
    """An array of `jobs` Slurm jobs, each of which renders its share with local workers.

    `minutes` is a job's time limit; `folder` takes scripts and logs and must be
    shared; `setup` are shell lines that run first; `options` are further options of
    sbatch by their long names, e.g. {account: vision}.
    """

    name: Literal["slurm"] = "slurm"
    jobs: int = bounded(4, low=1, high=10_000)
    cpus: int = bounded(4, low=1, high=1024)
    gpus: int = bounded(0, low=0, high=64)
    memory_gb: float = bounded(0.0, low=0)
    minutes: int = bounded(240, low=1)
    partition: str = ""
    folder: str = "outputs/slurm"
    setup: tuple[str, ...] = ()
    options: dict[str, str | int] = field(default_factory=dict)
    recycle_shards: int = bounded(100, low=0)


ExecutorConfig = LocalConfig | RayConfig | SlurmConfig
