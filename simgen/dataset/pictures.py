"""Read image files that may come from anyone: the header first, the pixels when they fit."""

import io
import warnings
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from simgen.dataset.files import disk_errors
from simgen.dataset.stored import open_regular
from simgen.errors import DatasetError

_MOST_BYTES = 1 << 30
_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")


def image_size(path: Path) -> tuple[int, int]:
    """Return (height, width) from an image's header.

    Raises:
        DatasetError: See `read_image`.
    """
    return _size(path, _bytes(path))


def read_image(path: Path) -> np.ndarray:
    """Return an image as it is stored: uint8 or uint16, (H, W) or (H, W, 3) RGB.

    Raises:
        DatasetError: The file is missing, is no image, or is of a size that none of ours has.
    """
    data = _bytes(path)
    height, width = _size(path, data)
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.shape[:2] != (height, width):
        raise DatasetError(f"{path}: image cannot be decoded; render or fetch it again")
    if pixels.ndim == 2:
        return pixels
    return cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGB if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB)


def read_rgb(path: Path) -> np.ndarray:
    """Return an image as uint8, shape (H, W, 3); raises as `read_image` does."""
    pixels = read_image(path)
    if pixels.dtype != np.uint8:
        pixels = (pixels >> 8).astype(np.uint8)
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels


def _bytes(path: Path) -> bytes:
    with open_regular(path) as file, disk_errors(path):
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise DatasetError(f"{path}: over {_MOST_BYTES >> 20} MB, no image of a dataset")
    return data


def _size(path: Path, data: bytes) -> tuple[int, int]:
    # Pillow reads no pixel here, and refuses what would not fit into memory.
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
                return picture.height, picture.width
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        what = "too large" if isinstance(error, Image.DecompressionBombError) else "no image"
        raise DatasetError(f"{path}: {what}; render or fetch it again") from None
