"""Kill renders with SIGKILL at random moments and see whether their datasets survive it.

Usage: python benchmarks/kill_test.py [--runs 50] [--seed 0] [--scene magnetic_tile] [overrides ...]

In turn the driver and one of its workers are killed, at a random time, at a commit or while
the derived files are written. A killed driver's workers must be gone within 10 s; then the
same command runs again. A driver whose worker is killed must finish by itself. Every file
must hold the bytes that an uninterrupted run writes, and no other file may be left. Exits 1
if one run fails; prints one line a run and a summary.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
MOMENTS = {
    "driver": ("at random", "at a commit", "at random", "at the finish"),
    # Workers are gone when the derived files are written.
    "worker": ("at random", "at a commit"),
}
GONE_S = 10.0
_PATIENCE_S = 120.0
_MISSES = 5
_OUT = "d"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One run: what was killed when, how long workers outlived their driver, and faults."""

    target: str
    moment: str
    struck: bool
    committed: int
    gone_s: float | None
    faults: tuple[str, ...]


def main() -> None:
    """Run, print, and exit 1 if a dataset did not survive."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scene", default="magnetic_tile")
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_args()
    small = ["image.width=64", "image.height=64", "frames=8", "shard_size=2", "workers=2"]
    command = [sys.executable, "-m", "simgen", "render", f"+scene={args.scene}", f"out={_OUT}"]
    with tempfile.TemporaryDirectory(prefix="simgen-kill-") as folder:
        outcomes = kill_runs(
            [*command, *small, *args.overrides], Path(folder), args.runs, args.seed
        )
    failed = [o for o in outcomes if o.faults]
    struck = Counter(f"{o.target} {o.moment}" for o in outcomes if o.struck)
    gone = [o.gone_s for o in outcomes if o.gone_s is not None]
    print(f"{len(outcomes)} runs, {sum(o.struck for o in outcomes)} struck, {len(failed)} failed")
    print("  " + ", ".join(f"{what}: {n}" for what, n in sorted(struck.items())))
    if gone:
        print(f"  workers outlived their driver by at most {max(gone):.2f} s")
    sys.exit(1 if failed else 0)


def kill_runs(command: Sequence[str], folder: Path, runs: int, seed: int) -> list[Outcome]:
    """Kill `command`, which renders into ./d, in `runs` folders of their own.

    Args:
        command: Renders a dataset with two workers or more.
        folder: Empty; takes a folder for each run.
        runs: Number of runs.
        seed: Decides the moments.
    """
    rng = np.random.default_rng(seed)
    whole, seconds = _uninterrupted(command, folder / "whole")
    outcomes = []
    for number in range(runs):
        target = list(MOMENTS)[number % 2]
        moment = MOMENTS[target][number // 2 % len(MOMENTS[target])]
        delay, turn = rng.uniform(0, seconds), rng.uniform()
        for attempt in range(_MISSES):
            place = folder / f"run-{number}-{attempt}"
            outcome = _kill_one(command, place, whole, target, moment, delay, turn)
            if outcome.struck or outcome.faults:
                break
            # It was too quick for us.
            delay /= 2
        outcomes.append(outcome)
        word = "; ".join(outcome.faults) or "survived"
        print(f"run {number}: {target} {moment}, {outcome.committed} shards in: {word}", flush=True)
    return outcomes


def _uninterrupted(command: Sequence[str], place: Path) -> tuple[dict[str, bytes], float]:
    started = time.monotonic()
    driver = _start(command, place)
    assert driver.wait() == 0, (place / "log").read_text()
    return _files(place / _OUT), time.monotonic() - started


def _kill_one(
    command: Sequence[str],
    place: Path,
    whole: dict[str, bytes],
    target: str,
    moment: str,
    delay: float,
    turn: float,
) -> Outcome:
    faults: list[str] = []
    driver = _start(command, place)
    struck, gone_s = False, None
    if _wait_for_moment(driver, place / _OUT, moment, delay, turn):
        family = _descendants(driver.pid)
        while target == "worker" and not _workers(family) and driver.poll() is None:
            family = _descendants(driver.pid)
        victims = [driver.pid] if target == "driver" else _workers(family)
        if victims:
            struck = _kill(victims[int(turn * len(victims))])
    committed = len(_committed(place / _OUT))
    if target == "driver" and struck:
        driver.wait()
        gone_s = _seconds_until_gone(family)
        if gone_s > GONE_S:
            faults.append(f"a worker outlived its driver by {gone_s:.0f} s")
    elif driver.wait(_PATIENCE_S) != 0:
        faults.append("the driver gave up: " + (place / "log").read_text()[-300:])
    if target == "driver":
        again = _start(command, place)
        if again.wait(_PATIENCE_S) != 0:
            faults.append("the second run failed: " + (place / "log").read_text()[-300:])
    files = _files(place / _OUT)
    if files.keys() != whole.keys():
        faults.append(f"other files: {sorted(files.keys() ^ whole.keys())}")
    faults += [
        f"{name} differs" for name in files.keys() & whole.keys() if files[name] != whole[name]
    ]
    coco = json.loads(files.get("coco.json", b'{"images": []}'))
    frames = [image["frame"] for image in coco["images"]]
    if frames != list(range(len(json.loads(whole["coco.json"])["images"]))):
        faults.append(f"frames {frames}")
    return Outcome(
        target=target,
        moment=moment,
        struck=struck,
        committed=committed,
        gone_s=gone_s,
        faults=tuple(faults),
    )


def _start(command: Sequence[str], place: Path) -> subprocess.Popen[bytes]:
    place.mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH")) if p)
    with (place / "log").open("wb") as log:
        return subprocess.Popen(
            command, cwd=place, env={**os.environ, "PYTHONPATH": path}, stdout=log, stderr=log
        )


def _wait_for_moment(
    driver: subprocess.Popen[bytes], out: Path, moment: str, delay: float, turn: float
) -> bool:
    """Wait for the moment; return False if the driver ended before it."""
    started = time.monotonic()
    shards = 1 + int(turn * 3)
    while driver.poll() is None:
        if moment == "at random" and time.monotonic() - started > delay:
            return True
        if moment == "at the finish" and any(out.glob(".coco.json-*")):
            return True
        if moment == "at a commit" and len(_committed(out)) >= shards:
            return True
        if moment == "at a commit" and shards == 1 and any(out.glob("shards/.*/manifest.json")):
            return True
        time.sleep(0.001)
    return False


def _committed(out: Path) -> list[str]:
    shards = out / "shards"
    return [n for n in os.listdir(shards) if n.isdigit()] if shards.is_dir() else []


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    left = [pid]
    while left:
        folder = Path(f"/proc/{left.pop()}/task")
        for thread in folder.iterdir() if folder.is_dir() else ():
            try:
                children = [int(c) for c in (thread / "children").read_text().split()]
            except OSError:
                continue
            found += children
            left += children
    return found


def _workers(pids: Sequence[int]) -> list[int]:
    return [pid for pid in pids if b"spawn_main" in _command_line(pid)]


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _seconds_until_gone(pids: Sequence[int]) -> float:
    started = time.monotonic()
    while any(_lives(pid) for pid in pids) and time.monotonic() - started < 3 * GONE_S:
        time.sleep(0.01)
    return time.monotonic() - started


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def _files(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()}


if __name__ == "__main__":
    main()
