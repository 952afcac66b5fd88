"""Detections of finished runs on photographs: made once, kept in the run's folder."""

from collections.abc import Sequence

from simgen.config import parse
from simgen.evaluate.figures import Judged
from simgen.evaluate.predictions import load_predictions, predict_all, save_predictions
from simgen.train.config import REAL, Checkpoint, TrainConfig
from simgen.train.images import Source
from simgen.train.run import Run


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
    tail = "-own_best" if checkpoint == "own_best" else ""
    file = run.folder / f"predictions-{split}-{photographs.sha256[:8]}{tail}.json"
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
