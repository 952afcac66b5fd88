"""Layers: what a surface is made of, texel by texel; Maps: the same packed for a renderer."""

from dataclasses import dataclass

import numpy as np

from simgen.parts.mesh import TexelTable


@dataclass(kw_only=True)
class Layers:
    """Material of N texels; arrays are float32 and owned by whoever made them.

    Attributes:
        albedo: Linear base colour in [0, 1], shape (N, 3).
        roughness, metalness, anisotropy: In [0, 1], shape (N,).
        cavity: Part of the hemisphere that is open, in [0, 1], shape (N,).
        slope: Part-space surface gradient of the height (mm per mm), shape (N, 3).
    """

    albedo: np.ndarray
    roughness: np.ndarray
    metalness: np.ndarray
    anisotropy: np.ndarray
    cavity: np.ndarray
    slope: np.ndarray

    def take(self, index: np.ndarray) -> "Layers":
        """Return a copy of the texels `index`."""
        return Layers(
            albedo=self.albedo[index],
            roughness=self.roughness[index],
            metalness=self.metalness[index],
            anisotropy=self.anisotropy[index],
            cavity=self.cavity[index],
            slope=self.slope[index],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Maps:
    """Texture maps of one part, rows as in `geometry`.

    Attributes:
        colour: sqrt(albedo) and roughness, shape (H, W, 4), uint8.
        slope: Surface gradient and its squared length, shape (H, W, 4), float16; the
            mip levels of the last channel carry the slope's variance.
        extra: Metalness, anisotropy, cavity, 255, shape (H, W, 4), uint8.
    """

    colour: np.ndarray
    slope: np.ndarray
    extra: np.ndarray


def uniform_layers(
    count: int,
    *,
    albedo: tuple[float, float, float],
    roughness: float,
    metalness: float,
    anisotropy: float = 0.0,
) -> Layers:
    """Return `count` texels of one even material."""
    return Layers(
        albedo=np.tile(np.asarray(albedo, np.float32), (count, 1)),
        roughness=np.full(count, roughness, np.float32),
        metalness=np.full(count, metalness, np.float32),
        anisotropy=np.full(count, anisotropy, np.float32),
        cavity=np.ones(count, np.float32),
        slope=np.zeros((count, 3), np.float32),
    )


def pack(layers: Layers) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows (N, 4) of the colour, slope and extra maps."""
    n = len(layers.roughness)
    colour = np.empty((n, 4), np.uint8)
    colour[:, :3] = _unit8(np.sqrt(layers.albedo))
    colour[:, 3] = _unit8(np.maximum(layers.roughness, 0.02))
    slope = np.empty((n, 4), np.float16)
    slope[:, :3] = layers.slope
    slope[:, 3] = np.einsum("ij,ij->i", layers.slope, layers.slope)
    extra = np.full((n, 4), 255, np.uint8)
    extra[:, 0] = _unit8(layers.metalness)
    extra[:, 1] = _unit8(layers.anisotropy)
    extra[:, 2] = _unit8(layers.cavity)
    return colour, slope, extra


def to_maps(layers: Layers, texels: TexelTable) -> Maps:
    """Return the maps of a whole part, gutters filled."""
    colour, slope, extra = pack(layers)
    return Maps(
        colour=_spread(colour, np.uint32, texels.fill),
        slope=_spread(slope, np.uint64, texels.fill),
        extra=_spread(extra, np.uint32, texels.fill),
    )


def patched(maps: Maps, texels: TexelTable, index: np.ndarray, layers: Layers) -> Maps:
    """Return `maps` with the texels `index` replaced by `layers`, and the gutters beside them.

    Only the rectangle that holds the texels is touched.
    """
    margin = 8
    height, width = texels.fill.shape
    rows, columns = texels.rows[index], texels.columns[index]
    r0, r1 = max(int(rows.min()) - margin, 0), min(int(rows.max()) + margin + 1, height)
    c0, c1 = max(int(columns.min()) - margin, 0), min(int(columns.max()) + margin + 1, width)
    place = np.full(len(texels.rows), -1, np.int32)
    place[index] = np.arange(len(index), dtype=np.int32)
    source = place[texels.fill[r0:r1, c0:c1]]
    touched = source >= 0
    result = []
    for old, rows_new in zip((maps.colour, maps.slope, maps.extra), pack(layers), strict=True):
        new = old.copy()
        new[r0:r1, c0:c1][touched] = rows_new[source[touched]]
        result.append(new)
    return Maps(colour=result[0], slope=result[1], extra=result[2])


def _spread(rows: np.ndarray, whole: type, fill: np.ndarray) -> np.ndarray:
    """Return `rows[fill]`, four channels moved as one number, which is several times quicker."""
    packed: np.ndarray = np.take(rows.view(whole)[:, 0], fill)
    return packed.view(rows.dtype).reshape(*fill.shape, 4)


def _unit8(values: np.ndarray) -> np.ndarray:
    return (np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)
