"""Colour against what light does: units, falloff, shadows, and where a texture lands."""

import dataclasses
import gc
from collections.abc import Iterator

import moderngl
import numpy as np
import pytest

import scenes
from simgen.config.render import RendererConfig
from simgen.defects.surface import build_surfaces
from simgen.render.buffers import Window
from simgen.render.environment import prefiltered
from simgen.render.raster import Raster
from simgen.scene.spec import (
    DefectSpec,
    EnvironmentSpec,
    FinishSpec,
    LightSpec,
    PanelSpec,
    SceneSpec,
)

BLACK = EnvironmentSpec(zenith=(0, 0, 0), horizon=(0, 0, 0), ground=(0, 0, 0))
WHITE = FinishSpec(
    kind="painted", colour=(0.8, 0.8, 0.8), roughness=1.0, metalness=0.0,
    values={"blotch": 0.0, "grain": 0.0, "peel_slope": 0.0},
)  # fmt: skip


@pytest.fixture(scope="module")
def raster() -> Iterator[Raster]:
    renderer = Raster(RendererConfig(allow_software=True))
    yield renderer
    renderer.close()


def colour(raster: Raster, spec: SceneSpec) -> np.ndarray:
    drawn = raster.open(spec, [build_surfaces(o) for o in spec.objects])
    try:
        return drawn.colour()
    finally:
        drawn.close()


def lamp(height_mm: float, irradiance: float, **keys: object) -> LightSpec:
    values: dict = {
        "kind": "disc", "position_mm": (0.0, 0.0, height_mm), "target_mm": (0.0, 0.0, 0.0),
        "axis": (0.0, 0.0, 1.0), "size_mm": 1.0, "irradiance": irradiance,
    }  # fmt: skip
    return LightSpec(**{**values, **keys})


def white_plate(**size: float):  # noqa: ANN201
    item = scenes.plate(at=(0.0, 0.0, -3.0), texel_mm=1.0, **size)
    return dataclasses.replace(item, finish=WHITE)


def lit(lights: tuple[LightSpec, ...], *objects, **keys: object) -> SceneSpec:  # noqa: ANN002
    view = scenes.camera((0.0, -120.0, 160.0), size=120, focal=200)
    spec = scenes.scene(*objects, view=view)
    return dataclasses.replace(spec, lights=lights, environment=keys.get("environment", BLACK))


def test_irradiance_pi_gives_a_white_surface_its_albedo(raster: Raster) -> None:
    image = colour(raster, lit((lamp(5000.0, np.pi),), white_plate()))
    centre = image[55:65, 55:65].mean()
    # Diffuse 0.8, and a few hundredths of the rough coat's highlight.
    assert 0.8 <= centre <= 0.85


def test_light_falls_with_the_square_of_distance(raster: Raster) -> None:
    near = dataclasses.replace(lamp(1000.0, 1.0), target_mm=(0.0, 0.0, 0.0))
    # The same lamp's radiant intensity, moved to twice the distance.
    far = lamp(2000.0, 0.25)
    a = colour(raster, lit((near,), white_plate()))[60, 60, 0]
    b = colour(raster, lit((far,), white_plate()))[60, 60, 0]
    assert a / b == pytest.approx(4.0, rel=0.05)


def test_an_even_surround_lights_a_white_surface_evenly(raster: Raster) -> None:
    even = EnvironmentSpec(zenith=(1, 1, 1), horizon=(1, 1, 1), ground=(1, 1, 1))
    image = colour(raster, lit((), white_plate(), environment=even))
    top = image[50:70, 50:70]
    assert 0.75 <= top.mean() <= 0.95
    assert top.std() < 0.01


