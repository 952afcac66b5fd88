"""Depth, normals, instance ids and poses: what they say, and what `check` finds of them."""

import dataclasses
import json
import shutil

import cv2
import numpy as np
import pytest
import resealed
import stand_in
from pycocotools import mask as rle

from simgen.config.render import OutputsConfig
from simgen.dataset.check import check_dataset
from simgen.dataset.outputs import output_files, pose_record
from simgen.dataset.pictures import read_image
from simgen.dataset.replayed import read_frame
from simgen.defects.surface import build_surfaces
from simgen.errors import RenderError
from simgen.geometry import rotation_matrix
from simgen.label.annotation import Frame, FrameGeometry
from simgen.label.cast import CastScene
from simgen.parts.build import build_mesh


@pytest.fixture
def copy(inspection_dataset, tmp_path):
    return shutil.copytree(inspection_dataset, tmp_path / "copy")


@pytest.fixture(scope="module")
def first(inspection_dataset):
    """The first frame's scene and its outputs, read back by OpenCV."""
    folder = inspection_dataset / "shards/00000"
    images = {
        kind: cv2.imread(str(folder / f"{kind}/00000000.png"), cv2.IMREAD_UNCHANGED)
        for kind in ("depth", "normals", "instances")
    }
    pose = json.loads((folder / "poses.jsonl").read_text().splitlines()[0])
    return read_frame(inspection_dataset, 0), images, pose


def test_depth_and_ids_are_what_rays_see_in_the_unit_stated(first):
    stored, images, _ = first
    rays = CastScene(stored.scene, [build_surfaces(o) for o in stored.scene.objects]).labels()
    same = images["instances"] == rays.ids
    assert images["depth"].dtype == images["instances"].dtype == np.uint16
    assert same.mean() > 0.999
    difference = np.abs(images["depth"] * 0.1 - rays.depth_mm)[same]
    assert np.quantile(difference, 0.999) < 0.06


def test_normals_are_of_unit_length_in_camera_axes_and_face_the_camera(first):
    stored, images, _ = first
    assert images["normals"].dtype == np.uint16
    normals = images["normals"][..., ::-1] / 65535 * 2 - 1
    shown = images["instances"] > 0
    np.testing.assert_allclose(np.linalg.norm(normals[shown], axis=1), 1, atol=2e-3)
    assert (normals[shown][:, 2] < 0.05).mean() > 0.98
    # The bench lies flat: its normal is the world's z, seen by the camera.
    bench = next(k for k, o in enumerate(stored.scene.objects, 1) if o.name == "bench")
    up = rotation_matrix(stored.scene.camera.pose.quaternion).T @ [0, 0, 1]
    np.testing.assert_allclose(np.median(normals[images["instances"] == bench], 0), up, atol=1e-3)


def test_a_part_put_through_its_pose_and_k_fills_its_mask(first):
    stored, images, pose = first
    k = np.reshape(pose["camera"]["K"], (3, 3))
    labels = {a["id"]: a for a in stored.annotations}
    parts = [o for o in pose["objects"] if o["annotation_id"]]
    assert len(parts) == sum("part_annotation_id" not in a for a in stored.annotations)
    for item in parts:
        mesh = build_mesh(stored.scene.objects[item["instance"] - 1].shape)
        turn, shift = (
            np.reshape(item["camera_from_part"]["R"], (3, 3)),
            item["camera_from_part"]["t_mm"],
        )
        seen = mesh.vertices_mm @ turn.T + shift
        pixels = (seen @ k.T)[:, :2] / seen[:, 2:]
        ends = np.clip([pixels.min(0), pixels.max(0)], 0, [199, 159])
        x, y, width, height = labels[item["annotation_id"]]["amodal_bbox"]
        assert np.abs(ends - [[x, y], [x + width - 1, y + height - 1]]).max() < 1.1
        mask = rle.decode(labels[item["annotation_id"]]["segmentation"]) > 0
        np.testing.assert_array_equal(images["instances"] == item["instance"], mask)


