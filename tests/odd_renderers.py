"""Renderers for tests of executors; worker processes import them by name."""

import os
import time
from pathlib import Path
from typing import Any

from stand_in import StandIn

from simgen.label.annotation import Frame


class NamesItsGpu(StandIn):
    """Says which GPU its process was given, and which process it is."""

    def facts(self) -> dict[str, Any]:
        """Say so."""
        return {
            **super().facts(),
            "gpu": os.environ.get("CUDA_VISIBLE_DEVICES"),
            "pid": os.getpid(),
        }


class WaitsHalfWay(StandIn):
    """Draws no frame from 16 on before there is a file `scene.until`."""

    def frame(self, index: int) -> Frame:
        """Wait and draw."""
        until = Path(self._config.scene["until"])
        while index >= 16 and not until.exists():
            time.sleep(0.05)
        return super().frame(index)


class TwoArgumentError(Exception):
    """Cannot be read back from a pickle, as some libraries' own."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")


class RaisesOddly(StandIn):
    """Fails with an exception that no other process can read."""

    def frame(self, index: int) -> Frame:
        """Fail."""
        raise TwoArgumentError(7, "of a library")
