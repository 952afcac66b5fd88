"""Exports as files: whole or not there, the same bytes again, every label once, nothing outside."""

import hashlib
import json
import os
import shutil
import subprocess
import weakref
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import resealed
import stand_in
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from watched import watched

from simgen.cli.main import main
from simgen.dataset.files import owner
from simgen.dataset.segmentation import decode_mask
from simgen.errors import ConfigError, DatasetError
from simgen.execute.render import render_dataset
from simgen.export import FORMATS, ExportOptions, export_dataset
from simgen.export.outline import fill, outline_of
from simgen.export.split import count_split, side_of

FLAT = [name for name in FORMATS if name != "bop"]


@pytest.fixture(autouse=True)
def _needs(request):
    if "parquet" in str(getattr(request.node, "callspec", "")):
        pytest.importorskip("pyarrow", reason="extra `export`")


@pytest.fixture
def flat(flat_dataset, tmp_path):
    return shutil.copytree(flat_dataset, tmp_path / "dataset")


def tree(folder):
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in folder.rglob("*")
        if p.is_file()
    }


def stored(dataset):
    coco = json.loads((dataset / "coco.json").read_text())
    return coco, {i["id"]: i for i in coco["images"]}


@pytest.mark.parametrize("name", FLAT)
def test_two_exports_are_the_same_bytes_and_say_where_they_come_from(name, flat_dataset, tmp_path):
    options = ExportOptions(format=name, split=0.5)
    for out in ("a", "b"):
        export_dataset(flat_dataset, tmp_path / out, options)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    note = json.loads((tmp_path / "a/export.json").read_text())
    manifest = json.loads((flat_dataset / "manifest.json").read_text())
    assert note["config_sha256"] == manifest["config_sha256"]
    assert note["licence"] == "CC0-1.0" and note["made_by"].startswith("simgen ")
    assert note["split"] == {
        "asked": 0.5,
        "train_share": round(3 / 7, 6),
        "images": {"train": 3, "val": 4},
        "scenes": {"train": 2, "val": 2},
    }
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def yolo_rows(out, digits=6):
    """Rows of every label file by (side, frame)."""
    rows = {}
    for path in sorted(out.glob("labels/*/*.txt")):
        rows[path.parent.name, int(path.stem)] = [
            [float(v) for v in line.split()] for line in path.read_text().splitlines()
        ]
    return rows


def test_every_label_is_one_yolo_box_exact_to_a_millionth_of_a_pixel(flat_dataset, tmp_path):
    export_dataset(flat_dataset, tmp_path / "y", ExportOptions(format="yolo", split=0.5))
    coco, images = stored(flat_dataset)
    rows = yolo_rows(tmp_path / "y")
    assert {frame for _, frame in rows} == {i["frame"] for i in coco["images"]}
    found = Counter()
    for (side, frame), labels in rows.items():
        assert side == side_of(images[frame + 1]["scene"], 0.5)
        for kind, *values in labels:
            cx, cy, w, h = np.array(values) * [64, 48, 64, 48]
            box = np.array([cx - w / 2, cy - h / 2, w, h])
            np.testing.assert_allclose(box, box.round(), atol=1e-6)
            found[frame + 1, int(kind) + 1, *box.round().astype(int).tolist()] += 1
    assert found == Counter(
        (a["image_id"], a["category_id"], *a["bbox"]) for a in coco["annotations"]
    )


def test_yolo_images_are_the_datasets_and_a_clean_one_has_an_empty_file(flat_dataset, tmp_path):
    options = ExportOptions(format="yolo", only="defect")
    export_dataset(flat_dataset, tmp_path / "y", options)
    coco, images = stored(flat_dataset)
    names = [(c["name"], c["id"]) for c in coco["categories"] if c["supercategory"] == "defect"]
    assert names == [("scratch", 3), ("pit", 4)]
    text = (tmp_path / "y/data.yaml").read_text()
    assert "0: scratch\n  1: pit" in text and "val: images/train" in text
    damaged = {a["image_id"]: 0 for a in coco["annotations"] if a["category_id"] > 2}
    for image in coco["images"]:
        copy = tmp_path / f"y/images/train/{image['frame']:08d}.png"
        assert copy.read_bytes() == (flat_dataset / image["file_name"]).read_bytes()
        labels = (tmp_path / f"y/labels/train/{image['frame']:08d}.txt").read_text()
        assert bool(labels) == (image["id"] in damaged)
    assert len(damaged) < len(images)


