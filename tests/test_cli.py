import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import simgen
from simgen import pipeline
from simgen.cli.main import COMMANDS, main
from simgen.config import compose
from simgen.config.render import parse_render
from simgen.errors import ConfigError

ROOT = Path(__file__).resolve().parent.parent


def one_line(capsys):
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ") and captured.err.count("\n") == 1
    return captured.err


WRONG = [
    (["rendr"], "rendr: unknown command; did you mean 'render'?"),
    (["render", "--frames", "3"], "--frames: unknown option"),
    (["render", "--config-dir"], "--config-dir: no folder given"),
    (["render", "--config-dir", "/nope"], "--config-dir: /nope is not a folder"),
    (["render"], "scene: none was chosen"),
    (["render", "+scene=inspekt"], "scene: no scene named 'inspekt'; did you mean 'inspection'?"),
    (["render", "+scene=inspection", "framez=3"], "framez: unknown key; did you mean 'frames'?"),
    (["render", "+scene=inspection", "frames=0"], "frames: 0 is too small; at least 1"),
    (["render", "+scene=inspection", "frames=x"], "frames: expected a whole number, got 'x'"),
    (["render", "+scene=inspection", "image.width=4"], "image.width: 4 is too small"),
    (["render", "+scene=inspection", "scene.name=nobody"], "nobody"),
    (["render", "+scene=inspection", "out=/dev/null/x"], "out: cannot write to /dev/null/x"),
    (["preview", "+scene=inspection", "compare=/nope.json"], "compare: /nope.json is not a file"),
    (["preview", "+scene=inspection", "out=/dev/null/x"], "out: cannot write to /dev/null/x"),
    (["check"], "check: expected one dataset, got 0"),
    (["check", "/nope"], "/nope: holds no finished dataset"),
    (["doctor", "now"], "doctor: 'now' is one argument too many"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=[" ".join(a) for a, _ in WRONG])
def test_a_mistake_is_one_line_with_the_remedy_and_exit_code_2(arguments, message, capsys):
    assert main(arguments) == 2
    assert message in one_line(capsys)


@pytest.mark.parametrize("scene", ["inspection", "magnetic_tile"])
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("scene.defects.{kind}.sizes.{size}={{uniform: [3, 1]}}", "range [3, 1] is reversed"),
        ("+scene.defects.{kind}.sizes.sise_mm=1", "sizes.sise_mm: unknown key"),
        ("+scene.defects.scrtch={{weight: 1}}", "'scrtch' is unknown; did you mean 'scratch'?"),
    ],
)
def test_a_mistake_in_a_defect_kind_shows_before_anything_renders(scene, override, message):
    kind, size = ("pit", "diameter_mm") if scene == "inspection" else ("crack", "length_mm")
    overrides = [f"+scene={scene}", override.format(kind=kind, size=size)]
    with pytest.raises(ConfigError) as caught:
        pipeline.scene_check(parse_render(compose("render", overrides)))
    assert message in str(caught.value)


def test_the_holdout_is_never_shown_beside_simulated_images(tmp_path, capsys):
    (tmp_path / "holdout.json").write_text("{}")
    compare = f"compare={tmp_path / 'holdout.json'}"
    assert main(["preview", "+scene=inspection", compare]) == 2
    assert "is the holdout, for evaluation only" in one_line(capsys)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, capsys):
    assert main([command, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: python -m simgen {command}")


def test_version_and_overview(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"simgen {simgen.__version__}\n"
    assert main(["--help"]) == 0
    overview = capsys.readouterr().out
    assert all(command in overview for command in COMMANDS)
    assert main([]) == 2


def test_check_exits_with_1_and_names_the_frame_of_a_fault(flat_dataset, tmp_path, capsys):
    assert main(["check", str(flat_dataset), f"out={tmp_path}"]) == 0
    assert "7 images" in capsys.readouterr().out
    copy = shutil.copytree(flat_dataset, tmp_path / "copy")
    coco = json.loads((copy / "coco.json").read_text())
    coco["annotations"][0]["area"] = 1
    (copy / "coco.json").write_text(json.dumps(coco))
    assert main(["check", str(copy), f"out={tmp_path}"]) == 1
    assert "FAULT 1 x area is not the mask's: frame 0, annotation 1" in capsys.readouterr().out


def test_a_fault_of_ours_is_exit_code_1_and_says_how_to_see_where(monkeypatch, capsys):
    monkeypatch.setattr("simgen.cli.doctor.run", lambda overrides, config_dir: {}["a bug"])
    assert main(["doctor"]) == 1
    assert "KeyError: 'a bug'; a fault of simgen's: add --traceback" in one_line(capsys)
    assert main(["doctor", "--traceback"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_python_m_simgen_is_the_same_program():
    done = subprocess.run(
        [sys.executable, "-m", "simgen", "chek"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr == "error: chek: unknown command; did you mean 'check'?\n"
