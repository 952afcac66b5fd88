"""Machined, cast and painted parts dropped on a bench or into a tray, under mixed lights.

Copy this file and its ranges, `conf/scene/inspection.yaml`, to make a scene of your
own. Only the functions here draw; each takes its generator first.
"""

from dataclasses import dataclass, replace

import numpy as np

from simgen.config import bounded
from simgen.config.render import ImageConfig
from simgen.defects.kinds import kind_module
from simgen.defects.place import KindRanges, Kinds, keep_apart, parse_kinds
from simgen.errors import ConfigError
from simgen.geometry import Vec3, axis_rotation, look_at, quaternion_of, to_vec3
from simgen.parts.build import build_mesh, size_keys
from simgen.parts.draw import sample_shape
from simgen.parts.sites import pick_site
from simgen.physics.drop import drop_poses
from simgen.physics.settle import settle
from simgen.sampling import Distribution, Streams, sample_count
from simgen.scene.spec import (
    CameraSpec,
    DefectSpec,
    EnvironmentSpec,
    FinishSpec,
    LightSpec,
    ObjectSpec,
    PanelSpec,
    PoseSpec,
    SceneSpec,
    SensorSpec,
    ShapeSpec,
)

UP: Vec3 = (0.0, 0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishRanges:
    """A finish that parts may have: a kind in `finishes.FINISHES` and its ranges."""

    kind: str
    weight: float = bounded(1.0, low=0)
    colours: tuple[tuple[float, float, float], ...]
    tone: Distribution = bounded(above=0)
    roughness: Distribution = bounded(above=0, high=1)
    metalness: Distribution = bounded(low=0, high=1)
    anisotropy: Distribution = bounded(low=0, high=1)
    values: dict[str, Distribution] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRanges:
    """A kind of part: its dimensions, which finishes it has, and its process direction."""

    weight: float = bounded(1.0, low=0)
    size_mm: dict[str, Distribution]
    finishes: tuple[str, ...]
    process: Vec3 = (1.0, 0.0, 0.0)


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
class CameraRanges:
    """Pinhole camera that looks at where the parts came to rest."""

    distance_mm: Distribution = bounded(above=100)
    elevation_deg: Distribution = bounded(low=5, high=90)
    field_of_view_deg: Distribution = bounded(above=1, high=120)
    roll_deg: Distribution = bounded(low=-180, high=180)
    aim_mm: Distribution = bounded(low=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LightRanges:
    """Key, fill, ring and bar lights, and the surroundings."""

    key: Distribution = bounded(low=0)
    key_size_mm: Distribution = bounded(above=0)
    key_elevation_deg: Distribution = bounded(low=5, high=90)
    fill: Distribution = bounded(low=0)
    ring_share: float = bounded(low=0, high=1)
    ring: Distribution = bounded(low=0)
    bar_share: float = bounded(low=0, high=1)
    bar: Distribution = bounded(low=0)
    warmth: Distribution = bounded(low=-1, high=1)
    surround: Distribution = bounded(low=0)
    panels: Distribution = bounded(low=0, high=12)


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorRanges:
    """A colour camera."""

    exposure: Distribution = bounded(above=0)
    contrast: Distribution = bounded(low=0, high=1)
    vignetting: Distribution = bounded(low=0, high=1)
    defocus_px: Distribution = bounded(low=0)
    motion_px: Distribution = bounded(low=0)
    shot_noise: Distribution = bounded(low=0)
    read_noise: Distribution = bounded(low=0)
    white_balance: Distribution = bounded(above=0)


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
        for group, parts in (("parts", self.parts), ("occluders.kinds", self.occluders.kinds)):
            for kind, part in parts.items():
                known = size_keys(kind)
                for name in part.size_mm:
                    if name not in known:
                        raise ConfigError(
                            f"scene.{group}.{kind}.size_mm.{name}: unknown key; "
                            f"valid here: {', '.join(sorted(known))}"
                        )
                for name in part.finishes:
                    if name not in self.finishes:
                        raise ConfigError(
                            f"scene.{group}.{kind}.finishes: no finish {name!r}; "
                            f"scene.finishes has {', '.join(sorted(self.finishes))}"
                        )
        parse_kinds(self.defects, "scene.defects")
        parse_kinds(self.marks, "scene.marks")


def categories(ranges: Ranges) -> tuple[tuple[str, str], ...]:
    """Return every label this scene can make: parts first, then defects."""
    parts = [(kind, "part") for kind in sorted(ranges.parts)]
    return (*parts, *((kind, "defect") for kind in sorted(ranges.defects)))


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
    marks = parse_kinds(ranges.marks, "scene.marks")
    return tuple(_with_defects(streams, ranges, k, o, kinds, marks) for k, o in enumerate(resting))


def sample_support(
    rng: np.random.Generator, ranges: SupportRanges
) -> tuple[tuple[ObjectSpec, ...], float]:
    """Draw the bench, a tray on it by chance, and the side of the square that parts fall on."""
    bench = ObjectSpec(
        name="bench",
        shape=ShapeSpec(
            kind="bench", size_mm={"length": 840.0, "width": 840.0, "thickness": 20.0}, texel_mm=1.0
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
            texel_mm=0.6,
        ),
        finish=sample_finish(rng, ranges.tray, (1.0, 0.0, 0.0)),
        body="fixed",
    )
    return (bench, tray), min(area, 0.72 * side)


def sample_part(rng: np.random.Generator, ranges: Ranges, number: int) -> ObjectSpec:
    """Draw a part's kind, dimensions and finish."""
    names = sorted(ranges.parts)
    weights = np.array([ranges.parts[n].weight for n in names])
    kind = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    part = ranges.parts[kind]
    return ObjectSpec(
        name=f"{kind}{number}",
        category=kind,
        shape=_shape(rng, kind, part, ranges.texel_mm),
        finish=_pick_finish(rng, ranges, part),
        mass_kg=0.15,
    )


def sample_tool(rng: np.random.Generator, ranges: Ranges, number: int) -> ObjectSpec:
    """Draw a screwdriver that lies among the parts; it is never labelled."""
    kind = "screwdriver" if "screwdriver" in ranges.occluders.kinds else sorted(ranges.occluders.kinds)[0]
    part = ranges.occluders.kinds[kind]
    return ObjectSpec(
        name=f"tool{number}",
        shape=_shape(rng, kind, part, 0.5),
        finish=_pick_finish(rng, ranges, part),
        mass_kg=0.08,
    )


def _shape(rng: np.random.Generator, kind: str, part: PartRanges, texel_mm: float) -> ShapeSpec:
    return sample_shape(rng, kind, part.size_mm, texel_mm=texel_mm, key=f"scene: {kind}.size_mm")


def _pick_finish(rng: np.random.Generator, ranges: Ranges, part: PartRanges) -> FinishSpec:
    weights = np.array([ranges.finishes[n].weight for n in part.finishes])
    name = part.finishes[int(rng.choice(len(weights), p=weights / weights.sum()))]
    return sample_finish(rng, ranges.finishes[name], part.process)


def sample_finish(rng: np.random.Generator, ranges: FinishRanges, process: Vec3) -> FinishSpec:
    """Draw a finish."""
    colour = ranges.colours[int(rng.integers(len(ranges.colours)))]
    tone = ranges.tone.sample(rng)
    r, g, b = (min(c * tone, 1.0) for c in colour)
    values = ranges.values or {}
    return FinishSpec(
        kind=ranges.kind,
        colour=(r, g, b),
        roughness=ranges.roughness.sample(rng),
        metalness=ranges.metalness.sample(rng),
        anisotropy=ranges.anisotropy.sample(rng),
        direction=UP if ranges.kind == "turned" else process,
        values={name: values[name].sample(rng) for name in sorted(values)},
        seed=int(rng.integers(2**31)),
    )


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
            kind = kinds.pick(draw)
            site = pick_site(
                draw, mesh, edge_mm=(1.5, np.inf), facing=(up,), cone_deg=50.0,
                process_direction=item.finish.direction,
            )  # fmt: skip
            if site is not None:
                defects.append(kind_module(kind).sample(draw, kinds.ranges[kind], site))
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


def sample_camera(
    rng: np.random.Generator, ranges: CameraRanges, image: ImageConfig, centres_mm: np.ndarray
) -> CameraSpec:
    """Draw a camera that aims near the middle of the parts, shape (N, 3)."""
    aim = ranges.aim_mm.sample(rng) * rng.normal(size=3) * np.array([1, 1, 0])
    target = centres_mm.mean(axis=0) + aim
    azimuth = rng.uniform(0, 2 * np.pi)
    elevation = np.deg2rad(ranges.elevation_deg.sample(rng))
    distance = ranges.distance_mm.sample(rng)
    offset = np.array(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
    )
    eye = to_vec3(target + distance * offset)
    rotation = look_at(eye, to_vec3(target), ranges.roll_deg.sample(rng))
    half = np.deg2rad(ranges.field_of_view_deg.sample(rng)) / 2
    focal = float(max(image.width, image.height) / 2 / np.tan(half))
    return CameraSpec(
        width=image.width,
        height=image.height,
        fx=focal,
        fy=focal,
        cx=(image.width - 1) / 2,
        cy=(image.height - 1) / 2,
        pose=PoseSpec(position_mm=eye, quaternion=quaternion_of(rotation)),
    )


def sample_occluders(
    streams: Streams, ranges: Ranges, camera: CameraSpec, centres_mm: np.ndarray
) -> tuple[ObjectSpec, ...]:
    """Draw things that reach into the picture between camera and parts."""
    eye = np.asarray(camera.pose.position_mm)
    right, down = camera.pose.matrix()[:3, 0], camera.pose.matrix()[:3, 1]
    result = []
    kinds = sorted(ranges.occluders.kinds)
    for k in range(sample_count(streams.view("occluder count"), ranges.occluders.count)):
        rng = streams.scene("occluders", 100 * streams.index.view + k)
        weights = np.array([ranges.occluders.kinds[n].weight for n in kinds])
        kind = kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))]
        part = ranges.occluders.kinds[kind]
        shape = _shape(rng, kind, part, 0.5)
        at = centres_mm[int(rng.integers(len(centres_mm)))]
        at = at + ranges.occluders.reach.sample(rng) * (eye - at)
        angle = rng.uniform(0, 2 * np.pi)
        away = np.cos(angle) * right + np.sin(angle) * down
        # Long things enter from outside the picture: their axis (x or z) points away from it.
        extent = build_mesh(shape).vertices_mm.max(axis=0) - build_mesh(shape).vertices_mm.min(axis=0)
        longest = int(np.argmax(extent))
        axis = away + 0.35 * rng.normal(size=3)
        rotation = _frame_along(axis, longest)
        place = at + away * (ranges.occluders.offset_mm.sample(rng) + 0.5 * float(extent[longest]))
        result.append(
            ObjectSpec(
                name=f"occluder{k}",
                shape=shape,
                finish=_pick_finish(rng, ranges, part),
                pose=PoseSpec(position_mm=to_vec3(place), quaternion=quaternion_of(rotation)),
                body="none",
            )
        )
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


