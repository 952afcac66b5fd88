"""The Ray executor on a cluster of three nodes, of which one is killed and one frozen."""

import importlib.util
import json
import os
import signal
import threading
import time

import pytest
import stand_in
from ray_nodes import ray_cluster

from simgen.errors import RenderError
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
    with ray_cluster(folder, nodes=3, cpus=2) as (address, nodes):
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


def render(out, address=None, **keys):
    where = {"executor": {"name": "ray", "address": address, "deadline_s": 4}} if address else {}
    config = stand_in.config(out, **where, **keys)
    return render_dataset(config, stand_in.CATEGORIES, renderer="stand_in:StandIn")


def by_frame(out):
    coco = json.loads((out / "coco.json").read_text())
    frames = [i["frame"] for i in coco["images"]]
    images = {i["frame"]: (out / i["file_name"]).read_bytes() for i in coco["images"]}
    return frames, images, coco["annotations"]


def test_images_and_labels_are_those_of_a_local_render_for_any_shard_size(cluster, tmp_path):
    address, _ = cluster
    render(tmp_path / "local", frames=12)
    render(tmp_path / "ray", address, frames=12, shard_size=5)
    assert by_frame(tmp_path / "ray") == by_frame(tmp_path / "local")


def test_a_workers_own_error_reaches_the_driver_as_it_was(cluster, tmp_path):
    with pytest.raises(RenderError, match="^scene.fail: cannot be drawn; choose another"):
        render(tmp_path / "d", cluster[0], scene={"fail": 3})


def test_a_node_killed_and_a_node_frozen_lose_and_double_nothing(cluster, tmp_path):
    address, (_, killed, frozen) = cluster
    out = tmp_path / "d"

    def committed():
        return [p for p in out.glob("shards/*") if p.name.isdigit()]

    def busy(node):
        return any(list(out.glob(f"shards/.attempt-*_{pid}-*")) for pid in node.workers())

    def strike():
        wait_for(lambda: len(committed()) >= 5 and busy(killed))
        killed.signal(signal.SIGKILL)
        wait_for(lambda: len(committed()) >= 8 and busy(frozen))
        frozen.signal(signal.SIGSTOP)

    striking = threading.Thread(target=strike)
    striking.start()
    try:
        rendered = render(out, address, frames=40, shard_size=1, scene={"slow": 0.4})
        striking.join()
        assert rendered.new_frames == 40
        before = {p.name: p.stat().st_mtime_ns for p in out.glob("shards/*")}
    finally:
        frozen.signal(signal.SIGCONT)
    # Thawed, it goes on with its shard, which another node has committed.
    time.sleep(2)
    assert {p.name: p.stat().st_mtime_ns for p in out.glob("shards/*")} == before
    assert sorted(before) == [f"{i:05d}" for i in range(40)]
    render(tmp_path / "whole", frames=40, shard_size=1, scene={"slow": 0.001})
    assert by_frame(out) == by_frame(tmp_path / "whole")
    assert by_frame(out)[0] == list(range(40))
