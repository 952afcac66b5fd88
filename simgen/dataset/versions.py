"""What a dataset was made with: the versions that byte-identical images depend on."""

import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import simgen
from simgen.config import scene_file
from simgen.dataset.files import sha256_of

_PACKAGES = (
    *("numpy", "scipy", "pybullet", "moderngl", "trimesh", "manifold3d", "xatlas", "cascadio"),
    *("pillow", "pycocotools", "mitsuba", "drjit"),
)
_CPU_FEATURES = ("sse4_2", "avx", "avx2", "fma", "avx512f", "asimd", "sve")


def versions(scene_name: str) -> dict[str, Any]:
    """Return versions of simgen and libraries, the scene file's hash and the CPU's features."""
    import cv2

    found: dict[str, Any] = {"simgen": simgen.__version__, "python": platform.python_version()}
    found["opencv"] = cv2.__version__
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    scene = scene_file(scene_name)
    if scene is not None:
        found["scene_sha256"] = sha256_of(scene)
    return {**found, "machine": platform.machine(), "cpu_features": _cpu_features()}


def _cpu_features() -> list[str]:
    # Libraries choose their code by these, and the last bits of a float with it.
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []
    flags = next((x for x in lines if x.lower().startswith(("flags", "features"))), "")
    words = set(flags.partition(":")[2].split())
    return [name for name in _CPU_FEATURES if name in words]
