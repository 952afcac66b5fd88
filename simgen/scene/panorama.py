"""A panorama of the user's (.hdr or .exr): read, checked, and turned to our directions.

In the file, row 0 is straight up and the whole is seen from inside: its middle column looks
along +x (azimuth 0), columns to the right of it turn clockwise seen from above, its left and
right borders look along -x. Pixels are radiance, linear, 1 being a white surface under pi.
"""

import io
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from scipy.sparse import csr_matrix

from simgen.config import suggest
from simgen.errors import AssetError
from simgen.scene.files import find_file, read_noted
from simgen.scene.spec import PanoramaSpec

# Finer ones are averaged: a camera seldom sees less than a sixth of the turn across an image.
WIDTH = 2048
LARGEST, SMALLEST = 8192, 16
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
_SIZE = re.compile(rb"\n[ \t]*([-+][XY])[ \t]+(\d+)[ \t]+([-+][XY])[ \t]+(\d+)[ \t]*\r?\n")


@dataclass(frozen=True, kw_only=True)
class Panorama:
    """Radiance from all around.

    Attributes:
        radiance: Shape (h, 2 * h, 3), float32, read-only, no wider than `WIDTH`. Row 0 is
            straight up, column 0 begins at azimuth 0, azimuths run counter-clockwise.
        irradiance: Luminous part of what arrives on a level surface that looks up.
    """

    radiance: np.ndarray
    irradiance: float


def read_panorama(file: PanoramaSpec) -> Panorama:
    """Return a panorama; while few are in use, each is read once a process.

    Raises:
        AssetError: The file is missing, has changed, is no panorama, or holds pixels that are
            no light; one line that names the file and the remedy.
    """
    extension = require_known_format(file.path)
    status = find_file(file.path).stat()
    return _read(file, extension, (status.st_mtime_ns, status.st_size))