def test_a_block_above_casts_a_shadow_that_is_softer_under_a_larger_lamp(raster: Raster) -> None:
    block = scenes.plate(name="block", at=(0.0, 0.0, 40.0), length=20.0, width=20.0, texel_mm=1.0)
    floor = white_plate(length=200.0, width=200.0)
    profiles = []
    for size in (4.0, 120.0):
        key = lamp(400.0, 3.0, shadow=True, size_mm=size, position_mm=(120.0, 0.0, 400.0))
        image = colour(raster, lit((key,), floor, block))[..., 0]
        profiles.append(image)
    hard, soft = (image[45:75] for image in profiles)
    lit_level = float(np.median(hard))
    assert hard.min() < 0.1 * lit_level
    half_lit = [((i > 0.15 * lit_level) & (i < 0.85 * lit_level)).mean() for i in (hard, soft)]
    assert half_lit[1] > 3 * half_lit[0]
    # The half shadow spreads to both sides of the hard one: it takes about as much light.
    assert soft.mean() == pytest.approx(hard.mean(), rel=0.05)


def test_a_mark_in_the_maps_appears_where_the_geometry_says(raster: Raster) -> None:
    # Off centre in x and y: a mirrored or flipped texture would put it elsewhere.
    dark = DefectSpec(
        kind="pit", anchor_mm=(18.0, 9.0, 3.0), normal=(0.0, 0.0, 1.0), tangent=(1.0, 0.0, 0.0),
        size_mm={"length": 6.0, "width": 6.0, "depth": 1.0},
        values={"darkness": 0.02, "squareness": 2.0, "outline": 0.0}, seed=1,
    )  # fmt: skip
    item = dataclasses.replace(scenes.plate(dark, at=(0.0, 0.0, -3.0)), finish=WHITE)
    spec = lit((lamp(3000.0, np.pi),), item)
    difference = colour(
        raster, dataclasses.replace(spec, objects=(dataclasses.replace(item, defects=()),))
    )
    difference = (difference - colour(raster, spec))[..., 0]
    rows, columns = np.nonzero(difference > 0.3)
    m = np.linalg.inv(spec.camera.pose.matrix())
    p = m[:3, :3] @ np.array([18.0, 9.0, 0.0]) + m[:3, 3]
    view = spec.camera
    expected = view.fx * p[0] / p[2] + view.cx, view.fy * p[1] / p[2] + view.cy
    assert columns.mean() == pytest.approx(expected[0], abs=0.7)
    assert rows.mean() == pytest.approx(expected[1], abs=0.7)


def test_edges_are_smoother_with_supersampling_and_faces_are_unchanged() -> None:
    images = []
    for samples in (1, 2):
        renderer = Raster(RendererConfig(allow_software=True, supersample=samples))
        try:
            images.append(colour(renderer, lit((lamp(3000.0, np.pi),), white_plate()))[..., 0])
        finally:
            renderer.close()
    single, smooth = images
    levels = lambda image: ((image > 0.1) & (image < 0.7)).sum()  # noqa: E731
    assert levels(smooth) > levels(single)
    np.testing.assert_array_equal(single[50:70, 50:70], smooth[50:70, 50:70])


def scratched(shift_mm: float) -> SceneSpec:
    """Return a plate with a scratch a quarter of a pixel wide, moved by less than a pixel."""
    scratch = DefectSpec(
        kind="scratch", anchor_mm=(shift_mm, 0.0, 3.0), normal=(0.0, 0.0, 1.0),
        tangent=(0.3, 1.0, 0.0), size_mm={"length": 24.0, "width": 0.25, "depth": 0.1},
        values={"brightness": 0.02, "burr": 0.0, "roughness": 0.5}, seed=1,
        points=tuple((u, 0.0, 0.25) for u in np.linspace(-12.0, 12.0, 25)),
    )  # fmt: skip
    return lit((lamp(3000.0, np.pi),), dataclasses.replace(
        scenes.plate(scratch, at=(0.0, 0.0, -3.0), texel_mm=0.05), finish=WHITE))  # fmt: skip


