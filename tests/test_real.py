"""The loaders of photographs and rendered datasets."""

import json
from pathlib import Path

import numpy as np
import pytest
from real_fakes import annotation, edit, write_real, write_rendered

from simgen.errors import ConfigError, DatasetError
from simgen.evaluate.holdout import (
    load_for_evaluation,
    readings_before,
    refuse_shared_photographs,
)
from simgen.train.real import RealConfig, load_real
from simgen.train.rendered import RenderedConfig, load_rendered


@pytest.fixture
def real(tmp_path: Path) -> RealConfig:
    return RealConfig(root=str(write_real(tmp_path)), set="tiles", exclude=("vague",))


def test_excluded_kinds_leave_with_their_images(real: RealConfig) -> None:
    source = load_real(real, "train")
    assert source.kinds == ("bar", "dot")
    assert not any("vague" in image.part for image in source.images)


def test_an_unannotated_image_of_an_annotated_part_is_left_out(real: RealConfig) -> None:
    source = load_real(real, "train")
    assert len(source.images) == 4 * 3 * 2
    clean = {image.part for image in source.images if image.is_clean}
    assert clean == {f"train-None-{i}" for i in range(4)}


def test_an_unannotated_image_of_an_excluded_part_is_not_clean_either(real: RealConfig) -> None:
    file = real.folder / "train.json"

    def forget_one(data: dict) -> None:
        vague = next(a for a in data["annotations"] if a["category_id"] == 3)
        data["annotations"].remove(vague)

    edit(file, forget_one)
    assert not any("vague" in image.part for image in load_real(real, "train").images)


def test_annotations_of_parts_are_ignored(real: RealConfig) -> None:
    def add_part(data: dict) -> None:
        data["categories"].append({"id": 9, "name": "tile", "supercategory": "part"})
        for image in data["images"]:
            data["annotations"].append(
                annotation(1000 + image["id"], image["id"], 9, np.ones((96, 112), bool))
            )

    before = load_real(real, "train")
    edit(real.folder / "train.json", add_part)
    after = load_real(real, "train")
    assert [i.image_id for i in after.images] == [i.image_id for i in before.images]
    assert after.kinds == ("bar", "dot")


def test_kinds_are_renamed(real: RealConfig) -> None:
    assert load_real(real, "val", {"dot": "pit"}).kinds == ("bar", "pit")


def test_masks_and_boxes_agree(real: RealConfig) -> None:
    for image in load_real(real, "train").images:
        for thing in image.objects:
            assert thing.mask is not None
            assert thing.corner == thing.box[:2]
            assert thing.mask.shape == (thing.box[3], thing.box[2])


def test_training_cannot_load_the_holdout(real: RealConfig) -> None:
    with pytest.raises(DatasetError, match="only train and val"):
        load_real(real, "holdout")  # type: ignore[arg-type]


def test_training_needs_no_holdout_image(real: RealConfig) -> None:
    for file in (real.folder / "images").glob("holdout_*"):
        file.unlink()
    assert load_real(real, "train").images


def test_every_reading_of_the_holdout_is_logged_first(real: RealConfig, tmp_path: Path) -> None:
    log = tmp_path / "logs" / "holdout.jsonl"
    for name in ("first", "second"):
        load_for_evaluation(real, "holdout", {}, log=log, purpose={"name": name})
    load_for_evaluation(real, "val", {}, log=log, purpose={"name": "val"})
    lines = [json.loads(text) for text in log.read_text().splitlines()]
    assert [line["name"] for line in lines] == ["first", "second"]
    assert all(line["set"] == "tiles" and line["time"] for line in lines)


def test_readings_for_others_are_counted_up_to_the_first_of_ones_own(
    real: RealConfig, tmp_path: Path
) -> None:
    log = tmp_path / "holdout.jsonl"
    for name in ("first", "first", "second", "third"):
        load_for_evaluation(real, "holdout", {}, log=log, purpose={"name": name})
    with log.open("a") as file:
        file.write("half a li")
    before = [readings_before(log, real, {"name": n}) for n in ("first", "second", "third", "new")]
    assert before == [0, 1, 2, 3]
    edit(real.folder / "holdout.json", lambda data: data["images"].pop())
    assert readings_before(log, real, {"name": "new"}) == 0


