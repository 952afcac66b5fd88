"""What a dataset was made with: the versions that byte-identical images depend on."""

import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import simgen

_PACKAGES = ("numpy", "scipy", "pybullet", "moderngl", "trimesh", "pillow", "pycocotools")
_CPU_FEATURES = ("sse4_2", "avx", "avx2", "fma", "avx512f", "asimd", "sve")


def versions() -> dict[str, Any]:
    """Return versions of simgen, Python and libraries, and the CPU's features."""
    import cv2

    found = {"simgen": simgen.__version__, "python": platform.python_version()}
    found["opencv"] = cv2.__version__
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
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
