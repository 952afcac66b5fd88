"""One OpenGL context a process, over EGL, and what kind of machine it found."""

import os
from dataclasses import dataclass

import moderngl

from simgen.errors import RenderError
from simgen.render.egl import device_of_this_process, gpu_nodes

_SOFTWARE = ("llvmpipe", "softpipe", "swrast", "software rasterizer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """Strings of the GL driver, and whether it draws in software."""

    vendor: str
    renderer: str
    version: str
    software: bool


class NoContextError(RenderError):
    """EGL or its driver is missing: OpenGL cannot draw here at all."""


def open_context() -> moderngl.Context:
    """Return a standalone EGL context, on the GPU that CUDA_VISIBLE_DEVICES names first.

    Raises:
        NoContextError: EGL or its driver is missing.
        RenderError: EGL does not show that GPU.
    """
    # Read by llvmpipe when the context is made: one process a core beats many threads.
    os.environ.setdefault("LP_NUM_THREADS", "1")
    device = device_of_this_process()
    try:
        context = moderngl.create_context(
            standalone=True,
            backend="egl",
            libgl="libOpenGL.so.0",
            libegl="libEGL.so.1",
            **({} if device is None else {"device_index": device}),
        )
    except Exception as error:
        raise NoContextError(
            f"renderer: no OpenGL context over EGL ({error}); "
            "run scripts/setup_system.sh, then python -m simgen doctor"
        ) from None
    # Everything is released by hand: collected objects would be deleted from whichever
    # context is current by then.
    context.gc_mode = None
    return context


def describe(context: moderngl.Context) -> Device:
    """Return the driver's strings."""
    info = context.info
    renderer = str(info["GL_RENDERER"])
    return Device(
        vendor=str(info["GL_VENDOR"]),
        renderer=renderer,
        version=str(info["GL_VERSION"]),
        software=any(name in renderer.lower() for name in _SOFTWARE),
    )


def machine_has_gpu() -> bool:
    """Return whether the system shows a hardware GPU that this process might have used."""
    return bool(gpu_nodes())


def require_hardware(device: Device, *, allow_software: bool) -> None:
    """Stop when a machine that has a GPU would draw in software unnoticed.

    Raises:
        RenderError: That is so, and it was not asked for.
    """
    if device.software and machine_has_gpu() and not allow_software:
        raise RenderError(
            f"renderer.allow_software: this machine has a GPU, but OpenGL draws in software "
            f"({device.renderer}); set it to true to go on, or see python -m simgen doctor"
        )
