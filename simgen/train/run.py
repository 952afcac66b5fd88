"""A training run from config to a finished folder; a finished run is not repeated."""

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

import simgen
from simgen.config import suggest, to_plain
from simgen.errors import ConfigError, DatasetError
from simgen.train.config import REAL, Checkpoint, TrainConfig, TrainJob
from simgen.train.curve import Validation, best_point, converged
from simgen.train.images import Source
from simgen.train.lock import alone
from simgen.train.parts import choose_parts
from simgen.train.plan import Stage, make_plan
from simgen.train.real import load_real
from simgen.train.rendered import load_rendered
from simgen.train.session import BEST, CHECKPOINT, FINAL, Session
from simgen.train.start import IMAGENET, NONE, start_sha256
from simgen.train.yolo import YoloTrainer

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

    def build(
        self, config: TrainConfig, classes: tuple[str, ...], seed: int, *, start: bool = True
    ) -> TrainedDetector:
        """Return an untrained detector, without `start` to load a run's weights into."""
        ...

    def train(
        self,
        config: TrainConfig,
        classes: tuple[str, ...],
        sources: Mapping[str, Source],
        stages: Sequence[Stage],
        seed: int,
        session: Session,
    ) -> TrainedDetector:
        """Train on exactly what the stages say, from the session's last checkpoint on."""
        ...


TRAINERS: Mapping[str, Callable[[], Trainer]] = {"yolo": YoloTrainer}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished training run.

    Attributes:
        folder: Holds run.json, counters.json, metrics.jsonl, weights.pt and best.pt.
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
    def draw(self) -> int:
        """Which real parts it was trained on, where not all."""
        return int(self.record.get("draw", 0))

    @property
    def parts_per_kind(self) -> int | None:
        """Real parts of each kind that it was trained on; None: all, or it used none."""
        number = self.record.get("parts_per_kind")
        return None if number is None else int(number)

    @property
    def converged(self) -> bool | None:
        """Whether its validation curve had stopped rising; None: not known."""
        return self.record.get("converged")

    @property
    def curve(self) -> list[dict[str, Any]]:
        """Its validation curve: `passes` and figures."""
        return list(self.record.get("curve", ()))

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

    def detector(
        self, config: TrainConfig, checkpoint: Checkpoint = "equal_passes"
    ) -> TrainedDetector:
        """Return the trained detector.

        Args:
            config: The recipe that it was trained with.
            checkpoint: After all passes, or where its validation curve was highest; the former
                if it had no curve.

        Raises:
            DatasetError: The weight file is missing or broken.
        """
        detector = TRAINERS[config.backend]().build(config, self.classes, self.seed, start=False)
        own = checkpoint == "own_best" and self.record.get("best") is not None
        detector.load(self.folder / (BEST if own else FINAL))
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
        make_plan(job.arms[arm], replace(job, arm=arm).recipe(), arm)
        for name in job.arms[arm].overall():
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


def train_run(
    job: TrainJob,
    sources: Mapping[str, Source],
    validation: Validation | None = None,
    *,
    threads: int = 0,
) -> Run:
    """Train one arm with one seed, or return the finished run of the very same inputs.

    A run that was killed goes on from its last checkpoint and ends with the same weights.

    Args:
        job: What to train; its run folder is `out/<arm>-seed<seed>-<hash>`.
        sources: At least those of the arm, and the whole real training split.
        validation: What to look at it with while it trains.
        threads: Of torch, where the recipe says 0; 0: one for each core.

    Raises:
        ConfigError: The mix or an optional part is not usable.
        DatasetError: The images do not fit the classes.
    """
    inputs, used, stages = _inputs(job, sources, validation)
    folder = _folder(job, inputs)
    finished = find_run(folder)
    if finished is not None:
        return finished
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"out: {folder} cannot be made ({error.strerror}); choose another"
        ) from None
    with alone(folder):
        # Another process may have finished it while this one waited.
        return find_run(folder) or _train(
            job,
            replace(job.recipe(), threads=job.train.threads or threads),
            folder,
            inputs,
            used,
            stages,
            validation,
        )


