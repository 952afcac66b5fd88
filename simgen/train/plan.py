"""What every batch of a run holds, decided beforehand, and a count of what it then held."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from simgen.errors import ConfigError
from simgen.train.config import ArmConfig, Frozen, TrainConfig
from simgen.train.mix import Draw, quotas

FROZEN = get_args(Frozen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Steps `first` to `stop` - 1 of a run.

    Attributes:
        first, stop: Steps.
        quota: Images of each source in every batch.
        freeze: What does not train.
        rate: Factor of the learning rate.
    """

    first: int
    stop: int
    quota: Mapping[str, int]
    freeze: Frozen
    rate: float


def make_plan(arm: ArmConfig, config: TrainConfig, name: str) -> tuple[Stage, ...]:
    """Return the stages of an arm; every arm has the same steps, `passes` in whole batches.

    Raises:
        ConfigError: A ratio gives no whole number of images, a stage no whole batch, or a
            stage freezes or trains what the others cannot.
    """
    steps = math.ceil(config.passes / config.batch)
    stages: list[Stage] = []
    share, first = 0.0, 0
    for number, stage in enumerate(arm.all_stages()):
        key = f"arms.{name}" + (f".stages[{number}]" if arm.stages else "")
        share += stage.share
        stop = round(share * steps)
        if stop == first:
            raise ConfigError(f"{key}.share: {stage.share:g} of {steps} batches is none; raise it")
        freeze = stage.freeze or config.freeze
        if FROZEN.index(freeze) < FROZEN.index(config.freeze):
            raise ConfigError(
                f"{key}.freeze: {freeze}, but train.freeze={config.freeze}; lower that"
            )
        quota = quotas(stage.mix, config.batch, f"{key}.mix")
        stages.append(Stage(first=first, stop=stop, quota=quota, freeze=freeze, rate=stage.rate))
        first = stop
    return tuple(stages)


@dataclass(slots=True)
class Counters:
    """What went into the batches, counted from what was trained on, not from the plan.

    Attributes:
        stages: Per stage: `batches`, `passes`, and per source its `images` and the `least`
            and `most` of them in one batch; equal ones show that the ratio was exact.
        aimed: Per source and kind, crops aimed at such a defect; `clean` at none.
        parts: Per source, passes of each part.
    """

    stages: list[dict[str, Any]] = field(default_factory=list)
    aimed: dict[str, dict[str, int]] = field(default_factory=dict)
    parts: dict[str, dict[str, int]] = field(default_factory=dict)

    def count(self, stage: int, batch: Sequence[Draw]) -> None:
        """Count one batch of stage number `stage`."""
        while len(self.stages) <= stage:
            self.stages.append({"batches": 0, "passes": 0, "sources": {}})
        here = self.stages[stage]
        names = {d.source for d in batch} | here["sources"].keys()
        for name in sorted(names):
            number = sum(d.source == name for d in batch)
            # A source that is new here was in none of the batches before.
            low = 0 if here["batches"] else number
            entry = here["sources"].setdefault(name, {"images": 0, "least": low, "most": 0})
            entry["images"] += number
            entry["least"] = min(entry["least"], number)
            entry["most"] = max(entry["most"], number)
        here["batches"] += 1
        here["passes"] += len(batch)
        for draw in batch:
            kind = "clean" if draw.target is None else draw.image.objects[draw.target].kind
            _add(self.aimed.setdefault(draw.source, {}), kind)
            _add(self.parts.setdefault(draw.source, {}), draw.image.part)

    @property
    def passes(self) -> int:
        """Image passes so far."""
        return sum(int(stage["passes"]) for stage in self.stages)

    def shares(self) -> dict[str, float]:
        """Return the share of each source in all passes."""
        totals: dict[str, int] = {}
        for stage in self.stages:
            for name, entry in stage["sources"].items():
                totals[name] = totals.get(name, 0) + entry["images"]
        return {name: round(count / max(1, self.passes), 6) for name, count in totals.items()}

    def plain(self) -> dict[str, Any]:
        """Return the counts as JSON holds them."""
        parts = {name: dict(sorted(each.items())) for name, each in self.parts.items()}
        return {"passes": self.passes, "stages": self.stages, "aimed": self.aimed, "parts": parts}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "Counters":
        """Return the counters that `plain` was made of."""
        return cls(list(plain["stages"]), dict(plain["aimed"]), dict(plain["parts"]))


def _add(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1
