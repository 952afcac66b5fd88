"""`doctor`: what will render here, which extras work, and the remedy for what does not."""

import ctypes
import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Any, Literal

from simgen.errors import ConfigError

HELP = """
usage: python -m simgen doctor

Says what will render here (OpenGL device, GPU or software), which extras are installed, and for
whatever is missing the command that remedies it. Exit code 0 if `render` can run, else 1.
"""

_SYSTEM_PACKAGES = {
    "libEGL.so.1": "libegl1",
    "libOpenGL.so.0": "libopengl0",
    "libGL.so.1": "libgl1",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libxcb.so.1": "libxcb1",
}
_CORE = {
    "numpy": "numpy",
    "scipy": "scipy",
    "PIL": "pillow",
    "cv2": "opencv-python",
    "hydra": "hydra-core",
    "omegaconf": "omegaconf",
    "pybullet": "pybullet",
    "trimesh": "trimesh",
    "manifold3d": "manifold3d",
    "shapely": "shapely",
    "mapbox_earcut": "mapbox-earcut",
    "moderngl": "moderngl",
    "pycocotools": "pycocotools",
    "tqdm": "tqdm",
}
_EXTRAS = {
    "yolo": ("torch", "torchvision", "ultralytics", "matplotlib"),
    "cad": ("cascadio", "xatlas"),
    "audit": ("embreex",),
    "photoreal": ("mitsuba",),
    "export": ("pyarrow",),
    "cluster": ("ray", "submitit", "fsspec", "s3fs"),
    "dev": ("pytest", "hypothesis", "ruff", "mypy", "pre_commit", "embreex", "moto"),
}
_SOFTWARE = ("llvmpipe", "softpipe", "swrast", "software")
_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the report; a `fault` keeps `render` from running."""

    state: Literal["ok", "note", "fault"]
    subject: str
    text: str
    remedy: str = ""


def run(overrides: Sequence[str], config_dir: Path | None) -> int:
    """Print the report; 0 if `render` can run here, else 1."""
    if overrides:
        raise ConfigError(f"doctor: {overrides[0]!r} is one argument too many; it takes none")
    findings = []
    for finding in (*_machine(), *_packages(), *_libraries(), *_opengl(), *_extras()):
        findings.append(finding)
        mark = {"ok": "ok  ", "note": "note", "fault": "FAIL"}[finding.state]
        print(f"[{mark}] {finding.subject:<16} {finding.text}")
        if finding.remedy:
            print(f"{'':<24}remedy: {finding.remedy}")
    faults = sum(f.state == "fault" for f in findings)
    print(f"render cannot run: {faults} faults" if faults else "render can run here")
    return 1 if faults else 0


def probe_opengl() -> None:
    """Make the renderer's context and print what draws, as JSON; for a child process."""
    import moderngl

    context = moderngl.create_context(
        standalone=True, backend="egl", libgl="libOpenGL.so.0", libegl="libEGL.so.1"
    )
    keys = ("GL_VENDOR", "GL_RENDERER", "GL_VERSION")
    print(json.dumps({key: context.info[key] for key in keys}))
    context.release()


def _machine() -> Iterator[Finding]:
    python = f"{platform.python_version()} at {sys.executable}"
    yield Finding(state="ok", subject="Python", text=python)
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    text = f"{_system()}, {platform.machine()}, {cores} cores, {memory:.0f} GiB of memory"
    yield Finding(state="ok", subject="machine", text=text)


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.platform()


def _packages() -> Iterator[Finding]:
    missing = [package for module, package in _CORE.items() if util.find_spec(module) is None]
    if missing:
        yield Finding(
            state="fault",
            subject="packages",
            text=f"missing: {', '.join(missing)}",
            remedy="pip install -e . (in a checkout), or pip install simgen",
        )
    else:
        yield Finding(state="ok", subject="packages", text="all that `render` needs")
    both = [n for n in ("opencv-python", "opencv-python-headless") if _installed(n)]
    if len(both) == 2:
        yield Finding(
            state="note",
            subject="packages",
            text="opencv-python and opencv-python-headless overwrite each other",
            remedy="pip uninstall -y opencv-python-headless opencv-python;"
            " pip install opencv-python",
        )


def _installed(package: str) -> bool:
    try:
        metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _libraries() -> Iterator[Finding]:
    missing = []
    for library, package in _SYSTEM_PACKAGES.items():
        try:
            ctypes.CDLL(library)
        except OSError:
            missing.append((library, package))
    if missing:
        yield Finding(
            state="fault",
            subject="libraries",
            text=f"missing: {', '.join(library for library, _ in missing)}",
            remedy=f"apt-get install {' '.join(p for _, p in missing)} libgl1-mesa-dri",
        )
    else:
        yield Finding(state="ok", subject="libraries", text="EGL, OpenGL and what OpenCV links")


def _opengl() -> Iterator[Finding]:
    devices = _gpu_devices()
    if util.find_spec("moderngl") is None:
        return
    info, problem = _probe()
    if info is None:
        yield Finding(
            state="fault",
            subject="OpenGL",
            text=f"no context: {problem}",
            remedy="apt-get install libegl1 libopengl0 libgl1-mesa-dri, or a GPU driver with EGL",
        )
        return
    name = f"{info['GL_RENDERER']}, OpenGL {info['GL_VERSION']}"
    software = any(word in info["GL_RENDERER"].lower() for word in _SOFTWARE)
    if not software:
        yield Finding(state="ok", subject="OpenGL", text=f"hardware: {name}")
    elif devices:
        yield Finding(
            state="fault",
            subject="OpenGL",
            text=f"software, {name}, although there is {devices[0]}",
            remedy="make the driver's EGL visible (in a container set"
            " NVIDIA_DRIVER_CAPABILITIES=all), or ask for software with"
            " renderer.allow_software=true",
        )
    else:
        yield Finding(state="ok", subject="OpenGL", text=f"software, no GPU here: {name}")


def _gpu_devices() -> list[str]:
    return sorted(str(p) for p in Path("/dev").glob("nvidia[0-9]*"))


def _probe() -> tuple[dict[str, Any] | None, str]:
    # In a child process: a broken driver may take the process down with it.
    package_parent = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(p for p in (package_parent, os.environ.get("PYTHONPATH")) if p)
    code = "from simgen.cli.doctor import probe_opengl; probe_opengl()"
    try:
        child = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return None, f"the driver did not answer within {_SECONDS} s"
    if child.returncode < 0:
        return None, f"the driver crashed ({signal.Signals(-child.returncode).name})"
    if child.returncode:
        lines = child.stderr.strip().splitlines()
        return None, lines[-1] if lines else f"exit code {child.returncode}"
    return json.loads(child.stdout.strip().splitlines()[-1]), ""


def _extras() -> Iterator[Finding]:
    for extra, modules in _EXTRAS.items():
        missing = [m for m in modules if util.find_spec(m) is None]
        if missing:
            yield Finding(
                state="note",
                subject=f"extra {extra}",
                text=f"not installed: {', '.join(missing)}",
                remedy=f'pip install -c constraints.txt -e ".[{extra}]"',
            )
        else:
            yield Finding(state="ok", subject=f"extra {extra}", text=", ".join(modules))
