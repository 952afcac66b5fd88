"""Distributions and the named streams that feed them."""

from simgen.sampling.distributions import (
    Choice,
    Constant,
    Distribution,
    LogUniform,
    Normal,
    Uniform,
    sample_count,
)
from simgen.sampling.streams import FrameIndex, Streams, stream

__all__ = [
    "Choice",
    "Constant",
    "Distribution",
    "FrameIndex",
    "LogUniform",
    "Normal",
    "Streams",
    "Uniform",
    "sample_count",
    "stream",
]
