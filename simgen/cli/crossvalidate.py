"""`python -m simgen crossvalidate`: choices compared on folds of train + val."""

import json
import math
from pathlib import Path
from typing import Any

from simgen.cli.warn import warn_of_mixes
from simgen.config import compose, parse
from simgen.errors import ConfigError
from simgen.evaluate.config import ExperimentConfig
from simgen.evaluate.crossvalidate import AS_IS, CvConfig, crossvalidate
from simgen.train.extras import require_yolo

HELP = """compare choices on folds of the parts of train + val, without the holdout

'+choices.slow={train.learning_rate: 0.001}' gives each a name and the keys that it sets."""

_FIGURES = ("ap50", "ap10", "recall")
_ONE_RUN = (
    "one seed: +- is over folds alone, and seeds may differ by more;"
    " repeat what matters with seeds=[0,1,2] draws=[0,1,2]"
)


def run(overrides: list[str], config_dir: Path | None) -> int:
    """Train on the folds, print a line for each choice, and write the figures."""
    plain = compose("crossvalidate", overrides, config_dir)
    choices = plain["choices"] or {}
    if AS_IS in choices:
        raise ConfigError(f"choices.{AS_IS}: is the recipe without a choice; take another name")
    cv = parse(CvConfig, plain["cv"], "cv")
    configs = {AS_IS: _experiment(plain)}
    for name, keys in choices.items():
        if not isinstance(keys, dict) or not keys:
            raise ConfigError(f"choices.{name}: expected keys and values, as {{train.passes: 800}}")
        changed = [f"{key}={_override(value)}" for key, value in keys.items()]
        configs[name] = _experiment(compose("crossvalidate", [*overrides, *changed], config_dir))
    require_yolo()
    warn_of_mixes(configs.values(), cv.arms)
    result = crossvalidate(configs, cv)
    out = Path(configs[AS_IS].out)
    file = out / "crossvalidation.json"
    file.write_text(json.dumps({**result, "choices": choices}, indent=1))
    for entry in sorted(result["entries"], key=lambda e: e["figures"].get(cv.metric) or 0.0):
        print(_line(entry, cv))
    if (choices or len(cv.arms) > 1) and any(len(e["by_run"]) == 1 for e in result["entries"]):
        print(_ONE_RUN)
    print(file)
    return 0


def _experiment(plain: dict[str, Any]) -> ExperimentConfig:
    return parse(ExperimentConfig, {k: v for k, v in plain.items() if k not in ("choices", "cv")})


def _override(value: Any) -> str:
    """Return a value as it would be typed after `KEY=`; names in it are not quoted."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {_override(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_override(v) for v in value) + "]"
    return value if isinstance(value, str) else json.dumps(value)


def _line(entry: dict[str, Any], cv: CvConfig) -> str:
    each = " ".join(_number(f.get(cv.metric)) for f in entry["by_fold"])
    text = f"{entry['choice']:<12} {entry['arm']:<12}"
    for name in _FIGURES:
        text += f" {name} {_number(entry['figures'].get(name))}"
        found = entry["differences"].get(name, {})
        if entry["choice"] != AS_IS and found.get("mean") is not None:
            text += f" ({_difference(found)})"
    text += (
        f"  {cv.metric} by fold {each}, highest {_number(entry['best'])}"
        f" after {entry['best_passes']} passes"
    )
    gains = [(n, entry["gains"][n]) for n in _FIGURES if n in entry["gains"]]
    if entry["arm"] != cv.arms[0]:
        told = [f"{n} {_difference(f)}" for n, f in gains if f["mean"] is not None]
        text += f"; over {cv.arms[0]}: {', '.join(told)}"
    return text


def _difference(found: dict[str, Any]) -> str:
    return f"{found['mean']:+.3f} +- {_number(_error(found))}"


def _error(difference: dict[str, Any]) -> float | None:
    """Return the standard error over folds and runs together, as far as they are known."""
    both = [difference["standard_error"], difference["standard_error_runs"]]
    known = [e for e in both if e is not None]
    return math.hypot(*known) if known else None


def _number(value: float | None) -> str:
    return "  –  " if value is None else f"{value:.3f}"
