"""A part's maps as glTF's textures: colour in sRGB, metallic-roughness, normals on the surface."""

from dataclasses import dataclass

import cv2
import numpy as np

from simgen.finishes import Maps
from simgen.parts.mesh import PartMesh, TexelTable

# Neighbours in the atlas that are farther apart on the part lie on two charts.
_NEAR_TEXELS = 1.6


@dataclass(frozen=True, slots=True, kw_only=True)
class MaterialImages:
    """PNG files.

    `colour` is sRGB, `surface` has occlusion, roughness and metalness in red, green and
    blue, `normal` is in each texel's tangent frame: x along u, y against v.
    """

    colour: bytes
    surface: bytes
    normal: bytes


def material_images(maps: Maps, texels: TexelTable, texel_mm: float) -> MaterialImages:
    """Return a part's maps as glTF has them.

    Args:
        maps: The part's, with its defects in them.
        texels: Where the texels of the undamaged part are.
        texel_mm: Length of a texel's side.
    """
    linear = (maps.colour[..., :3].astype(np.float32) / 255) ** 2
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    surface = np.stack([maps.extra[..., 2], maps.colour[..., 3], maps.extra[..., 0]], axis=-1)
    rows, columns = texels.rows, texels.columns
    along_u, against_v = _texel_axes(texels, texel_mm)
    slope = maps.slope[rows, columns, :3].astype(np.float32)
    normal = texels.normals - slope
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    local = np.stack(
        [np.einsum("ni,ni->n", normal, axis) for axis in (along_u, against_v, texels.normals)],
        axis=1,
    )
    coded = np.clip(np.rint((local + 1) * 127.5), 0, 255).astype(np.uint8)
    return MaterialImages(
        colour=_png(np.rint(srgb * 255).astype(np.uint8)),
        surface=_png(surface),
        normal=_png(coded[texels.fill]),
    )


def vertex_tangents(mesh: PartMesh) -> np.ndarray:
    """Return for each vertex where u grows and the sign of the bitangent, (V, 4), float32.

    glTF's bitangent is cross(normal, tangent) x sign, and runs against v.
    """
    corners, uv = mesh.vertices_mm[mesh.faces], mesh.uv[mesh.faces].astype(np.float64)
    e1, e2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    d1, d2 = uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]
    area = d1[:, 0] * d2[:, 1] - d2[:, 0] * d1[:, 1]
    turn = np.sign(area)[:, None]
    along_u = turn * (e1 * d2[:, 1:] - e2 * d1[:, 1:])
    along_v = turn * (e2 * d1[:, :1] - e1 * d2[:, :1])
    tangent, downward = np.zeros((2, *mesh.normals.shape))
    for k in range(3):
        np.add.at(tangent, mesh.faces[:, k], along_u)
        np.add.at(downward, mesh.faces[:, k], along_v)
    tangent = _perpendicular(tangent, mesh.normals)
    sign = -np.einsum("ni,ni->n", np.cross(mesh.normals, tangent), downward)
    return np.column_stack([tangent, np.where(sign < 0, -1.0, 1.0)]).astype(np.float32)


def _texel_axes(texels: TexelTable, texel_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Return unit vectors on the surface along u and against v at each texel, (N, 3) each."""
    place = np.full((*texels.fill.shape, 3), np.nan, np.float32)
    place[texels.rows, texels.columns] = texels.positions_mm
    along_u = _perpendicular(_step(place, texels, 1, texel_mm), texels.normals)
    down = _step(place, texels, 0, texel_mm)
    across = np.cross(texels.normals, along_u)
    sign = np.where(np.einsum("ni,ni->n", across, down) > 0, -1.0, 1.0)
    return along_u, across * sign[:, None]


def _step(place: np.ndarray, texels: TexelTable, axis: int, texel_mm: float) -> np.ndarray:
    """Return the way to the next texel along an axis, or from the last one where none is near."""
    rows, columns = texels.rows, texels.columns
    best = np.full((len(rows), 3), np.nan, np.float32)
    for sign in (1, -1):
        r = np.clip(rows + sign * (axis == 0), 0, place.shape[0] - 1)
        c = np.clip(columns + sign * (axis == 1), 0, place.shape[1] - 1)
        step = sign * (place[r, c] - texels.positions_mm)
        length = np.linalg.norm(step, axis=1)
        near = (length > 0) & (length < _NEAR_TEXELS * texel_mm) & np.isnan(best[:, 0])
        best[near] = step[near]
    return np.nan_to_num(best)


def _perpendicular(vectors: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Return unit vectors on the surface nearest to `vectors`; any where these have none."""
    flat = vectors - normals * np.einsum("ni,ni->n", vectors, normals)[:, None]
    least = np.abs(normals).argmin(axis=1)
    other = np.cross(normals, np.eye(3)[least])
    lengths = np.linalg.norm(flat, axis=1, keepdims=True)
    flat = np.where(lengths > 1e-9, flat, other)
    return flat / np.linalg.norm(flat, axis=1, keepdims=True)


def _png(pixels: np.ndarray) -> bytes:
    image = np.ascontiguousarray(pixels[..., ::-1])
    done, data = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 4])
    if not done:
        raise ValueError(f"OpenCV cannot encode {pixels.dtype} {pixels.shape}")
    return data.tobytes()