def sample_lights(
    rng: np.random.Generator, ranges: LightRanges, target: Vec3, camera: CameraSpec
) -> tuple[LightSpec, ...]:
    """Draw key and fill lamps, and by chance a ring at the camera and a bar across."""
    lights = []
    warmth = ranges.warmth.sample(rng)
    colour = (1 + 0.15 * warmth, 1.0, 1 - 0.2 * warmth)
    key_azimuth = float(rng.uniform(0, 360))
    key_elevation = ranges.key_elevation_deg.sample(rng)
    for irradiance, size, azimuth, elevation, shadow in (
        (ranges.key.sample(rng), ranges.key_size_mm.sample(rng), key_azimuth, key_elevation, True),
        (ranges.fill.sample(rng), 150.0, key_azimuth + float(rng.uniform(100, 260)), 40.0, False),
    ):
        position = _around(target, azimuth, elevation, float(rng.uniform(500, 900)))
        lights.append(
            LightSpec(
                kind="disc", position_mm=position, target_mm=target, axis=UP, size_mm=size,
                irradiance=irradiance, colour=colour, shadow=shadow,
            )  # fmt: skip
        )
    if rng.uniform() < ranges.ring_share:
        eye = np.asarray(camera.pose.position_mm)
        toward = np.asarray(target) - eye
        lights.append(
            LightSpec(
                kind="ring", position_mm=to_vec3(eye + 0.12 * toward), target_mm=target,
                axis=to_vec3(toward / np.linalg.norm(toward)), size_mm=float(rng.uniform(70, 140)),
                irradiance=ranges.ring.sample(rng),
            )  # fmt: skip
        )
    if rng.uniform() < ranges.bar_share:
        azimuth = float(rng.uniform(0, 360))
        position = _around(target, azimuth, float(rng.uniform(25, 70)), float(rng.uniform(250, 450)))
        across = axis_rotation(UP, azimuth + 90.0) @ np.array([1.0, 0, 0])
        lights.append(
            LightSpec(
                kind="bar", position_mm=position, target_mm=target, axis=to_vec3(across),
                size_mm=float(rng.uniform(150, 400)), irradiance=ranges.bar.sample(rng), shadow=True,
            )  # fmt: skip
        )
    return tuple(lights)


