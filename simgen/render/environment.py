"""Surroundings, procedural or from a panorama, prefiltered for image-based lighting."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from simgen.scene.panorama import averaged, read_panorama
from simgen.scene.spec import Colour, EnvironmentSpec, PanelSpec, PanoramaSpec

WIDTH, HEIGHT = 128, 64
# The layers of a panorama are four times as fine: it may hold more than soft panels.
FINER = 4
ROUGHNESS_LEVELS = 7


def prefiltered(spec: EnvironmentSpec) -> np.ndarray:
    """Return an environment as layers of rising roughness.

    Layer k of the first `ROUGHNESS_LEVELS` is the radiance blurred by the width of a
    GGX lobe of perceptual roughness (k / (levels - 1))^2; the panels have closed-form
    blurs, products of error functions. The last layer is the cosine-weighted mean, which a
    white diffuse surface reflects. Rotation and intensity are left to the renderer.

    Returns:
        Shape (levels + 1, HEIGHT, WIDTH, 3), float32, of a panorama `FINER` times as high
        and wide; row 0 is straight up, column 0 begins at azimuth 0 and azimuths run
        counter-clockwise.

    Raises:
        AssetError: See `read_panorama`.
    """
    if spec.image is not None:
        return _layers_of(spec.image)
    directions, cosine = _sphere()
    around = _around(spec, directions)
    layers = []
    for level in range(ROUGHNESS_LEVELS):
        layers.append(_blurred_radiance(spec, directions, around, _blur_rad(level)))
    irradiance = cosine @ layers[0].reshape(-1, 3)
    layers.append(_enlarge(irradiance.reshape(HEIGHT // 4, WIDTH // 4, 3)))
    return np.stack(layers).astype(np.float32)


def backdrop(spec: EnvironmentSpec) -> np.ndarray | None:
    """Return what the camera sees of a panorama, None of surroundings that have none.

    Returns:
        Radiance, shape (h, 2 * h, 3), float32, laid out like a layer of `prefiltered`.
    """
    return None if spec.image is None else read_panorama(spec.image).radiance


def ground_of(spec: EnvironmentSpec) -> Colour:
    """Return the radiance from below, intensity left out; of a panorama the mean of that."""
    if spec.image is None:
        return spec.ground
    red, green, blue = _layers_of(spec.image)[-1, -1].mean(axis=0)
    return float(red), float(green), float(blue)


def _blur_rad(level: int) -> float:
    roughness = (level / (ROUGHNESS_LEVELS - 1)) ** 2
    # The mirror direction turns twice as far as the microfacet.
    return float(1.85 * roughness**2 + 0.01)


def _layers_of(image: PanoramaSpec) -> np.ndarray:
    # Looked at even if its layers are kept: a file that has changed is refused.
    read_panorama(image)
    return _image_layers(image)


# Those of one panorama weigh 13 MB.
@lru_cache(maxsize=4)
def _image_layers(image: PanoramaSpec) -> np.ndarray:
    whole = read_panorama(image).radiance
    fine = averaged(whole, FINER * HEIGHT, FINER * WIDTH)
    coarse = averaged(whole, HEIGHT, WIDTH)
    layers = [fine]
    for level in range(1, ROUGHNESS_LEVELS):
        blur_rad = _blur_rad(level)
        # A lobe that is wider than two coarse pixels leaves nothing finer than they are.
        wide = blur_rad > 2 * np.pi / HEIGHT
        layers.append(_refined(_blurred(coarse, blur_rad)) if wide else _blurred(fine, blur_rad))
    layers.append(_refined(_blurred(coarse, np.inf)))
    result = np.stack(layers).astype(np.float32)
    result.flags.writeable = False
    return result


def _blurred(pixels: np.ndarray, blur_rad: float) -> np.ndarray:
    """Return an equirectangular image under a lobe on the sphere, no light of it lost.

    The lobe is a Gaussian of the angle, weighted by its cosine as what arrives at a surface
    is; infinitely wide, it is the cosine alone. Rows are convolved with rows by their Fourier
    series in azimuth.
    """
    height, width, _ = pixels.shape
    elevation = (0.5 - (np.arange(height) + 0.5) / height) * np.pi
    turn = np.cos(np.arange(width) / width * 2 * np.pi)
    source = np.fft.rfft(pixels.astype(np.float64), axis=1)
    total = np.zeros(source.shape, np.complex128)
    weight = np.zeros((height, 1, 1))
    reach = int(min(np.ceil(4 * blur_rad / np.pi * height), height - 1))
    for step in range(-reach, reach + 1):
        to = np.arange(max(0, -step), min(height, height - step))
        here, there = elevation[to][:, None], elevation[to + step][:, None]
        cosine = np.sin(here) * np.sin(there) + np.cos(here) * np.cos(there) * turn
        lobe = np.exp(-0.5 * (np.arccos(np.clip(cosine, -1, 1)) / blur_rad) ** 2)
        lobe *= np.maximum(cosine, 0) * np.cos(there)
        total[to] += np.fft.rfft(lobe, axis=1)[..., None] * source[to + step]
        weight[to, 0, 0] += lobe.sum(axis=1)
    return np.maximum(np.fft.irfft(total, n=width, axis=1) / weight, 0)


def _refined(small: np.ndarray) -> np.ndarray:
    """Return (h, w, 3) `FINER` times enlarged; what looks straight up has no azimuth.

    Beyond the middle of the last row there is nothing to be linear between but the pole,
    where all azimuths meet in their mean.
    """
    large = _enlarge(small)
    for end, row in ((large, small[0]), (large[::-1], small[-1])):
        pole = row.mean(axis=0)
        end[0] = pole
        for k in range(1, FINER // 2):
            end[k] = pole + (end[k] - pole) * (2 * k + 1) / FINER
    return large


@lru_cache(maxsize=1)
def _sphere() -> tuple[np.ndarray, np.ndarray]:
    """Return the map's directions and the cosine-weighted mean as a matrix.

    Shapes (HEIGHT, WIDTH, 3) and (HEIGHT * WIDTH / 16, HEIGHT * WIDTH), float32; the
    matrix takes radiance to its mean seen by every fourth row's and column's direction.
    """
    elevation = (0.5 - (np.arange(HEIGHT) + 0.5) / HEIGHT) * np.pi
    azimuth = (np.arange(WIDTH) + 0.5) / WIDTH * 2 * np.pi
    az, el = np.meshgrid(azimuth, elevation)
    directions = np.stack([np.cos(el) * np.cos(az), np.cos(el) * np.sin(az), np.sin(el)], axis=-1)
    weight = np.cos(el).reshape(-1) * (np.pi / HEIGHT) * (2 * np.pi / WIDTH) / np.pi
    coarse = directions[2::4, 2::4].reshape(-1, 3)
    cosine = np.clip(coarse @ directions.reshape(-1, 3).T, 0, None) * weight
    directions, cosine = directions.astype(np.float32), cosine.astype(np.float32)
    directions.flags.writeable = cosine.flags.writeable = False
    return directions, cosine


def radiance(spec: EnvironmentSpec, directions: np.ndarray, blur_rad: float) -> np.ndarray:
    """Return the radiance from unit directions (..., 3), rotation and intensity left out.

    A panorama is not blurred.
    """
    if spec.image is not None:
        return _looked_up(read_panorama(spec.image).radiance, directions)
    return _blurred_radiance(spec, directions, _around(spec, directions), blur_rad)


def _blurred_radiance(
    spec: EnvironmentSpec, directions: np.ndarray, around: list["_Angles"], blur_rad: float
) -> np.ndarray:
    # Channels first: numpy is slow along an axis of three.
    shape = directions.shape[:-1]
    height = directions[..., 2].reshape(-1)
    wide = np.hypot(0.25, blur_rad)
    up = 0.5 * (1 + _erf(height / np.float32(wide * np.sqrt(2))))
    zenith, horizon, ground = (
        np.asarray(c, np.float32)[:, None] for c in (spec.zenith, spec.horizon, spec.ground)
    )
    sky = horizon + (zenith - horizon) * np.clip(height, 0, 1)
    radiance = ground + (sky - ground) * up
    for panel, angles in zip(spec.panels, around, strict=True):
        share = panel.radiance * _share(panel, angles, blur_rad)
        radiance += np.asarray(panel.colour, np.float32)[:, None] * share
    return np.moveaxis(radiance.reshape(3, *shape), 0, -1)


class _Angles(NamedTuple):
    """Of N directions from a panel's centre; `ahead` is 1 where they look toward it, else 0."""

    ahead: np.ndarray
    x: np.ndarray
    y: np.ndarray


