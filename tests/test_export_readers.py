"""Exports read back by each format's own public reader."""

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
import stand_in
from PIL import Image

from simgen.cli.main import main
from simgen.dataset.segmentation import decode_mask
from simgen.errors import ConfigError
from simgen.execute.render import render_dataset
from simgen.export import ExportOptions, export_dataset

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


def stored(dataset):
    coco = json.loads((dataset / "coco.json").read_text())
    return coco, {i["id"]: i for i in coco["images"]}


def test_webdataset_reads_every_frame_with_its_labels(flat_dataset, tmp_path):
    wds = pytest.importorskip("webdataset", reason="extra `dev`")
    out = tmp_path / "w"
    export_dataset(flat_dataset, out, ExportOptions(format="webdataset", split=0.5))
    coco, images = stored(flat_dataset)
    index = json.loads((out / "index.json").read_text())
    found = []
    for side, shards in index["shards"].items():
        names = [str(out / shard["name"]) for shard in shards]
        samples = list(wds.WebDataset(names, shardshuffle=False).decode("pil"))
        assert len(samples) == sum(shard["samples"] for shard in shards)
        for sample in samples:
            record = sample["json"]
            image = images[int(sample["__key__"]) + 1]
            assert {**record["image"], "file_name": image["file_name"]} == image
            pixels = np.asarray(Image.open(flat_dataset / image["file_name"]))
            np.testing.assert_array_equal(np.asarray(sample["png"]), pixels)
            found += record["annotations"]
            assert record["source"]["licence"] == "CC0-1.0"
        for shard in shards:
            data = (out / shard["name"]).read_bytes()
            assert len(data) == shard["bytes"]
            assert hashlib.sha256(data).hexdigest() == shard["sha256"]
        assert side in ("train", "val")
    assert sorted(found, key=lambda a: a["id"]) == coco["annotations"]


def test_tar_files_keep_to_their_size_and_carry_the_outputs(inspection_dataset, tmp_path):
    wds = pytest.importorskip("webdataset", reason="extra `dev`")
    out = tmp_path / "w"
    export_dataset(inspection_dataset, out, ExportOptions(format="webdataset", shard_mb=1))
    (sample, second) = list(wds.WebDataset(str(out / "train-000000.tar"), shardshuffle=False))
    assert {k for k in sample if not k.startswith("_")} == {
        "png", "json", "depth.png", "normals.png", "instances.png",
    }  # fmt: skip
    original = inspection_dataset / "shards/00000/depth/00000000.png"
    assert sample["depth.png"] == original.read_bytes()
    assert len(json.loads(second["json"])["pose"]["objects"]) > 2
    for info in tarfile.open(out / "train-000000.tar"):
        assert (info.mtime, info.uid, info.gid, info.uname, info.mode) == (0, 0, 0, "", 0o644)
        assert info.isreg() and "/" not in info.name


def test_a_tar_file_is_closed_before_it_grows_beyond_its_size(tmp_path, flat_dataset):
    from simgen.export.web import _Tars

    tars = _Tars(tmp_path, "train", 200_000)
    for i in range(5):
        tars.add([(f"{i}.png", os.urandom(70_000))])
    tars.add([("5.png", b"x" * 300_000)])
    tars.close()
    assert [(t["samples"], t["bytes"] <= 200_000) for t in tars.written] == [
        (2, True), (2, True), (1, True), (1, False),
    ]  # fmt: skip