def finished_run(
    job: TrainJob, sources: Mapping[str, Source], validation: Validation | None = None
) -> Run | None:
    """Return the finished run of these inputs, None if it is still to be trained."""
    return find_run(_folder(job, _inputs(job, sources, validation)[0]))


def _inputs(
    job: TrainJob, sources: Mapping[str, Source], validation: Validation | None
) -> tuple[dict[str, Any], dict[str, Source], tuple[Stage, ...]]:
    """Return all that decides a run's result, the images it uses, and its stages."""
    arm, parts, recipe = job.arms[job.arm], job.parts_per_kind(), job.recipe()
    classes = classes_of(recipe, sources)
    stages = make_plan(arm, recipe, job.arm)
    used = {name: sources[name] for name in arm.overall()}
    if parts is not None:
        used[REAL] = choose_parts(used[REAL], parts, job.draw, job.real.clean_per_defective)
    train = to_plain(recipe)
    # How often it is saved decides nothing, nor where initial weights lie.
    del train["checkpoint_s"]
    if recipe.weights not in (IMAGENET, NONE):
        train["weights"] = "file"
    inputs = {
        "arm": job.arm,
        "recipe": to_plain(arm),
        "parts_per_kind": parts,
        "draw": 0 if parts is None else job.draw,
        "seed": job.seed,
        "classes": list(classes),
        "train": train,
        "sources": {name: source.summary() for name, source in used.items()},
        "validation": validation.photographs.summary()
        if validation and recipe.validations
        else None,
        "weights_sha256": start_sha256(recipe),
        "versions": _versions(),
    }
    return inputs, used, stages


def _folder(job: TrainJob, inputs: Mapping[str, Any]) -> Path:
    draw = "" if inputs["parts_per_kind"] is None else f"-draw{job.draw}"
    return Path(job.out) / f"{job.arm}{draw}-seed{job.seed}-{_digest(inputs)[:8]}"


def _digest(inputs: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def _train(
    job: TrainJob,
    recipe: TrainConfig,
    folder: Path,
    inputs: Mapping[str, Any],
    used: Mapping[str, Source],
    stages: Sequence[Stage],
    validation: Validation | None,
) -> Run:
    draw = "" if inputs["parts_per_kind"] is None else f" draw {job.draw}"
    session = Session(
        folder,
        validation=validation if recipe.validations else None,
        best_by=recipe.best_by,
        checkpoint_s=recipe.checkpoint_s,
        label=f"train {job.arm}{draw} seed {job.seed}",
    )
    classes = tuple(inputs["classes"])
    trainer = TRAINERS[recipe.backend]()
    detector = trainer.train(recipe, classes, used, stages, job.seed, session)
    detector.save(folder / FINAL)
    counters = session.counters.plain()
    (folder / "counters.json").write_text(json.dumps(counters, indent=1))
    # Where the photographs lie decides nothing, so it is no part of the hash.
    record = {
        **inputs,
        "mix": session.counters.shares(),
        "real": to_plain(job.real),
        "weights_from": recipe.weights,
        "config_sha256": _digest(inputs),
        "last": session.last,
        "stages": counters["stages"],
        "curve": session.curve,
        "best": best_point(session.curve, recipe.best_by),
        "converged": converged(session.curve, recipe.best_by),
    }
    trained_on = {i.content_sha256: str(i.file) for s in used.values() for i in s.images}
    (folder / _TRAINED_ON).write_text(json.dumps(trained_on, indent=1))
    # Written last and whole: a folder with run.json is a finished run.
    part = folder / "run.json.part"
    part.write_text(json.dumps(record, indent=1))
    part.replace(folder / "run.json")
    (folder / CHECKPOINT).unlink(missing_ok=True)
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
