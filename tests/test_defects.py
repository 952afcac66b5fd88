"""Defects: their size in mm on flat and curved parts, labels, twins, and what stays unlabelled."""

import dataclasses
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

import scenes
from simgen.config.render import LabelConfig
from simgen.defects.kinds import DEFECTS, DISTRACTORS, kind_module
from simgen.defects.place import keep_apart, place
from simgen.defects.profile import surface_points
from simgen.defects.surface import SurfaceCache, build_surfaces
from simgen.errors import ConfigError
from simgen.label.annotation import Frame
from simgen.label.frame import make_frame
from simgen.label.masks import padded
from simgen.parts.build import build_mesh
from simgen.parts.sites import Placement
from simgen.pipeline import FrameRenderer, render_view
from simgen.render.buffers import Window
from simgen.sampling import FrameIndex, stream
from simgen.scene.spec import DefectSpec, ObjectSpec, PoseSpec, SceneSpec, SensorSpec, ShapeSpec

FIRST = FrameIndex(frame=0, scene=0, view=0, exposure=0)
TOP = (0.0, 0.0, 3.0)


@pytest.fixture(scope="module")
def renderer() -> Iterator[FrameRenderer]:
    made = FrameRenderer(scenes.config("inspection", "renderer.allow_software=true"))
    yield made
    made.close()


def scratch(length: float = 20.0, width: float = 1.0, **keys: object) -> DefectSpec:
    """Return a straight scratch along x in the middle of a plate's upper face."""
    half = length / 2
    values: dict = {
        "kind": "scratch", "anchor_mm": TOP, "normal": (0.0, 0.0, 1.0), "tangent": (1.0, 0.0, 0.0),
        "size_mm": {"length": length, "width": width, "depth": 0.2}, "values": {"brightness": 0.9},
        "points": ((-half, 0.0, width / 2), (half, 0.0, width / 2)),
    }  # fmt: skip
    return DefectSpec(**{**values, **keys})


def render(
    renderer: FrameRenderer, spec: SceneSpec, labels: LabelConfig | None = None
) -> tuple[Frame, np.ndarray]:
    """Return the frame of a scene and its clean twin's linear colour over the whole image."""
    config = dataclasses.replace(renderer.config, labels=labels or LabelConfig(min_contrast=0.0))
    view = render_view(renderer._renderer, spec, config)
    twin = view.linear.copy()
    twin[view.window.slices] = view.twin
    return make_frame(FIRST, spec, view, config.labels), twin


def defects_of(frame: Frame) -> list:
    return [a for a in frame.annotations if a.supercategory == "defect"]


def test_a_scratch_has_its_size_in_mm(renderer: FrameRenderer) -> None:
    spec = scenes.scene(
        scenes.plate(scratch(20.0, 2.0)), view=scenes.camera((0, 0, 203.0), size=400, focal=1000)
    )
    frame, _ = render(renderer, spec)
    (found,) = defects_of(frame)
    mm = 200.0 / 1000
    rows, columns = np.nonzero(found.mask)
    assert (np.ptp(columns) + 1) * mm == pytest.approx(22.0, abs=2 * mm)  # round ends of 1 mm
    assert (np.ptp(rows) + 1) * mm == pytest.approx(2.0, abs=2 * mm)
    assert found.defect_mm == {"length": 20.0, "width": 2.0, "depth": 0.2}


def test_lengths_run_along_a_curved_surface() -> None:
    radius = 20.0
    mesh = build_mesh(ShapeSpec(
        kind="arc_tile", texel_mm=0.2,
        size_mm={"radius": radius, "width": 30.0, "length": 20.0, "thickness": 3.0, "bevel": 0.5},
    ))  # fmt: skip
    across = scratch(anchor_mm=(0.0, 0.0, 0.0), values={"max_turn_deg": 60.0, "level_mm": 0.5})
    texels = mesh.texels
    near = surface_points(across, texels.positions_mm, texels.normals, 30.0)
    on_face = texels.normals[near.index, 2] > 0.72
    x = texels.positions_mm[near.index, 0]
    arc = radius * np.arcsin(np.clip(x / radius, -1, 1))
    face = on_face & (np.abs(x) < 13)
    np.testing.assert_allclose(near.u_mm[face], arc[face], atol=0.05)


