"""`SHA256SUMS`: the hash of every file, as `sha256sum --check` reads it."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from simgen.dataset.files import replacing, sha256_of
from simgen.dataset.shards import CommittedShard, file_hashes
from simgen.errors import DatasetError

CHECKSUMS = "SHA256SUMS"
_SHA256 = re.compile(r"[0-9a-f]{64}")


def write_checksums(out: Path, shards: Iterable[CommittedShard], others: Mapping[str, str]) -> None:
    """Write `SHA256SUMS`, holding one shard's manifest in memory at a time.

    Hashes of files in shards are those that were taken when they were written.

    Args:
        out: The dataset.
        shards: In the order of their frames.
        others: Hashes of files beside the shards, by name.

    Raises:
        DatasetError: A manifest cannot be read or the file cannot be written.
    """
    with replacing(out / CHECKSUMS) as file:
        for name, sha256 in sorted(others.items()):
            file.write(_line(name, sha256))
        for shard in shards:
            folder = shard.folder.relative_to(out).as_posix()
            for name, sha256 in sorted(file_hashes(shard).items()):
                file.write(_line(f"{folder}/{name}", sha256))
            manifest = shard.manifest_path.relative_to(out).as_posix()
            file.write(_line(manifest, sha256_of(shard.manifest_path)))


def _line(name: str, sha256: str) -> bytes:
    if not _SHA256.fullmatch(sha256):
        raise DatasetError(
            f"{name}: has no hash in its shard's manifest; remove the shard and render again"
        )
    # Names come from `require_relative`: no break or backslash, which sha256sum would escape.
    return f"{sha256}  {name}\n".encode()