def _around(spec: EnvironmentSpec, directions: np.ndarray) -> list[_Angles]:
    """Return the angles from the centre of every panel."""
    return [_angles(panel, directions) for panel in spec.panels]


def _angles(panel: PanelSpec, directions: np.ndarray) -> _Angles:
    az, el = np.deg2rad(panel.azimuth_deg), np.deg2rad(panel.elevation_deg)
    centre = np.array([np.cos(el) * np.cos(az), np.cos(el) * np.sin(az), np.sin(el)], np.float32)
    right = np.array([-np.sin(az), np.cos(az), 0.0], np.float32)
    depth, x, y = np.stack([centre, right, np.cross(centre, right)]) @ directions.reshape(-1, 3).T
    ahead = (depth > 0).astype(np.float32)
    depth = np.maximum(depth, np.float32(1e-3))
    return _Angles(ahead=ahead, x=np.arctan2(x, depth), y=np.arctan2(y, depth))


def _share(panel: PanelSpec, angles: _Angles, blur_rad: float) -> np.ndarray:
    """Return how much of a panel a lobe sees in each direction, (N,), float32."""
    share = angles.ahead
    for angle, size in ((angles.x, panel.width_deg), (angles.y, panel.height_deg)):
        half = np.float32(np.deg2rad(size) / 2)
        width = np.float32(np.hypot(panel.softness * half, blur_rad) * np.sqrt(2))
        share = (
            share * np.float32(0.5) * (_erf((angle + half) / width) - _erf((angle - half) / width))
        )
    return share


