"""Our maps as textures of Mitsuba's principled BSDF under a normal map."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from simgen.finishes import Maps
from simgen.parts.mesh import PartMesh
from simgen.render.pathtrace.grain import Charted, Patch, patches, refined, texel_axes
from simgen.scene.spec import FinishSpec

# As in colour.frag: smooth along the lines, rough across them.
_ALONG, _ACROSS = 0.85, 0.6
_LEAST_ALPHA = 0.004
_MARGIN_TEXELS = 3


@dataclass(frozen=True, kw_only=True)
class TexelFrames:
    """The surface under the texels of an atlas, float32.

    Attributes:
        normals: Unit, part-local, shape (H, W, 3).
        columns: Unit vector on the surface in which columns grow, (H, W, 3).
        mirrored: -1 where rows grow against normal x columns, else 1, (H, W).
    """

    normals: np.ndarray
    columns: np.ndarray
    mirrored: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Covered:
    """A piece of a mesh and its material.

    Attributes:
        vertices_mm, normals: Part-local, shape (V, 3).
        uv: For the material's textures, shape (V, 2).
        faces: Shape (F, 3).
        bsdf: A Mitsuba BSDF.
        glow: Radiance that it gives off, as a Mitsuba emitter, or None.
    """

    vertices_mm: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    faces: np.ndarray
    bsdf: Any
    glow: Any = None


def covered(
    mi: Any, mesh: Charted, maps: Maps, finish: FinishSpec, frames: TexelFrames
) -> list[Covered]:
    """Return the mesh in pieces, each with the material of its part of the maps."""
    lines = bool(maps.extra[..., 1].max() > 8)
    if lines:
        mesh = refined(mesh, finish)
        found = patches(mesh, finish)
    else:
        found = [Patch(faces=np.arange(len(mesh.faces)), turn_rad=0.0)]
    return [_piece(mi, mesh, maps, finish, frames, patch, lines) for patch in found]


def frames_of_part(mesh: PartMesh) -> TexelFrames:
    """Return the frames of a part's atlas, gutters filled."""
    texels = mesh.texels
    return _frames(charted(mesh), texels.normals, texels.face, texels.fill)


def frames_of_body(mesh: Charted, shape: tuple[int, int]) -> TexelFrames:
    """Return the frames of an atlas (rows, columns) of which only the mesh is known."""
    corners = mesh.texels[mesh.faces]
    weights = np.array([*np.eye(3), (0.5, 0.5, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (1 / 3,) * 3])
    near = np.einsum("kc,fci->fki", weights, corners)
    r, c = np.indices(shape)
    centres = np.stack([c, r], axis=-1).reshape(-1, 2) + 0.5
    at = cKDTree(near.reshape(-1, 2)).query(centres)[1] // len(weights)
    normals = mesh.normals[mesh.faces].mean(axis=1)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    return _frames(mesh, normals[at], at, np.arange(len(at)).reshape(shape))


def charted(mesh: PartMesh) -> Charted:
    """Return a part's mesh with texture coordinates in texels."""
    return Charted(
        vertices_mm=mesh.vertices_mm.astype(np.float64),
        normals=mesh.normals.astype(np.float64),
        texels=mesh.uv * np.array([mesh.map_width, mesh.map_height], np.float64),
        faces=mesh.faces.astype(np.int64),
    )


def _frames(mesh: Charted, normals: np.ndarray, face: np.ndarray, fill: np.ndarray) -> TexelFrames:
    columns, rows = (axis[face] for axis in texel_axes(mesh))
    flat = columns - normals * np.einsum("ni,ni->n", columns, normals)[:, None]
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)
    sign = np.where(np.einsum("ni,ni->n", np.cross(normals, flat), rows) < 0, -1.0, 1.0)
    return TexelFrames(
        normals=normals.astype(np.float32)[fill],
        columns=flat.astype(np.float32)[fill],
        mirrored=sign.astype(np.float32)[fill],
    )


