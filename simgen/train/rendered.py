"""Rendered datasets as training sources."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from simgen.config import bounded
from simgen.config.resources import data_folder
from simgen.dataset.storage import local_copy
from simgen.errors import DatasetError
from simgen.train.coco import Reading, read_source
from simgen.train.images import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedConfig:
    """Where a rendered dataset is (a folder or a URL), and what it is.

    Attributes:
        path: Its folder.
        render: The command that makes it.
        origin: `model_generated` for images that a trained model made.
        generations: How often images were made from images since a camera: 0 with nothing
            photographed in them, 1 rendered with photographed textures. None: as its manifest
            says.
        textures: Files and folders of what was rendered with, for the scan for leaks.
        exclude: Its categories that are left out, with the images that show them: the kinds that
            photographs alone are better for.
    """

    path: str
    render: str = "python -m simgen render +scene=NAME"
    origin: Literal["rendered", "model_generated"] = "rendered"
    generations: int | None = bounded(None, low=0)
    textures: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


def manifest_of(config: RenderedConfig) -> dict[str, Any]:
    """Return a rendered dataset's manifest, empty if it has none that can be read."""
    try:
        said = json.loads((local_copy(config.path) / "manifest.json").read_text())
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def rendered_with(config: RenderedConfig) -> list[Path]:
    """Return the files that a dataset was rendered with, as its manifest names them."""
    entries = manifest_of(config).get("assets", [])
    return [_file_of(e["path"]) for e in entries if isinstance(e, dict) and "path" in e]


def _file_of(path: str) -> Path:
    """Return where an asset is: `assets/...` is shipped, unless the user has such a folder."""
    file = Path(path)
    shipped = data_folder("assets") / path.removeprefix("assets/")
    return shipped if path.startswith("assets/") and not file.is_file() else file


def load_rendered(
    name: str,
    config: RenderedConfig,
    rename: Mapping[str, str] | None = None,
    supercategories: tuple[str, ...] = ("defect",),
) -> Source:
    """Return the images of a rendered dataset with their defects (no parts, by default).

    Args:
        name: The source's name in the mix.
        config: Where it is.
        rename: Its category names to ours.
        supercategories: Which annotations to take.

    Raises:
        DatasetError: It is missing or broken; see `read_source`.
        ConfigError: A category to rename or exclude does not exist.
    """
    folder = local_copy(config.path)
    file = folder / "coco.json"
    if not file.is_file():
        raise DatasetError(
            f"datasets.{name}.path: {file} does not exist; make it with: {config.render}"
        )
    reading = Reading(
        name=name,
        rename=rename or {},
        exclude=config.exclude,
        exclude_key=f"datasets.{name}.exclude",
        supercategories=supercategories,
        require_part=False,
        clean_by_part=False,
    )
    return read_source(file, folder, reading)
