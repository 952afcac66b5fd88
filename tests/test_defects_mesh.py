"""Defects that change a part's shape: sizes in mm, closed meshes, labels against cast rays."""

import dataclasses
from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import pytest
import trimesh
from scipy.ndimage import binary_dilation, binary_erosion
from scipy.spatial import cKDTree

import scenes
from simgen.config.render import LabelConfig
from simgen.defects import dent, fibre, missing_feature, particle
from simgen.defects.kinds import kind_module
from simgen.defects.place import keep_apart, place
from simgen.defects.profile import surface_points
from simgen.defects.surface import build_surfaces
from simgen.errors import AssetError, ConfigError
from simgen.label.annotation import Frame
from simgen.label.frame import make_frame
from simgen.parts.build import build_mesh
from simgen.parts.sites import pick_site
from simgen.pipeline import FrameRenderer, render_view
from simgen.sampling import Constant, FrameIndex, stream
from simgen.scene.spec import DefectSpec, ObjectSpec, SceneSpec, ShapeSpec

FIRST = FrameIndex(frame=0, scene=0, view=0, exposure=0)
RADIUS = 14.0
MM = 0.1  # a pixel of `looking_at`


@pytest.fixture(scope="module")
def renderer() -> Iterator[FrameRenderer]:
    made = FrameRenderer(scenes.config("inspection", "renderer.allow_software=true"))
    yield made
    made.close()


def plate(*defects: DefectSpec, **size_mm: float) -> ObjectSpec:
    return scenes.plate(*defects, texel_mm=0.1, **size_mm)


def rod(*defects: DefectSpec) -> ObjectSpec:
    """Return a cylinder along z; `ON_ROD` is a place on its side."""
    shape = ShapeSpec(kind="cylinder", size_mm={"radius": RADIUS, "length": 40.0}, texel_mm=0.1)
    return ObjectSpec(
        name="rod", category="plate", shape=shape, finish=scenes.STEEL, defects=defects, body="none"
    )


ON_PLATE: dict = {"anchor_mm": (3.0, 2.0, 3.0), "normal": (0.0, 0.0, 1.0)}
ON_ROD: dict = {"anchor_mm": (0.0, -RADIUS, 2.0), "normal": (0.0, -1.0, 0.0)}
PLACES = [
    pytest.param(plate, {**ON_PLATE, "tangent": (0.8, 0.6, 0.0)}, id="flat"),
    pytest.param(rod, {**ON_ROD, "tangent": (0.8, 0.0, 0.6)}, id="curved"),
]


def a_dent(where: dict, *, length: float = 8.0, width: float = 5.0, depth: float = 0.6, **keys):
    return DefectSpec(
        kind="dent", size_mm={"length": length, "width": width, "depth": depth},
        values={"rim": 0.1, "flatness": 0.3, "burnish": 0.4, "max_turn_deg": 55.0}, seed=11,
        **where, **keys,
    )  # fmt: skip


def looking_at(item: ObjectSpec, where: dict, *, tilt_deg: float = 0.0, size: int = 180):
    """Return a scene whose pixels cover `MM` where a defect lies, seen along its normal."""
    n = np.asarray(where["normal"])
    aside = np.array([1.0, 0.0, 0.0])
    t = np.deg2rad(tilt_deg)
    target = np.asarray(where["anchor_mm"])
    eye = target + 300 * (np.cos(t) * n + np.sin(t) * aside)
    view = scenes.camera(tuple(eye), tuple(target), size=size, focal=300 / MM)
    return scenes.scene(item, view=view)


def render(renderer: FrameRenderer, spec: SceneSpec) -> Frame:
    config = dataclasses.replace(renderer.config, labels=LabelConfig(min_contrast=0.0))
    return make_frame(FIRST, spec, render_view(renderer._renderer, spec, config), config.labels)


def the_defect(frame: Frame):
    (found,) = [a for a in frame.annotations if a.supercategory == "defect"]
    return found


