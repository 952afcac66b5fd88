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

Renders a labelled dataset: images, coco.json, card.md, croissant.json, SHA256SUMS and
contact_sheet.png in `out`. Run it again after an interruption and it renders only what is
missing; with more frames, only the new ones. Another config in the same `out` is refused.

  workers=0               processes, 0 for one a core; no image depends on it
  executor=local          or ray, slurm: workers on a cluster; docs/cluster.md says how
  out=s3://bucket/name    any fsspec URL whose store can create a name for one writer only
  image.width=640         largest size of an image; image.height, image.format=png or jpg
  views_per_scene=1       cameras on one settled scene; exposures_per_view=1
  labels.min_contrast=1   defects below it are erased from image and labels
  outputs.depth=true      16-bit PNG beside each image; outputs.normals, .instances, .poses too
  dataset.parent=OLD dataset.version=1.1.0   the card lists what changed since
  renderer=pathtrace      Mitsuba 3; auto: where OpenGL is missing; docs/rendering.md
  renderer.allow_software=true   software OpenGL on a machine that has a GPU

conf/render.yaml lists the keys of every scene, conf/scene/NAME.yaml those of one.
"""


def run(overrides: Sequence[str], config_dir: Path | None) -> int:
    """Render a dataset and say what it holds."""
    config = parse_render(compose("render", overrides, config_dir))
    config = pipeline.scene_check(config)
    started = time.monotonic()
    rendered = render_dataset(
        config, pipeline.categories(config), renderer="simgen.pipeline:FrameRenderer"
    )
    manifest = rendered.manifest
    seconds = time.monotonic() - started
    if manifest is None:
        print(f"{rendered.out}: {rendered.new_frames} frames more than {seconds:.0f} s ago")
        print("  when every rank is done, the same command with executor.world=1 finishes it")
        return 0
    erased = sum(manifest["erased"].values())
    frames, new = manifest["frames"], rendered.new_frames
    print(f"{rendered.out}: {frames} frames, {new} new in {seconds:.0f} s")
    if len(manifest["made_with"]) > 1:
        print("  note           not all shards were made with one driver and version: see card.md")
    print(f"  labels         {rendered.out}/coco.json ({erased} faint defects erased)")
    print(f"  contact sheet  {rendered.out}/contact_sheet.png")
    return 0
