"""One process at a time in a run's folder, on any file system that locks."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOOK_S = 1.0


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a folder's lock, waiting for whoever has it; it ends with its process.

    Where files cannot be locked nothing is held: two processes then do the same work twice, with
    the same result.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    with (folder / ".lock").open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_LOOK_S)
            except OSError:
                break
            else:
                break
        yield
