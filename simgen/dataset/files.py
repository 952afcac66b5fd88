"""Durable files: whole or not there at all, and disk faults as one readable line."""

import hashlib
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from simgen.errors import DatasetError


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that takes the place of `path` only when the block ends without an error.

    Raises:
        DatasetError: The disk is full or the folder cannot be written.
    """
    with disk_errors(path):
        handle, name = tempfile.mkstemp(prefix=f".{path.name}-{owner()}-", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
            sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def write_durable(path: Path, data: bytes) -> str:
    """Write `data` to `path`, force it to disk and return its hex SHA-256."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return hashlib.sha256(data).hexdigest()


def sync_folder(folder: Path) -> None:
    """Force the folder's entries (new and renamed files) to disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """Return the hex SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into a DatasetError that names the file and the remedy."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise DatasetError(
            f"{error.filename or path}: {reason}; remedy it and run the command again,"
            " it goes on where it stopped"
        ) from error


def new_folder(parent: Path, prefix: str) -> Path:
    """Make a folder with a name of its own in `parent`, with the permissions of any other."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    folder.chmod(0o777 & ~_umask())
    return folder


def owner() -> str:
    """Return what names this process in the names of its unfinished files."""
    return f"{_host()}_{os.getpid()}"


def abandoned(name: str) -> bool:
    """Return whether the process of `owner` name `name` ran here and writes no more."""
    host, _, pid = name.rpartition("_")
    return host == _host() and pid.isdigit() and not _alive(int(pid))


def _host() -> str:
    # Containers may share a host's name while each counts its processes for itself.
    try:
        space = os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        space = "0"
    return f"{socket.gethostname().replace('-', '_').replace('/', '_')}_{space}"


def _alive(pid: int) -> bool:
    """Whether a process may still write; one that is dead but not reaped may not."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state not in ("Z", "X")
    except FileNotFoundError:
        # Gone between the two calls, or a system without /proc.
        return not Path("/proc/self/stat").exists()
    except ProcessLookupError:
        return False
    except PermissionError:
        return True


def _umask() -> int:
    # The mask can only be read by setting it; the files are private until chmod.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
