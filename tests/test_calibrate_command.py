"""`python -m simgen calibrate` from end to end, on made-up photographs."""

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from real_fakes import edit, write_real

from simgen.cli.main import main
from simgen.config import compose

SCENE = """
from dataclasses import dataclass, field
from simgen.config import bounded
from simgen.sampling import Constant, Distribution

@dataclass(frozen=True, kw_only=True)
class Ranges:
    size_mm: Distribution = bounded(Constant(1.0), above=0)

def categories(ranges):
    return (("disc", "part"), ("plate", "part"), ("scratch", "defect"), ("pit", "defect"))

def sample_objects(streams, ranges): ...
def sample_frame(streams, ranges, image, objects): ...
"""


@pytest.fixture
def place(tmp_path: Path, flat_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with photographs, a scene of the user's own and a rendered dataset of it."""
    (tmp_path / "scenes").mkdir()
    (tmp_path / "scenes/flat.py").write_text(SCENE)
    (tmp_path / "my/scene").mkdir(parents=True)
    (tmp_path / "my/scene/flat.yaml").write_text(
        "# @package _global_\nimage: {width: 64, height: 48}\nscene: {name: flat, size_mm: 1.0}\n"
    )
    shutil.copytree(flat_dataset, tmp_path / "flat")
    write_real(tmp_path / "real")
    monkeypatch.chdir(tmp_path)
    return tmp_path


ARGUMENTS = [
    "calibrate", "+scene=flat", "--config-dir", "my", "real.root=real", "real.set=tiles",
    "real.exclude=[vague]", "categories={dot: pit, bar: scratch}", "simulated=flat", "out=out",
]  # fmt: skip


def said(capsys) -> str:
    captured = capsys.readouterr()
    assert captured.err.count("error: ") == 1
    return captured.err.splitlines()[-1]


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.addresses: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [v for k, v in attrs if k in ("src", "href") and v]


def test_it_writes_page_figures_and_ranges(place, capsys):
    assert main(ARGUMENTS) == 0
    out = capsys.readouterr().out
    assert "brightness" in out and "of 6 targeted quantities" in out
    record = json.loads((place / "out/calibrate.json").read_text())
    rows = {(r["quantity"], r["population"]): r for r in record["rows"]}
    assert record["real"]["images"] == 24 and record["simulated"]["images"] == 7
    assert record["real"]["parts_by_kind"] == {"pit": 4, "scratch": 4}
    assert 0 < rows["brightness", "all"]["ks"] <= 1
    assert rows["box_width_px", "pit"]["real"]["p50"] == 16
    assert [e["value"] for e in record["by"]["exposure"]] == [1, 2]
    page = _Page()
    page.feed((place / "out/calibrate.html").read_text())
    assert page.addresses == [] and "script" not in page.tags and page.tags.count("svg") > 30
    # The photographs are larger than the simulated images.
    plain = compose("render", ["+scene=calibrated"], place / "out")
    assert (plain["image"]["width"], plain["image"]["height"]) == (112, 96)
    text = (place / "out/scene/calibrated.yaml").read_text()
    assert "24 photographs, 112 to 112 px" in text and "before: 64" in text


def test_names_of_the_users_are_escaped_on_the_page(place):
    shutil.move(place / "real/tiles", place / "real/<b>t&s")
    assert main([*ARGUMENTS[:5], 'real.set="<b>t&s"', *ARGUMENTS[6:]]) == 0
    page = (place / "out/calibrate.html").read_text()
    assert "<b>t&s" not in page and "&lt;b&gt;t&amp;s" in page


@pytest.mark.parametrize("split", ["holdout", "val"])
def test_only_train_may_be_calibrated_to(place, split, capsys):
    assert main([*ARGUMENTS, f"split={split}"]) == 2
    assert f"split: '{split}'; only train photographs may be calibrated to" in said(capsys)
    assert not (place / "out").exists()


def test_a_holdout_behind_the_name_of_train_is_refused(place, capsys):
    shutil.copy(place / "real/tiles/holdout.json", place / "real/tiles/train.json")
    assert main(ARGUMENTS) == 2
    assert "is in train and holdout; keep it in one" in said(capsys)


def test_a_corrupt_photograph_is_named(place, capsys):
    file = place / "real/tiles/images/train_3.png"
    file.write_bytes(file.read_bytes()[:60])
    assert main(ARGUMENTS) == 2
    assert "train_3.png: image cannot be decoded" in said(capsys)


WRONG = [
    ("real.root=/nope", "real.root: /nope/tiles does not exist"),
    ("categories={dott: pit}", "categories.dott: real/tiles/train.json has no such category; did"),
    ("real.exclude=[vage]", "real.exclude: real/tiles/train.json has no category 'vage'; did you"),
    ("simulated=nowhere", "simulated: nowhere/coco.json does not exist"),
    ("simulatd=x", "simulatd: unknown key; did you mean 'simulated'?"),
]


@pytest.mark.parametrize(("argument", "message"), WRONG, ids=[a for a, _ in WRONG])
def test_a_mistake_is_one_line_with_the_remedy(place, argument, message, capsys):
    key = argument.partition("=")[0]
    rest = [a for a in ARGUMENTS if a.partition("=")[0] != key]
    assert main([*rest, argument]) == 2
    assert message in said(capsys)


def test_another_scenes_dataset_is_refused(place, capsys):
    config = place / "flat/config.yaml"
    config.write_text(config.read_text().replace("name: flat", "name: other", 1))
    assert main(ARGUMENTS) == 2
    assert "simulated: flat shows scene other, not flat" in said(capsys)


def test_the_next_round_starts_from_the_ranges_of_the_last(place):
    """What was written can be calibrated again, also in the same folder."""
    assert main(ARGUMENTS) == 0
    again = [a.replace("+scene=flat", "+scene=calibrated") for a in ARGUMENTS]
    again[again.index("my")] = "out"
    assert main(again) == 0
    assert compose("render", ["+scene=calibrated"], place / "out")["scene"]["name"] == "flat"


def test_a_dataset_of_other_ranges_is_said_to_be_one(place, capsys):
    assert main([*ARGUMENTS, "scene.size_mm=2.0"]) == 0
    said = capsys.readouterr().out
    assert "note: flat was rendered with other ranges" in said and "scene.size_mm" in said


def test_kinds_without_a_counterpart_are_named(place, capsys):
    rest = [a for a in ARGUMENTS if not a.startswith("categories")]
    assert main([*rest, "categories={dot: pit}"]) == 0
    out = capsys.readouterr().out
    assert "Only on photographs, and left out: bar; name what they are" in out
    assert "Only on simulated images, and left out: scratch" in out


def test_a_set_without_attributes_has_no_table_by_exposure(place):
    for split in ("train", "val", "holdout"):
        edit(
            place / f"real/tiles/{split}.json",
            lambda data: [image.pop("attributes") for image in data["images"]],
        )
    assert main(ARGUMENTS) == 0
    assert json.loads((place / "out/calibrate.json").read_text())["by"] == {}
