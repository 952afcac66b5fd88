"""`python -m simgen train`: one arm with one seed."""

from pathlib import Path

from simgen.cli.experiment import job_of
from simgen.config import compose, parse
from simgen.errors import ConfigError
from simgen.evaluate.config import ExperimentConfig
from simgen.train.extras import require_yolo
from simgen.train.run import load_sources, train_run

HELP = "train one arm of an experiment with one seed"


def run(overrides: list[str], config_dir: Path | None) -> int:
    """Train, or find the finished run of the same inputs, and print its folder."""
    plain = compose("train", overrides, config_dir)
    arm, seed = plain.pop("arm"), plain.pop("seed")
    if not isinstance(arm, str):
        raise ConfigError(f"arm: expected a text, got {arm!r}")
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise ConfigError(f"seed: expected a whole number of at least 0, got {seed!r}")
    config = parse(ExperimentConfig, plain)
    require_yolo()
    job = job_of(config, arm, seed)
    finished = train_run(job, load_sources(job, (arm,)))
    speed = finished.record["last"]["passes_per_s"]
    passes = finished.record["last"]["passes"]
    print(f"{finished.folder}: {passes} image passes at {speed:.1f} a second")
    return 0
