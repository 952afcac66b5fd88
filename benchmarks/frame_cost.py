"""CPU-seconds of a labelled frame by stage, from sampling to the encoded file.

Usage: python benchmarks/frame_cost.py [--scene inspection] [--frames 12] [--warm 1] [overrides ...]

Prints the median and mean of every stage over the frames, each a scene of its own.
Before them the first scenes, `--warm`, are only sampled with their texels, so that the
parts' designs are in the caches as they are after a worker's first minute.
"""

import argparse
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from simgen.config import compose
from simgen.config.render import parse_render
from simgen.defects import surface
from simgen.label.frame import make_frame
from simgen.parts.build import build_mesh
from simgen.pipeline import FrameRenderer, render_view
from simgen.sampling import FrameIndex


def watch_reshaping() -> list[float]:
    """Return a list that gathers the seconds for dented and cut meshes: they are no maps."""
    seconds: list[float] = []
    reshaped = surface._reshaped

    def watched(*given: Any) -> surface.Surface:
        started = time.process_time()
        made = reshaped(*given)
        seconds.append(time.process_time() - started)
        return made

    surface._reshaped = watched
    return seconds


def stages_of(
    scene_name: str, frames: int, warm: int, overrides: Sequence[str]
) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Return CPU-seconds of every stage of every frame, and the renderer's facts."""
    cv2.setNumThreads(1)
    plain = compose("render", [f"+scene={scene_name}", "exposures_per_view=1", *overrides])
    config = parse_render(plain)
    renderer = FrameRenderer(config)
    stages: dict[str, list[float]] = defaultdict(list)
    reshaping = watch_reshaping()
    for number in range(warm):
        index = FrameIndex.of(number, views_per_scene=1, exposures_per_view=1)
        for item in renderer.scene(index).objects:
            build_mesh(item.shape).texels  # noqa: B018
    for number in range(warm, warm + frames + 1):
        last = time.process_time()

        def lap(stage: str) -> None:
            nonlocal last
            now = time.process_time()
            if number > warm:  # noqa: B023
                stages[stage].append(now - last)
            last = now

        start = last
        reshaping.clear()
        index = FrameIndex.of(number, views_per_scene=1, exposures_per_view=1)
        scene = renderer.scene(index)
        lap("sample and settle")
        for item in scene.objects:
            build_mesh(item.shape)
        lap("meshes")
        view = render_view(renderer._renderer, scene, config, lap)
        frame = make_frame(index, scene, view, config.labels)
        lap("sensor and annotations")
        image = frame.image if frame.image.ndim == 2 else frame.image[..., ::-1]
        cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        lap("encode")
        if number > warm:
            stages["  of it, dents and breaks"].append(sum(reshaping))
            stages["whole frame"].append(time.process_time() - start)
    facts = renderer.facts()
    renderer.close()
    return stages, facts


def show(stages: dict[str, list[float]]) -> None:
    """Print a line for every stage."""
    for stage, seconds in stages.items():
        middle, mean = statistics.median(seconds), statistics.mean(seconds)
        print(f"{stage:24s} median {middle:.3f}  mean {mean:.3f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scene", default="inspection")
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--warm", type=int, default=1)
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_args()
    stages, facts = stages_of(args.scene, args.frames, args.warm, args.overrides)
    print(f"{args.scene}, {args.frames} frames, CPU-seconds; {facts['renderer']}")
    show(stages)


if __name__ == "__main__":
    main()