# One weighs 25 MB at most. What the disk says of the file is there to notice another one.
@lru_cache(maxsize=4)
def _read(file: PanoramaSpec, extension: str, status: tuple[int, int]) -> Panorama:
    data = read_noted(file.path, file.sha256)
    try:
        pixels = _hdr(data) if extension == ".hdr" else _exr(data)
        _require_light(pixels)
    except AssetError as error:
        raise AssetError(f"{file.path}: {error}") from None
    width = min(pixels.shape[1], WIDTH)
    small = averaged(pixels, width // 2, width)
    # The file's columns run clockwise from -x, ours counter-clockwise from +x.
    radiance = np.ascontiguousarray(np.roll(small[:, ::-1], width // 2, axis=1))
    radiance.flags.writeable = False
    return Panorama(radiance=radiance, irradiance=_level_irradiance(radiance))


def require_known_format(path: str) -> str:
    """Return a panorama's extension in lower case.

    Raises:
        AssetError: It is none that can be read.
    """
    extension = Path(path).suffix.lower()
    if extension not in (".hdr", ".exr"):
        tail = suggest(extension, (".exr", ".hdr")) if extension else "; give it .hdr or .exr"
        raise AssetError(f"{path}: no panorama ends in {extension or 'nothing'!r}{tail}")
    return extension


def averaged(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return an equirectangular image at another size, each pixel the mean over its solid angle.

    So that no light is lost: a sun of one pixel is as bright in all as before.

    Args:
        pixels: Shape (h, w, channels), row 0 up.
        height: Rows of the result.
        width: Columns of the result.

    Returns:
        Shape (height, width, channels), float32.
    """
    h, w, channels = pixels.shape
    if (h, w) == (height, width):
        return np.asarray(pixels, np.float32)
    # Between two elevations lies solid angle in proportion to the difference of their sines.
    old, new = (np.cos(np.arange(n + 1) / n * np.pi) for n in (h, height))
    rows = _shares(-old, -new) @ pixels.reshape(h, w * channels)
    turned = np.moveaxis(rows.reshape(height, w, channels), 1, 0).reshape(w, height * channels)
    columns = _shares(np.arange(w + 1) / w, np.arange(width + 1) / width) @ turned
    result = np.moveaxis(columns.reshape(width, height, channels), 0, 1)
    return np.ascontiguousarray(result, np.float32)


def _shares(old: np.ndarray, new: np.ndarray) -> csr_matrix:
    """Return how much of each new interval is of each old one; edges rise, rows sum to 1."""
    common = np.minimum(new[1:, None], old[None, 1:]) - np.maximum(new[:-1, None], old[None, :-1])
    return csr_matrix((np.maximum(common, 0) / np.diff(new)[:, None]).astype(np.float32))


def _level_irradiance(radiance: np.ndarray) -> float:
    rows = radiance.mean(axis=1, dtype=np.float64) @ _LUMINANCE
    edges = np.maximum(np.cos(np.arange(len(rows) + 1) / len(rows) * np.pi), 0)
    # The integral of the cosine over a band of elevations, all around.
    return float(rows @ (np.pi * (edges[:-1] ** 2 - edges[1:] ** 2)))


def _hdr(data: bytes) -> np.ndarray:
    found = _SIZE.search(data[:65536])
    if not data.startswith(b"#?") or found is None:
        raise AssetError("is no Radiance picture; save it as .hdr again")
    if (found[1], found[3]) != (b"-Y", b"+X"):
        raise AssetError("its rows do not run from the top left; save it as .hdr again")
    if b"32-bit_rle_xyze" in data[: found.start()]:
        raise AssetError("holds XYZ colours; save it with RGB ones")
    _require_size(int(found[4]), int(found[2]))
    # OpenCV would print its own view of a broken file.
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    finally:
        cv2.utils.logging.setLogLevel(level)
    if pixels is None or pixels.ndim != 3:
        raise AssetError("is damaged or cut short; copy or save it again")
    return np.ascontiguousarray(pixels[..., ::-1], np.float32)


def _exr(data: bytes) -> np.ndarray:
    try:
        import OpenEXR
    except ImportError:
        raise AssetError(
            'reading .exr needs the extra exr: pip install "simgen[exr]"; or save it as .hdr'
        ) from None
    if not data.startswith(b"\x76\x2f\x31\x01"):
        raise AssetError("is no OpenEXR picture; save it as .exr again")
    try:
        header = OpenEXR.File(io.BytesIO(data), header_only=True, num_threads=0).header()
        (left, top), (right, bottom) = (np.asarray(c, np.int64) for c in header["dataWindow"])
        same = np.array_equal(header["dataWindow"], header["displayWindow"])
        names = {channel.name for channel in header["channels"]}
    except Exception as error:  # The library raises whatever it stumbles over.
        raise _unreadable(error) from None
    if not same:
        raise AssetError("is a cut-out of a larger picture; save the whole picture")
    _require_size(int(right - left + 1), int(bottom - top + 1))
    wanted = ("R", "G", "B") if names >= {"R", "G", "B"} else ("Y", "Y", "Y")
    if not names.issuperset(wanted) or names & {"RY", "BY"}:
        shown = ", ".join(sorted(names))[:60]
        raise AssetError(f"has no channels R, G and B (it has {shown}); save it as RGB")
    try:
        file = OpenEXR.File(io.BytesIO(data), separate_channels=True, num_threads=0)
        held = file.channels()
        return np.stack([held[name].pixels.astype(np.float32) for name in wanted], axis=-1)
    except Exception as error:
        raise _unreadable(error) from None


def _unreadable(error: Exception) -> AssetError:
    reason = (str(error).splitlines() or [""])[0][:120]
    return AssetError(f"is damaged or cut short ({reason}); copy or save it again")


def _require_size(width: int, height: int) -> None:
    if width != 2 * height:
        raise AssetError(
            f"is {width} x {height}; a panorama of all directions is twice as wide as high,"
            " save it equirectangular"
        )
    if not SMALLEST <= width <= LARGEST:
        raise AssetError(f"is {width} x {height}; scale it to a width from {SMALLEST} to {LARGEST}")


def _require_light(pixels: np.ndarray) -> None:
    for wrong, what in ((~np.isfinite(pixels), "no numbers"), (pixels < 0, "negative")):
        bad = wrong.any(axis=-1)
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise AssetError(
                f"{int(bad.sum())} of its pixels are {what}, the first at column {column},"
                f" row {row}; repaint them and save it again"
            )
    if not pixels.any():
        raise AssetError("is black; save it with its light")
