import dataclasses
import json
import math
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from pathlib import Path

import pytest
import stand_in
from omegaconf import OmegaConf

from simgen.config import to_plain
from simgen.config.executor import LocalConfig
from simgen.dataset import ShardRange, plan_shards, prepare_dataset
from simgen.dataset.files import owner
from simgen.errors import ConfigError, DatasetError, RenderError
from simgen.execute.driver import FrameCount, MachineLost, WorkerLost, run_shards
from simgen.execute.local import LocalExecutor, usable_cores
from simgen.execute.render import render_dataset
from simgen.execute.worker import Job, Worker

TESTS = Path(__file__).parent
DRIVER = """
import sys
from pathlib import Path
import stand_in
from simgen.execute.render import render_dataset
if __name__ == "__main__":
    config = stand_in.config(Path(sys.argv[1]), frames=6, workers=2, scene={"slow": 0.4})
    render_dataset(config, stand_in.CATEGORIES, renderer="stand_in:StandIn")
"""


def render(config, renderer="stand_in:StandIn"):
    return render_dataset(config, stand_in.CATEGORIES, renderer=renderer)


def files(out):
    """Bytes of all that must not depend on how a dataset was made."""
    kept = [p for p in out.rglob("*") if p.is_file() and p.name not in ("config.yaml", "card.md")]
    return {str(p.relative_to(out)): p.read_bytes() for p in kept if p != out / "manifest.json"}


def by_frame(out):
    """Images and annotations of every frame, whatever its shard."""
    coco = json.loads((out / "coco.json").read_text())
    images = {i["frame"]: (out / i["file_name"]).read_bytes() for i in coco["images"]}
    return images, coco["annotations"]


def test_two_workers_write_the_same_bytes_as_one(tmp_path):
    one = stand_in.config(tmp_path / "one", workers=1)
    two = stand_in.config(tmp_path / "two", workers=2)
    assert render(one).new_frames == render(two).new_frames == 6
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_images_and_labels_depend_neither_on_workers_nor_on_shards(tmp_path):
    render(stand_in.config(tmp_path / "a", frames=6, workers=1, shard_size=6))
    # Recycled after every shard, as after many.
    often = {"name": "local", "recycle_shards": 1}
    render(stand_in.config(tmp_path / "b", frames=6, workers=4, shard_size=1, executor=often))
    render(stand_in.config(tmp_path / "c", frames=6, workers=2, shard_size=4))
    assert by_frame(tmp_path / "a") == by_frame(tmp_path / "b") == by_frame(tmp_path / "c")


def test_a_process_is_replaced_after_so_many_shards(tmp_path):
    plain = to_plain(stand_in.config(tmp_path / "d", frames=5, shard_size=1))
    job = Job(config=plain, categories=stand_in.CATEGORIES, renderer="stand_in:StandIn")
    prepare_dataset(stand_in.config(tmp_path / "d", frames=5, shard_size=1), stand_in.CATEGORIES)
    executor = LocalExecutor(job, workers=1, recycle_shards=2)
    seen = []
    try:
        for shard in plan_shards([], frames=5, shard_size=1):
            run_shards(executor, [shard])
            seen += [p.name.split()[-1] for p in multiprocessing.active_children()]
    finally:
        executor.close()
    # After the second and the fourth shard there is none until the next one comes.
    assert len(seen) == 3 and len(set(seen)) == 3
    assert multiprocessing.active_children() == []


def test_ranks_share_a_dataset_and_a_last_run_finishes_it(tmp_path):
    out = tmp_path / "d"
    for rank in (1, 0):
        share = {"name": "local", "rank": rank, "world": 2}
        rendered = render(stand_in.config(out, executor=share))
        assert rendered.manifest is None and not (out / "coco.json").exists()
    assert sorted(p.name for p in (out / "shards").iterdir()) == ["00000", "00001", "00002"]
    assert render(stand_in.config(out)).new_frames == 0
    render(stand_in.config(tmp_path / "whole"))
    assert files(out) == files(tmp_path / "whole")


