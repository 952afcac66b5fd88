"""Ground ferrite arc tiles under bar lights, as a mono line camera rig sees them.

The simulated counterpart of the magnetic tile photographs: one tile a scene, cropped
to its outline, at several exposures of one view. Copy this file and its ranges,
`conf/scene/magnetic_tile.yaml`, to make a scene of your own.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from simgen.config import bounded
from simgen.config.render import ImageConfig
from simgen.defects.kinds import kind_module
from simgen.defects.place import (
    KindRanges,
    check_kinds,
    keep_apart,
    parse_kinds,
    place,
    require_choice,
)
from simgen.geometry import axis_rotation, look_at, quaternion_of, to_vec3
from simgen.parts.build import build_mesh
from simgen.parts.sites import Placement, Site, pick_site
from simgen.randomize.camera import centred
from simgen.randomize.surround import EnvironmentRanges, with_panorama
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

UP = (0.0, 0.0, 1.0)
GRINDING = (0.0, 1.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TileSize:
    """One make of tile; `weight` is how often it comes down the line."""

    weight: float = bounded(low=0)
    width_mm: Distribution = bounded(above=0)
    length_mm: Distribution = bounded(above=0)
    radius_over_width: Distribution = bounded(above=0.52)


@dataclass(frozen=True, slots=True, kw_only=True)
class TileRanges:
    """The tile's shape and its ground surface."""

    sizes: dict[str, TileSize]
    thickness_mm: Distribution = bounded(above=0)
    bevel_mm: Distribution = bounded(above=0)
    bevel_flat: Distribution = bounded(low=0, high=1)
    end_chamfer_mm: Distribution = bounded(low=0)
    hollow_mm: Distribution = bounded(low=0)
    nick_share: float = bounded(low=0, high=1)
    nick_mm: Distribution = bounded(low=0)
    nick_length_mm: Distribution = bounded(above=0)
    nick_inset_mm: Distribution = bounded(low=0)
    texel_mm: float = bounded(above=0)
    tone: Distribution = bounded(above=0, high=1)
    metalness: Distribution = bounded(low=0, high=1)
    roughness: Distribution = bounded(above=0, high=1)
    anisotropy: Distribution = bounded(low=0, high=1)
    line_mm: Distribution = bounded(above=0)
    line_length_mm: Distribution = bounded(above=0)
    line_run_mm: Distribution = bounded(above=0)
    line_slope: Distribution = bounded(low=0)
    line_skew: Distribution = bounded(low=0, high=2)
    line_tone: Distribution = bounded(low=0)
    grain: Distribution = bounded(low=0)
    blotch: Distribution = bounded(low=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LightRanges:
    """Bar lights along the tile, and a diffuse surround."""

    bars: Distribution = bounded(low=0, high=6)
    bar_azimuth_deg: Distribution = bounded(low=-89, high=89)
    bar_shift_mm: Distribution = bounded()
    bar_length_mm: Distribution = bounded(above=0)
    bar_irradiance: Distribution = bounded(low=0)
    surround: Distribution = bounded(low=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraRanges:
    """Working distance and scale; the crop follows the tile with a margin in pixels."""

    distance_mm: Distribution = bounded(above=50, high=15_000)
    px_per_mm: Distribution = bounded(above=0)
    tilt_deg: Distribution = bounded(low=-30, high=30)
    yaw_deg: Distribution = bounded(low=-45, high=45)
    margin_px: Distribution = bounded(low=-60, high=60)
    margin_jitter_px: Distribution = bounded(low=-60, high=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorRanges:
    """`level` is the exposure at the middle of `steps`; each exposure of a view takes one step."""

    level: Distribution = bounded(above=0)
    steps: tuple[float, ...] = bounded(above=0, nonempty=True)
    gamma: Distribution = bounded(low=0.5, high=3)
    vignetting: Distribution = bounded(low=0, high=1)
    defocus_px: Distribution = bounded(low=0)
    sharpening: Distribution = bounded(low=0, high=3)
    shot_noise: Distribution = bounded(low=0)
    read_noise: Distribution = bounded(low=0)
    jpeg_quality: Distribution = bounded(low=0, high=100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Everything under `scene`; see conf/scene/magnetic_tile.yaml."""

    clean_share: float = bounded(low=0, high=1)
    defect_count: Distribution = bounded(low=1, high=12)
    defects: dict[str, KindRanges]
    mark_count: Distribution = bounded(low=0, high=30)
    marks: dict[str, KindRanges]
    tile: TileRanges
    lights: LightRanges
    environment: EnvironmentRanges = field(default_factory=EnvironmentRanges)
    camera: CameraRanges
    sensor: SensorRanges
    sha256: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_choice({n: s.weight for n, s in self.tile.sizes.items()}, "scene.tile.sizes")
        check_kinds(self.defects, self.clean_share, self.marks, self.mark_count)


def categories(ranges: Ranges) -> tuple[tuple[str, str], ...]:
    """Return every label this scene can make."""
    kinds = {entry.kind or name for name, entry in ranges.defects.items()}
    return (("tile", "part"), *((kind, "defect") for kind in sorted(kinds)))


def sample_objects(streams: Streams, ranges: Ranges) -> tuple[ObjectSpec, ...]:
    """Draw the tile with its finish, defects and marks; it lies on a dark table."""
    shape = sample_shape(streams.scene("tile"), ranges.tile)
    tile = ObjectSpec(
        name="tile",
        category="tile",
        shape=shape,
        finish=sample_finish(streams.scene("finish"), ranges.tile),
        body="none",
    )
    defects = sample_defects(streams, ranges, shape, tile.finish)
    marks = sample_marks(streams, ranges, shape)
    tile = replace(tile, defects=defects, marks=marks)
    table = ObjectSpec(
        name="table",
        shape=ShapeSpec(
            kind="bench", size_mm={"length": 400.0, "width": 400.0, "thickness": 5.0}, texel_mm=2.0
        ),
        finish=FinishSpec(
            kind="worktop", colour=(0.012, 0.012, 0.012), roughness=0.9, metalness=0.0
        ),
        pose=PoseSpec(position_mm=(0.0, 0.0, -4.0 - shape.size_mm["thickness"])),
        casts_shadow=False,
        body="none",
    )
    return (tile, table)


def sample_shape(rng: np.random.Generator, ranges: TileRanges) -> ShapeSpec:
    """Draw a make of tile and its dimensions."""
    names = sorted(ranges.sizes)
    weights = np.array([ranges.sizes[n].weight for n in names])
    size = ranges.sizes[names[int(rng.choice(len(names), p=weights / weights.sum()))]]
    width, length = size.width_mm.sample(rng), size.length_mm.sample(rng)
    thickness = ranges.thickness_mm.sample(rng)
    flat = ranges.bevel_flat.sample(rng)
    # So that something of the side is left where it is steep.
    highest = 0.45 * thickness / (1 - 0.7 * flat)
    radius = max(width * size.radius_over_width.sample(rng), width / 1.9 + thickness)
    return ShapeSpec(
        kind="arc_tile",
        size_mm={
            "width": width,
            "length": length,
            "radius": radius,
            "thickness": thickness,
            "bevel": min(ranges.bevel_mm.sample(rng), width / 8, highest),
            "bevel_flat": flat,
            "end_chamfer": ranges.end_chamfer_mm.sample(rng),
            **_worn_ends(rng, ranges, length / 8),
        },
        texel_mm=ranges.texel_mm,
    )


def _worn_ends(rng: np.random.Generator, ranges: TileRanges, deepest_mm: float) -> dict[str, float]:
    """Draw how the ends are hollowed and their corners worn, which is no defect.

    What an end loses in all is at most `deepest_mm`.
    """
    sizes = {
        "nick_length": ranges.nick_length_mm.sample(rng),
        "nick_inset": ranges.nick_inset_mm.sample(rng),
    }
    for end in ("low", "high"):
        sizes[f"hollow_{end}"] = ranges.hollow_mm.sample(rng)
        for corner in ("left", "right"):
            depth = ranges.nick_mm.sample(rng)
            sizes[f"nick_{end}_{corner}"] = depth if rng.uniform() < ranges.nick_share else 0.0
        lost = [name for name in sizes if f"_{end}" in name]
        shrink = min(1.0, deepest_mm / max(sum(sizes[name] for name in lost), 1e-9))
        sizes |= {name: shrink * sizes[name] for name in lost}
    return sizes


def sample_finish(rng: np.random.Generator, ranges: TileRanges) -> FinishSpec:
    """Draw the ground surface."""
    tone = ranges.tone.sample(rng)
    names = ("line_mm", "line_length_mm", "line_run_mm", "line_slope", "line_skew", "line_tone")
    names += ("grain", "blotch")
    values = {name: getattr(ranges, name).sample(rng) for name in names}
    values["edge_mm"] = float(rng.uniform(0.15, 0.5))
    values["grain_mm"] = float(rng.uniform(0.09, 0.16))
    return FinishSpec(
        kind="ground",
        colour=(tone, tone, tone),
        roughness=ranges.roughness.sample(rng),
        metalness=ranges.metalness.sample(rng),
        anisotropy=ranges.anisotropy.sample(rng),
        direction=GRINDING,
        values=values,
        seed=int(rng.integers(2**31)),
    )


def sample_defects(
    streams: Streams, ranges: Ranges, shape: ShapeSpec, finish: FinishSpec
) -> tuple[DefectSpec, ...]:
    """Draw the tile's defects; `clean_share` of the tiles have none."""
    rng = streams.scene("defect count")
    if rng.uniform() < ranges.clean_share:
        return ()
    count = sample_count(rng, ranges.defect_count)
    kinds = parse_kinds(ranges.defects, "scene.defects")
    found: list[DefectSpec] = []
    for item in range(count):
        draw = streams.scene("defects", item)
        name = kinds.pick(draw)
        kind = kinds.kind[name]
        site = _defect_site(draw, name, kind, shape, finish)
        if site is not None:
            found.append(kind_module(kind).sample(draw, kinds.ranges[name], site))
    return keep_apart(found)


def _defect_site(
    rng: np.random.Generator, name: str, kind: str, shape: ShapeSpec, finish: FinishSpec
) -> Site | None:
    """Return where on a tile a kind occurs: most cracks, breaks and frays are at a border.

    An entry named `worn` wears anywhere.
    """
    mesh = build_mesh(shape)
    half = shape.size_mm["length"] / 2
    edge_mm, where = None, None
    if kind == "crack" and rng.uniform() < 0.75:
        reach = float(rng.uniform(0.5, 5.0))
        edge_mm, where = (0.0, np.inf), lambda t: np.abs(t.positions_mm[:, 1]) > half - reach
    elif kind == "break" and rng.uniform() < 0.5:
        # A corner is what a tile is knocked at.
        reach, side = float(rng.uniform(1.5, 6.0)), shape.size_mm["width"] / 2
        edge_mm, where = (0.0, 0.8), lambda t: _corners(t.positions_mm, side, half, reach)
    elif kind == "fray":
        edge_mm = (0.0, 30.0 if name == "worn" else 0.8)
    default = Placement(edge_mm=(0.8, np.inf))
    return place(
        rng, kind, mesh, finish, default=default, edge_mm=edge_mm, facing=(UP,), where=where
    )


def _corners(
    positions_mm: np.ndarray, side_mm: float, half_mm: float, reach_mm: float
) -> np.ndarray:
    """Return which places lie near a corner of the tile, seen from above; shape (N,)."""
    x, y = np.abs(positions_mm[:, 0]), np.abs(positions_mm[:, 1])
    return (x > side_mm - reach_mm) & (y > half_mm - reach_mm)


def sample_marks(streams: Streams, ranges: Ranges, shape: ShapeSpec) -> tuple[DefectSpec, ...]:
    """Draw pencil lines, smears, scuffs and clouds, which are no defects."""
    kinds = parse_kinds(ranges.marks, "scene.marks", marks=True)
    marks = []
    for item in range(sample_count(streams.scene("mark count"), ranges.mark_count)):
        rng = streams.scene("marks", item)
        name = kinds.pick(rng)
        site = pick_site(rng, build_mesh(shape), facing=(UP,), process_direction=GRINDING)
        if site is not None:
            marks.append(kind_module(kinds.kind[name]).sample(rng, kinds.ranges[name], site))
    return tuple(marks)


def sample_frame(
    streams: Streams, ranges: Ranges, image: ImageConfig, objects: tuple[ObjectSpec, ...]
) -> SceneSpec:
    """Draw camera, lights and sensor of one frame."""
    tile = objects[0]
    camera_rng = streams.view("camera")
    turn = axis_rotation(UP, ranges.camera.yaw_deg.sample(camera_rng))
    tilt = axis_rotation((1.0, 0.0, 0.0), ranges.camera.tilt_deg.sample(camera_rng))
    tile = replace(tile, pose=PoseSpec(quaternion=quaternion_of(tilt @ turn)))
    camera = sample_camera(camera_rng, ranges.camera, image)
    sensor = sample_sensor(streams, ranges.sensor)
    margin_rng = streams.frame("crop")
    crop = _crop(margin_rng, ranges.camera, camera, tile, streams.view("margins"))
    hall = sample_surround(streams.scene("surround"), ranges.lights)
    return SceneSpec(
        scene="magnetic_tile",
        objects=(tile, *objects[1:]),
        lights=sample_lights(streams.scene("lights"), ranges.lights),
        environment=with_panorama(streams, ranges.environment, hall, ranges.sha256),
        camera=camera,
        sensor=replace(sensor, crop=crop),
    )


def sample_camera(rng: np.random.Generator, ranges: CameraRanges, image: ImageConfig) -> CameraSpec:
    """Draw a camera that looks straight down."""
    distance = ranges.distance_mm.sample(rng)
    focal = ranges.px_per_mm.sample(rng) * distance
    eye = (0.0, 0.0, distance)
    return centred(image, focal, eye, look_at(eye, (0.0, 0.0, 0.0)))


def sample_lights(rng: np.random.Generator, ranges: LightRanges) -> tuple[LightSpec, ...]:
    """Draw bars parallel to the grinding, left and right of the camera."""
    lights = []
    for item in range(sample_count(rng, ranges.bars)):
        angle = np.deg2rad(ranges.bar_azimuth_deg.sample(rng))
        distance = float(rng.uniform(180, 320))
        y = ranges.bar_shift_mm.sample(rng)
        lights.append(
            LightSpec(
                kind="bar",
                position_mm=(distance * float(np.sin(angle)), y, distance * float(np.cos(angle))),
                target_mm=(0.0, 0.0, 0.0),
                axis=to_vec3(axis_rotation(UP, float(rng.uniform(-6, 6))) @ np.array(GRINDING)),
                size_mm=ranges.bar_length_mm.sample(rng),
                irradiance=ranges.bar_irradiance.sample(rng),
                shadow=item == 0,
            )
        )
    return tuple(lights)


def sample_surround(rng: np.random.Generator, ranges: LightRanges) -> EnvironmentSpec:
    """Draw the dim, uneven light that comes from everywhere."""
    panels = tuple(
        PanelSpec(
            azimuth_deg=float(rng.uniform(0, 360)),
            elevation_deg=float(rng.uniform(45, 85)),
            width_deg=float(rng.uniform(10, 60)),
            height_deg=float(rng.uniform(10, 60)),
            radiance=float(rng.uniform(0.3, 2.0)),
            softness=float(rng.uniform(0.3, 0.9)),
        )
        for _ in range(3)
    )
    return EnvironmentSpec(
        zenith=(0.5, 0.5, 0.5),
        horizon=(0.25, 0.25, 0.25),
        ground=(0.02, 0.02, 0.02),
        panels=panels,
        intensity=ranges.surround.sample(rng),
    )


def sample_sensor(streams: Streams, ranges: SensorRanges) -> SensorSpec:
    """Draw the camera's settings for the view, and this frame's exposure and noise."""
    rng = streams.view("sensor")
    level = ranges.level.sample(rng)
    order = rng.permutation(len(ranges.steps))
    step = ranges.steps[int(order[streams.index.exposure % len(ranges.steps)])]
    return SensorSpec(
        exposure=level * step,
        mono=True,
        gamma=ranges.gamma.sample(rng),
        vignetting=ranges.vignetting.sample(rng),
        defocus_px=ranges.defocus_px.sample(rng),
        sharpening=ranges.sharpening.sample(rng),
        shot_noise=ranges.shot_noise.sample(rng),
        read_noise=ranges.read_noise.sample(rng),
        jpeg_quality=round(ranges.jpeg_quality.sample(rng)),
        noise_seed=int(streams.frame("noise").integers(2**31)),
    )


def _crop(
    rng: np.random.Generator, ranges: CameraRanges, camera: CameraSpec, tile: ObjectSpec,
    margin_rng: np.random.Generator,
) -> tuple[int, int, int, int]:  # fmt: skip
    """Return the tile's box on the image, its four margins jittered for each exposure."""
    m = np.linalg.inv(camera.pose.matrix()) @ tile.pose.matrix()
    p = build_mesh(tile.shape).vertices_mm @ m[:3, :3].T + m[:3, 3]
    x = camera.fx * p[:, 0] / p[:, 2] + camera.cx
    y = camera.fy * p[:, 1] / p[:, 2] + camera.cy
    edges = []
    for bound, sign, limit in (
        (x.min(), -1, camera.width), (y.min(), -1, camera.height),
        (x.max(), 1, camera.width), (y.max(), 1, camera.height),
    ):  # fmt: skip
        margin = ranges.margin_px.sample(margin_rng) + ranges.margin_jitter_px.sample(rng)
        edges.append(int(np.clip(round(float(bound + sign * margin)), 0, limit)))
    x0, y0, x1, y1 = edges
    return (x0, y0, max(x1 - x0, 16), max(y1 - y0, 16))
