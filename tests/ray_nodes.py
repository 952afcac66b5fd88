"""Ray nodes on this machine, each a tree of processes that a test may kill or freeze."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from reaper import descendants

TESTS = Path(__file__).parent


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Node:
    """One `ray start`."""

    def __init__(self, arguments, folder, name, cpus):
        self._log = (folder / f"node-{name}.log").open("wb")
        environment = {
            **os.environ,
            "PYTHONPATH": f"{TESTS.parent}:{TESTS}",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_DISABLE_IMPORT_WARNING": "1",
        }
        ray = Path(sys.executable).parent / "ray"
        command = [ray, "start", "--block", f"--num-cpus={cpus}", *arguments]
        command += ["--object-store-memory=80000000", "--disable-usage-stats"]
        # All of a node's processes stay below the reaper, and end with it.
        self._reaper = subprocess.Popen(
            [sys.executable, TESTS / "reaper.py", *command],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

    def signal(self, number):
        for pid in descendants(self._reaper.pid):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def workers(self):
        """Ids of the processes that render on this node."""
        names = {pid: _command(pid) for pid in descendants(self._reaper.pid)}
        return [pid for pid, name in names.items() if name.startswith("ray::")]

    def end(self):
        """Kill every process of the node and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self._reaper.stdin.close()
        self._reaper.wait(timeout=60)
        self._log.close()


def _command(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


@contextmanager
def ray_cluster(folder, nodes, cpus=1, gpus=0):
    """Start nodes, the first of them the head; yield (address, nodes). Their GPUs need not be."""
    port = free_port()
    address = f"127.0.0.1:{port}"
    has = f"--num-gpus={gpus}"
    head = ["--head", f"--port={port}", "--include-dashboard=false", has, f"--temp-dir={folder}"]
    started = [Node(head, folder, "0", cpus)]
    try:
        _wait_for(lambda: _listens(port), "the head node")
        sockets = folder / "session_latest/sockets"
        for i in range(1, nodes):
            # Nodes that start at the same time would choose the same names for their sockets.
            _wait_for(lambda n=i: len(list(sockets.glob("raylet*"))) == n, f"node {i - 1}")
            started.append(Node([f"--address={address}", has], folder, str(i), cpus))
        yield address, started
    finally:
        for node in reversed(started):
            node.end()


def _listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait_for(condition, what):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.1)
