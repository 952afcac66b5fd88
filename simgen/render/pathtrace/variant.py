"""Which of Mitsuba's variants draws on this machine: CUDA, LLVM or scalar.

Asked in a child process with a real picture: with a libLLVM that it does not like Mitsuba
ends the process, and so may a broken GPU driver.
"""

import glob
import os
import re
import signal
import subprocess
import sys
from functools import lru_cache
from typing import Any

from simgen.errors import RenderError

_VARIANTS = {"cuda": "cuda_ad_rgb", "llvm": "llvm_ad_rgb", "scalar": "scalar_rgb"}
_SECONDS = 180
_LIBLLVM = "DRJIT_LIBLLVM_PATH"
_LIBRARIES = (
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/local/lib",
)
_PROBE = """
import sys
import mitsuba
mitsuba.set_variant(sys.argv[1])
import drjit, numpy
scene = mitsuba.load_dict({"type": "scene", "integrator": {"type": "path", "max_depth": 2},
    "light": {"type": "constant"}, "ball": {"type": "sphere"}, "sensor": {"type": "perspective",
    "to_world": mitsuba.ScalarTransform4f().look_at([0, 0, 4], [0, 0, 0], [0, 1, 0]),
    "film": {"type": "hdrfilm", "width": 8, "height": 8, "rfilter": {"type": "box"}}}})
image = numpy.array(mitsuba.render(scene, spp=4, seed=1))
assert 0.2 < image[4, 4, 0] < 0.8, image[4, 4]
"""


def choose_variant(wanted: str) -> str:
    """Return the name of the variant to draw with.

    Args:
        wanted: "cuda", "llvm", "scalar", or "auto" for the first of them that draws.

    Raises:
        RenderError: Mitsuba is not installed, or the variant does not draw here.
    """
    require_mitsuba()
    names = list(_VARIANTS) if wanted == "auto" else [wanted]
    problems = []
    for name in names:
        libllvm = _libllvm() if name == "llvm" else ""
        problem = _problem(_VARIANTS[name], libllvm)
        if not problem:
            if libllvm:
                # Read when the first kernel is made.
                os.environ[_LIBLLVM] = libllvm
            return _VARIANTS[name]
        problems.append(f"{name}: {problem}")
    remedy = "try renderer.pathtrace.variant=auto" if wanted != "auto" else "reinstall mitsuba"
    raise RenderError(
        f"renderer.pathtrace.variant: Mitsuba cannot draw ({'; '.join(problems)}); {remedy}"
    )


def require_mitsuba() -> None:
    """Check that Mitsuba is installed.

    Raises:
        RenderError: It is not.
    """
    try:
        import mitsuba  # noqa: F401
    except ImportError as error:
        raise RenderError(
            f"renderer=pathtrace needs Mitsuba ({error});"
            " pip install -c constraints.txt -e '.[photoreal]'"
        ) from None


def mitsuba_as(variant: str, threads: int) -> Any:
    """Return the module `mitsuba`, set to a variant that has been probed.

    Args:
        threads: That one process draws with; 0 for one a core.
    """
    import drjit
    import mitsuba

    if mitsuba.variant() != variant:
        mitsuba.set_variant(variant)
    mitsuba.set_log_level(mitsuba.LogLevel.Error)
    drjit.set_thread_count(threads or len(os.sched_getaffinity(0)))
    return mitsuba


@lru_cache(maxsize=16)
def _problem(variant: str, libllvm: str) -> str:
    """Return why a variant does not draw, empty if it does; `libllvm` is what it depends on."""
    env = {**os.environ, _LIBLLVM: libllvm} if libllvm else dict(os.environ)
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE, variant],
            env=env,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"no picture within {_SECONDS} s"
    if done.returncode < 0:
        # Mitsuba's dying words are the source of a kernel.
        return f"Mitsuba crashed ({signal.Signals(-done.returncode).name})"
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        return lines[-1][:160] if lines else f"exit code {done.returncode}"
    return ""


def _libllvm() -> str:
    """Return the libLLVM that the user named, else the newest one, empty if there is none."""
    named = os.environ.get(_LIBLLVM, "")
    found = [p for d in _LIBRARIES for p in glob.glob(f"{d}/libLLVM*.so.[0-9]*")]
    newest = max(((_major(p), p) for p in found), default=(0, ""))
    return named or newest[1]


def _major(path: str) -> int:
    numbers = re.findall(r"\d+", os.path.basename(path))
    return int(numbers[0]) if numbers else 0
