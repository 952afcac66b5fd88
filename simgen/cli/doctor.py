"""`doctor`: what will render here, which extras work, and the remedy for what does not."""

import ctypes
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Any, Literal

from simgen.cli.doctor_frame import ask
from simgen.errors import ConfigError
from simgen.render.egl import gpu_nodes

HELP = """
usage: python -m simgen doctor

Says which GPUs and EGL devices there are and which one this process was given, renders a small
frame with each renderer in a process of its own, lists extras, and for whatever is missing gives
the command that remedies it. Takes some ten seconds. Exit code for scripts:

  0   `render` runs as it is
  3   it stops as it is, but another renderer draws here: add the `renderer=` that is named
  1   nothing can render
"""

READY, NOTHING_RENDERS, ANOTHER_RENDERS = 0, 1, 3
_SYSTEM_PACKAGES = {
    "libEGL.so.1": "libegl1",
    "libOpenGL.so.0": "libopengl0",
    "libGL.so.1": "libgl1",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libxcb.so.1": "libxcb1",
}
_FOR_OPENCV = {"libGL.so.1", "libgthread-2.0.so.0", "libxcb.so.1"}
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
    "jinja2": "jinja2",
    "yaml": "pyyaml",
    "tqdm": "tqdm",
}
_EXTRAS = {
    "photoreal": ("mitsuba",),
    "pyrender": ("pyrender",),
    "yolo": ("torch", "torchvision", "ultralytics", "matplotlib"),
    "cad": ("cascadio", "xatlas"),
    "exr": ("OpenEXR",),
    "audit": ("embreex",),
    "export": ("pyarrow",),
    "cluster": ("ray", "submitit", "fsspec", "s3fs"),
    "dev": ("pytest", "hypothesis", "ruff", "mypy", "pre_commit", "embreex", "moto"),
}
# Best first; the first is what `render` uses unless told otherwise.
_RENDERERS = {"raster": "", "pathtrace": "photoreal", "pyrender": "pyrender"}
_NO_EGL = "apt-get install libegl1 libopengl0 libgl1-mesa-dri, or a GPU driver with EGL"
_SHOW_EGL = (
    "make the driver's EGL visible (in a container NVIDIA_DRIVER_CAPABILITIES=all; else its"
    " package with libEGL_nvidia or Mesa's drivers), or ask for software with"
    " renderer.allow_software=true"
)
_OTHER_DRIVER = (
    "update the driver, take another device (GLCONTEXT_DEVICE_INDEX=1), or Mesa's software:"
    " LIBGL_ALWAYS_SOFTWARE=1 and renderer.allow_software=true"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the report. `renders`: whether this renderer draws as it is, None: not one."""

    state: Literal["ok", "note", "fault"]
    subject: str
    text: str
    remedy: str = ""
    renders: bool | None = None


def run(overrides: Sequence[str], config_dir: Path | None) -> int:
    """Print the report; see `HELP` for what is returned."""
    if overrides:
        raise ConfigError(f"doctor: {overrides[0]!r} is one argument too many; it takes none")
    draws: dict[str, bool] = {}
    for finding in (*_machine(), *_packages(), *_libraries(), *_gpus(), *_egl()):
        _show(finding)
    for name in _RENDERERS:
        for finding in _renderer(name):
            _show(finding)
            if finding.renders is not None:
                draws[name] = finding.renders
    for finding in _extras():
        _show(finding)
    usable = [name for name, draw in draws.items() if draw]
    if "raster" in usable:
        print("render can run here")
        return READY
    if usable:
        print(f"render can run here with renderer={usable[0]}, and stops without")
        return ANOTHER_RENDERS
    print("render cannot run here: see the lines marked FAIL")
    return NOTHING_RENDERS


def _show(finding: Finding) -> None:
    mark = {"ok": "ok  ", "note": "note", "fault": "FAIL"}[finding.state]
    print(f"[{mark}] {finding.subject:<16} {finding.text}", flush=True)
    if finding.remedy:
        print(f"{'':<24}remedy: {finding.remedy}", flush=True)


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
        if library in _FOR_OPENCV and _installed("opencv-python-headless"):
            continue
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


def _gpus() -> Iterator[Finding]:
    """Say which GPUs the system shows, and which of them this process was given."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    given = "" if visible is None else f"; CUDA_VISIBLE_DEVICES={visible}"
    nodes = gpu_nodes()
    if not nodes:
        none = "none: neither /dev/nvidia* nor /dev/dri/renderD*"
        yield Finding(state="ok", subject="GPU", text=f"{none}{given}")
        return
    found = _nvidia_smi() or [", ".join(nodes)]
    yield Finding(state="ok", subject="GPU", text=f"{found[0]}{given}")
    for more in found[1:8]:
        yield Finding(state="ok", subject="", text=more)


def _nvidia_smi() -> list[str]:
    """Return a line for each NVIDIA GPU with its driver, none where nvidia-smi does not answer."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    query = "--query-gpu=index,name,driver_version,uuid"
    try:
        done = subprocess.run(
            [program, query, "--format=csv,noheader"], capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    rows = [row.split(", ") for row in done.stdout.strip().splitlines()]
    return [
        f"{row[0]}: {row[1]}, driver {row[2]}, {row[3]}"
        for row in rows
        if not done.returncode and len(row) == 4
    ]


def _egl() -> Iterator[Finding]:
    said = ask("devices")
    if "error" in said:
        yield Finding(
            state="fault", subject="EGL", text=said["error"], remedy=_remedy("", said["error"])
        )
        return
    listed = said["devices"]
    if not listed:
        none = "its devices cannot be listed: the driver has no EGL_EXT_device_enumeration"
        missing = "libEGL.so.1 does not load"
        yield Finding(state="note", subject="EGL", text=none if _loads("libEGL.so.1") else missing)
        return
    # Left to itself OpenGL takes the first.
    chosen = 0 if said["chosen"] is None else said["chosen"]
    for device in listed[:8]:
        cuda = "" if device["cuda"] is None else f", CUDA {device['cuda']} here"
        here = "  <- this process draws on it" if device["index"] == chosen else ""
        name = device["name"] or "without a name"
        subject = "EGL devices" if device is listed[0] else ""
        yield Finding(state="ok", subject=subject, text=f"{device['index']}: {name}{cuda}{here}")


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _renderer(name: str) -> Iterator[Finding]:
    """Try a renderer with one frame; the first finding says whether it draws."""
    extra = _RENDERERS[name]
    if extra and any(util.find_spec(module) is None for module in _EXTRAS[extra]):
        yield Finding(
            state="note", subject=name, text="not installed", remedy=_pip(extra), renders=False
        )
        return
    said = ask(name)
    if "error" in said:
        yield Finding(
            state="fault",
            subject=name,
            text=said["error"],
            remedy=_remedy(extra, said["error"]),
            renders=False,
        )
        return
    kind = "software" if said["software"] else "hardware"
    version = said["version"].partition(", OpenGL")[0]
    drawn = f"a frame in {said['seconds']:.1f} s; {kind}: {said['renderer']}, {version}"
    if name == "pathtrace":
        yield Finding(
            state="ok",
            subject=name,
            text=f"{drawn}; labels: {said['labels']}",
            remedy=_quicker(said),
            renders=True,
        )
    elif said["software"] and gpu_nodes():
        yield Finding(
            state="fault",
            subject=name,
            text=f"{drawn}, although there is {gpu_nodes()[0]}",
            remedy=_SHOW_EGL,
            renders=False,
        )
    else:
        yield Finding(state="ok", subject=name, text=drawn, renders=True)


def _remedy(extra: str, error: str) -> str:
    """Return what to do about what a child process said or did."""
    if "no OpenGL context" in error:
        return _NO_EGL
    library = re.search(r"\S+\.so[.\d]*", error)
    if library:
        return f"install the package that has {library[0]} (apt-file search {library[0]})"
    if "crashed" in error or "no answer" in error:
        return _OTHER_DRIVER
    return _pip(extra) if extra else "pip install -c constraints.txt --force-reinstall -e ."


def _quicker(said: dict[str, Any]) -> str:
    if said.get("no_cuda"):
        return f"for the GPU: {said['no_cuda']}"
    if said["renderer"].startswith("scalar"):
        return "for the quicker variant llvm: apt-get install libllvm19 (17 or newer)"
    return ""


def _extras() -> Iterator[Finding]:
    absent = {
        extra: [m for m in modules if util.find_spec(m) is None]
        for extra, modules in _EXTRAS.items()
    }
    there = ", ".join(extra for extra, missing in absent.items() if not missing) or "none"
    yield Finding(state="ok", subject="extras", text=there)
    for extra, missing in absent.items():
        # What a renderer lacks was said with the renderer.
        if missing and extra not in _RENDERERS.values():
            text = f"not installed: {', '.join(missing)}"
            yield Finding(state="note", subject=f"extra {extra}", text=f"{text}; {_pip(extra)}")


def _pip(extra: str) -> str:
    return f'pip install -c constraints.txt -e ".[{extra}]"'
