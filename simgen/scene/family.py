"""Scene families: load `scenes/<name>.py` by path and read its ranges."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol

from simgen.config import parse, scene_file, scene_names, suggest
from simgen.config.render import ImageConfig
from simgen.config.source import load_source
from simgen.errors import ConfigError
from simgen.sampling import Streams
from simgen.scene.spec import ObjectSpec, SceneSpec


class SceneFamily(Protocol):
    """What a scene module offers.

    `Ranges` is a frozen dataclass that `conf/scene/<name>.yaml` fills under the key
    `scene`. `categories(ranges)` lists (name, supercategory) of all labels it can
    make, in the fixed order of their ids. `sample_objects` draws and settles what
    all frames of a scene share; `sample_frame` adds camera, lights and sensor. A scene
    that reads files also has `assets(ranges)`, which checks them and returns a
    `dataset.assets.Asset` for each, and a range `sha256` of hashes by path.
    """

    Ranges: type

    def categories(self, ranges: Any) -> tuple[tuple[str, str], ...]: ...

    def sample_objects(self, streams: Streams, ranges: Any) -> tuple[ObjectSpec, ...]: ...

    def sample_frame(
        self, streams: Streams, ranges: Any, image: ImageConfig, objects: tuple[ObjectSpec, ...]
    ) -> SceneSpec: ...


_OFFERED = ("Ranges", "categories", "sample_objects", "sample_frame")


def load_family(name: str) -> SceneFamily:
    """Return the module of scene family `name`.

    Raises:
        ConfigError: There is no such file, or it does not offer what a family must.
    """
    path = scene_file(name)
    if path is None:
        raise ConfigError(f"scene.name: no scene {name!r}{suggest(name, scene_names())}")
    module = load_source(path, f"simgen._scene_{name}")
    missing = [n for n in _OFFERED if not hasattr(module, n)]
    if missing:
        raise ConfigError(f"{path}: a scene must define {', '.join(missing)}; see CONTRIBUTING.md")
    return module  # type: ignore[return-value]


def parse_ranges(family: SceneFamily, scene: Mapping[str, Any]) -> Any:
    """Return the family's ranges from the config's `scene` mapping.

    Raises:
        ConfigError: See `config.parse`.
    """
    # Hashes of the user's own defect kinds stand there too, which no family needs to know.
    noted = {"sha256"} - {field.name for field in dataclasses.fields(family.Ranges)}
    ranges = {k: v for k, v in scene.items() if k != "name" and k not in noted}
    return parse(family.Ranges, ranges, "scene")
