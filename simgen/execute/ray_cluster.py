"""Joining and leaving a Ray cluster, and noticing that it is gone."""

import os
import socket
import time
from collections.abc import Sequence
from typing import Any

from simgen.errors import ConfigError, RenderError

# Ray ends the whole process, with a message of its own, after 60 s without the head.
_SILENT_S = 40.0
_ANSWER_S = 2.0


class Membership:
    """This process's place in a Ray cluster.

    Args:
        address: As `ray.init` takes it; empty is RAY_ADDRESS, or a cluster of its own here.

    Raises:
        ConfigError: Ray is not installed.
        RenderError: The cluster does not answer.
    """

    def __init__(self, address: str) -> None:
        self._ray = import_ray()
        self._joined = _connect(self._ray, address)
        self._head: str = self._ray.get_runtime_context().gcs_address
        # One that was never reached (a driver outside Kubernetes) says nothing by its silence.
        self._heard = time.monotonic() if _answers(self._head) else None

    @property
    def ray(self) -> Any:
        """The module."""
        return self._ray

    def look(self) -> bool:
        """Return whether the head of the cluster answers, or nobody can know.

        To be called every few seconds, and before calls that wait for the head.

        Raises:
            RenderError: It has not answered for a while.
        """
        if self._heard is None:
            return True
        if _answers(self._head):
            self._heard = time.monotonic()
            return True
        if time.monotonic() - self._heard > _SILENT_S:
            raise RenderError(
                f"executor: the Ray cluster at {self._head} is gone, its head has not answered for"
                f" {_SILENT_S:.0f} s; start it and run the same command again, which goes on where"
                " it stopped"
            )
        return False

    def leave(self, refs: Sequence[Any]) -> None:
        """Stop tasks that still run, and leave the cluster if this is what joined it."""
        if self._joined:
            # The cluster ends the tasks of a driver that leaves.
            self._ray.shutdown()
            return
        errors = (self._ray.exceptions.RayError, ValueError)
        for ref in refs:
            # Cancelling a task in the moment in which it ends is a race inside Ray, which then
            # ends this process. One whose result has just come is in that moment.
            try:
                if not self._ray.wait([ref], timeout=0, fetch_local=False)[0]:
                    self._ray.cancel(ref, force=True)
            except errors:
                continue


def import_ray() -> Any:
    """Return ray.

    Raises:
        ConfigError: It is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ModuleNotFoundError:
        raise ConfigError('executor: ray is not installed; pip install "simgen[cluster]"') from None
    return ray


def _connect(ray: Any, address: str) -> bool:
    """Join a cluster, or start one here; return False if this process had joined before."""
    if ray.is_initialized():
        return False
    try:
        ray.init(address=address or None, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "no answer"
        raise RenderError(
            f"executor.address: no Ray cluster at {address or 'RAY_ADDRESS'} ({reason});"
            " start one with ray start --head"
        ) from None
    return True


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_S).close()
    except OSError:
        return False
    return True
