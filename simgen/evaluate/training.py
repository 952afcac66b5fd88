"""All runs of an experiment: figures while they train, and where they are trained."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simgen.errors import DatasetError
from simgen.evaluate.config import EvaluateConfig, ExperimentConfig
from simgen.evaluate.figures import Judged, figures_of
from simgen.evaluate.predictions import Detections
from simgen.evaluate.slices import make_slices, parts_of
from simgen.execute.tasks import run_tasks
from simgen.train.config import REAL
from simgen.train.curve import Predict, Validation
from simgen.train.images import Source
from simgen.train.parts import folds_of, join, only_parts
from simgen.train.real import load_real
from simgen.train.run import Run, classes_of, find_run, finished_run, load_sources, train_run
from simgen.train.yolo import count_cores

_METRICS = ("ap50", "ap10", "recall")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One of several groups of parts of train + val that a run does without.

    Attributes:
        number: Which.
        count: Of how many.
        seed: Of the groups.
    """

    number: int
    count: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What runs train on and are looked at with.

    Attributes:
        sources: By name.
        classes: What is detected.
        validation: None without a validation curve.
    """

    sources: Mapping[str, Source]
    classes: tuple[str, ...]
    validation: Validation | None


def load_material(
    config: ExperimentConfig, arms: Sequence[str], fold: Fold | None = None
) -> Material:
    """Return the sources of some arms, and `val` or a fold of train + val to look at runs with."""
    loaded = load_sources(config.job(arms[0], config.seeds[0]), tuple(arms))
    classes = classes_of(config.train, loaded)
    if fold is None:
        return Material(
            sources=loaded, classes=classes, validation=validation_on_val(config, classes)
        )
    val = load_real(config.real, "val", config.train.categories.get(REAL, {}))
    everything = join(REAL, [loaded[REAL], val])
    folds = folds_of(everything, fold.count, fold.seed)
    rest = set().union(*(f for n, f in enumerate(folds) if n != fold.number))
    held = only_parts(everything, folds[fold.number])
    return Material(
        sources={**loaded, REAL: only_parts(everything, rest)},
        classes=classes,
        validation=make_validation(held, classes, config.evaluate),
    )


def train_all(config: ExperimentConfig, material: Material, fold: Fold | None = None) -> list[Run]:
    """Return every run of an experiment, in the order of its jobs, trained where it is not yet.

    Args:
        config: The experiment.
        material: Of all its arms.
        fold: That the material is of.
    """
    return train_each([(config, fold)], lambda _config, _fold: material)[0]


def train_each(
    plans: Sequence[tuple[ExperimentConfig, Fold | None]],
    material_of: Callable[[ExperimentConfig, Fold | None], Material],
) -> list[list[Run]]:
    """Return every run of several experiments, those that are missing trained side by side.

    Args:
        plans: Each experiment and the fold that it does without; all are trained where the first
            one says.
        material_of: Gives what a plan trains on; asked once a plan, and not kept.
    """
    where, workers = plans[0][0].executor, plans[0][0].workers
    here, threads = in_this_process(plans[0][0]), threads_of(plans[0][0])
    done: list[list[Run | None]] = []
    tasks: list[tuple[Any, ...]] = []
    for config, fold in plans:
        material = material_of(config, fold)
        sources, validation = material.sources, material.validation
        find = train_run if here else finished_run
        done.append([find(job, sources, validation) for job in config.jobs()])
        tasks += [
            (config, job.arm, job.seed, job.draw, fold, threads)
            for job, run in zip(config.jobs(), done[-1], strict=True)
            if run is None
        ]
    trained = iter(run_tasks(_train_there, tasks, where, workers=workers))
    return [[run or _found(next(trained)) for run in runs] for runs in done]


def in_this_process(config: ExperimentConfig) -> bool:
    """Return whether runs are trained one after the other, by no workers."""
    return config.executor.name == "local" and config.workers == 1


def threads_of(config: ExperimentConfig) -> int:
    """Return the threads of each of an experiment's workers."""
    where = config.executor
    # Not what a worker sees: that is often the whole machine.
    cores = count_cores() / config.workers if where.name == "local" else where.cpus
    return max(1, int(cores))


def validation_on_val(config: ExperimentConfig, classes: Sequence[str]) -> Validation | None:
    """Return a look at `val`, None if the recipe has no validation curve."""
    if not config.train.validations:
        return None
    val = load_real(config.real, "val", config.train.categories.get(REAL, {}))
    return make_validation(val, classes, config.evaluate)


def make_validation(
    photographs: Source, classes: Sequence[str], config: EvaluateConfig
) -> Validation:
    """Return a cheap look at photographs: all that show a defect, of clean parts one each."""
    some: dict[str, int] = {}
    images = []
    for image in photographs.images:
        if not image.is_clean or some.setdefault(image.part, image.image_id) == image.image_id:
            images.append(image)
    lean = Source(name=photographs.name, images=tuple(images), sha256=photographs.sha256)

    def figures(predict: Predict, source: Source) -> dict[str, float]:
        return quick_figures(predict, source, classes, config)

    return Validation(photographs=lean, figures=figures)


def quick_figures(
    predict: Predict, source: Source, classes: Sequence[str], config: EvaluateConfig
) -> dict[str, float]:
    """Return `ap50`, `ap10` and `recall` over everything, and each for every kind, `ap50 crack`.

    Args:
        predict: Detects in one image.
        source: The photographs.
        classes: Names of the detections' kinds.
        config: Has the false-alarm rate.
    """
    images, found = source.images, []
    for image in images:
        boxes, scores, kinds = predict(image.pixels)
        found.append(Detections(boxes=boxes, scores=scores, kinds=kinds))
    run = Judged(arm="", seed=0, found=tuple(found))
    slices = make_slices(images, classes, ()).made
    ones = np.ones((1, parts_of(images, np.ones(len(images), bool)).count))
    made = figures_of(images, run, slices, classes, ones, config)
    result: dict[str, float] = {}
    for part, values in zip(slices, made.by_slice, strict=True):
        tail = "" if part.group == "all" else f" {part.name}"
        result |= {f"{m}{tail}": float(values[m][0]) for m in _METRICS}
    return result


def _train_there(
    config: ExperimentConfig, arm: str, seed: int, draw: int, fold: Fold | None, threads: int
) -> str:
    """Run in a worker: train one run, return its folder."""
    material = load_material(config, [arm], fold)
    job = config.job(arm, seed, draw)
    run = train_run(job, material.sources, material.validation, threads=threads)
    return str(run.folder)


def _found(folder: str) -> Run:
    run = find_run(Path(folder))
    if run is None:
        raise DatasetError(f"{folder}: a worker trained it, but it is not here; share `out`")
    return run
