"""`replay`: renders a frame of a dataset again from its stored scene, and compares."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from simgen import pipeline
from simgen.cli.words import files_allowed, read_words, whole_number
from simgen.config.render import RenderConfig, parse_render
from simgen.dataset import shard_style, versions
from simgen.dataset.files import replacing
from simgen.dataset.glb import write_glb
from simgen.dataset.replayed import Replayed, StoredFrame, compare_frame, read_frame
from simgen.dataset.storage import local_copy
from simgen.dataset.stored import read_manifest
from simgen.errors import ConfigError, DatasetError, SimgenError, printable
from simgen.label.annotation import Frame

HELP = """
usage: python -m simgen replay DATASET frame=N [out=PNG] [glb=FILE] [files=allow]

Renders a frame again from the settled scene that is stored beside its labels, and from nothing
else, compares image and labels with the stored ones, and says what differs. Exit code 0 if they
are the same or differ by no more than another driver or CPU explains, else 1.

  out=PNG        write the image that was rendered now
  glb=FILE       write the scene for Blender or any viewer: meshes with their maps, poses, camera,
                 lights; render=false writes it without rendering
  files=allow    the scene may name mesh files and kinds of defects of your own; only for datasets
                 that are yours
  renderer.allow_software=true   software OpenGL on a machine that has a GPU
"""

_KEYS = {
    "frame": "",
    "out": "",
    "glb": "",
    "files": "",
    "render": "true",
    "renderer.allow_software": "",
}
_SHOWN = 8


def run(overrides: Sequence[str], config_dir: Path | None) -> int:
    """Replay one frame; 1 if it differs by more than another machine explains."""
    (where,), keys = read_words("replay", overrides, datasets=1, keys=_KEYS)
    if not keys["frame"]:
        raise ConfigError("frame: required value is missing; set frame=N")
    number = whole_number("frame", keys["frame"])
    render = _truth("render", keys["render"])
    folder = local_copy(where)
    manifest = read_manifest(folder)
    config = _config(manifest.config, folder, keys["renderer.allow_software"])
    stored = read_frame(folder, number, own_files=files_allowed(keys["files"]))
    if keys["glb"]:
        write_glb(Path(keys["glb"]), stored.scene, name=f"{manifest.name} frame {number}")
        print(f"  scene  {keys['glb']}")
    if not render:
        return 0
    frame, made_with = _rendered(config, stored)
    if keys["out"]:
        with replacing(Path(keys["out"])) as file:
            Image.fromarray(frame.image).save(file, format="PNG", compress_level=1)
        print(f"  image  {keys['out']}")
    style = shard_style(config, tuple((c.name, c.supercategory) for c in manifest.categories))
    result = compare_frame(stored, frame, style, made_with)
    _print(number, result)
    return 0 if result.same_bytes or (result.within and result.environment) else 1


def _config(plain: dict, folder: Path, software: str) -> RenderConfig:
    try:
        config = parse_render(plain)
    except ConfigError as error:
        raise DatasetError(
            f"{folder}/manifest.json: its config is not one that this version reads ({error});"
            " replay with the version that rendered it"
        ) from None
    if software:
        allow = _truth("renderer.allow_software", software)
        config = replace(config, renderer=replace(config.renderer, allow_software=allow))
    return config


def _rendered(config: RenderConfig, stored: StoredFrame) -> tuple[Frame, dict]:
    renderer = pipeline.SceneRenderer(config)
    try:
        made_with = {"renderer": renderer.facts(), "versions": versions(config.scene_name)}
        return renderer.frame(stored.index, stored.scene), made_with
    except SimgenError:
        raise
    except (ArithmeticError, LookupError, MemoryError, TypeError, ValueError) as error:
        raise DatasetError(
            f"frame {stored.index.frame}: its stored scene cannot be drawn"
            f" ({type(error).__name__}: {error}); it is damaged, or of another version"
        ) from error
    finally:
        renderer.close()


def _print(number: int, result: Replayed) -> None:
    if result.same_bytes:
        print(f"frame {number}: the same image and labels, byte for byte")
        return
    if result.changed_pixels:
        print(
            f"frame {number}: {result.changed_pixels:.2%} of the pixels differ, by at most"
            f" {result.largest} levels; {result.far_pixels:.2%} by more than 8"
        )
    else:
        print(f"frame {number}: the same pixels")
    for line in result.labels[:_SHOWN]:
        print(printable(f"  {line[:200]}"))
    if len(result.labels) > _SHOWN:
        print(f"  and {len(result.labels) - _SHOWN} more differences of labels")
    if result.environment:
        print("made with something else then:")
        for line in result.environment:
            print(printable(f"  {line[:200]}"))
    if not result.within:
        print("That is more than another driver or CPU explains.")
    elif not result.environment:
        print("Driver and versions are the same, so nothing explains it.")


def _truth(key: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise ConfigError(f"{key}: expected true or false, got {text[:40]!r}")
    return text == "true"
