"""`python -m simgen experiment`: all arms and seeds, then the report."""

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from simgen.cli.warn import warn
from simgen.config import compose, parse, suggest, to_plain
from simgen.errors import ConfigError
from simgen.evaluate.config import EvaluateConfig, ExperimentConfig
from simgen.evaluate.contamination import (
    PICTURES,
    Leak,
    Picture,
    clear,
    pictures_in,
    pictures_of,
    scan,
    told,
)
from simgen.evaluate.fidelity import fidelity, mobilenet_features
from simgen.evaluate.figures import Judged, arm_figures, operating_threshold
from simgen.evaluate.guard import (
    cards_that_differ,
    doubted_origins,
    doubts_about_controls,
    guard,
    not_to_be_used,
    provenance_of,
    synthetic_share,
)
from simgen.evaluate.holdout import load_for_evaluation, readings_before
from simgen.evaluate.judge import judge
from simgen.evaluate.real import detect, detect_ahead
from simgen.evaluate.slices import ALL, Slice, make_slices, ranges_of
from simgen.evaluate.training import in_this_process, load_material, threads_of, train_all
from simgen.report.answer import answer
from simgen.train.config import REAL, Checkpoint
from simgen.train.extras import require_yolo
from simgen.train.images import Source
from simgen.train.real import load_real
from simgen.train.rendered import rendered_with
from simgen.train.run import Run

HELP = "train all arms and seeds of an experiment, judge them on photographs, write a report"


def run(overrides: list[str], config_dir: Path | None) -> int:
    """Train what is not trained yet, judge everything, and print the answer."""
    config = parse(ExperimentConfig, compose("experiment", overrides, config_dir)).narrowed()
    require_yolo()
    material = load_material(config, list(config.arms))
    sources, classes = material.sources, material.classes
    _check_question(config, classes)
    settings, rename = config.evaluate, config.train.categories.get(REAL, {})
    provenance = provenance_of(config.datasets)
    warnings = guard(config.mixes(), provenance, settings.max_synthetic_share)
    warnings += doubted_origins(config.datasets)
    if config.bottleneck:
        warnings += cards_that_differ(config.datasets, config.bottleneck.slice)
    warn(warnings)
    known = len(warnings)
    runs = train_all(config, material)
    purpose = {
        "command": "experiment",
        "name": config.name,
        "runs": [r.record["config_sha256"] for r in runs],
    }
    log = Path(settings.holdout_log)
    photographs = load_for_evaluation(config.real, settings.split, rename, log=log, purpose=purpose)
    if settings.split == "holdout":
        warnings += _read_before(readings_before(log, config.real, purpose))
    trained_on, unseen = _trained_on(config, sources)
    warnings += unseen
    leaks: list[Leak] = []
    # Thresholds are set on val, so what was trained on has no place there either.
    judges = {"val": load_real(config.real, "val", rename)} | {settings.split: photographs}
    cleared = {}
    for split, source in judges.items():
        found_there = scan(source.images, trained_on)
        lines = told(source, found_there, settings.contamination)
        warnings += [f"{split}: {line}" for line in lines]
        cleared[split] = clear(source, found_there, settings.contamination)
        leaks += found_there
    val, photographs = cleared["val"], cleared[settings.split]
    if not in_this_process(config):
        detect_ahead(
            runs,
            {"val": val, settings.split: photographs},
            config.executor,
            workers=config.workers,
            threads=threads_of(config),
        )
    found = _found(runs, val, photographs, settings, "equal_passes")
    judged = judge(photographs.images, found, classes, settings, config.control_of())
    own_best = None
    if all(r.record["best"] is not None for r in runs):
        at_best = _found(runs, val, photographs, settings, "own_best")
        own_best = judge(photographs.images, at_best, classes, settings, config.control_of())
    metric = config.bottleneck.metric if config.bottleneck else "ap50"
    # What is recommended is chosen on val, whatever judges.
    on_val = [detect(r, val, "val") for r in runs]
    by_arm = arm_figures(val.images, on_val, classes, settings, metric)
    val_by_share = _val_by_share(config, by_arm)
    # First, because all differences hang on it.
    doubts = _doubts(config, by_arm, runs, metric)
    warn([*doubts, *warnings[known:]])
    warnings = [*doubts, *warnings]

    # Imported here because they need the extra.
    from simgen.report.gallery import gallery
    from simgen.report.page import control_groups, write_report

    line = answer(config.bottleneck, judged, settings.split)
    all_sources = {**sources, f"{REAL} {settings.split}": photographs}
    command = _command(overrides, config_dir)
    record = _record(config, line, judged, runs, all_sources, command) | {
        "own_best": own_best,
        "provenance": to_plain(provenance),
        "warnings": warnings,
        "leaks": to_plain(leaks),
        "fidelity": _fidelity(sources, val, settings.seed),
        "val_by_share": {f"{share:g}": value for share, value in sorted(val_by_share.items())},
        "not_to_be_used": not_to_be_used(judged, metric, val_by_share),
    }
    limits = [f["shown_above"] for f in judged["runs"]]
    groups = control_groups(judged["controls"], config.control)
    pictures = {
        control: gallery(
            photographs.images,
            found,
            classes,
            limits,
            [control, *compared[:3]],
            _shown(config, photographs, classes),
            each=2 if control == config.control else 1,
        )
        for control, compared in groups.items()
    }
    page, data = write_report(Path(config.out), record, pictures)
    print(line)
    print(f"{page}\n{data}")
    return 0


