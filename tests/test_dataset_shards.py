import dataclasses
import json
import resource

import pytest
import stand_in
from hypothesis import given
from hypothesis import strategies as st

from simgen.dataset import ShardRange, plan_shards, read_shards, shard_style, write_shard
from simgen.dataset.shards import file_hashes
from simgen.errors import DatasetError

MADE_WITH = {"renderer": {"name": "stand-in"}, "versions": {}}


def write(out, shard, config=None):
    config = config or stand_in.config(out)
    (out / "shards").mkdir(parents=True, exist_ok=True)
    renderer = stand_in.StandIn(config)
    return write_shard(
        out,
        shard,
        (renderer.frame(i) for i in range(shard.first, shard.stop)),
        style=shard_style(config, stand_in.CATEGORIES),
        made_with=MADE_WITH,
    )


@st.composite
def committed_shards(draw):
    bounds = sorted(draw(st.sets(st.integers(0, 60), max_size=8)))
    pairs = list(zip(bounds, bounds[1:], strict=False))
    kept = [pair for pair in pairs if draw(st.booleans())]
    numbers = draw(st.permutations(range(len(kept) + 2)))
    return [ShardRange(number=n, first=a, stop=b) for n, (a, b) in zip(numbers, kept, strict=False)]


@given(committed=committed_shards(), more=st.integers(0, 40), size=st.integers(1, 30))
def test_a_plan_fills_every_gap_once_and_moves_nothing(committed, more, size):
    frames = max((c.stop for c in committed), default=1) + more
    planned = plan_shards(committed, frames=frames, shard_size=size)
    covered = sorted(i for s in [*committed, *planned] for i in range(s.first, s.stop))
    assert covered == list(range(frames))
    assert all(0 < len(s) <= size for s in planned)
    numbers = [s.number for s in [*committed, *planned]]
    assert len(numbers) == len(set(numbers))


def test_a_partial_last_shard_stays_and_the_next_starts_after_it():
    first = plan_shards([], frames=30, shard_size=24)
    assert [(s.name, s.first, s.stop) for s in first] == [("00000", 0, 24), ("00001", 24, 30)]
    more = plan_shards(first, frames=60, shard_size=24)
    assert [(s.name, s.first, s.stop) for s in more] == [("00002", 30, 54), ("00003", 54, 60)]


def test_the_second_attempt_at_a_shard_loses_and_leaves_nothing_behind(tmp_path):
    shard = ShardRange(number=0, first=0, stop=2)
    assert write(tmp_path, shard)
    before = (tmp_path / "shards/00000/manifest.json").read_bytes()
    other = dataclasses.replace(stand_in.config(tmp_path), seed=5)
    assert not write(tmp_path, shard, other)
    assert (tmp_path / "shards/00000/manifest.json").read_bytes() == before
    assert [p.name for p in (tmp_path / "shards").iterdir()] == ["00000"]


def test_a_failing_frame_leaves_no_shard(tmp_path):
    config = stand_in.config(tmp_path, scene={"bug": 1})
    with pytest.raises(ZeroDivisionError):
        write(tmp_path, ShardRange(number=0, first=0, stop=2), config)
    assert list((tmp_path / "shards").iterdir()) == []


def test_a_disk_that_takes_no_more_is_one_line_with_the_remedy(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        with pytest.raises(
            DatasetError, match="File too large; remedy it and run the command again"
        ):
            write(tmp_path, ShardRange(number=0, first=0, stop=2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((tmp_path / "shards").iterdir()) == []


def test_shards_that_hold_the_same_frame_are_refused(tmp_path):
    write(tmp_path, ShardRange(number=0, first=0, stop=2))
    write(tmp_path, ShardRange(number=1, first=1, stop=3))
    with pytest.raises(DatasetError, match="00001: holds frame 1, which 00000 holds too"):
        read_shards(tmp_path)


def test_a_shard_without_a_readable_manifest_is_named(tmp_path):
    write(tmp_path, ShardRange(number=0, first=0, stop=1))
    (tmp_path / "shards/00000/manifest.json").write_text("{")
    with pytest.raises(
        DatasetError,
        match="00000/manifest.json: cannot be read .* damaged shard, remove the folder",
    ):
        read_shards(tmp_path)


def test_a_shard_holds_every_frames_spec_and_the_hash_of_every_file(tmp_path):
    write(tmp_path, ShardRange(number=0, first=0, stop=2))
    (shard,) = read_shards(tmp_path)
    assert set(file_hashes(shard)) == {
        "images/00000000.png",
        "images/00000001.png",
        "frames.jsonl",
        "annotations.jsonl",
    }
    lines = (shard.folder / "frames.jsonl").read_text().splitlines()
    assert [json.loads(line)["spec"]["environment"]["intensity"] for line in lines] == [1.0, 2.0]
