"""The lens: what lies nearer or farther than its plane of focus is blurred, in linear light."""

import cv2
import numpy as np

from simgen.scene.spec import CameraSpec

# Between two layers the blur's standard deviation differs by this much, in pixels.
_STEP_PX = 0.5
_LARGEST_PX = 40.0


def defocused(linear: np.ndarray, depth_mm: np.ndarray, camera: CameraSpec) -> np.ndarray:
    """Return an image as a lens of the camera's aperture shows it.

    A thin lens spreads a point at depth z over a disc of aperture x f x |1 / focus - 1 / z|
    pixels, f the focal length in pixels (Potmesil and Chakravarty 1981); the disc is drawn as a
    Gaussian of the same variance, a quarter of its diameter. Layers of like blur are laid over
    each other from the farthest to the nearest, so that what is blurred in front spreads over
    what is sharp behind it, and what is sharp in front keeps its border.

    Args:
        linear: HDR colour of the whole image, shape (H, W, 3), float32.
        depth_mm: Distance along the viewing axis, shape (H, W), float32; 0 is background, which
            counts as infinitely far.
        camera: With an aperture of 0 the image is returned as it is.
    """
    if camera.aperture_mm <= 0:
        return linear
    blur = np.clip(_blur_px(depth_mm, camera), -_LARGEST_PX, _LARGEST_PX) / _STEP_PX
    first, last = int(np.floor(blur.min())), int(np.ceil(blur.max()))
    light = np.zeros((*depth_mm.shape, 4), np.float32)
    for layer in range(first, last + 1):
        share = np.maximum(1 - np.abs(blur - np.float32(layer)), 0)
        if not share.any():
            continue
        here = np.dstack([linear * share[..., None], share])
        if layer:
            sigma = abs(layer) * _STEP_PX
            here = cv2.GaussianBlur(here, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
        light *= 1 - here[..., 3:]
        light += here
    # Behind a border nothing is known: what is seen beside it stands for it.
    return np.ascontiguousarray(light[..., :3] / light[..., 3:])


def blur_reach_px(depth_mm: np.ndarray, camera: CameraSpec) -> int:
    """Return how many pixels away a pixel's light may reach; arguments as for `defocused`."""
    if camera.aperture_mm <= 0:
        return 0
    widest = min(float(np.abs(_blur_px(depth_mm, camera)).max()), _LARGEST_PX)
    return int(np.ceil(4 * (widest + _STEP_PX)))


def _blur_px(depth_mm: np.ndarray, camera: CameraSpec) -> np.ndarray:
    """Return the blur's standard deviation in pixels, negative beyond the plane of focus."""
    inverse = np.zeros(depth_mm.shape, np.float32)
    np.divide(1, depth_mm, out=inverse, where=depth_mm > 0)
    focal = (camera.fx + camera.fy) / 2
    return np.float32(camera.aperture_mm * focal / 4) * (inverse - np.float32(1 / camera.focus_mm))
