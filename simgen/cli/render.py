"""`render`: a dataset from a config."""

import time
from collections.abc import Sequence
from pathlib import Path

from simgen import pipeline
from simgen.config import compose
from simgen.config.render import parse_render
from simgen.execute.render import render_dataset

HELP = """
usage: python -m simgen render +scene=NAME [frames=48] [seed=0] [out=outputs/NAME] [key=value ...]

Renders a labelled dataset: images, coco.json, card.md and contact_sheet.png in `out`. Run it
again after an interruption and it renders only what is missing; with more frames, only the new
ones. Another config in the same `out` is refused.

  workers=0               processes, 0 for one a core; no image depends on it
  image.width=640         largest size of an image; image.height, image.format=png or jpg
  views_per_scene=1       cameras on one settled scene; exposures_per_view=1
  labels.min_contrast=1   defects below it are erased from image and labels
  renderer.allow_software=true   software OpenGL on a machine that has a GPU

conf/render.yaml lists the keys of every scene, conf/scene/NAME.yaml those of one.
"""


def run(overrides: Sequence[str], config_dir: Path | None) -> int:
    """Render a dataset and say what it holds."""
    config = parse_render(compose("render", overrides, config_dir))
    pipeline.scene_check(config)
    started = time.monotonic()
    rendered = render_dataset(
        config, pipeline.categories(config), renderer="simgen.pipeline:FrameRenderer"
    )
    manifest = rendered.manifest
    seconds = time.monotonic() - started
    erased = sum(manifest["erased"].values())
    frames, new = manifest["frames"], rendered.new_frames
    print(f"{rendered.out}: {frames} frames, {new} new in {seconds:.0f} s")
    if len(manifest["made_with"]) > 1:
        print("  note           not all shards were made with one driver and version: see card.md")
    print(f"  labels         {rendered.out / 'coco.json'} ({erased} faint defects erased)")
    print(f"  contact sheet  {rendered.out / 'contact_sheet.png'}")
    return 0