def _around(target: Vec3, azimuth_deg: float, elevation_deg: float, distance_mm: float) -> Vec3:
    a, e = np.deg2rad(azimuth_deg), np.deg2rad(elevation_deg)
    offset = np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])
    return to_vec3(np.asarray(target) + distance_mm * offset)


def sample_surround(rng: np.random.Generator, ranges: LightRanges) -> EnvironmentSpec:
    """Draw a hall: ceiling, walls, and panels of light."""
    panels = tuple(
        PanelSpec(
            azimuth_deg=float(rng.uniform(0, 360)),
            elevation_deg=float(rng.uniform(15, 85)),
            width_deg=float(rng.uniform(10, 60)),
            height_deg=float(rng.uniform(8, 45)),
            radiance=float(np.exp(rng.uniform(np.log(0.8), np.log(6.0)))),
            softness=float(rng.uniform(0.05, 0.5)),
        )
        for _ in range(sample_count(rng, ranges.panels))
    )
    wall = float(rng.uniform(0.15, 0.5))
    return EnvironmentSpec(
        zenith=(0.9 * wall, 0.95 * wall, wall),
        horizon=(wall, wall, 0.97 * wall),
        ground=(0.3 * wall, 0.29 * wall, 0.28 * wall),
        panels=panels,
        rotation_deg=float(rng.uniform(0, 360)),
        intensity=ranges.surround.sample(rng),
    )


def sample_sensor(streams: Streams, ranges: SensorRanges) -> SensorSpec:
    """Draw the camera's settings and this frame's noise."""
    rng = streams.view("sensor")
    return SensorSpec(
        exposure=ranges.exposure.sample(rng),
        contrast=ranges.contrast.sample(rng),
        vignetting=ranges.vignetting.sample(rng),
        defocus_px=ranges.defocus_px.sample(rng),
        motion_px=ranges.motion_px.sample(rng),
        motion_deg=float(rng.uniform(0, 180)),
        shot_noise=ranges.shot_noise.sample(rng),
        read_noise=ranges.read_noise.sample(rng),
        white_balance=(ranges.white_balance.sample(rng), 1.0, ranges.white_balance.sample(rng)),
        noise_seed=int(streams.frame("noise").integers(2**31)),
    )