@pytest.mark.parametrize("turn_deg", [0.0, 17.0, 45.0, 70.0, 90.0])
@pytest.mark.parametrize("elevation_deg", [80.0, 35.0, 15.0])
def test_a_hairline_is_one_continuous_mask(
    renderer: FrameRenderer, turn_deg: float, elevation_deg: float
) -> None:
    turn, up = np.deg2rad(turn_deg), np.deg2rad(elevation_deg)
    thin = scratch(20.0, 0.02, tangent=(float(np.cos(turn)), float(np.sin(turn)), 0.0))
    eye = (0.0, -220.0 * float(np.cos(up)), 220.0 * float(np.sin(up)))
    spec = scenes.scene(scenes.plate(thin), view=scenes.camera(eye, size=300, focal=600))
    frame, _ = render(renderer, spec)
    (found,) = defects_of(frame)
    pieces, _ = cv2.connectedComponents(found.mask.astype(np.uint8), connectivity=8)
    assert pieces - 1 == 1
    # Continuous, and still no wider than a line has to be.
    length = max(np.ptp(axis) + 1 for axis in np.nonzero(found.mask))
    assert length <= found.mask.sum() <= 2.5 * length


def test_a_defect_does_not_bleed_through_a_thin_wall() -> None:
    mesh = build_mesh(ShapeSpec(
        kind="plate", size_mm={"length": 40.0, "width": 30.0, "thickness": 0.3}, texel_mm=0.2
    ))  # fmt: skip
    deep = scratch(anchor_mm=(0.0, 0.0, 0.15))
    texels = mesh.texels
    near = surface_points(deep, texels.positions_mm, texels.normals, 12.0)
    assert len(near.index) > 100
    assert (texels.positions_mm[near.index, 2] > 0.1).all()


def test_what_differs_from_the_twin_is_labelled_and_what_is_labelled_differs(
    renderer: FrameRenderer,
) -> None:
    spec = scenes.scene(
        scenes.plate(scratch(20.0, 1.5), length=90.0, width=60.0),
        view=scenes.camera((20.0, -80.0, 190.0), size=320, focal=700),
    )
    config = dataclasses.replace(renderer.config, labels=LabelConfig(min_contrast=0.0))
    view = render_view(renderer._renderer, spec, config)
    changed = np.zeros(view.masks.ids.shape, bool)
    difference = np.abs(view.linear[view.window.slices] - view.twin).max(axis=-1)
    changed[view.window.slices] = difference > 0.02
    mask = view.masks.defects[0].visible
    from scipy.ndimage import binary_dilation

    # Mip levels reach a pixel or two beyond the outline.
    assert not (changed & ~binary_dilation(mask, iterations=2)).any()
    assert (changed & mask).sum() > 0.7 * mask.sum()


def test_the_twin_in_a_window_is_the_twin_of_the_whole_image(renderer: FrameRenderer) -> None:
    spec = scenes.scene(
        scenes.plate(scratch()),
        scenes.plate(name="other", at=(20.0, 15.0, 8.0), length=30.0, width=20.0),
        view=scenes.camera((20.0, -80.0, 190.0), size=200, focal=420),
    )
    drawn = renderer._renderer.open(spec, [build_surfaces(o) for o in spec.objects])
    try:
        whole = drawn.colour(clean=True)
        for window in (Window(x0=60, y0=70, x1=150, y1=120), Window(x0=0, y0=90, x1=97, y1=200)):
            drawn.alone(1, clean=False, window=window)  # leaves other buffers behind
            np.testing.assert_array_equal(
                drawn.colour(clean=True, window=window), whole[window.slices]
            )
    finally:
        drawn.close()


def test_a_defect_too_faint_is_erased_from_image_and_labels(renderer: FrameRenderer) -> None:
    faint = scratch(
        values={"brightness": 0.5}, size_mm={"length": 20.0, "width": 1.0, "depth": 1e-4}
    )
    noisy = SensorSpec(shot_noise=0.05, read_noise=0.02)
    view = scenes.camera((0, 0, 203.0), size=300, focal=700)
    spec = scenes.scene(scenes.plate(faint), view=view, sensor=noisy)
    clean = scenes.scene(scenes.plate(), view=view, sensor=noisy)
    frame, _ = render(renderer, spec, LabelConfig(min_contrast=50.0))
    twin, _ = render(renderer, clean)
    assert frame.erased == {"scratch": 1}
    assert not defects_of(frame)
    np.testing.assert_array_equal(frame.image, twin.image)


