import hashlib
import json
import shutil

import numpy as np
import pytest
import resealed
from PIL import Image
from pycocotools import mask as rle

from simgen.cli.main import main
from simgen.dataset.check import check_dataset
from simgen.dataset.finish import sealed
from simgen.errors import DatasetError


@pytest.fixture
def copy(flat_dataset, tmp_path):
    return shutil.copytree(flat_dataset, tmp_path / "copy")


def edit_coco(folder, change):
    """Change coco.json and every hash of it, so that only the record itself is wrong."""
    path, manifest_path = folder / "coco.json", folder / "manifest.json"
    coco = json.loads(path.read_text())
    change(coco)
    path.write_text(json.dumps(coco))
    manifest = json.loads(manifest_path.read_text())
    known = manifest["files"]
    replaced = {}
    for name in ("coco.json", "SHA256SUMS", "croissant.json"):
        text = (folder / name).read_text()
        for old, new in replaced.items():
            text = text.replace(old, new)
        (folder / name).write_text(text)
        digest = hashlib.sha256(text.encode()).hexdigest()
        replaced[known[name]], known[name] = digest, digest
    manifest["coco_sha256"] = known["coco.json"]
    del manifest["sha256"]
    manifest_path.write_bytes(sealed(manifest))


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


def test_one_flipped_byte_in_any_file_is_found_and_the_file_named(copy):
    files = sorted(p for p in copy.rglob("*") if p.is_file())
    assert len(files) > 15
    for number, path in enumerate(files):
        data = path.read_bytes()
        at = (7919 * (number + 1)) % len(data)
        path.write_bytes(data[:at] + bytes([data[at] ^ (1 << number % 8)]) + data[at + 1 :])
        name = path.relative_to(copy).as_posix()
        try:
            found = [fault.where for fault in check_dataset(copy).faults]
        except DatasetError as error:
            found = [str(error)]
        named = name.replace("/manifest.json", "") if "shards/" in name else name
        assert any(named in where for where in found), (name, at, found)
        path.write_bytes(data)
    assert check_dataset(copy).faults == ()


def change_shard(folder, name, change):
    """Change the records of a file in the first shard; hashes stay as they were."""
    path = folder / "shards/00000" / name
    records = resealed.lines(path)
    change(records)
    resealed.write_lines(path, records)


def swap_masks(records):
    a, b = neighbours(records)
    for key in ("segmentation", "bbox", "area"):
        a[key], b[key] = b[key], a[key]


def double_id(records):
    a, b = neighbours(records)
    b["id"] = a["id"]


def neighbours(records):
    """Return a part and a defect of the first image that shows a defect."""
    pairs = zip(records, records[1:], strict=False)
    return next((a, b) for a, b in pairs if a["image_id"] == b["image_id"])


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (swap_masks, "defect pixels outside its part"),
        (double_id, "id in annotations is not unique and positive"),
    ],
)
@pytest.mark.parametrize("place", ["coco.json", "shard", "both, with every hash made right"])
def test_a_swapped_mask_and_a_doubled_id_are_found_wherever_they_are(copy, change, kind, place):
    if place == "coco.json":
        edit_coco(copy, lambda coco: change(coco["annotations"]))
    else:
        change_shard(copy, "annotations.jsonl", change)
    if place.startswith("both"):
        resealed.reseal(copy)
    found = check_dataset(copy).faults
    if place == "shard":
        shard = "shards/00000/annotations.jsonl"
        assert any(f.kind == "file differs from its hash" and f.where == shard for f in found)
        assert any("its shard" in f.kind and f.where.startswith("frame ") for f in found)
    else:
        places = {f.where for f in found if f.kind == kind}
        expected = "frame 2, annotation 20002" if change is swap_masks else "id 20001"
        assert expected in places