def solid(item: ObjectSpec) -> trimesh.Trimesh:
    """Return the damaged part with what was left where bodies were cut, welded."""
    damaged = build_surfaces(item).damaged
    joined = [b for b in damaged.bodies if b.look is None or b.shade[:, 0].min() < 1e5]
    pieces = [
        trimesh.Trimesh(m.vertices_mm, m.faces, process=False) for m in (damaged.mesh, *joined)
    ]
    whole = trimesh.util.concatenate(pieces)
    whole.merge_vertices(merge_tex=True, merge_norm=True, digits_vertex=4)
    return whole


def agree(mask: np.ndarray, expected: np.ndarray) -> None:
    """Check two masks: 99.5 % of the pixels around, and all but those on the outline."""
    around = binary_dilation(expected, iterations=6)
    assert (mask == expected)[around].mean() >= 0.995 - 0.5 / np.sqrt(around.sum())
    certain = ~binary_dilation(expected) | binary_erosion(expected)
    assert not (mask != expected)[certain].any()


def cast(meshes: list, spec: SceneSpec) -> tuple[np.ndarray, np.ndarray]:
    """Return for every pixel the face that an independent ray hits (-1: none) and where."""
    mesh = trimesh.util.concatenate(
        [trimesh.Trimesh(m.vertices_mm, m.faces, process=False) for m in meshes]
    )
    origins, directions = scenes.pixel_rays(spec.camera)
    points, rays, faces = mesh.ray.intersects_location(origins, directions, multiple_hits=False)
    face, at = np.full(len(origins), -1), np.zeros((len(origins), 3))
    face[rays], at[rays] = faces, points
    return face, at


@pytest.mark.parametrize(("part", "where"), PLACES)
def test_a_dent_moves_the_mesh_by_its_profile(part, where) -> None:
    defect = a_dent(where)
    item = part(defect)
    mesh = solid(item)
    assert mesh.is_watertight
    whole = build_mesh(item.shape)
    assert mesh.volume < trimesh.Trimesh(whole.vertices_mm, whole.faces).volume - 3.0
    # Rays along the undamaged normal, at places in mm on the surface.
    rng = np.random.default_rng(0)
    along, across = rng.uniform(-4.5, 4.5, (2, 400))
    if part is plate:
        start = np.stack([3.0 + along, 2.0 + across, np.full(400, 3.0)], axis=1)
        normal = np.tile([0.0, 0.0, 1.0], (400, 1))
        u, v = 0.8 * along + 0.6 * across, 0.8 * across - 0.6 * along
    else:
        turn = along / RADIUS
        normal = np.stack([np.sin(turn), -np.cos(turn), np.zeros(400)], axis=1)
        start = RADIUS * normal + np.outer(2.0 + across, [0, 0, 1])
        u, v = 0.8 * along + 0.6 * across, 0.8 * across - 0.6 * along
    hits, rays, _ = mesh.ray.intersects_location(start + 5 * normal, -normal, multiple_hits=False)
    height = np.einsum("ij,ij->i", hits - start[rays], normal[rays])
    wanted = dent.profile(defect, u[rays].astype(np.float32), v[rays].astype(np.float32)).height_mm
    np.testing.assert_allclose(height, wanted, atol=0.03)  # facets lie 0.01 mm inside
    assert height.min() == pytest.approx(-0.6, abs=0.02)
    assert height.max() > 0.03


