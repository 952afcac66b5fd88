"""LightSpecs in pyrender's kinds, which have neither size nor soft shadows."""

from typing import Any

import numpy as np

from simgen.render.lighting import panel_frame
from simgen.scene.spec import LightSpec

# A spot's beam ends here at the widest; its shadow map covers a little more.
_WIDEST_RAD = np.deg2rad(75.0)
_MARGIN_RAD = np.deg2rad(4.0)
_RING_POINTS = 8
# pyrender's: the side of a shadow map, and what it takes from a depth in [0, 1] at 1 m.
_SHADOW_TEXELS, _BIAS = 2048, 1e-4
_BIAS_TEXELS = 3.0


def spot_of(
    pyrender: Any, light: LightSpec, corners_mm: np.ndarray, m_per_mm: float, dimmed: float
) -> tuple[Any, np.ndarray]:
    """Return a spot at a light's middle that casts shadows, and its pose.

    Args:
        pyrender: The module.
        light: Of any kind.
        corners_mm: World points (N, 3) that its beam must hold.
        m_per_mm: pyrender's unit of length.
        dimmed: What pyrender's 1 stands for.
    """
    at, target = np.asarray(light.position_mm), np.asarray(light.target_mm)
    forward = (target - at) / np.linalg.norm(target - at)
    to = corners_mm - at
    cosine = (to @ forward) / np.maximum(np.linalg.norm(to, axis=1), 1e-9)
    half = min(float(np.arccos(np.clip(cosine, -1, 1)).max()) + _MARGIN_RAD, _WIDEST_RAD)
    distance2 = float((target - at) @ (target - at)) * m_per_mm**2
    colour, strength = _colour(light)
    made = pyrender.SpotLight(
        color=colour,
        intensity=strength * distance2 / dimmed,
        innerConeAngle=0.98 * half,
        outerConeAngle=half,
    )
    far = float(np.linalg.norm(to, axis=1).max()) * m_per_mm * 1.1
    made._get_shadow_camera = lambda scene_scale: _shadow_camera(pyrender, half, far)
    pose = np.eye(4)
    # It shines along its own -z.
    right = np.cross(forward, (0.0, 0, 1) if abs(forward[2]) < 0.95 else (0.0, 1, 0))
    right /= np.linalg.norm(right)
    pose[:3, :3] = np.stack([right, np.cross(right, forward), -forward], axis=1)
    pose[:3, 3] = m_per_mm * at
    return made, pose


def points_of(
    pyrender: Any, light: LightSpec, m_per_mm: float, dimmed: float
) -> list[tuple[Any, np.ndarray]]:
    """Return points spread over a light, and their poses; together they give its irradiance."""
    at, target = np.asarray(light.position_mm), np.asarray(light.target_mm)
    places = at + _spread(light)
    to = places - target
    distance2 = np.einsum("ni,ni->n", to, to) * m_per_mm**2
    # What each does on a surface at the target that faces the light's middle; a ring's surface
    # faces each piece of it, as everywhere in simgen.
    facing = np.ones(len(to))
    if light.kind != "ring":
        facing = (to @ (at - target)) / np.linalg.norm(to, axis=1) / np.linalg.norm(at - target)
    colour, strength = _colour(light)
    intensity = strength / float((facing / distance2).sum()) / dimmed
    made = []
    for place in places:
        pose = np.eye(4)
        pose[:3, 3] = m_per_mm * place
        made.append((pyrender.PointLight(color=colour, intensity=intensity), pose))
    return made


def _shadow_camera(pyrender: Any, half_rad: float, far_m: float) -> Any:
    """Return the camera of a spot's shadow map.

    pyrender's own begins at a hundredth of the scene's size, so that its bias, fixed in depth
    over distance, is as long as a part is high. Here it is some of the map's texels.
    """
    wide = min(half_rad + np.pi / 32, np.deg2rad(85.0))
    texel_share = 2 * np.tan(wide) / _SHADOW_TEXELS
    slope_m = _BIAS / (_BIAS_TEXELS * texel_share)
    near_m = slope_m * far_m / (far_m + slope_m)
    return pyrender.PerspectiveCamera(yfov=2 * wide, aspectRatio=1.0, znear=near_m, zfar=far_m)


def _spread(light: LightSpec) -> np.ndarray:
    """Return where its points are, from its middle, shape (N, 3), mm."""
    half = light.size_mm / 2
    if light.kind == "panel":
        along, across, half_breadth = panel_frame(light)
        u, v = np.meshgrid([-0.5 * half, 0.5 * half], [-0.5 * half_breadth, 0.5 * half_breadth])
        return u.reshape(-1, 1) * along + v.reshape(-1, 1) * across
    axis = np.asarray(light.axis) / np.linalg.norm(light.axis)
    if light.kind == "bar":
        return half * np.array([[-0.75], [-0.25], [0.25], [0.75]]) * axis
    if light.kind == "ring":
        first = np.cross(axis, (1.0, 0, 0) if abs(axis[0]) < 0.8 else (0.0, 1, 0))
        first /= np.linalg.norm(first)
        turn = (np.arange(_RING_POINTS) + 0.5) * 2 * np.pi / _RING_POINTS
        circle = np.cos(turn)[:, None] * first + np.sin(turn)[:, None] * np.cross(axis, first)
        return half * circle
    return np.zeros((1, 3))


def _colour(light: LightSpec) -> tuple[np.ndarray, float]:
    """Return a light's colour with 1 at the brightest channel, and its irradiance there."""
    colour = np.asarray(light.colour, np.float64)
    brightest = float(colour.max())
    return colour / max(brightest, 1e-9), light.irradiance * brightest
