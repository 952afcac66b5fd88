"""One small frame by one renderer, and EGL's devices: each in a process of its own for `doctor`.

A broken driver may take its process down or never answer; `doctor` lives and says so.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

_FRAME = (
    "+scene=inspection", "renderer.allow_software=true", "image.width=96", "image.height=96",
    "scene.part_count=1", "scene.texel_mm=1.2",
)  # fmt: skip
_FEW_SAMPLES = ("renderer.pathtrace.samples=2", "renderer.pathtrace.part_samples=4")
# Until a driver that has said nothing is taken for dead.
SECONDS = {"devices": 60, "raster": 120, "pyrender": 120, "pathtrace": 300}


def ask(what: str) -> dict[str, Any]:
    """Return what a child process says of "devices" or of a renderer.

    Returns:
        As its function below prints, or {"error": why there is nothing}.
    """
    parent = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(p for p in (parent, os.environ.get("PYTHONPATH")) if p)
    try:
        child = subprocess.run(
            [sys.executable, "-m", "simgen.cli.doctor_frame", what],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=SECONDS[what],
        )
    except subprocess.TimeoutExpired:
        return {"error": f"no answer within {SECONDS[what]} s"}
    if child.returncode < 0:
        return {"error": f"its process crashed ({signal.Signals(-child.returncode).name})"}
    try:
        said = json.loads(child.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        lines = child.stderr.strip().splitlines()
        return {"error": lines[-1][:300] if lines else f"exit code {child.returncode}"}
    return dict(said)


def devices() -> dict[str, Any]:
    """Return EGL's devices, and the position of the one that this process draws on."""
    from simgen.render.egl import device_of_this_process, list_devices

    listed = [asdict(device) for device in list_devices()]
    own = os.environ.get("GLCONTEXT_DEVICE_INDEX")
    chosen = int(own) if own and own.isdigit() else device_of_this_process()
    return {"devices": listed, "chosen": chosen}


def frame(renderer: str) -> dict[str, Any]:
    """Render frame 0 of a small scene; return the renderer's facts, seconds and what it shows."""
    from simgen.config import compose
    from simgen.config.render import parse_render
    from simgen.pipeline import FrameRenderer
    from simgen.render.egl import gpu_nodes

    few = _FEW_SAMPLES if renderer == "pathtrace" else ()
    config = parse_render(compose("render", [f"renderer={renderer}", *_FRAME, *few]))
    started = time.monotonic()
    drawn = FrameRenderer(config)
    facts = drawn.facts()
    made = drawn.frame(0)
    seconds = time.monotonic() - started
    drawn.close()
    if made.image.std() < 1:
        return {"error": "it drew an image of one colour"}
    said = {**facts, "seconds": seconds, "labels_found": len(made.annotations)}
    if renderer == "pathtrace" and gpu_nodes() and "cuda" not in facts["renderer"]:
        said["no_cuda"] = _why_not_cuda()
    return said


def _why_not_cuda() -> str:
    from simgen.errors import SimgenError
    from simgen.render.pathtrace.variant import choose_variant

    try:
        choose_variant("cuda")
    except SimgenError as error:
        return str(error)
    return ""


def main(arguments: Sequence[str]) -> None:
    """Print one line of JSON."""
    from simgen.errors import SimgenError

    (what,) = arguments
    try:
        said = devices() if what == "devices" else frame(what)
    except SimgenError as error:
        said = {"error": str(error)}
    print(json.dumps(said))


if __name__ == "__main__":
    main(sys.argv[1:])
