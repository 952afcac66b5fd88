"""A run while it trains: metrics, counters, validation curve, and checkpoints to go on from."""

import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from simgen.errors import DatasetError
from simgen.train.curve import Predict, Validation, best_point
from simgen.train.mix import Draw
from simgen.train.plan import Counters

CHECKPOINT, METRICS = "checkpoint.pt", "metrics.jsonl"
FINAL, BEST = "weights.pt", "best.pt"


class Saveable(Protocol):
    """A detector that can be looked at and kept while it trains."""

    @property
    def predict(self) -> Predict:
        """Detects in one image."""
        ...

    def save(self, file: Path) -> None:
        """Write its weights."""
        ...


class Session:
    """The folder of a run that is not finished.

    Args:
        folder: Where it is; what an earlier process left there is gone on with.
        validation: What to look at it with, or None.
        best_by: Figure of the curve that chooses the own-best weights.
        checkpoint_s: Seconds between checkpoints.
        label: What a progress bar calls it.

    Attributes:
        counters: What was trained on.
        curve: Points of the validation curve, `passes` and figures.
        label: As given.
    """

    def __init__(
        self,
        folder: Path,
        *,
        validation: Validation | None = None,
        best_by: str = "ap50",
        checkpoint_s: float = 30.0,
        label: str = "train",
    ) -> None:
        self.counters = Counters()
        self.curve: list[dict[str, Any]] = []
        self.label = label
        self._folder, self._validation, self._best_by = folder, validation, best_by
        self._checkpoint_s = checkpoint_s
        self._saved_at = time.monotonic()
        self._metrics: list[str] = []

    def count(self, stage: int, batch: Sequence[Draw]) -> None:
        """Count a batch that was trained on."""
        self.counters.count(stage, batch)

    def log(self, record: Mapping[str, Any]) -> None:
        """Append a line of metrics."""
        self._metrics.append(json.dumps(record))
        with (self._folder / METRICS).open("a") as file:
            file.write(self._metrics[-1] + "\n")

    @property
    def last(self) -> dict[str, Any]:
        """The last line of metrics about training."""
        records = [json.loads(line) for line in self._metrics]
        return next((r for r in reversed(records) if "rate" in r), {})

    def validate(self, detector: Saveable, step: int) -> None:
        """Add a point to the curve, and keep the weights if it is the highest yet."""
        if self._validation is None:
            return
        made = self._validation.figures(detector.predict, self._validation.photographs)
        figures = {k: None if math.isnan(v) else round(v, 6) for k, v in made.items()}
        point = {"step": step, "passes": self.counters.passes, **figures}
        self.curve.append(point)
        self.log({"validation": self._validation.photographs.name, **point})
        if best_point(self.curve, self._best_by) is point:
            detector.save(self._folder / BEST)

    def due(self) -> bool:
        """Return whether a checkpoint is."""
        return time.monotonic() - self._saved_at >= self._checkpoint_s

    def save(self, step: int, state: Mapping[str, Any]) -> None:
        """Write a checkpoint, whole or not at all: training goes on at `step` + 1."""
        import torch

        content = {
            "step": step,
            "state": dict(state),
            "session": json.dumps(
                {
                    "counters": self.counters.plain(),
                    "curve": self.curve,
                    "metrics": self._metrics,
                }
            ),
        }
        part = self._folder / f"{CHECKPOINT}.part"
        torch.save(content, part)
        part.replace(self._folder / CHECKPOINT)
        self._saved_at = time.monotonic()

    def resume(self) -> tuple[int, dict[str, Any] | None]:
        """Return the first step that is to do, and the state before it, None at the start.

        What was logged after the checkpoint is taken back, to be logged again.

        Raises:
            DatasetError: The checkpoint cannot be read.
        """
        import torch

        file = self._folder / CHECKPOINT
        step, state = -1, None
        if file.is_file():
            try:
                saved = torch.load(file, map_location="cpu", weights_only=True)
                step, state = int(saved["step"]), dict(saved["state"])
                told = json.loads(saved["session"])
            except Exception as error:  # torch raises many kinds for a broken file
                raise DatasetError(
                    f"{file}: cannot be read ({type(error).__name__}); delete it and train again"
                ) from None
            self.counters = Counters.of(told["counters"])
            self.curve, self._metrics = told["curve"], told["metrics"]
        text = "".join(line + "\n" for line in self._metrics)
        (self._folder / METRICS).write_text(text)
        self._saved_at = time.monotonic()
        return step + 1, state
