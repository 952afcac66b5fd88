"""A pinhole camera that looks down at what came to rest."""

from dataclasses import dataclass, replace

import numpy as np

from simgen.config import bounded
from simgen.config.render import ImageConfig
from simgen.geometry import Vec3, look_at, quaternion_of, to_vec3
from simgen.sampling import Constant, Distribution
from simgen.scene.spec import CameraSpec, PoseSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraRanges:
    """A camera that looks at where the parts came to rest.

    By default without lens distortion, and a pinhole: an `aperture_mm` (focal length over
    f-number) blurs what is nearer or farther than where it aims, plus `focus_off_mm`.
    """

    distance_mm: Distribution = bounded(above=100, high=15_000)
    elevation_deg: Distribution = bounded(low=5, high=90)
    field_of_view_deg: Distribution = bounded(above=1, high=120)
    roll_deg: Distribution = bounded(low=-180, high=180)
    aim_mm: Distribution = bounded(low=0)
    k1: Distribution = bounded(Constant(0.0), low=-0.5, high=0.5)
    k2: Distribution = bounded(Constant(0.0), low=-0.5, high=0.5)
    k3: Distribution = bounded(Constant(0.0), low=-0.5, high=0.5)
    p1: Distribution = bounded(Constant(0.0), low=-0.1, high=0.1)
    p2: Distribution = bounded(Constant(0.0), low=-0.1, high=0.1)
    aperture_mm: Distribution = bounded(Constant(0.0), low=0, high=200)
    focus_off_mm: Distribution = bounded(Constant(0.0))


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
        [
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
        ]
    )
    eye = to_vec3(target + distance * offset)
    rotation = look_at(eye, to_vec3(target), ranges.roll_deg.sample(rng))
    half = np.deg2rad(ranges.field_of_view_deg.sample(rng)) / 2
    focal = float(max(image.width, image.height) / 2 / np.tan(half))
    lens = (ranges.k1, ranges.k2, ranges.p1, ranges.p2, ranges.k3)
    k1, k2, p1, p2, k3 = (float(d.sample(rng)) for d in lens)
    return replace(
        centred(image, focal, eye, rotation),
        distortion=(k1, k2, p1, p2, k3),
        aperture_mm=ranges.aperture_mm.sample(rng),
        # No lens focuses on what nearly touches it.
        focus_mm=float(max(distance + ranges.focus_off_mm.sample(rng), distance / 10)),
    )


def centred(image: ImageConfig, focal_px: float, eye_mm: Vec3, rotation: np.ndarray) -> CameraSpec:
    """Return a camera without distortion whose optical axis meets the image's middle.

    Args:
        image: Its size.
        focal_px: Focal length in pixels.
        eye_mm: Position in the world.
        rotation: World from camera, shape (3, 3), as `look_at` gives it.
    """
    return CameraSpec(
        width=image.width,
        height=image.height,
        fx=focal_px,
        fy=focal_px,
        cx=(image.width - 1) / 2,
        cy=(image.height - 1) / 2,
        pose=PoseSpec(position_mm=eye_mm, quaternion=quaternion_of(rotation)),
    )
