"""The training loop of the Ultralytics backend: exact mixes, fixed passes, resumable."""

import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from tqdm import tqdm

from simgen.errors import DatasetError
from simgen.sampling import stream
from simgen.train.config import TrainConfig
from simgen.train.crops import Crop, cut, draw_crop, draw_side, resized
from simgen.train.curve import validation_steps
from simgen.train.detector import Detector
from simgen.train.images import Source
from simgen.train.mix import Draw, batches
from simgen.train.plan import Stage
from simgen.train.session import Session
from simgen.train.ultralytics_env import import_ultralytics

# Ultralytics' weights of the box, class and distribution terms.
_GAINS = {"box": 7.5, "cls": 0.5, "dfl": 1.5, "overlap_mask": True}
_LAST_RATE = 0.01
_MAX_GRADIENT = 10.0
_LOG_EVERY = 25
# Masks are compared at a quarter of the size, that of the head's prototypes.
_MASK_STRIDE = 4


class YoloTrainer:
    """Trains `Detector`s; see `simgen.train.run.Trainer`."""

    def build(
        self, config: TrainConfig, classes: tuple[str, ...], seed: int, *, start: bool = True
    ) -> Detector:
        """Return an untrained detector with the initial weights of `config.weights`."""
        return Detector(config, classes, seed, start=start)

    def train(
        self,
        config: TrainConfig,
        classes: tuple[str, ...],
        sources: Mapping[str, Source],
        stages: Sequence[Stage],
        seed: int,
        session: Session,
    ) -> Detector:
        """Train all stages, from the last checkpoint on; return the averaged weights.

        Args:
            config: The recipe.
            classes: What to detect.
            sources: Images by name.
            stages: What every batch holds.
            seed: Seed of weights and draws.
            session: Counts, logs, validates and keeps checkpoints.

        Raises:
            DatasetError: The loss is no number any more, or a checkpoint is broken.
        """
        import_ultralytics()
        import torch

        # Before anything is on a GPU, which reads its settings once.
        set_threads(config.threads)
        detector = self.build(config, classes, seed)
        steps = stages[-1].stop
        optimizer = torch.optim.AdamW(_groups(detector, config), lr=config.learning_rate)
        loss_of = make_loss(detector.model)
        average = _Average(self.build(config, classes, seed), detector, config.ema)
        first, state = session.resume()
        if state is not None:
            detector.put(state["model"])
            average.detector.put(state["average"])
            optimizer.load_state_dict(state["optimizer"])
        validate_at = validation_steps(steps, config.validations) if config.validations else ()
        started = time.perf_counter()
        prepared = _ahead(
            lambda item: [_crop(config, seed, item[1], i, d) for i, d in enumerate(item[2])],
            _draws(config, sources, stages, seed, first),
            2 if detector.device.type == "cpu" else min(16, count_cores()),
        )
        progress = tqdm(
            prepared, total=steps, initial=first, desc=session.label, unit="step", mininterval=1
        )
        number = -1
        for (stage_number, step, batch), crops in progress:
            stage = stages[stage_number]
            if stage_number != number:
                number = stage_number
                detector.freeze(stage.freeze)
                detector.training(True)
            rate = _rate(config, step, steps) * stage.rate
            for group in optimizer.param_groups:
                group["lr"] = rate * group["factor"]
            predictions = detector.forward(np.stack([c.pixels for c in crops]))
            terms, items = loss_of(predictions, _targets(crops, classes, config))
            total = terms.sum()
            if not torch.isfinite(total):
                raise DatasetError(f"training diverged at step {step}; lower train.learning_rate")
            optimizer.zero_grad()
            total.backward()
            torch.nn.utils.clip_grad_norm_(detector.trained.parameters(), _MAX_GRADIENT)
            optimizer.step()
            average.update(step)
            session.count(stage_number, batch)
            if step % _LOG_EVERY == 0 or step == steps - 1:
                losses = {k: round(float(v), 5) for k, v in items.items() if k != "sem_loss"}
                speed = (step + 1 - first) * config.batch / (time.perf_counter() - started)
                passes = session.counters.passes
                session.log(
                    {"step": step, "passes": passes, "rate": rate, "passes_per_s": speed, **losses}
                )
            looked = step in validate_at
            if looked:
                before = time.perf_counter()
                session.validate(average.detector, step)
                started += time.perf_counter() - before
            if step < steps - 1 and (looked or session.due()):
                session.save(
                    step,
                    {
                        "model": detector.state(),
                        "average": average.detector.state(),
                        "optimizer": optimizer.state_dict(),
                    },
                )
        average.detector.training(False)
        return average.detector


