"""`python -m simgen train`: one arm with one seed."""

from dataclasses import dataclass
from pathlib import Path

from simgen.cli.warn import warn_of_mixes
from simgen.config import bounded, compose, parse, suggest
from simgen.errors import ConfigError
from simgen.evaluate.config import ExperimentConfig
from simgen.evaluate.training import load_material
from simgen.train.extras import require_yolo
from simgen.train.run import Run, train_run

HELP = "train one arm of an experiment with one seed"


@dataclass(frozen=True, slots=True, kw_only=True)
class WhichRun:
    """Which run of the experiment."""

    arm: str
    draw: int = bounded(0, low=0)
    seed: int = bounded(0, low=0)


def run(overrides: list[str], config_dir: Path | None) -> int:
    """Train, or find the finished run of the same inputs, and print its folder."""
    plain = compose("train", overrides, config_dir)
    chosen = parse(
        WhichRun, {k: plain.pop(k) for k in ("arm", "draw", "seed") if plain.get(k) is not None}
    )
    config = parse(ExperimentConfig, plain)
    require_yolo()
    job = config.job(chosen.arm, chosen.seed, chosen.draw)
    if chosen.arm not in config.arms:
        raise ConfigError(f"arm: no arm named {chosen.arm!r}{suggest(chosen.arm, config.arms)}")
    material = load_material(config, [chosen.arm])
    warn_of_mixes([config], [chosen.arm])
    finished = train_run(job, material.sources, material.validation)
    print(f"{finished.folder}: {_told(finished)}")
    return 0


def _told(run: Run) -> str:
    last, best = run.record["last"], run.record["best"]
    text = f"{last['passes']} image passes at {last['passes_per_s']:.1f} a second"
    if best is None:
        return text
    by = run.record["train"]["best_by"]
    state = {True: "flat", False: "still rising", None: "too short to tell"}[run.converged]
    return (
        f"{text}; {by} on val {run.curve[-1][by]:.3f}, at most {best[by]:.3f} after"
        f" {best['passes']}, curve {state}"
    )
