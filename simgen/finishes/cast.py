"""Cast: the skin that sand leaves; galvanized: zinc frozen in crystals."""

from functools import lru_cache

import cv2
import numpy as np

from simgen.finishes.noise import blurred, cloud, generator, lookup
from simgen.finishes.points import Points
from simgen.finishes.skin import Skin, even_skin
from simgen.scene.spec import FinishSpec

_CELL = 32
_CELLS = 24


def cast(spec: FinishSpec, points: Points) -> Skin:
    """Bumps of `bump_mm` with slope `bump_slope`, and uneven tone.

    `values`: these, `grain`, `blotch`, `blotch_mm`.
    """
    v = spec.values
    skin = even_skin(spec, points.count)
    scale = v.get("bump_mm", 0.8)
    # Bumps finer than texels would only glitter.
    least = 0.8 * points.texel_mm
    height, slope = points.relief(max(scale / 3, least), spec.seed)
    fine, fine_slope = points.relief(max(scale / 7, least), spec.seed + 7)
    skin.slope += np.float32(v.get("bump_slope", 0.14)) * (slope + 0.7 * fine_slope)
    height = height + 0.4 * fine
    blotch = cloud(points.position, v.get("blotch_mm", 18.0), spec.seed + 3)
    # Hollows keep dust and scale.
    skin.shade(1 + v.get("grain", 0.1) * height + v.get("blotch", 0.08) * blotch, 0.3, 2)
    skin.gloss(1 - 0.08 * height + 0.1 * blotch, 0.5, 1.4)
    skin.cavity *= np.clip(1 + 0.12 * np.minimum(height, 0), 0.5, 1)
    skin.height = height
    return skin


def galvanized(spec: FinishSpec, points: Points) -> Skin:
    """Hot-dip zinc: spangles, each a crystal of its own tone, gloss and tilt.

    `values`: `spangle_mm` (their size), `spangle_tone` (how much they differ),
    `spangle_slope` (tilt of a crystal's surface), `fern` (strength of the fronds within),
    `grain`, `grain_mm`, `blotch`, `blotch_mm`.
    """
    v = spec.values
    skin = even_skin(spec, points.count)
    size = v.get("spangle_mm", 8.0)
    shift = generator(spec.seed, "spangle").uniform(0, _CELL * _CELLS, 2).astype(np.float32)
    # Bent a little, so that borders are no polygons.
    scale, bend = np.float32(_CELL / size), 0.06 * size
    aside = bend * cloud(points.position, 0.5 * size, spec.seed + 4, 4)

    def look(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        return lookup(_spangles(), u * scale + shift[0], v * scale + shift[1])

    tone, tilt_u, tilt_v, frond = points.tile(look, aside).T
    blotch = cloud(points.position, v.get("blotch_mm", 40.0), spec.seed + 3)
    grain = points.speckle(v.get("grain_mm", 0.3), spec.seed + 2)
    factor = 1 + v.get("spangle_tone", 0.08) * (tone + v.get("fern", 0.3) * frond)
    factor += v.get("grain", 0.01) * grain
    skin.shade(factor * (1 + v.get("blotch", 0.03) * blotch), 0.4, 1.8)
    skin.gloss(1 - 0.12 * tone - 0.05 * frond + 0.05 * blotch)
    # A crystal's tilt is its own, whichever way its plane runs.
    tilt = np.stack([tilt_u, tilt_v, frond])
    skin.slope += np.float32(v.get("spangle_slope", 0.012)) * points.tangent(tilt)
    skin.height = tone
    return skin


@lru_cache(maxsize=1)
def _spangles() -> np.ndarray:
    """Return a tile of crystals: tone, tilt along u and v, fronds; each of deviation about 1."""
    rng = generator(0, "spangle tile")
    side, margin = _CELL * _CELLS, 3 * _CELL
    grid = np.stack(np.meshgrid(np.arange(_CELLS), np.arange(_CELLS), indexing="ij"), axis=-1)
    seeds = ((grid + rng.uniform(0.05, 0.95, grid.shape)) * _CELL).reshape(-1, 2).astype(int)
    number = np.full((side, side), -1, np.int32)
    number[seeds[:, 0], seeds[:, 1]] = np.arange(len(seeds))
    number = np.pad(number, margin, mode="wrap")
    free = (number < 0).view(np.uint8)
    _, label = cv2.distanceTransformWithLabels(free, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    names = np.zeros(label.max() + 1, np.int32)
    names[label[free == 0]] = number[free == 0]
    owner = names[label][margin:-margin, margin:-margin]
    rows, columns = np.mgrid[0:side, 0:side].astype(np.float32)
    tone, tilt_u, tilt_v = rng.standard_normal((3, _CELLS**2)).astype(np.float32)
    angle = rng.uniform(0, np.pi, _CELLS**2)
    at = seeds[owner]
    dy, dx = ((d + side / 2) % side - side / 2 for d in (rows - at[..., 0], columns - at[..., 1]))
    c, s = np.cos(angle[owner]), np.sin(angle[owner])
    stem, side_way = c * dx + s * dy, c * dy - s * dx
    # Fronds stand off a stem at sixty degrees, as zinc grows.
    frond = np.sin(1.3 * stem + 2.2 * np.abs(side_way)) * np.exp(-np.abs(side_way) / 14)
    tile = np.stack([tone[owner], tilt_u[owner], tilt_v[owner], 1.6 * frond], axis=-1)
    return blurred(tile.astype(np.float32), 0.8)
