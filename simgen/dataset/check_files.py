"""Are the files of a dataset those that its manifests list, byte for byte?"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from simgen.dataset.files import sha256_of
from simgen.dataset.shards import CommittedShard, file_hashes, read_shard, shard_manifests
from simgen.dataset.stored import NO_HASH, StoredManifest, inside, read_json
from simgen.errors import DatasetError


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong: what kind of thing, and where."""

    kind: str
    where: str


def file_faults(folder: Path, manifest: StoredManifest) -> tuple[list[CommittedShard], list[Fault]]:
    """Return the shards that can be read, in the order of their frames, and what is wrong.

    Raises:
        DatasetError: The folder of the shards cannot be read.
    """
    faults: list[Fault] = []
    expected = {"config.yaml": "", "card.md": "", **manifest.files}
    for name, sha256 in {**expected, "coco.json": manifest.coco_sha256}.items():
        faults += _file_fault(folder, name, sha256, where=name)
    if "croissant.json" in manifest.files:
        faults += _croissant_faults(folder, {**manifest.files, "coco.json": manifest.coco_sha256})
    if manifest.sha256 and _own_sha256(folder / "manifest.json") != manifest.sha256:
        faults.append(Fault(kind="file differs from its hash", where="manifest.json"))
    shards = []
    listed = {shard.name: shard for shard in manifest.shards}
    unread = set()
    for path in shard_manifests(folder):
        try:
            shards.append(read_shard(path))
        except DatasetError as error:
            unread.add(path.stem if path.name != "manifest.json" else path.parent.name)
            faults.append(Fault(kind="shard is damaged", where=str(error)))
    shards.sort(key=lambda s: s.range.first)
    for name in sorted((listed.keys() ^ {s.range.name for s in shards}) - unread):
        where = "not on disk" if name in listed else "not in manifest.json"
        faults.append(Fault(kind="shard is unknown or missing", where=f"shards/{name} is {where}"))
    faults += _range_faults(shards, manifest)
    for shard in shards:
        where = f"shards/{shard.folder.name}"
        entry = listed.get(shard.range.name)
        if entry and sha256_of(shard.manifest_path) != entry.manifest_sha256:
            faults.append(Fault(kind="file differs from its hash", where=f"manifest of {where}"))
        if shard.config_sha256 != manifest.config_sha256:
            faults.append(Fault(kind="shard was made with another config", where=where))
        faults += _shard_faults(shard, where)
    return shards, faults


def _croissant_faults(folder: Path, known: dict[str, str]) -> Iterator[Fault]:
    """Yield where croissant.json gives a file another hash than the file has.

    Args:
        folder: The dataset.
        known: Hashes in the manifest, with which the files themselves were compared.
    """
    try:
        page = read_json(inside(folder, "croissant.json"))
    except DatasetError as error:
        yield Fault(kind="file cannot be read", where=str(error))
        return
    listed = page.get("distribution") if isinstance(page, dict) else None
    for entry in listed if isinstance(listed, list) else [None]:
        if not isinstance(entry, dict):
            yield Fault(kind="croissant.json is not as documented", where="distribution")
        elif entry.get("@type") == "cr:FileObject":
            name, sha256 = entry.get("contentUrl"), entry.get("sha256")
            if not isinstance(name, str) or known.get(name, "") != sha256:
                where = f"{str(name)[:80]!r}"
                yield Fault(kind="croissant.json gives a file another hash", where=where)


def _range_faults(shards: list[CommittedShard], manifest: StoredManifest) -> Iterator[Fault]:
    position = 0
    for shard in shards:
        first, stop = shard.range.first, shard.range.stop
        if first > position:
            yield Fault(kind="frames are missing", where=f"frames {position} to {first - 1}")
        if first < position:
            last = min(position, stop) - 1
            yield Fault(
                kind="frames occur twice",
                where=f"frames {first} to {last}, again in shards/{shard.folder.name}",
            )
        position = max(position, stop)
    if position < manifest.frames:
        where = f"frames {position} to {manifest.frames - 1}"
        yield Fault(kind="frames are missing", where=where)


def _shard_faults(shard: CommittedShard, where: str) -> Iterator[Fault]:
    hashes = file_hashes(shard)
    for name, expected in hashes.items():
        yield from _file_fault(shard.folder, name, expected, where=f"{where}/{name}")
    for path in sorted(shard.folder.rglob("*")):
        name = path.relative_to(shard.folder).as_posix()
        if path.is_symlink() or (not path.is_dir() and name not in (*hashes, "manifest.json")):
            kind = "link in a shard" if path.is_symlink() else "file is not in the manifest"
            yield Fault(kind=kind, where=f"{where}/{name}")


def _file_fault(folder: Path, name: str, expected: str, *, where: str) -> Iterator[Fault]:
    try:
        actual = _sha256(folder, name)
    except DatasetError as error:
        yield Fault(kind="file cannot be read", where=str(error))
        return
    if actual is None:
        yield Fault(kind="file is missing", where=where)
    elif expected and actual != expected:
        yield Fault(kind="file differs from its hash", where=where)


def _own_sha256(path: Path) -> str:
    """Return the hash of a manifest as it was before its own hash came into it."""
    data = path.read_bytes()
    head, mark, rest = data.rpartition(b'"sha256": "')
    return hashlib.sha256(head + mark + NO_HASH.encode() + rest[len(NO_HASH) :]).hexdigest()


def _sha256(folder: Path, name: str) -> str | None:
    """Return a file's hash, None if it is missing or no ordinary file."""
    path = inside(folder, name)
    try:
        return sha256_of(path) if path.is_file() and not path.is_symlink() else None
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}") from None
