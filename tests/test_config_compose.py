import os
from pathlib import Path

import pytest

from simgen.config import compose, data_folder, scene_file, scene_names
from simgen.config.render import parse_render
from simgen.errors import ConfigError

FLAT = """# @package _global_
scene:
  name: flat
  parts:
    count: 3
    size_mm: {loguniform: [1, 9]}
  must: ???
image:
  width: 320
"""


@pytest.fixture
def conf(tmp_path):
    (tmp_path / "scene").mkdir()
    (tmp_path / "scene/flat.yaml").write_text(FLAT)
    return tmp_path


def test_a_users_scene_overrides_shared_keys_and_the_command_line_overrides_both(conf):
    plain = compose("render", ["+scene=flat", "scene.must=1", "scene.parts.count=5"], conf)
    assert plain["scene"] == {
        "name": "flat",
        "parts": {"count": 5, "size_mm": {"loguniform": [1, 9]}},
        "must": 1,
    }
    assert plain["image"] == {"width": 320, "height": 640, "format": "png"}
    assert plain["out"] == "outputs/flat"
    assert plain["renderer"]["name"] == "raster"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{uniform: [1, 2]}", {"uniform": [1, 2]}),
        ("{choice: [1, 2], weights: [1, 3]}", {"choice": [1, 2], "weights": [1, 3]}),
        ("3", 3),
    ],
)
def test_a_distribution_takes_the_place_of_another(text, value, conf):
    overrides = ["+scene=flat", "scene.must=1", f"scene.parts.size_mm={text}"]
    assert compose("render", overrides, conf)["scene"]["parts"]["size_mm"] == value


def test_a_users_primary_config_comes_before_ours(conf):
    (conf / "render.yaml").write_text("defaults:\n  - renderer: raster\n  - _self_\nframes: 3\n")
    plain = compose("render", [], conf)
    assert plain["frames"] == 3
    assert set(plain) == {"frames", "renderer"}


def test_preview_has_the_keys_of_render_and_its_own(conf):
    render = compose("render", ["+scene=flat", "scene.must=1"], conf)
    preview = compose("preview", ["+scene=flat", "scene.must=1"], conf)
    own = {"compare", "categories", "exclude", "crop_px", "sweep", "n", "scenes", "from", "to"}
    assert set(preview) - set(render) == own
    assert (preview["frames"], preview["out"]) == (12, "outputs/preview/flat")