@pytest.mark.parametrize("faces", [False, True])
def test_a_scratch_thinner_than_a_pixel_neither_shimmers_nor_vanishes(faces: bool) -> None:
    renderer = Raster(RendererConfig(allow_software=True, supersample_faces=faces))
    try:
        clean = colour(renderer, scratched(0.0).without_defects())[..., 0]
        lost = []
        for shift in np.linspace(0, 1, 9)[:-1]:
            gone = (clean - colour(renderer, scratched(float(shift)))[..., 0]).clip(0)
            lost.append(gone.sum())
            # No gap along it: every row that it crosses is darker.
            rows = gone.max(axis=1)
            inner = np.flatnonzero(rows > 0.01)
            assert (rows[inner.min() + 2 : inner.max() - 2] > 0.01).all()
    finally:
        renderer.close()
    assert max(lost) / min(lost) < 1.15


def test_blurring_a_panel_keeps_its_light() -> None:
    panel = PanelSpec(azimuth_deg=90, elevation_deg=10, width_deg=40, height_deg=30, radiance=5.0)
    layers = prefiltered(dataclasses.replace(BLACK, panels=(panel,)))
    height = layers.shape[1]
    weight = np.cos((0.5 - (np.arange(height) + 0.5) / height) * np.pi)[:, None, None]
    light = [(layer * weight).sum() for layer in layers[:4]]
    np.testing.assert_allclose(light, light[0], rtol=0.1)
    peak = np.unravel_index(layers[0][..., 0].argmax(), layers[0].shape[:2])
    assert (peak[1] + 0.5) / layers.shape[2] * 360 == pytest.approx(90, abs=20)


def test_a_shadow_goes_on_beyond_all_that_casts_one(raster: Raster) -> None:
    block = scenes.plate(name="block", at=(0.0, 0.0, 20.0), length=10.0, width=10.0, texel_mm=1.0)
    ground = dataclasses.replace(white_plate(length=400.0, width=400.0), casts_shadow=False)
    key = lamp(0.0, 3.0, shadow=True, size_mm=4.0, position_mm=(-400.0, 0.0, 200.0))
    image = colour(raster, lit((key,), ground, block))[..., 0]
    # The block's top is 23 mm high and the light falls by a half: 43 mm behind its middle.
    dark = (image < 0.3 * np.median(image)).any(axis=0)
    assert np.flatnonzero(dark).max() > 60 + 35


def test_pictures_that_are_waited_for_later_are_those_drawn_alone(raster: Raster) -> None:
    item = scenes.plate(at=(0.0, 0.0, -3.0))
    spec = lit((lamp(3000.0, np.pi),), item)
    windows = [None, Window(x0=10, y0=20, x1=70, y1=50), Window(x0=60, y0=5, x1=61, y1=110)]
    drawn = raster.open(spec, [build_surfaces(item)])
    try:
        coming = [drawn.begin_colour(window=window) for window in windows]
        ids = drawn.labels().ids
        alone = drawn.alone(0, clean=True, window=windows[1]).ids
        images = [picture() for picture in coming]
        np.testing.assert_array_equal(alone, ids[windows[1].slices])
        for window, image in zip(windows, images, strict=True):
            np.testing.assert_array_equal(image, drawn.colour(window=window))
    finally:
        drawn.close()


def test_what_was_uploaded_serves_the_next_view_and_goes_with_its_part() -> None:
    item = scenes.plate(at=(0.0, 0.0, -3.0))
    spec = lit((lamp(3000.0, np.pi),), item)
    other = dataclasses.replace(spec, camera=scenes.camera((60.0, -90.0, 150.0), size=120))
    renderer = Raster(RendererConfig(allow_software=True))
    try:
        pairs = [build_surfaces(item)]
        images, uploads = [], []
        for view in (spec, other):
            drawn = renderer.open(view, pairs)
            images.append(drawn.colour())
            (plate,) = drawn._gpu.instances[0].clean
            uploads.append([plate.buffer, *plate.textures])
            drawn.close()
        assert all(a is b for a, b in zip(*uploads, strict=True))
        np.testing.assert_array_equal(images[0], colour(renderer, spec))
        assert not np.array_equal(*images)

        kept = renderer.kept.textures(pairs[0].clean.maps)
        del pairs
        gc.collect()
        renderer.open(spec, [build_surfaces(item)]).close()
        assert all(isinstance(t.mglo, moderngl.InvalidObject) for t in kept)
    finally:
        renderer.close()
