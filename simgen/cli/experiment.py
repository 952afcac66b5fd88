"""`python -m simgen experiment`: all arms and seeds, then the report."""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simgen.config import compose, parse, suggest, to_plain
from simgen.errors import ConfigError
from simgen.evaluate.config import ExperimentConfig
from simgen.evaluate.holdout import load_for_evaluation, refuse_shared_photographs
from simgen.evaluate.judge import judge
from simgen.evaluate.real import detect
from simgen.evaluate.slices import ALL
from simgen.report.answer import answer
from simgen.train.config import REAL, TrainJob
from simgen.train.extras import require_yolo
from simgen.train.images import Source
from simgen.train.run import Run, classes_of, load_sources, train_run

HELP = "train all arms and seeds of an experiment, judge them on photographs, write a report"


def run(overrides: list[str], config_dir: Path | None) -> int:
    """Train what is not trained yet, judge everything, and print the answer."""
    config = parse(ExperimentConfig, compose("experiment", overrides, config_dir))
    require_yolo()
    sources = load_sources(job_of(config, config.control, config.seeds[0]), tuple(config.arms))
    classes = classes_of(config.train, sources)
    _check_question(config, classes)
    runs = [
        train_run(job_of(config, arm, seed), sources)
        for arm in config.arms
        for seed in config.seeds
    ]
    settings = config.evaluate
    photographs = load_for_evaluation(
        config.real,
        settings.split,
        config.train.categories.get(REAL, {}),
        log=Path(settings.holdout_log),
        purpose={
            "command": "experiment",
            "name": config.name,
            "runs": [r.record["config_sha256"] for r in runs],
        },
    )
    for source in sources.values():
        trained_on = {i.content_sha256: str(i.file) for i in source.images}
        refuse_shared_photographs(photographs, trained_on)
    found = [detect(r, photographs, settings.split) for r in runs]
    judged = judge(photographs.images, found, classes, settings, config.control)

    # Imported here because they need the extra.
    from simgen.report.gallery import galleries
    from simgen.report.page import write_report

    line = answer(config.bottleneck, judged, config.control, settings.split)
    pictures = {}
    for one, figures in zip(found, judged["runs"], strict=True):
        if one.arm not in pictures:
            threshold = figures["alarm_threshold"] or 0.0
            pictures[one.arm] = galleries(photographs.images, one, classes, threshold)
    all_sources = {**sources, f"{REAL} {settings.split}": photographs}
    record = _record(config, line, judged, runs, all_sources, overrides)
    curves = {f"{r.arm} seed {r.seed}": _metrics(r) for r in runs}
    page, data = write_report(Path(config.out), record, curves, pictures)
    print(line)
    print(f"{page}\n{data}")
    return 0


def job_of(config: ExperimentConfig, arm: str, seed: int) -> TrainJob:
    """Return the training job of one arm and seed; runs of an experiment share a folder."""
    return TrainJob(
        real=config.real,
        datasets=config.datasets,
        train=config.train,
        arms=config.arms,
        arm=arm,
        seed=seed,
        out=str(Path(config.out) / "runs"),
    )


def _check_question(config: ExperimentConfig, classes: Sequence[str]) -> None:
    """Fail before the training, not after it, if the question names no slice."""
    if config.bottleneck is None:
        return
    name, kinds = config.bottleneck.slice, [ALL, *classes]
    if name not in kinds and name.split(" ")[0] not in config.evaluate.by:
        raise ConfigError(f"bottleneck.slice: no slice named {name!r}{suggest(name, kinds)}")


def _record(
    config: ExperimentConfig,
    line: str,
    judged: Mapping[str, Any],
    runs: Sequence[Run],
    sources: Mapping[str, Source],
    overrides: Sequence[str],
) -> dict[str, Any]:
    return {
        "answer": line,
        "name": config.name,
        "bottleneck": to_plain(config.bottleneck),
        "split": config.evaluate.split,
        "control": config.control,
        "arms": {arm: dict(mix) for arm, mix in config.arms.items()},
        "seeds": list(config.seeds),
        "passes": runs[0].record["last"]["passes"],
        "evaluation": judged,
        "runs": [
            {
                "mix": r.record["mix"],
                "passes": r.record["last"]["passes"],
                "passes_per_s": r.record["last"]["passes_per_s"],
                "config_sha256": r.record["config_sha256"],
                "versions": r.record["versions"],
                "folder": str(r.folder),
                **figures,
            }
            for r, figures in zip(runs, judged["runs"], strict=True)
        ],
        "sources": {name: source.summary() for name, source in sources.items()},
        "commands": [
            *(d.render for d in config.datasets.values()),
            shlex.join(["python", "-m", "simgen", "experiment", *overrides]),
        ],
        "config": to_plain(config),
    }


def _metrics(run: Run) -> list[dict[str, float]]:
    lines = (run.folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(text) for text in lines]
