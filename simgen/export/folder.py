"""The folder that an export becomes: written beside its place, put there as a whole."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from simgen.dataset.files import abandoned, new_folder, owner, sync_folder
from simgen.errors import ConfigError, DatasetError
from simgen.export.source import ExportFrame

Images = Literal["copy", "link", "none"]


@contextmanager
def publishing(out: Path) -> Iterator[Path]:
    """Lend a folder beside `out` that becomes `out` when the block ends without an error.

    Raises:
        ConfigError: `out` is there already and not an empty folder.
        DatasetError: The disk is full or cannot be written; nothing stands in `out` then.
    """
    out = Path(os.path.abspath(out))
    with _write_errors(out):
        _require_free(out)
        out.parent.mkdir(parents=True, exist_ok=True)
        _sweep(out)
        folder = new_folder(out.parent, f".{out.name}-{owner()}-")
        try:
            yield folder
            _sync(folder)
            _require_free(out)
            folder.rename(out)
            sync_folder(out.parent)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def put_image(frame: ExportFrame, target: Path, how: Images) -> None:
    """Put a frame's image into an export, after comparing it with its hash.

    Args:
        frame: The frame.
        target: Where it goes.
        how: `copy`, or `link`: a second name of the same file, never a symbolic link.

    Raises:
        DatasetError: The image is damaged.
        ConfigError: The file system cannot link it there.
    """
    if how == "copy":
        target.write_bytes(frame.picture.read())
    elif how == "link":
        frame.picture.verify()
        try:
            os.link(frame.picture.path, target, follow_symlinks=False)
        except OSError as error:
            raise ConfigError(
                f"images: {target.name} cannot be linked there ({error.strerror}); choose an out"
                " on the dataset's file system, or images=copy"
            ) from None


def _require_free(out: Path) -> None:
    empty = out.is_dir() and not out.is_symlink() and not any(out.iterdir())
    if (out.exists() or out.is_symlink()) and not empty:
        raise ConfigError(f"out: {out} is there already; remove it, or choose another")


def _sweep(out: Path) -> None:
    """Remove what exports to the same place left that were killed on this machine."""
    start = f".{out.name}-"
    for folder in out.parent.iterdir():
        maker = folder.name.removeprefix(start).rpartition("-")[0]
        if folder.name.startswith(start) and abandoned(maker) and not folder.is_symlink():
            shutil.rmtree(folder, ignore_errors=True)


def _sync(folder: Path) -> None:
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            handle = os.open(os.path.join(place, name), os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        sync_folder(Path(place))


@contextmanager
def _write_errors(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DatasetError(
            f"{error.filename or out}: {error.strerror or error}; nothing was put into {out};"
            " remedy it, or choose another out, and run the command again"
        ) from error
