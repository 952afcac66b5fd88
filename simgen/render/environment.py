"""Procedural surroundings, prefiltered for image-based lighting."""

from functools import lru_cache

import numpy as np
from scipy.special import erf

from simgen.scene.spec import EnvironmentSpec, PanelSpec

WIDTH, HEIGHT = 128, 64
ROUGHNESS_LEVELS = 7


def prefiltered(spec: EnvironmentSpec) -> np.ndarray:
    """Return an environment as layers of rising roughness.

    Layer k of the first `ROUGHNESS_LEVELS` is the radiance blurred by the width of a
    GGX lobe of perceptual roughness (k / (levels - 1))^2; the panels have closed-form
    blurs, products of error functions. The last layer is the cosine-weighted mean, which a
    white diffuse surface reflects. Rotation and intensity are left to the renderer.

    Returns:
        Shape (levels + 1, HEIGHT, WIDTH, 3), float32; row 0 is straight up, column 0
        begins at azimuth 0 and azimuths run counter-clockwise.
    """
    directions, cosine = _sphere()
    layers = []
    for level in range(ROUGHNESS_LEVELS):
        roughness = (level / (ROUGHNESS_LEVELS - 1)) ** 2
        # The mirror direction turns twice as far as the microfacet.
        layers.append(radiance(spec, directions, blur_rad=1.85 * roughness**2 + 0.01))
    irradiance = cosine @ layers[0].reshape(-1, 3)
    layers.append(_enlarge(irradiance.reshape(HEIGHT // 4, WIDTH // 4, 3)))
    return np.stack(layers).astype(np.float32)


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
    """Return the radiance from unit directions (..., 3), rotation and intensity left out."""
    height = directions[..., 2:3]
    wide = np.hypot(0.25, blur_rad)
    up = 0.5 * (1 + erf(height / np.float32(wide * np.sqrt(2))))
    zenith, horizon, ground = (
        np.asarray(c, np.float32) for c in (spec.zenith, spec.horizon, spec.ground)
    )
    sky = horizon + (zenith - horizon) * np.clip(height, 0, 1)
    radiance = ground + (sky - ground) * up
    for panel in spec.panels:
        radiance = radiance + _panel(panel, directions, blur_rad)[..., None] * np.asarray(
            panel.colour
        )
    return radiance


def _panel(panel: PanelSpec, directions: np.ndarray, blur_rad: float) -> np.ndarray:
    az, el = np.deg2rad(panel.azimuth_deg), np.deg2rad(panel.elevation_deg)
    centre = np.array([np.cos(el) * np.cos(az), np.cos(el) * np.sin(az), np.sin(el)], np.float32)
    right = np.array([-np.sin(az), np.cos(az), 0.0], np.float32)
    top = np.cross(centre, right)
    ahead = directions @ centre
    x = np.arctan2(directions @ right, np.maximum(ahead, 1e-3))
    y = np.arctan2(directions @ top, np.maximum(ahead, 1e-3))
    result = np.where(ahead > 0, panel.radiance, 0.0)
    for angle, size in ((x, panel.width_deg), (y, panel.height_deg)):
        half = np.float32(np.deg2rad(size) / 2)
        width = np.float32(np.hypot(panel.softness * half, blur_rad) * np.sqrt(2))
        result = result * 0.5 * (erf((angle + half) / width) - erf((angle - half) / width))
    return result


def _enlarge(small: np.ndarray) -> np.ndarray:
    """Return (h, w, 3) enlarged four times, linear, wrapped in azimuth."""
    h, w, _ = small.shape
    y = (np.arange(4 * h) + 0.5) / 4 - 0.5
    x = (np.arange(4 * w) + 0.5) / 4 - 0.5
    y0, x0 = np.floor(y).astype(int), np.floor(x).astype(int)
    fy, fx = (y - y0)[:, None, None], (x - x0)[None, :, None]
    rows = small[np.clip(y0, 0, h - 1)] * (1 - fy) + small[np.clip(y0 + 1, 0, h - 1)] * fy
    return rows[:, x0 % w] * (1 - fx) + rows[:, (x0 + 1) % w] * fx
