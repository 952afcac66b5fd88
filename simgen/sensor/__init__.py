"""From linear light to an 8-bit image."""

from simgen.sensor.develop import develop, luminance, metered, noise_field, quantize

__all__ = ["develop", "luminance", "metered", "noise_field", "quantize"]
