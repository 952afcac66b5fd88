"""The path tracer: colour from Mitsuba, labels from OpenGL's label pass or from rays."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from importlib import metadata
from typing import Any, cast

import numpy as np

from simgen.config.render import RendererConfig
from simgen.defects.surface import Surface, SurfacePair
from simgen.errors import RenderError
from simgen.finishes import Maps
from simgen.render.buffers import LabelBuffers, Window
from simgen.render.distortion import DistortedScene, DistortionMap
from simgen.render.pathtrace.camera import pinhole_directions, sensor_of
from simgen.render.pathtrace.colour_scene import ColourScene
from simgen.render.pathtrace.label_rays import LabelRays
from simgen.render.pathtrace.passes import mean_of_passes
from simgen.render.pathtrace.surroundings import arriving
from simgen.render.pathtrace.variant import choose_variant, mitsuba_as
from simgen.render.raster import Raster, RasterScene
from simgen.render.renderer import OpenScene
from simgen.scene.spec import SceneSpec, SensorSpec, content_hash

# Each tile has random numbers of its own: a window's pixels are those of the whole image.
_TILE_PX = 32
_MOST_RADIANCE = 400.0
# Samples of one pass that memory surely holds.
_MOST_AT_ONCE = {"scalar": 1 << 40, "llvm": 1 << 23, "cuda": 1 << 26}


class PathTrace:
    """Owns a variant of Mitsuba and, where there is one, an OpenGL context for labels.

    Raises:
        RenderError: Mitsuba is not installed or does not draw here.
    """

    def __init__(self, config: RendererConfig):
        self.config = config.pathtrace
        self._variant = choose_variant(self.config.variant)
        self._raster: Raster | None
        try:
            # Labels need neither a GPU nor samples.
            self._raster = Raster(replace(config, allow_software=True, supersample=1))
        except RenderError:
            self._raster = None

    def facts(self) -> dict[str, Any]:
        """Return the variant, the versions and where labels come from."""
        labels = "Mitsuba" if self._raster is None else self._raster.device.renderer
        return {
            "name": "pathtrace",
            "vendor": "Mitsuba",
            "renderer": self._variant,
            "version": f"{metadata.version('mitsuba')}, drjit {metadata.version('drjit')}",
            "software": not self._variant.startswith("cuda"),
            "labels": labels,
        }

    def open(self, scene: SceneSpec, pairs: Sequence[SurfacePair]) -> OpenScene:
        """Make a scene ready; close the result when its frames are done."""
        mi = mitsuba_as(self._variant, self.config.threads)
        # All exposures of a view share its light.
        seed = content_hash(replace(scene, sensor=SensorSpec()))
        if not any(scene.camera.distortion):
            return PathTraceScene(self, mi, scene, pairs, seed)
        through = DistortionMap.of(scene.camera)
        inner = PathTraceScene(self, mi, replace(scene, camera=through.pinhole), pairs, seed)
        return DistortedScene(inner, scene.camera, through)

    def label_source(
        self, mi: Any, scene: SceneSpec, pairs: Sequence[SurfacePair]
    ) -> LabelRays | RasterScene:
        """Return what answers for the labels of a scene without distortion."""
        if self._raster is None:
            return LabelRays(mi, scene, pairs)
        # Neither maps nor lights: a label pass needs none.
        bare = [
            SurfacePair(clean=clean, damaged=clean if p.damaged is p.clean else _bare(p.damaged))
            for p in pairs
            for clean in [_bare(p.clean)]
        ]
        return cast(RasterScene, self._raster.open(replace(scene, lights=()), bare))

    def close(self) -> None:
        """Release the context."""
        if self._raster is not None:
            self._raster.close()


class PathTraceScene:
    """One scene, its camera without distortion. Windows are in camera pixels."""

    def __init__(
        self, renderer: PathTrace, mi: Any, scene: SceneSpec, pairs: Sequence[SurfacePair],
        seed: str,
    ) -> None:  # fmt: skip
        self._mi, self._scene, self._seed = mi, scene, seed
        self._config = renderer.config
        self._source = renderer.label_source(mi, scene, pairs)
        self._colour = ColourScene(mi, scene, pairs)
        self._part_tiles: np.ndarray | None = None
        self._whole: dict[bool, np.ndarray] = {}

    def close(self) -> None:
        """Free the scene's memory."""
        self._source.close()
        self._colour.release()
        self._whole.clear()

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

    def colour(self, *, clean: bool = False, window: Window | None = None) -> np.ndarray:
        """Trace linear HDR colour.

        A pixel has the same random numbers with and without defects and in every window, so
        that noise is the same wherever no path meets a defect.

        Returns:
            Shape (h, w, 3), float32, of the window.
        """
        whole = Window(x0=0, y0=0, x1=self._scene.camera.width, y1=self._scene.camera.height)
        window = window or whole
        if not self._mi.variant().startswith("scalar"):
            # Each size of film would be compiled anew: the image is one tile.
            if clean not in self._whole:
                self._whole[clean] = self._trace(clean, whole, self._config.part_samples, 0)
            return self._whole[clean][window.slices]
        image = np.zeros((window.y1 - window.y0, window.x1 - window.x0, 3), np.float32)
        tiles = self._tiles_with_parts()
        for row in range(window.y0 // _TILE_PX, (window.y1 - 1) // _TILE_PX + 1):
            for column in range(window.x0 // _TILE_PX, (window.x1 - 1) // _TILE_PX + 1):
                x, y = column * _TILE_PX, row * _TILE_PX
                tile = Window(
                    x0=x, y0=y, x1=min(x + _TILE_PX, whole.x1), y1=min(y + _TILE_PX, whole.y1)
                )
                samples = self._config.part_samples if tiles[row, column] else self._config.samples
                traced = self._trace(clean, tile, samples, row * tiles.shape[1] + column)
                x0, y0 = max(tile.x0, window.x0), max(tile.y0, window.y0)
                x1, y1 = min(tile.x1, window.x1), min(tile.y1, window.y1)
                image[y0 - window.y0 : y1 - window.y0, x0 - window.x0 : x1 - window.x0] = traced[
                    y0 - tile.y0 : y1 - tile.y0, x0 - tile.x0 : x1 - tile.x0
                ]
        return image

    def begin_colour(
        self, *, clean: bool = False, window: Window | None = None
    ) -> Callable[[], np.ndarray]:
        """Return what draws it when it is called: nothing here draws ahead."""
        return partial(self.colour, clean=clean, window=window)

    def _tiles_with_parts(self) -> np.ndarray:
        """Return which tiles show a labelled part, shape (rows, columns), bool.

        Not which show a defect: noise that is fainter about defects would give them away.
        """
        if self._part_tiles is None:
            ids = self.labels().ids
            parts = [k + 1 for k, o in enumerate(self._scene.objects) if o.category is not None]
            rows, columns = np.nonzero(np.isin(ids, parts))
            shape = tuple((n + _TILE_PX - 1) // _TILE_PX for n in ids.shape)
            self._part_tiles = np.zeros(shape, bool)
            self._part_tiles[rows // _TILE_PX, columns // _TILE_PX] = True
        return self._part_tiles

    def _trace(self, clean: bool, window: Window, samples: int, tile: int) -> np.ndarray:
        most = max(_MOST_AT_ONCE[self._mi.variant().partition("_")[0]] // window.area, 1)

        def trace(number: int, share: int) -> np.ndarray:
            return self._trace_once(clean, window, share, f"{tile}:{number}")

        return mean_of_passes(trace, samples, most)

    def _trace_once(self, clean: bool, window: Window, samples: int, name: str) -> np.ndarray:
        mi, camera = self._mi, self._scene.camera
        hide = not self._colour.glows
        integrator = mi.load_dict(
            {
                "type": "path",
                "max_depth": self._config.bounces + 1,
                # Lamps light the scene and show in what is polished; the camera looks past them.
                "hide_emitters": hide,
                # Left alone, Mitsuba would choose by the number of threads, and seeds with it.
                "block_size": _TILE_PX,
            }
        )
        film = mi.render(
            self._colour.of(clean),
            sensor=sensor_of(mi, camera, window, {"type": "multijitter"}),
            integrator=integrator,
            seed=zlib.crc32(f"{self._seed}:{name}".encode()),
            spp=samples,
        )
        traced = np.array(film, np.float32)
        image = np.minimum(traced[..., :3], _MOST_RADIANCE)
        if hide:
            # What lies behind everything was hidden with the lamps.
            directions = pinhole_directions(camera, window).reshape(*image.shape)
            behind = arriving(self._scene.environment, directions)
            image += np.clip(1 - traced[..., 3:4], 0, 1) * behind
        return image


def _bare(surface: Surface) -> Surface:
    """Return a surface with maps of one texel."""
    dot = np.zeros((1, 1, 4), np.uint8)
    maps = Maps(colour=dot, slope=np.zeros((1, 1, 4), np.float16), extra=dot)
    bodies = tuple(replace(b, maps=None if b.maps is None else maps) for b in surface.bodies)
    return replace(surface, maps=maps, bodies=bodies)
