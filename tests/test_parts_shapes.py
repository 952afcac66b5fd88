"""Every shape is a closed solid of the right volume, with charts laid flat without stretch."""

import math

import numpy as np
import pytest
import trimesh

from simgen.errors import AssetError, ConfigError
from simgen.parts.build import SHAPES, build_mesh, size_keys
from simgen.parts.mesh import PartMesh
from simgen.parts.texels import chart_of_vertices
from simgen.scene.spec import ShapeSpec

PLATE = {"length": 100.0, "width": 60.0, "thickness": 5.0}
HOLED = PLATE | {"corner": 6.0, "chamfer": 0.5, "holes": 4.0, "hole": 7.0}
FLANGE = {
    "diameter": 90.0,
    "thickness": 8.0,
    "bore": 30.0,
    "hub_diameter": 46.0,
    "hub_height": 10.0,
    "bolts": 6.0,
    "bolt_hole": 7.0,
}
BRACKET = {"leg_a": 60.0, "leg_b": 45.0, "width": 40.0, "thickness": 3.0, "bend": 3.0}
TILE = {"radius": 40.0, "width": 30.0, "length": 40.0, "thickness": 5.0}
WORN = {"hollow_low": 0.5, "hollow_high": 0.7, "nick_low_left": 1.2, "nick_high_right": 0.8}
TRAY = {"length": 300.0, "width": 200.0, "height": 40.0, "wall": 3.0, "floor": 2.0}
GEAR = {"module": 2.0, "teeth": 24.0, "width": 12.0, "bore": 14.0}
RECESSED = {"recess": 3.0, "holes": 4.0, "hole": 4.0, "keyway": 4.0, "tooth_chamfer": 0.3}
RACEWAY = {"width": 15.0, "wall": 5.0, "groove_radius": 4.2, "groove_depth": 1.7}
SHAFT = {
    "diameter": 38.0,
    "length": 18.0,
    "lead": 20.0,
    "starts": 2.0,
    "groove_width": 6.2,
    "groove_depth": 2.0,
    "groove_radius": 4.0,
}
CABLE = {"length": 200.0, "radius": 3.0, "bend": 120.0}

EVERY = [
    ("plate", PLATE),
    ("plate", HOLED),
    ("plate", PLATE | {"holes": 1.0, "hole": 20.0, "chamfer": 1.0}),
    ("flange", FLANGE),
    ("flange", FLANGE | {"chamfer": 0.0}),
    ("bracket", BRACKET),
    ("bracket", BRACKET | {"holes": 0.0}),
    ("arc_tile", TILE),
    ("arc_tile", TILE | {"bevel": 0.0}),
    ("arc_tile", TILE | {"bevel": 3.0, "bevel_flat": 0.6}),
    ("arc_tile", TILE | {"bevel": 3.0, "bevel_flat": 1.0}),
    ("arc_tile", TILE | {"bevel": 0.0, "end_chamfer": 0.0}),
    ("arc_tile", TILE | WORN | {"bevel": 3.0, "bevel_flat": 0.9, "nick_inset": 0.5}),
    ("arc_tile", TILE | WORN | {"bevel": 0.0}),
    ("tray", TRAY),
    ("tray", TRAY | {"corner": 10.0}),
    ("bench", {"length": 600.0, "width": 400.0, "thickness": 20.0}),
    ("box", {"length": 30.0, "width": 20.0, "height": 10.0}),
    ("box", {"length": 30.0, "width": 20.0, "height": 10.0, "chamfer": 1.0}),
    ("gear", GEAR),
    ("gear", GEAR | RECESSED),
    ("gear", GEAR | {"module": 1.0, "teeth": 40.0, "chamfer": 0.0}),
    ("gear", GEAR | RECESSED | {"module": 4.0, "teeth": 13.0, "hub_diameter": 22.0, "rim": 3.0}),
    ("hex_bolt", {"diameter": 10.0, "length": 30.0}),
    ("hex_bolt", {"diameter": 6.0, "length": 30.0, "thread_length": 15.0, "washer": 0.0}),
    ("hex_nut", {"diameter": 10.0}),
    ("bearing_outer_ring", RACEWAY | {"diameter": 62.0}),
    ("bearing_inner_ring", RACEWAY | {"bore": 30.0}),
    ("cylinder", {"radius": 10.0, "length": 30.0}),
    ("cylinder", {"radius": 10.0, "length": 30.0, "chamfer": 1.0}),
    ("sphere", {"radius": 10.0}),
    ("screwdriver", {"length": 180.0, "handle_diameter": 28.0}),
    ("cable", CABLE),
    ("shaft", SHAFT),
    ("shaft", SHAFT | {"starts": 1.0, "lead": 9.0, "groove_radius": 0.0, "lip": 0.0}),
    ("gripper_finger", {"length": 80.0, "width": 20.0, "thickness": 12.0}),
]
STRETCHED = {"bench", "cable", "shaft", "sphere", "tray"}


