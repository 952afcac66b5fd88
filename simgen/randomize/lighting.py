"""The light of a scene: a rig drawn by weight, of which the bench is described here.

The bench has key and fill lamps, by chance a ring and a bar, and a hall around it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from simgen.config import bounded
from simgen.geometry import Vec3, axis_rotation, to_vec3
from simgen.randomize.rigs import RIGS, UP, Lighting, Place, Rigs
from simgen.sampling import Distribution, Streams, sample_count
from simgen.scene.spec import (
    CameraSpec,
    EnvironmentSpec,
    FinishSpec,
    LightSpec,
    ObjectSpec,
    PanelSpec,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LightRanges:
    """Which rigs there are, and the bench's own key, fill, ring and bar lights and hall."""

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
    rigs: Rigs = field(default_factory=Rigs)


def sample_lighting(
    streams: Streams, ranges: LightRanges, target: Vec3, camera: CameraSpec, scale: float = 1.0
) -> Lighting:
    """Draw a rig by weight, then its lights and surroundings.

    Args:
        streams: Of the frame; all views of a scene share its rig.
        ranges: Weights and ranges.
        target: The middle of the parts, mm.
        camera: Some rigs are put about the lens.
        scale: Of all the rigs' mm, for parts much larger or smaller than a hand.
    """
    weights = ranges.rigs.weights()
    names = sorted(weights)
    chances = np.array([weights[n] for n in names])
    name = names[int(streams.scene("rig").choice(len(names), p=chances / chances.sum()))]
    rng = streams.scene("lights")
    if name != "bench":
        place = Place(target_mm=target, camera=camera, scale=scale)
        return RIGS[name](rng, getattr(ranges.rigs, name), place)
    return Lighting(
        lights=sample_lights(rng, ranges, target, camera),
        environment=sample_surround(streams.scene("surround"), ranges),
    )


def on_light_table(objects: Sequence[ObjectSpec], glow: float) -> tuple[ObjectSpec, ...]:
    """Return the objects with what they lie on made of lit, frosted glass; the same at 0."""
    if glow <= 0:
        return tuple(objects)
    glass = FinishSpec(
        kind="painted", colour=(0.95, 0.95, 0.95), roughness=0.6, metalness=0.0,
        values={"blotch": 0.01, "grain": 0.004, "peel_slope": 0.0}, glow=glow,
    )  # fmt: skip
    return tuple(
        o if o.category is not None or o.body != "fixed" else replace(o, finish=glass)
        for o in objects
    )


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
                kind="disc",
                position_mm=position,
                target_mm=target,
                axis=UP,
                size_mm=size,
                irradiance=irradiance,
                colour=colour,
                shadow=shadow,
            )  # fmt: skip
        )
    if rng.uniform() < ranges.ring_share:
        eye = np.asarray(camera.pose.position_mm)
        toward = np.asarray(target) - eye
        lights.append(
            LightSpec(
                kind="ring",
                position_mm=to_vec3(eye + 0.12 * toward),
                target_mm=target,
                axis=to_vec3(toward / np.linalg.norm(toward)),
                size_mm=float(rng.uniform(70, 140)),
                irradiance=ranges.ring.sample(rng),
            )  # fmt: skip
        )
    if rng.uniform() < ranges.bar_share:
        azimuth = float(rng.uniform(0, 360))
        position = _around(
            target, azimuth, float(rng.uniform(25, 70)), float(rng.uniform(250, 450))
        )
        across = axis_rotation(UP, azimuth + 90.0) @ np.array([1.0, 0, 0])
        lights.append(
            LightSpec(
                kind="bar",
                position_mm=position,
                target_mm=target,
                axis=to_vec3(across),
                size_mm=float(rng.uniform(150, 400)),
                irradiance=ranges.bar.sample(rng),
                shadow=True,
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
