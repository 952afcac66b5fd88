"""The keys that every scene shares."""

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from simgen.config.dataset import DatasetConfig
from simgen.config.executor import ExecutorConfig, LocalConfig
from simgen.config.parse import bounded, parse
from simgen.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """Size (the largest; a scene may crop below it) and file format of images."""

    width: int = bounded(640, low=16, high=8192)
    height: int = bounded(640, low=16, high=8192)
    format: Literal["png", "jpg"] = "png"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelConfig:
    """Conventions of the labels; see docs/annotations.md.

    `merge_mm` joins defects of one kind on one part that are no further apart;
    `pad_px` widens defect masks (negative: narrows them), `pad_px_by_kind` those of a kind (by its
    name, in place of `pad_px`); `polygons` writes polygons instead of RLE.
    """

    min_contrast: float = bounded(1.0, low=0)
    merge_mm: float = bounded(0.0, low=0)
    pad_px: int = bounded(0, low=-64, high=64)
    pad_px_by_kind: dict[str, int] = bounded(default_factory=dict, low=-64, high=64)
    polygons: bool = False

    def padding(self, kind: str) -> int:
        """Return by how many pixels masks of `kind` are widened, negative if narrowed."""
        return self.pad_px_by_kind.get(kind, self.pad_px)


@dataclass(frozen=True, slots=True, kw_only=True)
class PathtraceConfig:
    """How `pathtrace` draws; see docs/rendering.md.

    `samples` a pixel, `part_samples` wherever a labelled part is in view: defects are on
    them. `bounces` ends a path. `threads` is for one process, 0 for one a core.
    """

    samples: int = bounded(64, low=1, high=65536)
    part_samples: int = bounded(128, low=1, high=65536)
    bounces: int = bounded(6, low=1, high=64)
    variant: Literal["auto", "cuda", "llvm", "scalar"] = "auto"
    threads: int = bounded(1, low=0, high=1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class RendererConfig:
    """Which renderer draws, and how; `auto` is raster, or pathtrace where OpenGL is missing.

    `supersample`, samples a pixel side, `supersample_faces`, whether pixels that no edge crosses
    get them, too, and `shadow_map` are raster's.
    """

    name: Literal["raster", "pathtrace", "pyrender", "auto"] = "raster"
    allow_software: bool = False
    supersample: int = bounded(2, low=1, high=4)
    supersample_faces: bool = False
    shadow_map: int = bounded(768, low=128, high=8192)
    pathtrace: PathtraceConfig = field(default_factory=PathtraceConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputsConfig:
    """What is written of every frame beside image and labels; see docs/dataset.md.

    `depth_unit_mm` is what 1 means in a depth image, whose largest value is 65535.
    """

    depth: bool = False
    normals: bool = False
    instances: bool = False
    poses: bool = False
    depth_unit_mm: float = bounded(0.1, low=1e-4, high=100)


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderConfig:
    """A render job. `scene` stays plain here: its module parses its own ranges."""

    scene: dict[str, Any]
    out: str
    frames: int = bounded(48, low=1)
    seed: int = bounded(0, low=0)
    workers: int = bounded(0, low=0, high=1024)
    shard_size: int = bounded(12, low=1, high=100_000)
    executor: ExecutorConfig = field(default_factory=LocalConfig)
    views_per_scene: int = bounded(1, low=1, high=1000)
    exposures_per_view: int = bounded(1, low=1, high=100)
    image: ImageConfig = field(default_factory=ImageConfig)
    labels: LabelConfig = field(default_factory=LabelConfig)
    outputs: OutputsConfig = field(default_factory=OutputsConfig)
    renderer: RendererConfig = field(default_factory=RendererConfig)
    dataset: DatasetConfig = field(default_factory=DatasetConfig)

    @property
    def scene_name(self) -> str:
        """Name of the scene family, `scenes/<name>.py`."""
        return str(self.scene["name"])


def parse_render(plain: dict[str, Any]) -> RenderConfig:
    """Parse a composed render config.

    Raises:
        ConfigError: See `parse`; also when no scene was chosen.
    """
    scene = plain.get("scene")
    if not isinstance(scene, dict) or not isinstance(scene.get("name"), str):
        raise ConfigError("scene: none was chosen; add +scene=inspection (or another scene's name)")
    if not re.fullmatch(r"[A-Za-z0-9_]+", scene["name"]):
        raise ConfigError(f"scene.name: {scene['name']!r} may hold letters, digits and _ only")
    if plain.get("executor") == "local":
        # As datasets of the first version have it.
        plain = {**plain, "executor": {"name": "local"}}
    return parse(RenderConfig, plain)
