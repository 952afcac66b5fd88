"""Zones hold their defects, and a part from a file renders with exact labels."""

import json
from pathlib import Path

import bracket_files
import cv2
import numpy as np
import pytest
import trimesh
from bracket_files import shape_of

import scenes
from simgen.cli.main import main
from simgen.config import compose, to_plain
from simgen.config.render import RendererConfig, parse_render
from simgen.dataset.assets import Asset, require_licences, user_asset
from simgen.dataset.check import check_dataset
from simgen.defects.kinds import kind_module
from simgen.defects.profile import reach_of, surface_points
from simgen.errors import AssetError, ConfigError, SimgenError
from simgen.parts.build import build_mesh
from simgen.parts.zones import Zone, zone_texels
from simgen.pipeline import scene_check
from simgen.render.raster import Raster
from simgen.sampling import FrameIndex, Streams
from simgen.scene.family import load_family, parse_ranges
from simgen.scene.spec import SceneSpec, ShapeSpec, content_hash, scene_from_json, to_json

ONLY_PARTS = ("scene.occluders.count=0", "scene.occluders.loose_tools=0", "scene.mark_count=0")


@pytest.fixture(scope="module")
def brackets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return bracket_files.write_brackets(tmp_path_factory.mktemp("brackets"))


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def specs(count: int, *overrides: str) -> list[SceneSpec]:
    """Return scenes of one's own part."""
    config = scenes.config("own_part", *overrides)
    family = load_family(config.scene_name)
    ranges = parse_ranges(family, config.scene)
    result = []
    for number in range(count):
        streams = Streams(seed=5, index=FrameIndex(frame=number, scene=number, view=0, exposure=0))
        objects = family.sample_objects(streams, ranges)
        result.append(family.sample_frame(streams, ranges, config.image, objects))
    return result


def on_machined_face(positions_mm: np.ndarray, within_mm: float = 0.05) -> np.ndarray:
    """Return which points lie on the bracket's inner faces; its box is centred on the origin."""
    x, z = positions_mm[:, 0] + 30, positions_mm[:, 2] + 21
    leg_a = (np.abs(z - 4) < within_mm) & (x > 7 - within_mm)
    leg_b = (np.abs(x - 4) < within_mm) & (z > 7 - within_mm)
    return leg_a | leg_b


@pytest.mark.parametrize(
    ("extension", "zone"),
    [
        ("step", Zone(groups=("machined",))),
        ("step", Zone(groups=("#cc731c",))),
        ("obj", Zone(groups=("machined_steel",))),
        ("glb", Zone(groups=("machined",))),
        ("ply", Zone(colour=(1.0, 0.0, 0.0))),
        ("ply", Zone(colour=(0.5, 0.5, 0.5), invert=True)),
    ],
)
def test_a_zone_by_group_or_colour_is_the_same_faces_in_every_format(
    brackets: dict[str, Path], extension: str, zone: Zone
) -> None:
    shape = shape_of(brackets[extension])
    inside = zone_texels(shape, zone, "zone")
    table = build_mesh(shape).texels
    expected = on_machined_face(table.positions_mm) & (
        np.abs(table.normals[:, [0, 2]]).max(axis=1) > 0.99
    )
    # But for texels that stick out beyond the border of a chart.
    assert (inside != expected).mean() < 0.03
    assert on_machined_face(table.positions_mm[inside]).mean() > 0.95


def test_a_zone_painted_in_the_files_own_texture(brackets: dict[str, Path], tmp_path: Path) -> None:
    # In the files u is x / 100 + 0.5 and v, upwards, y / 100 + 0.5.
    paint = np.zeros((200, 200), np.uint8)
    paint[:100, 100:] = 255
    mask = tmp_path / "corner.png"
    cv2.imwrite(str(mask), paint)
    for extension in ("obj", "glb"):
        shape = shape_of(brackets[extension])
        inside = zone_texels(shape, Zone(mask=str(mask)), "zone")
        p = build_mesh(shape).texels.positions_mm
        clear = (np.abs(p[:, :2]) > 0.5).all(axis=1)
        np.testing.assert_array_equal(
            inside[clear], ((p[:, 0] > 0) & (p[:, 1] > 0))[clear], err_msg=extension
        )


