"""Detections of finished runs on photographs: made once, kept in the run's folder."""

from collections.abc import Sequence

from simgen.config import parse
from simgen.evaluate.judge import Judged
from simgen.evaluate.predictions import load_predictions, predict_all, save_predictions
from simgen.train.config import TrainConfig
from simgen.train.images import Source
from simgen.train.run import Run


def detect(run: Run, photographs: Source, split: str) -> Judged:
    """Return a run's detections, from its folder if they were made before.

    What is returned was read back from the file, so that the file gives the same figures.

    Args:
        run: A finished run.
        photographs: What to detect in.
        split: Name for the file.

    Raises:
        DatasetError: The run's weights or its detections are broken.
    """
    file = run.folder / f"predictions-{split}-{photographs.sha256[:8]}.json"
    images: Sequence = photographs.images
    if not file.is_file():
        detector = run.detector(parse(TrainConfig, run.record["train"], "train"))
        found = predict_all(detector.predict, images, f"detect {run.arm} seed {run.seed}")
        part = file.with_suffix(".part")
        save_predictions(part, images, found, run.classes)
        part.replace(file)
    return Judged(arm=run.arm, seed=run.seed, found=load_predictions(file, images, run.classes))