@pytest.mark.parametrize(("part", "where"), PLACES)
@pytest.mark.parametrize("tilt_deg", [0.0, 50.0])
def test_a_dents_mask_is_its_outline_on_the_undamaged_surface(
    renderer: FrameRenderer, part, where, tilt_deg: float
) -> None:
    defect = a_dent(where)
    item = part(defect)
    spec = looking_at(item, where, tilt_deg=tilt_deg)
    mask = the_defect(render(renderer, spec)).mask
    damaged = build_surfaces(item).damaged
    face, at = cast([damaged.mesh], spec)
    corners = damaged.mesh.faces[np.maximum(face, 0)]
    weights = trimesh.triangles.points_to_barycentric(damaged.mesh.vertices_mm[corners], at)
    was = np.einsum("pk,pkj->pj", weights, damaged.rest.vertices_mm[corners])
    normals = np.einsum("pk,pkj->pj", weights, damaged.rest.normals[corners])
    hit = np.flatnonzero(face >= 0)
    near = surface_points(defect, was[hit], normals[hit], 10.0)
    inside = dent.profile(defect, near.u_mm, near.v_mm).distance_mm <= 0
    expected = np.zeros(len(face), bool)
    expected[hit[near.index[inside]]] = True
    agree(mask, expected.reshape(mask.shape))
    if tilt_deg == 0 and part is plate:
        turned = np.array([[0.8, 0.6], [-0.6, 0.8]])
        rows, columns = np.nonzero(mask)
        # Image x runs along part x, image y against part y.
        spots = turned @ np.stack([columns, -rows]) * MM
        assert np.ptp(spots, axis=1) == pytest.approx([8.0, 5.0], abs=2 * MM)


@pytest.mark.parametrize(("part", "where"), PLACES)
def test_normals_of_a_dent_are_those_of_the_dented_surface(
    renderer: FrameRenderer, part, where
) -> None:
    item = part(a_dent(where))
    spec = looking_at(item, where)
    frame = render(renderer, spec)
    mesh = build_surfaces(item).damaged.mesh
    face, _ = cast([mesh], spec)
    facets = trimesh.Trimesh(mesh.vertices_mm, mesh.faces, process=False).face_normals
    mask = the_defect(frame).mask
    shown = mask & (face >= 0).reshape(mask.shape)
    expected = facets[face.reshape(mask.shape)[shown]]
    undamaged = render(renderer, looking_at(part(), where)).geometry

    def turn_deg(normals: np.ndarray) -> np.ndarray:
        return np.rad2deg(np.arccos(np.clip((normals[shown] * expected).sum(-1), -1, 1)))

    # A facet, 1/18 of the dent wide, is up to half its bend off the smooth surface.
    assert np.median(turn_deg(frame.geometry.normal)) < 3.0
    assert np.median(turn_deg(undamaged.normal)) > 4 * np.median(turn_deg(frame.geometry.normal))


def test_a_dent_over_an_edge_or_across_a_seam_tears_nothing() -> None:
    at_edge = a_dent(
        {"anchor_mm": (10.0, -19.0, 3.0), "normal": (0.0, 0.0, 1.0), "tangent": (1.0, 0.0, 0.0)}
    )
    over_rim = a_dent(
        {"anchor_mm": (0.0, -RADIUS, 18.0), "normal": (0.0, -1.0, 0.0), "tangent": (1.0, 0.0, 0.0)}
    )
    for item in (plate(at_edge), plate(at_edge, chamfer=0.5), rod(over_rim)):
        mesh = solid(item)
        assert mesh.is_watertight
        clean = build_mesh(item.shape)
        moved = trimesh.proximity.signed_distance(
            trimesh.Trimesh(clean.vertices_mm, clean.faces), mesh.vertices
        )
        # Nothing folds out beyond the rim's own rise, nor in beyond the depth.
        assert -0.1 < moved.min() and moved.max() < 0.65
        assert mesh.volume < clean_volume(item) - 0.5


def clean_volume(item: ObjectSpec) -> float:
    mesh = build_mesh(item.shape)
    return float(trimesh.Trimesh(mesh.vertices_mm, mesh.faces).volume)


