"""Import pyrender 0.1.45 as it must be: for EGL, without a display, on numpy 2."""

import ctypes
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import util
from typing import Any

import numpy as np

from simgen.errors import RenderError

# PyOpenGL and pyglet, which pyrender's viewer imports, read these once, when they load.
_WHILE_LOADING = {"PYOPENGL_PLATFORM": "egl", "PYGLET_HEADLESS": "1"}


class _Numpy1:
    """numpy as one module of pyrender's expects it; nobody else's numpy is touched."""

    infty = np.inf

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


def require_pyrender() -> None:
    """Check that pyrender is installed.

    Raises:
        RenderError: It is not.
    """
    if util.find_spec("pyrender") is None:
        raise RenderError(
            "renderer=pyrender needs pyrender; pip install -c constraints.txt -e '.[pyrender]'"
        )


@lru_cache(maxsize=1)
def load_pyrender() -> Any:
    """Return the module `pyrender`, ready to draw in a context over EGL.

    Raises:
        RenderError: It or libGL is not installed, it does not load, or something else in this
            process has loaded PyOpenGL for another platform.
    """
    require_pyrender()
    try:
        # PyOpenGL does without silently, and fails somewhere else.
        ctypes.CDLL("libGL.so.1")
    except OSError:
        raise RenderError(
            "renderer=pyrender: PyOpenGL needs libGL.so.1; apt-get install libgl1"
        ) from None
    try:
        with _variables(_WHILE_LOADING), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import OpenGL.platform
            import pyrender
    except ImportError as error:
        raise RenderError(
            f"renderer=pyrender: pyrender does not load ({error}); see python -m simgen doctor"
        ) from None
    platform = type(OpenGL.platform.PLATFORM).__name__
    if platform != "EGLPlatform":
        raise RenderError(
            f"renderer=pyrender: PyOpenGL was loaded for {platform} before, and draws over EGL"
            " only if PYOPENGL_PLATFORM=egl is set when it loads: set it for the whole process"
        )
    if not hasattr(np, "infty"):
        sys.modules["pyrender.mesh"].np = _Numpy1()  # type: ignore[attr-defined]
    return pyrender


@contextmanager
def _variables(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
