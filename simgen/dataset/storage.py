"""Where a dataset is kept: a folder, or objects behind an fsspec URL, through one seam.

All other code reads and writes a local folder. For a dataset in a folder that is
the dataset itself; for one behind a URL it is a mirror of what the driver needs.
"""

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from simgen.dataset.files import abandoned, disk_errors, new_folder, owner, sync_folder

_ATTEMPT = ".attempt"


class Storage(Protocol):
    """A place for one dataset. Names in it are relative, with forward slashes.

    Attributes:
        where: Absolute folder or URL.
        folder: Holds what was pulled and what is to be pushed; the dataset itself
            where that is a folder.
    """

    where: str

    @property
    def folder(self) -> Path: ...

    def probe(self) -> None:
        """Stop unless the place can be written and creates a name for one writer only."""

    def read(self, name: str) -> bytes | None:
        """Return what a file holds now, None if there is none."""

    def has_shard(self, name: str) -> bool:
        """Return whether a shard of this name is committed."""

    def shard_names(self) -> set[str]:
        """Return the names of all committed shards."""

    def attempt(self, name: str) -> AbstractContextManager[Path]:
        """Lend a folder on this machine for one attempt at a shard; it is gone afterwards."""

    def commit(self, attempt: Path, name: str) -> bool:
        """Publish an attempt, whose manifest.json is written; return False if another one won."""

    def pull(self, *, records: bool) -> None:
        """Bring derived files and manifests of shards, or their records too, into `folder`."""

    def fetch(self, names: Iterable[str]) -> None:
        """Bring files of shards into `folder`."""

    def push(self, names: Iterable[str] | None = None) -> None:
        """Put files at the top of `folder`, or all of them, in the place of those before."""

    def sweep(self) -> None:
        """Remove what attempts left that can no longer win."""

    def close(self) -> None:
        """Remove the mirror, if there is one."""


def is_url(where: str) -> bool:
    """Return whether a dataset's place is a URL and no path."""
    return "://" in where and not where.startswith("file://")


def open_storage(where: str | Path) -> Storage:
    """Return the storage of a dataset.

    Args:
        where: A path, made absolute, or an fsspec URL such as `s3://bucket/name`.

    Raises:
        ConfigError: The URL's kind is unknown or needs a package that is missing.
    """
    text = str(where)
    if is_url(text):
        from simgen.dataset.object_storage import ObjectStorage

        return ObjectStorage(text)
    return FolderStorage(Path(os.path.abspath(text.removeprefix("file://"))))


def local_copy(where: str | Path) -> Path:
    """Return a folder that holds the dataset `where`: itself, or a copy of what a URL holds.

    A copy is kept in `$XDG_CACHE_HOME/simgen/datasets`; the next call brings only
    what is new. Only files that committed manifests list come, each compared with its hash.

    Raises:
        ConfigError: See `open_storage`.
        DatasetError: The store cannot be read, or holds a file that is not as listed.
    """
    text = str(where)
    if is_url(text):
        from simgen.dataset.object_storage import download

        return download(text)
    return Path(text.removeprefix("file://"))


class FolderStorage:
    """A dataset in a folder of a POSIX file system; a shard is committed by a rename."""

    def __init__(self, folder: Path) -> None:
        self.where = str(folder)
        self._folder = folder

    @property
    def folder(self) -> Path:
        """The dataset itself."""
        return self._folder

    def probe(self) -> None:
        """Nothing: `prepare_dataset` tries to write, and a rename has one winner everywhere."""

    def read(self, name: str) -> bytes | None:
        """Return what a file holds now, None if there is none."""
        with disk_errors(self._folder):
            try:
                return (self._folder / name).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def has_shard(self, name: str) -> bool:
        """Return whether a shard of this name is committed."""
        shards = self._folder / "shards"
        return (shards / name).is_dir() or (shards / f"{name}.json").is_file()

    def shard_names(self) -> set[str]:
        """Return the names of all committed shards."""
        with disk_errors(self._folder):
            names = {p.name.removesuffix(".json") for p in (self._folder / "shards").iterdir()}
        return {name for name in names if name.isdigit()}

    @contextmanager
    def attempt(self, name: str) -> Iterator[Path]:
        """Lend a folder beside the shards; it is gone afterwards."""
        with lent_folder(self._folder / "shards", name) as folder:
            yield folder

    def commit(self, attempt: Path, name: str) -> bool:
        """Force an attempt to disk and rename it; return False if another one won."""
        for folder, _, _ in os.walk(attempt, topdown=False):
            sync_folder(Path(folder))
        target = self._folder / "shards" / name
        try:
            attempt.rename(target)
        except OSError as error:
            if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
                return False
            raise
        sync_folder(target.parent)
        return True

    def pull(self, *, records: bool) -> None:
        """Nothing: all is there."""

    def fetch(self, names: Iterable[str]) -> None:
        """Nothing: all is there."""

    def push(self, names: Iterable[str] | None = None) -> None:
        """Nothing: all is there."""

    def sweep(self) -> None:
        """Remove what attempts and replaced files left that can no longer win."""
        sweep_folder(self._folder)

    def close(self) -> None:
        """Nothing to remove."""


@contextmanager
def lent_folder(parent: Path, name: str) -> Iterator[Path]:
    """Make a folder that is this process's alone and remove it at the end."""
    folder = new_folder(parent, f"{_ATTEMPT}-{owner()}-{name}-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep_folder(out: Path) -> None:
    """Remove what dead processes of this machine left in a dataset, and attempts that lost.

    An attempt at a shard that is committed can only lose, whoever and wherever its owner is.
    What cannot be removed stays: no reader looks at it.
    """
    shards = out / "shards"
    for folder in shards.glob(f"{_ATTEMPT}-*"):
        maker, _, rest = folder.name.removeprefix(f"{_ATTEMPT}-").partition("-")
        if abandoned(maker) or (shards / rest.rpartition("-")[0]).is_dir():
            shutil.rmtree(folder, ignore_errors=True)
    for file in out.glob(".*-*-*"):
        if abandoned(file.name.rsplit("-", 2)[1]):
            with suppress(OSError):
                file.unlink()
