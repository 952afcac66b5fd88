"""`preview compare=REAL_COCO`: photographs and simulated images side by side."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from real_fakes import write_real, write_rendered

from simgen.calibrate.pairs import pairs_sheet, read_photographs
from simgen.cli.main import main
from simgen.errors import ConfigError, DatasetError
from simgen.train.rendered import RenderedConfig, load_rendered


@pytest.fixture
def real(tmp_path):
    return write_real(tmp_path / "real") / "tiles"


@pytest.fixture
def simulated(tmp_path):
    folder = write_rendered(tmp_path / "rendered")
    return load_rendered("simulated", RenderedConfig(path=str(folder)))


def crops(sheet):
    """Widths and heights of the framed pictures below the head of the sheet's first block."""
    row = (sheet[200] != (24, 26, 30)).any(axis=1)
    starts = np.nonzero(np.diff(row.astype(int)) == 1)[0]
    stops = np.nonzero(np.diff(row.astype(int)) == -1)[0]
    return [(int(a) + 1, int(b - a)) for a, b in zip(starts, stops, strict=True)]


def test_crops_of_both_sides_stand_side_by_side_at_one_size(real, simulated):
    photographs = read_photographs(real / "train.json", {}, ("vague",))
    sheet = pairs_sheet(photographs, simulated, title="x", crop_px=48, each=2)
    found = crops(sheet)
    # Two bars of each side; 48 native pixels are shown eightfold.
    assert [width for _, width in found] == [384] * 4
    red = (np.abs(sheet[: 54 + 430].astype(int) - (255, 92, 92)).sum(axis=2) < 60).any(axis=0)
    for start, width in found:
        assert red[start : start + width].any()


def test_no_part_is_shown_twice_for_a_kind(real, simulated):
    photographs = read_photographs(real / "train.json", {}, ("vague",))
    sheet = pairs_sheet(photographs, simulated, title="x", crop_px=96, each=40)
    # Four parts with a bar, three crops a row on each side: two rows, not one crop more.
    assert len(crops(sheet)) == 3 + 3


def test_photographs_keep_their_names_for_the_scenes(real, simulated):
    photographs = read_photographs(real / "train.json", {"dot": "pit"}, ("vague",))
    assert photographs.kinds == ("bar", "pit")


def test_images_beside_the_file_are_found_too(real):
    for file in (real / "images").iterdir():
        shutil.move(file, real / file.name)
    assert len(read_photographs(real / "train.json", {}).images) > 20


@pytest.mark.parametrize("name", ["holdout.json", "Holdout.json", "mine.json"])
def test_the_holdout_is_refused_under_any_name(real, name):
    if name != "holdout.json":
        shutil.copy(real / "holdout.json", real / name)
    with pytest.raises(ConfigError, match="for evaluation only; use train.json"):
        read_photographs(real / name, {})


def test_a_link_to_the_holdout_is_refused(real, tmp_path):
    link = tmp_path / "photographs.json"
    link.symlink_to(real / "holdout.json")
    with pytest.raises(ConfigError, match="for evaluation only"):
        read_photographs(link, {})


def test_a_broken_photograph_is_named(real):
    (real / "images/train_1.png").write_bytes(b"none")
    with pytest.raises(DatasetError, match="train_1.png: image cannot be decoded"):
        read_photographs(real / "train.json", {})


def test_a_misspelt_category_to_leave_out_names_preview_s_own_key(real):
    with pytest.raises(ConfigError, match=r"^exclude: .* did you mean 'vague'"):
        read_photographs(real / "train.json", {}, ["vauge"])


def test_both_sheets_are_written(real, tmp_path, capsys):
    arguments = [
        "preview", "+scene=magnetic_tile", f"compare={real / 'train.json'}", "exclude=[vague]",
        "categories={dot: blowhole, bar: crack}", "frames=1", "workers=1", "scene.mark_count=0",
        "renderer.allow_software=true", "renderer.supersample=1", f"out={tmp_path / 'out'}",
    ]  # fmt: skip
    assert main(arguments) == 0
    files = capsys.readouterr().out.splitlines()
    assert [f.rpartition("/")[2] for f in files] == ["contact_sheet.png", "compare.png"]
    for file in files:
        with Image.open(file) as sheet:
            assert min(sheet.size) > 300


def test_a_sweep_shows_no_photographs(real, capsys):
    compare = f"compare={real / 'train.json'}"
    assert main(["preview", "+scene=magnetic_tile", compare, "sweep=scene.sensor.level"]) == 2
    assert "leave out compare or sweep" in capsys.readouterr().err


def test_a_coco_file_without_parts_can_be_compared(real):
    data = json.loads((real / "train.json").read_text())
    for image in data["images"]:
        del image["part"]
    (real / "train.json").write_text(json.dumps(data))
    assert len({i.part for i in read_photographs(real / "train.json", {}).images}) > 20
