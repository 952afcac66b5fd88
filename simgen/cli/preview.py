"""`preview`: a few frames on a contact sheet, beside photographs, or with one parameter swept."""

import dataclasses
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from simgen import pipeline
from simgen.calibrate.pairs import pairs_sheet, read_photographs
from simgen.cli.output import writable_folder
from simgen.cli.sweep import Sweep, draw_sweep
from simgen.config import bounded, compose, parse
from simgen.config.render import parse_render
from simgen.dataset import write_contact_sheet
from simgen.dataset.files import replacing
from simgen.errors import ConfigError
from simgen.execute.render import render_dataset
from simgen.train.rendered import RenderedConfig, load_rendered

HELP = """
usage: python -m simgen preview +scene=NAME [frames=12] [out=FOLDER] [key=value ...]
       python -m simgen preview +scene=NAME compare=real/train.json [crop_px=128]
       python -m simgen preview +scene=NAME sweep=KEY [n=8] [from=LOW to=HIGH] [scenes=1]

Renders a few frames and writes a sheet with their labels drawn; no dataset is kept. The other keys
are those of `render`.

  out=outputs/preview/NAME    where the sheets go
  compare=real/train.json     contact_sheet.png with photographs on the left, at the same scale, and
                              compare.png: crops of one size around defects, kind by kind, and of
                              clean regions. 48 frames unless `frames` is set, each of a scene of
                              its own. Images lie beside the file or in images/ there.
    'categories={pitting: pit}'   the photographs' names to the scene's
    'exclude=[uneven]'            categories left out, with the images that show them
  sweep=KEY                   sweep.png: the range or number KEY takes n values, all else (every
                              other draw too) stays; the line printed says what the key changed
"""

_COMPARED_FRAMES = 48
_CROPS_EACH = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewCommand:
    """Keys of the command, beside those of `render`."""

    compare: str | None = None
    categories: dict[str, str] | None = None
    exclude: tuple[str, ...] = ()
    crop_px: int = bounded(128, low=32, high=512)
    sweep: str | None = None
    n: int = bounded(8, low=2, high=64)
    scenes: int = bounded(1, low=1, high=12)
    start: float | None = None
    stop: float | None = None


def run(overrides: Sequence[str], config_dir: Path | None) -> int:
    """Render some frames to a temporary folder and keep their sheets."""
    plain = compose("preview", overrides, config_dir)
    command = _command(plain)
    if command.sweep is not None:
        return _sweep(plain, command)
    compare = _photographs_file(command.compare)
    if compare is not None:
        _one_frame_a_scene(plain, overrides)
    config = parse_render(plain)
    config = pipeline.scene_check(config)
    out = writable_folder(config.out)
    photographs = None
    if compare is not None:
        photographs = read_photographs(compare, command.categories or {}, command.exclude)
    sheet = out / "contact_sheet.png"
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
            count=min(config.frames, 24) if compare else config.frames,
            compare=compare,
        )
        print(sheet)
        if photographs is not None:
            rendered = load_rendered("simulated", RenderedConfig(path=folder))
            pairs = pairs_sheet(
                photographs,
                rendered,
                title=config.dataset.name,
                crop_px=command.crop_px,
                each=_CROPS_EACH,
            )
            print(_written(pairs, out / "compare.png"))
    return 0


def _sweep(plain: dict[str, Any], command: PreviewCommand) -> int:
    if command.compare is not None:
        raise ConfigError("compare: a sweep shows no photographs; leave out compare or sweep")
    parse_render(plain)
    out = writable_folder(str(plain["out"]))
    sweep = Sweep(key=str(command.sweep), n=command.n, start=command.start, stop=command.stop)
    sheet, told = draw_sweep(plain, sweep, scenes=command.scenes)
    print(told)
    print(_written(sheet, out / "sweep.png"))
    return 0


def _command(plain: dict[str, Any]) -> PreviewCommand:
    """Take the command's own keys out of the config."""
    # Words of Python's, so they cannot be names of fields.
    names = {"start": "from", "stop": "to"}
    keys = {f.name: names.get(f.name, f.name) for f in dataclasses.fields(PreviewCommand)}
    own = {name: plain.pop(key) for name, key in keys.items() if key in plain}
    return parse(PreviewCommand, own)


def _photographs_file(value: str | None) -> Path | None:
    if value is None:
        return None
    path = Path(value)
    if not path.is_file():
        raise ConfigError(f"compare: {path} is not a file; name the COCO file of real photographs")
    return path


def _one_frame_a_scene(plain: dict[str, Any], overrides: Sequence[str]) -> None:
    """Show as many scenes as there are frames, unless the user has said otherwise."""
    said = {o.lstrip("+").partition("=")[0] for o in overrides}
    for key, value in (
        ("frames", _COMPARED_FRAMES),
        ("views_per_scene", 1),
        ("exposures_per_view", 1),
    ):
        if key not in said:
            plain[key] = value


def _shard_size(frames: int) -> int:
    return max(1, frames // (2 * len(os.sched_getaffinity(0))))


def _written(sheet: np.ndarray, path: Path) -> Path:
    with replacing(path) as file:
        Image.fromarray(sheet).save(file, format="PNG", compress_level=6)
    return path
