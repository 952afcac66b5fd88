"""Rendered datasets as training sources."""

from collections.abc import Mapping
from dataclasses import dataclass

from simgen.dataset.storage import local_copy
from simgen.errors import DatasetError
from simgen.train.coco import Reading, read_source
from simgen.train.images import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedConfig:
    """Where a rendered dataset is (a folder or a URL), and the command that makes it."""

    path: str
    render: str = "python -m simgen render +scene=NAME"


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