def test_composing_leaves_no_folder_and_stays_where_it_is(conf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(os.listdir())
    compose("render", ["+scene=flat", "scene.must=1"], conf)
    assert (Path.cwd(), sorted(os.listdir())) == (tmp_path, before)


WRONG = [
    ([], "scene: none was chosen; add +scene=NAME"),
    (["scene=flat"], "scene: write +scene=flat"),
    (["+scene=flatt"], "scene: no scene named 'flatt'; did you mean 'flat'?"),
    (["+scene="], "scene: no scene named ''"),
    (["+scene=flat", "+scene=flat"], "scene: is chosen more than once"),
    (["+scene=flat"], "scene.must: required value is missing; set scene.must=VALUE"),
    (["+scene=flat", "framez=3"], "framez: unknown key; did you mean 'frames'?"),
    (["+scene=flat", "~framez"], "framez: unknown key; did you mean 'frames'?"),
    (["+scene=flat", "image.widht=3"], "image.widht: unknown key; did you mean 'image.width'?"),
    (["+scene=flat", "imag.width=3"], "imag.width: unknown key; did you mean 'image'?"),
    (
        ["+scene=flat", "scene.parts.cout=3"],
        "scene.parts.cout: unknown key; did you mean 'scene.parts.count'?",
    ),
    (
        ["+scene=flat", "scene.parts.siz_mm={uniform: [1, 2]}"],
        "scene.parts.siz_mm: unknown key; did you mean 'scene.parts.size_mm'?",
    ),
    (["+scene=flat", "renderer.zzz=3"], "valid here: renderer.allow_software, renderer.name"),
    (
        ["+scene=flat", "renderer=rastr"],
        "renderer: no renderer named 'rastr'; did you mean 'raster'",
    ),
    (["+scene=flat", "+frames=3"], "frames: is set already; write it without the leading +"),
    (["+scene=flat", "frames"], "frames: no value; write frames=VALUE"),
    (["+scene=flat", "out=a=b"], """out: cannot read 'a=b'; quote it: 'out="a=b"'"""),
    (["+scene=flat", "frames=1,2"], "frames: cannot read '1,2'"),
    (["=3"], "=3: no key before the ="),
    (["+scene=flat", "scene.must=1", "out=${nope}"], "out: Interpolation key 'nope' not found"),
    (
        ["+scene=flat", "scene.must=1", "out=${oc.env:SIMGEN_NOPE}"],
        "out: Environment variable 'SIMGEN_NOPE' not found",
    ),
]


@pytest.mark.parametrize(("overrides", "message"), WRONG, ids=[" ".join(o) for o, _ in WRONG])
def test_a_mistake_names_its_key_and_the_remedy_in_one_line(overrides, message, conf):
    with pytest.raises(ConfigError) as caught:
        compose("render", overrides, conf)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_quoted_form_that_a_message_proposes_is_right(conf):
    plain = compose("render", ["+scene=flat", "scene.must=1", 'out="a=b, c"'], conf)
    assert plain["out"] == "a=b, c"


def test_a_config_folder_that_is_none_is_named(tmp_path):
    with pytest.raises(ConfigError, match="--config-dir: .*nope is not a folder"):
        compose("render", [], tmp_path / "nope")


def test_a_name_that_ours_would_hide_is_refused(tmp_path):
    (tmp_path / "renderer").mkdir()
    (tmp_path / "renderer/raster.yaml").write_text("name: raster\n")
    with pytest.raises(ConfigError, match="renderer/raster.yaml there would hide behind ours"):
        compose("render", [], tmp_path)


def test_a_file_that_is_not_yaml_is_one_line(conf):
    (conf / "scene/flat.yaml").write_text("a: [1\nb: }")
    with pytest.raises(ConfigError, match="not YAML: .*flat.yaml"):
        compose("render", ["+scene=flat"], conf)


@pytest.mark.parametrize("path", sorted(data_folder("conf").rglob("*.yaml")), ids=lambda p: p.name)
def test_every_config_opens_with_the_command_that_uses_it(path):
    lines = path.read_text().splitlines()
    comments = [line for line in lines[:3] if not line.startswith("# @package")]
    assert comments[0].startswith(("# python -m simgen ", "# simgen "))
    assert comments[1].startswith("# ")


def test_scenes_of_the_working_directory_come_before_ours(tmp_path, monkeypatch):
    ours = set(scene_names())
    (tmp_path / "scenes").mkdir()
    (tmp_path / "scenes/mine.py").touch()
    monkeypatch.chdir(tmp_path)
    assert scene_file("mine") == tmp_path / "scenes/mine.py"
    assert set(scene_names()) == ours | {"mine"}
    assert scene_file("nobodys") is None


def test_an_executor_whose_name_is_no_name_is_refused():
    plain = compose("render", ["+scene=inspection", "out=x"])
    plain["executor"]["name"] = [[]]
    with pytest.raises(ConfigError, match=r"executor\.name: .* is not allowed"):
        parse_render(plain)


@pytest.mark.parametrize("typed, hint", [("gpuu", "did you mean 'gpu'"), ("huge", "cpu, gpu")])
def test_a_size_that_an_experiment_lacks_is_named_with_those_it_has(typed, hint):
    with pytest.raises(ConfigError, match=f"^size: '{typed}' is not in sizes; .*{hint}"):
        compose("experiment", ["+experiment=magnetic_tile", f"size={typed}"])
