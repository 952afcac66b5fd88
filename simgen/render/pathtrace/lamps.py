"""LightSpecs as shapes that shine, of the radiance that gives the stated irradiance."""

from typing import Any

import numpy as np

from simgen.render.lighting import BAR_RADIUS, RING_RADIUS, across, panel_frame
from simgen.render.pathtrace.meshes import mesh_of
from simgen.scene.spec import LightSpec

_RING_STEPS, _TUBE_STEPS = 96, 24
# Cosine to the target beyond which a tube's side shines on nothing in view.
_TURNED_AWAY = -0.4
_PANEL_STEPS = 32
_BAR_STEPS = 128


def lamp_of(mi: Any, light: LightSpec) -> Any:
    """Return a light as a Mitsuba shape; discs and panels shine towards their target only."""
    make = {"disc": _disc, "bar": _bar, "ring": _ring, "panel": _panel}[light.kind]
    return make(mi, light)


def _disc(mi: Any, light: LightSpec) -> Any:
    at, target = np.asarray(light.position_mm), np.asarray(light.target_mm)
    distance, radius = float(np.linalg.norm(target - at)), light.size_mm / 2
    gain = (radius**2 + distance**2) / (np.pi * radius**2)
    return mi.load_dict(
        {
            "type": "disk",
            "to_world": mi.ScalarTransform4f(_facing(at, target, radius, radius)),
            "emitter": _emitter(light, gain),
            "bsdf": _black(),
        }
    )


def _panel(mi: Any, light: LightSpec) -> Any:
    along, aside, half_breadth = panel_frame(light)
    at, target = np.asarray(light.position_mm), np.asarray(light.target_mm)
    half = light.size_mm / 2
    side = (np.arange(_PANEL_STEPS) + 0.5) / _PANEL_STEPS * 2 - 1
    u, v = np.meshgrid(side * half, side * half_breadth)
    q = (at - target) + u[..., None] * along + v[..., None] * aside
    distance2 = float((at - target) @ (at - target))
    # Cosines at both ends, alike because the two planes are parallel.
    form = (distance2 / np.einsum("uvi,uvi->uv", q, q) ** 2).mean() * 4 * half * half_breadth
    face = (target - at) / np.sqrt(distance2)
    aside = np.cross(face, along)
    place = np.eye(4)
    place[:3, 0], place[:3, 1], place[:3, 2] = half * along, half_breadth * aside, face
    place[:3, 3] = at
    return mi.load_dict(
        {
            "type": "rectangle",
            "to_world": mi.ScalarTransform4f(place),
            "emitter": _emitter(light, 1 / form),
            "bsdf": _black(),
        }
    )


def _bar(mi: Any, light: LightSpec) -> Any:
    at, target = np.asarray(light.position_mm), np.asarray(light.target_mm)
    axis = np.asarray(light.axis) / np.linalg.norm(light.axis)
    half = light.size_mm / 2
    radius = BAR_RADIUS * half
    along = ((np.arange(_BAR_STEPS) + 0.5) / _BAR_STEPS * 2 - 1) * half
    q = (at - target) + along[:, None] * axis
    unit = q / np.linalg.norm(q, axis=1, keepdims=True)
    to_middle = (at - target) / np.linalg.norm(at - target)
    breadth = 2 * radius * np.linalg.norm(np.cross(unit, axis), axis=1)
    form = (breadth * (unit @ to_middle) / np.einsum("ni,ni->n", q, q)).mean() * light.size_mm
    out, up = across(axis)
    ends = np.stack([at + half * axis, at - half * axis])
    return _tube(mi, light, ends, np.stack([out, out]), up, radius, 1 / form)


def _ring(mi: Any, light: LightSpec) -> Any:
    at, target = np.asarray(light.position_mm), np.asarray(light.target_mm)
    axis = np.asarray(light.axis) / np.linalg.norm(light.axis)
    e1, e2 = across(axis)
    half = light.size_mm / 2
    tube = RING_RADIUS * half
    distance2 = float((at - target) @ (at - target)) + half**2
    w = np.arange(_RING_STEPS + 1) * 2 * np.pi / _RING_STEPS
    out = np.cos(w)[:, None] * e1 + np.sin(w)[:, None] * e2
    # A ring with corners is a little shorter than a round one.
    gain = distance2 / (2 * tube * 2 * np.pi * half) / np.sinc(1 / _RING_STEPS)
    return _tube(mi, light, at + half * out, out, axis, tube, gain)


def _tube(
    mi: Any, light: LightSpec, centres: np.ndarray, out: np.ndarray, up: np.ndarray,
    radius: float, gain: float,
) -> Any:  # fmt: skip
    """Return a tube along points (N, 3), as far round as what lies about the target sees it.

    `out` (N, 3) and `up` are unit vectors across it; out x up runs against the points. What
    nobody sees would only be sampled in vain.
    """
    target = np.asarray(light.target_mm)
    a = np.arange(_TUBE_STEPS) * 2 * np.pi / _TUBE_STEPS
    normals = np.cos(a)[None, :, None] * out[:, None] + np.sin(a)[None, :, None] * up
    vertices = centres[:, None] + radius * normals
    i, j = np.meshgrid(np.arange(len(centres) - 1), np.arange(_TUBE_STEPS), indexing="ij")
    here, there = i * _TUBE_STEPS + j, (i + 1) * _TUBE_STEPS + j
    beside = (j + 1) % _TUBE_STEPS - j
    quads = np.stack([here, there, there + beside, here + beside], axis=-1).reshape(-1, 4)
    flat, points = normals.reshape(-1, 3), vertices.reshape(-1, 3)
    middle, face = points[quads].mean(axis=1), flat[quads].mean(axis=1)
    to_target = target - middle
    to_target /= np.linalg.norm(to_target, axis=1, keepdims=True)
    quads = quads[np.einsum("ni,ni->n", face, to_target) > _TURNED_AWAY]
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    # With corners it is a little thinner than a round one.
    emitter = _emitter(light, gain / np.sinc(1 / _TUBE_STEPS))
    return mesh_of(
        mi, points, faces, normals=flat,
        emitter=mi.load_dict(emitter), bsdf=mi.load_dict(_black()),
    )  # fmt: skip


def _emitter(light: LightSpec, gain: float) -> dict[str, Any]:
    value = (np.asarray(light.colour) * light.irradiance * gain).tolist()
    return {"type": "area", "radiance": {"type": "rgb", "value": value}}


def _black() -> dict[str, Any]:
    return {"type": "diffuse", "reflectance": {"type": "rgb", "value": [0.0, 0.0, 0.0]}}


def _facing(at: np.ndarray, target: np.ndarray, wide: float, high: float) -> np.ndarray:
    """Return world-from-local of a unit shape in the xy plane that faces a target along z."""
    z = (target - at) / np.linalg.norm(target - at)
    x = np.cross(z, (0.0, 0, 1) if abs(z[2]) < 0.9 else (0.0, 1, 0))
    x /= np.linalg.norm(x)
    place = np.eye(4)
    place[:3, 0], place[:3, 1], place[:3, 2], place[:3, 3] = wide * x, high * np.cross(z, x), z, at
    return place
