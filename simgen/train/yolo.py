"""The training loop of the Ultralytics backend: frozen backbone, exact mix, fixed passes."""

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from simgen.errors import DatasetError
from simgen.sampling import stream
from simgen.train.config import TrainConfig
from simgen.train.crops import Crop, cut, draw_crop
from simgen.train.detector import Detector
from simgen.train.images import Source
from simgen.train.mix import Draw, batches
from simgen.train.weights import mobilenet_weights

# Ultralytics' weights of the box, class and distribution terms.
_GAINS = {"box": 7.5, "cls": 0.5, "dfl": 1.5}
_LAST_RATE = 0.01
_MAX_GRADIENT = 10.0
_LOG_EVERY = 25


class YoloTrainer:
    """Trains `Detector`s; see `simgen.train.run.Trainer`."""

    def build(self, config: TrainConfig, classes: tuple[str, ...], seed: int) -> Detector:
        """Return an untrained detector with the pretrained backbone."""
        return Detector(
            classes,
            levels=config.levels,
            width=config.width,
            weights=mobilenet_weights(),
            seed=seed,
        )

    def train(
        self,
        config: TrainConfig,
        classes: tuple[str, ...],
        sources: Mapping[str, Source],
        quota: Mapping[str, int],
        seed: int,
        log: Callable[[dict[str, Any]], None],
        label: str,
    ) -> Detector:
        """Train for exactly `config.passes` images, rounded up to whole batches.

        Args:
            config: The recipe.
            classes: What to detect.
            sources: Images by name.
            quota: Images of each source in a batch.
            seed: Seed of weights and draws.
            log: Takes a record of losses and rates every few steps.
            label: Text of the progress bar.
        """
        detector = self.build(config, classes, seed)
        import torch

        _set_threads(config.threads)
        steps = math.ceil(config.passes / config.batch)
        trained = detector.model.model[1:]
        optimizer = torch.optim.AdamW(
            _groups(trained, config.weight_decay), lr=config.learning_rate
        )
        loss_of = _loss(detector.model)
        average = _Average(detector, config.ema)
        draws = batches(sources, quota, steps=steps, focus=config.focus, seed=seed)
        started = time.perf_counter()
        detector.training(True)
        prepared = _one_ahead(
            lambda step, batch: [_crop(config, seed, step, i, d) for i, d in enumerate(batch)],
            draws,
        )
        progress = tqdm(prepared, total=steps, desc=label, unit="step", mininterval=1)
        for step, crops in enumerate(progress):
            rate = _rate(config, step, steps)
            for group in optimizer.param_groups:
                group["lr"] = rate
            predictions = detector.model(detector.tensor(np.stack([c.pixels for c in crops])))
            terms, items = loss_of(predictions, _targets(crops, classes, config.crop_px))
            total = terms.sum()
            if not torch.isfinite(total):
                raise DatasetError(f"training diverged at step {step}; lower train.learning_rate")
            optimizer.zero_grad()
            total.backward()
            torch.nn.utils.clip_grad_norm_(trained.parameters(), _MAX_GRADIENT)
            optimizer.step()
            average.update(step)
            if step % _LOG_EVERY == 0 or step == steps - 1:
                passes = (step + 1) * config.batch
                losses = {k: round(float(v), 5) for k, v in items.items()}
                speed = passes / (time.perf_counter() - started)
                log({"step": step, "passes": passes, "rate": rate, "passes_per_s": speed, **losses})
        average.apply()
        detector.training(False)
        return detector


def _one_ahead(
    prepare: Callable[[int, list[Draw]], list[Crop]], draws: Iterable[list[Draw]]
) -> Iterator[list[Crop]]:
    """Yield each step's crops while the next ones are prepared; the draws do not depend on it."""
    with ThreadPoolExecutor(max_workers=1) as worker:
        waiting = None
        for step, batch in enumerate(draws):
            following = worker.submit(prepare, step, batch)
            if waiting is not None:
                yield waiting.result()
            waiting = following
        if waiting is not None:
            yield waiting.result()


def _crop(config: TrainConfig, seed: int, step: int, item: int, draw: Draw) -> Crop:
    rng = stream(seed, step, "crop", item)
    corner = draw_crop(rng, draw.image, draw.target, config.crop_px)
    return cut(rng, draw.image, corner, config.crop_px, config.augment)


def _targets(crops: list[Crop], classes: tuple[str, ...], size: int) -> dict[str, Any]:
    """Return what the loss wants: image index, class, and box as centre and size in [0, 1]."""
    import torch

    counts = [len(c.kinds) for c in crops]
    corners = np.concatenate([c.boxes for c in crops]) / size
    boxes = np.concatenate(
        [(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], 1
    )
    kinds = [classes.index(k) for c in crops for k in c.kinds]
    return {
        "batch_idx": torch.from_numpy(np.repeat(np.arange(len(crops)), counts).astype(np.float32)),
        "cls": torch.tensor(kinds, dtype=torch.float32).reshape(-1, 1),
        "bboxes": torch.from_numpy(boxes.astype(np.float32)),
    }


def _loss(model: Any) -> Any:
    from ultralytics.utils import IterableSimpleNamespace

    model.args = IterableSimpleNamespace(**_GAINS)
    return model.init_criterion()


def _groups(trained: Any, decay: float) -> list[dict[str, Any]]:
    """Return parameter groups: weight decay is for the kernels, not for norms and biases."""
    parameters = [p for p in trained.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _rate(config: TrainConfig, step: int, steps: int) -> float:
    warmup = max(1, round(config.warmup * steps))
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    share = (step - warmup) / max(1, steps - warmup)
    return config.learning_rate * (
        _LAST_RATE + (1 - _LAST_RATE) * (1 + math.cos(math.pi * share)) / 2
    )


def _set_threads(threads: int) -> None:
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    torch.set_num_threads(threads or cores or 1)


class _Average:
    """A running average of the trained weights, steadier than the last ones."""

    def __init__(self, detector: Detector, decay: float) -> None:
        self._detector = detector
        self._decay = decay
        self._state = {k: v.clone() for k, v in detector.model.model[1:].state_dict().items()}

    def update(self, step: int) -> None:
        # Early on the average would still hold the random start.
        decay = min(self._decay, (1 + step) / (10 + step))
        for name, value in self._detector.model.model[1:].state_dict().items():
            if value.dtype.is_floating_point:
                self._state[name].lerp_(value.detach(), 1 - decay)
            else:
                self._state[name].copy_(value)

    def apply(self) -> None:
        self._detector.load_head(self._state)


def load_detector(
    file: Path, config: TrainConfig, classes: tuple[str, ...], threads: int = 0
) -> Detector:
    """Return a trained detector from its weight file.

    Raises:
        DatasetError: The file is missing or belongs to another detector.
    """
    detector = YoloTrainer().build(config, classes, seed=0)
    detector.load(file)
    _set_threads(threads)
    return detector
