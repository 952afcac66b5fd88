"""`preview sweep=KEY`: the key changes, and nothing else."""

import numpy as np
import pytest
from PIL import Image

from simgen.cli.main import main
from simgen.cli.sweep import (
    Sweep,
    changed_fields,
    replaced,
    sweepable_keys,
    swept_values,
    with_defaults,
)
from simgen.config import compose
from simgen.config.render import parse_render
from simgen.errors import ConfigError
from simgen.sampling import FrameIndex, Streams
from simgen.scene.family import load_family, parse_ranges


@pytest.fixture(scope="module")
def plain():
    return with_defaults(compose("render", ["+scene=magnetic_tile"]))


def spec(plain, scene):
    """The SceneSpec of a scene's first frame, as the pipeline draws it."""
    config = parse_render(plain)
    family = load_family(config.scene_name)
    ranges = parse_ranges(family, config.scene)
    index = FrameIndex.of(
        scene * config.exposures_per_view,
        views_per_scene=config.views_per_scene,
        exposures_per_view=config.exposures_per_view,
    )
    streams = Streams(seed=config.seed, index=index)
    objects = family.sample_objects(streams, ranges)
    return family.sample_frame(streams, ranges, config.image, objects)


def values(plain, key, now, **sweep):
    return swept_values(replaced(plain, key, now), Sweep(key=key, **sweep))


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ({"uniform": [0.0, 1.0]}, [0, 0.5, 1]),
        ({"loguniform": [0.01, 1.0]}, [0.01, 0.1, 1]),
        ({"normal": [0.5, 0.1, 0.2, 0.8]}, [0.2, 0.5, 0.8]),
        ({"choice": [0.3, 0.1]}, [0.3, 0.1]),
    ],
)
def test_a_range_is_swept_over_its_support(plain, now, expected):
    assert values(plain, "scene.sensor.read_noise", now, n=3) == pytest.approx(expected)


def test_ends_that_are_given_come_first(plain):
    key = "scene.sensor.read_noise"
    assert values(plain, key, {"uniform": [0, 1]}, n=3, start=2, stop=4) == [2, 3, 4]
    assert values(plain, key, 0.5, n=2, start=1.0, stop=0.0) == [1, 0]


def test_whole_numbers_switches_and_lists_keep_their_kind(plain):
    assert swept_values(plain, Sweep(key="labels.pad_px", n=8, start=0, stop=3)) == [0, 1, 2, 3]
    assert swept_values(plain, Sweep(key="labels.polygons")) == [False, True]
    steps = plain["scene"]["sensor"]["steps"]
    assert swept_values(plain, Sweep(key="scene.sensor.steps")) == [[v] for v in steps]


def test_sizes_that_only_the_kind_knows_can_be_swept(plain):
    assert "lumps" not in (compose("render", ["+scene=magnetic_tile"]))["scene"]["defects"]["break"]
    assert "scene.defects.crack.sizes.closed" in sweepable_keys(plain)


WRONG = [
    ("scene.sensor.gama", "'scene.sensor.gama' is no key that can be swept; did you mean"),
    ("defocus_px", "did you mean 'scene.sensor.defocus_px'?"),
    ("scene.name", "'scene.name' is no key that can be swept"),
    ("frames", "'frames' is no key that can be swept"),
    ("image.format", "'image.format' is no key that can be swept"),
    ("image.width", "image.width is always 656; give it ends: from=... to=..."),
]


@pytest.mark.parametrize(("key", "message"), WRONG, ids=[k for k, _ in WRONG])
def test_a_key_that_cannot_be_swept_is_one_line(plain, key, message):
    plain = replaced(plain, "image.width", 656)
    with pytest.raises(ConfigError) as caught:
        swept_values(plain, Sweep(key=key))
    assert message in str(caught.value)


SENSOR = ["defocus_px", "shot_noise", "read_noise", "gamma", "vignetting", "jpeg_quality"]


@pytest.mark.parametrize("name", SENSOR)
def test_only_the_swept_setting_changes(plain, name):
    key = f"scene.sensor.{name}"
    low, *_, high = swept_values(plain, Sweep(key=key, start=10, stop=90)) if (
        name == "jpeg_quality"
    ) else swept_values(plain, Sweep(key=key, n=3))  # fmt: skip
    specs = [spec(replaced(plain, key, value), 3) for value in (low, high)]
    assert changed_fields(specs) == {f"sensor.{name}"}


def test_changed_fields_are_named_without_the_numbers_of_items(plain):
    specs = [spec(replaced(plain, "scene.clean_share", share), 1) for share in (0.0, 1.0)]
    changed = changed_fields(specs)
    assert all("#" not in field for field in changed)
    assert any(field.startswith("objects[].defects") for field in changed)
    assert changed_fields([specs[0], specs[0]]) == set()


def test_a_sweep_shows_every_value_of_a_scene_that_changes(tmp_path, capsys):
    arguments = [
        "preview", "+scene=magnetic_tile", "sweep=scene.sensor.level", "n=2", "from=0.2", "to=0.8",
        "renderer.allow_software=true", "renderer.supersample=1", "scene.mark_count=0",
        "scene.clean_share=1.0", f"out={tmp_path}",
    ]  # fmt: skip
    assert main(arguments) == 0
    told, file = capsys.readouterr().out.splitlines()
    assert told == "scene.sensor.level changes in the SceneSpec: sensor.exposure"
    sheet = np.asarray(Image.open(file).convert("L"), np.float64)
    # Two tiles side by side, the brighter on the right.
    half = sheet[80:300]
    columns = np.nonzero((half > 45).mean(axis=0) > 0.3)[0]
    middle = (columns.min() + columns.max()) // 2
    assert half[:, middle:].mean() > 1.3 * half[:, :middle].mean()