def test_a_rank_that_the_world_has_no_place_for_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="executor: rank 2 is too large; world 2"):
        stand_in.config(tmp_path / "d", executor={"name": "local", "rank": 2, "world": 2})


def test_a_key_of_another_executor_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="executor.gpus: unknown key; valid here: .*rank"):
        stand_in.config(tmp_path / "d", executor={"name": "local", "gpus": 1})
    with pytest.raises(ConfigError, match="executor.name: 'rai' is not allowed; .*'ray'"):
        stand_in.config(tmp_path / "d", executor={"name": "rai"})


def test_the_executor_of_a_dataset_of_the_first_version_is_understood(tmp_path):
    assert stand_in.config(tmp_path, executor="local").executor == LocalConfig()


def test_a_worker_whose_dataset_was_cut_anew_commits_nothing(tmp_path):
    # What a frozen worker finds when it wakes up after its driver was given up.
    config = stand_in.config(tmp_path / "d")
    prepare_dataset(config, stand_in.CATEGORIES)
    job = Job(config=to_plain(config), categories=stand_in.CATEGORIES, renderer="stand_in:StandIn")
    worker = Worker(job)
    prepare_dataset(dataclasses.replace(config, shard_size=3), stand_in.CATEGORIES)
    with pytest.raises(DatasetError, match="with shard_size=3 instead of 2, has taken over"):
        worker.render(ShardRange(number=1, first=2, stop=4), lambda: None)
    assert list((tmp_path / "d/shards").iterdir()) == []


def test_a_worker_that_does_not_see_the_dataset_says_so(tmp_path):
    job = Job(
        config=to_plain(stand_in.config(tmp_path / "elsewhere")),
        categories=stand_in.CATEGORIES,
        renderer="stand_in:StandIn",
    )
    with pytest.raises(DatasetError, match="cannot be seen from .*; choose a folder that all"):
        Worker(job)


class Flaky:
    """Runs shards in threads; what happens to the first attempts is scripted."""

    def __init__(self, *script, deadline_s=math.inf):
        self.deadline_s, self.done = deadline_s, FrameCount()
        self.script, self.asked = list(script), []

    def slots(self):
        return 2

    def submit(self, shard, *, again):
        self.asked.append((shard.number, again))
        future = Future()
        action = self.script.pop(0) if self.script else "done"
        if action == "lost":
            future.set_exception(WorkerLost())
        elif action == "machine lost":
            future.set_exception(MachineLost())
        elif action == "done":
            self.done.add(len(shard))
            future.set_result(True)
        return future

    def close(self):
        pass


def test_an_overdue_shard_is_handed_out_again_and_nobody_waits_for_the_first_attempt():
    executor = Flaky("done", "stuck", "done", "stuck", deadline_s=0.5)
    frames = []
    run_shards(executor, plan_shards([], frames=8, shard_size=2), on_frames=frames.append)
    assert sorted(executor.asked) == [
        (0, False),
        (1, False),
        (1, True),
        (2, False),
        (3, False),
        (3, True),
    ]
    assert sum(frames) == 8


def test_a_shard_is_given_up_when_its_workers_die_three_times():
    executor = Flaky("lost", "lost", "lost")
    with pytest.raises(RenderError, match="died 3 times over frames 0 to 3"):
        run_shards(executor, plan_shards([], frames=4, shard_size=4))


def test_lost_machines_are_no_reason_to_give_a_shard_up():
    executor = Flaky("lost", *["machine lost"] * 9, "lost")
    run_shards(executor, plan_shards([], frames=4, shard_size=4))
    assert len(executor.asked) == 12


def test_a_shard_is_given_up_when_machine_after_machine_is_lost_over_it():
    executor = Flaky(*["machine lost"] * 20)
    with pytest.raises(RenderError, match="machines were lost 20 times over frames 0 to 3"):
        run_shards(executor, plan_shards([], frames=4, shard_size=4))


