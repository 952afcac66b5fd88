"""The path tracer against what light does, against raster, and against itself."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mitsuba", reason="the extra `photoreal` is not installed")

import scenes
from simgen.config.render import PathtraceConfig, RendererConfig
from simgen.defects.surface import build_surfaces
from simgen.errors import RenderError
from simgen.label.frame import twin_windows
from simgen.label.masks import view_masks
from simgen.render.buffers import Window
from simgen.render.choose import open_renderer
from simgen.render.pathtrace import label_rays
from simgen.render.pathtrace.colour_scene import ColourScene
from simgen.render.pathtrace.variant import choose_variant, mitsuba_as
from simgen.render.raster import Raster
from simgen.render.renderer import Renderer
from simgen.scene.spec import (
    DefectSpec,
    EnvironmentSpec,
    FinishSpec,
    LightSpec,
    PanelSpec,
    SceneSpec,
)

ROOT = Path(__file__).resolve().parent.parent
BLACK = EnvironmentSpec(zenith=(0, 0, 0), horizon=(0, 0, 0), ground=(0, 0, 0))
PLAIN = {"blotch": 0.0, "grain": 0.0, "peel_slope": 0.0, "line_slope": 0.0, "line_tone": 0.0}
LOOK_UP = (0.0, 0.0, 1.0)


def settings(samples: int, variant: str = "scalar", **keys: object) -> RendererConfig:
    trace = PathtraceConfig(samples=samples, part_samples=samples, variant=variant, **keys)
    return RendererConfig(name="pathtrace", allow_software=True, pathtrace=trace)


@pytest.fixture(scope="module")
def tracer() -> Iterator[Renderer]:
    renderer = open_renderer(settings(64))
    yield renderer
    renderer.close()


@pytest.fixture(scope="module")
def quiet_tracer() -> Iterator[Renderer]:
    """So many samples that pixels can be compared one by one."""
    renderer = open_renderer(settings(256))
    yield renderer
    renderer.close()


@pytest.fixture(scope="module")
def raster() -> Iterator[Renderer]:
    renderer = Raster(RendererConfig(allow_software=True))
    yield renderer
    renderer.close()


def colour(renderer: Renderer, spec: SceneSpec) -> np.ndarray:
    drawn = renderer.open(spec, [build_surfaces(o) for o in spec.objects])
    try:
        return drawn.colour()
    finally:
        drawn.close()


def finish(tone: float, roughness: float = 0.5, metalness: float = 0.0) -> FinishSpec:
    return FinishSpec(
        kind="painted", colour=(tone,) * 3, roughness=roughness, metalness=metalness, values=PLAIN
    )


def lit_plate(
    lights: tuple[LightSpec, ...], coat: FinishSpec, environment: EnvironmentSpec = BLACK
) -> SceneSpec:
    plate = scenes.plate(at=(0.0, 0.0, -3.0), texel_mm=1.0)
    plate = dataclasses.replace(plate, finish=coat)
    spec = scenes.scene(plate, view=scenes.camera((0.0, -60.0, 190.0), size=32, focal=60))
    return dataclasses.replace(spec, lights=lights, environment=environment)


def light(kind: str, position_mm: tuple[float, float, float], size_mm: float, **keys: object):  # noqa: ANN201
    values = {"target_mm": (0.0, 0.0, 0.0), "axis": (1.0, 0.0, 0.0), "irradiance": 2.0, **keys}
    return LightSpec(kind=kind, position_mm=position_mm, size_mm=size_mm, **values)


LIGHTS = [
    (light("disc", (0.0, 0.0, 400.0), 100.0), 1.0),
    (light("disc", (300.0, 0.0, 300.0), 60.0), np.sqrt(0.5)),
    (light("bar", (0.0, 300.0, 300.0), 250.0), np.sqrt(0.5)),
    # A ring's irradiance is on what faces each piece of it.
    (light("ring", (0.0, 0.0, 300.0), 200.0, axis=LOOK_UP), 300 / np.hypot(300, 100)),
    (light("panel", (0.0, 0.0, 400.0), 250.0), 1.0),
]


@pytest.mark.parametrize(("lamp", "share"), LIGHTS, ids=lambda x: getattr(x, "kind", None))
def test_the_stated_irradiance_arrives_as_in_raster(
    tracer: Renderer, raster: Renderer, lamp: LightSpec, share: float
) -> None:
    here = (slice(13, 19), slice(13, 19), 1)
    diffuse = []
    for renderer in (tracer, raster):
        # What a black coat reflects is no diffuse light.
        white, black = (colour(renderer, lit_plate((lamp,), finish(tone))) for tone in (0.8, 0.0))
        diffuse.append(float((white - black)[here].mean()))
    assert diffuse[0] == pytest.approx(0.8 / np.pi * 2.0 * share, rel=0.04)
    assert diffuse[0] == pytest.approx(diffuse[1], rel=0.1)


TUBES = [
    light("bar", (0.0, 150.0, 200.0), 400.0),
    light("bar", (0.0, 500.0, 400.0), 150.0, axis=(0.0, 1.0, 0.0)),
    light("ring", (0.0, 0.0, 60.0), 260.0, axis=LOOK_UP),
    light("ring", (0.0, 100.0, 350.0), 160.0, axis=LOOK_UP),
    light("panel", (0.0, 150.0, 250.0), 200.0),
    light("disc", (0.0, 150.0, 250.0), 150.0),
]


@pytest.mark.parametrize("roughness", [0.35, 0.6])
@pytest.mark.parametrize("lamp", TUBES, ids=lambda x: f"{x.kind}{x.size_mm:g}")
def test_highlights_of_large_lamps_are_as_bright_as_traced_ones(
    tracer: Renderer, raster: Renderer, lamp: LightSpec, roughness: float
) -> None:
    metal = finish(0.6, roughness=roughness, metalness=1.0)
    traced, drawn = (colour(r, lit_plate((lamp,), metal))[6:26, 6:26] for r in (tracer, raster))
    # Dark-field light that misses the camera must not arrive by the lamp's nearest point.
    assert drawn.mean() == pytest.approx(traced.mean(), rel=0.15, abs=0.001)


NEAR = [
    light("disc", (0.0, 60.0, 190.0), 40.0),
    light("disc", (0.0, 60.0, 190.0), 0.5),
    light("panel", (0.0, 60.0, 190.0), 60.0),
    light("panel", (0.0, 60.0, 190.0), 60.0, breadth_mm=8.0),
    light("panel", (0.0, 60.0, 190.0), 0.5),
]


@pytest.mark.parametrize("roughness", [0.15, 0.3])
@pytest.mark.parametrize("lamp", NEAR, ids=lambda x: f"{x.kind}{x.size_mm:g}x{x.breadth_mm:g}")
def test_a_polished_plate_shows_a_lamp_as_large_and_as_bright_as_it_is(
    quiet_tracer: Renderer, raster: Renderer, lamp: LightSpec, roughness: float
) -> None:
    metal = finish(0.6, roughness=roughness, metalness=1.0)
    traced, drawn = (
        colour(r, lit_plate((lamp,), metal))[8:24, 8:24].astype(np.float64)
        for r in (quiet_tracer, raster)
    )
    assert np.abs(drawn - traced).mean() < 0.08 * traced.mean()


def test_the_surroundings_are_where_raster_has_them(tracer: Renderer, raster: Renderer) -> None:
    panel = PanelSpec(
        azimuth_deg=70.0, elevation_deg=40.0, width_deg=40, height_deg=30, radiance=6.0
    )
    around = EnvironmentSpec(
        zenith=(0.3, 0.2, 0.1), horizon=(0.1, 0.2, 0.3), ground=(0.1,) * 3, panels=(panel,),
        rotation_deg=30.0, intensity=0.8,
    )  # fmt: skip
    levels = []
    mirror = finish(0.9, roughness=0.05, metalness=1.0)
    # Facing away from the panel, which stands at 100 degrees, so that the mirror shows it.
    for azimuth in (280.0, 10.0):
        a = np.deg2rad(azimuth)
        eye = (190 * np.cos(a), 190 * np.sin(a), 160.0)
        view = scenes.camera(eye, size=32, focal=40)
        spec = dataclasses.replace(lit_plate((), mirror, around), camera=view)
        ours, theirs = colour(tracer, spec), colour(raster, spec)
        # The background, which no sample misses.
        np.testing.assert_allclose(ours[:3, :3], theirs[:3, :3], rtol=0.03)
        levels.append(float(ours[14:18, 14:18].mean()))
    assert levels[0] > 3.0
    assert levels[1] < 0.5


def pitted() -> SceneSpec:
    pit = DefectSpec(
        kind="pit", anchor_mm=(12.0, 6.0, 3.0), normal=LOOK_UP, tangent=(1.0, 0.0, 0.0),
        size_mm={"length": 6.0, "width": 6.0, "depth": 1.0},
        values={"darkness": 0.05, "squareness": 2.0, "outline": 0.0}, seed=1,
    )  # fmt: skip
    plate = scenes.plate(pit, at=(0.0, 0.0, -3.0))
    ground = dataclasses.replace(
        scenes.STEEL, metalness=1.0, anisotropy=0.7, values={"line_slope": 0.02}
    )
    plate = dataclasses.replace(plate, finish=ground)
    spec = scenes.scene(plate, view=scenes.camera((20.0, -60.0, 150.0), size=96, focal=170))
    return spec


def test_noise_cancels_between_a_view_and_its_twin_and_nowhere_else() -> None:
    renderer = open_renderer(settings(4))
    spec = pitted()
    drawn = renderer.open(spec, [build_surfaces(o) for o in spec.objects])
    try:
        masks = view_masks(spec, drawn, drawn.labels())
        (window,) = twin_windows(masks, spec)
        seen, twin = drawn.colour()[window.slices], drawn.colour(clean=True, window=window)
        mask = masks.defects[0].visible[window.slices]
        changed = np.abs(seen - twin).max(axis=-1) > 0
        assert changed[mask].mean() > 0.95
        far = np.ones_like(mask)
        rows, columns = np.nonzero(mask)
        far[rows.min() - 4 : rows.max() + 5, columns.min() - 4 : columns.max() + 5] = False
        assert far.sum() > 200
        # A path may leave a far pixel and meet the pit; hardly one of four does.
        assert changed[far].mean() < 0.02
        # Any window is the whole image's pixels, byte for byte.
        odd = Window(x0=17, y0=23, x1=71, y1=50)
        np.testing.assert_array_equal(drawn.colour(window=odd), drawn.colour()[odd.slices])
    finally:
        drawn.close()
        renderer.close()


def test_a_defect_lies_where_the_labels_say_and_bytes_repeat(tracer: Renderer) -> None:
    spec = pitted()
    pairs = [build_surfaces(o) for o in spec.objects]
    pictures = []
    for renderer in (tracer, open_renderer(settings(64, threads=2))):
        drawn = renderer.open(spec, pairs)
        mask = view_masks(spec, drawn, drawn.labels()).defects[0].visible
        pictures.append(drawn.colour())
        twin = drawn.colour(clean=True)
        drawn.close()
    np.testing.assert_array_equal(*pictures)
    darker = (twin - pictures[0])[..., 1] > 0.25 * twin[mask].mean()
    ours, theirs = (np.argwhere(m).mean(axis=0) for m in (darker, mask))
    np.testing.assert_allclose(ours, theirs, atol=1.0)


def test_highlights_are_drawn_out_across_the_lines_on_any_chart() -> None:
    mi = mitsuba_as(choose_variant("scalar"), threads=1)
    ground = FinishSpec(
        kind="ground", colour=(0.6,) * 3, roughness=0.35, metalness=1.0, anisotropy=0.8,
        direction=(0.6, 0.8, 0.0), values={"line_slope": 0.0},
    )  # fmt: skip
    for direction, process in (((0.6, 0.8, 0.0), "along"), (LOOK_UP, "around")):
        coat = dataclasses.replace(ground, direction=direction, process=process)
        spec = lit_plate((), coat)
        pairs = [build_surfaces(o) for o in spec.objects]
        shapes = ColourScene(mi, spec, pairs).of(clean=True)
        for x, y in ((3.0, 4.0), (-21.0, 7.0), (11.0, -13.0)):
            si = shapes.ray_intersect(mi.Ray3f(mi.Point3f(x, y, 50.0), mi.Vector3f(0, 0, -1)))
            line = np.array(direction) if process == "along" else np.array([-y, x, 0.0])
            line = line / np.linalg.norm(line)
            across = np.cross(LOOK_UP, line)
            reflected = []
            for way in (line, across):
                wo = np.array([0, 0, 1.0]) + 0.3 * way
                wo = mi.Vector3f(*(float(v) for v in wo / np.linalg.norm(wo)))
                value = si.bsdf().eval(mi.BSDFContext(), si, si.to_local(wo))
                reflected.append(float(np.array(value).ravel()[0]))
            assert reflected[1] > 10 * reflected[0]


def test_labels_from_rays_are_those_of_the_label_pass(raster: Renderer) -> None:
    mi = mitsuba_as(choose_variant("scalar"), threads=1)
    chip = DefectSpec(
        kind="dent", anchor_mm=(5.0, 3.0, 3.0), normal=LOOK_UP, tangent=(1.0, 0.0, 0.0),
        size_mm={"length": 8.0, "width": 6.0, "depth": 0.6}, seed=2,
    )  # fmt: skip
    upper = scenes.plate(name="upper", at=(25.0, 12.0, 5.0), length=30.0, thickness=3.0)
    spec = scenes.scene(
        scenes.plate(chip), upper, view=scenes.camera((40.0, -90.0, 120.0), size=160, focal=230)
    )
    # Off centre: a principal point that is mirrored would show.
    spec = dataclasses.replace(spec, camera=dataclasses.replace(spec.camera, cx=88.3, cy=71.9))
    pairs = [build_surfaces(o) for o in spec.objects]
    drawn, rays = raster.open(spec, pairs), label_rays.LabelRays(mi, spec, pairs)
    try:
        window = Window(x0=13, y0=40, x1=150, y1=131)
        for ours, theirs in (
            (drawn.labels(), rays.labels()),
            (drawn.labels(clean=True, window=window), rays.labels(clean=True, window=window)),
            (drawn.alone(0, clean=False, window=window), rays.alone(0, clean=False, window=window)),
        ):
            same = (ours.ids == theirs.ids) & (ours.cut == theirs.cut)
            assert same.mean() > 0.9995
            on = same & (ours.ids > 0)
            # Rims in depth are where a last bit decides which of two surfaces is seen.
            close = np.isclose(ours.depth_mm, theirs.depth_mm, rtol=1e-4)
            assert close[on].mean() > 0.9995
            both = on & close
            np.testing.assert_allclose(ours.position_mm[both], theirs.position_mm[both], atol=0.02)
            assert np.quantile(np.abs(ours.normal - theirs.normal)[both], 0.999) < 0.01
    finally:
        drawn.close()
        rays.close()


def test_pixels_that_are_not_square_are_refused(tracer: Renderer) -> None:
    spec = lit_plate((), finish(0.5))
    spec = dataclasses.replace(spec, camera=dataclasses.replace(spec.camera, fx=61.0))
    with pytest.raises(RenderError, match="square pixels only, not fx=61, fy=60"):
        colour(tracer, spec)


def run(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run Python where the environment is as given."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT / "tests",
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        capture_output=True,
        text=True,
        timeout=240,
    )


NO_EGL = {"__EGL_VENDOR_LIBRARY_FILENAMES": "/nowhere/egl.json"}


def test_auto_renders_and_labels_a_frame_without_egl() -> None:
    code = (
        "import scenes\n"
        "from simgen.pipeline import FrameRenderer\n"
        "config = scenes.config('magnetic_tile', 'renderer=auto', 'image.width=320',"
        " 'image.height=320', 'renderer.pathtrace.samples=1', 'renderer.pathtrace.part_samples=1',"
        " 'renderer.pathtrace.variant=scalar', 'scene.clean_share=0', 'scene.defect_count=3',"
        " 'labels.min_contrast=0', 'exposures_per_view=1')\n"
        "renderer = FrameRenderer(config)\n"
        "frame = renderer.frame(0)\n"
        "facts = renderer.facts()\n"
        "print(facts['name'], facts['labels'], sorted(a.supercategory for a in frame.annotations))"
    )
    done = run(code, **NO_EGL)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("pathtrace Mitsuba ['defect'")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("renderer=auto: pathtrace draws, for renderer: no OpenGL context")


def test_auto_is_raster_where_opengl_is(raster: Renderer) -> None:
    renderer = open_renderer(RendererConfig(name="auto", allow_software=True))
    try:
        assert renderer.facts() == raster.facts()
    finally:
        renderer.close()


def test_what_is_missing_is_said_in_one_line() -> None:
    code = (
        "import sys\n"
        "sys.modules['mitsuba'] = None\n"
        "from simgen.config.render import RendererConfig\n"
        "from simgen.errors import RenderError\n"
        "from simgen.render.choose import open_renderer\n"
        "try:\n"
        "    open_renderer(RendererConfig(name=NAME))\n"
        "except RenderError as error:\n"
        "    print(error)\n"
    )
    remedy = "pip install -c constraints.txt -e '.[photoreal]'"
    for name in ("pathtrace", "auto"):
        done = run(code.replace("NAME", repr(name)), **NO_EGL)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("\n") == 1
        assert remedy in done.stdout
    assert "no OpenGL context" in done.stdout


def test_a_variant_that_does_not_draw_is_refused_and_not_chosen() -> None:
    # No library: what a machine without LLVM shows. In a child, for Mitsuba reads it once.
    code = (
        "from simgen.errors import RenderError\n"
        "from simgen.render.pathtrace.variant import choose_variant\n"
        "try:\n"
        "    choose_variant('llvm')\n"
        "except RenderError as error:\n"
        "    print(error)\n"
        "print(choose_variant('auto') != 'llvm_ad_rgb')"
    )
    done = run(code, DRJIT_LIBLLVM_PATH="/nowhere/libLLVM.so")
    first, second = done.stdout.splitlines()
    assert first.startswith("renderer.pathtrace.variant: Mitsuba cannot draw (llvm: ")
    assert second == "True"