def _read_before(times: int) -> list[str]:
    if not times:
        return []
    said = "one other set of runs" if times == 1 else f"{times} other sets of runs"
    return [f"holdout: it was read for {said} before; a choice made by it flatters this one"]


def _trained_on(
    config: ExperimentConfig, sources: Mapping[str, Source]
) -> tuple[list[Picture], list[str]]:
    """Return all pictures of all sources, and a warning for each that is not here."""
    pictures = [
        p for name, s in sources.items() for p in pictures_of(name, s.images, real=name == REAL)
    ]
    warnings = []
    for name, dataset in config.datasets.items():
        for texture in dataset.textures:
            pictures += pictures_in(name, Path(texture))
        for file in rendered_with(dataset):
            if file.suffix.lower() not in PICTURES:
                continue
            if file.is_file():
                pictures += pictures_in(name, file)
            else:
                warnings.append(
                    f"source {name}: rendered with {file}, which is not here to be scanned; name"
                    f" it in datasets.{name}.textures"
                )
    return pictures, warnings


def _found(
    runs: Sequence[Run],
    val: Source,
    photographs: Source,
    config: EvaluateConfig,
    checkpoint: Checkpoint,
) -> list[Judged]:
    """Return detections in what judges, with alarm thresholds that were set on val before."""
    found = [detect(r, photographs, config.split, checkpoint) for r in runs]
    if config.split == "val":
        return found
    result = []
    for run, one in zip(runs, found, strict=True):
        on_val = detect(run, val, "val", checkpoint)
        limit = operating_threshold(val.images, on_val, config.false_alarm_rate)
        result.append(replace(one, threshold=None if np.isnan(limit) else limit))
    return result


def _val_by_share(config: ExperimentConfig, by_arm: Mapping[str, float]) -> dict[float, float]:
    """Return val's figure by synthetic share, of the control and mixes like it."""
    alike = [a for a, c in config.control_of().items() if c == config.control]
    return {
        synthetic_share(config.arms[a].overall()): by_arm[a]
        for a in alike
        if not config.arms[a].stages and not _own_start(config, a) and not np.isnan(by_arm[a])
    }


def _own_start(config: ExperimentConfig, arm: str) -> bool:
    return config.arms[arm].weights is not None or config.arms[arm].freeze is not None