@settings(max_examples=150)
@given(arrays(bool, st.tuples(st.integers(1, 14), st.integers(1, 14))).filter(np.any))
def test_an_outline_in_32_bit_gives_back_its_mask(mask):
    height, width = mask.shape
    outline = outline_of(mask)
    assert len(outline) >= 4
    # Even-odd, as COCO's tools fill: exact, holes and pieces and all.
    np.testing.assert_array_equal(decode_mask([outline.reshape(-1).tolist()], *mask.shape), mask)
    # As Ultralytics reads and paints it: exact in one piece; bridges between several.
    share = np.array([f"{v:.9g}" for v in (outline / (width, height)).ravel()], np.float32)
    painted = fill(share.reshape(-1, 2) * np.float32([width, height]), height, width)
    assert not (mask & ~painted).any()
    if ndimage.label(mask, np.ones((3, 3)))[1] == 1:
        np.testing.assert_array_equal(painted, mask)
    ends = np.array([outline.min(axis=0), outline.max(axis=0)])
    ys, xs = np.nonzero(mask)
    tight = np.array([[xs.min(), ys.min()], [xs.max() + 1, ys.max() + 1]])
    assert np.abs(ends - tight).max() < 0.0101


def test_bridges_between_pieces_are_the_shortest_and_all_that_is_lost():
    mask = np.zeros((40, 60), bool)
    mask[5:15, 5:15] = mask[5:15, 20:30] = mask[30:35, 22:28] = True
    mask[8:11, 8:11] = False
    extra = fill(outline_of(mask), 40, 60) & ~mask
    # 5 pixels across and 15 down; never the long way from the first to the third.
    assert extra.sum() == 5 + 15
    assert not extra[:, :15].any()


def test_yolo_segment_keeps_instances_and_masks(flat_dataset, tmp_path):
    done = export_dataset(flat_dataset, tmp_path / "y", ExportOptions(format="yolo_segment"))
    coco, _ = stored(flat_dataset)
    by_image = {}
    for annotation in coco["annotations"]:
        by_image.setdefault(annotation["image_id"], []).append(annotation)
    overlaps = []
    for (_, frame), rows in yolo_rows(tmp_path / "y").items():
        for row, annotation in zip(rows, by_image.get(frame + 1, []), strict=True):
            assert int(row[0]) == annotation["category_id"] - 1
            points = np.float32(row[1:]).reshape(-1, 2) * np.float32([64, 48])
            mask = decode_mask(annotation["segmentation"], 48, 64)
            painted = fill(points, 48, 64)
            overlaps.append((mask & painted).sum() / (mask | painted).sum())
    assert len(overlaps) == len(coco["annotations"]) == done.facts["labels"]
    # A scratch that the part's bore cuts in two is bridged; all else is exact.
    assert done.facts["mask_iou_min"] == pytest.approx(min(overlaps), abs=1e-6)
    assert min(overlaps) > 0.8 and np.mean(overlaps) > 0.98


def test_the_coco_pair_is_the_dataset_and_reads_as_one(flat_dataset, tmp_path):
    from simgen.train.coco import Reading, read_source

    export_dataset(flat_dataset, tmp_path / "c", ExportOptions(format="coco", split=0.5))
    coco, _ = stored(flat_dataset)
    halves = [json.loads((tmp_path / f"c/{side}.json").read_text()) for side in ("train", "val")]
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == [
        "export.json", "images", "train.json", "val.json",
    ]  # fmt: skip
    for key in ("images", "annotations"):
        both = [{**r, "file_name": ""} if key == "images" else r for h in halves for r in h[key]]
        whole = [{**r, "file_name": ""} if key == "images" else r for r in coco[key]]
        assert sorted(both, key=lambda r: r["id"]) == whole
    parts = [{i["part"] for i in half["images"]} for half in halves]
    assert parts[0] and parts[1] and not parts[0] & parts[1]
    for half, side in zip(halves, ("train", "val"), strict=True):
        assert half["licenses"] == coco["licenses"] and half["categories"] == coco["categories"]
        mine = {i["id"] for i in half["images"]}
        assert {a["image_id"] for a in half["annotations"]} <= mine
        reading = Reading(name=side, rename={}, clean_by_part=False)
        assert len(read_source(tmp_path / f"c/{side}.json", tmp_path / "c", reading).images) == len(
            mine
        )


