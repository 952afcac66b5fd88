"""The settings of a colour camera."""

from dataclasses import dataclass

from simgen.config import bounded
from simgen.sampling import Distribution, Streams
from simgen.scene.spec import SensorSpec


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


def sample_sensor(streams: Streams, ranges: SensorRanges) -> SensorSpec:
    """Draw the camera's settings for a view, and this frame's exposure and noise."""
    rng = streams.view("sensor")
    return SensorSpec(
        exposure=ranges.exposure.sample(streams.frame("exposure")),
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
