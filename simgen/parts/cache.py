"""A cache on disk for what is slow to compute and follows from a key alone."""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


def cached_arrays(kind: str, key: Any, make: Callable[[], Arrays]) -> Arrays:
    """Return `make()`, from disk if it was made before with the same key.

    A damaged or foreign file counts as none; a folder that cannot be written is no
    error. Files replace one another whole, so that several processes may share it.

    Args:
        kind: What it is; part of the file's name.
        key: What the result follows from, as JSON.
        make: Computes it; no array of objects.
    """
    text = json.dumps([kind, key], sort_keys=True, separators=(",", ":"))
    name = f"{kind}-{hashlib.sha256(text.encode()).hexdigest()}.npz"
    folder = cache_folder()
    if folder is None:
        return make()
    path = folder / name
    held = _read(path, text)
    if held is not None:
        return held
    arrays = make()
    _write(path, text, arrays)
    return arrays


def cache_folder() -> Path | None:
    """Return `$XDG_CACHE_HOME/simgen` or `~/.cache/simgen`; None for a user without a home."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "simgen" if os.path.isabs(base) else None


def _read(path: Path, text: str) -> Arrays | None:
    try:
        data = path.read_bytes()
        # Ahead of the archive stands its hash: a zip's own checksums miss a cut-off tail.
        if hashlib.sha256(data[32:]).digest() != data[:32]:
            return None
        with np.load(BytesIO(data[32:]), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        return arrays if str(arrays.pop("key")) == text else None
    except (OSError, ValueError, KeyError, EOFError):
        return None


def _write(path: Path, text: str, arrays: Arrays) -> None:
    buffer = BytesIO()
    np.savez_compressed(buffer, key=np.array(text), **arrays)  # type: ignore[arg-type]
    data = buffer.getvalue()
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem[:24]}-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(data).digest() + data)
            os.replace(name, path)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(name)