def _doubts(
    config: ExperimentConfig, by_arm: Mapping[str, float], runs: Sequence[Run], metric: str
) -> list[str]:
    """Return warnings about controls that may not be the strongest."""
    real_only = [a for a, mix in config.mixes().items() if set(mix) == {REAL}]
    used = {c for a, c in config.control_of().items() if a != c}
    alike = {
        c: [a for a in real_only if a != c and _parts(config, a) == _parts(config, c)]
        for c in used
        if c in real_only
    }
    converged = {c: [r.converged for r in runs if r.arm == c] for c in alike}
    return doubts_about_controls(by_arm, dict(sorted(alike.items())), converged, metric)


def _parts(config: ExperimentConfig, arm: str) -> int | None:
    return config.job(arm, config.seeds[0]).parts_per_kind()


def _shown(config: ExperimentConfig, photographs: Source, classes: Sequence[str]) -> list[Slice]:
    """Return the slices of the gallery: that of the question, then each kind."""
    asked = config.bottleneck.slice if config.bottleneck else ""
    made = make_slices(photographs.images, classes, config.evaluate.by, config.evaluate.bins).made
    kinds = [s for s in made if s.group == "kind"]
    return [*(s for s in made if s.name == asked and s.group not in (ALL, "kind")), *kinds]


def _fidelity(sources: Mapping[str, Source], val: Source, seed: int) -> dict[str, Any]:
    made = {name: s.images for name, s in sources.items() if name != REAL}
    return fidelity(sources[REAL].images, val.images, made, mobilenet_features, seed)


def _check_question(config: ExperimentConfig, classes: Sequence[str]) -> None:
    """Fail before the training, not after it, if the question names no slice."""
    if config.bottleneck is None:
        return
    name = config.bottleneck.slice
    ranges = [r.title for n, edges in config.evaluate.bins.items() for r in ranges_of(n, edges)]
    known = [ALL, *classes, *ranges]
    # Which values an attribute has, only the photographs that judge can say.
    if name not in known and name.split(" ")[0] not in config.evaluate.by:
        raise ConfigError(f"bottleneck.slice: no slice named {name!r}{suggest(name, known)}")


def _record(
    config: ExperimentConfig,
    line: str,
    judged: Mapping[str, Any],
    runs: Sequence[Run],
    sources: Mapping[str, Source],
    command: str,
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
                "stages": r.record["stages"],
                "curve": r.curve,
                "best": r.record["best"],
                "converged": r.converged,
                "config_sha256": r.record["config_sha256"],
                "weights_sha256": r.record["weights_sha256"],
                "parts_by_kind": r.record["sources"].get(REAL, {}).get("parts_by_kind", {}),
                "losses": _losses(r),
                "folder": str(r.folder),
                **figures,
            }
            for r, figures in zip(runs, judged["runs"], strict=True)
        ],
        "sources": {name: source.summary() for name, source in sources.items()},
        "commands": [
            *(d.render for d in config.datasets.values()),
            command,
        ],
        "versions": runs[0].record["versions"],
        "config": to_plain(config),
    }


def _losses(run: Run) -> list[dict[str, float]]:
    """Return the training's losses by image passes, without what takes time."""
    lines = (run.folder / "metrics.jsonl").read_text().splitlines()
    records = [json.loads(text) for text in lines]
    kept = [{k: v for k, v in r.items() if k == "passes" or k.endswith("_loss")} for r in records]
    return [r for r in kept if len(r) > 1]


def _command(overrides: Sequence[str], config_dir: Path | None) -> str:
    data = os.environ.get("SIMGEN_DATA")
    start = [] if data is None else [f"SIMGEN_DATA={shlex.quote(data)}"]
    words = ["python", "-m", "simgen", "experiment"]
    words += [] if config_dir is None else ["--config-dir", str(config_dir)]
    return " ".join([*start, shlex.join([*words, *overrides])])
