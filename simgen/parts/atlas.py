"""The atlas: chart rectangles packed into one map at an exact number of mm per texel."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simgen.errors import AssetError
from simgen.parts.chart import Chart

GUTTER_TEXELS = 4
MAX_MAP_TEXELS = 4096
_MANY = 150


@dataclass(frozen=True, kw_only=True)
class Atlas:
    """`texel_xy[i]` is where chart i's vertices lie, (V, 2) float64 (column, row) + 0.5."""

    texel_xy: list[np.ndarray]
    map_height: int
    map_width: int


def pack(charts: Sequence[Chart], texel_mm: float) -> Atlas:
    """Lay the charts side by side, at least `GUTTER_TEXELS` apart, none of them scaled.

    Raises:
        AssetError: The map would exceed 4096 texels on a side.
    """
    flats = [_landscape(c.flat_mm) * (c.detail / texel_mm) for c in charts]
    sizes = np.array([np.ceil(np.ptp(f, axis=0)) for f in flats], dtype=int) + GUTTER_TEXELS
    if sizes.max() > MAX_MAP_TEXELS:
        raise _too_large(sizes.max(), texel_mm)
    order = np.lexsort((np.arange(len(sizes)), -sizes[:, 0], -sizes[:, 1]))
    area = float((sizes[:, 0] * sizes[:, 1]).sum())
    best: tuple[float, int, int, np.ndarray] | None = None
    for stretch in (1.05, 1.25, 1.5, 1.8, 2.2):
        # Many small charts pack well whatever the width.
        if best is not None and len(sizes) > _MANY:
            break
        width = _round_up(min(max(np.sqrt(area) * stretch, sizes[:, 0].max()), MAX_MAP_TEXELS))
        corners = _skyline(sizes, order, width)
        height = _round_up((corners[:, 1] + sizes[:, 1]).max())
        width = _round_up((corners[:, 0] + sizes[:, 0]).max())
        if height <= MAX_MAP_TEXELS and (best is None or height * width < best[0]):
            best = (height * width, height, width, corners)
    if best is None:
        raise _too_large(int(np.sqrt(area) * 1.1), texel_mm)
    _, height, width, corners = best
    margin = GUTTER_TEXELS / 2
    placed = [f - f.min(axis=0) + corner + margin for f, corner in zip(flats, corners, strict=True)]
    return Atlas(texel_xy=placed, map_height=height, map_width=width)


def _landscape(flat: np.ndarray) -> np.ndarray:
    extent = np.ptp(flat, axis=0)
    if extent[1] <= extent[0]:
        return flat
    return np.stack([flat[:, 1], -flat[:, 0]], axis=1)


def _skyline(sizes: np.ndarray, order: np.ndarray, width: int) -> np.ndarray:
    """Return each rectangle's corner (x, y): lowest place first, leftmost among equals."""
    corners = np.zeros((len(sizes), 2), dtype=int)
    steps: list[tuple[int, int, int]] = [(0, width, 0)]  # start, end, height
    for i in order.tolist():
        w, h = sizes[i].tolist()
        y, first, last = 1 << 30, 0, 0
        for k, (x, _, top) in enumerate(steps):
            if x + w > width:
                break
            j = k
            while top < y and steps[j][1] < x + w:
                j += 1
                top = max(top, steps[j][2])
            if top < y:
                y, first, last = top, k, j
        x = steps[first][0]
        corners[i] = x, y
        _, end, height = steps[last]
        rest = [(x + w, end, height)] if end > x + w else []
        steps[first : last + 1] = [(x, x + w, y + h), *rest]
    return corners


def _round_up(value: float) -> int:
    return int(-(-int(np.ceil(value)) // 8) * 8)


def _too_large(texels: int, texel_mm: float) -> AssetError:
    return AssetError(
        f"texture map needs about {texels} texels a side at texel_mm={texel_mm:g}, "
        f"more than {MAX_MAP_TEXELS}: raise texel_mm"
    )
