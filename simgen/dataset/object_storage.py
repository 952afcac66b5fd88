"""A dataset behind an fsspec URL: immutable objects, and one create-only put for each shard.

    URL/shards/00003.json                        the shard's manifest: the commit
    URL/shards/00003-1f2e3d4c5b6a7988/images/... its files, under a hash of them all
    URL/manifest.json, coco.json, ...            derived, replaced as a whole

Everything is written on this machine first: an exception inside a remote file's
`with` block would publish half of it.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import util
from pathlib import Path, PurePosixPath
from typing import Any

from simgen.dataset.files import abandoned, new_folder, owner, replacing
from simgen.dataset.storage import lent_folder, sweep_folder
from simgen.errors import ConfigError, DatasetError

_PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}
# What a fault of ours looks like; anything else that a store's client raises is the store's.
_OURS = (AssertionError, AttributeError, NameError, TypeError)
_RECORDS = ("/frames.jsonl", "/annotations.jsonl")
_AT_ONCE = 32
_PROBE = ".probe-"


class ObjectStorage:
    """A dataset behind a URL. The mirror is made when `folder` is first asked for."""

    def __init__(self, url: str, mirror: Path | None = None) -> None:
        self.where = url.rstrip("/")
        self._fs, self._root = _open(self.where)
        self._mirror = mirror
        self._owns_mirror = mirror is None

    @property
    def folder(self) -> Path:
        """The mirror, on this machine."""
        if self._mirror is None:
            self._mirror = new_folder(_scratch(), f".attempt-{owner()}-mirror-")
        return self._mirror

    def close(self) -> None:
        """Remove the mirror."""
        if self._mirror is not None and self._owns_mirror:
            shutil.rmtree(self._mirror, ignore_errors=True)
            self._mirror = None

    def probe(self) -> None:
        """Write, create and delete one object.

        Raises:
            DatasetError: The store refuses, lets two writers create one name, or
                holds something else under this URL.
        """
        other = [n for n in self._names("") if n != "shards"]
        if other and "config.yaml" not in other:
            raise DatasetError(
                f"out: {self.where} holds {other[0]!r} and is no dataset; choose another URL"
            )
        name = self._key(f"shards/{_PROBE}{owner()}")
        with _errors(self.where):
            try:
                self._create(name, b"1")
                second = self._create(name, b"2")
            finally:
                if self._fs.exists(name):
                    self._fs.rm_file(name)
        if second or _only_pretends(self._fs):
            raise DatasetError(
                f"out: {self.where} cannot create a name for one writer only (conditional put), so"
                " that two attempts could both commit; choose a store that can, or a folder"
            )

    def read(self, name: str) -> bytes | None:
        """Return what an object holds now, None if there is none."""
        with _errors(self.where):
            try:
                return bytes(self._fs.cat_file(self._key(name)))
            except FileNotFoundError:
                return None

    def has_shard(self, name: str) -> bool:
        """Return whether a shard of this name is committed."""
        with _errors(self.where):
            return bool(self._fs.exists(self._key(f"shards/{name}.json")))

    def shard_names(self) -> set[str]:
        """Return the names of all committed shards."""
        names = (n.removesuffix(".json") for n in self._names("shards") if n.endswith(".json"))
        return {name for name in names if name.isdigit()}

    @contextmanager
    def attempt(self, name: str) -> Iterator[Path]:
        """Lend a folder in this machine's temporary folder; it is gone afterwards."""
        with lent_folder(_scratch(), name) as folder:
            yield folder

    def commit(self, attempt: Path, name: str) -> bool:
        """Put an attempt's files, then its manifest unless there is one already."""
        manifest = json.loads((attempt / "manifest.json").read_text())
        files = manifest["files"]
        manifest["folder"] = _folder_name(name, files)
        text = (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode()
        target = f"shards/{manifest['folder']}"
        with _errors(self.where):
            self._put({attempt / file: f"{target}/{file}" for file in files})
            if self._create(self._key(f"shards/{name}.json"), text):
                return True
        # A retry of our own put may have found what its first try left: same bytes, we won.
        kept = self.read(f"shards/{name}.json") or b""
        if kept == text:
            return True
        if json.loads(kept or b"{}").get("folder") != manifest["folder"]:
            with _errors(self.where):
                self._fs.rm(self._key(target), recursive=True)
        return False

    def pull(self, *, records: bool) -> None:
        """Bring the config, the manifests and, on request, the records of all shards."""
        names = [n for n in ("config.yaml", "manifest.json") if not self._bring(n)]
        for name in names:
            (self.folder / name).unlink(missing_ok=True)
        (self.folder / "shards").mkdir(exist_ok=True)
        shards = sorted(self.shard_names())
        self._get({f"shards/{name}.json": None for name in shards})
        if records:
            self._get({n: h for n, h in self._listed(shards) if n.endswith(_RECORDS)})

    def pull_all(self) -> None:
        """Bring every file of every shard and everything derived, each compared with its hash."""
        # The shard of a name may have been removed and rendered again since the last time.
        for path in (self.folder / "shards").glob("*.json"):
            path.unlink()
        self.pull(records=False)
        for name in (n for n in self._names("") if n != "shards" and not n.startswith(".")):
            self._bring(name)
        kept = set()
        for name in sorted(self.shard_names()):
            files = dict(self._listed([name]))
            self._get(files)
            kept |= {PurePosixPath(file).parts[1] for file in files}
        for folder in (p for p in (self.folder / "shards").iterdir() if p.is_dir()):
            if folder.name not in kept:
                shutil.rmtree(folder)

    def fetch(self, names: Iterable[str]) -> None:
        """Bring files of shards that are not in the mirror yet."""
        wanted = set(names)
        shards = sorted({PurePosixPath(name).parts[1].partition("-")[0] for name in wanted})
        self._get({n: h for n, h in self._listed(shards) if n in wanted})

    def push(self, names: Iterable[str] | None = None) -> None:
        """Put files at the top of the mirror; of all of them manifest.json comes last."""
        if names is None:
            files = sorted(p.name for p in self.folder.iterdir() if p.is_file())
            names = sorted(files, key=lambda n: n == "manifest.json")
        with _errors(self.where):
            for name in names:
                self._put({self.folder / name: name})

    def sweep(self) -> None:
        """Remove objects of attempts that lost, and what dead processes left on this machine."""
        sweep_folder(_scratch().parent)
        names = self._names("shards")
        for probe in (n for n in names if n.startswith(_PROBE)):
            if abandoned(probe.removeprefix(_PROBE)):
                with _errors(self.where):
                    self._fs.rm_file(self._key(f"shards/{probe}"))
        folders: dict[str, list[str]] = {}
        for folder in (n for n in names if n[:1].isdigit() and "-" in n):
            folders.setdefault(folder.partition("-")[0], []).append(folder)
        for name in self.shard_names() & {n for n, found in folders.items() if len(found) > 1}:
            kept = json.loads(self.read(f"shards/{name}.json") or b"{}").get("folder")
            for folder in (f for f in folders[name] if kept and f != kept):
                with _errors(self.where):
                    self._fs.rm(self._key(f"shards/{folder}"), recursive=True)

    def _key(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _names(self, folder: str) -> list[str]:
        with _errors(self.where):
            try:
                found = self._fs.ls(self._key(folder), detail=False)
            except FileNotFoundError:
                return []
        names = {PurePosixPath(str(path)).name for path in found}
        return sorted(n for n in names if n and n != PurePosixPath(self._key(folder)).name)

    def _create(self, key: str, data: bytes) -> bool:
        try:
            self._fs.pipe_file(key, data, mode="create")
        except FileExistsError:
            return False
        return True

    def _put(self, files: dict[Path, str]) -> None:
        if files:
            keys = [self._key(name) for name in files.values()]
            self._fs.put([str(path) for path in files], keys)

    def _bring(self, name: str) -> bool:
        data = self.read(name)
        if data is not None:
            with replacing(self.folder / _safe(name)) as file:
                file.write(data)
        return data is not None

    def _listed(self, shards: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Yield name and hash of every file of these shards, whose manifests are here."""
        for name in shards:
            manifest = _manifest(self.folder / "shards" / f"{name}.json")
            for file, sha256 in manifest["files"].items():
                yield f"shards/{manifest['folder']}/{file}", sha256

    def _get(self, files: Mapping[str, str | None]) -> None:
        """Bring files by name that are not here yet, compared with their hash if it is known.

        Objects of shards never change, so that what is here once stays.
        """
        wanted = [name for name in files if not (self.folder / _safe(name)).is_file()]
        for start in range(0, len(wanted), _AT_ONCE):
            batch = {self._key(name): name for name in wanted[start : start + _AT_ONCE]}
            with _errors(self.where):
                found = self._fs.cat(list(batch))
            for key, data in found.items():
                name = batch[key]
                if files[name] not in (None, hashlib.sha256(data).hexdigest()):
                    shard = PurePosixPath(name).parts[1].partition("-")[0]
                    raise DatasetError(
                        f"{self.where}/{name}: differs from its hash;"
                        f" remove {self.where}/shards/{shard}.json and render again"
                    )
                path = self.folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with replacing(path) as file:
                    file.write(data)


def download(url: str) -> Path:
    """Return a folder with everything that the dataset behind `url` holds."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "simgen/datasets" / hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    storage = ObjectStorage(url, folder)
    storage.pull_all()
    if not (folder / "manifest.json").is_file():
        raise DatasetError(f"{url}: holds no finished dataset; render it first")
    return folder


def _open(url: str) -> tuple[Any, str]:
    scheme = url.partition("://")[0].partition("::")[0]
    package = _PACKAGES.get(scheme)
    if util.find_spec("fsspec") is None or (package and util.find_spec(package) is None):
        raise ConfigError(
            f'{url}: needs {package or "fsspec"}; pip install "simgen[cluster]"'
            + (f" {package}" if package not in (None, "s3fs") else "")
        )
    import fsspec
    from fsspec.config import conf

    options: dict[str, Any] = {"use_listings_cache": False}
    if scheme == "s3" and "config_kwargs" not in conf.get("s3", {}):
        # botocore's retries multiply with those of s3fs: its defaults are half an hour of silence.
        options["config_kwargs"] = {
            "connect_timeout": 10,
            "read_timeout": 30,
            "retries": {"max_attempts": 2},
        }
    try:
        with _errors(url):
            fs, root = fsspec.core.url_to_fs(url, **options)
    except DatasetError as error:
        raise ConfigError(str(error)) from None
    return fs, str(root).rstrip("/")


def _only_pretends(fs: Any) -> bool:
    """Whether a file system asks if a name exists and writes it then, as fsspec's base does."""
    from fsspec.asyn import AsyncFileSystem
    from fsspec.spec import AbstractFileSystem

    if isinstance(fs, AsyncFileSystem):
        return type(fs)._pipe_file is AsyncFileSystem._pipe_file
    return type(fs).pipe_file is AbstractFileSystem.pipe_file


@contextmanager
def _errors(where: str) -> Iterator[None]:
    """Turn whatever a store's client raises into a DatasetError of one line."""
    try:
        yield
    except (DatasetError, ConfigError, *_OURS):
        raise
    except FileExistsError:
        raise
    except Exception as error:
        lines = str(error).strip().splitlines()
        reason = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
        raise DatasetError(
            f"{where}: the store answered {reason}; remedy it and run the command again,"
            " it goes on where it stopped"
        ) from error


def _manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text())
        folder, files = manifest["folder"], manifest["files"]
        if folder != _folder_name(path.stem, files):
            raise ValueError("its folder's name is not the hash of its files")
        for name in files:
            _safe(name)
        return {"folder": folder, "files": files}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(
            f"{path.name}: damaged shard manifest ({error}); remove it and render again"
        ) from None


def _folder_name(name: str, files: dict[str, str]) -> str:
    text = json.dumps(files, sort_keys=True, separators=(",", ":"))
    return f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _safe(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or not path.parts or ".." in path.parts or "\\" in name:
        raise DatasetError(f"{name!r}: a file name that leads out of its dataset; do not use it")
    return name


def _scratch() -> Path:
    """Return this user's folder for what is on its way to a store."""
    folder = Path(tempfile.gettempdir()) / f"simgen-{os.getuid()}" / "shards"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise DatasetError(f"{folder}: belongs to another user; set TMPDIR to a folder of yours")
    return folder
