"""Renders that are killed at random moments; benchmarks/kill_test.py does it 50 times."""

import sys
from pathlib import Path

TESTS = Path(__file__).parent
sys.path.insert(0, str(TESTS.parent / "benchmarks"))

from kill_test import kill_runs  # noqa: E402

DRIVER = """
from pathlib import Path
import stand_in
from simgen.execute.render import render_dataset
if __name__ == "__main__":
    config = stand_in.config(Path("d"), frames=6, shard_size=1, workers=2, scene={"slow": 0.1})
    render_dataset(config, stand_in.CATEGORIES, renderer="stand_in:StandIn")
"""


def test_a_dataset_survives_the_death_of_its_driver_and_of_its_workers(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    outcomes = kill_runs([sys.executable, "-c", DRIVER], tmp_path, runs=6, seed=3)
    assert [fault for outcome in outcomes for fault in outcome.faults] == []
    assert all(outcome.struck for outcome in outcomes)
