"""Run a command; when standard input ends, end the command and all processes that came of it.

Orphans of the command, however they detached, become children of this process, so that it
finds them all, and no others. Its standard input also ends when whoever holds it is killed.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

_CHILD_SUBREAPER = 36


def main() -> None:
    """Run until standard input ends, then clean up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if ctypes.CDLL(None, use_errno=True).prctl(_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    command = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    sys.stdin.buffer.read()
    command.terminate()
    try:
        command.wait(timeout=3)
    except subprocess.TimeoutExpired:
        pass
    while found := descendants(os.getpid()):
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        while reaped():
            continue
        time.sleep(0.02)


def descendants(root: int) -> list[int]:
    """Return all processes that came of one, those that are dead but not reaped included."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(parent, []).append(int(folder.name))
    found, left = [], [root]
    while left:
        new = children.get(left.pop(), [])
        found += new
        left += new
    return found


def reaped() -> bool:
    """Take note of one dead child, if there is one."""
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


if __name__ == "__main__":
    main()
