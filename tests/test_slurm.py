"""The Slurm executor on Debian's own slurmctld and slurmd."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import stand_in
from slurm_cluster import PATH, slurm_cluster, why_not

from simgen.errors import ConfigError, RenderError
from simgen.execute.render import render_dataset

TESTS = Path(__file__).parent

needs_slurm = pytest.mark.skipif(
    bool(why_not()) or importlib.util.find_spec("submitit") is None,
    reason=why_not() or "extra `cluster`",
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slurm")
    before = dict(os.environ)
    with slurm_cluster(folder) as conf:
        os.environ.update(SLURM_CONF=str(conf), PATH=PATH, PYTHONPATH=f"{TESTS.parent}:{TESTS}")
        yield folder
        os.environ.clear()
        os.environ.update(before)


def render(out, folder=None, **keys):
    where = {"name": "slurm", "jobs": 2, "cpus": 1, "minutes": 5, "folder": str(folder)}
    keys = {"executor": where, **keys} if folder else keys
    config = stand_in.config(out, **keys)
    return render_dataset(config, stand_in.CATEGORIES, renderer="stand_in:StandIn")


def by_frame(out):
    coco = json.loads((out / "coco.json").read_text())
    images = {i["frame"]: (out / i["file_name"]).read_bytes() for i in coco["images"]}
    return images, coco["annotations"]


@needs_slurm
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_jobs_render_their_shares_and_what_a_killed_one_left_is_rendered_again(cluster, tmp_path):
    out = tmp_path / "d"
    killed = []

    def strike():
        # As when a node is lost or a time limit strikes: without a word.
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not killed:
            for folder in Path("/proc").glob("[0-9]*"):
                try:
                    line = (folder / "cmdline").read_bytes()
                    parent = (folder / "environ").read_bytes()
                except OSError:
                    continue
                mine = b"submitit.core._submit" in line and b"srun" not in line
                if mine and b"SLURM_ARRAY_TASK_ID=1\0" in parent and list(out.glob("shards/0*")):
                    os.kill(int(folder.name), signal.SIGKILL)
                    killed.append(folder.name)
                    break
            time.sleep(0.05)

    striking = threading.Thread(target=strike, daemon=True)
    striking.start()
    rendered = render(out, tmp_path / "logs", frames=16, shard_size=1, scene={"slow": 0.5})
    striking.join()
    assert killed and rendered.new_frames == 16
    submissions = {p.name.partition("_")[0] for p in (tmp_path / "logs").glob("*_0_log.out")}
    assert len(submissions) == 2
    render(tmp_path / "local", frames=16, shard_size=1, scene={"slow": 0.001})
    assert by_frame(out) == by_frame(tmp_path / "local")
    assert not list(out.glob("shards/.*"))


@needs_slurm
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_workers_own_error_reaches_the_driver_as_it_was(cluster, tmp_path):
    with pytest.raises(RenderError, match=r"scene.fail: cannot be drawn; .* \(in frame 3\)"):
        render(tmp_path / "d", tmp_path / "logs", scene={"fail": 3})


@pytest.mark.skipif(importlib.util.find_spec("submitit") is None, reason="extra `cluster`")
def test_without_slurm_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    with pytest.raises(ConfigError, match="no sbatch here; run on a Slurm login node"):
        render(tmp_path / "d", tmp_path / "logs")


@needs_slurm
def test_the_example_batch_file_renders_and_finishes_a_dataset(cluster, tmp_path):
    script = (TESTS.parent / "scripts/render_array.sbatch").read_text()
    # What its comments ask to edit, for a cluster of four cores.
    for line, here in (
        ("--array=0-15", "--array=0-1"),
        ("--cpus-per-task=8", "--cpus-per-task=1"),
        ("#SBATCH --mem-per-cpu=2G", ""),
    ):
        assert line in script
        script = script.replace(line, here)
    (tmp_path / "render_array.sbatch").write_text(script)
    words = ["+scene=magnetic_tile", "image.width=64", "image.height=64", "frames=2"]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{PATH}"}
    run = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True}
    started = subprocess.run(
        ["bash", "render_array.sbatch", *words, "shard_size=1", "out=d"], **run
    )
    assert "Submitted batch job" in started.stdout, started.stderr
    deadline = time.monotonic() + 120
    while subprocess.run(["squeue", "--noheader"], **run).stdout.strip():
        assert time.monotonic() < deadline
        time.sleep(0.3)
    logs = [path.read_text() for path in sorted(tmp_path.glob("simgen-*.log"))]
    assert len(logs) == 3 and "2 frames, 0 new" in logs[2], logs
    assert len(json.loads((tmp_path / "d/coco.json").read_text())["images"]) == 2
