"""Inspection rigs: the light that arrives is what was asked for, and each shows what it is for."""

import dataclasses
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import scenes
from simgen.config.render import RendererConfig
from simgen.defects import scratch
from simgen.defects.surface import build_surfaces
from simgen.errors import ConfigError
from simgen.parts.sites import Site
from simgen.randomize.lighting import on_light_table, sample_lighting
from simgen.randomize.rigs import RIGS, Place, Rigs
from simgen.render.raster import Raster
from simgen.sampling import Constant, FrameIndex, Streams, stream
from simgen.scene.family import load_family, parse_ranges
from simgen.scene.spec import (
    DefectSpec,
    FinishSpec,
    ObjectSpec,
    SceneSpec,
    ShapeSpec,
)

PLAIN = {"blotch": 0.0, "grain": 0.0, "peel_slope": 0.0}
WHITE = FinishSpec(
    kind="painted", colour=(0.8, 0.8, 0.8), roughness=1.0, metalness=0.0, values=PLAIN
)
MIRROR = FinishSpec(
    kind="painted", colour=(0.9, 0.9, 0.9), roughness=0.1, metalness=1.0, values=PLAIN
)
DOCS = Path(__file__).resolve().parent.parent / "docs"


@pytest.fixture(scope="module")
def raster() -> Iterator[Raster]:
    renderer = Raster(RendererConfig(allow_software=True))
    yield renderer
    renderer.close()


def rig_scene(
    name: str, finish: FinishSpec, *defects: DefectSpec, eye=(0.0, 0.0, 500.0), **ranges: float  # noqa: ANN001
) -> SceneSpec:  # fmt: skip
    """Return a plate on a bench under a rig without a room, its upper face at z = 0."""
    default = getattr(Rigs(), name)
    values = {key: Constant(value) for key, value in ranges.items()}
    if hasattr(default, "room"):
        values.setdefault("room", Constant(0.0))
    view = scenes.camera(eye, size=100, focal=400.0)
    place = Place(target_mm=(0.0, 0.0, 0.0), camera=view)
    lighting = RIGS[name](stream(1, 0, "lights"), dataclasses.replace(default, **values), place)
    bench = ObjectSpec(
        name="bench",
        shape=ShapeSpec(
            kind="bench", size_mm={"length": 400.0, "width": 400.0, "thickness": 20.0}, texel_mm=2.0
        ),
        finish=dataclasses.replace(WHITE, colour=(0.1, 0.1, 0.1)),
        pose=dataclasses.replace(scenes.plate().pose, position_mm=(0.0, 0.0, -3.0)),
        body="fixed",
        casts_shadow=False,
    )
    plate = scenes.plate(*defects, at=(0.0, 0.0, -1.5), texel_mm=0.25, thickness=3.0)
    plate = dataclasses.replace(plate, finish=finish)
    spec = scenes.scene(plate, bench, view=view)
    return dataclasses.replace(
        spec,
        objects=on_light_table(spec.objects, lighting.glow),
        lights=lighting.lights,
        environment=lighting.environment,
    )


def colour(raster: Raster, spec: SceneSpec) -> np.ndarray:
    drawn = raster.open(spec, [build_surfaces(o) for o in spec.objects])
    try:
        return drawn.colour()
    finally:
        drawn.close()


@pytest.mark.parametrize(
    ("name", "ranges", "share"),
    [
        ("ring", {"irradiance": 2.0}, 1.0),
        ("bar", {"irradiance": 2.0, "bars": 1.0, "elevation_deg": 50.0}, np.sin(np.deg2rad(50))),
        ("dome", {"irradiance": 2.0}, 1.0),
        ("coaxial", {"irradiance": 2.0}, 1.0),
        ("dark_field", {"irradiance": 2.0}, 1.0),
        ("window", {"irradiance": 2.0, "elevation_deg": 40.0}, np.sin(np.deg2rad(40))),
    ],
)
def test_the_stated_irradiance_arrives(
    raster: Raster, name: str, ranges: dict[str, float], share: float
) -> None:
    spec = rig_scene(name, WHITE, **ranges)
    diffuse = dataclasses.replace(WHITE, colour=(0.0, 0.0, 0.0))
    black = dataclasses.replace(
        spec, objects=(dataclasses.replace(spec.objects[0], finish=diffuse), *spec.objects[1:])
    )
    # Green, which no rig tints by much; what a black coat reflects is no diffuse light.
    arrived = (colour(raster, spec) - colour(raster, black))[46:54, 46:54, 1].mean()
    assert arrived == pytest.approx(0.8 / np.pi * 2.0 * share, rel=0.12)


def test_coaxial_light_comes_back_from_a_mirror_that_faces_the_lens(raster: Raster) -> None:
    ranges = {"irradiance": 2.0, "size_mm": 300.0}
    facing = colour(raster, rig_scene("coaxial", MIRROR, **ranges))[46:54, 46:54, 1].mean()
    # The diffuser's own radiance: its irradiance over the solid angle that it fills.
    solid_angle = 4 * np.arcsin(150.0**2 / (150.0**2 + 500.0**2))
    assert facing == pytest.approx(0.9 * 2.0 / solid_angle, rel=0.35)
    spec = rig_scene("coaxial", MIRROR, eye=(0.0, 350.0, 350.0), **ranges)
    assert colour(raster, spec)[46:54, 46:54, 1].mean() < 0.02 * facing


