"""A part from your own CAD file, dropped on a bench or into a tray, its defects in zones.

docs/own-part.md goes through it step by step. Lengths in `conf/scene/own_part.yaml` that
belong to the surroundings (camera distance, bench, area) are for a part 100 mm long and
grow and shrink with yours; sizes of defects are what they say.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from simgen.config import bounded
from simgen.config.render import ImageConfig
from simgen.dataset.assets import Asset, user_asset
from simgen.defects.place import KindRanges, check_kinds, parse_kinds
from simgen.errors import AssetError, ConfigError
from simgen.geometry import Vec3, to_vec3
from simgen.parts.build import FILE_KIND, build_mesh
from simgen.parts.cad import require_known_format
from simgen.parts.file_part import longest_side_mm
from simgen.parts.zones import Zone, require_places
from simgen.physics.pieces import convex_pieces
from simgen.physics.pile import pile
from simgen.randomize.camera import CameraRanges, sample_camera
from simgen.randomize.damage import with_damage
from simgen.randomize.lighting import LightRanges, on_light_table, sample_lighting
from simgen.randomize.occluders import OccluderRanges, sample_occluders, sample_tool
from simgen.randomize.part import FinishRanges, check_finish, check_parts, sample_finish
from simgen.randomize.sensor import SensorRanges, sample_sensor
from simgen.randomize.support import TRAY_SHEET_MM, SupportRanges, sample_support
from simgen.randomize.surround import EnvironmentRanges, behind_lamps
from simgen.sampling import Constant, Distribution, Streams, sample_count
from simgen.scene.files import read_bytes
from simgen.scene.spec import FileSpec, ObjectSpec, SceneSpec, ShapeSpec

# The part's length that the surroundings in the conf file are meant for.
USUAL_MM = 100.0
# Texels along the part's longest side where `texel_mm` is not set.
TEXELS_ALONG = 360


@dataclass(frozen=True, slots=True, kw_only=True)
class UserPart:
    """The user's file and how the part is made; see conf/scene/own_part.yaml."""

    file: str
    unit: Literal["mm", "cm", "m", "inch"]
    licence: str
    name: str = ""
    finishes: tuple[str, ...] = bounded(nonempty=True)
    process: Vec3 = (1.0, 0.0, 0.0)
    axis: Vec3 = (0.0, 0.0, 1.0)
    mass_kg: float = bounded(0.15, above=0)
    crease_deg: float = bounded(30.0, low=1, high=179)
    chord_mm: float = bounded(0.02, above=0)

    def category(self) -> str:
        """Return the label: `name`, or what the file is called."""
        return self.name or Path(self.file).stem


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Everything under `scene`; see conf/scene/own_part.yaml."""

    part: UserPart
    part_count: Distribution = bounded(low=1, high=30)
    texel_mm: float | None = bounded(None, above=0)
    finishes: dict[str, FinishRanges]
    zones: dict[str, Zone] = field(default_factory=dict)
    support: SupportRanges
    clean_share: float = bounded(low=0, high=1)
    defect_count: Distribution = bounded(low=1, high=12)
    defects: dict[str, KindRanges]
    mark_count: Distribution = bounded(low=0, high=12)
    marks: dict[str, KindRanges]
    occluders: OccluderRanges
    camera: CameraRanges
    lights: LightRanges
    environment: EnvironmentRanges = field(default_factory=EnvironmentRanges)
    sensor: SensorRanges
    sha256: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.part.finishes:
            if name not in self.finishes:
                raise ConfigError(
                    f"scene.part.finishes: no finish {name!r}; "
                    f"scene.finishes has {', '.join(sorted(self.finishes))}"
                )
        for key in ("process", "axis"):
            if not any(getattr(self.part, key)):
                raise ConfigError(f"scene.part.{key}: must not be all 0; [1, 0, 0] is along x")
        things = self.occluders
        if max(things.count.support()[1], things.loose_tools.support()[1]) > 0:
            check_parts(things.kinds, self.finishes, "scene.occluders.kinds")
        for name, finish in self.finishes.items():
            check_finish(finish, f"scene.finishes.{name}")
        check_finish(self.support.bench, "scene.support.bench")
        check_finish(self.support.tray, "scene.support.tray")
        check_kinds(self.defects, self.clean_share, self.marks, self.mark_count, self.zones)


def assets(ranges: Ranges) -> tuple[Asset, ...]:
    """Check the part, its zones and its physics; return the files that they come from.

    Raises:
        AssetError: A file is missing, broken, or not what `sha256` noted.
        ConfigError: A zone does not exist on this part.
    """
    files = {ranges.part.file: "the part, as the config names it"}
    require_known_format(ranges.part.file)
    for name, zone in ranges.zones.items():
        if zone.mask:
            files[zone.mask] = f"painted mask of zone {name}"
    found = []
    for path, source in sorted(files.items()):
        _, sha256 = read_bytes(path)
        if ranges.sha256.get(path, sha256) != sha256:
            raise AssetError(
                f"{path}: has changed since the dataset was begun; put the old one back"
            )
        found.append(user_asset(path, spdx=ranges.part.licence, source=source, sha256=sha256))
    shape = part_shape(ranges)
    require_places(shape, ranges.zones)
    convex_pieces(shape)
    return tuple(found)


def categories(ranges: Ranges) -> tuple[tuple[str, str], ...]:
    """Return every label this scene can make: the part first, then defects."""
    kinds = {entry.kind or name for name, entry in ranges.defects.items()}
    return ((ranges.part.category(), "part"), *((kind, "defect") for kind in sorted(kinds)))


def part_shape(ranges: Ranges) -> ShapeSpec:
    """Return the part by reference to its file."""
    part = ranges.part
    file = FileSpec(
        path=part.file,
        unit=part.unit,
        sha256=ranges.sha256.get(part.file) or read_bytes(part.file)[1],
        crease_deg=part.crease_deg,
        chord_mm=part.chord_mm,
    )
    texel_mm = ranges.texel_mm or longest_side_mm(file) / TEXELS_ALONG
    return ShapeSpec(kind=FILE_KIND, size_mm={}, texel_mm=texel_mm, file=file)


def sample_objects(streams: Streams, ranges: Ranges) -> tuple[ObjectSpec, ...]:
    """Draw parts and loose tools, let them settle, then put defects and marks on the parts."""
    shape = part_shape(ranges)
    scale = _scale(shape)
    support, area = sample_support(streams, ranges.support, scale)
    count = sample_count(streams.scene("part count"), ranges.part_count)
    parts = [sample_part(streams.scene("parts", k), ranges, shape, k) for k in range(count)]
    tool_rng = streams.scene("tools")
    tools = [
        sample_tool(streams, tool_rng, ranges.occluders, ranges.finishes, k)
        for k in range(sample_count(tool_rng, ranges.occluders.loose_tools))
    ]
    floor = TRAY_SHEET_MM if len(support) > 1 else 0.0
    resting = pile(streams.scene("drop"), [*parts, *tools], support, area_mm=area, floor_mm=floor)
    kinds = parse_kinds(ranges.defects, "scene.defects")
    marks = parse_kinds(ranges.marks, "scene.marks", marks=True)
    return tuple(
        with_damage(streams, ranges, k, o, kinds, marks, ranges.zones)
        for k, o in enumerate(resting)
    )


def sample_part(
    rng: np.random.Generator, ranges: Ranges, shape: ShapeSpec, number: int
) -> ObjectSpec:
    """Draw a part's finish."""
    part = ranges.part
    weights = np.array([ranges.finishes[name].weight for name in part.finishes])
    chosen = part.finishes[int(rng.choice(len(weights), p=weights / weights.sum()))]
    finish = sample_finish(rng, ranges.finishes[chosen], part.process)
    if finish.around:
        finish = replace(finish, direction=part.axis)
    return ObjectSpec(
        name=f"{part.category()}{number}",
        shape=shape,
        finish=finish,
        category=part.category(),
        mass_kg=part.mass_kg,
    )


