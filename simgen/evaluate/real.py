"""Detections of finished runs on photographs: made once, kept in the run's folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from simgen.config import parse
from simgen.config.executor import ExecutorConfig
from simgen.errors import DatasetError
from simgen.evaluate.figures import Judged
from simgen.evaluate.predictions import load_predictions, predict_all, save_predictions
from simgen.execute.tasks import run_tasks
from simgen.train.config import REAL, Checkpoint, TrainConfig
from simgen.train.images import Source
from simgen.train.run import Run, find_run
from simgen.train.yolo import set_threads


def detect(
    run: Run, photographs: Source, split: str, checkpoint: Checkpoint = "equal_passes"
) -> Judged:
    """Return a run's detections, from its folder if they were made before.

    What is returned was read back from the file, so that the file gives the same figures.

    Args:
        run: A finished run.
        photographs: What to detect in.
        split: Name for the file.
        checkpoint: The weights after all passes, or the run's own best on its validation curve.

    Raises:
        DatasetError: The run's weights or its detections are broken.
    """
    file = _file(run, photographs, split, checkpoint)
    images: Sequence = photographs.images
    if not file.is_file():
        detector = run.detector(parse(TrainConfig, run.record["train"], "train"), checkpoint)
        found = predict_all(detector.predict, images, f"detect {run.arm} seed {run.seed}")
        part = file.with_suffix(".part")
        save_predictions(part, images, found, run.classes)
        part.replace(file)
    return Judged(
        arm=run.arm,
        draw=run.draw,
        seed=run.seed,
        found=load_predictions(file, images, run.classes),
        real_parts=run.parts_per_kind,
        parts_by_kind=run.record.get("sources", {}).get(REAL, {}).get("parts_by_kind", {}),
    )


def detect_ahead(
    runs: Sequence[Run],
    photographs: Mapping[str, Source],
    executor: ExecutorConfig,
    *,
    workers: int,
    threads: int,
) -> None:
    """Make what detections several runs have not yet, side by side, for `detect` to find.

    Args:
        runs: Finished runs.
        photographs: What to detect in, by name of the split.
        executor, workers: Where, and how many at once on this machine.
        threads: Of torch, of each.

    Raises:
        DatasetError: A run's weights are broken.
    """
    tasks = []
    for run in runs:
        kept: tuple[Checkpoint, ...] = ("equal_passes", "own_best")
        for checkpoint in kept if run.record["best"] is not None else kept[:1]:
            missing = {
                split: source
                for split, source in photographs.items()
                if not _file(run, source, split, checkpoint).is_file()
            }
            if missing:
                tasks.append((str(run.folder), missing, checkpoint, threads))
    run_tasks(_detect_there, tasks, executor, workers=workers)


def _detect_there(
    folder: str, photographs: Mapping[str, Source], checkpoint: Checkpoint, threads: int
) -> None:
    set_threads(threads)
    run = find_run(Path(folder))
    if run is None:
        raise DatasetError(f"{folder}: a worker was to detect with it, but it is not here")
    for split, source in photographs.items():
        detect(run, source, split, checkpoint)


def _file(run: Run, photographs: Source, split: str, checkpoint: Checkpoint) -> Path:
    tail = "-own_best" if checkpoint == "own_best" else ""
    return run.folder / f"predictions-{split}-{photographs.sha256[:8]}{tail}.json"
