"""Bodies without maps: their look, a function of place, as values of the vertices of a fine mesh.

The function is that of shaders/colour.frag.
"""

from dataclasses import dataclass

import numpy as np

from simgen.defects.bodies import BodySurface, Look

_ROUNDS = 7
_MOST_FACES = 200_000


@dataclass(frozen=True, kw_only=True)
class Looked:
    """A body's fine mesh, part-local, and its material by vertex.

    Attributes:
        vertices_mm, normals: Shape (V, 3), float64; normals tilted by the grain.
        faces: Shape (F, 3).
        albedo: Linear, shape (V, 3).
        roughness: Shape (V, 1).
    """

    vertices_mm: np.ndarray
    normals: np.ndarray
    faces: np.ndarray
    albedo: np.ndarray
    roughness: np.ndarray


def looked(body: BodySurface, look: Look, edge_mm: float) -> Looked:
    """Return a body with its look, triangles divided until their sides are `edge_mm` long."""
    values = np.concatenate([body.vertices_mm, body.normals, body.shade], axis=1)
    values, faces = _divided(values.astype(np.float64), body.faces.astype(np.int64), edge_mm)
    at, normals, shade = values[:, :3], values[:, 3:6], values[:, 6:8]
    normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    s = at / look.grain_mm
    a, b, c = _grain(0.31 * s), _grain(s + 5.0), _grain(2.7 * s + 9.0)
    wobble = np.stack([a - 0.5 + 0.5 * (c - 0.5), b - 0.5, _grain(0.8 * s + 21.0) - 0.5], axis=1)
    normals = _unit(normals + look.grain * 0.9 * wobble)
    away = at - np.asarray(look.ripple_origin_mm)
    far = np.linalg.norm(away, axis=1)
    out = away / np.maximum(far, 1e-4)[:, None]
    phase = 2 * np.pi * (2.2 * np.sqrt(far / look.ripple_mm) + 0.5 * (a + 0.3 * b))
    patchy = _smoothstep(0.3, 0.7, _grain(0.17 * s + 33.0))
    hackle = _grain(out * 13.0 + 0.11 * s) - 0.5
    arc = np.cos(phase) + 0.5 * np.cos(2 * phase + 1.0)
    tilt = (patchy * arc)[:, None] * out + 0.6 * hackle[:, None] * np.cross(out, normals)
    normals = _unit(normals - look.ripple * tilt)
    width = np.maximum(look.lip_mm * (0.6 + 0.8 * b), 1e-4)
    lip = 1 - _smoothstep(0.4, 1.0, shade[:, 0] / width)
    tone = 1 + look.grain * ((a + b + c) / 1.5 - 1) + 0.4 * look.ripple * patchy * arc
    albedo = np.asarray(look.albedo) * np.maximum(tone, 0.1)[:, None]
    albedo = np.minimum(albedo * (1 + look.lip * lip)[:, None], 0.95)
    return Looked(
        vertices_mm=at,
        normals=normals,
        faces=faces,
        # Its open part, as of the maps: less comes out of a place that is less open.
        albedo=albedo * shade[:, 1:],
        roughness=(look.roughness * (1 - 0.25 * lip))[:, None],
    )


def _divided(
    values: np.ndarray, faces: np.ndarray, edge_mm: float
) -> tuple[np.ndarray, np.ndarray]:
    for _ in range(_ROUNDS):
        corners = values[faces][..., :3]
        side = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
        long = side > edge_mm
        if not long.any() or len(faces) + 3 * long.sum() > _MOST_FACES:
            break
        a, b, c = faces[long].T
        edges = np.sort(np.stack([np.r_[a, b, c], np.r_[b, c, a]], axis=1), axis=1)
        unique, index = np.unique(edges, axis=0, return_inverse=True)
        ab, bc, ca = len(values) + index.reshape(3, -1)
        new = [np.stack(x, axis=1) for x in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))]
        values = np.concatenate([values, values[unique].mean(axis=1)])
        faces = np.concatenate([faces[~long], *new])
    return values, faces


def _grain(p: np.ndarray) -> np.ndarray:
    i = np.floor(p)
    f = p - i
    f = f * f * (3 - 2 * f)
    total = np.zeros(len(p))
    for x in (0, 1):
        for y in (0, 1):
            for z in (0, 1):
                corner = np.array([x, y, z])
                weight = np.abs(1 - corner - f).prod(axis=1)
                total += weight * _hash(i + corner)
    return total


def _hash(p: np.ndarray) -> np.ndarray:
    p = np.float32(17) * np.modf(np.float32(p) * np.float32(0.3183099) + np.float32(0.1))[0]
    p = np.where(p < 0, p + 17, p)
    product = p[:, 0] * p[:, 1] * p[:, 2] * p.sum(axis=1)
    result: np.ndarray = product - np.floor(product)
    return result


def _smoothstep(low: float, high: float, x: np.ndarray) -> np.ndarray:
    t = np.clip((x - low) / (high - low), 0, 1)
    result: np.ndarray = t * t * (3 - 2 * t)
    return result


def _unit(vectors: np.ndarray) -> np.ndarray:
    result: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return result
