import hashlib
import json
import shutil

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as rle

from simgen.dataset.check import check_dataset
from simgen.errors import DatasetError


@pytest.fixture
def copy(flat_dataset, tmp_path):
    return shutil.copytree(flat_dataset, tmp_path / "copy")


def edit_coco(folder, change):
    """Change coco.json and its hash, so that only the record itself is wrong."""
    path, manifest_path = folder / "coco.json", folder / "manifest.json"
    coco = json.loads(path.read_text())
    change(coco)
    path.write_text(json.dumps(coco))
    manifest = json.loads(manifest_path.read_text())
    manifest["coco_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest_path.write_text(json.dumps(manifest))


def a_defect(coco):
    return next(a for a in coco["annotations"] if a["category_id"] > 2)


def paint_outside(coco):
    defect = a_defect(coco)
    mask = rle.decode(defect["segmentation"])
    mask[0, 0] = 1
    packed = rle.encode(np.asfortranarray(mask))
    defect["segmentation"]["counts"] = packed["counts"].decode()
    defect["bbox"], defect["area"] = rle.toBbox(packed).tolist(), int(rle.area(packed))
    defect["amodal_bbox"] = [0, 0, 64, 48]


def empty_mask(coco):
    size = coco["annotations"][0]["segmentation"]["size"]
    packed = rle.encode(np.zeros(size, np.uint8, order="F"))
    coco["annotations"][0]["segmentation"]["counts"] = packed["counts"].decode()


WRONG_RECORDS = {
    "box is not the bounds of the mask": lambda c: c["annotations"][0]["bbox"].__setitem__(2, 3),
    "area is not the mask's": lambda c: c["annotations"][0].update(area=1),
    "visibility is not in (0, 1]": lambda c: c["annotations"][0].update(visibility=1.01),
    "visible pixels lie outside the amodal box": lambda c: c["annotations"][0].update(
        amodal_bbox=[0, 0, 3, 3]
    ),
    "mask is empty": empty_mask,
    "defect pixels outside its part": paint_outside,
    "defect on a part that is not labelled": lambda c: a_defect(c).update(part_annotation_id=0),
    "defect has no contrast": lambda c: a_defect(c).update(contrast=None),
    "unknown category": lambda c: c["annotations"][0].update(category_id=9),
    "annotation of an unknown image": lambda c: c["annotations"][0].update(image_id=99),
    "image size differs from its record": lambda c: c["images"][0].update(width=9),
    "id in annotations is not unique and positive": lambda c: c["annotations"].append(
        c["annotations"][0]
    ),
    "categories differ from the manifest": lambda c: c["categories"].pop(),
    "image id is not frame + 1": lambda c: c["images"][0].update(frame=3),
    "number of frames differs": lambda c: c["images"].pop(),
}


def test_a_rendered_dataset_has_no_fault_and_its_statistics_are_right(flat_dataset):
    checked = check_dataset(flat_dataset)
    coco = json.loads((flat_dataset / "coco.json").read_text())
    assert checked.faults == ()
    assert checked.images == 7
    instances = {name: entry["instances"] for name, entry in checked.categories.items()}
    assert sum(instances.values()) == len(coco["annotations"])
    assert instances["disc"] + instances["plate"] == 7
    assert checked.categories["scratch"]["contrast"] == [4.0, 4.0, 4.0]


@pytest.mark.parametrize("kind", WRONG_RECORDS)
def test_a_wrong_record_is_found(copy, kind):
    edit_coco(copy, WRONG_RECORDS[kind])
    assert kind in {fault.kind for fault in check_dataset(copy).faults}


def test_a_changed_image_is_found_and_named(copy):
    path = copy / "shards/00000/images/00000001.png"
    Image.new("RGB", (64, 48)).save(path)
    faults = {fault.kind: fault.where for fault in check_dataset(copy).faults}
    assert faults["file differs from its hash"] == "shards/00000/images/00000001.png"
    assert faults["image is blank"] == "frame 1"


def test_a_missing_image_and_a_missing_shard_are_found(copy):
    (copy / "shards/00000/images/00000001.png").unlink()
    shutil.rmtree(copy / "shards/00001")
    faults = [(fault.kind, fault.where) for fault in check_dataset(copy).faults]
    assert ("file is missing", "shards/00000/images/00000001.png") in faults
    assert ("shard is unknown or missing", "shards/00001 is not on disk") in faults
    assert ("frames are missing", "frames 3 to 5") in faults
    assert ("image is missing or damaged", "frame 1") in faults


def test_a_folder_without_a_dataset_is_one_line(tmp_path):
    with pytest.raises(DatasetError, match="coco.json: cannot be read"):
        check_dataset(tmp_path)
