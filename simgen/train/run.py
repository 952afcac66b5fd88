"""A training run from config to a finished folder; a finished run is not repeated."""

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

import simgen
from simgen.config import suggest, to_plain
from simgen.errors import ConfigError, DatasetError
from simgen.train.config import REAL, TrainConfig, TrainJob
from simgen.train.images import Source
from simgen.train.mix import quotas
from simgen.train.real import load_real
from simgen.train.rendered import load_rendered
from simgen.train.weights import SHA256
from simgen.train.yolo import YoloTrainer

_WEIGHTS = "weights.pt"
_TRAINED_ON = "trained_on.json"
_PACKAGES = ("torch", "torchvision", "ultralytics", "numpy", "opencv-python")


class TrainedDetector(Protocol):
    """What a trainer returns."""

    def predict(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return COCO boxes (N, 4), scores (N,) and class indices (N,) of one image."""
        ...

    def save(self, file: Path) -> None:
        """Write what was trained."""
        ...

    def load(self, file: Path) -> None:
        """Read what `save` wrote."""
        ...


class Trainer(Protocol):
    """A training backend."""

    def build(self, config: TrainConfig, classes: tuple[str, ...], seed: int) -> TrainedDetector:
        """Return an untrained detector."""
        ...

    def train(
        self,
        config: TrainConfig,
        classes: tuple[str, ...],
        sources: Mapping[str, Source],
        quota: Mapping[str, int],
        seed: int,
        log: Callable[[dict[str, Any]], None],
        label: str,
    ) -> TrainedDetector:
        """Train on exactly `config.passes` images in the given mix."""
        ...


TRAINERS: Mapping[str, Callable[[], Trainer]] = {"yolo": YoloTrainer}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished training run.

    Attributes:
        folder: Holds run.json, metrics.jsonl and weights.pt.
        record: Content of run.json.
    """

    folder: Path
    record: Mapping[str, Any]

    @property
    def arm(self) -> str:
        """Its arm."""
        return str(self.record["arm"])

    @property
    def seed(self) -> int:
        """Its seed."""
        return int(self.record["seed"])

    @property
    def classes(self) -> tuple[str, ...]:
        """What it detects."""
        return tuple(self.record["classes"])

    def trained_on(self) -> dict[str, str]:
        """Return the pictures that it was trained on: content hash to file.

        Raises:
            DatasetError: The list is missing or broken.
        """
        file = self.folder / _TRAINED_ON
        try:
            return dict(json.loads(file.read_text()))
        except (OSError, ValueError) as error:
            raise DatasetError(f"{file}: cannot be read ({error}); train the run again") from None

    def detector(self, config: TrainConfig) -> TrainedDetector:
        """Return the trained detector.

        Raises:
            DatasetError: The weight file is missing or broken.
        """
        detector = TRAINERS[config.backend]().build(config, self.classes, self.seed)
        detector.load(self.folder / _WEIGHTS)
        return detector


def load_sources(job: TrainJob, arms: tuple[str, ...]) -> dict[str, Source]:
    """Return the sources that the arms name, and always the real training split.

    Raises:
        ConfigError: An arm or a source does not exist.
        DatasetError: A source is missing or broken; see the loaders.
    """
    wanted = {REAL}
    for arm in arms:
        if arm not in job.arms:
            raise ConfigError(f"arm: no arm named {arm!r}{suggest(arm, job.arms)}")
        quotas(job.arms[arm], job.train.batch, f"arms.{arm}")
        for name in job.arms[arm]:
            if name != REAL and name not in job.datasets:
                raise ConfigError(
                    f"arms.{arm}: no source named {name!r}{suggest(name, [REAL, *job.datasets])}"
                )
            wanted.add(name)
    for name in job.train.categories:
        if name != REAL and name not in job.datasets:
            raise ConfigError(
                f"train.categories: no source named {name!r}{suggest(name, [REAL, *job.datasets])}"
            )
    rename = job.train.categories
    # Rendered datasets first, as the likeliest to be missing.
    sources = {
        name: load_rendered(name, job.datasets[name], rename.get(name), job.train.supercategories)
        for name in sorted(wanted - {REAL})
    }
    return {REAL: load_real(job.real, "train", rename.get(REAL)), **sources}


def classes_of(config: TrainConfig, sources: Mapping[str, Source]) -> tuple[str, ...]:
    """Return what is to be detected: `train.classes`, or the kinds in the real training split.

    Raises:
        DatasetError: A source labels a kind that is not among them.
    """
    classes = config.classes or sources[REAL].kinds
    for name, source in sources.items():
        for kind in source.kinds:
            if kind not in classes:
                raise DatasetError(
                    f"source {name}: kind {kind!r} is not among the classes {', '.join(classes)};"
                    f" map it with +train.categories.{name}.{kind}=CLASS or add it to train.classes"
                )
    return tuple(classes)


def train_run(job: TrainJob, sources: Mapping[str, Source]) -> Run:
    """Train one arm with one seed, or return the finished run of the very same inputs.

    Args:
        job: What to train; its run folder is `out/<arm>-seed<seed>-<hash>`.
        sources: At least those of the arm, and the real training split.

    Raises:
        ConfigError: The mix or an optional part is not usable.
        DatasetError: The images do not fit the classes.
    """
    classes = classes_of(job.train, sources)
    mix = job.arms[job.arm]
    quota = quotas(mix, job.train.batch, f"arms.{job.arm}")
    inputs = {
        "arm": job.arm,
        "mix": mix,
        "seed": job.seed,
        "classes": list(classes),
        "train": to_plain(job.train),
        "sources": {name: sources[name].summary() for name in mix},
        "backbone_sha256": SHA256,
        "versions": _versions(),
    }
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
    folder = Path(job.out) / f"{job.arm}-seed{job.seed}-{digest[:8]}"
    finished = find_run(folder)
    if finished is not None:
        return finished
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"out: {folder} cannot be made ({error.strerror}); choose another"
        ) from None

    trainer = TRAINERS[job.train.backend]()
    last: dict[str, Any] = {}
    with (folder / "metrics.jsonl").open("w") as metrics:

        def log(record: dict[str, Any]) -> None:
            metrics.write(json.dumps(record) + "\n")
            metrics.flush()
            last.update(record)

        label = f"train {job.arm} seed {job.seed}"
        detector = trainer.train(job.train, classes, sources, quota, job.seed, log, label)
    detector.save(folder / _WEIGHTS)
    # Where the photographs lie decides nothing, so it is no part of the hash.
    record = {**inputs, "real": to_plain(job.real), "config_sha256": digest, "last": last}
    trained_on = {i.content_sha256: str(i.file) for name in mix for i in sources[name].images}
    (folder / _TRAINED_ON).write_text(json.dumps(trained_on, indent=1))
    # Written last and whole: a folder with run.json is a finished run.
    part = folder / "run.json.part"
    part.write_text(json.dumps(record, indent=1))
    part.replace(folder / "run.json")
    return Run(folder=folder, record=record)


def find_run(folder: Path) -> Run | None:
    """Return the finished run in a folder, or None."""
    try:
        record = json.loads((folder / "run.json").read_text())
    except (OSError, ValueError):
        return None
    needed = {"arm", "seed", "classes", "train", "real", "config_sha256"}
    if not isinstance(record, dict) or not needed <= record.keys():
        return None
    return Run(folder=folder, record=record)


def _versions() -> dict[str, str]:
    found = {"simgen": simgen.__version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