def test_dark_field_leaves_a_mirror_dark_and_lights_its_scratch(raster: Raster) -> None:
    spec = rig_scene("dark_field", MIRROR, irradiance=2.0)
    white = colour(raster, rig_scene("dark_field", WHITE, irradiance=2.0))[46:54, 46:54, 1].mean()
    assert colour(raster, spec)[40:60, 35:65, 1].max() < 0.05 * white
    plate = dataclasses.replace(spec.objects[0], defects=(_scratch(),))
    damaged = dataclasses.replace(spec, objects=(plate, *spec.objects[1:]))
    assert colour(raster, damaged)[40:60, 35:65, 1].max() > 0.3 * white


def _scratch() -> DefectSpec:
    """Return a scratch across the middle of the plate's upper face."""
    site = Site(
        anchor_mm=(0.0, 0.0, 1.5), normal=(0.0, 0.0, 1.0), tangent=(1.0, 0.0, 0.0),
        edge_mm=20.0, edge_direction=(0.0, 1.0, 0.0),
    )  # fmt: skip
    ranges = scratch.Ranges(
        length_mm=Constant(30.0), width_mm=Constant(1.0), depth_mm=Constant(0.25)
    )
    return scratch.sample(np.random.default_rng(3), ranges, site)


def test_a_backlight_makes_silhouettes(raster: Raster) -> None:
    image = colour(raster, rig_scene("backlight", WHITE, radiance=1.5))[..., 1]
    part, table = image[40:60, 40:60].mean(), np.r_[image[:8].ravel(), image[-8:].ravel()]
    assert part < 0.05 * table.mean()
    assert table.mean() == pytest.approx(1.5, rel=0.15)


def test_a_dome_shows_its_hole_to_a_mirror_and_nothing_else(raster: Raster) -> None:
    facing = rig_scene("dome", MIRROR, irradiance=2.0, uneven=0.0, hole_deg=24.0)
    around = rig_scene("dome", MIRROR, eye=(0.0, 350.0, 350.0), irradiance=2.0, uneven=0.0)
    hole = colour(raster, facing)[46:54, 46:54, 1].mean()
    dome = colour(raster, around)[46:54, 46:54, 1].mean()
    assert dome == pytest.approx(0.9 * 2.0 / np.pi, rel=0.15)
    assert hole < 0.4 * dome


def test_rigs_are_drawn_by_weight_and_leave_the_bench_as_it_was() -> None:
    family = load_family("inspection")
    mixed = scenes.config("inspection")
    bench = scenes.config(
        "inspection",
        *(f"scene.lights.rigs.{n}.weight=0" for n in RIGS),
    )
    ranges = [parse_ranges(family, c.scene) for c in (mixed, bench)]
    view = scenes.camera((0.0, 0.0, 500.0))
    names, same = set(), 0
    for number in range(60):
        index = FrameIndex.of(number, views_per_scene=1, exposures_per_view=1)
        drawn = [
            sample_lighting(Streams(seed=5, index=index), r.lights, (0.0, 0.0, 0.0), view)
            for r in ranges
        ]
        again = sample_lighting(
            Streams(seed=5, index=index), ranges[0].lights, (0.0, 0.0, 0.0), view
        )
        assert again == drawn[0]
        same += drawn[0] == drawn[1]
        names.add(tuple(light.kind for light in drawn[0].lights))
    assert 15 < same < 50
    assert len(names) >= 5


def test_no_rig_at_all_is_refused() -> None:
    family = load_family("own_part")
    plain = scenes.config("own_part", "scene.lights.rigs.bench.weight=0")
    with pytest.raises(ConfigError, match=r"scene\.lights\.rigs: no rig has a weight above 0"):
        parse_ranges(family, plain.scene)


def test_the_page_names_every_rig_and_range() -> None:
    page = (DOCS / "lighting.md").read_text()
    assert {f.name for f in dataclasses.fields(Rigs)} == {"bench", *RIGS}
    for name in ("bench", *RIGS):
        section = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", page, re.S | re.M)
        assert section, name
        assert f"img/lighting/{name}.jpg" in section[1]
        assert (DOCS / "img/lighting" / f"{name}.jpg").is_file()
        for item in dataclasses.fields(getattr(Rigs(), name)):
            assert f"`{item.name}`" in section[1], (name, item.name)


def test_no_light_is_black(raster: Raster) -> None:
    spec = rig_scene("ring", WHITE, irradiance=0.0)
    assert colour(raster, spec).max() < 1e-3


def test_the_page_is_what_the_gallery_script_writes() -> None:
    source = DOCS.parent / "scripts" / "light_gallery.py"
    spec = importlib.util.spec_from_file_location("light_gallery", source)
    assert spec and spec.loader
    gallery = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(gallery)
    ranges = parse_ranges(load_family("inspection"), scenes.config("inspection").scene)
    assert gallery.page(ranges.lights) == (DOCS / "lighting.md").read_text()
