"""pyrender's own renderer drawing to floats, into a window of the image.

Its pixels are bytes of what it clamps to [0, 1] and raises to 1 / 2.2. Floats and light turned
down by `DIMMED` keep all that raster keeps.
"""

from functools import lru_cache
from typing import Any

import numpy as np

from simgen.render.buffers import Window
from simgen.render.pyrender.load import load_pyrender

# pyrender's 1 is this bright.
DIMMED = 400.0
_GAMMA = 2.2
_SAMPLES = 4
# Our lamps in pyrender's kinds: few that cast shadows, many points that stand for the others.
_MOST_LIGHTS = (1, 4, 48)


@lru_cache(maxsize=1)
def canvas_class() -> type:
    """Return the class, a subclass of pyrender's that is imported for it."""
    pyrender = load_pyrender()
    from OpenGL import GL as gl

    class Canvas(pyrender.Renderer):  # type: ignore[name-defined,misc]
        """Draws in the context that is current, of one image size."""

        def __init__(self, width: int, height: int) -> None:
            super().__init__(width, height)
            self._window = Window(x0=0, y0=0, x1=width, y1=height)
            self._shadows_of: object = None
            self._shadows_drawn = False
            self._main_fb: int | None = None

        def linear(self, scene: Any, window: Window, shadows_of: object) -> np.ndarray:
            """Return linear colour and coverage, shape (h, w, 4), float32, premultiplied.

            Args:
                scene: pyrender's.
                window: Of the image.
                shadows_of: What the visible meshes are called; for the same ones the
                    shadows are not drawn again.
            """
            self._window = window
            self._shadows_drawn = shadows_of == self._shadows_of
            self._shadows_of = None
            flags = pyrender.RenderFlags
            pixels: np.ndarray = self.render(scene, flags.OFFSCREEN | flags.SHADOWS_SPOT)
            self._shadows_of = shadows_of
            alpha = pixels[..., 3:]
            # Samples were averaged as pyrender codes them.
            coded = pixels[..., :3] / np.maximum(alpha, 1e-3)
            colour = DIMMED * coded ** np.float32(_GAMMA) * alpha
            return np.concatenate([colour, alpha], axis=-1)

        def forget(self) -> None:
            """Free what the last scene has in the context."""
            self._update_context(pyrender.Scene(), 0)
            self._shadows_of = None

        def delete(self) -> None:
            """Free everything."""
            super().delete()
            # Deleted again when it is collected, it would be another context's by then.
            self._shadow_fb = None

        def _shadow_mapping_pass(self, scene: Any, light_node: Any, flags: int) -> None:
            if not self._shadows_drawn:
                super()._shadow_mapping_pass(scene, light_node, flags)

        def _compute_max_n_lights(self, flags: int) -> list[int]:
            return list(_MOST_LIGHTS)

        def _configure_forward_pass_viewport(self, flags: int) -> None:
            super()._configure_forward_pass_viewport(flags)
            window, height = self._window, self.viewport_height
            # Moved by whole pixels, so that a window's pixels are the image's.
            gl.glViewport(-window.x0, window.y1 - height, self.viewport_width, height)
            gl.glScissor(0, 0, window.x1 - window.x0, window.y1 - window.y0)
            gl.glEnable(gl.GL_SCISSOR_TEST)

        def _configure_main_framebuffer(self) -> None:
            size = (self.viewport_width, self.viewport_height)
            if self._main_fb is not None:
                return
            colours, depths = gl.glGenRenderbuffers(2), gl.glGenRenderbuffers(2)
            self._main_cb, self._main_cb_ms = (int(x) for x in colours)
            self._main_db, self._main_db_ms = (int(x) for x in depths)
            self._main_fb, self._main_fb_ms = (int(x) for x in gl.glGenFramebuffers(2))
            for buffer, colour, depth, samples in (
                (self._main_fb, self._main_cb, self._main_db, 0),
                (self._main_fb_ms, self._main_cb_ms, self._main_db_ms, _SAMPLES),
            ):
                gl.glBindFramebuffer(gl.GL_DRAW_FRAMEBUFFER, buffer)
                for storage, form, place in (
                    (colour, gl.GL_RGBA16F, gl.GL_COLOR_ATTACHMENT0),
                    (depth, gl.GL_DEPTH_COMPONENT24, gl.GL_DEPTH_ATTACHMENT),
                ):
                    gl.glBindRenderbuffer(gl.GL_RENDERBUFFER, storage)
                    gl.glRenderbufferStorageMultisample(gl.GL_RENDERBUFFER, samples, form, *size)
                    gl.glFramebufferRenderbuffer(
                        gl.GL_DRAW_FRAMEBUFFER, place, gl.GL_RENDERBUFFER, storage
                    )
            self._main_fb_dims = size

        def _read_main_framebuffer(self, scene: Any, flags: int) -> np.ndarray:
            width = self._window.x1 - self._window.x0
            height = self._window.y1 - self._window.y0
            gl.glBindFramebuffer(gl.GL_READ_FRAMEBUFFER, self._main_fb_ms)
            gl.glBindFramebuffer(gl.GL_DRAW_FRAMEBUFFER, self._main_fb)
            box = (0, 0, width, height)
            gl.glBlitFramebuffer(*box, *box, gl.GL_COLOR_BUFFER_BIT, gl.GL_NEAREST)
            gl.glBindFramebuffer(gl.GL_READ_FRAMEBUFFER, self._main_fb)
            # The next shadow maps are drawn whole.
            gl.glDisable(gl.GL_SCISSOR_TEST)
            raw = gl.glReadPixels(*box, gl.GL_RGBA, gl.GL_FLOAT)
            rows: np.ndarray = np.frombuffer(raw, np.float32).reshape(height, width, 4)[::-1]
            return rows

    return Canvas