def test_zones_by_normal_edge_and_curvature(brackets: dict[str, Path]) -> None:
    shape = shape_of(brackets["stl"])
    table = build_mesh(shape).texels
    p = table.positions_mm + [30, 18, 21]
    up = zone_texels(shape, Zone(normal=(0.0, 0.0, 2.0), cone_deg=10), "zone")
    assert up.any() and (table.normals[up][:, 2] > np.cos(np.deg2rad(10)) - 1e-3).all()
    rim = zone_texels(shape, Zone(edge_mm=(0.0, 2.0)), "zone")
    assert rim.any() and (table.edge_mm[rim] <= 2).all() and (table.edge_mm[~rim] > 2).all()
    bores = zone_texels(shape, Zone(curvature_per_mm=(-1.0, -0.05)), "zone")
    bend = zone_texels(shape, Zone(curvature_per_mm=(0.05, 1.0)), "zone")
    # The bend's outside has a radius of 7 mm about (7, 7), its inside one of 3 mm, hollow.
    axis = np.hypot(p[:, 0] - 7, p[:, 2] - 7)
    assert np.percentile(np.abs(axis[bend] - 7), 99) < 0.1
    hollow = np.minimum(np.abs(axis - 3), np.abs(np.hypot(p[:, 0] - 48, p[:, 1] - 18) - 4.5))
    for x, y in ((26, 10), (26, 26)):
        hollow = np.minimum(hollow, np.abs(np.hypot(p[:, 0] - x, p[:, 1] - y) - 3.25))
    hollow = np.minimum(hollow, np.abs(np.hypot(p[:, 2] - 26, p[:, 1] - 18) - 6))
    assert np.percentile(hollow[bores], 99) < 0.1
    flat = zone_texels(shape, Zone(curvature_per_mm=(-1e-3, 1e-3)), "zone")
    assert not (flat & (bores | bend)).any()
    assert (flat | bores | bend).mean() > 0.97


def test_a_zone_on_a_procedural_part() -> None:
    shape = ShapeSpec(kind="cylinder", size_mm={"radius": 10.0, "length": 40.0}, texel_mm=0.5)
    table = build_mesh(shape).texels
    round_wall = zone_texels(shape, Zone(curvature_per_mm=(0.09, 0.11)), "zone")
    np.testing.assert_array_equal(round_wall, np.abs(table.normals[:, 2]) < 0.5)
    with pytest.raises(ConfigError, match="zone.groups: the part names no groups"):
        zone_texels(shape, Zone(groups=("rim",)), "zone")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["+scene.zones.a={groups:[machind]}"], "a.groups: no group 'machind'; did you mean 'mach"),
        (["+scene.zones.a={mask:nothing.png}"], "nothing.png: no such file"),
        (["+scene.zones.a={colour:[1,0,0]}"], "a.colour: the part has no vertex colours"),
        (["+scene.zones.a={normal:[0,0,0]}"], r"zones\.a: normal must not be all 0"),
        (["+scene.zones.a={}"], r"zones\.a: names no place; set groups"),
        (["+scene.zones.a={edge_mm:[3,1]}"], r"zones\.a: edge_mm: \[3, 1\] is reversed"),
        (["+scene.zones.a={edge_mm:[300,301]}"], r"zones\.a: no place on the part satisfies"),
        (["scene.defects.pit.zone=rim"], r"defects\.pit\.zone: no zone 'rim'; add it under"),
        (["scene.zones={a:{edge_mm:[0,1]}}"], r"write \+scene\.zones\.NAME=VALUE"),
        (["scene.part.file=nothing.step"], r"nothing\.step: no such file"),
        (["scene.part.unit=foot"], r"scene\.part\.unit: 'foot' is not allowed"),
        (["scene.part.finishes=[brushd]"], r"scene\.part\.finishes: no finish 'brushd'"),
        (["scene.part.axis=[0,0,0]"], r"scene\.part\.axis: must not be all 0"),
        (["+scene.sha256={assets/bracket.step:abc}"], "bracket.step: has changed since"),
    ],
)
def test_a_mistake_shows_before_anything_is_rendered(overrides: list[str], message: str) -> None:
    with pytest.raises(SimgenError, match=message):
        scene_check(scenes.config("own_part", *overrides))


def test_defects_lie_in_their_zone_as_a_whole() -> None:
    zoned = [f"scene.defects.{kind}.zone=seat" for kind in ("scratch", "dent", "pit", "stain")]
    found = specs(
        4, "+scene.zones.seat={groups:[machined]}", "scene.clean_share=0", "scene.defect_count=4",
        "scene.part_count=4", *ONLY_PARTS, *zoned,
    )  # fmt: skip
    count = 0
    for spec in found:
        for item in (o for o in spec.objects if o.category):
            table = build_mesh(item.shape).texels
            for defect in item.defects:
                near = surface_points(defect, table.positions_mm, table.normals, reach_of(defect))
                at = kind_module(defect.kind).profile(defect, near.u_mm, near.v_mm)
                covered = table.positions_mm[near.index[at.distance_mm <= 0]]
                assert on_machined_face(covered, 0.2).mean() > 0.95 if len(covered) else True
                assert on_machined_face(np.array([defect.anchor_mm]), 0.2).all()
                count += 1
    assert count > 10


def test_the_stored_spec_names_the_file_and_is_read_back_exactly() -> None:
    (spec,) = specs(1, "scene.clean_share=0")
    assert scene_from_json(to_json(spec)) == spec
    assert content_hash(scene_from_json(to_json(spec))) == content_hash(spec)
    (file,) = {o.shape.file for o in spec.objects if o.category}
    assert file is not None and file.path == "assets/bracket.step" and len(file.sha256) == 64