def test_a_containers_share_of_the_cores_is_what_counts(tmp_path):
    cores = usable_cores(tmp_path)
    for limit, expected in (("max 100000", cores), ("50000 100000", 1), ("9900000 100000", cores)):
        (tmp_path / "cpu.max").write_text(f"{limit}\n")
        assert usable_cores(tmp_path) == expected


def test_shards_are_planned_as_they_are_handed_out():
    executor = Flaky()
    drawn = []

    def plan():
        for shard in plan_shards([], frames=1000, shard_size=1):
            drawn.append(shard.number - len(executor.asked))
            yield shard

    run_shards(executor, plan())
    assert len(drawn) == 1000 and max(drawn) <= 4


def test_rendering_again_renders_what_is_missing_and_nothing_else(tmp_path):
    config = stand_in.config(tmp_path / "d")
    render(config)
    before = files(config_out := tmp_path / "d")
    stamps = {p: p.stat().st_mtime_ns for p in config_out.glob("shards/0000[02]/*")}
    for path in sorted((config_out / "shards/00001").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (config_out / "shards/00001").rmdir()
    assert render(config).new_frames == 2
    assert files(config_out) == before
    assert {p: p.stat().st_mtime_ns for p in stamps} == stamps
    assert render(config).new_frames == 0


def test_more_frames_keep_those_that_are_there(tmp_path):
    grown, whole = tmp_path / "grown", tmp_path / "whole"
    render(stand_in.config(grown, frames=5))
    assert render(stand_in.config(grown, frames=8, shard_size=3, workers=2)).new_frames == 3
    render(stand_in.config(whole, frames=8))
    assert by_frame(grown) == by_frame(whole)
    assert [p.name for p in sorted((grown / "shards").iterdir())] == [f"0000{i}" for i in range(4)]


def test_the_config_that_is_kept_renders_the_same_again(tmp_path, flat_dataset):
    plain = OmegaConf.to_container(OmegaConf.load(flat_dataset / "config.yaml"))
    again = stand_in.config(tmp_path / "d", **{k: v for k, v in plain.items() if k != "out"})
    render(again)
    assert files(tmp_path / "d") == files(flat_dataset)
    manifest = json.loads((flat_dataset / "manifest.json").read_text())
    assert manifest["config"] == plain == {**to_plain(again), "out": str(flat_dataset)}


def test_another_config_in_the_same_folder_is_refused_and_named(tmp_path):
    config = stand_in.config(tmp_path / "d", frames=1)
    render(config)
    before = files(tmp_path / "d")
    other = dataclasses.replace(config, seed=4, scene={"name": "flat", "count": 2})
    expected = r"scene.count: \(not set\) -> 2; seed: 0 -> 4\); choose another out"
    with pytest.raises(DatasetError, match=expected):
        render(other)
    assert files(tmp_path / "d") == before


def test_fewer_frames_than_there_are_is_refused(tmp_path):
    render(stand_in.config(tmp_path / "d", frames=2))
    with pytest.raises(ConfigError, match="frames: 1, but .* holds 2 already"):
        render(stand_in.config(tmp_path / "d", frames=1))


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(DatasetError, match="out: .* holds 'thesis.tex' and is no dataset"):
        render(stand_in.config(tmp_path))
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_render_goes_on_that_died_over_its_first_config(tmp_path):
    gone = subprocess.Popen(["true"])
    gone.wait()
    # Also what another rank sees that starts at the same time.
    (tmp_path / f".config.yaml-{owner().rpartition('_')[0]}_{gone.pid}-x1y2").touch()
    assert render(stand_in.config(tmp_path, frames=1)).new_frames == 1
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_an_out_that_cannot_be_written_is_found_before_rendering(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="out: cannot write to .*Not a directory"):
        render(stand_in.config(tmp_path / "file" / "d"))


def test_a_workers_own_error_reaches_the_driver_as_it_was(tmp_path):
    with pytest.raises(RenderError, match="scene.fail: cannot be drawn; choose another") as caught:
        render(stand_in.config(tmp_path / "d", scene={"fail": 3}))
    assert caught.value.__notes__ == ["in frame 3"]
    assert not list((tmp_path / "d/shards").glob(".attempt*"))


def test_a_bug_in_a_worker_names_its_frame(tmp_path):
    with pytest.raises(ZeroDivisionError) as caught:
        render(stand_in.config(tmp_path / "d", scene={"bug": 2}))
    assert caught.value.__notes__ == ["in frame 2"]


def test_an_error_that_only_the_worker_can_read_is_told_in_words(tmp_path):
    with pytest.raises(RuntimeError, match="^TwoArgumentError: 7 of a library") as caught:
        render(stand_in.config(tmp_path / "d", frames=1), "odd_renderers:RaisesOddly")
    assert caught.value.__notes__ == ["in frame 0"]


def test_a_worker_that_dies_is_replaced(tmp_path):
    config = stand_in.config(tmp_path / "d", scene={"die_once": str(tmp_path / "marker")})
    assert render(config).manifest["frames"] == 6
    assert not list((tmp_path / "d/shards").glob(".attempt*"))


def test_a_frame_that_kills_every_worker_is_given_up_and_named(tmp_path):
    with pytest.raises(RenderError, match="died 3 times in frame 3, out of memory"):
        render(stand_in.config(tmp_path / "d", scene={"die": 3}))


def renders(pid, out):
    return list(out.glob("shards/.attempt-*/images/*"))


def starts_workers(pid, out):
    return out.exists() and len(children_of(pid)) >= 2


def started_driver(out, moment=renders):
    environment = {**os.environ, "PYTHONPATH": f"{TESTS.parent}:{TESTS}"}
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(out)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        # A shell's background jobs ignore Ctrl-C, and hand that on to the tests they run.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    wait_for(lambda: moment(driver.pid, out))
    return driver


def children_of(pid):
    found = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            found += (thread / "children").read_text().split()
        except OSError:
            continue
    return found


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_workers_exit_when_their_driver_is_killed_and_the_rest_renders_later(tmp_path):
    out = tmp_path / "d"
    driver = started_driver(out)
    children = children_of(driver.pid)
    assert len(children) >= 2
    driver.kill()
    driver.communicate()
    wait_for(lambda: not any(is_running(pid) for pid in children), seconds=10)
    render(stand_in.config(out, scene={"slow": 0.4}, workers=2))
    render(stand_in.config(tmp_path / "whole", scene={"slow": 0.4}, workers=2))
    assert files(out) == files(tmp_path / "whole")


def test_two_drivers_in_one_folder_do_no_harm(tmp_path):
    out = tmp_path / "d"
    driver = started_driver(out)
    render(stand_in.config(out, scene={"slow": 0.4}, workers=2))
    driver.communicate(timeout=60)
    assert driver.returncode == 0
    render(stand_in.config(tmp_path / "whole", scene={"slow": 0.4}, workers=2))
    assert files(out) == files(tmp_path / "whole")


@pytest.mark.parametrize("moment", [starts_workers, renders])
def test_an_interrupt_leaves_no_half_shard_no_process_and_one_complaint(tmp_path, moment):
    driver = started_driver(tmp_path / "d", moment)
    children = children_of(driver.pid)
    # As a terminal does it: to all of them.
    os.killpg(driver.pid, signal.SIGINT)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode != 0
    assert said.count(b"KeyboardInterrupt") == 1 and b"spawn" not in said
    wait_for(lambda: not any(is_running(pid) for pid in children), seconds=10)
    assert not list((tmp_path / "d/shards").glob(".attempt*"))
    render(stand_in.config(tmp_path / "d", scene={"slow": 0.4}))
    assert len(by_frame(tmp_path / "d")[0]) == 6
