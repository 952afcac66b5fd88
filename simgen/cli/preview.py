"""`preview`: a few frames on a contact sheet."""

import dataclasses
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from simgen import pipeline
from simgen.config import compose
from simgen.config.render import parse_render
from simgen.dataset import write_contact_sheet
from simgen.errors import ConfigError
from simgen.execute.render import render_dataset

HELP = """
usage: python -m simgen preview +scene=NAME [frames=12] [compare=COCO] [out=FOLDER] [key=value ...]

Renders a few frames and writes FOLDER/contact_sheet.png with their labels drawn; no dataset is
kept. The keys are those of `render`.

  out=outputs/preview/NAME    where the sheet goes
  compare=real/train.json     photographs and their labels on the left, at the same scale;
                              images lie beside the file or in images/ there
"""


def run(overrides: Sequence[str], config_dir: Path | None) -> int:
    """Render some frames to a temporary folder and keep their contact sheet."""
    plain = compose("preview", overrides, config_dir)
    compare = _compare(plain.pop("compare", None))
    config = parse_render(plain)
    pipeline.scene_check(config)
    sheet = _writable(config.out) / "contact_sheet.png"
    with tempfile.TemporaryDirectory(prefix="simgen-preview-") as folder:
        # Small shards, so that even a few frames keep every core busy.
        config = dataclasses.replace(config, out=folder, shard_size=_shard_size(config.frames))
        render_dataset(
            config, pipeline.categories(config), renderer="simgen.pipeline:FrameRenderer"
        )
        write_contact_sheet(
            Path(folder) / "coco.json",
            sheet,
            title=config.dataset.name,
            count=config.frames,
            compare=compare,
        )
    print(sheet)
    return 0


def _compare(value: object) -> Path | None:
    if value is None:
        return None
    path = Path(str(value))
    if not path.is_file():
        raise ConfigError(f"compare: {path} is not a file; name the COCO file of real photographs")
    # Also behind a link or in another spelling.
    if "holdout" in path.resolve().stem.lower() or "holdout" in path.stem.lower():
        raise ConfigError(f"compare: {path} is the holdout, for evaluation only; use train.json")
    return path


def _shard_size(frames: int) -> int:
    return max(1, frames // (2 * len(os.sched_getaffinity(0))))


def _writable(out: str) -> Path:
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(
            f"out: cannot write to {folder} ({error.strerror}); choose a folder that can be written"
        ) from None
    return folder
