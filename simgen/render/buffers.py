"""What a renderer gives back: linear colour and the buffers of the label pass."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class LabelBuffers:
    """The label pass, one sample at each pixel centre.

    Attributes:
        ids: Instance ids, shape (H, W), uint32; 0 is background, k + 1 is `objects[k]`.
        cut: 1 + index of the defect whose fracture surface is seen, else 0, uint32.
        position_mm: Part-local position of the visible point, shape (H, W, 3), float32.
        depth_mm: Distance along the viewing axis, shape (H, W), float32; 0 is background.
        normal: Part-local smooth normal, shape (H, W, 3), float32.
    """

    ids: np.ndarray
    cut: np.ndarray
    position_mm: np.ndarray
    depth_mm: np.ndarray
    normal: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A rectangle of pixels [x0, x1) x [y0, y1)."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the window in an image."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    @property
    def area(self) -> int:
        """Number of pixels."""
        return max(self.x1 - self.x0, 0) * max(self.y1 - self.y0, 0)

    @property
    def empty(self) -> bool:
        """Whether the window holds no pixel."""
        return self.x1 <= self.x0 or self.y1 <= self.y0

    def grown(self, margin: int, width: int, height: int) -> "Window":
        """Return the window with a margin, clipped to an image."""
        return Window(
            x0=max(self.x0 - margin, 0),
            y0=max(self.y0 - margin, 0),
            x1=min(self.x1 + margin, width),
            y1=min(self.y1 + margin, height),
        )

    def union(self, other: "Window") -> "Window":
        """Return the smallest window that holds both; an empty one counts for nothing."""
        if self.empty:
            return other
        if other.empty:
            return self
        return Window(
            x0=min(self.x0, other.x0),
            y0=min(self.y0, other.y0),
            x1=max(self.x1, other.x1),
            y1=max(self.y1, other.y1),
        )
