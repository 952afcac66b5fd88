"""pyrender behind our protocol: colour by it, labels by raster's label pass."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from importlib import metadata
from typing import Any, cast

import numpy as np

from simgen.config.render import RendererConfig
from simgen.defects.surface import SurfacePair
from simgen.render.bare import bare_pairs
from simgen.render.buffers import LabelBuffers, Window
from simgen.render.context import describe, open_context, require_hardware
from simgen.render.distortion import DistortedScene, DistortionMap
from simgen.render.pathtrace.camera import pinhole_directions
from simgen.render.pathtrace.surroundings import arriving
from simgen.render.pyrender.canvas import canvas_class
from simgen.render.pyrender.load import load_pyrender, require_pyrender
from simgen.render.pyrender.scene import Drawn
from simgen.render.raster import Raster, RasterScene
from simgen.render.renderer import OpenScene
from simgen.scene.spec import SceneSpec


class PyRender:
    """Owns two OpenGL contexts, pyrender's and that of the label pass; one a process.

    pyrender draws in a context of ours, so that it is on the GPU that this process was given,
    and whatever it leaves bound disturbs nobody.

    Raises:
        RenderError: pyrender is not installed, no context, or software GL on a machine with
            a GPU unasked.
    """

    def __init__(self, config: RendererConfig):
        require_pyrender()
        self._raster = Raster(replace(config, supersample=1))
        # After raster, whose error says it better where there is no EGL.
        self._pyrender = load_pyrender()
        self._context = open_context()
        self.device = describe(self._context)
        require_hardware(self.device, allow_software=config.allow_software)
        self._canvas: Any = None
        self._size: tuple[int, int] | None = None

    def facts(self) -> dict[str, Any]:
        """Return the driver's strings and the versions."""
        versions = ", ".join(f"{n} {metadata.version(n)}" for n in ("pyrender", "PyOpenGL"))
        strings = {**asdict(self.device), "version": f"{versions}, OpenGL {self.device.version}"}
        return {"name": "pyrender", **strings}

    def open(self, scene: SceneSpec, pairs: Sequence[SurfacePair]) -> OpenScene:
        """Make a scene ready; close the result when its frames are done."""
        if not any(scene.camera.distortion):
            return PyRenderScene(self, scene, pairs)
        through = DistortionMap.of(scene.camera)
        inner = PyRenderScene(self, replace(scene, camera=through.pinhole), pairs)
        return DistortedScene(inner, scene.camera, through)

    def label_source(self, scene: SceneSpec, pairs: Sequence[SurfacePair]) -> RasterScene:
        """Return what answers for the labels of a scene without distortion."""
        return cast(RasterScene, self._raster.open(replace(scene, lights=()), bare_pairs(pairs)))

    def drawn(self, scene: SceneSpec, pairs: Sequence[SurfacePair]) -> Drawn:
        """Return a scene as pyrender's."""
        return Drawn(self._pyrender, scene, pairs)

    def linear(self, drawn: Drawn, size: tuple[int, int], window: Window, clean: bool) -> Any:
        """Draw a window of an image (width, height); see `Canvas.linear`."""
        with self._context:
            if self._size != size:
                self._delete_canvas()
                self._canvas, self._size = canvas_class()(*size), size
            drawn.show(clean)
            return self._canvas.linear(drawn.scene, window, (id(drawn), clean))

    def forget(self) -> None:
        """Free what the last scene holds of the context."""
        with self._context:
            if self._canvas is not None:
                self._canvas.forget()

    def close(self) -> None:
        """Release the contexts and all they hold."""
        with self._context:
            self._delete_canvas()
        self._context.release()
        self._raster.close()

    def _delete_canvas(self) -> None:
        if self._canvas is not None:
            self._canvas.delete()
            self._canvas = self._size = None


class PyRenderScene:
    """One scene, its camera without distortion. Windows are in camera pixels."""

    def __init__(self, renderer: PyRender, scene: SceneSpec, pairs: Sequence[SurfacePair]) -> None:
        self._renderer, self._scene = renderer, scene
        self._source = renderer.label_source(scene, pairs)
        self._drawn = renderer.drawn(scene, pairs)
        self._same = all(pair.clean is pair.damaged for pair in pairs)

    def close(self) -> None:
        """Free the scene's memory."""
        self._source.close()
        self._renderer.forget()

    def labels(self, *, clean: bool = False, window: Window | None = None) -> LabelBuffers:
        """Return the label pass, cropped to the window."""
        return self._source.labels(clean=clean, window=window)

    def alone(self, k: int, *, clean: bool, window: Window) -> LabelBuffers:
        """Return the label pass of object `k` by itself: what nothing else hides."""
        return self._source.alone(k, clean=clean, window=window)

    def window_of(self, k: int) -> Window:
        """Return the window that holds object `k`'s projection."""
        return self._source.window_of(k)

    def corners_of(self, k: int) -> np.ndarray:
        """Return the world corners of object `k`'s box, shape (8, 3), mm."""
        return self._source.corners_of(k)

    def begin_colour(
        self, *, clean: bool = False, window: Window | None = None
    ) -> Callable[[], np.ndarray]:
        """Return what draws it when it is called: nothing here draws ahead."""
        return partial(self.colour, clean=clean, window=window)

    def colour(self, *, clean: bool = False, window: Window | None = None) -> np.ndarray:
        """Draw linear HDR colour.

        Returns:
            Shape (h, w, 3), float32, of the window.
        """
        camera = self._scene.camera
        window = window or Window(x0=0, y0=0, x1=camera.width, y1=camera.height)
        size = (camera.width, camera.height)
        drawn = self._renderer.linear(self._drawn, size, window, clean and not self._same)
        colour, covered = drawn[..., :3], drawn[..., 3:]
        if covered.min() < 1:
            directions = pinhole_directions(camera, window).reshape(*colour.shape)
            colour = colour + (1 - covered) * arriving(self._scene.environment, directions)
        return np.ascontiguousarray(colour, np.float32)
