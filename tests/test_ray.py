"""The Ray executor on a cluster of three nodes, of which one is killed and one frozen."""

import importlib.util
import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest
import stand_in
from ray_nodes import ray_cluster

from simgen.errors import RenderError
from simgen.execute.on_ray import room
from simgen.execute.render import render_dataset

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="extra `cluster`"),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Address and nodes of a cluster that this process has joined."""
    before = dict(os.environ)
    os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN="for-this-test-only-" * 2)
    import ray

    # Ray's sockets have long names: a short folder, not pytest's.
    folder = tmp_path_factory.mktemp("r")
    with ray_cluster(folder, nodes=3, cpus=2, gpus=1) as (address, nodes):
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        wait_for(lambda: sum(node["Alive"] for node in ray.nodes()) == 3)
        yield address, nodes
        ray.shutdown()
    os.environ.clear()
    os.environ.update(before)


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def render(out, address=None, renderer="stand_in:StandIn", task=None, **keys):
    where = {"name": "ray", "address": address, "deadline_s": 4, **(task or {})}
    config = stand_in.config(out, **({"executor": where} if address else {}), **keys)
    return render_dataset(config, stand_in.CATEGORIES, renderer=renderer)


def by_frame(out):
    coco = json.loads((out / "coco.json").read_text())
    frames = [i["frame"] for i in coco["images"]]
    images = {i["frame"]: (out / i["file_name"]).read_bytes() for i in coco["images"]}
    return frames, images, coco["annotations"]


def state(pid):
    """A process's state as in ps: T if it is stopped, empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""


def written(out):
    return {str(p): p.stat().st_mtime_ns for p in out.rglob("*")}


def test_images_and_labels_are_those_of_a_local_render_for_any_shard_size(cluster, tmp_path):
    address, _ = cluster
    render(tmp_path / "local", frames=12)
    render(tmp_path / "ray", address, frames=12, shard_size=5)
    assert by_frame(tmp_path / "ray") == by_frame(tmp_path / "local")


def test_workers_share_a_gpu_and_are_told_which(cluster, tmp_path):
    task = {"gpus": 0.5, "cpus": 0.25}
    address, nodes = cluster
    rendered = render(
        tmp_path / "d", address, "odd_renderers:NamesItsGpu", task,
        frames=16, shard_size=1, scene={"slow": 0.2},
    )  # fmt: skip
    told = [made["renderer"] for made in rendered.manifest["made_with"]]
    assert {one["gpu"] for one in told} == {"0"}
    # Two to a GPU, though there is room for eight on each node's cores.
    pids = {one["pid"] for one in told}
    assert max(len(pids & set(node.workers())) for node in nodes) == 2


def test_a_worker_that_no_node_has_room_for_is_one_message(cluster, tmp_path):
    message = "no node of the Ray cluster has 1 CPUs and 2 GPUs for a worker; lower them"
    with pytest.raises(RenderError, match=message):
        render(tmp_path / "d", cluster[0], task={"gpus": 2, "deadline_s": 1})


@pytest.mark.parametrize(
    ("nodes", "cpus", "gpus", "expected"),
    [
        ([{"CPU": 4.0}, {"CPU": 2.0}], 1, 0, 6),
        ([{"CPU": 4.0, "GPU": 1.0}, {"CPU": 64.0}], 1, 0.25, 4),
        ([{"CPU": 1.0, "GPU": 1.0}], 0.3, 1 / 3, 3),
        ([{"CPU": 3.0}, {"CPU": 3.0}], 4, 0, 0),
        ([], 1, 0, 0),
    ],
)
def test_a_task_needs_one_node_that_has_room_for_it(nodes, cpus, gpus, expected):
    assert room(nodes, cpus=cpus, gpus=gpus) == expected


def test_a_workers_own_error_reaches_the_driver_as_it_was(cluster, tmp_path):
    with pytest.raises(RenderError, match="^scene.fail: cannot be drawn; choose another"):
        render(tmp_path / "d", cluster[0], scene={"fail": 3})


def test_a_node_killed_and_a_node_frozen_lose_and_double_nothing(cluster, tmp_path):
    address, (_, killed, frozen) = cluster
    out = tmp_path / "d"

    def committed():
        return [p for p in out.glob("shards/*") if p.name.isdigit()]

    def busy(node):
        return [p for p in node.workers() if list(out.glob(f"shards/.attempt-*_{p}-*"))]

    zombies, struck = [], tmp_path / "struck"

    def strike():
        # All nodes come to frames that wait for this to be over.
        try:
            wait_for(lambda: len(committed()) >= 5 and busy(killed))
            killed.signal(signal.SIGKILL)
            wait_for(lambda: len(committed()) >= 8 and busy(frozen))
            frozen.signal(signal.SIGSTOP)
            zombies.extend(busy(frozen))
        finally:
            struck.touch()

    striking = threading.Thread(target=strike)
    striking.start()
    try:
        rendered = render(
            out, address, "odd_renderers:WaitsHalfWay",
            frames=40, shard_size=1, scene={"slow": 0.2, "until": str(struck)},
        )  # fmt: skip
        striking.join()
        assert rendered.new_frames == 40
        before = written(out)
        assert zombies and all(state(pid) == "T" for pid in zombies)
    finally:
        frozen.signal(signal.SIGCONT)
    # Thawed, they go on with their shards, which another node has committed.
    wait_for(lambda: not any(state(pid) == "T" for pid in zombies))
    time.sleep(2)
    assert written(out) == before
    assert sorted(p.name for p in out.glob("shards/*")) == [f"{i:05d}" for i in range(40)]
    render(tmp_path / "whole", frames=40, shard_size=1, scene={"slow": 0.001})
    assert by_frame(out) == by_frame(tmp_path / "whole")
    assert by_frame(out)[0] == list(range(40))