def test_marks_are_drawn_but_never_labelled(renderer: FrameRenderer) -> None:
    view = scenes.camera((0, 0, 203.0), size=300, focal=700)
    plain = scenes.plate()
    marked = dataclasses.replace(plain, marks=(scratch(),))
    with_mark, _ = render(renderer, scenes.scene(marked, view=view))
    without, _ = render(renderer, scenes.scene(plain, view=view))
    assert np.abs(with_mark.image.astype(int) - without.image.astype(int)).max() > 20
    assert not defects_of(with_mark)


def test_a_break_removes_material_and_owns_facet_and_gap(renderer: FrameRenderer) -> None:
    gone = DefectSpec(
        kind="break", anchor_mm=(30.0, 0.0, 3.0), normal=(0.0, 0.0, 1.0), tangent=(0.0, 1.0, 0.0),
        size_mm={"length": 12.0, "width": 6.0, "depth": 4.0},
        values={"lumps": 0.05, "tone": 0.3, "roughness": 0.6, "grain": 0.3, "tilt_deg": 0.0},
        missing_material=True, seed=3,
    )  # fmt: skip
    view = scenes.camera((0, 0, 403.0), size=400, focal=1600)
    frame, _ = render(renderer, scenes.scene(scenes.plate(gone), view=view))
    whole, _ = render(renderer, scenes.scene(scenes.plate(), view=view))
    (found,) = defects_of(frame)
    assert found.missing_material
    part, before = frame.annotations[0].mask, whole.annotations[0].mask
    # Every pixel that the part lost belongs to the break.
    assert not (before & ~part & ~found.mask).any()
    x = (np.nonzero(found.mask)[1] - view.cx) * 400.0 / 1600
    assert x.min() == pytest.approx(24.0, abs=1.5)
    assert x.max() == pytest.approx(30.0, abs=0.5)


def test_close_defects_of_a_kind_are_merged_and_padded_on_request(renderer: FrameRenderer) -> None:
    pair = (
        scratch(8.0, 1.0, anchor_mm=(0.0, -2.0, 3.0)),
        scratch(8.0, 1.0, anchor_mm=(0.0, 2.0, 3.0)),
    )
    spec = scenes.scene(scenes.plate(*pair), view=scenes.camera((0, 0, 203.0), size=300, focal=700))
    two, _ = render(renderer, spec)
    one, _ = render(renderer, spec, LabelConfig(min_contrast=0, merge_mm=4.0))
    wide, _ = render(renderer, spec, LabelConfig(min_contrast=0, merge_mm=4.0, pad_px=3))
    assert len(defects_of(two)) == 2
    (joined,) = defects_of(one)
    np.testing.assert_array_equal(joined.mask, defects_of(two)[0].mask | defects_of(two)[1].mask)
    assert joined.defect_mm["count"] == 2
    x, y, w, h = _box(joined.mask)
    assert _box(defects_of(wide)[0].mask) == (x - 3, y - 3, w + 6, h + 6)


def test_labels_are_narrowed_on_request_but_never_to_nothing(renderer: FrameRenderer) -> None:
    wide = scratch(12.0, 2.0, anchor_mm=(0.0, -4.0, 3.0))
    thin = scratch(12.0, 0.3, anchor_mm=(0.0, 4.0, 3.0))
    spec = scenes.scene(
        scenes.plate(wide, thin), view=scenes.camera((0, 0, 203.0), size=300, focal=700)
    )
    whole, _ = render(renderer, spec)
    frame, _ = render(renderer, spec, LabelConfig(min_contrast=0, pad_px=-2))
    for before, after in zip(defects_of(whole), defects_of(frame), strict=True):
        assert after.mask.any() and not (after.mask & ~before.mask).any()
        assert (after.visibility, after.contrast) == (before.visibility, before.contrast)
    thick, _ = (_box(a.mask) for a in defects_of(whole))
    x, y, w, h = thick
    inner, hair = (_box(a.mask) for a in defects_of(frame))
    assert inner == (x + 2, y + 2, w - 4, h - 4)
    assert hair[2] > 30 and hair[3] <= 2


@pytest.mark.parametrize("pixels", [-3, -1, 0, 1, 3])
def test_padding_is_a_disc_and_leaves_the_image_s_borders(pixels: int) -> None:
    mask = np.zeros((60, 80), bool)
    mask[20:40, :30] = True
    made = padded(mask, pixels)
    assert _box(made) == (0, 20 - pixels, 30 + pixels, 20 + 2 * pixels)


