"""Going on with a dataset: whose config it is, and what may differ."""

import dataclasses
import json
import shutil

import pytest
import resealed
import stand_in

from simgen.config import to_plain
from simgen.config.render import LabelConfig, OutputsConfig, parse_render
from simgen.dataset import finish_dataset, prepare_dataset
from simgen.dataset.identity import config_sha256, read_config
from simgen.errors import DatasetError


@pytest.fixture
def copy(flat_dataset, tmp_path):
    return shutil.copytree(flat_dataset, tmp_path / "copy")


def config_of(folder, **changes):
    return dataclasses.replace(read_config(folder), out=str(folder), **changes)


def test_what_differs_is_shown_by_dotted_key_old_and_new_and_the_rest_is_counted(copy):
    other = config_of(
        copy,
        seed=4,
        scene={"name": "flat", "count": 2, "part": {"size_mm": 3.5}},
        labels=LabelConfig(min_contrast=2.0, pad_px=3),
        outputs=OutputsConfig(depth=True),
    )
    shown = (
        r"labels.min_contrast: 1.0 -> 2.0; labels.pad_px: 0 -> 3; outputs.depth: False -> True;"
        r" scene.count: \(not set\) -> 2; and 2 more\); choose another out, or set these keys"
    )
    with pytest.raises(DatasetError, match=shown):
        prepare_dataset(other, stand_in.CATEGORIES)


def test_a_shard_of_another_config_is_refused_by_name(copy):
    path = copy / "shards/00001/manifest.json"
    manifest = json.loads(path.read_text())
    manifest["config_sha256"] = config_sha256(config_of(copy, seed=9))
    path.write_text(json.dumps(manifest))
    with pytest.raises(DatasetError, match="shards/00001: made with another config than config"):
        prepare_dataset(config_of(copy), stand_in.CATEGORIES)


def test_a_key_at_its_default_counts_as_absent():
    # So that a later version, which has more keys, goes on with a dataset of this one.
    plain = {"scene": {"name": "flat"}, "out": "x"}
    whole = {**plain, "labels": {"pad_px": 0}, "outputs": {"depth": False}, "seed": 0}
    assert config_sha256(parse_render(plain)) == config_sha256(parse_render(whole))
    changes = ({"seed": 1}, {"outputs": {"poses": True}}, {"scene": {"name": "f", "x": None}})
    assert len({config_sha256(parse_render({**plain, **c})) for c in ({}, *changes)}) == 4


def test_what_changes_no_picture_is_no_other_config():
    plain = to_plain(parse_render({"scene": {"name": "flat"}, "out": "x"}))
    renderer = plain["renderer"]
    trace = {**renderer, "pathtrace": {**renderer["pathtrace"], "threads": 3}}
    free = ({"workers": 5}, {"frames": 99}, {"renderer": trace})
    assert len({config_sha256(parse_render({**plain, **c})) for c in ({}, *free)}) == 1


def test_other_categories_are_refused(copy):
    with pytest.raises(DatasetError, match="made with other categories of scene flat"):
        prepare_dataset(config_of(copy), stand_in.CATEGORIES[:2])


def test_a_manifest_that_cannot_be_read_is_one_line(copy):
    (copy / "manifest.json").write_text("{")
    with pytest.raises(DatasetError, match="manifest.json: cannot be read"):
        prepare_dataset(config_of(copy), stand_in.CATEGORIES)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("frames.jsonl", lambda r: r[0].update(frame=5), "frame 5 is out of place"),
        ("frames.jsonl", lambda r: r.pop(), "frame 2 is missing"),
        ("frames.jsonl", lambda r: r[1].update(width="64"), "frame 1 has no width"),
        ("frames.jsonl", lambda r: r[1].pop("part"), "frame 1 has no part"),
        ("frames.jsonl", lambda r: r[1].update(file_name="/x.png"), "leads out of the dataset"),
        ("annotations.jsonl", lambda r: r[0].update(category_id=7), "category 7 is none of the"),
        ("annotations.jsonl", lambda r: r[0].update(area=float("nan")), "jsonl:1: not JSON"),
    ],
)
def test_a_damaged_record_stops_the_finish_and_what_was_derived_stays(copy, name, change, message):
    before = {p.name: p.read_bytes() for p in copy.iterdir() if p.is_file()}
    path = copy / "shards/00000" / name
    records = resealed.lines(path)
    change(records)
    resealed.write_lines(path, records)
    with pytest.raises(DatasetError, match=message):
        finish_dataset(config_of(copy), stand_in.CATEGORIES)
    assert {p.name: p.read_bytes() for p in copy.iterdir() if p.is_file()} == before


def test_a_number_beyond_all_floats_is_not_written_into_coco(copy):
    path = copy / "shards/00000/annotations.jsonl"
    path.write_text(path.read_text().replace('"area":', '"area":1e999,"was":', 1))
    with pytest.raises(DatasetError, match="a label holds a number without end"):
        finish_dataset(config_of(copy), stand_in.CATEGORIES)
