"""Machined, cast and painted parts dropped on a bench or into a tray, under mixed lights.

Copy this file and its ranges, `conf/scene/inspection.yaml`, to make a scene of your
own. Only the functions here draw; each takes its generator first.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from simgen.config import bounded
from simgen.config.render import ImageConfig
from simgen.defects.place import KindRanges, check_kinds, parse_kinds
from simgen.geometry import to_vec3
from simgen.parts.zones import Zone
from simgen.physics.pile import pile
from simgen.randomize.camera import CameraRanges, sample_camera
from simgen.randomize.damage import with_damage
from simgen.randomize.lighting import LightRanges, on_light_table, sample_lighting
from simgen.randomize.occluders import OccluderRanges, sample_occluders, sample_tool
from simgen.randomize.part import (
    FinishRanges,
    PartRanges,
    check_finish,
    check_parts,
    pick,
    sample_object,
)
from simgen.randomize.sensor import SensorRanges, sample_sensor
from simgen.randomize.support import SupportRanges, sample_support
from simgen.randomize.surround import EnvironmentRanges, behind_lamps
from simgen.sampling import Distribution, Streams, sample_count
from simgen.scene.spec import ObjectSpec, SceneSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Everything under `scene`; see conf/scene/inspection.yaml."""

    part_count: Distribution = bounded(low=1, high=30)
    texel_mm: float = bounded(above=0)
    parts: dict[str, PartRanges]
    finishes: dict[str, FinishRanges]
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
    zones: dict[str, Zone] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_parts(self.parts, self.finishes, "scene.parts")
        things = self.occluders
        if max(things.count.support()[1], things.loose_tools.support()[1]) > 0:
            check_parts(things.kinds, self.finishes, "scene.occluders.kinds")
        for name, finish in self.finishes.items():
            check_finish(finish, f"scene.finishes.{name}")
        check_finish(self.support.bench, "scene.support.bench")
        check_finish(self.support.tray, "scene.support.tray")
        check_kinds(self.defects, self.clean_share, self.marks, self.mark_count, self.zones)


def categories(ranges: Ranges) -> tuple[tuple[str, str], ...]:
    """Return every label this scene can make: parts first, then defects."""
    parts = [(kind, "part") for kind in sorted(ranges.parts)]
    kinds = {entry.kind or name for name, entry in ranges.defects.items()}
    return (*parts, *((kind, "defect") for kind in sorted(kinds)))


def sample_objects(streams: Streams, ranges: Ranges) -> tuple[ObjectSpec, ...]:
    """Draw parts and loose tools, let them settle, then put defects and marks on the parts."""
    support, area = sample_support(streams, ranges.support)
    count = sample_count(streams.scene("part count"), ranges.part_count)
    parts = [sample_part(streams, ranges, k) for k in range(count)]
    tool_rng = streams.scene("tools")
    tools = [
        sample_tool(streams, tool_rng, ranges.occluders, ranges.finishes, k)
        for k in range(sample_count(tool_rng, ranges.occluders.loose_tools))
    ]
    loose = [*parts, *tools]
    floor = 2.0 if len(support) > 1 else 0.0
    resting = pile(streams.scene("drop"), loose, support, area_mm=area, floor_mm=floor)
    kinds = parse_kinds(ranges.defects, "scene.defects")
    marks = parse_kinds(ranges.marks, "scene.marks", marks=True)
    return tuple(
        with_damage(streams, ranges, k, o, kinds, marks, ranges.zones)
        for k, o in enumerate(resting)
    )


def sample_part(streams: Streams, ranges: Ranges, number: int) -> ObjectSpec:
    """Draw a part's kind, dimensions and finish."""
    rng = streams.scene("parts", number)
    kind = pick(rng, ranges.parts)
    part = sample_object(
        streams,
        rng,
        kind,
        ranges.parts[kind],
        ranges.finishes,
        name=f"{kind}{number}",
        texel_mm=ranges.texel_mm,
    )
    return replace(part, category=kind, mass_kg=0.15)


def sample_frame(
    streams: Streams, ranges: Ranges, image: ImageConfig, objects: tuple[ObjectSpec, ...]
) -> SceneSpec:
    """Draw camera, occluders, lights and sensor of one frame."""
    parts = [o for o in objects if o.category is not None]
    centres = np.array([o.pose.position_mm for o in parts]) if parts else np.zeros((1, 3))
    camera = sample_camera(streams.view("camera"), ranges.camera, image, centres)
    occluders = sample_occluders(streams, ranges.occluders, ranges.finishes, camera, centres)
    lighting = sample_lighting(streams, ranges.lights, to_vec3(centres.mean(axis=0)), camera)
    return SceneSpec(
        scene="inspection",
        objects=(*on_light_table(objects, lighting.glow), *occluders),
        lights=lighting.lights,
        environment=behind_lamps(streams, ranges.environment, lighting, ranges.sha256),
        camera=camera,
        sensor=sample_sensor(streams, ranges.sensor),
    )
