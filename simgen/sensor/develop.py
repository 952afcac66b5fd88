"""The sensor: linear HDR colour to an 8-bit image, the order of a real camera's chain.

Exposure and vignetting, defocus and motion (in linear light), shot and read noise,
white balance, tone curve, sharpening, quantization, JPEG.
"""

from dataclasses import replace

import cv2
import numpy as np

from simgen.scene.spec import SensorSpec

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)


def noise_field(spec: SensorSpec, height: int, width: int) -> np.ndarray:
    """Return the frame's standard normal field, float32, (H, W) mono or (H, W, 3).

    Frame and clean twin share it, so that they differ by the defects alone.
    """
    shape = (height, width) if spec.mono else (height, width, 3)
    return np.random.default_rng(spec.noise_seed).standard_normal(shape, dtype=np.float32)


def metered(linear: np.ndarray, spec: SensorSpec, camera_size: tuple[int, int]) -> SensorSpec:
    """Return the sensor with the exposure that its `auto_level` asks for.

    Frame and clean twin are then developed alike, whatever the defects reflect.

    Args:
        linear: The camera's whole image, shape (H, W, 3), float32.
        spec: With `auto_level` 0 it is returned as it is.
        camera_size: (width, height) of that image.
    """
    if spec.auto_level <= 0:
        return spec
    x, y, width, height = spec.crop or (0, 0, *camera_size)
    coarse = np.ascontiguousarray(linear[y : y + height : 4, x : x + width : 4])
    plain = replace(spec, defocus_px=0.0, motion_px=0.0, vignetting=0.0, sharpening=0.0)
    # The mean rises with the exposure: halve the interval of its logarithm.
    low, high = -12.0, 12.0
    for _ in range(24):
        middle = (low + high) / 2
        tried = replace(plain, exposure=spec.exposure * 2**middle)
        levels = develop(coarse, tried, origin=(0, 0), camera_size=camera_size, noise=None)
        if float(luminance(levels).mean()) < 255 * spec.auto_level:
            low = middle
        else:
            high = middle
    return replace(spec, exposure=spec.exposure * 2 ** ((low + high) / 2))


def develop(
    linear: np.ndarray,
    spec: SensorSpec,
    *,
    origin: tuple[int, int],
    camera_size: tuple[int, int],
    noise: np.ndarray | None,
) -> np.ndarray:
    """Return 8-bit levels before quantization.

    Args:
        linear: HDR colour, shape (H, W, 3), float32: a window of the camera's image.
        spec: The sensor. `crop` is not applied here.
        origin: (x, y) of the window in the camera's image, for the vignetting.
        camera_size: (width, height) of the camera's image.
        noise: Window of `noise_field`, or None for a noise-free image.

    Returns:
        Levels in [0, 255], float32, (H, W) mono or (H, W, 3).
    """
    height, width = linear.shape[:2]
    gain = np.full((height, width), spec.exposure, np.float32)
    if spec.vignetting > 0:
        gain *= _vignetting((height, width), spec.vignetting, origin, camera_size)
    light: np.ndarray
    if spec.mono:
        light = linear @ LUMINANCE
        light *= gain
    else:
        light = cv2.merge([gain * np.float32(balance) for balance in spec.white_balance])
        light *= linear
    if spec.defocus_px > 0.05:
        light = cv2.GaussianBlur(light, (0, 0), spec.defocus_px, borderType=cv2.BORDER_REPLICATE)
    if spec.motion_px > 0.5:
        light = cv2.filter2D(light, -1, _motion_kernel(spec), borderType=cv2.BORDER_REPLICATE)
    if noise is not None:
        spread = light * np.float32(spec.shot_noise**2)
        spread += np.float32(spec.read_noise**2)
        np.sqrt(spread, out=spread)
        spread *= noise
        light += spread
    if spec.white_point > 1:
        np.maximum(light, 0, out=light)
        # Reinhard et al. 2002, equation 4.
        light *= (1 + light * np.float32(1 / spec.white_point**2)) / (1 + light)
    coded = _tone_curve(np.clip(light, 0, 1, out=light), spec)
    if spec.sharpening > 0:
        soft = cv2.GaussianBlur(coded, (0, 0), 1.0, borderType=cv2.BORDER_REPLICATE)
        sharper = cv2.addWeighted(coded, 1 + spec.sharpening, soft, -spec.sharpening, 0)
        coded = np.clip(sharper, 0, 1)
    coded *= np.float32(255)
    return coded


def quantize(levels: np.ndarray, spec: SensorSpec) -> np.ndarray:
    """Return levels as uint8, through JPEG if the sensor has it."""
    image = (levels + np.float32(0.5)).astype(np.uint8)
    if spec.jpeg_quality <= 0:
        return image
    # OpenCV's channel order does not matter to a round trip only if it is the same both ways.
    swapped = image if image.ndim == 2 else image[..., ::-1]
    _, data = cv2.imencode(".jpg", swapped, [cv2.IMWRITE_JPEG_QUALITY, spec.jpeg_quality])
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED))
    return np.ascontiguousarray(decoded if image.ndim == 2 else decoded[..., ::-1])


def luminance(levels: np.ndarray) -> np.ndarray:
    """Return Y of 8-bit levels, shape (H, W), float32 (Rec. 709 weights on coded levels)."""
    return levels if levels.ndim == 2 else levels @ LUMINANCE


def _tone_curve(light: np.ndarray, spec: SensorSpec) -> np.ndarray:
    coded: np.ndarray = np.power(light, np.float32(1 / spec.gamma), out=light)
    if spec.contrast > 0:
        # coded + contrast * (3 coded^2 - 2 coded^3 - coded)
        bent = (3 - 2 * coded) * coded
        bent -= 1
        bent *= np.float32(spec.contrast)
        bent += 1
        coded *= bent
    return coded


def _vignetting(
    shape: tuple[int, int], strength: float, origin: tuple[int, int], size: tuple[int, int]
) -> np.ndarray:
    """Return 1 - strength x r^2, r = 1 in the camera's corners, shape (H, W), float32."""
    x = (np.arange(shape[1]) + origin[0] - (size[0] - 1) / 2).astype(np.float32)
    y = (np.arange(shape[0]) + origin[1] - (size[1] - 1) / 2).astype(np.float32)
    corner = (size[0] ** 2 + size[1] ** 2) / 4
    return 1 - np.float32(strength / corner) * (x[None, :] ** 2 + y[:, None] ** 2)


def _motion_kernel(spec: SensorSpec) -> np.ndarray:
    size = int(np.ceil(spec.motion_px)) | 1
    kernel = np.zeros((size + 2, size + 2), np.float32)
    c = (size + 1) / 2
    t = np.linspace(-0.5, 0.5, 8 * size) * spec.motion_px
    x, y = c + t * np.cos(np.deg2rad(spec.motion_deg)), c + t * np.sin(np.deg2rad(spec.motion_deg))
    np.add.at(kernel, (np.rint(y).astype(int), np.rint(x).astype(int)), 1)
    return kernel / kernel.sum()
