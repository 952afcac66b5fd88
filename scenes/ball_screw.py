"""Ball screw drives in service: a grooved shaft fills the picture, pitted, oily and soiled.

The shaft lies along the world's y, which is up in the picture; the camera looks straight
down on it. Its groove is ground along its helix, and pits are where the balls roll: on the
flanks of the groove.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from simgen.config import bounded
from simgen.config.render import ImageConfig
from simgen.defects.kinds import kind_module
from simgen.defects.place import KindRanges, check_kinds, keep_apart, parse_kinds, require_choice
from simgen.geometry import Vec3, look_at, quaternion_of, to_vec3
from simgen.parts.build import build_mesh
from simgen.parts.draw import sample_shape
from simgen.parts.mesh import TexelTable
from simgen.parts.shaft import groove_offset
from simgen.parts.sites import Site, pick_site, surface_tangent
from simgen.randomize.camera import centred
from simgen.randomize.part import FinishRanges, check_finish, check_sizes, sample_finish
from simgen.randomize.surround import EnvironmentRanges, with_panorama
from simgen.sampling import Distribution, Streams, sample_count
from simgen.scene.spec import (
    CameraSpec,
    DefectSpec,
    EnvironmentSpec,
    LightSpec,
    ObjectSpec,
    PanelSpec,
    PoseSpec,
    SceneSpec,
    SensorSpec,
    ShapeSpec,
)

# In the shaft's own frame, whose axis is z.
TOWARD_CAMERA: Vec3 = (1.0, 0.0, 0.0)
AXIS: Vec3 = (0.0, 0.0, 1.0)
# World from shaft: its axis along y, its front (+x) up.
LYING = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeRanges:
    """A make of drive: its shape, how often it is drawn, and how tall its pictures are."""

    weight: float = bounded(1.0, low=0)
    size_mm: dict[str, Distribution]
    image_height_px: Distribution = bounded(low=32)
    warmth: Distribution = bounded(low=-1, high=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlankRanges:
    """Where pits lie across the groove, as a share of half its width from its middle.

    `upper_share` is how often they are on the upper flank, which carries the load.
    """

    offset: Distribution = bounded(low=0, high=1)
    upper_share: float = bounded(low=0, high=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LightRanges:
    """Softboxes to the left and right of the camera, one above, a lamp, and the hall.

    `gap_deg` is how far from the camera's direction the side boxes begin: between them the
    shaft mirrors the dark camera. `box_width_deg` is their extent away from the camera,
    `box_height_deg` around it, `box_lift_deg` how far they are shifted to the picture's top.
    `lamp_azimuth_deg` counts from the picture's right toward its top.
    """

    gap_deg: Distribution = bounded(low=0, high=80)
    box_width_deg: Distribution = bounded(above=0, high=85)
    box_height_deg: Distribution = bounded(above=0, high=170)
    box_lift_deg: Distribution = bounded(low=-60, high=80)
    box_radiance: Distribution = bounded(low=0)
    top_share: float = bounded(low=0, high=1)
    top_elevation_deg: Distribution = bounded(low=0, high=85)
    lamp: Distribution = bounded(low=0)
    lamp_azimuth_deg: Distribution = bounded(low=-360, high=360)
    lamp_elevation_deg: Distribution = bounded(low=5, high=85)
    surround: Distribution = bounded(low=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraRanges:
    """Working distance and scale; the camera stands a little off and rolled."""

    distance_mm: Distribution = bounded(above=50, high=15_000)
    px_per_mm: Distribution = bounded(above=0)
    off_centre_mm: Distribution = bounded(low=0)
    roll_deg: Distribution = bounded(low=-45, high=45)


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorRanges:
    """A telephone's camera: it exposes by itself, compresses highlights and sharpens."""

    level: Distribution = bounded(above=0, high=0.95)
    white_point: Distribution = bounded(low=1)
    sharpening: Distribution = bounded(low=0, high=5)
    gamma: Distribution = bounded(low=0.5, high=3)
    contrast: Distribution = bounded(low=0, high=1)
    vignetting: Distribution = bounded(low=0, high=1)
    defocus_px: Distribution = bounded(low=0)
    shot_noise: Distribution = bounded(low=0)
    read_noise: Distribution = bounded(low=0)
    jpeg_quality: Distribution = bounded(low=0, high=100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Everything under `scene`; see conf/scene/ball_screw.yaml."""

    clean_share: float = bounded(low=0, high=1)
    defect_count: Distribution = bounded(low=1, high=12)
    defects: dict[str, KindRanges]
    flank: FlankRanges
    mark_count: Distribution = bounded(low=0, high=30)
    marks: dict[str, KindRanges]
    makes: dict[str, MakeRanges]
    texel_mm: float = bounded(above=0)
    finish: FinishRanges
    backdrop: FinishRanges
    lights: LightRanges
    environment: EnvironmentRanges = field(default_factory=EnvironmentRanges)
    camera: CameraRanges
    sensor: SensorRanges
    sha256: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_choice({n: m.weight for n, m in self.makes.items()}, "scene.makes")
        for name, make in self.makes.items():
            check_sizes("shaft", make.size_mm, f"scene.makes.{name}.size_mm")
        check_finish(self.finish, "scene.finish")
        check_finish(self.backdrop, "scene.backdrop")
        check_kinds(self.defects, self.clean_share, self.marks, self.mark_count)


def categories(ranges: Ranges) -> tuple[tuple[str, str], ...]:
    """Return every label this scene can make."""
    kinds = {entry.kind or name for name, entry in ranges.defects.items()}
    return (("shaft", "part"), *((kind, "defect") for kind in sorted(kinds)))


def sample_objects(streams: Streams, ranges: Ranges) -> tuple[ObjectSpec, ...]:
    """Draw the shaft with its finish, defects and soil, and what stands behind it."""
    make = ranges.makes[sample_make(streams.scene("make"), ranges)]
    shape = sample_shape(
        streams.scene("shaft"), "shaft", make.size_mm, texel_mm=ranges.texel_mm,
        key="scene.makes: size_mm",
    )  # fmt: skip
    finish = sample_finish(streams.scene("finish"), ranges.finish, AXIS)
    # The finish follows the groove, and soil gathers in it.
    size = shape.size_mm
    helix = {"lead_mm": size["lead"], "land_radius_mm": size["diameter"] / 2}
    finish = replace(finish, values={**finish.values, **helix})
    backdrop = ObjectSpec(
        name="backdrop",
        shape=ShapeSpec(
            kind="bench", size_mm={"length": 300.0, "width": 300.0, "thickness": 4.0}, texel_mm=1.0
        ),
        finish=sample_finish(streams.scene("backdrop"), ranges.backdrop, AXIS),
        pose=PoseSpec(position_mm=(0.0, 0.0, -120.0)),
        casts_shadow=False,
        body="none",
    )
    # Half the height of what the lowest picture shows of the shaft, mm.
    seen = make.image_height_px.support()[0] / ranges.camera.px_per_mm.support()[1] / 2
    item = ObjectSpec(
        name="shaft",
        category="shaft",
        shape=shape,
        finish=finish,
        # The middle of a groove lies in the middle of the picture.
        pose=PoseSpec(position_mm=(0.0, -_pitch(shape) / 2, 0.0), quaternion=quaternion_of(LYING)),
        body="none",
    )
    item = replace(
        item,
        defects=sample_defects(streams, ranges, shape, seen),
        marks=sample_marks(streams, ranges, shape, seen),
    )
    return (item, backdrop)


def sample_make(rng: np.random.Generator, ranges: Ranges) -> str:
    """Draw a make by weight."""
    names = sorted(ranges.makes)
    weights = np.array([ranges.makes[n].weight for n in names])
    return names[int(rng.choice(len(names), p=weights / weights.sum()))]


def sample_defects(
    streams: Streams, ranges: Ranges, shape: ShapeSpec, seen_mm: float
) -> tuple[DefectSpec, ...]:
    """Draw pits on the flanks, within `seen_mm` of the middle; some shafts have none."""
    rng = streams.scene("defect count")
    if rng.uniform() < ranges.clean_share:
        return ()
    kinds = parse_kinds(ranges.defects, "scene.defects")
    found: list[DefectSpec] = []
    for item in range(sample_count(rng, ranges.defect_count)):
        draw = streams.scene("defects", item)
        name = kinds.pick(draw)
        site = flank_site(draw, ranges.flank, shape, seen_mm)
        if site is not None:
            found.append(kind_module(kinds.kind[name]).sample(draw, kinds.ranges[name], site))
    return keep_apart(found, gap_mm=0.05)


def flank_site(
    rng: np.random.Generator, ranges: FlankRanges, shape: ShapeSpec, seen_mm: float
) -> Site | None:
    """Return a place on a flank that faces the camera, or None where there is none."""
    half = shape.size_mm["groove_width"] / 2
    wanted = half * ranges.offset.sample(rng)
    # Above the groove's middle is its upper flank, which looks down.
    wanted = wanted if rng.uniform() < ranges.upper_share else -wanted
    return along_helix(
        pick_site(
            rng,
            build_mesh(shape),
            facing=(TOWARD_CAMERA,),
            cone_deg=50.0,
            where=lambda t: (
                (_from_middle(shape, t) < seen_mm - 0.5)
                & (np.abs(groove_offset(shape.size_mm, t.positions_mm) - wanted) < 0.1)
            ),
        ),
        shape,
    )


def _pitch(shape: ShapeSpec) -> float:
    return shape.size_mm["lead"] / round(shape.size_mm.get("starts", 1.0))


def _from_middle(shape: ShapeSpec, texels: TexelTable) -> np.ndarray:
    """Return how far along the axis texels lie from the picture's middle, mm."""
    return np.abs(texels.positions_mm[:, 2] - np.float32(_pitch(shape) / 2))


def along_helix(site: Site | None, shape: ShapeSpec) -> Site | None:
    """Return the site with its tangent along the groove."""
    if site is None:
        return None
    x, y, _ = site.anchor_mm
    helix = (-y, x, shape.size_mm["lead"] / (2 * np.pi))
    tangent = surface_tangent(np.asarray(site.normal), helix)
    return replace(site, tangent=to_vec3(tangent))


def sample_marks(
    streams: Streams, ranges: Ranges, shape: ShapeSpec, seen_mm: float
) -> tuple[DefectSpec, ...]:
    """Draw soil, smears along the groove, lint and scuffs, which are no defects."""
    kinds = parse_kinds(ranges.marks, "scene.marks", marks=True)
    marks = []
    for item in range(sample_count(streams.scene("mark count"), ranges.mark_count)):
        rng = streams.scene("marks", item)
        name = kinds.pick(rng)
        site = along_helix(
            pick_site(
                rng,
                build_mesh(shape),
                facing=(TOWARD_CAMERA,),
                cone_deg=75.0,
                where=lambda t: _from_middle(shape, t) < 1.5 * seen_mm,
            ),
            shape,
        )
        if site is not None:
            marks.append(kind_module(kinds.kind[name]).sample(rng, kinds.ranges[name], site))
    return tuple(marks)


def sample_frame(
    streams: Streams, ranges: Ranges, image: ImageConfig, objects: tuple[ObjectSpec, ...]
) -> SceneSpec:
    """Draw camera, lights and sensor of one frame."""
    make = ranges.makes[sample_make(streams.scene("make"), ranges)]
    camera = sample_camera(streams.view("camera"), ranges.camera, image)
    lamp_rng, box_rng = streams.scene("lamp"), streams.scene("boxes")
    hall = sample_surround(box_rng, ranges.lights)
    return SceneSpec(
        scene="ball_screw",
        objects=objects,
        lights=sample_lamp(lamp_rng, ranges.lights),
        environment=with_panorama(streams, ranges.environment, hall, ranges.sha256),
        camera=camera,
        sensor=sample_sensor(streams, ranges.sensor, make, camera),
    )


def sample_camera(rng: np.random.Generator, ranges: CameraRanges, image: ImageConfig) -> CameraSpec:
    """Draw a camera that looks at the shaft square to its axis."""
    distance = ranges.distance_mm.sample(rng)
    focal = ranges.px_per_mm.sample(rng) * distance
    off = ranges.off_centre_mm.sample(rng) * rng.normal(size=2)
    eye = (float(off[0]), float(off[1]), distance)
    target = (float(off[0]), float(off[1]), 0.0)
    return centred(image, focal, eye, look_at(eye, target, ranges.roll_deg.sample(rng)))


def sample_lamp(rng: np.random.Generator, ranges: LightRanges) -> tuple[LightSpec, ...]:
    """Draw the lamp."""
    azimuth = np.deg2rad(ranges.lamp_azimuth_deg.sample(rng))
    elevation = np.deg2rad(ranges.lamp_elevation_deg.sample(rng))
    toward = np.array(
        [
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
        ]
    )
    return (
        LightSpec(
            kind="disc",
            position_mm=to_vec3(float(rng.uniform(250, 500)) * toward),
            target_mm=(0.0, 0.0, 0.0),
            axis=AXIS,
            size_mm=float(rng.uniform(20, 80)),
            irradiance=ranges.lamp.sample(rng),
        ),
    )


def sample_surround(rng: np.random.Generator, ranges: LightRanges) -> EnvironmentSpec:
    """Draw the softboxes and the hall, which is dark where the camera is."""
    panels = []
    for side in (0.0, 180.0):
        extent = ranges.box_width_deg.sample(rng)
        lift = ranges.box_lift_deg.sample(rng)
        panels.append(
            PanelSpec(
                azimuth_deg=side + (lift if side == 0 else -lift),
                elevation_deg=90 - ranges.gap_deg.sample(rng) - extent / 2,
                width_deg=ranges.box_height_deg.sample(rng),
                height_deg=extent,
                radiance=ranges.box_radiance.sample(rng),
                softness=float(rng.uniform(0.03, 0.25)),
            )
        )
    if rng.uniform() < ranges.top_share:
        panels.append(
            PanelSpec(
                azimuth_deg=90 + float(rng.uniform(-40, 40)),
                elevation_deg=ranges.top_elevation_deg.sample(rng),
                width_deg=float(rng.uniform(30, 110)),
                height_deg=float(rng.uniform(15, 50)),
                radiance=ranges.box_radiance.sample(rng),
                softness=float(rng.uniform(0.1, 0.5)),
            )
        )
    level = float(rng.uniform(0.2, 0.6))
    return EnvironmentSpec(
        zenith=(0.4 * level, 0.4 * level, 0.4 * level),
        horizon=(level, level, level),
        ground=(0.3 * level, 0.29 * level, 0.28 * level),
        panels=tuple(panels),
        intensity=ranges.surround.sample(rng),
    )


def sample_sensor(
    streams: Streams, ranges: SensorRanges, make: MakeRanges, camera: CameraSpec
) -> SensorSpec:
    """Draw the camera's settings for the view, and this frame's exposure and noise."""
    rng = streams.view("sensor")
    warmth = make.warmth.sample(rng)
    height = min(round(make.image_height_px.sample(rng)), camera.height)
    top = (camera.height - height) // 2
    return SensorSpec(
        auto_level=ranges.level.sample(streams.frame("exposure")),
        white_point=ranges.white_point.sample(rng),
        sharpening=ranges.sharpening.sample(rng),
        gamma=ranges.gamma.sample(rng),
        contrast=ranges.contrast.sample(rng),
        vignetting=ranges.vignetting.sample(rng),
        defocus_px=ranges.defocus_px.sample(rng),
        shot_noise=ranges.shot_noise.sample(rng),
        read_noise=ranges.read_noise.sample(rng),
        white_balance=(1 + 0.13 * warmth, 1.0, 1 - 0.3 * warmth),
        jpeg_quality=round(ranges.jpeg_quality.sample(rng)),
        crop=(0, top, camera.width, height),
        noise_seed=int(streams.frame("noise").integers(2**31)),
    )
