"""What only the ray caster can find: labels that agree with every hash, but not with the scene."""

import dataclasses
import json
import shutil
import sys

import numpy as np
import pytest
import resealed

import scenes
from simgen.cli.main import main
from simgen.config.render import RendererConfig
from simgen.dataset.check import check_dataset
from simgen.defects.surface import build_surfaces
from simgen.errors import RenderError
from simgen.label.cast import CastScene, pixel_directions
from simgen.label.masks import view_masks
from simgen.render.buffers import Window
from simgen.render.raster import Raster


@pytest.fixture
def copy(inspection_dataset, tmp_path):
    return shutil.copytree(inspection_dataset, tmp_path / "copy")


def kinds(folder, audit=2):
    return {(f.kind, f.where.split(",")[0]) for f in check_dataset(folder, audit=audit).faults}


def parts_of(records, image):
    return [a for a in records if a["image_id"] == image and "part_annotation_id" not in a]


def test_what_the_renderer_wrote_is_what_rays_see(inspection_dataset):
    checked = check_dataset(inspection_dataset, audit=9)
    assert checked.faults == ()
    assert checked.audited == (0, 1) and checked.not_audited == ()
    assert sum(entry["instances"] for entry in checked.categories.values()) > 4


MASK = ("segmentation", "bbox", "area", "amodal_bbox", "visibility")


def test_masks_swapped_with_every_hash_made_right_are_found(copy):
    path = copy / "shards/00000/annotations.jsonl"
    records = resealed.lines(path)
    parts = parts_of(records, 2)
    a, b = next((x, y) for x in parts for y in parts if x["category_id"] < y["category_id"])
    for key in MASK:
        a[key], b[key] = b[key], a[key]
    resealed.write_lines(path, records)
    resealed.reseal(copy)
    assert {where for kind, where in kinds(copy) if "rays" in kind} == {"frame 1"}


def test_a_label_left_out_with_every_hash_made_right_is_found(copy):
    path = copy / "shards/00000/annotations.jsonl"
    records = resealed.lines(path)
    gone = parts_of(records, 1)[-1]
    kept = [a for a in records if a is not gone and a.get("part_annotation_id") != gone["id"]]
    resealed.write_lines(path, kept)
    resealed.reseal(copy)
    found = [kind for kind, where in kinds(copy) if where == "frame 0"]
    assert any(kind.startswith("rays see 1 x ") for kind in found)


@pytest.mark.parametrize(
    ("key", "change", "kind"),
    [
        ("visibility", lambda v: v / 2, "visibility is not what rays see"),
        ("amodal_bbox", lambda b: [0.0, 0.0, 200.0, 160.0], "amodal box is not what rays see"),
    ],
)
def test_a_value_that_the_mask_does_not_show_is_found(copy, key, change, kind):
    path = copy / "shards/00000/annotations.jsonl"
    records = resealed.lines(path)
    part = parts_of(records, 1)[0]
    part[key] = change(part[key])
    resealed.write_lines(path, records)
    resealed.reseal(copy)
    assert (kind, "frame 0") in kinds(copy, audit=1)


def test_a_scene_that_is_not_the_images_is_found(copy):
    path = copy / "shards/00000/frames.jsonl"
    records = resealed.lines(path)
    place = records[0]["spec"]["camera"]["pose"]["position_mm"]
    resealed.respell(records[0], "camera.pose.position_mm", [place[0] + 30, *place[1:]])
    records[1]["spec"]["environment"]["intensity"] += 0.5
    resealed.write_lines(path, records)
    resealed.reseal(copy)
    found = kinds(copy)
    assert ("mask is not what rays see", "frame 0") in found
    assert ("scene differs from its hash", "frame 1") in found


def test_a_defect_of_another_size_than_the_scenes_is_found(copy):
    path = copy / "shards/00000/annotations.jsonl"
    records = resealed.lines(path)
    defect = next(a for a in records if "defect_mm" in a)
    defect["defect_mm"] = {name: value + 0.1 for name, value in defect["defect_mm"].items()}
    resealed.write_lines(path, records)
    resealed.reseal(copy)
    assert "defect_mm is not the scene's" in {kind for kind, _ in kinds(copy)}


LENS = (-0.25, 0.08, 0.004, -0.003, 0.01)


def test_rays_follow_the_lens_as_the_renderer_does():
    view = dataclasses.replace(scenes.camera((40.0, -60.0, 160.0)), distortion=LENS)
    near = scenes.plate(name="near", at=(-8.0, 4.0, 20.0), length=20.0, width=14.0)
    spec = scenes.scene(scenes.plate(), near, view=view)
    pairs = [build_surfaces(item) for item in spec.objects]
    renderer = Raster(RendererConfig(allow_software=True))
    try:
        drawn = renderer.open(spec, pairs)
        seen = drawn.labels()
        masks = view_masks(spec, drawn, seen)
        drawn.close()
    finally:
        renderer.close()
    rays = CastScene(spec, pairs)
    cast = rays.labels()
    by_rays = view_masks(spec, rays, cast)
    # The renderer takes the nearest pixel of a pinhole image, rays are exact.
    assert 0 < (cast.ids != seen.ids).mean() < 0.01
    for k in (0, 1):
        difference = by_rays.amodal[k] ^ masks.amodal[k]
        assert difference.sum() < 0.02 * masks.amodal[k].sum()
    straight = dataclasses.replace(view, distortion=(0.0,) * 5)
    window = Window(x0=0, y0=0, x1=200, y1=200)
    moved = pixel_directions(view, window) - pixel_directions(straight, window)
    assert np.abs(moved).max() > 2 / 400


def test_without_the_ray_caster_check_says_what_to_install(
    flat_dataset, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "embreex", None)
    with pytest.raises(RenderError, match=r'pip install "simgen\[audit\]"'):
        check_dataset(flat_dataset, audit=1)
    assert main(["check", str(flat_dataset), f"out={tmp_path}"]) == 0
    assert 'not compared with rays: casting rays needs embreex; pip install "simgen[audit]"' in (
        capsys.readouterr().out
    )


def test_frames_of_a_renderer_that_shows_no_scene_are_left_out_and_named(flat_dataset):
    checked = check_dataset(flat_dataset, audit=2)
    assert checked.audited == ()
    assert checked.not_audited[0] == "frame 0: drawn by a renderer that shows no SceneSpec"


def test_a_scene_that_names_files_is_not_followed(copy, tmp_path):
    path = copy / "shards/00000/frames.jsonl"
    records = resealed.lines(path)
    file = {"path": "/etc/hostname", "unit": "mm", "sha256": "0" * 64}
    resealed.respell(records[0], "objects.0.shape", {"kind": "file", "size_mm": {}, "file": file})
    resealed.respell(records[1], "objects.0.marks", [defect_of("evil")])
    resealed.write_lines(path, records)
    resealed.reseal(copy)
    checked = check_dataset(copy, audit=2)
    assert "needs the mesh file '/etc/hostname', outside the dataset" in checked.not_audited[0]
    assert "a kind of defect of your own, 'evil'" in checked.not_audited[1]
    assert json.loads((copy / "manifest.json").read_text())["frames"] == 2


def defect_of(kind):
    return {
        "kind": kind, "anchor_mm": [0, 0, 0], "normal": [0, 0, 1], "tangent": [1, 0, 0],
        "size_mm": {},
    }  # fmt: skip
