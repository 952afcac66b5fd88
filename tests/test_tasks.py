"""Independent tasks on Slurm and here: lost ones are repeated, errors come back."""

import importlib.util
import os
import signal
import subprocess
from pathlib import Path

import pytest
from slurm_cluster import PATH, slurm_cluster, why_not

from simgen.config.executor import LocalConfig, SlurmConfig
from simgen.errors import DatasetError, RenderError
from simgen.execute.tasks import run_tasks

TESTS = Path(__file__).parent

pytestmark = pytest.mark.filterwarnings("ignore")


def lost_once(folder, number):
    """Return ten times the number; number 1 is killed without a word when first run."""
    mark = Path(folder) / f"tried{number}"
    if number == 1 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 10 * number


def fail(folder, number):
    raise DatasetError(f"image {number} is broken")


@pytest.fixture
def environment():
    before = dict(os.environ)
    os.environ["PYTHONPATH"] = f"{TESTS.parent}:{TESTS}"
    yield
    os.environ.clear()
    os.environ.update(before)


def check(folder, config):
    tasks = [(str(folder), n) for n in range(3)]
    assert run_tasks(lost_once, tasks, config) == [0, 10, 20]
    with pytest.raises(DatasetError, match="image 7 is broken"):
        run_tasks(fail, [(str(folder), 7)], config)


@pytest.mark.skipif(
    bool(why_not()) or importlib.util.find_spec("submitit") is None,
    reason=why_not() or "extra `cluster`",
)
def test_slurm_runs_tasks_and_repeats_the_lost(environment, tmp_path):
    with slurm_cluster(tmp_path) as conf:
        os.environ.update(SLURM_CONF=str(conf), PATH=PATH)
        where = SlurmConfig(jobs=2, cpus=1, minutes=5, folder=str(tmp_path / "logs"))
        check(tmp_path, where)
        left = subprocess.run(["squeue", "--noheader"], capture_output=True, text=True).stdout
        assert not left.strip()


def test_a_lost_process_here_says_what_to_do(tmp_path):
    with pytest.raises(RenderError, match=r"workers: a worker process died.*lower workers"):
        run_tasks(lost_once, [(str(tmp_path), 1)], LocalConfig())
    assert run_tasks(lost_once, [(str(tmp_path), 1)], LocalConfig()) == [10]


def test_without_tasks_nothing_is_started():
    assert run_tasks(lost_once, [], SlurmConfig()) == []
