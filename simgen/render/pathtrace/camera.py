"""Our camera as one of Mitsuba's: OpenCV axes and K to its field of view and film."""

import math
from typing import Any

import numpy as np

from simgen.errors import RenderError
from simgen.render.buffers import Window
from simgen.render.projection import FAR_MM, NEAR_MM
from simgen.scene.spec import CameraSpec

# Mitsuba's camera has x to the left and y up.
_MITSUBA_AXES = np.diag([-1.0, -1.0, 1.0, 1.0])
_SQUARE = 1e-6


def sensor_of(mi: Any, camera: CameraSpec, window: Window, sampler: dict[str, Any]) -> Any:
    """Return a Mitsuba sensor whose film is a window of the camera's image.

    Args:
        mi: The module `mitsuba`, its variant set.
        camera: Without distortion.
        window: Not empty.
        sampler: What Mitsuba draws its random numbers from.

    Raises:
        RenderError: Pixels are not square.
    """
    if abs(camera.fx / camera.fy - 1) > _SQUARE:
        raise RenderError(
            f"camera: renderer=pathtrace draws square pixels only, not fx={camera.fx:g},"
            f" fy={camera.fy:g}; use renderer=raster"
        )
    width, height = camera.width, camera.height
    return mi.load_dict(
        {
            "type": "perspective",
            "fov": math.degrees(2 * math.atan(width / (2 * camera.fx))),
            "fov_axis": "x",
            "near_clip": NEAR_MM,
            "far_clip": FAR_MM,
            # Shares of the image, counted the other way; the middle of the first pixel is at 0.
            "principal_point_offset_x": 0.5 - (camera.cx + 0.5) / width,
            "principal_point_offset_y": 0.5 - (camera.cy + 0.5) / height,
            "to_world": mi.ScalarTransform4f(camera.pose.matrix() @ _MITSUBA_AXES),
            "sampler": sampler,
            "film": {
                "type": "hdrfilm",
                "width": width,
                "height": height,
                "crop_offset_x": window.x0,
                "crop_offset_y": window.y0,
                "crop_width": window.x1 - window.x0,
                "crop_height": window.y1 - window.y0,
                "pixel_format": "rgba",
                "component_format": "float32",
                "rfilter": {"type": "box"},
                "sample_border": False,
            },
        }
    )


def pinhole_directions(camera: CameraSpec, window: Window) -> np.ndarray:
    """Return unit directions in the world through the pixel centres of a window.

    Returns:
        Shape (N, 3), float64, row by row; distortion is left out.
    """
    rows, columns = np.mgrid[window.y0 : window.y1, window.x0 : window.x1].astype(np.float64)
    rays = np.stack(
        [(columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy, np.ones_like(rows)],
        axis=-1,
    ).reshape(-1, 3)
    rays = rays @ camera.pose.matrix()[:3, :3].T
    unit: np.ndarray = rays / np.linalg.norm(rays, axis=1, keepdims=True)
    return unit
