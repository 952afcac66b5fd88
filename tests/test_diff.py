"""What changed from one dataset to another, and by how much."""

import json
import shutil
from array import array
from collections import Counter

import numpy as np
import pytest
import resealed
import stand_in
from hypothesis import given
from hypothesis import strategies as st

from simgen.cli.main import main
from simgen.dataset.compare import cliffs_delta, compare_datasets, shifts
from simgen.dataset.page import write_page
from simgen.dataset.shards import read_shards
from simgen.dataset.statistics import Distributions, distributions
from simgen.execute.render import render_dataset

SAMPLES = st.lists(st.integers(-5, 5), min_size=1, max_size=30)


@given(first=SAMPLES, second=SAMPLES)
def test_cliffs_delta_counts_pairs(first, second):
    a, b = np.array(first, float), np.array(second, float)
    pairs = np.sign(b[None, :] - a[:, None])
    assert cliffs_delta(a, b) == pytest.approx(pairs.mean())


def numbers(**values):
    return Distributions(numbers={k: array("d", v) for k, v in values.items()}, choices={})


def test_shifts_are_ordered_and_corrected_for_how_many_were_looked_at():
    rng = np.random.default_rng(0)
    same = {f"same {k}": rng.normal(size=150) for k in range(60)}
    first = numbers(**same, grown=rng.normal(size=150), wider=rng.normal(size=150))
    second = numbers(
        **{k: rng.normal(size=150) for k in same},
        grown=rng.normal(size=150) + 2,
        wider=3 * rng.normal(size=150),
    )
    found = shifts(first, second)
    assert [s.name for s in found if s.certain] == ["grown", "wider"]
    grown, wider = found[:2]
    assert grown.size == "large" and grown.effect > 0.8 and grown.n == (150, 150)
    # As large as often as not, and yet another distribution.
    assert wider.size == "negligible" and wider.distance > 0.2


def test_choices_shift_by_their_total_variation():
    first = Distributions(choices={"finish": Counter(cast=90, turned=10)}, numbers={})
    second = Distributions(choices={"finish": Counter(cast=30, painted=70)}, numbers={})
    (shift,) = shifts(first, second)
    assert (shift.effect, shift.certain, shift.middle) == (0.7, True, ("cast", "painted"))


def test_a_dataset_does_not_differ_from_itself(flat_dataset, tmp_path, capsys):
    assert main(["diff", str(flat_dataset), str(flat_dataset), f"out={tmp_path}"]) == 0
    said = capsys.readouterr().out
    assert said.count("the same") == 4
    assert "shifts: 0 of " in said


def test_keys_versions_assets_and_categories_that_differ_are_named(flat_dataset, tmp_path, capsys):
    copy = shutil.copytree(flat_dataset, tmp_path / "copy")
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["config"]["image"]["width"] = 640
    manifest["made_with"][0]["versions"]["numpy"] = "1.26.0"
    manifest["assets"] = [{"path": "logo.png", "spdx": "CC0-1.0", "sha256": "0" * 64}]
    manifest["categories"][0]["name"] = "<b>disc</b>"
    (copy / "manifest.json").write_text(json.dumps(manifest))
    assert main(["diff", str(flat_dataset), str(copy), f"out={tmp_path / 'page'}"]) == 0
    said = capsys.readouterr().out
    assert "  image.width: 64 -> 640\n" in said
    assert f"  versions.numpy: {np.__version__} -> 1.26.0\n" in said
    assert "  logo.png: (not set) -> 000000000000, CC0-1.0\n" in said
    assert "  <b>disc</b>: (not set) -> 1, part\n" in said
    page = (tmp_path / "page/diff.html").read_text()
    assert "&lt;b&gt;disc&lt;/b&gt;" in page and "<b>disc</b>" not in page
    record = json.loads((tmp_path / "page/diff.json").read_text())
    assert {"key": "image.width", "before": "64", "after": "640"} in record["config"]


def test_a_shift_of_the_labels_is_found_with_its_effect(flat_dataset, tmp_path):
    copy = shutil.copytree(flat_dataset, tmp_path / "copy")
    for path in copy.glob("shards/*/annotations.jsonl"):
        records = resealed.lines(path)
        for record in records:
            record["visibility"] /= 2
        resealed.write_lines(path, records)
    found = {s.name: s for s in compare_datasets(flat_dataset, copy).shifts}
    for name in ("label disc visibility", "label plate visibility"):
        if name in found:
            assert found[name].effect == -1 and found[name].distance == 1
    assert any(name in found for name in ("label disc visibility", "label plate visibility"))


def test_frames_of_one_scene_count_once(tmp_path):
    config = stand_in.config(tmp_path / "d", frames=6, shard_size=6, exposures_per_view=3)
    render_dataset(config, stand_in.CATEGORIES, renderer="stand_in:StandIn")
    path = tmp_path / "d/shards/00000/frames.jsonl"
    records = resealed.lines(path)
    for record in records:
        record["spec"]["sensor"]["gamma"] = 1.8 + record["scene"]
    resealed.write_lines(path, records)
    values = distributions(read_shards(tmp_path / "d"), {1: "disc"})
    assert list(values.numbers["sensor gamma"]) == [1.8, 2.8]
    # The stand-in draws another intensity for every frame.
    assert len(values.numbers["environment intensity"]) == 6


@pytest.mark.parametrize("words", [["A"], ["A", "B", "C"], []])
def test_diff_takes_two_datasets(words, capsys):
    assert main(["diff", *words]) == 2
    assert "expected two datasets" in capsys.readouterr().err


def test_a_page_holds_no_name_as_it_is(tmp_path):
    hostile = "<script>alert(1)</script>\"'&"
    record = {
        "name": hostile, "scene": hostile, "seed": 0, "config_sha256": hostile, "images": 1,
        "clean_images": 0, "faults": {hostile: [hostile]}, "fault_counts": {hostile: 1},
        "audited": [], "not_audited": [hostile],
        "categories": {hostile: {"supercategory": hostile, "instances": 0}},
        "distributions": {
            "frames": 1, "frames_in_all": 1, "choices": {hostile: {hostile: 1}},
            "positions": {hostile: [[1]]}, "numbers": {},
        },
    }  # fmt: skip
    shown = {"name": hostile, "heights": [1.0], "low": 0, "high": 1, "n": 1, "median": 0.5}
    page, data = write_page(
        tmp_path, "check", record, groups={hostile: [shown]}, constants={hostile: 1.0}
    )
    assert "<script" not in page.read_text()
    assert page.read_text().count("&lt;script&gt;") >= 12
    assert json.loads(data.read_text())["name"] == hostile
