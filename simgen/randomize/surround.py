"""Surroundings from the user's panoramas, in the place of the hall that a scene draws."""

from collections.abc import Mapping
from dataclasses import dataclass

from simgen.config import bounded
from simgen.randomize.rigs import Lighting
from simgen.sampling import Distribution, LogUniform, Streams, Uniform
from simgen.scene.files import read_bytes
from simgen.scene.panorama import read_panorama
from simgen.scene.spec import EnvironmentSpec, PanoramaSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentRanges:
    """Panoramas that scenes may have around them.

    Attributes:
        images: Files (.hdr, .exr), one of them in each scene; none for the procedural hall.
            One that is named twice is drawn twice as often.
        licence: SPDX identifier of those that have none beside them in FILE.license.
        share: Of the scenes that have one; the others have their procedural hall.
        rotation_deg: Turns it about z.
        intensity: Times the file's radiance, and times the hall's own intensity.
        irradiance: What arrives on a level surface from every panorama at intensity 1; None
            keeps the files' own units.
    """

    images: tuple[str, ...] = ()
    licence: str = ""
    share: float = bounded(1.0, low=0, high=1)
    rotation_deg: Distribution = Uniform(0.0, 360.0)
    intensity: Distribution = bounded(LogUniform(0.7, 1.4), above=0)
    irradiance: Distribution | None = bounded(None, above=0)


def behind_lamps(
    streams: Streams, ranges: EnvironmentRanges, lighting: Lighting, sha256: Mapping[str, str]
) -> EnvironmentSpec:
    """Return the surroundings of a rig; one whose light they are themselves keeps its own."""
    if not lighting.hall:
        return lighting.environment
    return with_panorama(streams, ranges, lighting.environment, sha256)


def with_panorama(
    streams: Streams,
    ranges: EnvironmentRanges,
    hall: EnvironmentSpec,
    sha256: Mapping[str, str],
) -> EnvironmentSpec:
    """Draw a scene's panorama in the place of its hall.

    Args:
        streams: Of the frame; all views of a scene share its surroundings.
        ranges: Which files there are.
        hall: Returned as it is where there is no panorama; its intensity is kept.
        sha256: By path, noted when the dataset was begun.

    Raises:
        AssetError: A file is missing, or was read for its irradiance and is broken.
    """
    if not ranges.images:
        return hall
    rng = streams.scene("panorama")
    path = ranges.images[int(rng.integers(len(ranges.images)))]
    rotation, intensity = ranges.rotation_deg.sample(rng), ranges.intensity.sample(rng)
    level = None if ranges.irradiance is None else ranges.irradiance.sample(rng)
    if rng.uniform() >= ranges.share:
        return hall
    image = PanoramaSpec(path=path, sha256=sha256.get(path) or read_bytes(path)[1])
    if level is not None:
        intensity *= level / read_panorama(image).irradiance
    return EnvironmentSpec(rotation_deg=rotation, intensity=intensity * hall.intensity, image=image)
