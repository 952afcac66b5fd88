"""Draw a shape's dimensions until they make a shape."""

from collections.abc import Mapping

import numpy as np

from simgen.errors import ConfigError
from simgen.parts.build import build_mesh
from simgen.sampling import Distribution
from simgen.scene.spec import ShapeSpec

_TRIES = 50


def sample_shape(
    rng: np.random.Generator,
    kind: str,
    size_mm: Mapping[str, Distribution],
    *,
    texel_mm: float,
    key: str,
) -> ShapeSpec:
    """Draw the dimensions of a shape; those that contradict each other are drawn again.

    Independent ranges can meet badly (a hole wider than its leg); a draw that makes no
    shape says nothing about the others, so it is rejected.

    Args:
        rng: Generator.
        kind: Key of `parts.build.SHAPES`.
        size_mm: Ranges by size key.
        texel_mm: Texel size of the map.
        key: Dotted config key of `size_mm`, for the message.

    Raises:
        ConfigError: None of fifty draws makes a shape.
    """
    for _ in range(_TRIES):
        sizes = {name: float(size_mm[name].sample(rng)) for name in sorted(size_mm)}
        shape = ShapeSpec(kind=kind, size_mm=sizes, texel_mm=texel_mm)
        try:
            build_mesh(shape)
        except ConfigError as error:
            reason = error
            continue
        return shape
    raise ConfigError(f"{key}: no draw makes a {kind} ({reason}); narrow the ranges")