def test_parquet_holds_every_field_typed_and_every_mask(flat_dataset, tmp_path):
    pytest.importorskip("pyarrow", reason="extra `export`")
    import pyarrow.parquet as parquet
    import pyarrow.types as types

    out = tmp_path / "p"
    export_dataset(flat_dataset, out, ExportOptions(format="parquet", split=0.5))
    coco, images = stored(flat_dataset)
    names = {c["id"]: (c["name"], c["supercategory"]) for c in coco["categories"]}
    rows, pictures = [], []
    for side in ("train", "val"):
        table = parquet.read_table(out / f"annotations-{side}.parquet")
        rows += table.to_pylist(maps_as_pydicts="strict")
        pictures += parquet.read_table(out / f"images-{side}.parquet").to_pylist()
        kinds = {f.name: f.type for f in table.schema}
        assert types.is_fixed_size_list(kinds["bbox"]) and types.is_map(kinds["defect_mm"])
        assert types.is_boolean(kinds["missing_material"]) and types.is_float64(kinds["contrast"])
        about = {k.decode(): v for k, v in table.schema.metadata.items() if k != b"ARROW:schema"}
        assert json.loads(about["licence"]) == "CC0-1.0" and json.loads(about["synthetic"])
        manifest = json.loads((flat_dataset / "manifest.json").read_text())
        assert json.loads(about["config_sha256"]) == manifest["config_sha256"]
    for row, label in zip(sorted(rows, key=lambda r: r["id"]), coco["annotations"], strict=True):
        for key in ("id", "image_id", "category_id", "bbox", "area", "amodal_bbox", "visibility"):
            assert row[key] == label[key]
        for key in ("contrast", "contrast_ring", "defect_mm", "part_annotation_id"):
            assert row[key] == label.get(key)
        assert row["missing_material"] == label.get("missing_material")
        assert (row["category"], row["supercategory"]) == names[label["category_id"]]
        image = images[label["image_id"]]
        mask = decode_mask({"size": row["rle_size"], "counts": row["rle_counts"]}, 48, 64)
        np.testing.assert_array_equal(
            mask, decode_mask(label["segmentation"], image["height"], image["width"])
        )
    for row, image in zip(sorted(pictures, key=lambda r: r["id"]), coco["images"], strict=True):
        assert {k: row[k] for k in ("frame", "scene", "view", "part", "width")} == {
            k: image[k] for k in ("frame", "scene", "view", "part", "width")
        }
        data = (out / row["file_name"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == row["sha256"]


def test_tables_alone_name_the_datasets_files_and_come_in_row_groups(
    flat_dataset, tmp_path, monkeypatch
):
    pytest.importorskip("pyarrow", reason="extra `export`")
    import pyarrow.parquet as parquet

    monkeypatch.setattr("simgen.export.tables._ROWS", 4)
    out = tmp_path / "p"
    export_dataset(flat_dataset, out, ExportOptions(format="parquet", images="none"))
    assert sorted(p.name for p in out.iterdir()) == [
        "annotations.parquet", "export.json", "images.parquet",
    ]  # fmt: skip
    file = parquet.ParquetFile(out / "images.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [4, 3]
    assert all((flat_dataset / n).is_file() for n in file.read()["file_name"].to_pylist())


def test_parquet_without_pyarrow_names_the_extra(flat_dataset, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(ConfigError, match=r'format=parquet: needs pyarrow; pip install "simgen\['):
        export_dataset(flat_dataset, tmp_path / "p", ExportOptions(format="parquet"))


@pytest.fixture
def ultralytics(monkeypatch, tmp_path):
    pytest.importorskip("ultralytics", reason="extra `yolo`")
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path / "settings"))
    from simgen.train.ultralytics_env import import_ultralytics

    return import_ultralytics()


@pytest.mark.parametrize("task", ["detect", "segment"])
def test_ultralytics_reads_every_label(task, flat_dataset, tmp_path, ultralytics):
    from ultralytics.data.build import build_yolo_dataset
    from ultralytics.data.utils import check_det_dataset, polygon2mask
    from ultralytics.utils import DEFAULT_CFG, IterableSimpleNamespace

    out = tmp_path / "y"
    name = "yolo" if task == "detect" else "yolo_segment"
    export_dataset(flat_dataset, out, ExportOptions(format=name, split=0.5))
    coco, _ = stored(flat_dataset)
    by_image = {}
    for annotation in coco["annotations"]:
        by_image.setdefault(annotation["image_id"], []).append(annotation)
    data = check_det_dataset(out / "data.yaml")
    assert data["names"] == {0: "disc", 1: "plate", 2: "scratch", 3: "pit"}
    config = IterableSimpleNamespace(**{**vars(DEFAULT_CFG), "task": task, "imgsz": 64})
    seen = 0
    for side in ("train", "val"):
        dataset = build_yolo_dataset(config, data[side], 1, data, mode="val")
        for label in dataset.labels:
            frame = int(os.path.basename(label["im_file"]).split(".")[0])
            mine = by_image.get(frame + 1, [])
            assert len(label["cls"]) == len(mine)
            # Detection rows come back sorted, and where two are equal only once.
            order = range(len(mine))
            if task == "detect":
                order = [
                    int(np.argmin([abs(_row(a) - row).max() for a in mine]))
                    for row in np.concatenate([label["cls"], label["bboxes"]], axis=1)
                ]
                assert sorted(order) == list(range(len(mine)))
            for row, k in enumerate(order):
                np.testing.assert_allclose(
                    np.concatenate([label["cls"][row], label["bboxes"][row]]),
                    _row(mine[k]),
                    atol=0.021 / 48 if task == "segment" else 1e-6,
                )
            for points, annotation in zip(label["segments"], mine, strict=False):
                points = points * np.float32([64, 48])
                painted = polygon2mask((48, 64), [points.reshape(-1)]) > 0
                mask = decode_mask(annotation["segmentation"], 48, 64)
                assert not (mask & ~painted).any()
                assert (mask & painted).sum() / (mask | painted).sum() > 0.8
            seen += len(mine)
    assert seen == len(coco["annotations"])


def _row(annotation):
    x, y, w, h = annotation["bbox"]
    return np.array(
        [annotation["category_id"] - 1, (x + w / 2) / 64, (y + h / 2) / 48, w / 64, h / 48]
    )


def test_an_image_in_a_tar_is_the_file_itself(flat_dataset, tmp_path):
    export_dataset(flat_dataset, tmp_path / "w", ExportOptions(format="webdataset"))
    with tarfile.open(tmp_path / "w/train-000000.tar") as tar:
        data = tar.extractfile("00000003.png").read()
    assert data == (flat_dataset / "shards/00001/images/00000003.png").read_bytes()
    assert Image.open(io.BytesIO(data)).size == (64, 48)


def test_a_dataset_in_s3_is_exported_as_one_in_a_folder(tmp_path, monkeypatch, capsys):
    pytest.importorskip("s3fs", reason="extra `cluster`")
    pytest.importorskip("moto.server", reason="extra `dev`")
    import fsspec
    from s3_server import BUCKET, s3_server

    with s3_server() as server:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
        }.items():
            monkeypatch.setenv(name, value)
        fs = fsspec.filesystem("s3", use_listings_cache=False, skip_instance_cache=True)
        if not fs.exists(BUCKET):
            fs.mkdir(BUCKET)
        for out in (f"s3://{BUCKET}/exported", str(tmp_path / "d")):
            render_dataset(
                stand_in.config(out, frames=2), stand_in.CATEGORIES, renderer="stand_in:StandIn"
            )
            name = Path(out).name
            keys = ["format=yolo", f"out={tmp_path / 'out' / name}"]
            assert main(["export", out, *keys]) == 0
    assert "2 images of 2 scenes" in capsys.readouterr().out
    for path in (tmp_path / "out/d").rglob("*.*"):
        if path.is_file() and path.name != "export.json":
            copy = tmp_path / "out/exported" / path.relative_to(tmp_path / "out/d")
            assert copy.read_bytes() == path.read_bytes()