def _erf(x: np.ndarray) -> np.ndarray:
    """Return the error function to 2e-7, float32, in a fifth of scipy's time.

    Abramowitz and Stegun 1964, 7.1.26.
    """
    size = np.abs(x)
    t = 1 / (1 + np.float32(0.3275911) * size)
    total = np.zeros_like(t)
    for factor in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        total += np.float32(factor)
        total *= t
    np.multiply(size, size, out=size)
    total *= np.exp(np.negative(size, out=size), out=size)
    return np.copysign(1 - total, x)


def _looked_up(pixels: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Return (..., 3) from an equirectangular image, linear between its pixels."""
    h, w, _ = pixels.shape
    azimuth = np.arctan2(directions[..., 1], directions[..., 0]).astype(np.float64)
    y = (0.5 - np.arcsin(np.clip(directions[..., 2], -1, 1)) / np.pi) * h - 0.5
    x = azimuth / (2 * np.pi) * w - 0.5
    y0, x0 = np.floor(y).astype(int), np.floor(x).astype(int)
    fy, fx = (y - y0)[..., None], (x - x0)[..., None]
    top, bottom = np.clip(y0, 0, h - 1), np.clip(y0 + 1, 0, h - 1)
    left, right = x0 % w, (x0 + 1) % w
    upper = pixels[top, left] * (1 - fx) + pixels[top, right] * fx
    lower = pixels[bottom, left] * (1 - fx) + pixels[bottom, right] * fx
    return upper * (1 - fy) + lower * fy


def _enlarge(small: np.ndarray) -> np.ndarray:
    """Return (h, w, 3) enlarged four times, linear, wrapped in azimuth."""
    h, w, _ = small.shape
    y = (np.arange(4 * h) + 0.5) / 4 - 0.5
    x = (np.arange(4 * w) + 0.5) / 4 - 0.5
    y0, x0 = np.floor(y).astype(int), np.floor(x).astype(int)
    fy, fx = (y - y0)[:, None, None], (x - x0)[None, :, None]
    rows = small[np.clip(y0, 0, h - 1)] * (1 - fy) + small[np.clip(y0 + 1, 0, h - 1)] * fy
    return rows[:, x0 % w] * (1 - fx) + rows[:, (x0 + 1) % w] * fx