def test_dents_and_a_break_share_a_part(renderer: FrameRenderer) -> None:
    broken = a_break((30.0, 5.0, 3.0), (0.0, 0.0, 1.0), (0.0, 1.0, 0.0))
    here = {"normal": (0.0, 0.0, 1.0), "tangent": (1.0, 0.0, 0.0)}
    one = a_dent({"anchor_mm": (18.0, 5.0, 3.0), **here}, length=4.0, width=4.0, depth=0.4)
    two = a_dent({"anchor_mm": (23.0, 5.0, 3.0), **here}, length=4.0, width=4.0, depth=0.4)
    item = plate(one, broken, two)
    assert solid(item).is_watertight
    spec = looking_at(item, {"anchor_mm": (24.0, 5.0, 3.0), "normal": (0.0, 0.0, 1.0)})
    found = [a for a in render(renderer, spec).annotations if a.supercategory == "defect"]
    assert [a.category for a in found] == ["dent", "break", "dent"]
    assert not (found[0].mask & found[1].mask).any() and not (found[1].mask & found[2].mask).any()
    assert found[0].mask.sum() == pytest.approx(found[2].mask.sum(), rel=0.02)


def test_a_pointed_break_is_as_long_and_wide_and_narrower_toward_its_ends() -> None:
    spec = a_break((0.0, 0.0, 0.0), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0))
    spec = replace(spec, values={**spec.values, "lumps": 0.0, "facets": 0.0, "tilt_deg": 0.0})
    widths = []
    for pointed in (0.0, 1.0):
        values = {**spec.values, "pointed": pointed}
        body = kind_module("break").body(replace(spec, values=values), build_mesh(plate().shape))
        p = body.vertices_mm
        half = spec.size_mm["length"] / 2
        assert p[:, 0].max() == pytest.approx(half, rel=0.02)
        assert p[:, 1].max() == pytest.approx(spec.size_mm["width"], rel=0.02)
        near_end = np.abs(p[:, 0] / half - 0.7) < 0.05
        widths.append(p[near_end, 1].max())
    assert widths[1] < 0.6 * widths[0]


def a_break(anchor, normal, tangent) -> DefectSpec:
    return DefectSpec(
        kind="break", anchor_mm=anchor, normal=normal, tangent=tangent,
        size_mm={"length": 6.0, "width": 2.5, "depth": 1.5},
        values={"lumps": 0.06, "facets": 4.0, "tone": 0.3, "roughness": 0.6, "grain": 0.3,
                "tilt_deg": 5.0, "ripple": 0.2, "lip": 0.5},
        missing_material=True, seed=5,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("part", "where"),
    [
        (
            plate,
            {"anchor_mm": (30.0, 4.0, 3.0), "normal": (0.0, 0.0, 1.0), "tangent": (0.0, 1.0, 0.0)},
        ),
        (
            rod,
            {
                "anchor_mm": (0.0, -RADIUS, 20.0),
                "normal": (0.0, -1.0, 0.0),
                "tangent": (-1.0, 0.0, 0.0),
            },
        ),
    ],
    ids=["flat", "curved"],
)
def test_a_breaks_mask_is_what_its_body_removes(renderer: FrameRenderer, part, where) -> None:
    defect = a_break(where["anchor_mm"], where["normal"], where["tangent"])
    item = part(defect)
    mesh = solid(item)
    assert mesh.is_watertight
    spec = looking_at(item, where, tilt_deg=25.0)
    found = the_defect(render(renderer, spec))
    body = kind_module("break").body(defect, build_mesh(item.shape))
    tool = trimesh.Trimesh(body.vertices_mm, body.faces, process=False)
    before, at = cast([build_mesh(item.shape)], spec)
    gone = np.zeros(len(before), bool)
    gone[before >= 0] = tool.contains(at[before >= 0])
    damaged = build_surfaces(item).damaged
    now, _ = cast([damaged.mesh, *damaged.bodies], spec)
    expected = gone | (now >= len(damaged.mesh.faces))
    agree(found.mask, expected.reshape(found.mask.shape))
    assert found.missing_material
    # Along the edge it is as long as asked, and no deeper.
    extent = body.vertices_mm @ np.asarray(where["tangent"])
    assert np.ptp(extent) == pytest.approx(6.0, rel=0.05)
    inward = -np.asarray(where["normal"])
    assert (body.vertices_mm @ inward).max() - np.asarray(where["anchor_mm"]) @ inward < 1.5 * 1.1


