"""`python -m simgen evaluate`: a finished run on photographs."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simgen.cli.warn import warn
from simgen.config import compose, parse, to_plain
from simgen.errors import DatasetError
from simgen.evaluate.config import METRICS, EvaluateConfig
from simgen.evaluate.contamination import Leak, clear, pictures_at, scan, told
from simgen.evaluate.holdout import load_for_evaluation, refuse_shared_photographs
from simgen.evaluate.judge import judge
from simgen.evaluate.real import detect
from simgen.train.config import REAL
from simgen.train.extras import require_yolo
from simgen.train.real import RealConfig
from simgen.train.run import Run, find_run

HELP = "judge a trained run on photographs (split=val, or split=holdout when asked for)"


@dataclass(frozen=True, slots=True, kw_only=True)
class RealOverride:
    """Photographs other than those that the run was trained with."""

    root: str | None = None
    set: str | None = None
    exclude: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateCommand:
    """Keys of the command."""

    run: str
    split: str = "val"
    real: RealOverride = field(default_factory=RealOverride)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)


def run(overrides: list[str], config_dir: Path | None) -> int:
    """Judge, print one line a slice, and write figures beside the run."""
    config = parse(EvaluateCommand, compose("evaluate", overrides, config_dir))
    finished = find_run(Path(config.run))
    if finished is None:
        raise DatasetError(
            f"run: {config.run} holds no finished run; train one with: python -m simgen train"
        )
    require_yolo()
    split = config.evaluate.split
    photographs = load_for_evaluation(
        _real(config.real, finished),
        split,
        finished.record["train"]["categories"].get(REAL, {}),
        log=Path(config.evaluate.holdout_log),
        purpose={"command": "evaluate", "run": str(finished.folder)},
    )
    refuse_shared_photographs(photographs, finished.trained_on())
    leaks: list[Leak] = []
    if split == "holdout":
        files = [Path(f) for f in finished.trained_on().values()]
        seen = [p for f in files for p in pictures_at("training", f)]
        if len(seen) < len(files):
            gone = len(files) - len(seen)
            warn([f"{gone} of {len(files)} training pictures are not here to be scanned for leaks"])
        leaks = scan(photographs.images, seen)
        warn(told(photographs, leaks, config.evaluate.contamination))
        photographs = clear(photographs, leaks, config.evaluate.contamination)
    result = judge(
        photographs.images,
        [detect(finished, photographs, split)],
        finished.classes,
        config.evaluate,
        control=None,
    )
    file = finished.folder / f"evaluation-{split}.json"
    file.write_text(
        json.dumps(
            {**result, "photographs": photographs.summary(), "leaks": to_plain(leaks)}, indent=1
        )
    )
    for entry in result["slices"]:
        figures = "  ".join(f"{m} {_text(entry['arms'][finished.arm][m])}" for m in METRICS)
        print(f"{entry['slice']:<14} {entry['parts']:>3} parts  {figures}")
    print(f"COCO AP50 {_number(result['runs'][0]['coco_ap50'])}; written to {file}")
    return 0


def _real(override: RealOverride, finished: Run) -> RealConfig:
    trained: dict[str, Any] = dict(finished.record["real"])
    given = {"root": override.root, "set": override.set, "exclude": override.exclude}
    return parse(RealConfig, trained | {k: v for k, v in given.items() if v is not None}, "real")


def _text(figure: dict[str, Any]) -> str:
    return f"{_number(figure['value'])} [{_number(figure['low'])}, {_number(figure['high'])}]"


def _number(value: float | None) -> str:
    return "  –  " if value is None else f"{value:.3f}"