def test_part_masks_agree_with_a_ray_caster(brackets: dict[str, Path]) -> None:
    raster = Raster(RendererConfig(allow_software=True))
    wrong = pixels = 0
    try:
        for extension in ("step", "glb", "stl"):
            found = specs(
                3, f"scene.part.file={brackets[extension]}", "scene.texel_mm=1",
                "image.width=200", "image.height=200", "scene.clean_share=1",
            )  # fmt: skip
            for spec in found:
                spec = scenes.without_damage(spec)
                drawn = raster.open(spec, scenes.bare_surfaces(spec))
                ids = drawn.labels().ids
                drawn.close()
                assert len(np.unique(ids)) > 2
                wrong += int((ids != scenes.cast_ids(spec)).sum())
                pixels += ids.size
    finally:
        raster.close()
    assert wrong / pixels < 0.001


def test_surroundings_grow_with_the_part(tmp_path: Path) -> None:
    for length in (8.0, 800.0):
        path = tmp_path / f"bar{length:g}.stl"
        trimesh.creation.box((length, length / 2, length / 4)).export(path)
        (spec,) = specs(
            1, f"scene.part.file={path}", "scene.part_count=3", "image.width=160",
            "image.height=160", *ONLY_PARTS,
        )  # fmt: skip
        parts = [o for o in spec.objects if o.category]
        # One that still trembles at the end of the fall is left out of a scene.
        assert len(parts) >= 2
        ids = [k for k, o in enumerate(spec.objects, 1) if o.category]
        share = float(np.isin(scenes.cast_ids(spec), ids).mean())
        assert 0.02 < share < 0.5, length


def test_a_step_file_becomes_a_labelled_dataset_that_names_it(
    brackets: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "angle.step").write_bytes(brackets["step"].read_bytes())
    command = [
        "render", "+scene=own_part", "scene.part.file=angle.step", "scene.part.unit=mm",
        "out=made", "workers=1", "image.width=160", "image.height=160", "scene.texel_mm=0.6",
        "renderer.allow_software=true", "scene.clean_share=0",
    ]  # fmt: skip
    assert main([*command, "frames=1"]) == 0
    checked = check_dataset(Path("made"))
    assert checked.faults == () and checked.categories["angle"]["instances"] > 0
    manifest = json.loads(Path("made/manifest.json").read_text())
    digest = bracket_files.file_spec("angle.step").sha256
    assert manifest["assets"] == [
        {
            "path": "angle.step", "spdx": "LicenseRef-Own", "sha256": digest,
            "source": "the part, as the config names it",
        }
    ]  # fmt: skip
    card = Path("made/card.md").read_text()
    assert (
        f"| `angle.step` | LicenseRef-Own | the part, as the config names it | `{digest}` |" in card
    )
    # The dataset is never continued with another part under the same name.
    (tmp_path / "angle.step").write_bytes(brackets["step"].read_bytes() + b"\n")
    capsys.readouterr()
    assert main([*command, "frames=2"]) == 2
    assert "dataset of another config (scene.sha256.angle.step: " in capsys.readouterr().err


def test_a_licence_that_is_unknown_or_limited_stops_a_render(brackets: dict[str, Path]) -> None:
    def check(*overrides: str) -> None:
        scene_check(scenes.config("own_part", f"scene.part.file={brackets['stl']}", *overrides))

    check()
    check("scene.part.licence=CC-BY-4.0")
    with pytest.raises(AssetError, match="licence 'CC-BY-NC-4.0' limits commercial use"):
        check("scene.part.licence=CC-BY-NC-4.0")
    check("scene.part.licence=CC-BY-NC-4.0", "dataset.allow_licences=[CC-BY-NC-4.0]")
    with pytest.raises(AssetError, match=r"licence 'Freeware' is not one we know.*allow_licences"):
        check("scene.part.licence=Freeware")
    with pytest.raises(AssetError, match="has no licence; state its SPDX identifier"):
        check("scene.part.licence=")


def test_what_we_ship_keeps_its_own_licence() -> None:
    digest = bracket_files.file_spec("assets/bracket.step").sha256
    ours = user_asset("assets/bracket.step", spdx="MIT", source="x", sha256=digest)
    assert ours.spdx == "Apache-2.0"
    other = user_asset("assets/bracket.step", spdx="MIT", source="x", sha256="0" * 64)
    assert other == Asset(path="assets/bracket.step", spdx="MIT", source="x", sha256="0" * 64)
    require_licences([ours, other], [])


def test_ranges_survive_the_round_trip_through_plain_values() -> None:
    config = scenes.config("own_part", "+scene.zones.rim={edge_mm:[0,3]}")
    family = load_family("own_part")
    ranges = parse_ranges(family, config.scene)
    assert parse_ranges(family, to_plain(ranges)) == ranges


def test_the_example_in_the_documentation_names_zones_of_the_bracket() -> None:
    folder = Path(__file__).resolve().parent.parent / "examples" / "bracket"
    config = parse_render(compose("render", ["+scene=bracket"], folder))
    assert set(scene_check(config).scene["sha256"]) == {"assets/bracket.step"}
    assert {n: e["zone"] for n, e in config.scene["defects"].items()}["scratch"] == "machined"
