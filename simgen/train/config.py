"""The keys of a training run: sources, classes, recipe, and the arms that differ."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from simgen.config import bounded
from simgen.errors import ConfigError
from simgen.train.real import RealConfig
from simgen.train.rendered import RenderedConfig

REAL = "real"

# What does not train, ever more: nothing, the backbone's layers to stride 8, the backbone, or all
# but the head.
Frozen = Literal["none", "early", "backbone", "neck"]
Precision = Literal["float32", "bfloat16"]
# The two sets of weights of a run: after all passes, and where its validation curve was highest.
Checkpoint = Literal["equal_passes", "own_best"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """What a crop may undergo.

    Attributes:
        scale: Largest factor of size, drawn log-uniformly in [1 / scale, scale]; at 1 sizes stay
            native.
        flip_x, flip_y: Probabilities of mirroring.
        gain: Largest factor of brightness, drawn log-uniformly in [1 / gain, gain].
        offset: Largest shift of brightness in 8-bit levels.
        noise: Largest standard deviation of added noise in 8-bit levels.
    """

    scale: float = bounded(1.0, low=1, high=4)
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
        task: Boxes alone, or boxes and masks.
        model: MobileNetV2 with a light neck, or YOLO11n.
        passes: Image passes in all, the same in every arm.
        batch: Images a step; every ratio of a mix must give whole numbers of it.
        crop_px: Side of the square crops, a multiple of 32.
        focus: Probability that a crop is aimed at a defect, its kind and then its part
            drawn uniformly; otherwise it shows a clean image.
        weights: What training starts from: `imagenet` (the backbone), `none` (from
            scratch), or a file: `weights.pt` of a run, a MobileNetV2 of torchvision's, or with
            `model: yolo11n` one of Ultralytics'.
        freeze: What does not train.
        learning_rate, weight_decay, warmup: AdamW; `warmup` is a share of all steps,
            and a cosine takes the rate to a hundredth of it.
        backbone_rate: Factor of the rate for a backbone that trains.
        ema: Decay of the running average of the weights, which is what is kept.
        levels: Strides of the head's finest and coarsest map, as a name.
        width: Channels of the neck.
        validations: Points of the validation curve; 0: none.
        best_by: Figure of that curve that own-best weights are chosen by.
        classes: What to detect; empty: the kinds in the real training split.
        categories: Per source, its category names to ours.
        supercategories: Annotations of others are ignored.
        precision: Of the forward pass in training; `bfloat16` halves its time on processors that
            calculate in it and costs time on others. Sums, losses and weights, and detection,
            are in `float32` either way.
        threads: Threads of torch; 0: one for each core.
        checkpoint_s: Seconds of training that a kill may cost.
    """

    backend: Literal["yolo"] = "yolo"
    task: Literal["detect", "segment"] = "detect"
    model: Literal["mobilenet", "yolo11n"] = "mobilenet"
    passes: int = bounded(6_400, low=1)
    batch: int = bounded(16, low=1, high=4096)
    crop_px: int = bounded(256, low=64, high=4096)
    focus: float = bounded(0.7, low=0, high=1)
    weights: str = "imagenet"
    freeze: Frozen = "backbone"
    learning_rate: float = bounded(2e-3, above=0, high=1)
    backbone_rate: float = bounded(0.1, above=0, high=1)
    weight_decay: float = bounded(0.01, low=0, high=1)
    warmup: float = bounded(0.05, low=0, high=1)
    ema: float = bounded(0.995, low=0, high=0.999999)
    levels: Literal["8-32", "4-16"] = "8-32"
    width: int = bounded(64, low=8, high=512)
    validations: int = bounded(8, low=0, high=1000)
    best_by: Literal["ap50", "ap10"] = "ap50"
    classes: tuple[str, ...] = ()
    categories: dict[str, dict[str, str]] = field(default_factory=dict)
    supercategories: tuple[str, ...] = ("defect",)
    precision: Precision = "float32"
    threads: int = bounded(0, low=0, high=1024)
    checkpoint_s: float = bounded(30.0, low=0)
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        if self.crop_px % 32:
            raise ValueError(f"crop_px: {self.crop_px} is not a multiple of 32")
        if self.weights == "none" and self.freeze != "none":
            raise ValueError(
                f"freeze: {self.freeze} has learnt nothing with weights=none; set freeze=none"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class StageConfig:
    """A part of an arm's passes with a mix of its own.

    Attributes:
        mix: Source names to ratios that add up to 1.
        share: Of all passes; those of an arm's stages add up to 1.
        freeze: What does not train meanwhile; None: as `train.freeze`.
        rate: Factor of the learning rate, whose one cosine runs over all stages.
    """

    mix: dict[str, float]
    share: float = bounded(above=0, high=1)
    freeze: Frozen | None = None
    rate: float = bounded(1.0, above=0, high=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmConfig:
    """What one arm of a comparison trains on.

    Attributes:
        mix: Source names to ratios that add up to 1.
        stages: Or one mix after the other.
        parts_per_kind: Real parts of each kind that train; None: as `real.parts_per_kind`.
        weights, freeze: For a control from another start; None: as `train` says, for all.
    """

    mix: dict[str, float] = field(default_factory=dict)
    stages: tuple[StageConfig, ...] = ()
    parts_per_kind: int | Literal["all"] | None = bounded(None, low=1)
    weights: str | None = None
    freeze: Frozen | None = None

    def __post_init__(self) -> None:
        if bool(self.mix) == bool(self.stages):
            raise ValueError("give either mix, as in {real: 0.5, synthetic: 0.5}, or stages")
        if abs(sum(s.share for s in self.all_stages()) - 1) > 1e-6:
            total = sum(s.share for s in self.stages)
            raise ValueError(f"stages: shares add up to {total:g}; make it 1")

    def all_stages(self) -> Sequence[StageConfig]:
        """Return the stages, one for a single mix."""
        return self.stages or (StageConfig(mix=self.mix, share=1.0),)

    def overall(self) -> dict[str, float]:
        """Return the ratios over all passes, up to the rounding of stages to whole batches."""
        total: dict[str, float] = {}
        for stage in self.all_stages():
            for name, ratio in stage.mix.items():
                total[name] = total.get(name, 0.0) + stage.share * ratio
        return {name: round(ratio, 6) for name, ratio in total.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainJob:
    """One run: an arm, which real parts it may use, and a seed.

    Attributes:
        real: The photographs.
        datasets: Rendered datasets by name.
        train: The recipe.
        arms: By name.
        arm: The arm to train.
        draw: Which real parts train, where not all do.
        seed: Seed of weights and of every draw.
        out: Folder for run folders.
    """

    real: RealConfig
    out: str
    arm: str
    datasets: dict[str, RenderedConfig] = field(default_factory=dict)
    train: TrainConfig = field(default_factory=TrainConfig)
    arms: dict[str, ArmConfig] = field(default_factory=lambda: {REAL: ArmConfig(mix={REAL: 1.0})})
    draw: int = bounded(0, low=0)
    seed: int = bounded(0, low=0)

    def recipe(self) -> TrainConfig:
        """Return the recipe with the arm's own start.

        Raises:
            ConfigError: The arm freezes weights that come from nowhere.
        """
        arm = self.arms[self.arm]
        try:
            return replace(
                self.train,
                weights=self.train.weights if arm.weights is None else arm.weights,
                freeze=self.train.freeze if arm.freeze is None else arm.freeze,
            )
        except ValueError as error:
            raise ConfigError(f"arms.{self.arm}.{error}") from None

    def parts_per_kind(self) -> int | None:
        """Return how many real parts of each kind train; None: all, or the arm uses none."""
        arm = self.arms[self.arm]
        asked = self.real.parts_per_kind if arm.parts_per_kind is None else arm.parts_per_kind
        return None if asked == "all" or REAL not in arm.overall() else int(asked)
