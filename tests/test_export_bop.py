"""The BOP export: its fields, and geometry judged by rays through what the files say alone."""

import hashlib
import json
import shutil

import cv2
import numpy as np
import pytest
import resealed
import trimesh
from pycocotools import mask as rle
from scipy.spatial.distance import pdist

from simgen.cli.main import main
from simgen.errors import ConfigError, DatasetError
from simgen.export import ExportOptions, export_dataset

pytest.importorskip("embreex", reason="extra `audit`")

SIZE = (160, 200)


@pytest.fixture(scope="module")
def bop(inspection_dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("bop") / "b"
    export_dataset(inspection_dataset, out, ExportOptions(format="bop"))
    return out


@pytest.fixture(scope="module")
def labels(inspection_dataset):
    """Annotations of parts by image id, in the order of their poses."""
    coco = json.loads((inspection_dataset / "coco.json").read_text())
    kinds = {c["id"]: c for c in coco["categories"]}
    found = {}
    for annotation in coco["annotations"]:
        kind = kinds[annotation["category_id"]]
        if kind["supercategory"] == "part":
            found.setdefault(annotation["image_id"], {})[annotation["id"]] = annotation, kind
    return found


def read(path):
    return json.loads(path.read_text())


def png(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def instances(bop, dataset):
    """Yield (frame, position, camera, pose, visibility, stored object of poses.jsonl)."""
    scene = bop / "train/000000"
    camera, gt, info = (read(scene / f"scene_{name}.json") for name in ("camera", "gt", "gt_info"))
    assert list(camera) == list(gt) == list(info) == ["0", "1"]
    stored = resealed.lines(dataset / "shards/00000/poses.jsonl")
    for frame, record in enumerate(stored):
        parts = [o for o in record["objects"] if o["category"] is not None]
        for k, (pose, seen, item) in enumerate(
            zip(gt[str(frame)], info[str(frame)], parts, strict=True)
        ):
            yield frame, k, camera[str(frame)], pose, seen, item


def test_files_are_where_the_format_wants_them(bop, inspection_dataset):
    scene = bop / "train/000000"
    assert sorted(p.name for p in bop.iterdir()) == [
        "camera.json", "dataset_info.md", "export.json", "models", "train",
    ]  # fmt: skip
    assert sorted(p.name for p in scene.iterdir()) == [
        "depth", "mask", "mask_visib", "rgb", "scene_camera.json", "scene_gt.json",
        "scene_gt_info.json",
    ]  # fmt: skip
    shard = inspection_dataset / "shards/00000"
    for frame in range(2):
        for kind, original in (("rgb", "images"), ("depth", "depth")):
            copy = (scene / kind / f"{frame:06d}.png").read_bytes()
            assert copy == (shard / original / f"{frame:08d}.png").read_bytes()
    known = {"fx", "fy", "cx", "cy", "depth_scale", "width", "height"}
    assert set(read(bop / "camera.json")) == known
    made = read(bop / "export.json")
    assert made["config_sha256"] in (bop / "dataset_info.md").read_text()
    assert made["facts"]["models"] == len(list((bop / "models").glob("obj_*.ply")))


def test_masks_and_counts_are_the_labels(bop, inspection_dataset, labels):
    met = set()
    for frame, k, _, _, seen, item in instances(bop, inspection_dataset):
        scene = bop / "train/000000"
        whole, visible = (
            png(scene / kind / f"{frame:06d}_{k:06d}.png") for kind in ("mask", "mask_visib")
        )
        assert whole.shape == visible.shape == SIZE and whole.dtype == np.uint8
        assert set(np.unique(whole)) <= {0, 255} and (whole >= visible).all()
        label, kind = labels[frame + 1].get(item["annotation_id"], (None, None))
        assert seen["px_count_visib"] == (visible > 0).sum()
        assert seen["visib_fract"] == seen["px_count_visib"] / max(1, seen["px_count_all"])
        assert seen["px_count_visib"] <= seen["px_count_valid"] <= (whole > 0).sum()
        assert seen["px_count_all"] >= (whole > 0).sum()
        if label is None:
            assert seen["px_count_visib"] == 0 and seen["bbox_visib"] == [-1, -1, -1, -1]
            continue
        met.add(label["id"])
        assert kind["name"] == item["category"]
        np.testing.assert_array_equal(visible > 0, rle.decode(label["segmentation"]) > 0)
        x, y, width, height = label["bbox"]
        assert seen["bbox_visib"] == [x, y, width - 1, height - 1]
        # Within the image the silhouette is the amodal mask: of dented parts too, to a pixel.
        ys, xs = np.nonzero(whole)
        x, y, width, height = label["amodal_bbox"]
        box = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
        assert np.abs(box - [x, y, x + width, y + height]).max() <= 1
        share = seen["px_count_visib"] / (whole > 0).sum()
        assert abs(share - label["visibility"]) < 0.02
    assert met == {n for image in labels.values() for n in image}


def test_a_model_in_its_pose_gives_depth_and_covers_its_mask(bop, inspection_dataset):
    for frame, k, camera, pose, seen, _ in instances(bop, inspection_dataset):
        scene = bop / "train/000000"
        model = trimesh.load(bop / f"models/obj_{pose['obj_id']:06d}.ply", process=False)
        turn = np.reshape(pose["cam_R_m2c"], (3, 3))
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)
        placed = model.copy()
        placed.vertices = model.vertices @ turn.T + pose["cam_t_m2c"]
        visible = png(scene / f"mask_visib/{frame:06d}_{k:06d}.png") > 0
        rows, columns = np.nonzero(visible)
        pixels = np.stack([columns, rows, np.ones(len(rows))], axis=1)
        rays = pixels @ np.linalg.inv(np.reshape(camera["cam_K"], (3, 3))).T
        at, which, _ = placed.ray.intersects_location(
            np.zeros_like(rays), rays, multiple_hits=False
        )
        stored = png(scene / f"depth/{frame:06d}.png")[rows, columns] * camera["depth_scale"]
        off = np.abs(at[:, 2] - stored[which])
        # Damage moves some pixels; all else agrees to half a unit of depth and a float's end.
        assert len(which) > 0.98 * len(rows)
        assert np.median(off) < 0.06 and (off < 0.2).mean() > 0.9
        world = np.reshape(camera["cam_R_w2c"], (3, 3))
        assert np.linalg.det(world) == pytest.approx(1)
        if seen["visib_fract"] == 1:
            shown = placed.vertices @ np.reshape(camera["cam_K"], (3, 3)).T
            ends = shown[:, :2] / shown[:, 2:]
            x, y, width, height = seen["bbox_obj"]
            box = np.array([[x, y], [x + width, y + height]])
            assert np.abs(np.array([ends.min(0), ends.max(0)]) - box).max() < 1.1


def test_models_are_centred_and_described(bop):
    info = read(bop / "models/models_info.json")
    shapes = read(bop / "models/shapes.json")
    assert list(info) == list(shapes) == [str(i + 1) for i in range(len(info))]
    for number, entry in info.items():
        path = bop / f"models/obj_{int(number):06d}.ply"
        assert path.read_text().startswith("ply\nformat ascii 1.0\ncomment simulated by simgen")
        model = trimesh.load(path, process=False)
        low, high = model.bounds
        np.testing.assert_allclose(low, [entry["min_x"], entry["min_y"], entry["min_z"]], atol=1e-4)
        np.testing.assert_allclose(low, -high, atol=1e-4)
        sizes = [entry["size_x"], entry["size_y"], entry["size_z"]]
        np.testing.assert_allclose(high - low, sizes, atol=1e-4)
        hull = model.convex_hull.vertices
        assert entry["diameter"] == pytest.approx(pdist(hull).max(), rel=1e-6)
        assert np.abs(np.linalg.norm(model.vertex_normals, axis=1) - 1).max() < 1e-4
        assert model.is_volume or trimesh.Trimesh(model.vertices, model.faces).is_watertight
    assert not any("symmetries" in key for entry in info.values() for key in entry)


def test_the_toolkit_reads_it(bop, inspection_dataset):
    pytest.importorskip("bop_toolkit_lib", reason="bop_toolkit_lib is not on PyPI")
    from bop_toolkit_lib import inout
    from bop_toolkit_lib.dataset import bop_scenewise

    scene = bop / "train/000000"
    infos = bop_scenewise.read_scene_infos(scene, read_image_ids=True, read_n_objects=True)
    assert infos["image_ids"] == [0, 1] and infos["has_mask_visib"] and infos["has_gt_info"]
    for frame in range(2):
        data = bop_scenewise.load_image_data(
            scene, frame, load_mask=True, load_gt=True, load_gt_info=True
        )
        assert data["im_rgb"].shape == (*SIZE, 3)
        count = len(data["gt"])
        assert data["mask"].shape == data["mask_visib"].shape == (count, *SIZE)
        for gt, info, mask in zip(data["gt"], data["gt_info"], data["mask_visib"], strict=True):
            assert info["px_count_visib"] == (mask > 0).sum()
            model = inout.load_ply(bop / f"models/obj_{gt['obj_id']:06d}.ply")
            assert model["faces"].max() == len(model["pts"]) - 1
            placed = model["pts"] @ gt["cam_R_m2c"].T + gt["cam_t_m2c"].T
            there = data["im_depth"][mask > 0]
            # Depth in mm, after the toolkit's own scaling.
            assert placed[:, 2].min() - 1 < np.median(there) < placed[:, 2].max() + 1


def test_a_split_and_a_second_export_are_the_same_frames(inspection_dataset, bop, tmp_path):
    export_dataset(inspection_dataset, tmp_path / "s", ExportOptions(format="bop", split=0.4))
    for frame, side in ((0, "val"), (1, "train")):
        for kind in ("rgb", "depth"):
            name = f"000000/{kind}/{frame:06d}.png"
            assert (tmp_path / "s" / side / name).read_bytes() == (
                bop / "train" / name
            ).read_bytes()
        for name in ("scene_gt", "scene_gt_info", "scene_camera"):
            half = read(tmp_path / f"s/{side}/000000/{name}.json")
            assert half == {str(frame): read(bop / f"train/000000/{name}.json")[str(frame)]}
    for path in (bop / "models").iterdir():
        assert path.read_bytes() == (tmp_path / "s/models" / path.name).read_bytes()


def changed(dataset, tmp_path, name, change):
    """A copy with one record changed and the hashes on the way made right."""
    copy = shutil.copytree(dataset, tmp_path / "copy")
    shard = copy / "shards/00000"
    records = resealed.lines(shard / name)
    change(records[1])
    resealed.write_lines(shard / name, records)
    manifest = read(shard / "manifest.json")
    manifest["files"][name] = hashlib.sha256((shard / name).read_bytes()).hexdigest()
    (shard / "manifest.json").write_text(json.dumps(manifest))
    top = read(copy / "manifest.json")
    data = (shard / "manifest.json").read_bytes()
    top["shards"][0]["manifest_sha256"] = hashlib.sha256(data).hexdigest()
    (copy / "manifest.json").write_text(json.dumps(top))
    return copy


def bend_part(objects):
    part = next(o for o in objects if o["category"] is not None)
    part["camera_from_part"]["R"][0] *= 2


@pytest.mark.parametrize(
    "name, change, error, message",
    [
        ("poses.jsonl", lambda r: r["camera"].update(distortion=[0.1, 0, 0, 0, 0]), ConfigError,
         "frame 1 has lens distortion, which BOP has no field for; .* k1, k2, k3, p1 and p2 at 0"),
        ("poses.jsonl", lambda r: r["camera"].update(K=[0] * 9), DatasetError, "its camera is not"),
        ("poses.jsonl", lambda r: r["objects"].pop(), DatasetError, "not those of its scene"),
        ("poses.jsonl", lambda r: bend_part(r["objects"]),
         DatasetError, "pose of instance"),
        ("frames.jsonl", lambda r: r.update(spec={}), DatasetError, "stored scene cannot be read"),
    ],
)  # fmt: skip
def test_what_bop_cannot_say_is_refused(name, change, error, message, inspection_dataset, tmp_path):
    copy = changed(inspection_dataset, tmp_path, name, change)
    with pytest.raises(error, match=message):
        export_dataset(copy, tmp_path / "b", ExportOptions(format="bop"))
    assert [p.name for p in tmp_path.iterdir()] == ["copy"]


def test_without_the_ray_caster_the_extra_is_named(
    inspection_dataset, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(__import__("sys").modules, "embreex", None)
    assert main(["export", str(inspection_dataset), "format=bop", f"out={tmp_path}/b"]) == 2
    message = 'error: format=bop: needs embreex; pip install "simgen[audit]"\n'
    assert capsys.readouterr().err == message
