"""The keys of an evaluation and of an experiment."""

from dataclasses import dataclass, field
from typing import Literal

from simgen.config import bounded, suggest
from simgen.errors import ConfigError
from simgen.train.config import REAL, TrainConfig
from simgen.train.real import RealConfig
from simgen.train.rendered import RenderedConfig

METRICS = ("ap50", "ap10", "recall")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateConfig:
    """How runs are judged.

    Attributes:
        split: Photographs to judge by; the holdout is read only when named here, and
            every reading is logged.
        holdout_log: File that a line is appended to at every reading of the holdout.
        false_alarm_rate: Share of clean images that may alarm, for the recall.
        resamples: Bootstrap resamples of physical parts.
        confidence: Of the percentile intervals.
        by: Image attributes whose values make slices, beside the kinds of defect.
        min_parts: Slices with fewer parts get no verdict.
        seed: Seed of the resampling.
    """

    split: Literal["val", "holdout"] = "val"
    holdout_log: str = "outputs/holdout_log.jsonl"
    false_alarm_rate: float = bounded(0.1, low=0, high=0.99)
    resamples: int = bounded(1000, low=10, high=1_000_000)
    confidence: float = bounded(0.95, above=0, high=0.999)
    by: tuple[str, ...] = ("exposure",)
    min_parts: int = bounded(8, low=2)
    seed: int = bounded(0, low=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bottleneck:
    """The question that the report's first line answers.

    Attributes:
        slice: Name of the slice, `crack` or `exposure 1`.
        metric: Which figure is quoted.
        reason: Why this slice, in a few words.
    """

    slice: str
    metric: Literal["ap50", "ap10", "recall"] = "ap10"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentConfig:
    """Arms and seeds, trained alike and judged together.

    Attributes:
        name: Of the experiment.
        out: Its folder: runs, report.html, report.json.
        real, datasets, train, arms: See `simgen.train.config.TrainJob`.
        control: The arm that all others are compared with.
        seeds: Each arm is trained once with each.
        evaluate: How they are judged.
        bottleneck: What the report answers first.
    """

    name: str
    out: str
    real: RealConfig
    arms: dict[str, dict[str, float]]
    datasets: dict[str, RenderedConfig] = field(default_factory=dict)
    train: TrainConfig = field(default_factory=TrainConfig)
    control: str = REAL
    seeds: tuple[int, ...] = bounded((0,), low=0)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    bottleneck: Bottleneck | None = None

    def __post_init__(self) -> None:
        if not self.arms:
            raise ConfigError("arms: none is given; choose an experiment with +experiment=NAME")
        if self.control not in self.arms:
            raise ConfigError(
                f"control: no arm named {self.control!r}{suggest(self.control, self.arms)}"
            )
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ConfigError(
                f"seeds: {list(self.seeds)} is empty or repeats one; list different seeds"
            )
