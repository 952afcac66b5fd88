"""Which files some code touches: Python's own audit events, for datasets from anyone."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_EVENTS = (
    "open", "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink",
    "os.chmod", "os.truncate", "shutil.rmtree", "subprocess.Popen", "os.system", "os.exec",
)  # fmt: skip
_seen: list[tuple[str, str]] | None = None
_installed = False


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _seen is not None and (event in _EVENTS or event.startswith("pickle")):
        for argument in arguments[:2]:
            if isinstance(argument, (str, bytes, Path)):
                text = argument.decode() if isinstance(argument, bytes) else str(argument)
                _seen.append((event, text))


@contextmanager
def watched() -> Iterator[list[tuple[str, str]]]:
    """Yield the list of (event, path) that grows while the block runs."""
    global _seen, _installed
    if not _installed:
        # A hook stays for the life of the process; it is idle outside the block.
        sys.addaudithook(_hook)
        _installed = True
    _seen = []
    try:
        yield _seen
    finally:
        _seen = None
