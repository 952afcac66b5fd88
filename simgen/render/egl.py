"""Which EGL device is the GPU that a scheduler gave to this process.

Ray and Slurm hand out GPUs in CUDA_VISIBLE_DEVICES, which EGL ignores: it lists all
devices, in an order of its own. `EGL_NV_device_cuda` says which is which.
"""

import ctypes
import glob
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simgen.errors import RenderError

_CUDA_DEVICE_NV = 0x323A
_DEVICE_UUID_EXT = 0x335C
_EXTENSIONS, _RENDERER_EXT, _DRM_DEVICE_FILE_EXT = 0x3055, 0x335F, 0x3233
_LIBRARY = "libEGL.so.1"
_MOST_DEVICES = 64
_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class EglDevice:
    """A device as EGL lists it: its position, its CUDA number, UUID and name if it has them."""

    index: int
    cuda: int | None
    uuid: str = ""
    name: str = ""


def gpu_nodes() -> list[str]:
    """Return the device files by which the system shows hardware GPUs."""
    return sorted(glob.glob("/dev/nvidia[0-9]*") + glob.glob("/dev/dri/renderD*"))


def device_of_this_process() -> int | None:
    """Return the position of the EGL device to draw on, None to leave it to EGL.

    Raises:
        RenderError: EGL does not show the GPU that CUDA_VISIBLE_DEVICES names.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    # glcontext reads this one itself: the user's own choice.
    if not visible or "GLCONTEXT_DEVICE_INDEX" in os.environ:
        return None
    # Not by their numbers: to this process EGL may number only GPUs that CUDA_VISIBLE_DEVICES
    # names, and a GPU that EGL does not show must not end on another one.
    if not list_devices():
        return None
    return matching_device(visible, _unmasked_devices())


def matching_device(visible: str, devices: Sequence[EglDevice]) -> int | None:
    """Return the position of the first GPU in CUDA_VISIBLE_DEVICES among EGL's devices.

    Args:
        visible: Numbers or UUIDs (which may be cut short) with commas, as CUDA reads them.
        devices: With the CUDA numbers of a process that sees all GPUs.

    Returns:
        None if no GPU is visible, or EGL has no NVIDIA devices at all.

    Raises:
        RenderError: EGL does not show that GPU.
    """
    first = visible.split(",")[0].strip()
    on_cuda = [device for device in devices if device.cuda is not None]
    if first in ("", "-1", "NoDevFiles") or not on_cuda:
        return None
    if first.isdigit():
        found = [d.index for d in on_cuda if d.cuda == int(first)]
    else:
        wanted = first.removeprefix("GPU-").replace("-", "").lower()
        found = [d.index for d in on_cuda if wanted and d.uuid.startswith(wanted)]
    if len(found) != 1:
        shown = ", ".join(f"{d.cuda}" for d in on_cuda)
        raise RenderError(
            f"renderer: EGL does not show GPU {first} of CUDA_VISIBLE_DEVICES (it shows {shown});"
            " in a container let NVIDIA_DRIVER_CAPABILITIES include graphics, or name EGL's own"
            " number in GLCONTEXT_DEVICE_INDEX"
        )
    return found[0]


def list_devices() -> list[EglDevice]:
    """Return EGL's devices, none where EGL cannot list them.

    CUDA numbers are those of this process: CUDA_VISIBLE_DEVICES shifts them.
    """
    try:
        egl = ctypes.CDLL(_LIBRARY)
    except OSError:
        return []
    egl.eglGetProcAddress.restype = ctypes.c_void_p
    egl.eglGetProcAddress.argtypes = [ctypes.c_char_p]
    pointers = ctypes.POINTER(ctypes.c_void_p)
    integers = ctypes.POINTER(ctypes.c_int)
    query = _function(egl, b"eglQueryDevicesEXT", ctypes.c_int, pointers, integers)
    if query is None:
        return []
    handles = (ctypes.c_void_p * _MOST_DEVICES)()
    count = ctypes.c_int()
    if not query(_MOST_DEVICES, handles, ctypes.byref(count)):
        return []
    return [
        EglDevice(
            index=i,
            cuda=_cuda_number(egl, handle),
            uuid=_uuid(egl, handle),
            name=_name(egl, handle),
        )
        for i, handle in enumerate(handles[: count.value])
    ]


def _unmasked_devices() -> list[EglDevice]:
    """List devices in a process without CUDA_VISIBLE_DEVICES, where CUDA's numbers are global."""
    unmasked = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"}
    root = str(Path(__file__).resolve().parents[2])
    unmasked["PYTHONPATH"] = os.pathsep.join(p for p in (root, os.environ.get("PYTHONPATH")) if p)
    code = (
        "import json; from simgen.render.egl import list_devices;"
        "print(json.dumps([[d.index, d.cuda, d.uuid] for d in list_devices()]))"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=unmasked,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        )
        listed = json.loads(done.stdout.strip().splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        raise RenderError(
            f"renderer: EGL's devices cannot be listed ({type(error).__name__});"
            " see python -m simgen doctor"
        ) from None
    return [EglDevice(index=i, cuda=cuda, uuid=uuid) for i, cuda, uuid in listed]


def _cuda_number(egl: ctypes.CDLL, handle: int | None) -> int | None:
    attribute = ctypes.POINTER(ctypes.c_ssize_t)
    query = _function(egl, b"eglQueryDeviceAttribEXT", ctypes.c_void_p, ctypes.c_int, attribute)
    value = ctypes.c_ssize_t(-1)
    if query is None or not query(handle, _CUDA_DEVICE_NV, ctypes.byref(value)):
        return None
    return int(value.value) if value.value >= 0 else None


def _uuid(egl: ctypes.CDLL, handle: int | None) -> str:
    integers = ctypes.POINTER(ctypes.c_int)
    arguments = (ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_char_p, integers)
    query = _function(egl, b"eglQueryDeviceBinaryEXT", *arguments)
    value, size = ctypes.create_string_buffer(16), ctypes.c_int()
    if query is None or not query(handle, _DEVICE_UUID_EXT, 16, value, ctypes.byref(size)):
        return ""
    return value.raw.hex() if size.value == 16 else ""


def _name(egl: ctypes.CDLL, handle: int | None) -> str:
    query = _function(egl, b"eglQueryDeviceStringEXT", ctypes.c_void_p, ctypes.c_int)
    if query is None:
        return ""
    query.restype = ctypes.c_char_p

    def string(what: int) -> str:
        return (query(handle, what) or b"").decode(errors="replace")

    extensions = string(_EXTENSIONS).split()
    if "EGL_EXT_device_query_name" in extensions:
        return string(_RENDERER_EXT)
    if "EGL_MESA_device_software" in extensions:
        return "Mesa, software"
    return string(_DRM_DEVICE_FILE_EXT) if "EGL_EXT_device_drm" in extensions else ""


def _function(egl: ctypes.CDLL, name: bytes, *arguments: Any) -> Any:
    address = egl.eglGetProcAddress(name)
    return ctypes.CFUNCTYPE(ctypes.c_uint, *arguments)(address) if address else None