@pytest.mark.parametrize(("part", "where"), PLACES)
def test_a_particle_has_its_size_and_covers_its_mask(renderer, part, where) -> None:
    site = site_at(where)
    ranges = particle.Ranges(
        length_mm=Constant(4.0), aspect=Constant(0.6), height_ratio=Constant(0.4)
    )
    defect = dataclasses.replace(
        particle.sample(stream(1, 0, "p"), ranges, site), tangent=where["tangent"]
    )
    item = part(defect)
    spec = looking_at(item, where)
    frame = render(renderer, spec)
    found = the_defect(frame)
    assert not found.missing_material
    assert not (found.mask & ~frame.annotations[0].mask).any()
    body = particle.body(defect, build_mesh(item.shape))
    whole = build_mesh(item.shape)
    face, at = cast([whole, body], spec)
    agree(found.mask, (face >= len(whole.faces)).reshape(found.mask.shape))
    on_body = at[face >= len(whole.faces)]
    if part is plate:
        height = on_body[:, 2] - 3.0
        u = (on_body[:, :2] - (3.0, 2.0)) @ np.array([[0.8, -0.6], [0.6, 0.8]])
    else:
        height = np.hypot(on_body[:, 0], on_body[:, 1]) - RADIUS
        arc = RADIUS * np.arctan2(on_body[:, 0], -on_body[:, 1])
        u = np.stack([arc, on_body[:, 2] - 2.0], axis=1) @ np.array([[0.8, -0.6], [0.6, 0.8]])
    assert height.max() == pytest.approx(1.6, rel=0.05)
    assert np.ptp(u, axis=0) == pytest.approx([4.0, 2.4], abs=3 * MM)


def site_at(where: dict):
    site = pick_site(stream(0, 0, "site"), build_mesh(plate().shape))
    assert site is not None
    return dataclasses.replace(
        site, anchor_mm=where["anchor_mm"], normal=where["normal"], tangent=where["tangent"]
    )


@pytest.mark.parametrize(("part", "where"), PLACES)
@pytest.mark.parametrize("tilt_deg", [0.0, 60.0])
@pytest.mark.parametrize("diameter", [0.02, 0.5])
def test_a_fibre_is_one_piece_even_if_thinner_than_a_pixel(
    renderer: FrameRenderer, part, where, tilt_deg: float, diameter: float
) -> None:
    ranges = fibre.Ranges(
        length_mm=Constant(9.0),
        diameter_mm=Constant(diameter),
        curl_deg=Constant(80.0),
        waves=Constant(1.0),
        lift_mm=Constant(0.1),
    )
    defect = fibre.sample(stream(3, 0, "f"), ranges, site_at(where))
    item = part(defect)
    found = the_defect(render(renderer, looking_at(item, where, tilt_deg=tilt_deg)))
    pieces, _ = cv2.connectedComponents(found.mask.astype(np.uint8), connectivity=8)
    assert pieces - 1 == 1
    axis = kind_module("fibre").body(defect, build_mesh(item.shape)).vertices_mm[:-2]
    axis = axis.reshape(len(defect.points), -1, 3).mean(axis=1)
    assert np.linalg.norm(np.diff(axis, axis=0), axis=1).sum() == pytest.approx(9.0, rel=0.05)
    # As wide as it is, or a pixel.
    spec = looking_at(item, where, tilt_deg=tilt_deg)
    eye = np.asarray(spec.camera.pose.position_mm)
    ray = axis - eye
    ray /= np.linalg.norm(ray, axis=1, keepdims=True)
    steps = np.diff(axis, axis=0)
    seen = np.linalg.norm(np.cross(steps, ray[1:]), axis=1).sum()
    wide = max(diameter, 1.1 * MM)
    assert found.mask.sum() * MM * MM == pytest.approx((seen + wide) * wide, rel=0.15)


