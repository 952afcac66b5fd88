"""A frame again from its stored scene alone, and the scene as glTF."""

import io
import json
import shutil
import struct

import cv2
import numpy as np
import pytest
import resealed
import trimesh
from PIL import Image

import scenes
from simgen.cli.main import main
from simgen.dataset.glb import write_glb
from simgen.dataset.glb_material import vertex_tangents
from simgen.dataset.replayed import read_frame
from simgen.parts.build import build_mesh
from simgen.scene.spec import DefectSpec, ShapeSpec

SOFTWARE = "renderer.allow_software=true"


@pytest.fixture
def copy(inspection_dataset, tmp_path):
    return shutil.copytree(inspection_dataset, tmp_path / "copy")


def replay(folder, *words):
    return main(["replay", str(folder), SOFTWARE, *words])


def test_a_frame_rendered_again_is_the_same_byte_for_byte(
    inspection_dataset, tmp_path, monkeypatch, capsys
):
    # The scene family is not needed: the stored scene has everything decided.
    monkeypatch.setattr("simgen.pipeline.load_family", None)
    again = tmp_path / "again.png"
    assert replay(inspection_dataset, "frame=1", f"out={again}") == 0
    assert "frame 1: the same image and labels, byte for byte" in capsys.readouterr().out
    stored = Image.open(inspection_dataset / "shards/00000/images/00000001.png")
    np.testing.assert_array_equal(np.asarray(Image.open(again)), np.asarray(stored))


def test_another_image_and_another_label_are_told_with_what_they_were_made_with(copy, capsys):
    image = copy / "shards/00000/images/00000000.png"
    pixels = np.array(Image.open(image))
    pixels[:40] = 255 - pixels[:40]
    Image.fromarray(pixels).save(image)
    labels = resealed.lines(copy / "shards/00000/annotations.jsonl")
    labels[0]["bbox"][0] += 40
    resealed.write_lines(copy / "shards/00000/annotations.jsonl", labels)
    manifest = json.loads((copy / "shards/00000/manifest.json").read_text())
    manifest["made_with"]["versions"]["numpy"] = "1.26.0"
    (copy / "shards/00000/manifest.json").write_text(json.dumps(manifest))
    assert replay(copy, "frame=0") == 1
    said = capsys.readouterr().out
    assert "of the pixels differ" in said
    assert "annotation 1: bbox [" in said
    assert f"versions.numpy: 1.26.0 -> {np.__version__}" in said
    assert "That is more than another driver or CPU explains." in said


def test_a_small_difference_passes_only_if_something_else_made_it(copy, capsys):
    image = copy / "shards/00000/images/00000000.png"
    pixels = np.array(Image.open(image))
    pixels[5, 5, 0] ^= 1
    Image.fromarray(pixels).save(image)
    assert replay(copy, "frame=0") == 1
    assert "nothing explains it" in capsys.readouterr().out
    path = copy / "shards/00000/manifest.json"
    manifest = json.loads(path.read_text())
    manifest["made_with"]["renderer"]["renderer"] = "another driver"
    path.write_text(json.dumps(manifest))
    assert replay(copy, "frame=0") == 0
    assert "renderer.renderer: another driver -> " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["frame=7"], "holds no frame 7; its last one is 1"),
        ([], "frame: required value is missing; set frame=N"),
        (["frame=-1"], "frame: expected a whole number of at least 0, got '-1'"),
        (["frame=0", "fram=2"], "fram: unknown key; did you mean 'frame'?"),
        (["frame=0", "files=yes"], "files: expected allow, got 'yes'"),
    ],
)
def test_a_mistake_is_one_line(inspection_dataset, words, message, capsys):
    assert replay(inspection_dataset, *words) == 2
    assert message in capsys.readouterr().err


def test_a_scene_that_cannot_be_drawn_is_one_line(copy, capsys):
    path = copy / "shards/00000/frames.jsonl"
    records = resealed.lines(path)
    resealed.respell(records[0], "objects.0.finish.kind", "gold")
    resealed.respell(records[1], "camera.width", 10**9)
    resealed.write_lines(path, records)
    assert replay(copy, "frame=0") == 2
    assert "gold" in capsys.readouterr().err
    assert replay(copy, "frame=1") == 2
    assert "stored scene is not of its image's size; damaged" in capsys.readouterr().err


def test_a_label_that_is_none_is_one_line(copy, capsys):
    path = copy / "shards/00000/annotations.jsonl"
    records = resealed.lines(path)
    records[0]["id"] = [1]
    resealed.write_lines(path, records)
    assert replay(copy, "frame=0") == 2
    assert "a label of frame 0 is not as documented; run simgen check" in capsys.readouterr().err


def content_of(data):
    size = struct.unpack("<I", data[12:16])[0]
    return json.loads(data[20 : 20 + size]), data[28 + size :]


