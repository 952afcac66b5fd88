"""Independent tasks on Ray, on Slurm and here: lost ones are repeated, errors come back."""

import hashlib
import importlib.util
import multiprocessing
import operator
import os
import signal
import subprocess
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from ray_nodes import ray_cluster
from real_fakes import write_real
from slurm_cluster import PATH, slurm_cluster, why_not

from simgen.config import compose, parse
from simgen.config.executor import LocalConfig, RayConfig, SlurmConfig
from simgen.errors import DatasetError, RenderError
from simgen.evaluate.config import ExperimentConfig
from simgen.evaluate.training import load_material, train_all
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


def stay(folder, number):
    """Leave this process' id and stay for ten minutes."""
    (Path(folder) / f"began{number}").write_text(str(os.getpid()))
    time.sleep(600)


def wait_until(done, seconds):
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


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


def trained(folder, where):
    """Return the hashes of the weights of an arm's two draws, trained as `where` says."""
    words = [
        *(f"out={folder}/{where.name}", f"real.root={folder}/real", "real.set=tiles"),
        *("real.exclude=[vague]", "+arms.real_1={mix: {real: 1.0}, parts_per_kind: 1}"),
        *("control=real_1", "draws=[0,1]", "train.passes=8", "train.batch=4", "train.threads=1"),
        *("train.crop_px=64", "train.width=16", "train.validations=1"),
    ]
    config = replace(parse(ExperimentConfig, compose("experiment", words)), executor=where)
    runs = train_all(config, load_material(config, ["real_1"]))
    return [hashlib.sha256((r.folder / "weights.pt").read_bytes()).hexdigest() for r in runs]


needs_yolo = pytest.mark.skipif(
    any(importlib.util.find_spec(m) is None for m in ("torch", "torchvision", "ultralytics")),
    reason="the extra yolo is not installed: pip install -c constraints.txt -e '.[yolo]'",
)


@pytest.fixture
def photographs(tmp_path):
    write_real(tmp_path / "real")
    return tmp_path


@pytest.mark.skipif(
    bool(why_not()) or importlib.util.find_spec("submitit") is None,
    reason=why_not() or "extra `cluster`",
)
def test_slurm_runs_tasks_and_repeats_the_lost(environment, tmp_path):
    with slurm_cluster(tmp_path) as conf:
        os.environ.update(SLURM_CONF=str(conf), PATH=PATH)
        where = SlurmConfig(jobs=2, cpus=1, minutes=5, folder=str(tmp_path / "logs"))
        check(tmp_path, where)
        if all(importlib.util.find_spec(m) for m in ("torch", "torchvision", "ultralytics")):
            write_real(tmp_path / "real")
            assert trained(tmp_path, where) == trained(tmp_path, LocalConfig())
        left = subprocess.run(["squeue", "--noheader"], capture_output=True, text=True).stdout
        assert not left.strip()


@pytest.fixture(scope="module")
def ray_nodes_here(tmp_path_factory):
    """Folder, address and nodes of a cluster of one node, which the last of its tests kills."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("extra `cluster`")
    before = dict(os.environ)
    os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN="for-this-test-only-" * 2)
    # Ray's sockets have long names: a short folder, not pytest's.
    folder = tmp_path_factory.mktemp("t")
    with ray_cluster(folder, nodes=1, cpus=2) as (address, nodes):
        yield folder, address, nodes
    os.environ.clear()
    os.environ.update(before)


@contextmanager
def driver(function, *arguments):
    """Run in a process of its own, which Ray ends if something is wrong inside Ray."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool.submit(function, *arguments)


def use_a_cluster_again_and_again(address, rounds):
    import ray

    ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    where = RayConfig(address=address)
    return [run_tasks(operator.add, [(i, 1), (i, 2)], where) for i in range(rounds)]


def begin_and_wait(folder):
    (Path(folder) / "began").touch()
    time.sleep(600)


def wait_there(folder, address):
    import simgen.execute.ray_cluster as joined

    joined._SILENT_S = 2.0
    run_tasks(begin_and_wait, [(str(folder),)], RayConfig(address=address))


def test_ray_runs_tasks_and_repeats_the_lost(ray_nodes_here):
    folder, address, _ = ray_nodes_here
    with driver(check, folder, RayConfig(address=address)) as done:
        done.result()


@needs_yolo
def test_an_arm_trained_on_ray_has_the_weights_of_one_trained_here(ray_nodes_here, photographs):
    with driver(trained, photographs, RayConfig(address=ray_nodes_here[1])) as there:
        assert there.result() == trained(photographs, LocalConfig())


def test_results_that_have_just_come_from_ray_are_not_cancelled(ray_nodes_here):
    # Ray ends a driver that does, now and then: one that did came to round 40.
    with driver(use_a_cluster_again_and_again, ray_nodes_here[1], 100) as results:
        assert results.result() == [[i + 1, i + 2] for i in range(100)]


def test_a_ray_cluster_that_is_gone_is_one_message(ray_nodes_here):
    folder, address, (node,) = ray_nodes_here
    with driver(wait_there, folder, address) as lost:
        deadline = time.monotonic() + 60
        while not (folder / "began").exists():
            assert time.monotonic() < deadline and not lost.done()
            time.sleep(0.05)
        node.signal(signal.SIGKILL)
        with pytest.raises(RenderError, match="Ray cluster at .* is gone.*run the same command"):
            lost.result()


def test_a_lost_process_here_says_what_to_do(tmp_path):
    with pytest.raises(RenderError, match=r"workers: a worker process died.*lower workers"):
        run_tasks(lost_once, [(str(tmp_path), 1)], LocalConfig())
    assert run_tasks(lost_once, [(str(tmp_path), 1)], LocalConfig()) == [10]


def test_a_killed_driver_leaves_no_task_running(tmp_path):
    context = multiprocessing.get_context("spawn")
    tasks = [(str(tmp_path), n) for n in range(2)]
    driver = context.Process(
        target=run_tasks, args=(stay, tasks, LocalConfig()), kwargs={"workers": 2}
    )
    driver.start()
    began = [tmp_path / f"began{n}" for n in range(2)]
    wait_until(lambda: all(f.exists() and f.read_text() for f in began), 60)
    driver.kill()
    driver.join()
    workers = [int(f.read_text()) for f in began]
    wait_until(lambda: not any(running(pid) for pid in workers), 20)


def test_without_tasks_nothing_is_started():
    assert run_tasks(lost_once, [], SlurmConfig()) == []
