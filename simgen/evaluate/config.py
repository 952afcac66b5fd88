"""The keys of an evaluation and of an experiment."""

from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from simgen.config import bounded, suggest
from simgen.config.executor import ExecutorConfig, LocalConfig
from simgen.errors import ConfigError
from simgen.train.config import REAL, ArmConfig, TrainConfig, TrainJob
from simgen.train.real import RealConfig
from simgen.train.rendered import RenderedConfig

METRICS = ("ap50", "ap50_95", "ap10", "recall", "miss_rate", "false_alarms")
MetricName = Literal["ap50", "ap50_95", "ap10", "recall", "miss_rate", "false_alarms"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """Two curves over the number of real parts of each kind, for what synthetic images replace.

    Attributes:
        without: Arms without synthetic images, by that number.
        mixed: The same with them; 0 is synthetic alone.
        metric: Which figure.
    """

    without: dict[str, str]
    mixed: dict[str, str]
    metric: MetricName = "ap50"

    def __post_init__(self) -> None:
        for number in (*self.without, *self.mixed):
            if not number.isdigit():
                raise ConfigError(
                    f"evaluate.worth: {number!r} is not a number of real parts, as in {{1: real_1}}"
                )
        if len(self.without) < 2:
            raise ConfigError(
                f"evaluate.worth.without: {len(self.without)} arm; a curve wants at least two"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateConfig:
    """How runs are judged.

    Attributes:
        split: Photographs to judge by; the holdout is read only when named here, and
            every reading is logged.
        holdout_log: File that a line is appended to at every reading of the holdout.
        false_alarm_rate: Share of clean images that may alarm, for the recall.
        resamples: Bootstrap resamples of physical parts.
        confidence: Of the intervals.
        by: Image attributes whose values make slices, beside the kinds of defect.
        bins: Edges by measure or numeric attribute; the ranges between them make slices.
            Measures: `size_px`, `size_mm`, `contrast`, `visibility` of labels, `brightness`.
        min_parts: Slices with fewer parts get no verdict.
        min_runs: Arms of fewer runs get none either: one seed may be lucky.
        worth: The curves that say what synthetic images replace.
        contamination: What a photograph that judges and was trained on leads to: an error, that
            its part does not judge, or a warning alone.
        max_synthetic_share: Mixes with a larger share of images that no camera took are
            warned of.
        seed: Seed of the resampling.
    """

    split: Literal["val", "holdout"] = "val"
    holdout_log: str = "outputs/holdout_log.jsonl"
    false_alarm_rate: float = bounded(0.1, low=0, high=0.99)
    resamples: int = bounded(1000, low=10, high=1_000_000)
    confidence: float = bounded(0.95, above=0, high=0.999)
    by: tuple[str, ...] = ("exposure",)
    bins: dict[str, tuple[float, ...]] = field(default_factory=dict)
    min_parts: int = bounded(8, low=2)
    min_runs: int = bounded(2, low=1)
    worth: Worth | None = None
    contamination: Literal["error", "leave_out", "warn"] = "error"
    max_synthetic_share: float = bounded(0.8, low=0, high=1)
    seed: int = bounded(0, low=0)

    def __post_init__(self) -> None:
        for name, edges in self.bins.items():
            if not edges or any(b <= a for a, b in pairwise(edges)):
                raise ConfigError(
                    f"evaluate.bins.{name}: {list(edges)} are no rising edges, as in [32, 96]"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bottleneck:
    """The question that the report's first line answers.

    Attributes:
        slice: Name of the slice, `crack` or `exposure 1`.
        metric: Which figure is quoted.
        reason: Why this slice, in a few words.
    """

    slice: str
    metric: MetricName = "ap10"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentConfig:
    """Arms and seeds, trained alike and judged together.

    Attributes:
        name: Of the experiment.
        out: Its folder: runs, report.html, report.json.
        real, datasets, train, arms: See `simgen.train.config.TrainJob`.
        control: The arm that the others are compared with.
        controls: Arms that are compared with another one: that with the same real parts.
        seeds: Each arm is trained once with each.
        draws: Arms that train on some real parts, once with each choice of them and each seed.
        paired: Those arms are trained on the nth draw with the nth seed alone: as many runs as
            the other arms have, and both kinds of luck among them.
        only: Arms to train and judge; empty: all.
        size, sizes: For interpolation in an experiment's own keys.
        executor, workers: Where runs are trained; `workers` at once on this machine.
        evaluate: How they are judged.
        bottleneck: What the report answers first.
    """

    name: str
    out: str
    real: RealConfig
    arms: dict[str, ArmConfig]
    datasets: dict[str, RenderedConfig] = field(default_factory=dict)
    train: TrainConfig = field(default_factory=TrainConfig)
    control: str = REAL
    controls: dict[str, str] = field(default_factory=dict)
    seeds: tuple[int, ...] = bounded((0,), low=0)
    draws: tuple[int, ...] = bounded((0,), low=0)
    paired: bool = False
    only: tuple[str, ...] = ()
    size: str = ""
    sizes: dict[str, dict[str, Any]] = field(default_factory=dict)
    executor: ExecutorConfig = field(default_factory=LocalConfig)
    workers: int = bounded(1, low=1, high=1024)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    bottleneck: Bottleneck | None = None

    def __post_init__(self) -> None:
        if not self.arms:
            raise ConfigError("arms: none is given; choose an experiment with +experiment=NAME")
        if self.control not in self.arms:
            raise ConfigError(
                f"control: no arm named {self.control!r}{suggest(self.control, self.arms)}"
            )
        for arm, name in self.controls.items():
            for one in (arm, name):
                if one not in self.arms:
                    raise ConfigError(f"controls: no arm named {one!r}{suggest(one, self.arms)}")
        for name, numbers in (("seeds", self.seeds), ("draws", self.draws)):
            if not numbers or len(set(numbers)) != len(numbers):
                raise ConfigError(
                    f"{name}: {list(numbers)} is empty or repeats one; list different {name}"
                )
        if self.paired and len(self.draws) != len(self.seeds):
            raise ConfigError(
                f"paired: {len(self.seeds)} seeds and {len(self.draws)} draws; give as many of each"
            )
        for arm in self.only:
            if arm not in self.arms:
                raise ConfigError(f"only: no arm named {arm!r}{suggest(arm, self.arms)}")
        if self.only and self.control not in self.only:
            raise ConfigError(f"only: the control {self.control!r} is missing; add it")
        if isinstance(self.executor, LocalConfig) and self.executor.world > 1:
            raise ConfigError("executor.world: runs have no ranks; use workers, ray or slurm")

    def control_of(self) -> dict[str, str]:
        """Return each arm's control."""
        return {arm: self.controls.get(arm, self.control) for arm in self.arms}

    def narrowed(self) -> "ExperimentConfig":
        """Return the same experiment with the arms of `only` alone."""
        if not self.only:
            return self
        return replace(
            self,
            arms={a: self.arms[a] for a in self.arms if a in self.only},
            controls={a: c for a, c in self.controls.items() if a in self.only and c in self.only},
            only=(),
        )

    def mixes(self) -> dict[str, dict[str, float]]:
        """Return the ratios of every arm over all its passes."""
        return {name: arm.overall() for name, arm in self.arms.items()}

    def job(self, arm: str, seed: int, draw: int = 0) -> TrainJob:
        """Return one training job; runs of an experiment share a folder."""
        return TrainJob(
            real=self.real,
            datasets=self.datasets,
            train=self.train,
            arms=self.arms,
            arm=arm,
            draw=draw,
            seed=seed,
            out=str(Path(self.out) / "runs"),
        )

    def jobs(self) -> list[TrainJob]:
        """Return every run: arms, draws and seeds; without a choice of parts, the first draw."""
        jobs = []
        for arm in self.arms:
            chosen = self.job(arm, self.seeds[0]).parts_per_kind() is not None
            if chosen and self.paired:
                pairs = list(zip(self.draws, self.seeds, strict=True))
            else:
                draws = self.draws if chosen else self.draws[:1]
                pairs = [(draw, seed) for draw in draws for seed in self.seeds]
            jobs += [self.job(arm, seed, draw) for draw, seed in pairs]
        return jobs