def test_without_its_log_the_holdout_stays_closed(real: RealConfig, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    log = tmp_path / "file" / "log.jsonl"
    with pytest.raises(ConfigError, match=r"evaluate\.holdout_log"):
        load_for_evaluation(real, "holdout", {}, log=log, purpose={})


def test_a_photograph_that_was_trained_on_cannot_judge(real: RealConfig) -> None:
    train, val = load_real(real, "train"), load_real(real, "val")
    trained_on = {i.content_sha256: str(i.file) for i in train.images}
    refuse_shared_photographs(val, trained_on)
    copy = real.folder / "images" / "val_1.png"
    copy.write_bytes((real.folder / "images" / "train_1.png").read_bytes())
    with pytest.raises(DatasetError, match="same picture"):
        refuse_shared_photographs(load_real(real, "val"), trained_on)


def _share_part(data: dict) -> None:
    data["images"][0]["part"] = "train-dot-0"


def _repeat_id(data: dict) -> None:
    data["images"][1]["id"] = 1


def _zero_id(data: dict) -> None:
    data["annotations"][0]["id"] = 0


def _unknown_image(data: dict) -> None:
    data["annotations"][0]["image_id"] = 999


def _unknown_category(data: dict) -> None:
    data["annotations"][0]["category_id"] = 99


def _wrong_size(data: dict) -> None:
    data["images"][0]["width"] = 50


def _no_part(data: dict) -> None:
    del data["images"][0]["part"]


def _empty_box(data: dict) -> None:
    data["annotations"][0]["bbox"][2] = 0


def _broken_mask(data: dict) -> None:
    data["annotations"][0]["segmentation"] = {"size": [96, 112]}


def _no_categories(data: dict) -> None:
    del data["categories"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_share_part, "part 'train-dot-0' is in train and val"),
        (_repeat_id, "image id 1 occurs twice"),
        (_zero_id, "annotation id 0 is not a positive"),
        (_unknown_image, "names an image that does not exist"),
        (_unknown_category, "names a category that does not exist"),
        (_wrong_size, "is 112x96 pixels but its record says 50x96"),
        (_no_part, "'part'"),
        (_empty_box, "empty box"),
        (_broken_mask, "mask that cannot be decoded"),
        (_no_categories, "no list 'categories'"),
    ],
)
def test_a_damaged_set_is_refused(real: RealConfig, change, message: str) -> None:
    edit(real.folder / "val.json", change)
    with pytest.raises(DatasetError, match=message) as caught:
        load_real(real, "val")
    assert "\n" not in str(caught.value)


def test_a_part_shared_with_the_holdout_stops_training(real: RealConfig) -> None:
    edit(real.folder / "holdout.json", _share_part)
    with pytest.raises(DatasetError, match="train and holdout"):
        load_real(real, "train")


def test_a_missing_image_is_named(real: RealConfig) -> None:
    (real.folder / "images" / "train_3.png").unlink()
    with pytest.raises(DatasetError, match=r"train_3\.png: image is missing"):
        load_real(real, "train")


def test_a_corrupt_image_is_named(real: RealConfig) -> None:
    file = real.folder / "images" / "train_3.png"
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(DatasetError, match=r"train_3\.png: image cannot be decoded"):
        load_real(real, "train")


def test_missing_photographs_name_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="SIMGEN_DATA"):
        load_real(RealConfig(root=str(tmp_path), set="tiles"), "train")


@pytest.mark.parametrize(
    ("exclude", "rename", "message"),
    [
        (("vauge",), {}, "real.exclude: .* did you mean 'vague'"),
        ((), {"dott": "pit"}, r"train\.categories\.real\.dott: .* did you mean 'dot'"),
    ],
)
def test_a_misspelt_category_is_refused(real: RealConfig, exclude, rename, message: str) -> None:
    config = RealConfig(root=real.root, set=real.set, exclude=exclude)
    with pytest.raises(ConfigError, match=message):
        load_real(config, "train", rename)


def test_a_rendered_dataset_gives_its_defects(tmp_path: Path) -> None:
    source = load_rendered("synthetic", RenderedConfig(path=str(write_rendered(tmp_path / "out"))))
    assert source.kinds == ("bar", "dot")
    # A clean frame of a scene whose other frames show defects is known to be clean.
    assert sum(i.is_clean for i in source.images) == 8
    assert len({i.part for i in source.images}) == 8


def test_a_kind_leaves_a_rendered_dataset_with_its_frames(tmp_path: Path) -> None:
    folder = write_rendered(tmp_path / "out")
    whole = load_rendered("synthetic", RenderedConfig(path=str(folder)))
    source = load_rendered("synthetic", RenderedConfig(path=str(folder), exclude=("dot",)))
    kept = [i.image_id for i in whole.images if "dot" not in i.kinds]
    assert source.kinds == ("bar",)
    assert [i.image_id for i in source.images] == kept and len(kept) == 16
    assert source.sha256 != whole.sha256  # so that other runs are trained


def test_a_misspelt_kind_to_leave_out_names_the_dataset(tmp_path: Path) -> None:
    config = RenderedConfig(path=str(write_rendered(tmp_path / "out")), exclude=("dit",))
    with pytest.raises(ConfigError, match=r"datasets\.synthetic\.exclude: .* did you mean 'dot'"):
        load_rendered("synthetic", config)


def test_a_missing_rendered_dataset_names_its_command(tmp_path: Path) -> None:
    config = RenderedConfig(path=str(tmp_path / "no"), render="python -m simgen render +scene=x")
    with pytest.raises(DatasetError, match=r"datasets\.synthetic\.path.*render \+scene=x"):
        load_rendered("synthetic", config)


def test_a_source_s_hash_follows_labels_and_pixels(real: RealConfig) -> None:
    first = load_real(real, "train").sha256
    assert load_real(real, "train").sha256 == first
    file = real.folder / "images" / "train_1.png"
    file.write_bytes((real.folder / "images" / "train_2.png").read_bytes())
    assert load_real(real, "train").sha256 != first