def _piece(
    mi: Any, mesh: Charted, maps: Maps, finish: FinishSpec, frames: TexelFrames, patch: Patch,
    lines: bool,
) -> Covered:  # fmt: skip
    used, faces = np.unique(mesh.faces[patch.faces], return_inverse=True)
    at = mesh.texels[used]
    height, width = maps.colour.shape[:2]
    c0, r0 = np.maximum(np.floor(at.min(axis=0)).astype(int) - _MARGIN_TEXELS, 0)
    c1, r1 = np.ceil(at.max(axis=0)).astype(int) + _MARGIN_TEXELS
    c0, r0 = min(c0, width - 2), min(r0, height - 2)
    c1, r1 = min(max(c1, c0 + 2), width), min(max(r1, r0 + 2), height)
    crop = (slice(r0, r1), slice(c0, c1))
    c, s = np.cos(patch.turn_rad), np.sin(patch.turn_rad)
    # From turned texels to the crop's own coordinates.
    back = np.array([[c, -s, -c0], [s, c, -r0], [0.0, 0.0, 1.0]])
    back[0] /= c1 - c0
    back[1] /= r1 - r0
    to_uv = mi.ScalarTransform3f(back)
    values = surface_values(maps, crop, lines)
    glow = None
    if finish.glow > 0:
        shine = texture(mi, finish.glow * values["base_color"], to_uv)
        glow = mi.load_dict({"type": "area", "radiance": shine})
    normal = texture(mi, _normals(maps, frames, crop, patch.turn_rad), to_uv)
    inner = principled(mi, values, to_uv)
    return Covered(
        vertices_mm=mesh.vertices_mm[used],
        normals=mesh.normals[used],
        uv=at @ np.array([[c, -s], [s, c]]),
        faces=faces.reshape(-1, 3),
        bsdf=mi.load_dict({"type": "normalmap", "normalmap": normal, "bsdf": inner}),
        glow=glow,
    )


def surface_values(maps: Maps, crop: tuple[slice, slice], lines: bool) -> dict[str, np.ndarray]:
    """Return the values of the principled BSDF's parameters for a crop of the maps.

    Args:
        maps: A part's.
        crop: Rows and columns.
        lines: Whether it has process lines; they run along v.

    Returns:
        Shape (h, w, 1) or (h, w, 3) each, float32.
    """
    colour = maps.colour[crop].astype(np.float32) / 255
    extra = maps.extra[crop].astype(np.float32) / 255
    metalness, anisotropy, cavity = (extra[..., k : k + 1] for k in range(3))
    alpha = np.maximum(colour[..., 3:] ** 2, _LEAST_ALPHA)
    # Less comes out of a place that is less open.
    values = {"base_color": colour[..., :3] ** 2 * cavity, "metallic": metalness}
    if not lines:
        return {**values, "roughness": np.sqrt(alpha)}
    along, across = alpha * (1 - _ALONG * anisotropy), alpha * (1 + _ACROSS * anisotropy)
    # Mitsuba: alpha / aspect along u, alpha * aspect along v, aspect^2 = 1 - 0.9 anisotropic.
    values["roughness"] = (along * across) ** np.float32(0.25)
    values["anisotropic"] = np.clip((1 - along / across) / np.float32(0.9), 0, 1)
    return values


def principled(mi: Any, values: dict[str, np.ndarray], to_uv: Any = None) -> Any:
    """Return Mitsuba's principled BSDF with textures of `surface_values`."""
    textures = {name: texture(mi, image, to_uv) for name, image in values.items()}
    return mi.load_dict({"type": "principled", "specular": 0.5, **textures})


def texture(mi: Any, values: np.ndarray, to_uv: Any = None) -> dict[str, Any]:
    """Return an image (h, w, 1 or 3) as a texture that is read as it is."""
    made = {
        "type": "bitmap",
        "bitmap": mi.Bitmap(np.ascontiguousarray(values, np.float32)),
        "raw": True,
        "wrap_mode": "clamp",
        # Half floats would round the slopes of faint lines.
        "format": "variant",
    }
    return made if to_uv is None else {**made, "to_uv": to_uv}


def _normals(
    maps: Maps, frames: TexelFrames, crop: tuple[slice, slice], turn_rad: float
) -> np.ndarray:
    """Return a normal map for texture coordinates that are turned, (h, w, 3)."""
    normal, columns = frames.normals[crop], frames.columns[crop]
    aside = np.cross(normal, columns)
    c = np.float32(np.cos(turn_rad))
    s = np.float32(np.sin(turn_rad)) * frames.mirrored[crop][..., None]
    slope = maps.slope[crop][..., :3].astype(np.float32)
    axes = (c * columns + s * aside, c * aside - s * columns)
    tilt = [-np.einsum("hwi,hwi->hw", slope, axis) for axis in axes]
    local = np.stack([*tilt, np.ones_like(tilt[0])], axis=-1)
    local /= np.linalg.norm(local, axis=-1, keepdims=True)
    coded: np.ndarray = (local + 1) / 2
    return coded
