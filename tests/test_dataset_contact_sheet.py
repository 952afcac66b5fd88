import json

import numpy as np
import pytest
from PIL import Image

from simgen.dataset import write_contact_sheet
from simgen.dataset.contact_sheet import Label, Picture, draw_sheet
from simgen.errors import DatasetError


def picture(kind="scratch"):
    mask = np.zeros((100, 100), bool)
    mask[40:60, 40:60] = True
    label = Label(category=kind, is_part=False, mask=mask)
    return Picture(title="frame 0", image=np.full((100, 100, 3), 90, np.uint8), labels=(label,))


def test_a_sheet_is_the_same_each_time_and_shows_every_image(flat_dataset, tmp_path):
    for name in ("a.png", "b.png"):
        write_contact_sheet(flat_dataset / "coco.json", tmp_path / name, title="flat")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    sheet = np.asarray(Image.open(tmp_path / "a.png"))
    part = (sheet == 150).all(axis=2).sum()
    coco = json.loads((flat_dataset / "coco.json").read_text())
    areas = [a["area"] for a in coco["annotations"] if a["category_id"] < 3]
    enlarged = (384 // 64) ** 2
    assert 0.5 < part / (sum(areas) * enlarged) < 1


def test_outlines_surround_a_defect_and_leave_its_pixels_to_be_seen():
    with_label = draw_sheet([("", [picture()])], title="x")
    colour = np.array((255, 92, 92))
    drawn = (np.abs(with_label.astype(int) - colour).sum(axis=2) < 40).nonzero()
    assert len(drawn[0]) > 100
    # 100 px are shown at scale 3 below a head of 54 + 18 px and beside a gap of 6 px.
    inside = with_label[72 + 125 : 72 + 175, 6 + 125 : 6 + 175]
    assert (inside == 90).all()


def test_kinds_have_colours_of_their_own():
    sheet = draw_sheet([("", [picture("pit"), picture("scratch")])], title="x")
    for colour in ((255, 92, 92), (255, 190, 40)):
        assert (sheet == np.array(colour)).all(axis=2).any()


def test_photographs_stand_left_of_simulated_images_at_the_same_scale(flat_dataset, tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (64, 48), (9, 200, 9)).save(tmp_path / "images/real.png")
    real = {
        "images": [{"id": 1, "file_name": "real.png", "width": 64, "height": 48}],
        "annotations": [],
        "categories": [{"id": 1, "name": "pit"}],
    }
    (tmp_path / "train.json").write_text(json.dumps(real))
    path = tmp_path / "sheet.png"
    write_contact_sheet(
        flat_dataset / "coco.json", path, title="x", compare=tmp_path / "train.json"
    )
    sheet = np.asarray(Image.open(path))
    ys, xs = (sheet == (9, 200, 9)).all(axis=2).nonzero()
    assert (np.ptp(xs) + 1, np.ptp(ys) + 1) == (384, 288)
    simulated = (sheet == 150).all(axis=2).nonzero()[1]
    assert xs.max() < simulated.min()


def test_a_missing_image_is_one_line(tmp_path):
    coco = {
        "images": [{"id": 1, "file_name": "gone.png", "width": 4, "height": 4}],
        "annotations": [],
        "categories": [],
    }
    (tmp_path / "coco.json").write_text(json.dumps(coco))
    with pytest.raises(DatasetError, match="gone.png: No such file"):
        write_contact_sheet(tmp_path / "coco.json", tmp_path / "sheet.png", title="x")
