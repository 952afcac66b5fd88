"""The keys of a training run: sources, classes, recipe."""

from dataclasses import dataclass, field
from typing import Literal

from simgen.config import bounded
from simgen.train.real import RealConfig
from simgen.train.rendered import RenderedConfig

REAL = "real"


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """What a crop may undergo; sizes stay native.

    Attributes:
        flip_x, flip_y: Probabilities of mirroring.
        gain: Largest factor of brightness, drawn log-uniformly in [1 / gain, gain].
        offset: Largest shift of brightness in 8-bit levels.
        noise: Largest standard deviation of added noise in 8-bit levels.
    """

    flip_x: float = bounded(0.5, low=0, high=1)
    flip_y: float = bounded(0.5, low=0, high=1)
    gain: float = bounded(1.5, low=1, high=10)
    offset: float = bounded(12.0, low=0, high=128)
    noise: float = bounded(3.0, low=0, high=64)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """The recipe, the same for every arm of a comparison.

    Attributes:
        backend: Which trainer runs it.
        passes: Image passes in all, the same in every arm.
        batch: Images a step; every ratio of a mix must give whole numbers of it.
        crop_px: Side of the square crops, a multiple of 32.
        focus: Probability that a crop is aimed at a defect, its kind and then its part
            drawn uniformly; otherwise it shows a clean image.
        learning_rate, weight_decay, warmup: AdamW; `warmup` is a share of all steps,
            and a cosine takes the rate to a hundredth of it.
        ema: Decay of the running average of the weights, which is what is kept.
        levels: Strides of the head's finest and coarsest map, as a name.
        width: Channels of the neck.
        classes: What to detect; empty: the kinds in the real training split.
        categories: Per source, its category names to ours.
        supercategories: Annotations of others are ignored.
        threads: Threads of torch; 0: one for each core.
    """

    backend: Literal["yolo"] = "yolo"
    passes: int = bounded(6_400, low=1)
    batch: int = bounded(16, low=1, high=4096)
    crop_px: int = bounded(256, low=64, high=4096)
    focus: float = bounded(0.7, low=0, high=1)
    learning_rate: float = bounded(2e-3, above=0, high=1)
    weight_decay: float = bounded(0.01, low=0, high=1)
    warmup: float = bounded(0.05, low=0, high=1)
    ema: float = bounded(0.995, low=0, high=0.999999)
    levels: Literal["8-32", "4-16"] = "8-32"
    width: int = bounded(64, low=8, high=512)
    classes: tuple[str, ...] = ()
    categories: dict[str, dict[str, str]] = field(default_factory=dict)
    supercategories: tuple[str, ...] = ("defect",)
    threads: int = bounded(0, low=0, high=1024)
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        if self.crop_px % 32:
            raise ValueError(f"crop_px: {self.crop_px} is not a multiple of 32")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainJob:
    """One run: an arm's mix and a seed.

    Attributes:
        real: The photographs.
        datasets: Rendered datasets by name.
        train: The recipe.
        arms: Mixes by name, each source names to ratios that add up to 1.
        arm: The arm to train.
        seed: Seed of weights and of every draw.
        out: Folder for run folders.
    """

    real: RealConfig
    out: str
    arm: str
    datasets: dict[str, RenderedConfig] = field(default_factory=dict)
    train: TrainConfig = field(default_factory=TrainConfig)
    arms: dict[str, dict[str, float]] = field(default_factory=lambda: {REAL: {REAL: 1.0}})
    seed: int = bounded(0, low=0)