def test_the_share_comes_out_near_however_few_scenes_there_are():
    sides = [side_of(scene, 0.9) for scene in range(10_000)]
    for total in (5, 20, 100, 1_000, 10_000):
        assert abs(sides[:total].count("train") - 0.9 * total) <= 2
        assert "val" in sides[:total]
    images = [{"scene": n // 3} for n in range(60)]
    split = count_split(images, 0.9)
    assert split.scenes == {"train": 18, "val": 2} and split.images == {"train": 54, "val": 6}
    with pytest.raises(ConfigError, match="split: 0.9 puts all 4 scenes into train and none into"):
        count_split(images[:12], 0.9)


def test_an_unfinished_dataset_is_refused(tmp_path, capsys):
    out = tmp_path / "d"
    keys = {"shard_size": 2, "views_per_scene": 1}
    render_dataset(
        stand_in.config(out, frames=4, **keys), stand_in.CATEGORIES, renderer="stand_in:StandIn"
    )
    manifest = (out / "manifest.json").read_bytes()
    export_dataset(out, tmp_path / "short", ExportOptions(format="coco", split=0.5))
    render_dataset(
        stand_in.config(out, frames=6, **keys), stand_in.CATEGORIES, renderer="stand_in:StandIn"
    )
    export_dataset(out, tmp_path / "long", ExportOptions(format="coco", split=0.5))
    for side in ("train", "val"):
        short, long = (
            json.loads((tmp_path / f"{name}/{side}.json").read_text()) for name in ("short", "long")
        )
        assert short["images"] == long["images"][: len(short["images"])]
    (out / "manifest.json").write_bytes(manifest)
    capsys.readouterr()
    problem(capsys, out, "is unfinished, shard 00002 is newer than manifest.json")
    (out / "manifest.json").unlink()
    problem(capsys, out, "holds no finished dataset")
    (out / "manifest.json").write_bytes(manifest)
    shutil.rmtree(out / "shards/00002")
    shutil.rmtree(out / "shards/00001")
    problem(capsys, out, "is unfinished, shard 00001 is missing")


def problem(capsys, dataset, message, *keys):
    out = dataset.parent / "never"
    assert main(["export", str(dataset), "format=yolo", f"out={out}", *keys]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1, error
    assert not out.exists() and not list(out.parent.glob(".never*"))


@pytest.mark.parametrize(
    "keys, message",
    [
        ([], "format: is missing; choose one of yolo, yolo_segment, coco"),
        (["format=yolov"], "format: no format 'yolov'; did you mean 'yolo'?"),
        (["format=yolo", "split=90"], "split: expected a share between 0 and 1, got '90'"),
        (["format=yolo", "split=nan"], "split: expected a share"),
        (["format=yolo", "shard_mb=1"], "shard_mb: goes with format=webdataset; leave it out"),
        (["format=yolo", "images=none"], "images: expected copy or link, got 'none'"),
        (["format=yolo", "out=s3://b/x"], "out: an export goes to a folder"),
        (["format=bop"], "format=bop: needs depth, instances, poses, which the dataset lacks;"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(keys, message, flat_dataset, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(flat_dataset), *keys]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1, error


def test_what_is_there_is_never_touched(flat, capsys):
    taken = flat.parent / "taken"
    taken.mkdir()
    (taken / "mine").write_text("x")
    (flat.parent / "link").symlink_to(taken)
    for name in ("taken", "link", "taken/mine"):
        assert main(["export", str(flat), "format=yolo", f"out={flat.parent / name}"]) == 2
        assert "is there already; remove it, or choose another" in capsys.readouterr().err
    assert main(["export", str(flat), "format=yolo", f"out={flat}/yolo"]) == 2
    assert "lies within the dataset" in capsys.readouterr().err
    assert [p.name for p in taken.iterdir()] == ["mine"]
    (taken / "mine").unlink()
    assert main(["export", str(flat), "format=yolo", f"out={taken}"]) == 0
    assert "7 images of 4 scenes" in capsys.readouterr().out


def test_an_interrupted_export_leaves_nothing_and_a_killed_ones_rest_is_swept(flat, tmp_path):
    def stop(frames, total):
        for i, frame in enumerate(frames):
            if i == 3:
                raise KeyboardInterrupt
            yield frame

    with pytest.raises(KeyboardInterrupt):
        export_dataset(flat, tmp_path / "e/y", ExportOptions(format="yolo"), progress=stop)
    assert list((tmp_path / "e").iterdir()) == []
    dead = subprocess.Popen(["true"])
    dead.wait()
    rest = tmp_path / "e" / f".y-{owner().rpartition('_')[0]}_{dead.pid}-abc"
    live = tmp_path / "e" / f".y-{owner()}-abc"
    for folder in (rest, live):
        folder.mkdir()
    export_dataset(flat, tmp_path / "e/y", ExportOptions(format="yolo"))
    assert sorted(p.name for p in (tmp_path / "e").iterdir()) == [live.name, "y"]


@pytest.mark.parametrize("name", FLAT)
def test_frames_come_one_by_one_and_none_is_kept(name, flat_dataset, tmp_path):
    seen, most = [], 0

    def count(frames, total):
        nonlocal most
        assert total == 7
        for frame in frames:
            seen.append(weakref.ref(frame))
            most = max(most, sum(reference() is not None for reference in seen))
            yield frame
            del frame

    export_dataset(flat_dataset, tmp_path / "e", ExportOptions(format=name), progress=count)
    assert 1 <= most <= 2


@pytest.mark.parametrize("name", ["yolo", "webdataset", "parquet"])
def test_a_full_disk_is_one_message_and_leaves_nothing(name, flat_dataset, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs root and mount")
    try:
        with pytest.raises(DatasetError, match="No space left on device; nothing was put into"):
            export_dataset(flat_dataset, disk / "out", ExportOptions(format=name))
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_links_are_second_names_of_the_files_and_never_symbolic(flat, tmp_path):
    export_dataset(flat, tmp_path / "y", ExportOptions(format="yolo", images="link"))
    image = tmp_path / "y/images/train/00000002.png"
    assert not image.is_symlink()
    assert image.samefile(flat / "shards/00000/images/00000002.png")


def lines(name, change):
    """Change the records of a shard's file, its hashes made right again."""

    def edit(folder):
        path = folder / "shards/00001" / name
        records = resealed.lines(path)
        change(records)
        resealed.write_lines(path, records)
        shard = json.loads((path.parent / "manifest.json").read_text())
        shard["files"][name] = hashlib.sha256(path.read_bytes()).hexdigest()
        (path.parent / "manifest.json").write_text(json.dumps(shard))
        top = json.loads((folder / "manifest.json").read_text())
        data = (path.parent / "manifest.json").read_bytes()
        top["shards"][1]["manifest_sha256"] = hashlib.sha256(data).hexdigest()
        (folder / "manifest.json").write_text(json.dumps(top))

    return edit


def link_out(folder):
    image = folder / "shards/00001/images/00000004.png"
    shutil.copy(image, folder.parent / "secret.png")
    image.unlink()
    image.symlink_to(folder.parent / "secret.png")


def flip(folder):
    image = folder / "shards/00001/images/00000004.png"
    data = bytearray(image.read_bytes())
    data[-20] ^= 1
    image.write_bytes(data)


DAMAGE = {
    "an image is a link that leads out": (link_out, "leads out of the dataset"),
    "an image has a flipped bit": (flip, "00000004.png: differs from its hash"),
    "an image is a pipe": (
        lambda d: ((d / "shards/00001/images/00000004.png").unlink(),
                   os.mkfifo(d / "shards/00001/images/00000004.png")),
        "00000004.png: is no ordinary file"),
    "a file name leads out": (
        lines("frames.jsonl", lambda r: r[1].update(file_name="../../../secret.png")),
        "leads out of the dataset"),
    "an image is of another size": (
        lines("frames.jsonl", lambda r: r[1].update(width=63)), "not of its record's size"),
    "a box leaves the image": (
        lines("annotations.jsonl", lambda r: r[0].update(bbox=[0, 0, 1e9, 4])),
        "is not as documented"),
    "a label has a huge mask": (
        lines("annotations.jsonl",
              lambda r: r[0].update(segmentation={"size": [10**9, 10**9], "counts": "1"})),
        "segmentation's size is"),
    "a label stands with another frame": (
        lines("annotations.jsonl", lambda r: r.append(r.pop(0))), "is out of place"),
    "two labels have one id": (
        lines("annotations.jsonl", lambda r: r[1].update(id=r[0]["id"])), "share an id"),
    "a size is no number": (
        lines("annotations.jsonl", lambda r: r[-1].update(defect_mm={"length": "1; rm"})),
        "is not as documented"),
}  # fmt: skip


@pytest.mark.parametrize("what", DAMAGE)
def test_a_strangers_dataset_is_named_in_one_line_and_nothing_outside_is_read(what, flat, capsys):
    damage, message = DAMAGE[what]
    damage(flat)
    with watched() as seen:
        problem_of_segments(capsys, flat, message)
    assert not [p for _, p in seen if Path(p).name == "secret.png"]
    assert not (flat.parent / "never").exists()


def problem_of_segments(capsys, dataset, message):
    out = dataset.parent / "never"
    assert main(["export", str(dataset), "format=yolo_segment", f"out={out}"]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1, error
