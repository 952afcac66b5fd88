"""What a training pass costs in float32 and in bfloat16, side by side on one core.

    python benchmarks/precision.py

Prints CPU-milliseconds an image of the forward pass, the loss with its gradients, and the whole
step, medians over interleaved steps, for each of the frozen parts; needs the extra `yolo`.
"""

import argparse
import time

import numpy as np

from simgen.train.config import Precision, TrainConfig
from simgen.train.detector import Detector
from simgen.train.ultralytics_env import import_ultralytics
from simgen.train.yolo import make_loss, set_threads

CLASSES = ("blowhole", "break", "crack", "fray")


class Step:
    """One recipe's training step on random images, with one box in each."""

    def __init__(self, config: TrainConfig) -> None:
        import torch

        self._detector = Detector(config, CLASSES, seed=0)
        self._detector.training(True)
        self._loss = make_loss(self._detector.model)
        weights = [p for p in self._detector.trained.parameters() if p.requires_grad]
        self._optimizer = torch.optim.AdamW(weights, lr=1e-4)
        side, count = config.crop_px, config.batch
        self._images = np.random.default_rng(0).standard_normal((count, side, side, 3), np.float32)
        self._targets = {
            "batch_idx": torch.arange(count, dtype=torch.float32),
            "cls": torch.zeros(count, 1),
            "bboxes": torch.tensor([[0.5, 0.5, 0.2, 0.1]]).expand(count, 4),
        }

    def run(self) -> tuple[float, float, float]:
        """Return CPU-milliseconds an image: forward, loss with gradients, all."""
        times = [time.process_time()]
        predictions = self._detector.forward(self._images)
        times.append(time.process_time())
        terms, _ = self._loss(predictions, self._targets)
        self._optimizer.zero_grad()
        terms.sum().backward()
        times.append(time.process_time())
        self._optimizer.step()
        times.append(time.process_time())
        forward, backward, update = np.diff(times) * 1000 / len(self._images)
        return forward, backward, forward + backward + update


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=12)
    steps = parser.parse_args().steps
    import_ultralytics()
    set_threads(1)
    print("freeze     precision   forward  gradients   step  CPU-ms an image")
    for freeze in ("backbone", "early", "none"):
        names: tuple[Precision, ...] = ("float32", "bfloat16")
        each = {n: Step(TrainConfig(freeze=freeze, precision=n, threads=1)) for n in names}
        found: dict[Precision, list[tuple[float, float, float]]] = {n: [] for n in names}
        for _ in range(steps):
            for name in names:
                found[name].append(each[name].run())
        for name in names:
            # The first steps allocate.
            forward, backward, whole = np.median(found[name][2:], axis=0)
            print(f"{freeze:10} {name:10} {forward:8.1f} {backward:10.1f} {whole:6.1f}")


if __name__ == "__main__":
    main()