@pytest.mark.parametrize(
    ("kind", "size", "mouth"),
    [
        (
            "plate",
            {
                "length": 60.0,
                "width": 40.0,
                "thickness": 6.0,
                "holes": 2.0,
                "hole": 6.0,
                "chamfer": 0.5,
            },
            7.0,
        ),
        (
            "flange",
            {
                "diameter": 60.0,
                "thickness": 6.0,
                "bore": 12.0,
                "hub_diameter": 22.0,
                "hub_height": 6.0,
                "bolt_hole": 5.0,
            },
            6.0,
        ),
    ],
)
def test_a_hole_never_drilled_is_the_area_of_its_mouth(renderer, kind, size, mouth) -> None:
    shape = ShapeSpec(kind=kind, size_mm=size, texel_mm=0.1)
    mesh = build_mesh(shape)
    site = place(stream(2, 0, "hole"), "missing_feature", mesh, scenes.STEEL, facing=((0, 0, 1.0),))
    assert site is not None
    defect = missing_feature.sample(stream(2, 0, "hole"), missing_feature.Ranges(), site)
    item = dataclasses.replace(plate(defect), shape=shape)
    filled = solid(item)
    assert filled.is_watertight
    assert filled.volume == pytest.approx(clean_volume(item) + feature_volume(mesh), rel=1e-5)
    where = {"anchor_mm": defect.anchor_mm, "normal": defect.normal}
    found = the_defect(render(renderer, looking_at(item, where)))
    assert not found.missing_material
    x = (np.arange(180) - 89.5) * MM
    agree(found.mask, np.hypot(x[:, None], x[None]) < mouth / 2)


def feature_volume(mesh) -> float:
    return float(trimesh.Trimesh(*mesh.features[0].body).volume)


def test_a_missing_tooth_is_gone_from_mesh_and_mask(renderer: FrameRenderer) -> None:
    size = {"module": 2.0, "teeth": 12.0, "width": 6.0, "bore": 6.0}
    item = dataclasses.replace(
        plate(), shape=ShapeSpec(kind="gear", size_mm=size, texel_mm=0.1), category="gear"
    )
    mesh = build_mesh(item.shape)
    site = place(stream(4, 0, "t"), "missing_feature", mesh, item.finish, facing=((0, 0, 1.0),))
    defect = missing_feature.sample(stream(4, 0, "t"), missing_feature.Ranges(), site)
    item = dataclasses.replace(item, defects=(defect,))
    assert solid(item).is_watertight
    tooth = trimesh.Trimesh(*site.feature.body)
    whole = trimesh.Trimesh(mesh.vertices_mm, mesh.faces)
    taken = trimesh.boolean.intersection([weld(whole), tooth], engine="manifold")
    assert taken.volume > 0.02 * clean_volume(item)
    assert clean_volume(item) - solid(item).volume == pytest.approx(taken.volume, rel=1e-3)
    where = {"anchor_mm": defect.anchor_mm, "normal": defect.normal}
    spec = looking_at(item, where, tilt_deg=20.0)
    found = the_defect(render(renderer, spec))
    assert found.missing_material
    before, at = cast([mesh], spec)
    expected = before >= 0
    # Points of the tooth lie on its own surface: a hair inside counts.
    inward = at[expected] - 1e-3 * mesh_normals(mesh)[before[expected]]
    expected[expected] = tooth.contains(inward)
    damaged = build_surfaces(item).damaged
    now, _ = cast([damaged.mesh, *damaged.bodies], spec)
    expected |= now >= len(damaged.mesh.faces)
    agree(found.mask, expected.reshape(found.mask.shape))


