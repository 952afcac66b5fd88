"""Gears, bolts, nuts and bearing rings have the dimensions that their names and keys promise."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
import shapely
import trimesh
from scipy.integrate import quad

import scenes
from simgen.config.render import RendererConfig
from simgen.errors import ConfigError
from simgen.geometry import axis_rotation, quaternion_of
from simgen.parts.build import build_mesh
from simgen.parts.thread import DEPTH
from simgen.physics.pieces import convex_pieces
from simgen.render.raster import Raster
from simgen.scene.spec import ObjectSpec, PoseSpec, ShapeSpec

GEAR = {"module": 2.0, "teeth": 24.0, "width": 10.0, "bore": 14.0}
WEB = {"recess": 3.0, "holes": 4.0, "hole": 4.0, "tooth_chamfer": 0.3, "keyway": 4.0}
BOLT = {"diameter": 10.0, "length": 40.0, "thread_length": 25.0}
NUT = {"diameter": 12.0}
RACE = {"width": 15.0, "wall": 5.0, "groove_radius": 4.2, "groove_depth": 1.7}
OUTER = RACE | {"diameter": 62.0}
INNER = RACE | {"bore": 30.0}


def mesh_of(kind: str, size: dict[str, float]):  # noqa: ANN201
    return build_mesh(ShapeSpec(kind=kind, size_mm=size, texel_mm=1.0))


def solid_of(kind: str, size: dict[str, float]) -> trimesh.Trimesh:
    mesh = mesh_of(kind, size)
    solid = trimesh.Trimesh(mesh.vertices_mm.astype(float), mesh.faces, process=False)
    solid.merge_vertices(merge_tex=True, merge_norm=True)
    return solid


def half_angle(radius: float, module: float, teeth: float) -> float:
    """Half the angle that an involute tooth of 20 degrees covers at a radius, rad."""

    def involute(a: float) -> float:
        return math.tan(a) - a

    base = module * teeth / 2 * math.cos(math.radians(20))
    lean = math.acos(min(base / radius, 1.0))
    return math.pi / (2 * teeth) + involute(math.radians(20)) - involute(lean)


@pytest.mark.parametrize(("module", "teeth"), [(2.0, 24.0), (3.0, 12.0), (1.0, 60.0)])
def test_a_gears_teeth_are_involutes(module, teeth):
    size = GEAR | {"module": module, "teeth": teeth, "bore": 8.0}
    section = solid_of("gear", size).section(plane_origin=[0, 0, 0.1], plane_normal=[0, 0, 1])
    polygon = shapely.Polygon(
        max(section.discrete, key=lambda loop: np.ptp(loop[:, 0]))[:, :2]
    ).buffer(0)
    angle = np.linspace(0, 2 * np.pi, 15000)[:-1] + 1e-4
    pitch = module * teeth / 2
    base = pitch * math.cos(math.radians(20))
    for radius in np.linspace(max(base, pitch - 0.6 * module), pitch + 0.98 * module, 5):
        points = shapely.points(radius * np.cos(angle), radius * np.sin(angle))
        covered = shapely.contains(polygon, points)
        expected = teeth * half_angle(radius, module, teeth) / np.pi
        assert covered.mean() == pytest.approx(expected, abs=0.004)
        assert covered[0], "no tooth stands on +x"
    assert polygon.boundary.hausdorff_distance(shapely.Point(0, 0)) == pytest.approx(pitch + module)


def test_a_gears_volume_is_the_analytic_one():
    module, teeth, pitch = 2.0, 24.0, 24.0
    base, root, tip = pitch * math.cos(math.radians(20)), pitch - 2.5, pitch + 2
    above, _ = quad(lambda r: 2 * teeth * half_angle(r, module, teeth) * r, base, tip)
    below = teeth * half_angle(base, module, teeth) * (base**2 - root**2)
    area = np.pi * (root**2 - 7**2) + above + below
    assert solid_of("gear", GEAR | {"chamfer": 0.0}).volume == pytest.approx(10 * area, rel=0.01)
    web = solid_of("gear", GEAR | {"chamfer": 0.0, "recess": 2.5, "rim": 4.0, "hub_diameter": 22.0})
    ring = np.pi * ((root - 4) ** 2 - 11**2)
    assert web.volume == pytest.approx(10 * area - 5 * ring, rel=0.01)


def test_a_gears_keyway_and_web_holes_are_where_the_keys_say():
    solid = solid_of("gear", GEAR | WEB)
    keyway = [[0, 7 + 1.9, 0], [1.9, 8.5, 0], [0, 7 + 2.1, 0], [2.1, 8.5, 0], [0, -8.0, 0]]
    assert solid.contains(keyway).tolist() == [False, False, True, True, True]
    root, middle = 24 - 2.5, (24 - 2.5 - 5 + 11.9) / 2
    web = [[middle, 0, 0], [middle, 1.9, 0], [middle, 2.2, 0], [middle, 2.2, 2.2], [root, 0, 4]]
    assert solid.contains(web).tolist() == [False, False, True, False, True]


def test_removing_a_tooth_leaves_the_others():
    solid, mesh = solid_of("gear", GEAR | WEB), mesh_of("gear", GEAR | WEB)
    teeth = [f for f in mesh.features if f.kind == "tooth"]
    assert len(teeth) == 24 and {f.operation for f in teeth} == {"remove"}
    tooth = teeth[5]
    body = trimesh.Trimesh(*tooth.body, process=False)
    assert body.is_volume
    left = trimesh.boolean.difference([solid, body], engine="manifold")
    assert left.is_watertight and left.body_count == 1
    lean, at = (
        np.hypot(*left.vertices[:, :2].T),
        np.arctan2(left.vertices[:, 1], left.vertices[:, 0]),
    )
    step = 2 * np.pi / 24
    number = np.round(at / step).astype(int) % 24
    reach = [lean[number == k].max() for k in range(24)]
    stump = 26 - tooth.size_mm["height"]
    assert reach[5] == pytest.approx(stump, abs=0.02)
    np.testing.assert_allclose(np.delete(reach, 5), 26.0, atol=0.05)
    missing, _ = quad(lambda r: 2 * half_angle(r, 2.0, 24.0) * r, stump, 26.0)
    assert solid.volume - left.volume == pytest.approx(10 * missing, rel=0.03)


def test_a_web_hole_that_was_never_drilled_ends_flush():
    solid, mesh = solid_of("gear", GEAR | WEB), mesh_of("gear", GEAR | WEB)
    holes = [f for f in mesh.features if f.kind == "hole"]
    assert len(holes) == 4
    plug = trimesh.Trimesh(*holes[1].body, process=False)
    filled = trimesh.boolean.union([solid, plug], engine="manifold")
    assert filled.is_watertight
    assert filled.volume - solid.volume == pytest.approx(np.pi * 4 * 4, rel=0.01)
    assert np.abs(plug.vertices[:, 2]).max() == pytest.approx(2.0, abs=1e-4)
    assert np.abs(filled.face_normals[:, 2]).max() == pytest.approx(1.0)


def crossings(solid: trimesh.Trimesh, radius: float, angle_deg: float) -> np.ndarray:
    """Return the heights at which a line along z cuts a surface."""
    a = np.deg2rad(angle_deg)
    origin = np.array([[radius * np.cos(a), radius * np.sin(a), -100.0]])
    hits, _, _ = solid.ray.intersects_location(origin, np.array([[0, 0, 1.0]]))
    return np.sort(hits[:, 2])


def test_a_bolt_has_a_right_handed_thread_of_its_pitch_and_depth():
    solid = solid_of("hex_bolt", BOLT)
    # Halfway up the flanks, ridge and gap are each half a pitch wide, a bit more at the crest.
    middle = 5 - DEPTH * 1.5 / 2
    ridges = crossings(solid, middle, 3.0)
    inside = ridges[(ridges > -20) & (ridges < -3)]
    np.testing.assert_allclose(inside[2:] - inside[:-2], 1.5, atol=0.01)
    # DIN 13: gap at that height P/4 + 5P/16, ridge P/8 + 5P/16.
    gaps = np.sort(np.unique(np.diff(inside).round(2)))
    np.testing.assert_allclose(gaps, [0.66, 0.84], atol=0.02)
    quarter = crossings(solid, middle, 93.0)
    rise = (quarter[:, None] - inside[None]).reshape(-1)
    assert np.abs(rise - 1.5 / 4).min() < 0.01
    assert solid.bounds[1, 1] == pytest.approx(8.0, abs=1e-3), "M10 has a 16 mm wrench"
    assert np.ptp(solid.bounds[:, 2]) == pytest.approx(40 + 6.4)
    thread = solid.vertices[np.abs(solid.vertices[:, 2] + 12) < 5]
    reach = np.hypot(thread[:, 0], thread[:, 1])
    assert reach.max() == pytest.approx(5.0, abs=1e-3)
    assert reach.min() == pytest.approx(5 - 0.54127 * 1.5, abs=1e-3)


def test_a_bolts_and_a_nuts_volume_are_the_analytic_ones():
    p, r, root = 1.5, 5.0, 5 - DEPTH * 1.5
    ridge = 0.4375 * p * (r - root)  # a trapezoid, 3/4 and 1/8 pitches wide
    middle = (r + root) / 2 - 0.05
    per_mm = np.pi * root**2 + 2 * np.pi * middle * ridge / p
    head = math.sqrt(3) / 2 * 16**2 * 6.4 - chamfer_volume(16.0)
    head -= 0.4 * (math.sqrt(3) / 2 * 16**2 - np.pi * 7.6**2)
    whole = head + 25 * per_mm + 15 * np.pi * r**2
    assert solid_of("hex_bolt", BOLT).volume == pytest.approx(whole, rel=0.01)
    tall, p, r, sunk = 0.85 * 12, 1.75, 6.0, 0.72
    height = DEPTH * p
    # The thread fades in over half a turn at both ends, where its section grows as a square.
    full = tall - 2 * sunk - 0.24 * p - 2 * (2 / 3) * p / 2
    thread = full * 2 * np.pi * (r - 0.4 * height) * 0.4375 * height
    nut = tall * (math.sqrt(3) / 2 * 19**2 - np.pi * r**2) + thread
    nut -= 2 * np.pi * (r + sunk / 3) * sunk**2 + 2 * chamfer_volume(19.0)
    assert solid_of("hex_nut", NUT).volume == pytest.approx(nut, rel=0.01)


def chamfer_volume(flats: float) -> float:
    """What a cone of 30 degrees cuts from one end of a hexagonal prism, mm3."""
    start = 0.95 * flats / 2

    def slice_at(angle: float) -> float:
        reach = flats / 2 / math.cos(angle)
        return reach**3 / 3 - start * reach**2 / 2 + start**3 / 6

    return 12 * math.tan(math.pi / 6) * quad(slice_at, 0, math.pi / 6)[0]


@pytest.mark.parametrize(
    ("kind", "size"), [("bearing_outer_ring", OUTER), ("bearing_inner_ring", INNER)]
)
def test_a_raceway_is_a_round_groove_of_its_depth(kind, size):
    solid = solid_of(kind, size)
    outer, shoulder, away = (31.0, 26.0, 1) if kind == "bearing_outer_ring" else (20.0, 20.0, -1)
    inner = shoulder if away > 0 else 15.0
    reach = np.hypot(solid.vertices[:, 0], solid.vertices[:, 1])
    half = math.sqrt(4.2**2 - 2.5**2)
    groove = (np.abs(solid.vertices[:, 2]) < half - 1e-3) & (np.abs(reach - shoulder) < 1.8)
    depth = away * (reach[groove] - shoulder)
    assert depth.max() == pytest.approx(1.7, abs=1e-3)
    centre = shoulder - away * (4.2 - 1.7)
    np.testing.assert_allclose(
        np.hypot(reach[groove] - centre, solid.vertices[groove, 2]), 4.2, atol=1e-3
    )
    segment = 4.2**2 * math.acos(2.5 / 4.2) - 2.5 * half
    centroid = (2 * half) ** 3 / (12 * segment) - 2.5
    corners = 2 * (1 - math.pi / 4) * 0.6**2 * 2 * np.pi * (outer if away > 0 else inner)
    volume = np.pi * (outer**2 - inner**2) * 15 - corners
    volume -= 2 * np.pi * (shoulder + away * centroid) * segment
    assert solid.volume == pytest.approx(volume, rel=0.005)


@pytest.mark.parametrize(
    ("kind", "size", "message"),
    [
        ("gear", GEAR | {"teeth": 6.0}, "teeth 6 must be at least 8"),
        ("gear", GEAR | {"bore": 42.0}, "bore 42 leaves nothing below the root"),
        ("gear", GEAR | {"keyway": 11.0}, "keyway 11 must be at most 0.7 of bore"),
        ("gear", GEAR | {"tooth_chamfer": 1.0}, "tooth_chamfer 1 is too large for a tip of"),
        ("gear", GEAR | {"chamfer": 5.0}, "chamfer 5 is too large for width 10"),
        ("gear", GEAR | {"recess": 4.8}, "recess 4.8 must be above chamfer and below 4.5"),
        ("gear", GEAR | {"recess": 3.0, "hub_diameter": 40.0}, "hub_diameter 40 does not fit"),
        ("gear", GEAR | WEB | {"hole": 6.0}, "hole 6 does not fit into the web"),
        ("gear", GEAR | WEB | {"hole": 3.0, "holes": 40.0}, "holes overlap"),
        ("hex_bolt", BOLT | {"pitch": 6.0}, "pitch 6 is too coarse for diameter 10"),
        ("hex_bolt", BOLT | {"across_flats": 11.0}, "across_flats 11 must exceed 11.5"),
        ("hex_bolt", BOLT | {"length": 6.0}, "pitch 1.5 leaves no room for two turns"),
        ("hex_bolt", BOLT | {"washer": 4.0}, "washer 4 must stay below half of head_height"),
        ("hex_nut", NUT | {"across_flats": 13.0}, "across_flats 12.35 must exceed"),
        ("hex_nut", NUT | {"height": 1.5}, "pitch 1.75 leaves no room for two turns"),
        ("bearing_outer_ring", OUTER | {"width": 7.0}, "does not fit into width 7"),
        ("bearing_outer_ring", OUTER | {"wall": 29.0}, "wall 29 leaves no bore"),
        ("bearing_inner_ring", INNER | {"groove_depth": 4.5}, "groove_depth 4.5 must stay below"),
        ("bearing_inner_ring", INNER | {"lip": 0.0}, "chamfer and lip must be above 0"),
        ("bearing_inner_ring", INNER | {"chamfer": 4.6}, "chamfer 4.6 is too large for wall 5"),
    ],
)  # fmt: skip
def test_dimensions_that_contradict_each_other_are_named(kind, size, message):
    with pytest.raises(ConfigError, match=message):
        mesh_of(kind, size)


@pytest.mark.parametrize(("kind", "size"), [("bearing_outer_ring", OUTER), ("gear", GEAR | WEB)])
def test_other_parts_fit_into_a_ring_and_a_recess(kind, size):
    shape = ShapeSpec(kind=kind, size_mm=size, texel_mm=1.0)
    pieces = [trimesh.convex.convex_hull(points) for points in convex_pieces(shape)]
    free = np.array([[0, 0, 0.0], [24, 0, 0]] if "ring" in kind else [[14.0, 0, 4.0]])
    assert not any(piece.contains(free).any() for piece in pieces)
    vertices = build_mesh(shape).vertices_mm.astype(float)
    gap = np.min([_outside(piece, vertices) for piece in pieces], axis=0)
    assert gap.max() < 0.06


def _outside(hull: trimesh.Trimesh, points: np.ndarray) -> np.ndarray:
    normals = hull.face_normals
    return (points @ normals.T - (normals * hull.triangles[:, 0]).sum(axis=1)).max(axis=1)


@pytest.fixture(scope="module")
def raster() -> Iterator[Raster]:
    renderer = Raster(RendererConfig(allow_software=True, supersample=1))
    yield renderer
    renderer.close()


def test_drawn_ids_agree_with_cast_rays(raster: Raster) -> None:
    things = []
    shapes = [
        ("gear", GEAR | WEB),
        ("hex_bolt", BOLT),
        ("hex_nut", NUT),
        ("bearing_outer_ring", OUTER),
        ("bearing_inner_ring", INNER),
    ]
    for k, (kind, size) in enumerate(shapes):
        turn = axis_rotation((1.0, 0.3 * k, 0.5), 40.0 * k + 15)
        things.append(
            ObjectSpec(
                name=kind, category=kind, finish=scenes.STEEL, body="none",
                shape=ShapeSpec(kind=kind, size_mm=size, texel_mm=2.0),
                pose=PoseSpec(position_mm=(40.0 * (k % 3) - 40, 45.0 * (k // 3) - 20, 5.0 * k),
                              quaternion=quaternion_of(turn)),
            )
        )  # fmt: skip
    spec = scenes.scene(*things, view=scenes.camera((60.0, -120.0, 260.0), size=400, focal=700.0))
    drawn = raster.open(spec, scenes.bare_surfaces(spec))
    try:
        ids = drawn.labels().ids
    finally:
        drawn.close()
    assert set(np.unique(ids)) == set(range(6))
    assert (ids != scenes.cast_ids(spec)).sum() <= 0.0005 * ids.size