def test_a_frame_that_two_shards_hold_is_found(copy):
    shutil.copytree(copy / "shards/00000", copy / "shards/00007")
    found = {fault.kind: fault.where for fault in check_dataset(copy).faults}
    assert found["frames occur twice"] == "frames 0 to 2, again in shards/00007"
    assert found["shard is unknown or missing"] == "shards/00007 is not in manifest.json"


def test_a_shard_whose_manifest_cannot_be_read_is_a_fault_and_the_rest_is_checked(copy):
    (copy / "shards/00001/manifest.json").write_text("{")
    (copy / "shards/00002/images/00000006.png").unlink()
    found = [(f.kind, f.where) for f in check_dataset(copy).faults]
    assert any(k == "shard is damaged" and "00001/manifest.json" in w for k, w in found)
    assert ("file is missing", "shards/00002/images/00000006.png") in found


def test_what_a_shard_does_not_list_is_found(copy):
    (copy / "shards/00000/images/more.png").write_bytes(b"")
    (copy / "shards/00001/images/link.png").symlink_to("00000003.png")
    found = {(f.kind, f.where) for f in check_dataset(copy).faults}
    assert ("file is not in the manifest", "shards/00000/images/more.png") in found
    assert ("link in a shard", "shards/00001/images/link.png") in found


def test_labels_that_differ_between_a_shard_and_coco_are_named_with_their_keys(copy):
    edit_coco(copy, lambda coco: coco["annotations"][2].update(visibility=0.5))
    edit_coco(copy, lambda coco: coco["images"][1].update(part="another"))
    edit_coco(copy, lambda coco: coco["annotations"].pop())
    found = {fault.kind: fault.where for fault in check_dataset(copy).faults}
    assert found["label differs from its shard's record"].endswith("(visibility)")
    assert found["image differs from its shard's record"] == "frame 1 (part)"
    assert found["label of the shard is not in coco.json"].startswith("frame 6, annotation")


def test_annotations_in_another_order_are_checked_all_the_same(copy):
    edit_coco(copy, lambda coco: coco["annotations"].reverse())
    assert check_dataset(copy).faults == ()
    edit_coco(copy, lambda coco: coco["annotations"][3].update(area=1))
    assert {f.kind for f in check_dataset(copy).faults} >= {"area is not the mask's"}


def test_of_very_many_faults_the_number_is_kept_and_the_first_are_named(copy, capsys, monkeypatch):
    monkeypatch.setattr("simgen.dataset.check._KEPT", 3)
    for path in copy.glob("shards/*/images/*.png"):
        path.unlink()
    checked = check_dataset(copy)
    assert checked.counts["image is missing or damaged"] == 7
    assert [f.where for f in checked.faults if "damaged" in f.kind] == [
        "frame 0",
        "frame 1",
        "frame 2",
    ]
    assert main(["check", str(copy), f"out={copy / 'page'}"]) == 1
    assert "FAULT 7 x image is missing or damaged: frame 0; frame 1" in capsys.readouterr().out


def test_statistics_and_faults_are_written_as_page_and_json(flat_dataset, tmp_path, capsys):
    assert main(["check", str(flat_dataset), "audit=0", f"out={tmp_path}"]) == 0
    record = json.loads((tmp_path / "check.json").read_text())
    assert record["images"] == 7 and record["faults"] == {}
    contrast = record["distributions"]["numbers"]["label scratch contrast"]
    assert contrast["median"] == 4.0 and sum(contrast["histogram"]["counts"]) == contrast["n"]
    intensity = record["distributions"]["numbers"]["environment intensity"]
    assert (intensity["n"], intensity["min"], intensity["max"]) == (7, 1.0, 7.0)
    pits = record["distributions"]["numbers"]["label pit contrast"]["n"]
    assert sum(map(sum, record["distributions"]["positions"]["pit"])) == pits
    page = (tmp_path / "check.html").read_text()
    assert "<svg" in page and "No fault" in page and "http" not in page.replace("http-equiv", "")


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
    with pytest.raises(DatasetError, match="holds no finished dataset; name a folder"):
        check_dataset(tmp_path)
