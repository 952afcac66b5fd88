"""The label pass against analytic projections and an independent ray caster."""

import dataclasses
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

import scenes
from simgen.config.render import RendererConfig
from simgen.label.masks import view_masks
from simgen.render.raster import Raster
from simgen.sampling import FrameIndex, Streams
from simgen.scene.family import load_family, parse_ranges
from simgen.scene.spec import ObjectSpec, PoseSpec, SceneSpec, ShapeSpec


@pytest.fixture(scope="module")
def raster() -> Iterator[Raster]:
    renderer = Raster(RendererConfig(allow_software=True, supersample=1))
    yield renderer
    renderer.close()


def _labels(raster: Raster, spec: SceneSpec):  # noqa: ANN202
    drawn = raster.open(spec, scenes.bare_surfaces(spec))
    try:
        return drawn.labels()
    finally:
        drawn.close()


def test_a_plane_covers_exactly_the_pixels_whose_rays_hit_it(raster: Raster) -> None:
    spec = scenes.scene(scenes.plate(at=(0.0, 0.0, -3.0)), view=scenes.camera((30.0, -80.0, 140.0)))
    labels = _labels(raster, spec)
    origins, rays = scenes.pixel_rays(spec.camera)
    t = -origins[:, 2] / rays[:, 2]
    hit = origins + t[:, None] * rays
    shape = labels.ids.shape
    margin = np.minimum(30 - np.abs(hit[:, 0]), 20 - np.abs(hit[:, 1])).reshape(shape)
    on_top = labels.normal[..., 2] > 0.99
    # A thousandth of a pixel from the border, float32 may fall either way.
    clear = np.abs(margin) > 1e-3
    np.testing.assert_array_equal(((labels.ids == 1) & on_top)[clear], (margin > 0)[clear])
    inside = (margin > 1e-3) & on_top
    np.testing.assert_allclose(
        labels.position_mm[inside] + np.array([0, 0, -3.0]),
        hit.reshape(*shape, 3)[inside],
        atol=2e-3,
    )


def test_depth_is_the_distance_along_the_viewing_axis(raster: Raster) -> None:
    spec = scenes.scene(
        scenes.plate(at=(0.0, 0.0, -3.0), length=500.0, width=500.0, texel_mm=5.0),
        view=scenes.camera((0.0, 0.0, 160.0)),
    )
    depth = _labels(raster, spec).depth_mm
    np.testing.assert_allclose(depth, 160.0, rtol=1e-5)


def test_a_distorted_plane_lies_where_opencv_projects_it(raster: Raster) -> None:
    view = dataclasses.replace(
        scenes.camera((30.0, -80.0, 140.0)), distortion=(-0.25, 0.08, 0.004, -0.003, 0.01)
    )
    spec = scenes.scene(scenes.plate(at=(0.0, 0.0, -3.0)), view=view)
    labels = _labels(raster, spec)
    assert labels.ids.shape == (200, 200)
    # Nearest sampling puts a point up to half a pixel off, times the lens's local stretch.
    on_top = (labels.ids == 1) & (labels.normal[..., 2] > 0.99)
    rows, columns = np.nonzero(on_top)
    world = labels.position_mm[on_top].astype(np.float64) + np.array([0, 0, -3.0])
    m = np.linalg.inv(view.pose.matrix())
    turn, _ = cv2.Rodrigues(m[:3, :3])
    pixels, _ = cv2.projectPoints(world, turn, m[:3, 3], view.matrix(), np.asarray(view.distortion))
    error = np.abs(pixels.reshape(-1, 2) - np.stack([columns, rows], axis=1))
    assert len(rows) > 5000
    assert error.max() < 0.75
    without, _ = cv2.projectPoints(world, turn, m[:3, 3], view.matrix(), np.zeros(5))
    assert np.abs(without - pixels).max() > 1.0


def test_a_sphere_covers_its_analytic_projection_to_the_pixel(raster: Raster) -> None:
    ball = ObjectSpec(
        name="ball", category="ball", finish=scenes.STEEL, body="none",
        shape=ShapeSpec(kind="sphere", size_mm={"radius": 20.0}, texel_mm=1.0),
        pose=PoseSpec(position_mm=(4.0, -6.0, 3.0)),
    )  # fmt: skip
    spec = scenes.scene(ball, view=scenes.camera((40.0, -90.0, 120.0)))
    ids = _labels(raster, spec).ids
    origins, rays = scenes.pixel_rays(spec.camera)
    to = np.array(ball.pose.position_mm) - origins
    miss = np.linalg.norm(np.cross(to, rays), axis=1).reshape(ids.shape)
    pixel_mm = 150.0 / spec.camera.fx
    np.testing.assert_array_equal(ids[miss < 20.0 - pixel_mm], 1)
    np.testing.assert_array_equal(ids[miss > 20.0 + pixel_mm], 0)


def test_part_masks_agree_with_a_ray_caster_on_fifty_scenes(raster: Raster) -> None:
    config = scenes.config(
        "inspection", "image.width=240", "image.height=240", "scene.texel_mm=2",
        "scene.clean_share=1", "scene.mark_count=0",
    )  # fmt: skip
    family = load_family(config.scene_name)
    ranges = parse_ranges(family, config.scene)
    wrong, pixels = 0, 0
    for number in range(50):
        index = FrameIndex.of(number, views_per_scene=1, exposures_per_view=1)
        streams = Streams(seed=11, index=index)
        objects = family.sample_objects(streams, ranges)
        spec = scenes.without_damage(family.sample_frame(streams, ranges, config.image, objects))
        ids = _labels(raster, spec).ids
        assert len(np.unique(ids)) > 2, f"scene {number} shows nothing"
        wrong += int((ids != scenes.cast_ids(spec)).sum())
        pixels += ids.size
    assert wrong / pixels < 0.001


def test_visibility_is_visible_over_amodal_pixels(raster: Raster) -> None:
    # Seen from above, a second plate hides exactly the half x > 0 of the lower one.
    lower = scenes.plate(name="lower", length=40.0)
    upper = scenes.plate(name="upper", at=(20.0, 0.0, 3.5), length=40.0, width=50.0, thickness=1.0)
    spec = scenes.scene(lower, upper, view=scenes.camera((0.0, 0.0, 4000.0), focal=12000.0))
    drawn = raster.open(spec, scenes.bare_surfaces(spec))
    try:
        seen = drawn.labels()
        masks = view_masks(spec, drawn, seen)
    finally:
        drawn.close()
    share = (masks.ids == 1).sum() / masks.amodal[0].sum()
    assert share == pytest.approx(0.5, abs=0.01)
    np.testing.assert_array_equal(masks.amodal[1], masks.ids == 2)
