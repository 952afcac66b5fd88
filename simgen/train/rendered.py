"""Rendered datasets as training sources."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from simgen.config import bounded
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
    """

    path: str
    render: str = "python -m simgen render +scene=NAME"
    origin: Literal["rendered", "model_generated"] = "rendered"
    generations: int | None = bounded(None, low=0)
    textures: tuple[str, ...] = ()


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
        supercategories=supercategories,
        require_part=False,
        clean_by_part=False,
    )
    return read_source(file, folder, reading)