def mesh_of(kind: str, size: dict[str, float]) -> PartMesh:
    return build_mesh(ShapeSpec(kind=kind, size_mm=size, texel_mm=0.5))


def as_solid(mesh: PartMesh) -> trimesh.Trimesh:
    solid = trimesh.Trimesh(mesh.vertices_mm.astype(float), mesh.faces, process=False)
    solid.merge_vertices(merge_tex=True, merge_norm=True)
    return solid


def corners(mesh: PartMesh) -> tuple[np.ndarray, np.ndarray]:
    flat = mesh.uv.astype(float) * [mesh.map_width, mesh.map_height] * mesh.texel_mm
    return mesh.vertices_mm.astype(float)[mesh.faces], flat[mesh.faces]


def test_every_shape_is_tried_here():
    assert {kind for kind, _ in EVERY} == set(SHAPES)


@pytest.mark.parametrize(("kind", "size"), EVERY)
def test_a_shape_is_closed_and_its_normals_look_outward(kind, size):
    mesh = mesh_of(kind, size)
    solid = as_solid(mesh)
    assert solid.is_watertight and solid.is_winding_consistent and solid.volume > 0
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1, atol=1e-5)
    points, _ = corners(mesh)
    facing = np.cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 0])
    facing /= np.linalg.norm(facing, axis=1, keepdims=True)
    assert np.einsum("ij,ikj->ik", facing, mesh.normals[mesh.faces]).min() > math.cos(0.25)


@pytest.mark.parametrize(("kind", "size"), [c for c in EVERY if c[0] not in STRETCHED])
def test_charts_keep_areas_and_lengths_and_are_not_mirrored(kind, size):
    mesh = mesh_of(kind, size)
    points, flat = corners(mesh)
    area = np.linalg.norm(
        np.cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]), axis=1
    )
    p, q = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
    # Slivers of 0.01 mm2 lose digits in float32.
    np.testing.assert_allclose(p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0], area, rtol=0.01, atol=2e-3)
    for i, j in ((0, 1), (1, 2), (2, 0)):
        length = np.linalg.norm(points[:, i] - points[:, j], axis=1)
        np.testing.assert_allclose(
            np.linalg.norm(flat[:, i] - flat[:, j], axis=1), length, rtol=0.01, atol=2e-3
        )


@pytest.mark.parametrize(("kind", "size"), EVERY)
def test_charts_keep_a_gutter_of_four_texels(kind, size):
    mesh = mesh_of(kind, size)
    assert mesh.map_height % 8 == 0 and mesh.map_width % 8 == 0
    chart = chart_of_vertices(mesh)
    texel = mesh.uv.astype(float) * [mesh.map_width, mesh.map_height]
    low = np.array([texel[chart == k].min(axis=0) for k in range(chart.max() + 1)])
    high = np.array([texel[chart == k].max(axis=0) for k in range(chart.max() + 1)])
    gap = np.maximum(low[:, None] - high[None], low[None] - high[:, None]).max(axis=2)
    np.fill_diagonal(gap, 99)
    assert gap.min() >= 4 - 1e-3
    assert low.min() >= 1 and (high <= [mesh.map_width - 1, mesh.map_height - 1]).all()


def volume_of_a_flange_without_chamfers() -> float:
    disc = math.pi * (45**2 - 15**2 - 6 * 3.5**2) * 8
    return disc + math.pi * (23**2 - 15**2) * 10


