"""Frames are pure functions of (config, seed, number), whoever renders them and after what."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scenes
from simgen.cli.main import main
from simgen.config import compose, to_plain
from simgen.errors import ConfigError
from simgen.label.annotation import Frame
from simgen.pipeline import FrameRenderer, categories, scene_check
from simgen.sampling import FrameIndex, Streams
from simgen.scene.family import load_family, parse_ranges
from simgen.scene.spec import ShapeSpec, content_hash, scene_from_json, to_json

SMALL = ("image.width=160", "image.height=160", "scene.texel_mm=1", "renderer.allow_software=true")


@pytest.fixture(scope="module")
def inspection() -> Iterator[FrameRenderer]:
    made = FrameRenderer(scenes.config("inspection", *SMALL))
    yield made
    made.close()


def assert_same(a: Frame, b: Frame) -> None:
    np.testing.assert_array_equal(a.image, b.image)
    assert a.spec == b.spec
    assert len(a.annotations) == len(b.annotations)
    for x, y in zip(a.annotations, b.annotations, strict=True):
        np.testing.assert_array_equal(x.mask, y.mask)
        assert dataclasses.replace(x, mask=y.mask) == y


def test_a_frame_is_the_same_alone_and_after_others(inspection: FrameRenderer) -> None:
    after = [inspection.frame(k) for k in range(4)][-1]
    alone = FrameRenderer(inspection.config)
    try:
        assert_same(alone.frame(3), after)
    finally:
        alone.close()


@pytest.mark.parametrize("scene", ["inspection", "magnetic_tile"])
def test_the_stored_spec_is_read_back_exactly(scene: str) -> None:
    config = scenes.config(scene)
    family = load_family(scene)
    ranges = parse_ranges(family, config.scene)
    streams = Streams(seed=3, index=FrameIndex(frame=2, scene=2, view=0, exposure=0))
    objects = family.sample_objects(streams, ranges)
    spec = family.sample_frame(streams, ranges, config.image, objects)
    assert scene_from_json(to_json(spec)) == spec
    assert content_hash(scene_from_json(to_json(spec))) == content_hash(spec)
    assert any(o.defects for o in spec.objects) or spec.objects


def test_exposures_show_one_scene_in_several_settings() -> None:
    renderer = FrameRenderer(
        scenes.config("magnetic_tile", "scene.clean_share=0", "renderer.allow_software=true")
    )
    try:
        frames = [renderer.frame(k) for k in range(3)]
    finally:
        renderer.close()
    assert len({f.scene_index for f in frames}) == 1
    assert frames[0].spec.objects == frames[1].spec.objects == frames[2].spec.objects
    assert len({f.spec.sensor.exposure for f in frames}) == 3
    assert [f.exposure for f in frames] == [0, 1, 2]
    by_level = sorted(frames, key=lambda f: f.spec.sensor.exposure)
    means = [float(f.image.mean()) for f in by_level]
    assert means == sorted(means)


def test_another_randomizer_leaves_the_draws_of_the_rest_as_they_were() -> None:
    family = load_family("inspection")
    config = scenes.config("inspection")
    more = scenes.config("inspection", "scene.mark_count=9", "scene.occluders.count=3")
    specs = []
    for used in (config, more):
        ranges = parse_ranges(family, used.scene)
        streams = Streams(seed=0, index=FrameIndex(frame=5, scene=5, view=0, exposure=0))
        streams.scene("a randomizer that was not there before").uniform(size=1000)
        objects = family.sample_objects(streams, ranges)
        specs.append(family.sample_frame(streams, ranges, used.image, objects))
    first, second = specs
    assert first.camera == second.camera
    assert first.lights == second.lights
    assert first.environment == second.environment
    assert first.sensor == second.sensor
    for a, b in zip(first.objects, second.objects, strict=False):
        if a.category is not None:
            assert a == dataclasses.replace(b, marks=a.marks)
    assert len(second.objects) > len(first.objects)


def test_frames_differ_from_one_another_and_by_seed(inspection: FrameRenderer) -> None:
    other = FrameRenderer(dataclasses.replace(inspection.config, seed=1))
    try:
        images = [inspection.frame(0).image, inspection.frame(1).image, other.frame(0).image]
    finally:
        other.close()
    for a, b in ((0, 1), (0, 2)):
        assert np.abs(images[a].astype(int) - images[b].astype(int)).mean() > 5


def _render(out: Path, *overrides: str) -> dict[str, bytes]:
    code = main(
        ["render", "+scene=magnetic_tile", "frames=6", "exposures_per_view=2", f"out={out}",
         "renderer.allow_software=true", *overrides]
    )  # fmt: skip
    assert code == 0
    return {p.name: p.read_bytes() for p in sorted(out.glob("shards/*/images/*"))}


def test_one_worker_or_two_and_any_shard_size_give_the_same_bytes(tmp_path: Path) -> None:
    one = _render(tmp_path / "one", "workers=1", "shard_size=6")
    two = _render(tmp_path / "two", "workers=2", "shard_size=3")
    again = _render(tmp_path / "again", "workers=1", "shard_size=6")
    assert len(one) == 6
    assert one == two == again
    labels = [
        json.loads((tmp_path / n / "coco.json").read_text())["annotations"]
        for n in ("one", "two", "again")
    ]
    assert labels[0] == labels[1] == labels[2]
    same = (tmp_path / "one" / "coco.json").read_bytes()
    assert same == (tmp_path / "again" / "coco.json").read_bytes()


def test_categories_do_not_depend_on_what_was_drawn() -> None:
    names = [name for name, _ in categories(scenes.config("magnetic_tile"))]
    assert names == ["tile", "blowhole", "break", "crack", "fray"]


_PARTS = list(compose("render", ["+scene=inspection"])["scene"]["parts"])
_MARKS = list(compose("render", ["+scene=inspection"])["scene"]["marks"])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["scene.part_count={uniform:[6,3]}"], r"part_count\.uniform: range \[6, 3\] is reversed"),
        (["scene.part_count=many"], r"scene\.part_count: expected a number"),
        (["scene.part_count={choice:[1,a]}"], r"scene\.part_count\.choice: expected a number"),
        (["scene.camera.distance_mm=-4"], r"scene\.camera\.distance_mm: -4 is too small"),
        (["scene.camera.distance_mm=1e12"], r"scene\.camera\.distance_mm: 1e\+12 is too large"),
        (["scene.parts.plate.finishes=[brused]"], "no finish 'brused'"),
        (["scene.parts.plate.finishes=[]"], r"scene\.parts\.plate\.finishes: is empty"),
        (["+scene.parts.plate.size_mm.widht=4"], r"widht: unknown key; did you mean 'width'"),
        (["~scene.parts.plate.size_mm.width"], r"plate\.size_mm\.width: required key is missing"),
        (["+scene.parts.cog={size_mm:{},finishes:[cast]}"], r"scene\.parts\.cog: no such shape"),
        ([f"scene.parts.{k}.weight=0" for k in _PARTS], "all weights are 0"),
        ([f"~scene.parts.{k}" for k in _PARTS], r"scene\.parts: is empty"),
        (["scene.finishes.cast.colours=[]"], r"scene\.finishes\.cast\.colours: is empty"),
        (["scene.finishes.cast.colours=[[-1,0,0]]"], r"finishes\.cast\.colours: -1 is too small"),
        (["scene.finishes.cast.kind=csat"], r"scene\.finishes\.cast\.kind: 'csat' is unknown"),
        (
            ["+scene.finishes.cast.values.bump_mn=3"],
            r"bump_mn: unknown key; did you mean 'bump_mm'",
        ),
        (["scene.finishes.cast.values.bump_mm=0"], r"values\.bump_mm: 0 is too small"),
        (["+scene.defects.scrach={}"], "'scrach' is unknown; did you mean 'scratch'"),
        (["+scene.marks.break={}"], r"scene\.marks\.break\.kind: 'break' removes material"),
        ([f"~scene.marks.{k}" for k in _MARKS], r"scene\.marks: is empty"),
    ],
)
def test_a_mistake_in_a_scene_names_the_key_before_anything_is_rendered(
    overrides: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        scene_check(scenes.config("inspection", *overrides))


def test_no_marks_are_needed_where_none_are_drawn() -> None:
    without = [f"~scene.marks.{k}" for k in _MARKS]
    scene_check(scenes.config("inspection", *without, "scene.mark_count=0"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nothing_of_that_name", "line 1: ModuleNotFoundError: No module named"),
        ("x = 1\ny = z", "line 2: NameError"),
        ("def f(:", "line 1: invalid syntax"),
        ("Ranges = int", "a scene must define categories, sample_objects, sample_frame"),
    ],
)
def test_a_users_broken_scene_file_is_named_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    (tmp_path / "scenes").mkdir()
    (tmp_path / "scenes" / "mine.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=rf"mine\.py: {message}"):
        load_family("mine")


def test_maps_too_coarse_for_the_camera_are_refused_with_the_size_needed() -> None:
    renderer = FrameRenderer(
        scenes.config("inspection", "renderer.allow_software=true", "scene.texel_mm=2")
    )
    try:
        with pytest.raises(ConfigError, match=r"texel_mm: 2 is too coarse .* to 0\.\d+ or less"):
            renderer.frame(0)
    finally:
        renderer.close()


def test_ranges_survive_the_round_trip_through_plain_values() -> None:
    config = scenes.config("inspection")
    family = load_family("inspection")
    ranges = parse_ranges(family, config.scene)
    assert parse_ranges(family, to_plain(ranges)) == ranges


def test_memory_does_not_grow_with_frames(inspection: FrameRenderer) -> None:
    def resident_mb() -> float:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * 4096 / 2**20

    for number in range(4):
        inspection.frame(number)
    before = resident_mb()
    for number in range(4, 12):
        inspection.frame(number)
    # One frame's maps take about 30 MB: what leaked a frame would show.
    assert resident_mb() - before < 100


def shapes_of(kind: str, *overrides: str, seed: int = 0) -> list[ShapeSpec]:
    family: Any = load_family("inspection")
    weights = [f"scene.parts.{k}.weight={float(k == kind):g}" for k in ("flange", "plate", "gear")]
    others = ("bracket", "hex_bolt", "hex_nut", "bearing_outer_ring", "bearing_inner_ring")
    weights += [f"scene.parts.{k}.weight=0" for k in others]
    config = scenes.config("inspection", *SMALL, *weights, *overrides)
    ranges = parse_ranges(family, config.scene)
    return [
        family.sample_part(Streams(seed=seed, index=_scene(k)), ranges, 0).shape for k in range(12)
    ]


def _scene(number: int) -> FrameIndex:
    return FrameIndex(frame=number, scene=number, view=0, exposure=0)


def test_designs_are_few_in_a_dataset_and_others_with_another_seed() -> None:
    few = shapes_of("plate", "scene.parts.plate.designs=2")
    assert len({to_json(s) for s in few}) == 2
    assert few == shapes_of("plate", "scene.parts.plate.designs=2")
    other = shapes_of("plate", "scene.parts.plate.designs=2", seed=1)
    assert not {to_json(s) for s in few} & {to_json(s) for s in other}
    # More designs leave those that there were as they are.
    assert {to_json(s) for s in few} & {
        to_json(s) for s in shapes_of("plate", "scene.parts.plate.designs=3")
    }


def test_without_designs_every_part_has_dimensions_of_its_own() -> None:
    assert len({to_json(s) for s in shapes_of("plate", "scene.parts.plate.designs=null")}) == 12
