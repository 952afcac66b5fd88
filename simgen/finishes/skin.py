"""Skin: what a finish makes of a run of points; `Layers` is the same for a whole part."""

from dataclasses import dataclass

import cv2
import numpy as np

from simgen.finishes.layers import Layers
from simgen.scene.spec import FinishSpec


@dataclass(kw_only=True)
class Skin:
    """Material of n points, float32, components first; finishes change it in place.

    Attributes:
        colour: Linear base colour, shape (3, n).
        roughness, metalness, anisotropy, cavity: In [0, 1], shape (n,).
        slope: Part-space gradient of the height (mm per mm), shape (3, n).
        height: Relief that liquids and dirt follow, mean 0 and standard deviation about 1,
            shape (n,).
    """

    colour: np.ndarray
    roughness: np.ndarray
    metalness: np.ndarray
    anisotropy: np.ndarray
    cavity: np.ndarray
    slope: np.ndarray
    height: np.ndarray

    def shade(self, factor: np.ndarray, low: float = 0.2, high: float = 2.5) -> None:
        """Multiply the colour by a factor (n,), limited."""
        self.colour *= np.clip(factor, low, high)

    def gloss(self, factor: np.ndarray, low: float = 0.4, high: float = 1.6) -> None:
        """Multiply the roughness by a factor (n,), limited."""
        self.roughness *= np.clip(factor, low, high)

    def toward(
        self,
        amount: np.ndarray,
        *,
        colour: np.ndarray,
        roughness: np.ndarray | float,
        metalness: float,
    ) -> None:
        """Cover by another material: `amount` (n,) of it in [0, 1]."""
        self.colour += amount * (colour - self.colour)
        self.roughness += amount * (roughness - self.roughness)
        self.metalness += amount * (np.float32(metalness) - self.metalness)
        self.anisotropy *= 1 - amount

    def write(self, layers: Layers, part: slice) -> None:
        """Put the points into their place among a part's texels."""
        colour = np.clip(self.colour, 0, 1, out=self.colour)
        layers.albedo[part] = cv2.merge([*colour]).reshape(-1, 3)
        layers.slope[part] = cv2.merge([*self.slope]).reshape(-1, 3)
        layers.roughness[part] = np.clip(self.roughness, 0.02, 1)
        layers.metalness[part] = self.metalness
        layers.anisotropy[part] = self.anisotropy
        layers.cavity[part] = self.cavity


def even_skin(spec: FinishSpec, count: int) -> Skin:
    """Return the finish's plain material at `count` points."""
    colour = np.empty((3, count), np.float32)
    colour[:] = np.asarray(spec.colour, np.float32)[:, None]
    return Skin(
        colour=colour,
        roughness=np.full(count, spec.roughness, np.float32),
        metalness=np.full(count, spec.metalness, np.float32),
        anisotropy=np.full(count, spec.anisotropy, np.float32),
        cavity=np.ones(count, np.float32),
        slope=np.zeros((3, count), np.float32),
        height=np.zeros(count, np.float32),
    )
