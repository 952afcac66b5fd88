"""The environment as Mitsuba's light from all around, and what the camera sees of it."""

from typing import Any

import numpy as np

from simgen.render.environment import backdrop, radiance
from simgen.scene.spec import EnvironmentSpec

_WIDTH, _HEIGHT = 512, 256
# As sharp as raster's sharpest layer, so that panels have the same edges.
_BLUR_RAD = 0.01
# Mitsuba's map has y up; this has its y as our z.
_WORLD_FROM_MAP = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])


def environment_of(mi: Any, spec: EnvironmentSpec) -> Any:
    """Return the environment as an emitter."""
    behind = backdrop(spec)
    # A panorama by its own rows and columns, so that turning it loses none of its light.
    height, width = (_HEIGHT, _WIDTH) if behind is None else behind.shape[:2]
    polar = (np.arange(height) + 0.5) / height * np.pi
    turn = (np.arange(width) + 0.5) / width * 2 * np.pi
    around, down = np.meshgrid(turn, polar)
    directions = np.stack(
        [np.sin(around) * np.sin(down), np.cos(around) * np.sin(down), np.cos(down)], axis=-1
    )
    return mi.load_dict(
        {
            "type": "envmap",
            "bitmap": mi.Bitmap(np.ascontiguousarray(arriving(spec, directions), np.float32)),
            "to_world": mi.ScalarTransform4f(_WORLD_FROM_MAP),
        }
    )


def arriving(spec: EnvironmentSpec, directions: np.ndarray) -> np.ndarray:
    """Return the light that arrives from unit directions in the world.

    Args:
        spec: The environment.
        directions: Shape (..., 3).

    Returns:
        Shape (..., 3), float32, not negative.
    """
    turn = np.deg2rad(spec.rotation_deg)
    c, s = np.cos(turn), np.sin(turn)
    x, y, z = np.moveaxis(np.asarray(directions), -1, 0)
    own = np.stack([c * x + s * y, c * y - s * x, z], axis=-1).astype(np.float32)
    light = spec.intensity * radiance(spec, own, blur_rad=_BLUR_RAD)
    return np.maximum(light, 0).astype(np.float32)