def test_the_scene_as_gltf_shows_what_the_camera_saw(inspection_dataset, tmp_path):
    path = tmp_path / "scene.glb"
    assert replay(inspection_dataset, "frame=1", f"glb={path}", "render=false") == 0
    spec = read_frame(inspection_dataset, 1).scene
    loaded = trimesh.load(path)
    content, _ = content_of(path.read_bytes())
    assert {o.name for o in spec.objects} <= set(loaded.geometry)
    # A z-up world stands upright in a y-up one.
    bench = loaded.graph.get("bench")[0]
    np.testing.assert_allclose(bench[:3, :3] @ [0, 0, 1], [0, 1, 0], atol=1e-6)
    (camera,) = content["cameras"]
    tangent = np.tan(camera["perspective"]["yfov"] / 2)
    aspect = camera["perspective"]["aspectRatio"]
    eye = np.linalg.inv(loaded.graph.get("camera")[0])
    for item in spec.objects:
        points = loaded.geometry[item.name].vertices
        to_world = loaded.graph.get(loaded.graph.geometry_nodes[item.name][0])[0]
        ours = build_mesh(item.shape).vertices_mm
        if not item.defects:
            np.testing.assert_allclose(points * 1000, ours, atol=1e-3)
        place = eye @ to_world @ np.c_[points, np.ones(len(points))].T
        x = place[0] / -place[2] / (tangent * aspect)
        y = place[1] / -place[2] / tangent
        u = (x + 1) / 2 * spec.camera.width - 0.5
        v = (1 - y) / 2 * spec.camera.height - 0.5
        view, pose = np.linalg.inv(spec.camera.pose.matrix()), item.pose.matrix()
        in_camera = (view @ pose @ np.c_[points * 1000, np.ones(len(points))].T)[:3].T
        expected, _ = cv2.projectPoints(
            in_camera, np.zeros(3), np.zeros(3), spec.camera.matrix(), None
        )
        seen = in_camera[:, 2] > 50
        np.testing.assert_allclose(np.c_[u, v][seen], expected.reshape(-1, 2)[seen], atol=0.02)


def test_the_gltf_has_three_maps_a_part_and_the_lights(inspection_dataset, tmp_path):
    path = tmp_path / "scene.glb"
    stored = read_frame(inspection_dataset, 0)
    write_glb(path, stored.scene, name="frame <0>")
    content, binary = content_of(path.read_bytes())
    for view in content["bufferViews"]:
        assert view["byteOffset"] % 4 == 0
        assert view["byteOffset"] + view["byteLength"] <= len(binary)
    assert len(content["images"]) == 3 * len(stored.scene.objects)
    for image in content["images"]:
        view = content["bufferViews"][image["bufferView"]]
        picture = np.asarray(
            Image.open(io.BytesIO(binary[view["byteOffset"] :][: view["byteLength"]]))
        ).astype(float)
        if image["name"].endswith("normal"):
            lengths = np.linalg.norm(picture / 127.5 - 1, axis=-1)
            assert np.abs(lengths - 1).max() < 0.02
            assert (picture[..., 2] > 127).mean() > 0.99
    lights = content["extensions"]["KHR_lights_punctual"]["lights"]
    for light, spec in zip(lights, stored.scene.lights, strict=True):
        metres = np.linalg.norm(np.subtract(spec.position_mm, spec.target_mm)) / 1000
        brightest = light["intensity"] / metres**2 / 683
        np.testing.assert_allclose(
            np.multiply(light["color"], brightest), np.multiply(spec.colour, spec.irradiance)
        )


def test_tangents_lie_on_the_surface_along_u_and_their_bitangents_against_v():
    mesh = build_mesh(ShapeSpec(kind="cylinder", size_mm={"radius": 10, "length": 30}, texel_mm=1))
    tangents = vertex_tangents(mesh).astype(float)
    along, sign = tangents[:, :3], tangents[:, 3]
    np.testing.assert_allclose(np.linalg.norm(along, axis=1), 1, atol=1e-5)
    assert np.abs(np.einsum("ni,ni->n", along, mesh.normals)).max() < 1e-5
    bitangent = np.cross(mesh.normals, along) * sign[:, None]
    for a, b, c in mesh.faces[:: max(1, len(mesh.faces) // 60)]:
        edges = mesh.vertices_mm[[b, c]] - mesh.vertices_mm[a]
        uv = (mesh.uv[[b, c]] - mesh.uv[a]) * [mesh.map_width, mesh.map_height]
        # Charts are laid flat at one scale: lengths on the surface are lengths on the map.
        mean = [(v[a] + v[b] + v[c]) / 3 for v in (along, bitangent)]
        for edge, (du, dv) in zip(edges, uv, strict=True):
            assert abs(edge @ mean[0] - du) < 0.1 * np.linalg.norm(edge) + 1e-3
            assert abs(edge @ mean[1] + dv) < 0.1 * np.linalg.norm(edge) + 1e-3


def test_a_glb_that_cannot_be_written_is_one_line(inspection_dataset, capsys):
    assert replay(inspection_dataset, "frame=0", "glb=/dev/null/x.glb", "render=false") == 2
    assert "/dev/null" in capsys.readouterr().err


def test_a_break_leaves_its_fracture_in_the_gltf(tmp_path):
    chip = DefectSpec(
        kind="break", anchor_mm=(15.0, 0.0, 3.0), normal=(0.0, 0.0, 1.0), tangent=(0.0, 1.0, 0.0),
        size_mm={"length": 8.0, "width": 3.0, "depth": 3.0}, missing_material=True, seed=3,
        values={"lumps": 0.05, "tone": 0.3, "roughness": 0.6, "grain": 0.3, "tilt_deg": 0.0},
    )  # fmt: skip
    plate = scenes.plate(chip, length=30.0, width=20.0, texel_mm=0.5)
    write_glb(
        tmp_path / "a.glb", scenes.scene(plate, view=scenes.camera((0.0, -40.0, 120.0))), name="a"
    )
    content, _ = content_of((tmp_path / "a.glb").read_bytes())
    whole, fracture = content["meshes"][0]["primitives"]
    names = [content["materials"][p["material"]]["name"] for p in (whole, fracture)]
    assert names == ["plate", "plate defect 0"]
