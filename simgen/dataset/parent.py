"""The version before: which dataset a new one follows, and what has changed since."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simgen.config.render import RenderConfig
from simgen.dataset.compare import ManifestChanges, compare_manifests
from simgen.dataset.files import disk_errors
from simgen.dataset.storage import is_url, open_storage
from simgen.dataset.stored import StoredManifest, decode_json, open_regular, parse_manifest
from simgen.errors import ConfigError, DatasetError

_MANIFEST = "manifest.json"
_MOST_BYTES = 256 << 20
_REMEDY = "name a folder or URL that render has finished, or none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """A dataset that another one follows, known by the hash of its manifest."""

    manifest: StoredManifest
    manifest_sha256: str


def read_parent(config: RenderConfig) -> Parent | None:
    """Return `dataset.parent`, of which only the manifest is read; None if there is none.

    Raises:
        ConfigError: It is no finished dataset, is this dataset itself, or bears its version.
    """
    where = config.dataset.parent
    if not where:
        return None
    if _same_place(where, config.out):
        raise ConfigError(
            f"dataset.parent: {where[:200]} is this dataset's own out; write the new version"
            " to another out"
        )
    try:
        data = _manifest_bytes(where)
        parent = parse_manifest(decode_json(data), Path(where) / _MANIFEST)
    except (DatasetError, ValueError) as error:
        raise ConfigError(f"dataset.parent: {str(error)[:300]}; {_REMEDY}") from None
    named, version = config.dataset.name, config.dataset.version
    if (parent.name, parent.version) == (named, version):
        raise ConfigError(f"dataset.version: {version} is that of dataset.parent already; raise it")
    return Parent(manifest=parent, manifest_sha256=hashlib.sha256(data).hexdigest())


def changes_since(parent: Parent, manifest: dict[str, Any]) -> ManifestChanges:
    """Return what changed from a parent to the dataset of a manifest that is being written."""
    return compare_manifests(parent.manifest, parse_manifest(dict(manifest), Path(_MANIFEST)))


def _same_place(where: str, out: str) -> bool:
    if is_url(where) or is_url(out):
        return where.rstrip("/") == out.rstrip("/")
    paths = [text.removeprefix("file://") for text in (where, out)]
    return os.path.realpath(paths[0]) == os.path.realpath(paths[1])


def _manifest_bytes(where: str) -> bytes:
    if is_url(where):
        storage = open_storage(where)
        try:
            data = storage.read(_MANIFEST)
        finally:
            storage.close()
    else:
        path = Path(where.removeprefix("file://")) / _MANIFEST
        with disk_errors(path):
            exists = path.exists()
        data = None
        if exists:
            with open_regular(path) as file, disk_errors(path):
                data = file.read(_MOST_BYTES + 1)
    if data is None:
        raise DatasetError(f"{where[:200]} holds no finished dataset")
    if len(data) > _MOST_BYTES:
        raise DatasetError(f"{where[:200]}: its manifest.json is larger than any of ours")
    return data
