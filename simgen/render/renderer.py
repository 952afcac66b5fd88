"""What every renderer is: it opens a scene, which then answers for colour and labels."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from simgen.defects.surface import SurfacePair
from simgen.render.buffers import LabelBuffers, Window
from simgen.scene.spec import SceneSpec


class LabelSource(Protocol):
    """What label passes are asked of; windows are in camera pixels, None means the image."""

    def labels(self, *, clean: bool = False, window: Window | None = None) -> LabelBuffers:
        """Return the label pass, with the defects or (clean) without."""

    def alone(self, k: int, *, clean: bool, window: Window) -> LabelBuffers:
        """Return the label pass of object `k` by itself: what nothing else hides."""

    def window_of(self, k: int) -> Window:
        """Return a window that holds object `k`'s projection."""


class OpenScene(LabelSource, Protocol):
    """A scene ready to be drawn."""

    def colour(self, *, clean: bool = False, window: Window | None = None) -> np.ndarray:
        """Return linear HDR colour, shape (h, w, 3), float32."""

    def begin_colour(
        self, *, clean: bool = False, window: Window | None = None
    ) -> Callable[[], np.ndarray]:
        """Begin to draw what `colour` returns, and return a function that waits for it.

        To be called once, before the scene is closed; what else is drawn meanwhile changes nothing.
        """

    def close(self) -> None:
        """Free the scene's memory."""


class Renderer(Protocol):
    """Draws scenes; one a process, kept between frames."""

    def facts(self) -> dict[str, Any]:
        """Return its `name`, and what else its images depend on, for manifests."""

    def open(self, scene: SceneSpec, pairs: Sequence[SurfacePair]) -> OpenScene:
        """Make a scene ready; close the result when its frames are done.

        Args:
            scene: The settled scene.
            pairs: The surfaces of its objects, in their order.
        """

    def close(self) -> None:
        """Release all that it holds."""
