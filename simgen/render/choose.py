"""The renderer that a config names."""

import sys
from collections.abc import Callable

from simgen.config.render import RendererConfig
from simgen.errors import RenderError
from simgen.render.context import NoContextError
from simgen.render.renderer import Renderer


def open_renderer(config: RendererConfig) -> Renderer:
    """Return the renderer `config.name`, started.

    Raises:
        RenderError: It cannot start here.
    """
    return _RENDERERS[config.name](config)


def _raster(config: RendererConfig) -> Renderer:
    from simgen.render.raster import Raster

    return Raster(config)


def _pathtrace(config: RendererConfig) -> Renderer:
    from simgen.render.pathtrace.renderer import PathTrace

    return PathTrace(config)


def _pyrender(config: RendererConfig) -> Renderer:
    from simgen.render.pyrender.renderer import PyRender

    return PyRender(config)


def _auto(config: RendererConfig) -> Renderer:
    try:
        return _raster(config)
    except NoContextError as missing:
        # A GPU that is there but not used is no reason: that error goes on.
        try:
            renderer = _pathtrace(config)
        except RenderError as error:
            raise RenderError(f"{missing}; nor is there another renderer: {error}") from None
        print(f"renderer=auto: pathtrace draws, for {missing}", file=sys.stderr)
        return renderer


_RENDERERS: dict[str, Callable[[RendererConfig], Renderer]] = {
    "raster": _raster,
    "pathtrace": _pathtrace,
    "pyrender": _pyrender,
    "auto": _auto,
}
