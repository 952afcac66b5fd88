"""From the camera's K to OpenGL's clip space, and back to boxes on the image."""

import numpy as np

from simgen.errors import ConfigError
from simgen.render.buffers import Window
from simgen.scene.spec import CameraSpec, SceneSpec

NEAR_MM, FAR_MM = 5.0, 20_000.0
# How much clip depth grows per mm: this over the square of the distance, times it.
DEPTH_MM = 2 * FAR_MM * NEAR_MM / (FAR_MM - NEAR_MM)
TEXELS_A_PIXEL = 1.4


def camera_from_world(camera: CameraSpec) -> np.ndarray:
    """Return the (4, 4) float64 matrix that maps world to OpenCV camera coordinates."""
    return np.linalg.inv(camera.pose.matrix())


def clip_from_camera(camera: CameraSpec) -> np.ndarray:
    """Return the (4, 4) projection; image y grows with clip y, so row 0 is read first."""
    w, h = camera.width, camera.height
    a = (FAR_MM + NEAR_MM) / (FAR_MM - NEAR_MM)
    b = -2 * FAR_MM * NEAR_MM / (FAR_MM - NEAR_MM)
    return np.array(
        [
            [2 * camera.fx / w, 0, 2 * (camera.cx + 0.5) / w - 1, 0],
            [0, 2 * camera.fy / h, 2 * (camera.cy + 0.5) / h - 1, 0],
            [0, 0, a, b],
            [0, 0, 1, 0],
        ]
    )


def projected_window(camera: CameraSpec, corners_mm: np.ndarray) -> Window:
    """Return the window that holds the projection of world points (N, 3), clipped to the image.

    If a point lies behind the camera the whole image is returned.
    """
    m = camera_from_world(camera)
    p = corners_mm @ m[:3, :3].T + m[:3, 3]
    if (p[:, 2] < NEAR_MM).any():
        return Window(x0=0, y0=0, x1=camera.width, y1=camera.height)
    x = camera.fx * p[:, 0] / p[:, 2] + camera.cx
    y = camera.fy * p[:, 1] / p[:, 2] + camera.cy
    return Window(
        x0=int(np.clip(np.floor(x.min()) - 1, 0, camera.width)),
        y0=int(np.clip(np.floor(y.min()) - 1, 0, camera.height)),
        x1=int(np.clip(np.ceil(x.max()) + 2, 0, camera.width)),
        y1=int(np.clip(np.ceil(y.max()) + 2, 0, camera.height)),
    )


def require_fine_texels(scene: SceneSpec) -> None:
    """Check that the maps of labelled parts are about as fine as the camera's pixels there.

    Coarser ones would blur what the labels outline.

    Raises:
        ConfigError: A texel is more than `TEXELS_A_PIXEL` times a pixel's footprint.
    """
    camera = scene.camera
    m = camera_from_world(camera)
    for item in scene.objects:
        if item.category is None:
            continue
        depth = float((m[:3, :3] @ np.asarray(item.pose.position_mm) + m[:3, 3])[2])
        pixel_mm = max(depth, NEAR_MM) / max(camera.fx, camera.fy)
        if item.shape.texel_mm > TEXELS_A_PIXEL * pixel_mm:
            raise ConfigError(
                f"texel_mm: {item.shape.texel_mm:g} is too coarse for {item.name!r}, where a pixel"
                f" covers {pixel_mm:.3f} mm; set the scene's texel_mm key to"
                f" {0.9 * pixel_mm:.2g} or less, or lower the camera's resolution"
            )


def shadow_projection(
    position_mm: np.ndarray, target_mm: np.ndarray, points_mm: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float, float, float]:
    """Return how a light looks at points that it sees all.

    Args:
        position_mm, target_mm: Shape (3,).
        points_mm: World points to hold, shape (N, 3).

    Returns:
        Clip-from-world, shape (4, 4); its axes to the right and down, shape (2, 3); near and far
        in mm; half its width at 1 mm.
    """
    forward = target_mm - position_mm
    forward = forward / np.linalg.norm(forward)
    helper = np.array([0.0, 0, 1]) if abs(forward[2]) < 0.95 else np.array([0.0, 1, 0])
    right = np.cross(forward, helper)
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    rotation = np.stack([right, down, forward])
    local = (points_mm - position_mm) @ rotation.T
    near = max(float(local[:, 2].min()) - 1.0, 1.0)
    far = float(local[:, 2].max()) + 1.0
    half = float(np.abs(local[:, :2] / np.maximum(local[:, 2:3], near)).max()) * 1.02
    half = min(half, 3.0)
    view = np.eye(4)
    view[:3, :3] = rotation
    view[:3, 3] = -rotation @ position_mm
    projection = np.array(
        [
            [1 / half, 0, 0, 0],
            [0, 1 / half, 0, 0],
            [0, 0, (far + near) / (far - near), -2 * far * near / (far - near)],
            [0, 0, 1, 0],
        ]
    )
    return projection @ view, rotation[:2], near, far, half
