"""Files of the user's that a scene names: where they are, and whether they are still the same."""

import hashlib
from pathlib import Path

from simgen.config import data_folder
from simgen.errors import AssetError


def find_file(path: str) -> Path:
    """Return where a file is: as written, else (`assets/...`) among what we ship.

    Raises:
        AssetError: There is no such file.
    """
    found = Path(path).expanduser()
    if not found.exists() and Path(path).parts[:1] == ("assets",):
        found = data_folder("assets").joinpath(*Path(path).parts[1:])
    if not found.is_file():
        what = "is a folder" if found.is_dir() else "no such file"
        raise AssetError(f"{path}: {what} (looked from {Path.cwd()}); correct the path")
    return found


def read_bytes(path: str) -> tuple[bytes, str]:
    """Return what a file holds and its hex SHA-256.

    Raises:
        AssetError: It is missing or may not be read.
    """
    try:
        data = find_file(path).read_bytes()
    except OSError as error:
        raise AssetError(f"{path}: cannot be read ({error.strerror}); check its access") from None
    return data, hashlib.sha256(data).hexdigest()


def read_noted(path: str, sha256: str) -> bytes:
    """Return what a file holds.

    Raises:
        AssetError: The file is missing, or has changed since its SHA-256 was noted.
    """
    data, found = read_bytes(path)
    if found != sha256:
        raise AssetError(
            f"{path}: has changed (SHA-256 {found[:12]}..., was {sha256[:12]}...);"
            " put the old file back, or render to another out"
        )
    return data