def weld(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    mesh.merge_vertices(merge_tex=True, merge_norm=True)
    return mesh


def mesh_normals(mesh) -> np.ndarray:
    return trimesh.Trimesh(mesh.vertices_mm, mesh.faces, process=False).face_normals


def test_the_finish_goes_on_over_a_plug_and_its_rim() -> None:
    size = {"length": 60.0, "width": 40.0, "thickness": 6.0, "holes": 1.0, "hole": 6.0}
    lines = {"line_mm": 0.6, "line_tone": 0.1, "grain": 0.0, "edge_mm": 0.6}
    finish = dataclasses.replace(scenes.STEEL, values=lines)
    item = dataclasses.replace(
        plate(), finish=finish, shape=ShapeSpec(kind="plate", size_mm=size, texel_mm=0.1)
    )
    mesh = build_mesh(item.shape)
    site = place(stream(2, 0, "hole"), "missing_feature", mesh, item.finish, facing=((0, 0, 1.0),))
    defect = missing_feature.sample(stream(2, 0, "hole"), missing_feature.Ranges(), site)
    pair = build_surfaces(dataclasses.replace(item, defects=(defect,)))
    (plug,) = pair.damaged.bodies
    assert plug.maps is not None
    solid_plate = dataclasses.replace(
        item, shape=ShapeSpec(kind="plate", size_mm={**size, "holes": 0.0}, texel_mm=0.1)
    )
    never = build_surfaces(solid_plate).clean
    texels = build_mesh(solid_plate.shape).texels
    top = np.flatnonzero(texels.normals[:, 2] > 0.9)
    # The same lines pass over the plug as over a plate without the hole.
    corners = plug.faces[(plug.normals[plug.faces][..., 2] > 0.9).all(axis=1)]
    middle = plug.vertices_mm[corners].mean(axis=1)
    height, width = plug.maps.colour.shape[:2]
    column, row = (plug.shade[corners].mean(axis=1) * (width, height)).astype(int).T
    ours = plug.maps.colour[row, column, 0].astype(float)
    nearest = top[cKDTree(texels.positions_mm[top]).query(middle)[1]]
    theirs = never.maps.colour[texels.rows[nearest], texels.columns[nearest], 0].astype(float)
    assert theirs.std() > 2
    assert np.corrcoef(ours, theirs)[0, 1] > 0.6
    # Nothing is left of the rounded rim.
    changed = (pair.clean.maps.slope != pair.damaged.maps.slope).any(axis=-1)
    assert changed.sum() > 50


def test_a_missing_feature_needs_one() -> None:
    bare = build_mesh(plate().shape)
    assert place(stream(0, 0, "x"), "missing_feature", bare, scenes.STEEL) is None
    site = pick_site(stream(0, 0, "x"), bare)
    with pytest.raises(ConfigError, match="needs a part with holes or teeth"):
        missing_feature.sample(stream(0, 0, "x"), missing_feature.Ranges(), site)
    lost = DefectSpec(
        kind="missing_feature", **ON_PLATE, tangent=(1.0, 0.0, 0.0), size_mm={"diameter": 5.0}
    )
    with pytest.raises(AssetError, match="no feature at"):
        missing_feature.body(lost, bare)


@pytest.mark.parametrize("kind", ["dent", "break", "particle", "fibre"])
def test_kinds_lie_where_they_occur_and_apart(kind: str) -> None:
    mesh = build_mesh(plate().shape)
    module = kind_module(kind)
    drawn = []
    for k in range(12):
        rng = stream(7, k, kind)
        site = place(rng, kind, mesh, scenes.STEEL, facing=((0.0, 0.0, 1.0),), cone_deg=30.0)
        assert site is not None and site.normal[2] > 0.8
        assert site.edge_mm <= 0.8 if kind == "break" else site.edge_mm >= 0.5
        drawn.append(module.sample(rng, module.Ranges(), site))
    kept = keep_apart(drawn)
    assert 1 < len(kept) <= 12
    item = plate(*kept)
    pair = build_surfaces(item)
    assert pair.clean.mesh is mesh and pair.clean.rest is None and not pair.clean.bodies
    masks = {b.defect for b in pair.damaged.bodies}
    assert masks == (set() if kind == "dent" else set(range(len(kept))))