def with_geometry(**keys):
    drawn = stand_in.StandIn(stand_in.config("unused")).frame(0)
    ids = np.ones((48, 64), np.uint32)
    plain = FrameGeometry(
        ids=ids, depth_mm=np.full(ids.shape, 10.0, np.float32),
        normal=np.tile(np.float32([0, 0, 1]), (*ids.shape, 1)),
    )  # fmt: skip
    return dataclasses.replace(drawn, geometry=dataclasses.replace(plain, **keys))


def decoded(frame: Frame, **outputs):
    files = dict(output_files(frame, OutputsConfig(**outputs)))
    return {
        name.split("/")[0]: cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        for name, data in files.items()
    }


def test_depth_that_16_bit_cannot_hold_is_0_and_the_unit_is_the_configs():
    depth = np.full((48, 64), 10.0, np.float32)
    depth[0, :2] = 6553.5, 6553.7
    frame = with_geometry(depth_mm=depth)
    fine = decoded(frame, depth=True)["depth"]
    assert fine[1, 1] == 100 and fine[0, 0] == 65535 and fine[0, 1] == 0
    assert decoded(frame, depth=True, depth_unit_mm=1)["depth"][0, 1] == 6554


def test_more_objects_than_16_bit_counts_are_refused():
    frame = with_geometry(ids=np.full((48, 64), 70_000, np.uint32))
    with pytest.raises(RenderError, match="frame 0 has over 65535 objects; use fewer"):
        decoded(frame, instances=True)


def test_a_renderer_without_geometry_is_told_so():
    frame = stand_in.StandIn(stand_in.config("unused")).frame(0)
    for wanted in ({"depth": True}, {"normals": True}, {"instances": True}):
        with pytest.raises(RenderError, match="this renderer gives no geometry; leave depth"):
            decoded(frame, **wanted)
    with pytest.raises(RenderError, match="gives no geometry"):
        pose_record(frame)


def test_poses_of_a_cropped_image_have_the_k_of_the_crop():
    drawn = with_geometry()
    camera = dataclasses.replace(drawn.spec.camera, cx=30.0, cy=20.0)
    sensor = dataclasses.replace(drawn.spec.sensor, crop=(7, 3, 20, 20))
    spec = dataclasses.replace(drawn.spec, camera=camera, sensor=sensor)
    record = pose_record(dataclasses.replace(drawn, spec=spec, annotations=()))
    assert record["camera"]["K"] == [50.0, 0.0, 23.0, 0.0, 50.0, 17.0, 0.0, 0.0, 1.0]


def forget_depth(folder):
    (folder / "depth/00000001.png").unlink()


def move_instances(folder):
    path = folder / "instances/00000001.png"
    pixels = read_image(path)
    cv2.imwrite(str(path), np.roll(pixels, 3, axis=1))


def shrink_normals(folder):
    path = folder / "normals/00000001.png"
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(path), np.where(pixels > 0, 30_000, 0).astype(np.uint16))


def make_depth_8_bit(folder):
    path = folder / "depth/00000001.png"
    cv2.imwrite(str(path), (read_image(path) >> 8).astype(np.uint8))


def change_pose(change):
    def damage(folder):
        records = resealed.lines(folder / "poses.jsonl")
        part = next(o for o in records[1]["objects"] if o["annotation_id"])
        change(records, part)
        resealed.write_lines(folder / "poses.jsonl", records)

    return damage


DAMAGE = {
    "depth image is missing or damaged": forget_depth,
    "part mask is not its instance's pixels": move_instances,
    "normals are not of unit length": shrink_normals,
    "depth image is not 160x200 of 16 bit": make_depth_8_bit,
    "pose is no rotation and translation": change_pose(
        lambda records, part: part["camera_from_part"].update(R=[2.0] * 9)
    ),
    "pose names another instance than the mask's": change_pose(
        lambda records, part: part.update(instance=part["instance"] + 1)
    ),
    "part has no pose": change_pose(lambda records, part: part.update(annotation_id=0)),
    "poses are missing": change_pose(lambda records, part: records.pop()),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_found_and_named_also_with_every_hash_made_right(copy, kind):
    DAMAGE[kind](copy / "shards/00000")
    resealed.reseal(copy)
    assert (kind, "frame 1") in {(f.kind, f.where) for f in check_dataset(copy).faults}
