"""Our maps as textures of pyrender's metallic-roughness material; it has no anisotropy."""

from typing import Any

import numpy as np

from simgen.defects.bodies import BodySurface, Look
from simgen.finishes import Maps
from simgen.parts.mesh import PartMesh
from simgen.render.pathtrace.grain import Charted
from simgen.render.pathtrace.look import Looked, looked
from simgen.render.pathtrace.material import TexelFrames, frames_of_body, frames_of_part
from simgen.scene.spec import FinishSpec

# Sides of a body's triangles over a pixel's footprint.
_FINE = 0.7


def material_of(
    pyrender: Any, maps: Maps, finish: FinishSpec, charts: PartMesh | BodySurface, dimmed: float
) -> Any:
    """Return the material of a surface with maps.

    Args:
        pyrender: The module.
        maps: The surface's.
        finish: For the light that it gives off; lines of a process are left out.
        charts: What the maps lie on: the undamaged part, or a body with maps of its own.
        dimmed: What pyrender's 1 stands for.
    """
    extra = maps.extra
    rough_metal = np.stack([np.zeros_like(extra[..., 0]), maps.colour[..., 3], extra[..., 0]], -1)
    colour = pyrender.Texture(source=_SRGB[maps.colour[..., :3]], source_channels="RGB")
    # The shader multiplies the factor with itself.
    glow = float(np.sqrt(finish.glow / dimmed))
    return pyrender.MetallicRoughnessMaterial(
        baseColorTexture=colour,
        metallicRoughnessTexture=rough_metal,
        normalTexture=_normals(maps, _frames(maps, charts)),
        occlusionTexture=pyrender.Texture(
            source=np.ascontiguousarray(extra[..., 2:3]), source_channels="R"
        ),
        emissiveTexture=colour if glow > 0 else None,
        emissiveFactor=np.full(3, glow),
        doubleSided=True,
    )


def bare_material(pyrender: Any, look: Look) -> Any:
    """Return the material of a body without maps; its tone comes with its vertices."""
    return pyrender.MetallicRoughnessMaterial(
        baseColorFactor=(*look.albedo, 1.0),
        metallicFactor=look.metalness,
        roughnessFactor=look.roughness,
        doubleSided=True,
    )


def rgba_of(body: BodySurface, pixel_mm: float) -> tuple[Looked, np.ndarray]:
    """Return a body without maps divided finely, and its vertices' tone (V, 4), float32."""
    look = body.look
    assert look is not None
    made = looked(body, look, _FINE * pixel_mm)
    tone = made.albedo / np.maximum(np.asarray(look.albedo), 1e-3)
    return made, np.concatenate([tone, np.ones((len(tone), 1))], axis=1).astype(np.float32)


def _frames(maps: Maps, charts: PartMesh | BodySurface) -> TexelFrames:
    if isinstance(charts, PartMesh):
        return frames_of_part(charts)
    height, width = maps.colour.shape[:2]
    mesh = Charted(
        vertices_mm=charts.vertices_mm.astype(np.float64),
        normals=charts.normals.astype(np.float64),
        texels=charts.shade * np.array([width, height], np.float64),
        faces=charts.faces.astype(np.int64),
    )
    return frames_of_body(mesh, (height, width))


def _normals(maps: Maps, frames: TexelFrames) -> np.ndarray:
    """Return a normal map in the axes that the shader finds, (h, w, 3), uint8.

    They are the direction in which u grows and the normal's cross product with it.
    """
    slope = maps.slope[..., :3].astype(np.float32)
    aside = np.cross(frames.normals, frames.columns)
    tilt = [-np.einsum("hwi,hwi->hw", slope, axis) for axis in (frames.columns, aside)]
    local = np.stack([*tilt, np.ones_like(tilt[0])], axis=-1)
    local /= np.linalg.norm(local, axis=-1, keepdims=True)
    coded: np.ndarray = np.rint(127.5 * (local + 1)).astype(np.uint8)
    return coded


def _srgb_of_root() -> np.ndarray:
    """Return the sRGB byte for every byte of sqrt(albedo), shape (256,)."""
    linear = (np.arange(256) / 255) ** 2
    coded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    table: np.ndarray = np.rint(255 * coded).astype(np.uint8)
    return table


_SRGB = _srgb_of_root()
