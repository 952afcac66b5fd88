"""The flow of design: every import points backwards along it, never forwards."""

import ast
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Every folder or module of simgen/, in the order of the flow; one line is one step.
FLOW = [
    ("errors", "__init__"),
    ("config", "sampling", "geometry"),
    ("scene",),
    ("parts",),
    ("finishes",),
    ("defects",),
    ("randomize",),
    ("physics",),
    ("render",),
    ("sensor",),
    ("label",),
    ("dataset",),
    ("execute",),
    ("export",),
    ("train",),
    ("evaluate",),
    ("report",),
    ("calibrate",),
    ("pipeline",),
    ("cli", "__main__"),
]
STEP = {name: i for i, names in enumerate(FLOW) for name in names}
MODULES = sorted((ROOT / "simgen").rglob("*.py"))


def imported_modules(source):
    """Names under simgen that a module imports, at its top or within a function."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package == "simgen" and rest:
                yield rest.split(".")[0]


def backward_imports(folder, source):
    here = STEP[folder]
    return sorted(name for name in imported_modules(source) if STEP.get(name, -1) > here)


def folder_of(path):
    first = path.relative_to(ROOT / "simgen").parts[0]
    return first.removesuffix(".py")


def test_every_folder_has_its_place_in_the_flow():
    assert {folder_of(path) for path in MODULES} <= set(STEP)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_follow_the_flow(path):
    assert backward_imports(folder_of(path), path.read_text()) == []


def test_the_walk_sees_forward_imports_wherever_they_stand():
    source = "def f():\n    from simgen.render import x\nimport simgen.scene.spec\n"
    assert backward_imports("parts", source) == ["render"]
    assert backward_imports("config", source) == ["render", "scene"]
    assert backward_imports("cli", source) == []


def test_a_module_is_about_one_noun():
    long = {p.name: n for p in MODULES if (n := len(p.read_text().splitlines())) > 400}
    assert long == {}


EXTRAS = (
    "torch",
    "ultralytics",
    "mitsuba",
    "ray",
    "submitit",
    "fsspec",
    "cascadio",
    "xatlas",
    "OpenEXR",
    "pyrender",
)


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_core_imports_without_the_extras(extra):
    code = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] == {extra!r}:\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "import simgen.pipeline, simgen.execute.render, simgen.cli.main, simgen.cli.render"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_starting_a_worker_loads_nothing_that_counts_cores():
    # numpy's and OpenCV's thread pools read their limits when they load, which a
    # worker sets first of all.
    code = (
        "import sys, simgen.cli.main, simgen.execute.worker\n"
        "assert not {'numpy', 'cv2', 'moderngl'} & set(sys.modules), sorted(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """The files in a wheel that is built from a copy of the repository."""
    folder = tmp_path_factory.mktemp("wheel")
    sources = ("simgen", "conf", "scenes", "assets", "pyproject.toml", "setup.py", "README.md")
    skip = shutil.ignore_patterns("__pycache__")
    for name in (*sources, "LICENSE"):
        path = ROOT / name
        copy = shutil.copytree if path.is_dir() else shutil.copy
        copy(path, folder / name, **({"ignore": skip} if path.is_dir() else {}))
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "."]
    done = subprocess.run([*command, "-w", "out"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    (built,) = (folder / "out").glob("simgen-*.whl")
    unpacked = folder / "unpacked"
    zipfile.ZipFile(built).extractall(unpacked)
    return unpacked


def test_the_wheel_holds_every_file_that_the_checkout_reads(wheel):
    for name in ("conf", "scenes", "assets"):
        ours = {p.relative_to(ROOT) for p in (ROOT / name).rglob("*") if p.is_file()}
        ours = {p for p in ours if "__pycache__" not in p.parts}
        packed = {
            p.relative_to(wheel / "simgen/_data")
            for p in (wheel / "simgen/_data" / name).rglob("*")
        }
        assert ours and ours <= packed
    ours = {p.relative_to(ROOT) for p in (ROOT / "simgen").rglob("*") if p.is_file()}
    ours = {p for p in ours if "__pycache__" not in p.parts and p.parts[1] != "_data"}
    assert ours <= {p.relative_to(wheel) for p in wheel.rglob("*")}


def test_a_wheel_finds_its_data_where_there_is_no_checkout(wheel, tmp_path):
    code = (
        "import json; from simgen.config import compose, data_folder, scene_names\n"
        "print(json.dumps([str(data_folder('conf')), scene_names(),"
        " compose('render', ['+scene=inspection'])['frames']]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(wheel), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    folder, scenes, frames = json.loads(done.stdout)
    assert folder == str(wheel / "simgen/_data/conf")
    assert {"inspection", "magnetic_tile", "ball_screw"} <= set(scenes)
    assert frames == 48