def test_pieces_thinner_than_the_padding_keep_their_middle() -> None:
    mask = np.zeros((40, 60), bool)
    mask[5:8, 5:40] = mask[20:35, 10:30] = mask[12, 50] = True
    made = padded(mask, -4)
    np.testing.assert_array_equal(np.flatnonzero(made[:10].any(axis=1)), [6])
    assert made[12, 50]
    assert _box(made[20:]) == (14, 4, 12, 7)


def _box(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(mask)
    return columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1


@pytest.mark.parametrize("kind", sorted(DEFECTS))
def test_every_kind_draws_and_is_seen(renderer: FrameRenderer, kind: str) -> None:
    plain, defect = drawn(kind)
    damaged = dataclasses.replace(plain, defects=(defect,))
    spec = scenes.scene(damaged, view=scenes.camera((0, -40.0, 260.0), size=360, focal=800))
    frame, _ = render(renderer, spec)
    (found,) = defects_of(frame)
    assert found.category == kind
    assert found.contrast is not None and found.contrast > 0.5
    if not defect.missing_material:
        assert not (found.mask & ~frame.annotations[0].mask).any()


@pytest.mark.parametrize("kind", sorted(DISTRACTORS))
def test_every_distractor_is_seen_and_bears_no_label(renderer: FrameRenderer, kind: str) -> None:
    plain, mark = drawn(kind)
    view = scenes.camera((0, -40.0, 260.0), size=360, focal=800)
    marked, _ = render(renderer, scenes.scene(dataclasses.replace(plain, marks=(mark,)), view=view))
    clean, _ = render(renderer, scenes.scene(plain, view=view))
    assert not defects_of(marked)
    assert np.abs(marked.image.astype(int) - clean.image.astype(int)).max() >= 4


def drawn(kind: str) -> tuple[ObjectSpec, DefectSpec]:
    """Return a plate and a defect of default ranges on its upper face; equal draws are equal."""
    module = kind_module(kind)
    plain = scenes.plate(
        length=90.0, width=60.0, **({"holes": 2.0} if kind == "missing_feature" else {})
    )
    rng = stream(5, 0, kind)
    away = Placement(edge_mm=(18.0, 60.0))
    mesh = build_mesh(plain.shape)
    site = place(rng, kind, mesh, plain.finish, default=away, facing=((0.0, 0.0, 1.0),))
    assert site is not None
    defect = module.sample(rng, module.Ranges(), site)
    again = [module.sample(stream(5, 1, kind), module.Ranges(), site) for _ in range(2)]
    assert again[0] == again[1]
    return plain, defect


def test_an_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="'scrach' is unknown; did you mean 'scratch'"):
        kind_module("scrach")


def test_overlapping_defects_are_not_generated() -> None:
    kept = keep_apart(
        [scratch(), scratch(anchor_mm=(3.0, 3.0, 3.0)), scratch(anchor_mm=(0.0, 40.0, 3.0))]
    )
    assert [d.anchor_mm[1] for d in kept] == [0.0, 40.0]


def test_another_view_of_a_scene_builds_no_surface_anew() -> None:
    cache = SurfaceCache()
    one, other = scenes.plate(scratch()), scenes.plate(name="other", length=30.0)
    first = cache.of([one, other])
    moved = dataclasses.replace(one, name="moved", pose=PoseSpec(position_mm=(1.0, 2.0, 3.0)))
    clean = dataclasses.replace(other, finish=dataclasses.replace(other.finish, roughness=0.3))
    second = cache.of([moved, clean])
    assert second[0] is first[0]
    assert second[1] is not first[1]
    assert cache.of([other])[0] is not first[1]


def test_clean_and_damaged_maps_differ_only_under_the_defect() -> None:
    item = scenes.plate(scratch())
    pair = build_surfaces(item)
    changed = (pair.clean.maps.colour != pair.damaged.maps.colour).any(axis=-1)
    texels = build_mesh(item.shape).texels
    rows, columns = texels.rows, texels.columns
    at = texels.positions_mm[changed[rows, columns]]
    assert len(at)
    assert np.abs(at[:, 1]).max() < 1.0
    assert np.abs(at[:, 0]).max() < 11.0
