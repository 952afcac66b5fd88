"""What `doctor` says of real machines: this one, one without EGL, one whose GPU is not used."""

import os
import shutil
import subprocess
import sys
from importlib import util
from pathlib import Path

import pytest

from simgen.cli.main import main
from simgen.render.egl import gpu_nodes

ROOT = Path(__file__).resolve().parent.parent
MITSUBA = util.find_spec("mitsuba") is not None


def doctor(*renderers: str, seconds: int = 120) -> list[str]:
    """Return a command that runs doctor with these renderers only, each for so long."""
    code = (
        "import sys; from simgen.cli import doctor, doctor_frame\n"
        f"doctor_frame.SECONDS['raster'] = {seconds}\n"
        f"names = {renderers!r}\n"
        "doctor._RENDERERS = {n: doctor._RENDERERS[n] for n in names}\n"
        "sys.exit(doctor.run([], None))"
    )
    return [sys.executable, "-c", code]


def run(command: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **variables}, capture_output=True, text=True
    )


def test_doctor_draws_with_every_renderer_and_names_device_and_extras(capsys, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    code = main(["doctor"])
    report = capsys.readouterr().out
    for subject in ("Python", "machine", "GPU", "EGL", "raster", "pathtrace", "pyrender", "extras"):
        assert f"] {subject}" in report
    assert "CUDA_VISIBLE_DEVICES=0" in report
    (raster,) = [line for line in report.splitlines() if "] raster " in line]
    if not gpu_nodes():
        # These tests render, so raster must; on a GPU that is not drawn on, it stops.
        assert code == 0 and "a frame in" in raster and "software" in raster
    assert code == (0 if "[ok  ]" in raster else 3 if "with renderer=" in report else 1)
    for line in report.splitlines():
        if "] pyrender" in line and "not installed" in line:
            assert 'pip install -c constraints.txt -e ".[pyrender]"' in report
    # One screen.
    assert len(report.splitlines()) <= 30


def test_without_egl_doctor_names_the_package_and_exits_1(tmp_path):
    (tmp_path / "libEGL.so.1").touch()
    done = run(doctor("raster"), LD_LIBRARY_PATH=str(tmp_path))
    assert done.returncode == 1, done.stderr
    assert "[FAIL] raster" in done.stdout and "apt-get install libegl1" in done.stdout
    assert "render cannot run here" in done.stdout


@pytest.mark.parametrize(
    "driver, seconds, said, remedy",
    [
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
            120,
            "crashed (SIGSEGV)",
            "GLCONTEXT_DEVICE_INDEX=1",
        ),
        ("import time; time.sleep(60)", 1, "no answer within 1 s", "update the driver"),
        (
            "raise ImportError('libgone.so.1: cannot open')",
            120,
            "libgone.so.1: cannot open",
            "the package that has libgone.so.1",
        ),
        ("raise ImportError('half a file')", 120, "half a file", "--force-reinstall"),
    ],
)
def test_doctor_outlives_a_driver_that_dies_or_hangs_and_has_a_remedy(
    tmp_path, driver, seconds, said, remedy
):
    (tmp_path / "moderngl.py").write_text(driver)
    done = run(doctor("raster", seconds=seconds), PYTHONPATH=str(tmp_path))
    lines = done.stdout.splitlines()
    (at,) = [k for k, line in enumerate(lines) if "] raster " in line]
    assert lines[at].startswith("[FAIL]") and said in lines[at]
    assert remedy in lines[at] + lines[at + 1]
    assert done.returncode == 1, done.stderr


@pytest.mark.skipif(not MITSUBA, reason="no extra photoreal")
def test_a_gpu_that_is_not_drawn_on_stops_raster_and_exits_3(tmp_path):
    # A device file of our own, in a copy of /dev that only these processes see.
    shell = (
        f"mount -t tmpfs none {tmp_path} && mkdir {tmp_path}/up {tmp_path}/work && mount -t overlay"
        f" none -o lowerdir=/dev,upperdir={tmp_path}/up,workdir={tmp_path}/work /dev"
        ' && touch /dev/nvidia7 && exec "$@"'
    )
    if gpu_nodes() or shutil.which("unshare") is None:
        pytest.skip("has a GPU, or no unshare")
    hidden = ["unshare", "--mount", "sh", "-c", shell, "sh"]
    if run([*hidden, "true"]).returncode:
        pytest.skip("may not mount")
    done = run([*hidden, *doctor("raster", "pathtrace")])
    assert done.returncode == 3, done.stdout + done.stderr
    assert "although there is /dev/nvidia7" in done.stdout
    assert "renderer.allow_software=true" in done.stdout
    assert "with renderer=pathtrace, and stops without" in done.stdout
    render = [
        sys.executable,
        "-m",
        "simgen",
        "render",
        "+scene=inspection",
        "frames=1",
        "workers=1",
    ]
    stopped = run([*hidden, *render, f"out={tmp_path}/dataset"])
    assert stopped.returncode == 2
    assert "renderer.allow_software: this machine has a GPU" in stopped.stderr
