"""Machined, cast and painted parts dropped on a bench or into a tray, under mixed lights.

Copy this file and its ranges, `conf/scene/inspection.yaml`, to make a scene of your
own. Only the functions here draw; each takes its generator first.
"""

from dataclasses import dataclass, replace

import numpy as np

from simgen.config import bounded
from simgen.config.render import ImageConfig
from simgen.defects.kinds import kind_module
from simgen.defects.place import KindRanges, Kinds, check_kinds, keep_apart, parse_kinds
from simgen.geometry import Vec3, quaternion_of, to_vec3
from simgen.parts.build import build_mesh
from simgen.parts.sites import pick_site
from simgen.physics.drop import drop_poses
from simgen.physics.settle import settle
from simgen.randomize.camera import CameraRanges, sample_camera
from simgen.randomize.lighting import LightRanges, sample_lights, sample_surround
from simgen.randomize.part import (
    FinishRanges,
    PartRanges,
    check_finish,
    check_parts,
    pick,
    sample_finish,
    sample_object,
)
from simgen.randomize.sensor import SensorRanges, sample_sensor
from simgen.sampling import Distribution, Streams, sample_count
from simgen.scene.spec import (
    CameraSpec,
    DefectSpec,
    ObjectSpec,
    PoseSpec,
    SceneSpec,
    ShapeSpec,
)

UP: Vec3 = (0.0, 0.0, 1.0)
PROP_TEXEL_MM = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportRanges:
    """What the parts lie on; in a tray with chance `tray_share`."""

    tray_share: float = bounded(low=0, high=1)
    tray_mm: Distribution = bounded(above=0)
    area_mm: Distribution = bounded(above=0)
    bench: FinishRanges
    tray: FinishRanges


@dataclass(frozen=True, slots=True, kw_only=True)
class OccluderRanges:
    """Things in the foreground; `reach` is where between parts (0) and camera (1) they hover."""

    count: Distribution = bounded(low=0, high=8)
    reach: Distribution = bounded(above=0, high=0.9)
    offset_mm: Distribution = bounded(low=0)
    kinds: dict[str, PartRanges]
    loose_tools: Distribution = bounded(low=0, high=4)


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
    sensor: SensorRanges

    def __post_init__(self) -> None:
        check_parts(self.parts, self.finishes, "scene.parts")
        things = self.occluders
        if max(things.count.support()[1], things.loose_tools.support()[1]) > 0:
            check_parts(things.kinds, self.finishes, "scene.occluders.kinds")
        for name, finish in self.finishes.items():
            check_finish(finish, f"scene.finishes.{name}")
        check_finish(self.support.bench, "scene.support.bench")
        check_finish(self.support.tray, "scene.support.tray")
        check_kinds(self.defects, self.clean_share, self.marks, self.mark_count)


def categories(ranges: Ranges) -> tuple[tuple[str, str], ...]:
    """Return every label this scene can make: parts first, then defects."""
    parts = [(kind, "part") for kind in sorted(ranges.parts)]
    kinds = {entry.kind or name for name, entry in ranges.defects.items()}
    return (*parts, *((kind, "defect") for kind in sorted(kinds)))


def sample_objects(streams: Streams, ranges: Ranges) -> tuple[ObjectSpec, ...]:
    """Draw parts and loose tools, let them settle, then put defects and marks on the parts."""
    support, area = sample_support(streams.scene("support"), ranges.support)
    count = sample_count(streams.scene("part count"), ranges.part_count)
    parts = [sample_part(streams.scene("parts", k), ranges, k) for k in range(count)]
    tool_rng = streams.scene("tools")
    tools = [
        sample_tool(tool_rng, ranges, k)
        for k in range(sample_count(tool_rng, ranges.occluders.loose_tools))
    ]
    loose = [*parts, *tools]
    floor = 2.0 if len(support) > 1 else 0.0
    poses = drop_poses(
        streams.scene("drop"), [o.shape for o in loose], area_mm=(area, area), floor_mm=floor
    )
    placed = [replace(o, pose=pose) for o, pose in zip(loose, poses, strict=True)]
    settled = settle([*placed, *support])
    resting = [o for o, rests in zip(settled.objects, settled.at_rest, strict=True) if rests]
    kinds = parse_kinds(ranges.defects, "scene.defects")
    marks = parse_kinds(ranges.marks, "scene.marks", marks=True)
    return tuple(_with_defects(streams, ranges, k, o, kinds, marks) for k, o in enumerate(resting))


def sample_support(
    rng: np.random.Generator, ranges: SupportRanges
) -> tuple[tuple[ObjectSpec, ...], float]:
    """Draw the bench, a tray on it by chance, and the side of the square that parts fall on."""
    bench = ObjectSpec(
        name="bench",
        shape=ShapeSpec(
            kind="bench", size_mm={"length": 840.0, "width": 840.0, "thickness": 20.0}, texel_mm=1.4
        ),
        finish=sample_finish(rng, ranges.bench, (1.0, 0.0, 0.0)),
        body="fixed",
        casts_shadow=False,
    )
    area = ranges.area_mm.sample(rng)
    if rng.uniform() >= ranges.tray_share:
        return (bench,), area
    side = ranges.tray_mm.sample(rng)
    tray = ObjectSpec(
        name="tray",
        shape=ShapeSpec(
            kind="tray",
            size_mm={"length": side, "width": 0.8 * side, "height": float(rng.uniform(12, 30))},
            texel_mm=0.8,
        ),
        finish=sample_finish(rng, ranges.tray, (1.0, 0.0, 0.0)),
        body="fixed",
    )
    return (bench, tray), min(area, 0.72 * side)