def _draws(
    config: TrainConfig,
    sources: Mapping[str, Source],
    stages: Sequence[Stage],
    seed: int,
    first: int,
) -> Iterator[tuple[int, int, list[Draw]]]:
    """Yield stage, step and draws; a step's draws depend on seed and step alone."""
    for number, stage in enumerate(stages):
        begin = max(first, stage.first)
        drawn = batches(
            sources, stage.quota, steps=stage.stop, focus=config.focus, seed=seed, first=begin
        )
        for step, batch in enumerate(drawn, begin):
            yield number, step, batch


def _ahead(
    prepare: Callable[[Any], list[Crop]], items: Iterable[Any], count: int
) -> Iterator[tuple[Any, list[Crop]]]:
    """Yield each item with its crops while the next ones are prepared, in order."""
    waiting: deque[tuple[Any, Future[list[Crop]]]] = deque()
    with ThreadPoolExecutor(max_workers=max(1, count - 1)) as workers:
        try:
            for item in items:
                waiting.append((item, workers.submit(prepare, item)))
                if len(waiting) >= count:
                    ready, crops = waiting.popleft()
                    yield ready, crops.result()
            while waiting:
                ready, crops = waiting.popleft()
                yield ready, crops.result()
        finally:
            for _, crops in waiting:
                crops.cancel()


def _crop(config: TrainConfig, seed: int, step: int, item: int, draw: Draw) -> Crop:
    rng = stream(seed, step, "crop", item)
    side = draw_side(rng, config.crop_px, config.augment.scale)
    corner = draw_crop(rng, draw.image, draw.target, side)
    return resized(cut(rng, draw.image, corner, side, config.augment), config.crop_px)


def _targets(crops: list[Crop], classes: tuple[str, ...], config: TrainConfig) -> dict[str, Any]:
    """Return what the loss wants: image index, class, and box as centre and size in [0, 1]."""
    import torch

    counts = [len(c.kinds) for c in crops]
    corners = np.concatenate([c.boxes for c in crops]) / config.crop_px
    boxes = np.concatenate(
        [(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], 1
    )
    kinds = [classes.index(k) for c in crops for k in c.kinds]
    targets = {
        "batch_idx": torch.from_numpy(np.repeat(np.arange(len(crops)), counts).astype(np.float32)),
        "cls": torch.tensor(kinds, dtype=torch.float32).reshape(-1, 1),
        "bboxes": torch.from_numpy(boxes.astype(np.float32)),
    }
    if config.task == "segment":
        start = _MASK_STRIDE // 2
        small = [c.mask[start::_MASK_STRIDE, start::_MASK_STRIDE] for c in crops]
        targets["masks"] = torch.from_numpy(np.stack(small))
    return targets


def make_loss(model: Any) -> Any:
    """Return Ultralytics' loss for a model: of predictions and targets, terms and their names."""
    from ultralytics.utils import IterableSimpleNamespace

    model.args = IterableSimpleNamespace(**_GAINS)
    return model.init_criterion()


def _groups(detector: Detector, config: TrainConfig) -> list[dict[str, Any]]:
    """Return parameter groups: weight decay is for the kernels, not for norms and biases."""
    backbone = detector.backbone_parameters()
    groups = []
    for slow in (False, True):
        mine = [p for p in detector.trained.parameters() if (id(p) in backbone) == slow]
        mine = [p for p in mine if p.requires_grad]
        for kernels in (True, False):
            groups.append(
                {
                    "params": [p for p in mine if (p.ndim > 1) == kernels],
                    "weight_decay": config.weight_decay if kernels else 0.0,
                    # From scratch there is nothing in it to be careful of.
                    "factor": config.backbone_rate if slow and config.weights != "none" else 1.0,
                }
            )
    return [group for group in groups if group["params"]]


def _rate(config: TrainConfig, step: int, steps: int) -> float:
    warmup = max(1, round(config.warmup * steps))
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    share = (step - warmup) / max(1, steps - warmup)
    return config.learning_rate * (
        _LAST_RATE + (1 - _LAST_RATE) * (1 + math.cos(math.pi * share)) / 2
    )


def count_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def set_threads(threads: int) -> None:
    """Set torch's threads and, on a GPU, sums in a fixed order: the same inputs, the same run."""
    import torch

    torch.set_num_threads(threads or count_cores())
    if torch.cuda.is_available():
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.benchmark = False


class _Average:
    """A running average of the trained weights, steadier than the last ones.

    Attributes:
        detector: Has the averaged weights.
    """

    def __init__(self, detector: Detector, follows: Detector, decay: float) -> None:
        self.detector = detector
        self._pairs = [
            (kept, value)
            for kept, value in zip(
                detector.trained.state_dict().values(),
                follows.trained.state_dict().values(),
                strict=True,
            )
        ]
        self._decay = decay

    def update(self, step: int) -> None:
        # Early on the average would still hold the random start.
        decay = min(self._decay, (1 + step) / (10 + step))
        for kept, value in self._pairs:
            if value.dtype.is_floating_point:
                kept.lerp_(value, 1 - decay)
            else:
                kept.copy_(value)
