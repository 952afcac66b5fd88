"""CPU-seconds of a labelled frame by stage, from sampling to the encoded file.

Usage: python benchmarks/frame_cost.py [--scene inspection] [--frames 12] [--warm 1] [overrides ...]

Prints the median and mean of every stage, and the mean outside OpenGL calls, over the frames,
each a scene of its own.
Before them the first scenes, `--warm`, are only sampled and covered with their materials, so
that the parts' designs are in the caches as they are after a worker's first minute. What the
GPU, or its software, has still to do at a stage's end is waited for and counts as that stage's.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from simgen.execute.worker import ONE_THREAD

# As a worker does, and before numpy starts threads of its own.
os.environ.update(ONE_THREAD)

import cv2
import moderngl

from simgen.config import compose
from simgen.config.render import parse_render
from simgen.dataset.records import annotation_records, encode_image, frame_record
from simgen.defects import surface
from simgen.defects.surface import SurfaceCache
from simgen.label.frame import make_frame
from simgen.parts.build import build_mesh
from simgen.pipeline import FrameRenderer, categories, render_view
from simgen.sampling import FrameIndex

_BODIES = "  of it, dents and breaks"
# Stages that end with work for the GPU.
_DRAWN = ("upload", "label pass", "colour", "masks", "twin")


class Cost(NamedTuple):
    """CPU-seconds of a stage, and those of them inside OpenGL calls."""

    seconds: float
    in_gl: float


Stages = dict[str, list[Cost]]


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


class GlClock:
    """CPU-seconds inside OpenGL calls: everything in them that draws, uploads or reads back."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._inside = False
        for kind, names in _GL_CALLS.items():
            for name in names:
                setattr(kind, name, self._timed(getattr(kind, name)))

    def lap(self) -> float:
        """Return the seconds since the lap before."""
        seconds, self._seconds = self._seconds, 0.0
        return seconds

    def _timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any, **named: Any) -> Any:
            if self._inside:
                return call(*given, **named)
            self._inside, started = True, time.process_time()
            try:
                return call(*given, **named)
            finally:
                self._seconds += time.process_time() - started
                self._inside = False

        return timed


_GL_CALLS: dict[type, tuple[str, ...]] = {
    moderngl.Context: ("buffer", "texture", "texture_array", "texture_cube", "depth_texture",
                       "framebuffer", "vertex_array", "copy_framebuffer", "finish"),
    moderngl.Buffer: ("write", "release"),
    moderngl.Texture: ("write", "read", "build_mipmaps", "release"),
    moderngl.Framebuffer: ("clear", "read", "read_into", "release"),
    moderngl.VertexArray: ("render", "release"),
}  # fmt: skip


def stages_of(
    scene_name: str, frames: int, warm: int, overrides: Sequence[str]
) -> tuple[Stages, dict[str, Any]]:
    """Return CPU-seconds of every stage of every frame, and the renderer's facts."""
    cv2.setNumThreads(1)
    gl = GlClock()
    plain = compose("render", [f"+scene={scene_name}", "exposures_per_view=1", *overrides])
    config = parse_render(plain)
    renderer = FrameRenderer(config)
    stages: Stages = defaultdict(list)
    reshaping = watch_reshaping()
    for number in range(warm):
        index = FrameIndex.of(number, views_per_scene=1, exposures_per_view=1)
        SurfaceCache().of(renderer.scene(index).objects)
    kinds = categories(config)
    drawing = getattr(renderer._renderer, "context", None)
    for number in range(warm, warm + frames + 1):
        costs: dict[str, Cost] = {}
        last = time.process_time()

        def lap(stage: str) -> None:
            nonlocal last
            if drawing is not None and stage in _DRAWN:
                with drawing:
                    drawing.finish()
            now = time.process_time()
            costs[stage] = Cost(now - last, gl.lap())  # noqa: B023
            last = now

        reshaping.clear()
        gl.lap()
        index = FrameIndex.of(number, views_per_scene=1, exposures_per_view=1)
        scene = renderer.scene(index)
        lap("sample and settle")
        for item in scene.objects:
            build_mesh(item.shape)
        lap("meshes")
        view = render_view(renderer._renderer, scene, config, lap)
        frame = make_frame(index, scene, view, config.labels)
        lap("sensor and annotations")
        encode_image(frame.image, "frame.png")
        record = frame_record(frame, file_name="frame.png", part_prefix="")
        labels = annotation_records(frame, categories=kinds, polygons=False)
        json.dumps([record, *labels])
        lap("encode")
        if number > warm:
            whole = Cost(*(sum(column) for column in zip(*costs.values(), strict=True)))
            bodies = Cost(sum(reshaping), 0.0)
            for stage, cost in (*costs.items(), (_BODIES, bodies), ("whole frame", whole)):
                stages[stage].append(cost)
    facts = renderer.facts()
    renderer.close()
    return stages, facts


def show(stages: Stages) -> None:
    """Print a line for every stage."""
    print(f"{'':24s} median   mean  not in GL calls")
    for stage, costs in stages.items():
        seconds, in_gl = zip(*costs, strict=True)
        middle, mean = statistics.median(seconds), statistics.mean(seconds)
        print(f"{stage:24s} {middle:6.3f} {mean:6.3f} {mean - statistics.mean(in_gl):6.3f}")


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