def sample_part(rng: np.random.Generator, ranges: Ranges, number: int) -> ObjectSpec:
    """Draw a part's kind, dimensions and finish."""
    kind = pick(rng, ranges.parts)
    part = sample_object(
        rng,
        kind,
        ranges.parts[kind],
        ranges.finishes,
        name=f"{kind}{number}",
        texel_mm=ranges.texel_mm,
    )
    return replace(part, category=kind, mass_kg=0.15)


def sample_tool(rng: np.random.Generator, ranges: Ranges, number: int) -> ObjectSpec:
    """Draw a tool that lies among the parts; it is never labelled."""
    kinds = ranges.occluders.kinds
    kind = "screwdriver" if "screwdriver" in kinds else pick(rng, kinds)
    tool = sample_object(
        rng, kind, kinds[kind], ranges.finishes, name=f"tool{number}", texel_mm=PROP_TEXEL_MM
    )
    return replace(tool, mass_kg=0.08)


def _with_defects(
    streams: Streams, ranges: Ranges, k: int, item: ObjectSpec, kinds: Kinds, marks: Kinds
) -> ObjectSpec:
    """Put defects on the side of a part that lies up, and marks anywhere."""
    if item.category is None:
        return item
    turn = item.pose.matrix()[:3, :3]
    up = to_vec3(turn.T @ np.array(UP))
    mesh = build_mesh(item.shape)
    defects: list[DefectSpec] = []
    rng = streams.scene("defect count", k)
    if rng.uniform() >= ranges.clean_share:
        for j in range(sample_count(rng, ranges.defect_count)):
            draw = streams.scene("defects", 100 * k + j)
            name = kinds.pick(draw)
            site = pick_site(
                draw, mesh, edge_mm=(1.5, np.inf), facing=(up,), cone_deg=50.0,
                process_direction=item.finish.direction,
            )  # fmt: skip
            if site is not None:
                defects.append(kind_module(kinds.kind[name]).sample(draw, kinds.ranges[name], site))
    blemishes = []
    for j in range(sample_count(streams.scene("mark count", k), ranges.mark_count)):
        draw = streams.scene("marks", 100 * k + j)
        name = marks.pick(draw)
        site = pick_site(draw, mesh, process_direction=item.finish.direction)
        if site is not None:
            blemishes.append(kind_module(marks.kind[name]).sample(draw, marks.ranges[name], site))
    return replace(item, defects=keep_apart(defects), marks=tuple(blemishes))


def sample_frame(
    streams: Streams, ranges: Ranges, image: ImageConfig, objects: tuple[ObjectSpec, ...]
) -> SceneSpec:
    """Draw camera, occluders, lights and sensor of one frame."""
    parts = [o for o in objects if o.category is not None]
    centres = np.array([o.pose.position_mm for o in parts]) if parts else np.zeros((1, 3))
    camera = sample_camera(streams.view("camera"), ranges.camera, image, centres)
    occluders = sample_occluders(streams, ranges, camera, centres)
    middle = to_vec3(centres.mean(axis=0))
    return SceneSpec(
        scene="inspection",
        objects=(*objects, *occluders),
        lights=sample_lights(streams.scene("lights"), ranges.lights, middle, camera),
        environment=sample_surround(streams.scene("surround"), ranges.lights),
        camera=camera,
        sensor=sample_sensor(streams, ranges.sensor),
    )


def sample_occluders(
    streams: Streams, ranges: Ranges, camera: CameraSpec, centres_mm: np.ndarray
) -> tuple[ObjectSpec, ...]:
    """Draw things that reach into the picture between camera and parts."""
    eye = np.asarray(camera.pose.position_mm)
    right, down = camera.pose.matrix()[:3, 0], camera.pose.matrix()[:3, 1]
    result = []
    kinds = ranges.occluders.kinds
    for k in range(sample_count(streams.view("occluder count"), ranges.occluders.count)):
        rng = streams.scene("occluders", 100 * streams.index.view + k)
        kind = pick(rng, kinds)
        item = sample_object(
            rng, kind, kinds[kind], ranges.finishes, name=f"occluder{k}", texel_mm=PROP_TEXEL_MM
        )
        at = centres_mm[int(rng.integers(len(centres_mm)))]
        at = at + ranges.occluders.reach.sample(rng) * (eye - at)
        angle = rng.uniform(0, 2 * np.pi)
        away = np.cos(angle) * right + np.sin(angle) * down
        # Long things enter from outside the picture: their long axis points away from it.
        extent = np.ptp(build_mesh(item.shape).vertices_mm, axis=0)
        longest = int(np.argmax(extent))
        axis = away + 0.35 * rng.normal(size=3)
        rotation = _frame_along(axis, longest)
        place = at + away * (ranges.occluders.offset_mm.sample(rng) + 0.5 * float(extent[longest]))
        pose = PoseSpec(position_mm=to_vec3(place), quaternion=quaternion_of(rotation))
        result.append(replace(item, pose=pose, body="none"))
    return tuple(result)


def _frame_along(axis: np.ndarray, column: int) -> np.ndarray:
    """Return a rotation whose given column points along `axis`."""
    a = axis / np.linalg.norm(axis)
    helper = np.array([0, 0, 1.0]) if abs(a[2]) < 0.9 else np.array([0, 1.0, 0])
    b = np.cross(helper, a)
    b /= np.linalg.norm(b)
    columns = [np.zeros(3)] * 3
    columns[column], columns[(column + 1) % 3] = a, b
    columns[(column + 2) % 3] = np.cross(a, b)
    return np.stack(columns, axis=1)
