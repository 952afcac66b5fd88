"""Inspection lights by name: each a function from its ranges to lights and surroundings.

Sizes are in mm for a part seen from about half a metre. Stated irradiance is what arrives at
the middle of the parts on a surface that looks up (dome, dark_field) or at the light (others).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from simgen.config import bounded
from simgen.errors import ConfigError
from simgen.geometry import Vec3, axis_rotation, to_vec3
from simgen.sampling import Choice, Distribution, LogUniform, Uniform, sample_count
from simgen.scene.spec import CameraSpec, Colour, EnvironmentSpec, LightSpec, PanelSpec

UP: Vec3 = (0.0, 0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lighting:
    """Lights and surroundings of a scene; `glow` is a light table's radiance, 0 for none.

    Without `hall` the surroundings are the lamp itself (a dome), not what is behind it.
    """

    lights: tuple[LightSpec, ...]
    environment: EnvironmentSpec
    glow: float = 0.0
    hall: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a rig is put around: the middle of the parts, the camera, and a scale of all mm."""

    target_mm: Vec3
    camera: CameraSpec
    scale: float = 1.0

    @property
    def toward(self) -> np.ndarray:
        """From the camera to the target, mm."""
        return np.asarray(self.target_mm) - np.asarray(self.camera.pose.position_mm)

    def around(self, azimuth_deg: float, elevation_deg: float, distance_mm: float) -> Vec3:
        """Return the position in a direction from the target."""
        a, e = np.deg2rad(azimuth_deg), np.deg2rad(elevation_deg)
        offset = np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])
        return to_vec3(np.asarray(self.target_mm) + distance_mm * offset)


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRig:
    """Key and fill lamps in a hall, by chance a ring and a bar."""

    weight: float = bounded(1.0, low=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RingRig:
    """`diameter_mm` is the ring's; `room` is how bright the hall behind it is."""

    weight: float = bounded(0.0, low=0)
    irradiance: Distribution = bounded(LogUniform(1.5, 4.5), low=0)
    diameter_mm: Distribution = bounded(Uniform(80.0, 180.0), above=0)
    room: Distribution = bounded(Uniform(0.1, 0.5), low=0)


def ring(rng: np.random.Generator, ranges: RingRig, place: Place) -> Lighting:
    """Draw a ring lamp about the lens: even, with ring-shaped highlights."""
    eye = np.asarray(place.camera.pose.position_mm)
    lamp = LightSpec(
        kind="ring",
        position_mm=to_vec3(eye + 0.1 * place.toward),
        target_mm=place.target_mm,
        axis=to_vec3(place.toward / np.linalg.norm(place.toward)),
        size_mm=place.scale * ranges.diameter_mm.sample(rng),
        irradiance=ranges.irradiance.sample(rng),
    )
    return Lighting(lights=(lamp,), environment=_room(rng, ranges.room.sample(rng)))


@dataclass(frozen=True, slots=True, kw_only=True)
class BarRig:
    """`bars` is how many; elevation and distance are from the middle of the parts."""

    weight: float = bounded(0.0, low=0)
    irradiance: Distribution = bounded(LogUniform(1.5, 4.5), low=0)
    bars: Distribution = bounded(Choice((1.0, 2.0), (0.6, 0.4)), low=1, high=4)
    length_mm: Distribution = bounded(Uniform(200.0, 450.0), above=0)
    distance_mm: Distribution = bounded(Uniform(240.0, 420.0), above=0)
    elevation_deg: Distribution = bounded(Uniform(25.0, 65.0), low=2, high=90)
    room: Distribution = bounded(Uniform(0.1, 0.5), low=0)


def bar(rng: np.random.Generator, ranges: BarRig, place: Place) -> Lighting:
    """Draw bar lamps spread evenly around, each level and across the direction to the parts."""
    count = sample_count(rng, ranges.bars)
    azimuth, elevation = float(rng.uniform(0, 360)), ranges.elevation_deg.sample(rng)
    length, distance = ranges.length_mm.sample(rng), ranges.distance_mm.sample(rng)
    irradiance = ranges.irradiance.sample(rng)
    lamps = []
    for k in range(count):
        at = azimuth + 360.0 * k / count
        across = axis_rotation(UP, at + 90.0) @ np.array([1.0, 0, 0])
        lamps.append(
            LightSpec(
                kind="bar",
                position_mm=place.around(at, elevation, place.scale * distance),
                target_mm=place.target_mm,
                axis=to_vec3(across),
                size_mm=place.scale * length,
                irradiance=irradiance * (1.0 if k == 0 else float(rng.uniform(0.4, 1.0))),
                shadow=k < 2,
            )
        )
    return Lighting(lights=tuple(lamps), environment=_room(rng, ranges.room.sample(rng)))


@dataclass(frozen=True, slots=True, kw_only=True)
class DomeRig:
    """The hole is `hole_deg` wide as the parts see it.

    `uneven` is by what share its top is darker than its rim.
    """

    weight: float = bounded(0.0, low=0)
    irradiance: Distribution = bounded(LogUniform(1.6, 4.0), low=0)
    hole_deg: Distribution = bounded(Uniform(7.0, 16.0), above=0, high=60)
    uneven: Distribution = bounded(Uniform(0.0, 0.35), low=0, high=1)


def dome(rng: np.random.Generator, ranges: DomeRig, place: Place) -> Lighting:
    """Draw a dome: light from all above, without shadows; its hole shows in what is polished."""
    radiance = ranges.irradiance.sample(rng) / math.pi
    uneven = ranges.uneven.sample(rng)
    # Two thirds of a gradient by height arrive, weighted by the cosine.
    rim = radiance / (1 - uneven * 2 / 3)
    to_eye = -place.toward / np.linalg.norm(place.toward)
    size = ranges.hole_deg.sample(rng)
    hole = PanelSpec(
        azimuth_deg=float(np.rad2deg(np.arctan2(to_eye[1], to_eye[0]))),
        elevation_deg=float(np.rad2deg(np.arcsin(np.clip(to_eye[2], -1, 1)))),
        width_deg=size,
        height_deg=size,
        radiance=-0.9 * radiance * (1 - uneven),
        softness=0.25,
    )
    environment = EnvironmentSpec(
        zenith=_grey(rim * (1 - uneven)),
        horizon=_grey(rim),
        ground=_grey(0.5 * radiance),
        panels=(hole,),
    )
    return Lighting(lights=(), environment=environment, hall=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CoaxialRig:
    """The light is a square diffuser, `size_mm` wide, behind a half mirror before the lens."""

    weight: float = bounded(0.0, low=0)
    irradiance: Distribution = bounded(LogUniform(1.4, 4.0), low=0)
    size_mm: Distribution = bounded(Uniform(180.0, 360.0), above=0)
    room: Distribution = bounded(Uniform(0.05, 0.3), low=0)


def coaxial(rng: np.random.Generator, ranges: CoaxialRig, place: Place) -> Lighting:
    """Draw light along the view: what is flat and faces the lens is bright, slopes are dark."""
    rotation = place.camera.pose.matrix()[:3, :3]
    lamp = LightSpec(
        kind="panel",
        position_mm=place.camera.pose.position_mm,
        target_mm=place.target_mm,
        axis=to_vec3(rotation[:, 0]),
        size_mm=place.scale * ranges.size_mm.sample(rng),
        irradiance=ranges.irradiance.sample(rng),
    )
    return Lighting(lights=(lamp,), environment=_room(rng, ranges.room.sample(rng)))


@dataclass(frozen=True, slots=True, kw_only=True)
class DarkFieldRig:
    """The ring is about the parts, as high as `elevation_deg` says from their middle."""

    weight: float = bounded(0.0, low=0)
    irradiance: Distribution = bounded(LogUniform(0.35, 1.3), low=0)
    diameter_mm: Distribution = bounded(Uniform(340.0, 480.0), above=0)
    elevation_deg: Distribution = bounded(Uniform(8.0, 20.0), low=2, high=45)
    room: Distribution = bounded(Uniform(0.02, 0.12), low=0)


def dark_field(rng: np.random.Generator, ranges: DarkFieldRig, place: Place) -> Lighting:
    """Draw a ring so low that flat faces are dark; scratches, edges and dust shine."""
    elevation = np.deg2rad(ranges.elevation_deg.sample(rng))
    radius = place.scale * ranges.diameter_mm.sample(rng) / 2
    above = np.asarray(place.target_mm) + [0.0, 0.0, radius * np.tan(elevation)]
    lamp = LightSpec(
        kind="ring",
        position_mm=to_vec3(above),
        target_mm=place.target_mm,
        axis=UP,
        size_mm=2 * radius,
        irradiance=ranges.irradiance.sample(rng) / float(np.sin(elevation)),
    )
    return Lighting(lights=(lamp,), environment=_room(rng, ranges.room.sample(rng)))


@dataclass(frozen=True, slots=True, kw_only=True)
class BacklightRig:
    """`radiance` is the table's; 1 is a white surface under an irradiance of pi."""

    weight: float = bounded(0.0, low=0)
    radiance: Distribution = bounded(LogUniform(0.5, 1.6), above=0)
    room: Distribution = bounded(Uniform(0.02, 0.3), low=0)


def backlight(rng: np.random.Generator, ranges: BacklightRig, place: Place) -> Lighting:
    """Draw a light table in a dim hall: silhouettes."""
    glow = ranges.radiance.sample(rng)
    room = _room(rng, ranges.room.sample(rng))
    gain = max(room.intensity, 1e-3)
    environment = EnvironmentSpec(
        zenith=room.zenith,
        horizon=room.horizon,
        ground=_grey(glow / gain),
        panels=room.panels,
        rotation_deg=room.rotation_deg,
        intensity=gain,
    )
    return Lighting(lights=(), environment=environment, glow=glow, hall=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRig:
    """Sizes and place are the window's; `coolness` 0 is white, 1 a clear north sky."""

    weight: float = bounded(0.0, low=0)
    irradiance: Distribution = bounded(LogUniform(2.5, 7.0), low=0)
    width_mm: Distribution = bounded(Uniform(600.0, 1400.0), above=0)
    height_mm: Distribution = bounded(Uniform(900.0, 1700.0), above=0)
    distance_mm: Distribution = bounded(Uniform(1000.0, 2000.0), above=0)
    elevation_deg: Distribution = bounded(Uniform(15.0, 40.0), low=2, high=80)
    coolness: Distribution = bounded(Uniform(0.1, 0.8), low=0, high=1)
    room: Distribution = bounded(Uniform(0.3, 0.9), low=0)


def window(rng: np.random.Generator, ranges: WindowRig, place: Place) -> Lighting:
    """Draw daylight through a window: soft, from one side, with broad highlights."""
    cool = ranges.coolness.sample(rng)
    distance = place.scale * ranges.distance_mm.sample(rng)
    lamp = LightSpec(
        kind="panel",
        position_mm=place.around(
            float(rng.uniform(0, 360)), ranges.elevation_deg.sample(rng), distance
        ),
        target_mm=place.target_mm,
        axis=UP,
        size_mm=place.scale * ranges.height_mm.sample(rng),
        breadth_mm=place.scale * ranges.width_mm.sample(rng),
        irradiance=ranges.irradiance.sample(rng),
        colour=(1 - 0.2 * cool, 1 - 0.04 * cool, 1.0),
        shadow=True,
    )
    return Lighting(lights=(lamp,), environment=_room(rng, ranges.room.sample(rng)))


# Every rig but the bench's, whose ranges stand in `LightRanges`.
RIGS: dict[str, Callable[[np.random.Generator, Any, Place], Lighting]] = {
    "ring": ring,
    "bar": bar,
    "dome": dome,
    "coaxial": coaxial,
    "dark_field": dark_field,
    "backlight": backlight,
    "window": window,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rigs:
    """Which rigs a scene may have, by weight, and the ranges of each."""

    bench: BenchRig = field(default_factory=BenchRig)
    ring: RingRig = field(default_factory=RingRig)
    bar: BarRig = field(default_factory=BarRig)
    dome: DomeRig = field(default_factory=DomeRig)
    coaxial: CoaxialRig = field(default_factory=CoaxialRig)
    dark_field: DarkFieldRig = field(default_factory=DarkFieldRig)
    backlight: BacklightRig = field(default_factory=BacklightRig)
    window: WindowRig = field(default_factory=WindowRig)

    def __post_init__(self) -> None:
        if not sum(self.weights().values()) > 0:
            raise ConfigError("scene.lights.rigs: no rig has a weight above 0")

    def weights(self) -> dict[str, float]:
        """Return every rig's weight by name."""
        return {f.name: getattr(self, f.name).weight for f in fields(self)}


def _grey(level: float) -> Colour:
    return (level, level, level)


def _room(rng: np.random.Generator, level: float) -> EnvironmentSpec:
    """Draw the hall behind a rig: dim walls and a few faint things of light."""
    wall = float(rng.uniform(0.2, 0.4))
    panels = tuple(
        PanelSpec(
            azimuth_deg=float(rng.uniform(0, 360)),
            elevation_deg=float(rng.uniform(20, 80)),
            width_deg=float(rng.uniform(10, 50)),
            height_deg=float(rng.uniform(8, 40)),
            radiance=float(rng.uniform(0.4, 1.6)),
            softness=float(rng.uniform(0.2, 0.7)),
        )
        for _ in range(int(rng.integers(1, 4)))
    )
    return EnvironmentSpec(
        zenith=_grey(0.9 * wall),
        horizon=_grey(wall),
        ground=_grey(0.3 * wall),
        panels=panels,
        rotation_deg=float(rng.uniform(0, 360)),
        intensity=level,
    )
