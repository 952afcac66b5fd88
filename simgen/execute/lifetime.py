"""Worker processes that end with their driver, however it ends."""

import ctypes
import os
import signal
import threading
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait

_DEATH_SIGNAL = 1


def die_with_driver() -> None:
    """Have the kernel kill this process with its driver, even inside a driver's long call."""
    try:
        libc = ctypes.CDLL(None)
        libc.prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    except (OSError, AttributeError):
        return


def exit_with_driver(*stop: Connection) -> None:
    """End this process as soon as its driver is gone, or closes its end of a connection.

    Returns at once; a thread waits.
    """
    threading.Thread(target=_wait_and_exit, args=(stop,), daemon=True).start()


def _wait_and_exit(stop: tuple[Connection, ...]) -> None:
    parent = parent_process()
    wait([*stop, *([] if parent is None else [parent.sentinel])])
    os._exit(1)