def sample_frame(
    streams: Streams, ranges: Ranges, image: ImageConfig, objects: tuple[ObjectSpec, ...]
) -> SceneSpec:
    """Draw camera, occluders, lights and sensor of one frame."""
    parts = [o for o in objects if o.category is not None]
    centres = np.array([o.pose.position_mm for o in parts]) if parts else np.zeros((1, 3))
    rng = streams.view("camera")
    scale = _scale(part_shape(ranges))
    near = replace(
        ranges.camera,
        distance_mm=Constant(scale * ranges.camera.distance_mm.sample(rng)),
        aim_mm=Constant(scale * ranges.camera.aim_mm.sample(rng)),
    )
    camera = sample_camera(rng, near, image, centres)
    occluders = sample_occluders(streams, ranges.occluders, ranges.finishes, camera, centres)
    middle = to_vec3(centres.mean(axis=0))
    lighting = sample_lighting(streams, ranges.lights, middle, camera, scale)
    return SceneSpec(
        scene="own_part",
        objects=(*on_light_table(objects, lighting.glow), *occluders),
        lights=lighting.lights,
        environment=behind_lamps(streams, ranges.environment, lighting, ranges.sha256),
        camera=camera,
        sensor=sample_sensor(streams, ranges.sensor),
    )


def _scale(shape: ShapeSpec) -> float:
    return float(np.ptp(build_mesh(shape).vertices_mm, axis=0).max()) / USUAL_MM
