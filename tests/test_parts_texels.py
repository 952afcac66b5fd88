"""Texels know where they are on the part, and sites are drawn from them."""

import math

import numpy as np
import pytest

from simgen.parts import build
from simgen.parts.build import build_mesh
from simgen.parts.mesh import PartMesh
from simgen.parts.sites import pick_site, surface_tangent
from simgen.parts.texels import FAR_MM
from simgen.scene.spec import ShapeSpec, to_json

PLATE = {"length": 60.0, "width": 40.0, "thickness": 5.0}
TILE = {"radius": 40.0, "width": 30.0, "length": 40.0, "thickness": 5.0}


def mesh_of(kind: str, size: dict[str, float], texel_mm: float = 0.25) -> PartMesh:
    return build_mesh(ShapeSpec(kind=kind, size_mm=size, texel_mm=texel_mm))


def test_top_texels_of_a_plate_lie_on_its_top_a_texel_apart():
    mesh = mesh_of("plate", PLATE)
    table = mesh.texels
    top = table.normals[:, 2] > 0.99
    assert np.ptp(table.positions_mm[top, 2]) < 1e-4
    # The face itself and at most two texels beyond its border.
    assert 240 * 160 <= top.sum() <= 244 * 164
    place = np.full((mesh.map_height, mesh.map_width, 3), np.nan)
    place[table.rows[top], table.columns[top]] = table.positions_mm[top]
    step = np.linalg.norm(np.diff(place, axis=1), axis=2)
    np.testing.assert_allclose(step[np.isfinite(step)], 0.25, atol=1e-3)


def test_texels_of_the_convex_face_lie_on_the_cylinder():
    table = mesh_of("arc_tile", TILE).texels
    axis = table.positions_mm + [0, 0, 40]
    reach = np.hypot(axis[:, 0], axis[:, 2])
    convex = (np.abs(reach - 40) < 0.2) & (table.normals[:, 2] > 0.5) & (table.edge_mm > 0.5)
    assert convex.sum() > 10000
    assert np.abs(reach[convex] - 40).max() < 0.02
    radial = np.stack([axis[:, 0] / reach, np.zeros(len(axis)), axis[:, 2] / reach], axis=1)
    assert np.einsum("ij,ij->i", radial, table.normals)[convex].min() > math.cos(math.radians(0.5))


@pytest.mark.parametrize(
    ("kind", "size"),
    [
        ("plate", PLATE | {"corner": 5.0, "chamfer": 0.8, "holes": 4.0}),
        ("bracket", {"leg_a": 30.0, "leg_b": 25.0, "width": 36.0, "thickness": 2.0}),
        ("arc_tile", TILE),
    ],
)
def test_texels_agree_with_the_triangle_that_holds_them(kind, size):
    mesh = mesh_of(kind, size)
    table = mesh.texels
    rng = np.random.default_rng(0)
    faces = rng.integers(len(mesh.faces), size=4000)
    weights = rng.dirichlet([1, 1, 1], size=4000)
    uv = np.einsum("fk,fkd->fd", weights, mesh.uv[mesh.faces[faces]])
    column = np.floor(uv[:, 0] * mesh.map_width).astype(int)
    row = np.floor(uv[:, 1] * mesh.map_height).astype(int)
    owner = np.full((mesh.map_height, mesh.map_width), -1)
    owner[table.rows, table.columns] = np.arange(len(table.rows))
    texel = owner[row, column]
    assert (texel >= 0).all()
    truth = np.einsum("fk,fkd->fd", weights, mesh.vertices_mm[mesh.faces[faces]])
    off = np.linalg.norm(table.positions_mm[texel] - truth, axis=1)
    # A texel's centre is at most half its diagonal from any point of its square.
    assert off.max() < 0.25 * math.sqrt(0.5) + 0.02


def test_edge_distance_on_a_plate_is_the_distance_to_its_border():
    table = mesh_of("plate", PLATE).texels
    top = table.normals[:, 2] > 0.99
    p = table.positions_mm[top]
    inside = (np.abs(p[:, 0]) <= 30) & (np.abs(p[:, 1]) <= 20)
    to_x, to_y = 30 - np.abs(p[:, 0]), 20 - np.abs(p[:, 1])
    truth = np.minimum(to_x, to_y)
    error = np.abs(table.edge_mm[top][inside] - truth[inside])
    # On the diagonals the other border may win by a texel.
    assert error.max() < 0.3 and np.mean(error > 0.01) < 0.01
    clear = inside & (to_y < to_x - 1) & (to_y > 0.5) & (to_y < 19)
    expected = np.stack([0 * p[:, 0], np.sign(p[:, 1]), 0 * p[:, 0]], axis=1)
    np.testing.assert_allclose(table.edge_direction[top][clear], expected[clear], atol=1e-3)