def volume_of_a_bracket() -> float:
    legs = (60 - 6 + 45 - 6) * 40 * 3 - 4 * math.pi * 9 * 3
    return legs + math.pi / 4 * (6**2 - 3**2) * 40


def volume_of_a_plain_tile() -> float:
    def segment(radius: float) -> float:
        x = 15.0
        return x * math.sqrt(radius**2 - x**2) + radius**2 * math.asin(x / radius)

    return (segment(40) - segment(35)) * 40


@pytest.mark.parametrize(
    ("kind", "size", "volume"),
    [
        ("plate", PLATE, 30000),
        ("plate", PLATE | {"holes": 2.0, "hole": 8.0}, 30000 - 2 * math.pi * 16 * 5),
        ("plate", PLATE | {"chamfer": 1.0}, 3 * 6000 + 2 * (6000 + 98 * 58 + 4 * 99 * 59) / 6),
        ("flange", FLANGE | {"chamfer": 0.0}, volume_of_a_flange_without_chamfers()),
        ("bracket", BRACKET, volume_of_a_bracket()),
        ("arc_tile", TILE | {"bevel": 0.0, "end_chamfer": 0.0}, volume_of_a_plain_tile()),
        ("tray", TRAY, 300 * 200 * 40 - 294 * 194 * 38),
        ("cylinder", {"radius": 10.0, "length": 30.0}, math.pi * 3000),
        ("sphere", {"radius": 50.0}, 4 / 3 * math.pi * 50**3),
        ("cable", CABLE, math.pi * 9 * 200),
    ],
)
def test_a_volume_is_the_analytic_one(kind, size, volume):
    assert as_solid(mesh_of(kind, size)).volume == pytest.approx(volume, rel=0.01)


def test_worn_ends_of_an_arc_tile_stand_back_by_what_was_asked_for():
    p = mesh_of("arc_tile", TILE | WORN).vertices_mm
    middle, left, right = (
        p[np.isclose(p[:, 0], x, atol=0.3), 1] for x in (0, p[:, 0].min(), p[:, 0].max())
    )
    expected = [(-19.5, 19.3), (-18.8, 20.0), (-20.0, 19.2)]
    for y, (low, high) in zip((middle, left, right), expected, strict=True):
        assert (y.min(), y.max()) == pytest.approx((low, high), abs=0.02)


def test_the_arc_tile_stands_as_its_docstring_says():
    mesh = mesh_of("arc_tile", TILE)
    low, high = mesh.vertices_mm.min(axis=0), mesh.vertices_mm.max(axis=0)
    np.testing.assert_allclose([low[0], high[0], low[1], high[1]], [-15, 15, -20, 20], atol=1e-4)
    assert high[2] == pytest.approx(0, abs=1e-3)
    above = (mesh.normals[:, 2] > 0.9) & (abs(mesh.vertices_mm[:, 0]) < 13)
    axis = mesh.vertices_mm[above] + [0, 0, 40]
    inside_ends = abs(axis[:, 1]) < 19.6
    np.testing.assert_allclose(np.hypot(axis[:, 0], axis[:, 2])[inside_ends], 40, atol=1e-3)


@pytest.mark.parametrize("flat", [0.0, 0.5, 1.0])
def test_a_flatter_bevel_looks_up_more(flat):
    mesh = mesh_of("arc_tile", TILE | {"bevel": 3.0, "bevel_flat": flat, "end_chamfer": 0.0})
    x = mesh.vertices_mm[mesh.faces].mean(axis=1)[:, 0]
    normal = mesh.normals[mesh.faces].mean(axis=1)
    facet = normal[(x > 13.4) & (x < 14.9) & (normal[:, 2] > 0.1)]
    steepest = 0.5 * (90 + np.degrees(np.arcsin(13 / 40)))
    slopes = np.degrees(np.arccos(facet[:, 2].clip(-1, 1)))
    assert len(slopes) and slopes == pytest.approx((1 - flat) * steepest, abs=2.5)


