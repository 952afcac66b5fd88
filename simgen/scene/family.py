"""Scene families: load `scenes/<name>.py` by path and read its ranges."""

import importlib.util
import sys
import traceback
from collections.abc import Mapping
from typing import Any, Protocol

from simgen.config import parse, scene_file, scene_names, suggest
from simgen.config.render import ImageConfig
from simgen.errors import ConfigError
from simgen.sampling import Streams
from simgen.scene.spec import ObjectSpec, SceneSpec


class SceneFamily(Protocol):
    """What a scene module offers.

    `Ranges` is a frozen dataclass that `conf/scene/<name>.yaml` fills under the key
    `scene`. `categories(ranges)` lists (name, supercategory) of all labels it can
    make, in the fixed order of their ids. `sample_objects` draws and settles what
    all frames of a scene share; `sample_frame` adds camera, lights and sensor.
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
    spec = importlib.util.spec_from_file_location(f"simgen._scene_{name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name while the file runs.
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise ConfigError(f"{path}: line {error.lineno}: {error.msg}") from None
    except Exception as error:
        lines = [
            f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)
        ]
        where = f"line {lines[-1]}: " if lines else ""
        raise ConfigError(f"{path}: {where}{type(error).__name__}: {error}") from None
    missing = [n for n in _OFFERED if not hasattr(module, n)]
    if missing:
        raise ConfigError(f"{path}: a scene must define {', '.join(missing)}; see CONTRIBUTING.md")
    return module  # type: ignore[return-value]


def parse_ranges(family: SceneFamily, scene: Mapping[str, Any]) -> Any:
    """Return the family's ranges from the config's `scene` mapping.

    Raises:
        ConfigError: See `config.parse`.
    """
    ranges = {k: v for k, v in scene.items() if k != "name"}
    return parse(family.Ranges, ranges, "scene")