def test_edge_distance_at_a_hole_is_the_distance_to_its_rim():
    table = mesh_of("plate", PLATE | {"holes": 1.0, "hole": 12.0}).texels
    top = table.normals[:, 2] > 0.99
    reach = np.hypot(table.positions_mm[top, 0], table.positions_mm[top, 1])
    near = (reach > 6) & (reach < 11)
    np.testing.assert_allclose(table.edge_mm[top][near], reach[near] - 6, atol=0.03)


def test_a_seam_on_a_smooth_surface_is_no_edge():
    assert (mesh_of("sphere", {"radius": 10.0}).texels.edge_mm == FAR_MM).all()


def test_fill_gives_every_gutter_texel_the_nearest_of_a_chart():
    mesh = mesh_of("plate", PLATE)
    table = mesh.texels
    own = table.fill[table.rows, table.columns]
    np.testing.assert_array_equal(own, np.arange(len(own)))
    rng = np.random.default_rng(1)
    rows = rng.integers(mesh.map_height, size=100)
    columns = rng.integers(mesh.map_width, size=100)
    chosen = table.fill[rows, columns]
    got = np.hypot(table.rows[chosen] - rows, table.columns[chosen] - columns)
    every = np.hypot(table.rows[None] - rows[:, None], table.columns[None] - columns[:, None])
    # OpenCV's 5 x 5 distance is a few percent off the exact one.
    assert (got <= every.min(axis=1) * 1.03 + 1e-6).all()


def test_sites_satisfy_their_conditions_and_cover_the_face():
    mesh = mesh_of("plate", PLATE)
    rng = np.random.default_rng(2)
    sites = [
        pick_site(
            rng, mesh, edge_mm=(2, 5), facing=[(0, 0, 2)], cone_deg=10, process_direction=(1, 0, 1)
        )
        for _ in range(200)
    ]
    for site in sites:
        assert site is not None and site.normal == (0, 0, 1) and site.tangent == (1, 0, 0)
        x, y, z = site.anchor_mm
        assert z == pytest.approx(2.5, abs=1e-4)
        assert 2 - 0.05 <= min(30 - abs(x), 20 - abs(y)) <= 5 + 0.05
        assert site.edge_mm == pytest.approx(min(30 - abs(x), 20 - abs(y)), abs=0.05)
    x, y = np.array([site.anchor_mm[:2] for site in sites]).T
    assert {(a, b) for a, b in zip(x > 0, y > 0, strict=True)} == {
        (a, b) for a in (False, True) for b in (False, True)
    }


def test_sites_are_uniform_by_area():
    mesh = mesh_of("box", {"length": 40.0, "width": 20.0, "height": 10.0}, texel_mm=0.5)
    rng = np.random.default_rng(3)
    normals = np.array([pick_site(rng, mesh).normal for _ in range(1500)])
    share = np.abs(normals).round().mean(axis=0)
    np.testing.assert_allclose(share, np.array([200, 400, 800]) / 1400, atol=0.05)


def test_sites_lie_on_the_part_and_the_same_stream_draws_the_same():
    mesh = mesh_of("plate", PLATE)
    sites = [pick_site(np.random.default_rng(k), mesh, edge_mm=(0, 0.3)) for k in range(60)]
    again = [pick_site(np.random.default_rng(k), mesh, edge_mm=(0, 0.3)) for k in range(60)]
    assert sites == again
    for site in sites:
        assert (np.abs(site.anchor_mm) <= np.array([30, 20, 2.5]) + 1e-4).all()


def test_no_place_is_none_and_a_predicate_narrows():
    mesh = mesh_of("plate", PLATE)
    rng = np.random.default_rng(4)
    assert pick_site(rng, mesh, edge_mm=(50, 60)) is None
    site = pick_site(rng, mesh, where=lambda table: table.positions_mm[:, 0] > 29)
    assert site.anchor_mm[0] > 29


def test_a_tangent_along_the_normal_falls_back():
    np.testing.assert_allclose(surface_tangent(np.array([0, 1.0, 0]), (0, 1, 0)), [1, 0, 0])
    np.testing.assert_allclose(surface_tangent(np.array([1.0, 0, 0]), (1, 0, 0)), [0, 1, 0])


def test_texel_tables_are_kept_up_to_a_limit_and_come_back_as_they_were():
    texts = [
        to_json(ShapeSpec(kind="sphere", size_mm={"radius": radius}, texel_mm=0.5))
        for radius in (4.0, 5.0, 6.0, 7.0)
    ]
    meshes = build._Meshes(most=3, most_table_bytes=0)
    first = meshes.get(texts[0])
    before = first.texels
    assert first.texels_bytes() > 0
    # The one asked for last keeps its table, whatever the limit.
    assert meshes.get(texts[0]) is first and first.texels is before
    second = meshes.get(texts[1])
    assert first.texels_bytes() == 0
    np.testing.assert_array_equal(first.texels.positions_mm, before.positions_mm)
    for text in texts[2:]:
        meshes.get(text)
    # Of meshes the last few are kept.
    assert meshes.get(texts[1]) is second and meshes.get(texts[0]) is not first
