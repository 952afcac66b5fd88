"""From linear light to an 8-bit image."""

from simgen.sensor.develop import develop, luminance, metered, noise_field, quantize
from simgen.sensor.lens import blur_reach_px, defocused

__all__ = [
    "blur_reach_px",
    "defocused",
    "develop",
    "luminance",
    "metered",
    "noise_field",
    "quantize",
]