def test_creases_follow_convex_edges_from_both_sides_and_no_seams():
    box = mesh_of("box", {"length": 30.0, "width": 20.0, "height": 10.0})
    edges = box.vertices_mm[box.creases]
    length = np.linalg.norm(edges[:, 0] - edges[:, 1], axis=1)
    assert sorted(length.tolist()) == [10.0] * 8 + [20.0] * 8 + [30.0] * 8
    cylinder = mesh_of("cylinder", {"radius": 10.0, "length": 30.0})
    z = cylinder.vertices_mm[cylinder.creases][:, :, 2]
    assert len(z) and (z[:, 0] == z[:, 1]).all()
    assert len(mesh_of("sphere", {"radius": 10.0}).creases) == 0
    flange = mesh_of("flange", FLANGE)
    foot = (np.abs(flange.vertices_mm[:, 2] + 1) < 1e-4) & (
        np.abs(np.hypot(flange.vertices_mm[:, 0], flange.vertices_mm[:, 1]) - 23) < 1e-3
    )
    assert foot.any() and not foot[flange.creases].any()


def test_equal_specs_share_one_mesh_that_cannot_be_changed():
    mesh = mesh_of("plate", PLATE)
    assert mesh_of("plate", dict(reversed(PLATE.items()))) is mesh
    with pytest.raises(ValueError, match="read-only"):
        mesh.vertices_mm[0] = 0


@pytest.mark.parametrize(
    ("kind", "size", "message"),
    [
        ("plat", PLATE, r"shape\.kind: no shape 'plat'; did you mean 'plate'\?"),
        ("plate", PLATE | {"lenght": 3.0}, r"size_mm\.lenght: .*did you mean 'length'\?"),
        ("plate", {"length": 100.0, "width": 60.0}, r"size_mm\.thickness: missing"),
        ("plate", PLATE | {"width": 0.0}, r"size_mm\.width: 0 must be above 0"),
        ("plate", PLATE | {"corner": -1.0}, r"size_mm\.corner: -1 must be at least 0"),
        ("plate", PLATE | {"width": math.nan}, r"size_mm\.width: nan must be above 0"),
        ("plate", PLATE | {"chamfer": 2.5}, "shape plate: chamfer 2.5 needs a thickness"),
        ("plate", PLATE | {"corner": 31.0}, "shape plate: corner 31"),
        ("plate", PLATE | {"holes": 20.0, "hole": 12.0}, "holes overlap or leave the face"),
        ("plate", PLATE | {"holes": 1.0, "hole": 61.0}, "holes overlap or leave the face"),
        ("flange", FLANGE | {"bore": 46.0}, "need bore 46 < hub_diameter 46"),
        ("flange", FLANGE | {"bolt_hole": 30.0}, "bolt_hole 30 does not fit"),
        ("bracket", BRACKET | {"leg_a": 5.0}, "legs must be longer than"),
        ("arc_tile", TILE | {"width": 70.0}, "width 70 must stay below"),
        ("arc_tile", TILE | {"bevel_flat": 1.5}, "bevel_flat 1.5 must be between 0 and 1"),
        ("arc_tile", TILE | {"hollow_low": 4.0, "nick_low_left": 2.0}, "of 6 together are above"),
        ("arc_tile", TILE | {"nick_length": 0.0}, "nick_length 0 must be above 0"),
        ("cable", CABLE | {"bend": 4.0}, "bend 4 must be at least twice"),
    ],
)
def test_a_mistake_in_a_shape_is_named(kind, size, message):
    with pytest.raises(ConfigError, match=message):
        mesh_of(kind, size)


def test_a_map_beyond_the_limit_names_texel_mm():
    shape = ShapeSpec(kind="plate", size_mm=PLATE, texel_mm=0.01)
    with pytest.raises(AssetError, match="raise texel_mm"):
        build_mesh(shape)
    with pytest.raises(ConfigError, match="texel_mm: 0 must be above 0"):
        build_mesh(ShapeSpec(kind="plate", size_mm=PLATE, texel_mm=0.0))


def test_size_keys_tell_required_from_optional():
    assert size_keys("arc_tile")["radius"] is None
    assert size_keys("arc_tile")["bevel"] == 1.0
