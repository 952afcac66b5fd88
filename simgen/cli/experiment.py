"""`python -m simgen experiment`: all arms and seeds, then the report."""

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from simgen.config import compose, parse, suggest, to_plain
from simgen.errors import ConfigError
from simgen.evaluate.config import ExperimentConfig
from simgen.evaluate.contamination import Leak, clear, pictures_in, pictures_of, scan
from simgen.evaluate.fidelity import fidelity, mobilenet_features
from simgen.evaluate.figures import Judged, arm_figures, operating_threshold
from simgen.evaluate.guard import guard, not_to_be_used, provenance_of, synthetic_share
from simgen.evaluate.holdout import load_for_evaluation
from simgen.evaluate.judge import judge
from simgen.evaluate.real import detect
from simgen.evaluate.slices import ALL
from simgen.evaluate.training import load_material, train_all
from simgen.report.answer import answer
from simgen.train.config import REAL
from simgen.train.extras import require_yolo
from simgen.train.images import Source
from simgen.train.real import load_real
from simgen.train.run import Run

HELP = "train all arms and seeds of an experiment, judge them on photographs, write a report"


def run(overrides: list[str], config_dir: Path | None) -> int:
    """Train what is not trained yet, judge everything, and print the answer."""
    config = parse(ExperimentConfig, compose("experiment", overrides, config_dir)).narrowed()
    require_yolo()
    material = load_material(config, list(config.arms))
    sources, classes = material.sources, material.classes
    _check_question(config, classes)
    runs = train_all(config, material)
    settings, rename = config.evaluate, config.train.categories.get(REAL, {})
    provenance = provenance_of(config.datasets)
    warnings = guard(config.mixes(), provenance, settings.max_synthetic_share)
    # The alarm threshold and the mix's limits are chosen on val, whatever judges.
    val = load_real(config.real, "val", rename)
    on_val = [detect(r, val, "val") for r in runs]
    photographs = load_for_evaluation(
        config.real,
        settings.split,
        rename,
        log=Path(settings.holdout_log),
        purpose={
            "command": "experiment",
            "name": config.name,
            "runs": [r.record["config_sha256"] for r in runs],
        },
    )
    leaks = _scan(config, photographs, sources)
    photographs = clear(photographs, leaks, settings.contamination)
    warnings += [f"{settings.split}: {leak}" for leak in leaks]
    found = on_val
    if settings.split != "val":
        rate = settings.false_alarm_rate
        limits = [operating_threshold(val.images, one, rate) for one in on_val]
        found = [
            replace(detect(r, photographs, settings.split), threshold=None if np.isnan(t) else t)
            for r, t in zip(runs, limits, strict=True)
        ]
    judged = judge(photographs.images, found, classes, settings, config.control_of())
    metric = config.bottleneck.metric if config.bottleneck else "ap50"
    val_by_share = _val_by_share(config, on_val, val, classes, metric)

    # Imported here because they need the extra.
    from simgen.report.gallery import gallery
    from simgen.report.page import write_report

    line = answer(config.bottleneck, judged, settings.split)
    limits = [f["alarm_threshold"] or 0.0 for f in judged["runs"]]
    all_sources = {**sources, f"{REAL} {settings.split}": photographs}
    record = _record(config, line, judged, runs, all_sources, overrides) | {
        "provenance": to_plain(provenance),
        "warnings": warnings,
        "leaks": to_plain(leaks),
        "fidelity": _fidelity(sources, val, settings.seed),
        "val_by_share": {f"{share:g}": value for share, value in val_by_share.items()},
        "not_to_be_used": not_to_be_used(judged, metric, val_by_share),
    }
    curves = {f"{r.arm} seed {r.seed}": _metrics(r) for r in runs}
    pictures = gallery(photographs.images, found, classes, limits, config.control)
    page, data = write_report(Path(config.out), record, curves, pictures)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(line)
    print(f"{page}\n{data}")
    return 0


def _scan(
    config: ExperimentConfig, photographs: Source, sources: Mapping[str, Source]
) -> list[Leak]:
    pictures = [
        p for name, s in sources.items() for p in pictures_of(name, s.images, real=name == REAL)
    ]
    for name, dataset in config.datasets.items():
        for texture in dataset.textures:
            pictures += pictures_in(name, Path(texture))
    return scan(photographs.images, pictures)


def _val_by_share(
    config: ExperimentConfig,
    on_val: Sequence[Judged],
    val: Source,
    classes: Sequence[str],
    metric: str,
) -> dict[float, float]:
    """Return val's figure by synthetic share, of the arms that have the control for theirs."""
    figures = arm_figures(val.images, on_val, classes, config.evaluate, metric)
    alike = {a for a, c in config.control_of().items() if c == config.control}
    return {
        synthetic_share(config.arms[a].overall()): v
        for a, v in figures.items()
        if a in alike and not np.isnan(v)
    }


def _fidelity(sources: Mapping[str, Source], val: Source, seed: int) -> dict[str, Any]:
    made = {name: s.images for name, s in sources.items() if name != REAL}
    return fidelity(sources[REAL].images, val.images, made, mobilenet_features, seed)


def _check_question(config: ExperimentConfig, classes: Sequence[str]) -> None:
    """Fail before the training, not after it, if the question names no slice."""
    if config.bottleneck is None:
        return
    name, kinds = config.bottleneck.slice, [ALL, *classes]
    declared = (*config.evaluate.by, *config.evaluate.bins)
    if name not in kinds and name.split(" ")[0] not in declared:
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
        "arms": config.mixes(),
        "draws": list(config.draws),
        "seeds": list(config.seeds),
        "passes": runs[0].record["last"]["passes"],
        "evaluation": judged,
        "runs": [
            {
                "mix": r.record["mix"],
                "passes": r.record["last"]["passes"],
                "passes_per_s": r.record["last"]["passes_per_s"],
                "stages": r.record["stages"],
                "curve": r.curve,
                "best": r.record["best"],
                "converged": r.converged,
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
