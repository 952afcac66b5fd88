"""pyrender behind our protocol: light, places, labels, and peace with raster in one process."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import util
from pathlib import Path

import numpy as np
import pytest

import scenes
from simgen.config.render import RendererConfig
from simgen.defects.surface import build_surfaces
from simgen.errors import RenderError
from simgen.pipeline import FrameRenderer
from simgen.render.buffers import Window
from simgen.render.choose import open_renderer
from simgen.render.renderer import Renderer
from simgen.scene.spec import DefectSpec, EnvironmentSpec, FinishSpec, LightSpec, SceneSpec

ROOT = Path(__file__).resolve().parent.parent
BLACK = EnvironmentSpec(zenith=(0, 0, 0), horizon=(0, 0, 0), ground=(0, 0, 0))
EVEN = EnvironmentSpec(zenith=(1, 1, 1), horizon=(1, 1, 1), ground=(1, 1, 1))
WHITE = FinishSpec(
    kind="painted", colour=(0.8, 0.8, 0.8), roughness=1.0, metalness=0.0,
    values={"blotch": 0.0, "grain": 0.0, "peel_slope": 0.0},
)  # fmt: skip

# Not importorskip: imported by itself it would load PyOpenGL for another platform.
installed = pytest.mark.skipif(util.find_spec("pyrender") is None, reason="no extra pyrender")


@pytest.fixture(scope="module")
def pyrender() -> Iterator[Renderer]:
    renderer = open_renderer(RendererConfig(name="pyrender", allow_software=True))
    yield renderer
    renderer.close()


def colour(renderer: Renderer, spec: SceneSpec, **keys: object) -> np.ndarray:
    drawn = renderer.open(spec, [build_surfaces(o) for o in spec.objects])
    try:
        return drawn.colour(**keys)
    finally:
        drawn.close()


def lamp(kind: str = "disc", **keys: object) -> LightSpec:
    values: dict = {
        "kind": kind, "position_mm": (0.0, 0.0, 3000.0), "target_mm": (0.0, 0.0, 0.0),
        "axis": (0.0, 0.0, 1.0) if kind == "ring" else (1.0, 0.0, 0.0), "size_mm": 100.0,
        "irradiance": np.pi,
    }  # fmt: skip
    return LightSpec(**{**values, **keys})


def lit(*objects, lights: tuple = (), environment: EnvironmentSpec = BLACK) -> SceneSpec:  # noqa: ANN002
    view = scenes.camera((30.0, -120.0, 160.0), size=100, focal=160)
    spec = scenes.scene(*objects, view=view)
    return dataclasses.replace(spec, lights=lights, environment=environment)


def white_plate(*defects: DefectSpec):  # noqa: ANN201
    item = scenes.plate(*defects, at=(0.0, 0.0, -3.0), texel_mm=0.5 if defects else 1.0)
    return dataclasses.replace(item, finish=WHITE)


def dark_pit() -> DefectSpec:
    # Off centre in x and y: a mirrored or flipped texture would put it elsewhere.
    return DefectSpec(
        kind="pit", anchor_mm=(18.0, 9.0, 3.0), normal=(0.0, 0.0, 1.0), tangent=(1.0, 0.0, 0.0),
        size_mm={"length": 8.0, "width": 8.0, "depth": 1.0},
        values={"darkness": 0.02, "squareness": 2.0, "outline": 0.0}, seed=1,
    )  # fmt: skip


@installed
@pytest.mark.parametrize("kind", ["disc", "bar", "ring", "panel"])
@pytest.mark.parametrize("shadow", [False, True])
def test_irradiance_pi_gives_a_white_surface_its_albedo(pyrender, kind, shadow) -> None:
    image = colour(pyrender, lit(white_plate(), lights=(lamp(kind, shadow=shadow),)))
    # Diffuse 0.8, of which pyrender's own model takes a little.
    assert 0.7 <= image[45:55, 45:55].mean() <= 0.85


@installed
def test_light_brighter_than_white_is_kept(pyrender) -> None:
    one, many = (
        colour(pyrender, lit(white_plate(), lights=(lamp(irradiance=n * np.pi),)))[45:55, 45:55]
        for n in (1, 50)
    )
    assert many.mean() == pytest.approx(50 * one.mean(), rel=0.01)


@installed
def test_an_even_surround_lights_a_white_surface_and_is_seen_behind_it(pyrender) -> None:
    image = colour(pyrender, lit(white_plate(), environment=EVEN))
    assert 0.75 <= image[45:55, 45:55].mean() <= 0.85
    np.testing.assert_allclose(image[0, 0], 1.0, atol=0.01)


@installed
def test_parts_and_their_marks_are_where_the_labels_are(pyrender) -> None:
    # From the camera, so that all it sees is lit.
    spec = lit(white_plate(dark_pit()), lights=(lamp(position_mm=(600.0, -2400.0, 3200.0)),))
    drawn = pyrender.open(spec, [build_surfaces(o) for o in spec.objects])
    image, clean, seen = drawn.colour(), drawn.colour(clean=True), drawn.labels()
    drawn.close()
    assert ((clean[..., 0] > 0.2) != (seen.ids > 0)).mean() < 0.003
    difference = (clean - image)[..., 0]
    position = seen.position_mm[difference > 0.3].mean(axis=0)
    np.testing.assert_allclose(position, (18.0, 9.0, 3.0), atol=0.4)


@installed
def test_a_block_casts_a_shadow_away_from_the_lamp(pyrender) -> None:
    block = scenes.plate(name="block", at=(0.0, 0.0, 30.0), length=15.0, width=15.0, texel_mm=1.0)
    key = lamp(position_mm=(150.0, 0.0, 400.0), shadow=True)
    spec = lit(white_plate(), block, lights=(key,))
    drawn = pyrender.open(spec, [build_surfaces(o) for o in spec.objects])
    image, seen = drawn.colour(), drawn.labels()
    drawn.close()
    top = (seen.ids == 1) & (seen.position_mm[..., 2] > 2.9)
    dark = seen.position_mm[top & (image[..., 0] < 0.1)]
    # As far from under the block as the lamp's slant takes it in 27 mm.
    assert dark[:, 0].mean() == pytest.approx(-27 * 150 / 400, abs=3)
    assert len(dark) < 0.5 * top.sum()


@installed
def test_a_window_has_the_pixels_of_the_whole_image(pyrender) -> None:
    spec = lit(white_plate(dark_pit()), lights=(lamp(shadow=True),), environment=EVEN)
    window = Window(x0=23, y0=31, x1=90, y1=64)
    drawn = pyrender.open(spec, [build_surfaces(o) for o in spec.objects])
    for clean in (False, True):
        whole = drawn.colour(clean=clean)
        np.testing.assert_array_equal(
            drawn.colour(clean=clean, window=window), whole[window.slices]
        )
    drawn.close()


@installed
def test_raster_and_pyrender_do_not_disturb_each_other_in_one_process(pyrender) -> None:
    spec = lit(white_plate(dark_pit()), lights=(lamp(shadow=True),), environment=EVEN)
    pairs = [build_surfaces(o) for o in spec.objects]
    raster = open_renderer(RendererConfig(name="raster", allow_software=True))
    first = [colour(raster, spec), colour(pyrender, spec)]
    ours, theirs = raster.open(spec, pairs), pyrender.open(spec, pairs)
    second = open_renderer(RendererConfig(name="pyrender", allow_software=True))
    again = [ours.colour(), theirs.colour()]
    # Closed, and collected, while the others draw on.
    colour(second, spec)
    second.close()
    del second
    last = [ours.colour(), theirs.colour()]
    labels = ours.labels().ids
    theirs.close()
    np.testing.assert_array_equal(ours.labels().ids, labels)
    ours.close()
    raster.close()
    for k in range(2):
        np.testing.assert_array_equal(first[k], again[k])
        np.testing.assert_array_equal(first[k], last[k])


@installed
def test_neither_numpy_nor_the_environment_is_changed(pyrender) -> None:
    assert not hasattr(np, "infty")
    assert {"PYOPENGL_PLATFORM", "PYGLET_HEADLESS"}.isdisjoint(os.environ)


@installed
def test_labels_are_those_of_raster() -> None:
    frames = []
    for name in ("raster", "pyrender"):
        config = scenes.config(
            "inspection", f"renderer={name}", "renderer.allow_software=true", "seed=4",
            "image.width=160", "image.height=160", "scene.texel_mm=1.1", "scene.part_count=2",
            "labels.min_contrast=0",
        )  # fmt: skip
        renderer = FrameRenderer(config)
        assert renderer.facts()["name"] == name
        frames.append(renderer.frame(0))
        renderer.close()
    raster, theirs = ([(a.category, a.amodal_bbox, a.mask) for a in f.annotations] for f in frames)
    assert raster
    for one, other in zip(raster, theirs, strict=True):
        assert one[:2] == other[:2]
        np.testing.assert_array_equal(one[2], other[2])
    assert not np.array_equal(frames[0].image, frames[1].image)


def in_a_child(code: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, **variables},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


LOAD = (
    "from simgen.errors import RenderError\n"
    "from simgen.render.pyrender.load import load_pyrender\n"
    "try: load_pyrender()\n"
    "except RenderError as error: print(error)\n"
)


def test_without_pyrender_the_error_names_the_extra() -> None:
    hide = (
        "import sys\nfrom importlib.machinery import PathFinder\n"
        "class Hide(PathFinder):\n"
        "    @classmethod\n"
        "    def find_spec(cls, name, path=None, target=None):\n"
        "        return None if name == 'pyrender' else PathFinder.find_spec(name, path, target)\n"
        "sys.meta_path[sys.meta_path.index(PathFinder)] = Hide\n"
    )
    assert "pip install -c constraints.txt -e '.[pyrender]'" in in_a_child(hide + LOAD)


@installed
def test_without_libgl_the_error_names_the_package(tmp_path: Path) -> None:
    (tmp_path / "libGL.so.1").touch()
    assert "apt-get install libgl1" in in_a_child(LOAD, LD_LIBRARY_PATH=str(tmp_path))


@installed
def test_pyopengl_that_was_loaded_for_a_display_is_refused() -> None:
    said = in_a_child("import OpenGL.platform\n" + LOAD, PYOPENGL_PLATFORM="glx")
    assert "loaded for GLXPlatform before" in said and "PYOPENGL_PLATFORM=egl" in said


@installed
def test_software_on_a_machine_with_a_gpu_is_refused_unless_asked_for(monkeypatch) -> None:
    monkeypatch.setattr("simgen.render.context.machine_has_gpu", lambda: True)
    renderer = open_renderer(RendererConfig(name="pyrender", allow_software=True))
    software = renderer.facts()["software"]
    renderer.close()
    if not software:
        pytest.skip("OpenGL draws on a GPU here")
    with pytest.raises(RenderError, match="renderer.allow_software"):
        open_renderer(RendererConfig(name="pyrender"))
