"""Lens distortion: one map from the distorted image into a larger pinhole image.

Colour is read through it bilinearly, and so are positions and depth within a smooth
surface; ids by nearest pixel, so that labels stay samples of the label pass.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np

from simgen.errors import ConfigError
from simgen.render.buffers import LabelBuffers, Window
from simgen.render.projection import projected_window
from simgen.scene.spec import CameraSpec


class PinholeScene(Protocol):
    """What draws without distortion."""

    def labels(self, *, clean: bool = False, window: Window | None = None) -> LabelBuffers: ...

    def alone(self, k: int, *, clean: bool, window: Window) -> LabelBuffers: ...

    def begin_colour(
        self, *, clean: bool = False, window: Window | None = None
    ) -> Callable[[], np.ndarray]: ...

    def corners_of(self, k: int) -> np.ndarray: ...

    def close(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class DistortionMap:
    """Where each pixel of a distorted camera lies in a pinhole camera's image.

    Attributes:
        pinhole: Undistorted camera of the same pose and focal lengths, its image
            enlarged so that it holds every pixel needed.
        x, y: Pinhole pixel coordinates of the distorted pixels, shape (H, W), float32.
    """

    pinhole: CameraSpec
    x: np.ndarray
    y: np.ndarray

    @classmethod
    def of(cls, camera: CameraSpec) -> "DistortionMap":
        """Return the map of a camera with distortion (k1, k2, p1, p2, k3) as OpenCV has it.

        Raises:
            ConfigError: The distortion folds the image over within the field of view.
        """
        ideal = _undistorted(camera)
        u = camera.fx * ideal[..., 0] + camera.cx
        v = camera.fy * ideal[..., 1] + camera.cy
        x0, y0 = int(np.floor(u.min())) - 2, int(np.floor(v.min())) - 2
        pinhole = replace(
            camera,
            width=int(np.ceil(u.max())) + 3 - x0,
            height=int(np.ceil(v.max())) + 3 - y0,
            cx=camera.cx - x0,
            cy=camera.cy - y0,
            distortion=(0.0, 0.0, 0.0, 0.0, 0.0),
        )
        return cls(pinhole=pinhole, x=(u - x0).astype(np.float32), y=(v - y0).astype(np.float32))


class DistortedScene:
    """A scene seen through a lens: the same calls, windows in the distorted image."""

    def __init__(self, inner: PinholeScene, camera: CameraSpec, through: DistortionMap):
        self._inner, self._camera, self._map = inner, camera, through

    def close(self) -> None:
        """Free the scene's memory."""
        self._inner.close()

    def window_of(self, k: int) -> Window:
        """Return a window that holds object `k`'s projection."""
        box = projected_window(self._map.pinhole, self._inner.corners_of(k))
        inside = (self._map.x >= box.x0 - 1) & (self._map.x <= box.x1 + 1)
        inside &= (self._map.y >= box.y0 - 1) & (self._map.y <= box.y1 + 1)
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        if not len(rows):
            return Window(x0=0, y0=0, x1=0, y1=0)
        return Window(
            x0=int(columns[0]), y0=int(rows[0]), x1=int(columns[-1]) + 1, y1=int(rows[-1]) + 1
        )

    def labels(self, *, clean: bool = False, window: Window | None = None) -> LabelBuffers:
        """Draw the label pass, see `RasterScene.labels`."""
        x, y, source = self._source(window)
        return _resampled(self._inner.labels(clean=clean, window=source), x, y)

    def alone(self, k: int, *, clean: bool, window: Window) -> LabelBuffers:
        """Draw one object by itself, see `RasterScene.alone`."""
        x, y, source = self._source(window)
        return _resampled(self._inner.alone(k, clean=clean, window=source), x, y)

    def colour(self, *, clean: bool = False, window: Window | None = None) -> np.ndarray:
        """Draw linear HDR colour, see `RasterScene.colour`."""
        return self.begin_colour(clean=clean, window=window)()

    def begin_colour(
        self, *, clean: bool = False, window: Window | None = None
    ) -> Callable[[], np.ndarray]:
        """Begin to draw it, see `RasterScene.begin_colour`."""
        x, y, source = self._source(window)
        drawn = self._inner.begin_colour(clean=clean, window=source)

        def wait() -> np.ndarray:
            return cv2.remap(drawn(), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

        return wait

    def _source(self, window: Window | None) -> tuple[np.ndarray, np.ndarray, Window]:
        """Return the map of a window, relative to the pinhole window that it needs."""
        whole = Window(x0=0, y0=0, x1=self._camera.width, y1=self._camera.height)
        at = (window or whole).slices
        x, y = self._map.x[at], self._map.y[at]
        pinhole = self._map.pinhole
        source = Window(
            x0=int(x.min()), y0=int(y.min()), x1=int(x.max()) + 1, y1=int(y.max()) + 1
        ).grown(2, pinhole.width, pinhole.height)
        return x - np.float32(source.x0), y - np.float32(source.y0), source


def _resampled(buffers: LabelBuffers, x: np.ndarray, y: np.ndarray) -> LabelBuffers:
    """Return the buffers at places (x, y): ids of the nearest pixel, the rest between four.

    The nearest pixel's position is up to half a pixel off, which outlines would show.
    Where the four pixels around do not lie on one smooth surface there is nothing between
    them, and the nearest one stands.
    """
    rows, columns = np.rint(y).astype(np.int64), np.rint(x).astype(np.int64)
    ids, cut = buffers.ids[rows, columns], buffers.cut[rows, columns]
    position, depth = buffers.position_mm[rows, columns], buffers.depth_mm[rows, columns]
    normal = buffers.normal[rows, columns]
    height, width = buffers.ids.shape
    top = np.clip(np.floor(y).astype(np.int64), 0, height - 2)
    left = np.clip(np.floor(x).astype(np.int64), 0, width - 2)
    smooth = ids > 0
    for i in (0, 1):
        for j in (0, 1):
            at = (top + i, left + j)
            smooth &= (buffers.ids[at] == ids) & (buffers.cut[at] == cut)
            smooth &= np.einsum("hwc,hwc->hw", buffers.normal[at], normal) > 0.98
    top, left = top[smooth], left[smooth]
    down, right = (y[smooth] - top)[:, None], (x[smooth] - left)[:, None]

    def between(values: np.ndarray) -> np.ndarray:
        upper = (1 - right) * values[top, left] + right * values[top, left + 1]
        lower = (1 - right) * values[top + 1, left] + right * values[top + 1, left + 1]
        return ((1 - down) * upper + down * lower).astype(np.float32)

    position[smooth], normal[smooth] = between(buffers.position_mm), between(buffers.normal)
    depth[smooth] = between(buffers.depth_mm[..., None])[:, 0]
    return LabelBuffers(ids=ids, cut=cut, position_mm=position, depth_mm=depth, normal=normal)


def _undistorted(camera: CameraSpec) -> np.ndarray:
    """Return the undistorted ray (x / z, y / z) of every pixel, shape (H, W, 2), float64.

    OpenCV's forward model, inverted by fixed-point steps to a thousandth of a pixel.
    """
    columns, rows = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    pixels = np.stack([columns, rows], axis=-1).reshape(-1, 2).astype(np.float64)
    focal = np.array([camera.fx, camera.fy])
    rays = (pixels - np.array([camera.cx, camera.cy])) / focal
    still, lens = np.zeros(3), np.asarray(camera.distortion)
    for _ in range(60):
        points = np.concatenate([rays, np.ones((len(rays), 1))], axis=1)
        seen, _ = cv2.projectPoints(points, still, still, camera.matrix(), lens)
        error = seen.reshape(-1, 2) - pixels
        if np.abs(error).max() < 1e-3:
            return rays.reshape(camera.height, camera.width, 2)
        rays -= error / focal
    raise ConfigError(
        f"camera distortion {camera.distortion}: too strong for this field of view; "
        "bring k1, k2, k3, p1, p2 nearer to 0"
    )
