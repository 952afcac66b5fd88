"""Named random streams: every randomizer of every scene has a generator of its own."""

import zlib
from dataclasses import dataclass

import numpy as np


def stream(seed: int, index: int, name: str, item: int = 0) -> np.random.Generator:
    """Return the generator of one randomizer, independent of all others.

    Args:
        seed: The dataset's seed; 0 is a seed like any other.
        index: Scene, view or frame number, whichever the draw belongs to.
        name: The randomizer's name. Its CRC-32 is the key, so that adding a
            randomizer never moves another's draws.
        item: Number of the object within the randomizer (part, defect, light).
    """
    key = (index, zlib.crc32(name.encode()), item)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameIndex:
    """Where a frame stands: frame `i` is one exposure of one view of one scene."""

    frame: int
    scene: int
    view: int
    exposure: int

    @classmethod
    def of(cls, frame: int, *, views_per_scene: int, exposures_per_view: int) -> "FrameIndex":
        """Return the position of frame number `frame`, counted from 0."""
        view_number, exposure = divmod(frame, exposures_per_view)
        scene, view = divmod(view_number, views_per_scene)
        return cls(frame=frame, scene=scene, view=view, exposure=exposure)


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """The generators of one frame, at the four levels that a draw can belong to."""

    seed: int
    index: FrameIndex

    def design(self, name: str, number: int) -> np.random.Generator:
        """Return a generator that the whole dataset shares (the dimensions of a part design)."""
        return stream(self.seed, number, f"{name}@design")

    def scene(self, name: str, item: int = 0) -> np.random.Generator:
        """Return a generator that all frames of a scene share (parts, defects, lights)."""
        return stream(self.seed, self.index.scene, name, item)

    def view(self, name: str) -> np.random.Generator:
        """Return a generator that all exposures of a view share (camera)."""
        # The level is part of the name: a scene's stream of item 1 must not be view 1's.
        return stream(self.seed, self.index.scene, f"{name}@view", self.index.view)

    def frame(self, name: str) -> np.random.Generator:
        """Return a generator of this frame alone (sensor)."""
        return stream(self.seed, self.index.frame, f"{name}@frame")
