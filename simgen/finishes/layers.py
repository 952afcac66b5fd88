"""Layers: what a surface is made of, texel by texel; Maps: the same packed for a renderer."""

from dataclasses import dataclass

import cv2
import numpy as np

from simgen.parts.mesh import TexelTable

_RUN = 16384


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


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
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


def empty_layers(count: int) -> Layers:
    """Return `count` texels yet to be written."""
    return Layers(
        albedo=np.empty((count, 3), np.float32),
        roughness=np.empty(count, np.float32),
        metalness=np.empty(count, np.float32),
        anisotropy=np.empty(count, np.float32),
        cavity=np.empty(count, np.float32),
        slope=np.empty((count, 3), np.float32),
    )


def pack(layers: Layers) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows (N, 4) of the colour, slope and extra maps."""
    n = len(layers.roughness)
    colour, extra = np.empty((2, n, 4), np.uint8)
    slope = np.empty((n, 4), np.float16)
    # In pieces that stay in the processor's cache.
    for start in range(0, n, _RUN):
        part = slice(start, min(start + _RUN, n))
        roughness = np.maximum(layers.roughness[part], np.float32(0.02))
        wide = _four(layers.albedo[part])
        wide[:, 3] = roughness * roughness
        colour[part] = _unit8(np.sqrt(wide, out=wide))
        flags = [_unit8(a[part]) for a in (layers.metalness, layers.anisotropy, layers.cavity)]
        extra[part] = cv2.merge([*flags, np.full_like(flags[0], 255)]).reshape(-1, 4)
        x, y, z = (layers.slope[part, axis] for axis in range(3))
        wide = _four(layers.slope[part])
        wide[:, 3] = x * x + y * y + z * z
        _to_half(wide, slope[part])
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


def _four(rows: np.ndarray) -> np.ndarray:
    """Return rows (n, 3) with room for a fourth value, (n, 4)."""
    wide: np.ndarray = cv2.cvtColor(rows[None], cv2.COLOR_RGB2RGBA)[0]
    return wide


def _to_half(values: np.ndarray, out: np.ndarray) -> None:
    """Write float32 as float16, rounded; numpy's own conversion takes five times as long.

    What float16 could hold only with less than its precision becomes 0.
    """
    bits = values.view(np.uint32)
    size = bits & np.uint32(0x7FFFFFFF)
    np.minimum(size, np.uint32(0x477FE000), out=size)
    keep = size >= np.uint32(0x38800000)
    size -= np.uint32(0x38000000 - 0x1000)
    size >>= np.uint32(13)
    size *= keep
    size |= (bits >> np.uint32(16)) & np.uint32(0x8000)
    out.view(np.uint16)[:] = size


def _unit8(values: np.ndarray) -> np.ndarray:
    """Return values from 0 to 1 as bytes, shape kept; what lies above is cut off."""
    coded: np.ndarray = cv2.convertScaleAbs(values, alpha=255)
    return coded.reshape(values.shape)
