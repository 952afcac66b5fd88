"""Rusted: steel under patches of rust, from a bloom of orange to thick brown scale."""

import numpy as np
from scipy.special import ndtri

from simgen.finishes.noise import cloud, cloud_with_slope
from simgen.finishes.points import Points
from simgen.finishes.skin import Skin, even_skin
from simgen.scene.spec import FinishSpec

# Linear colours, from dry dust to old scale.
_DUST = np.array([[0.36], [0.125], [0.028]], np.float32)
_RUST = np.array([[0.20], [0.062], [0.018]], np.float32)
_SCALE = np.array([[0.060], [0.026], [0.016]], np.float32)


def rusted(spec: FinishSpec, points: Points) -> Skin:
    """Patches of rust; colour, roughness and metalness of the spec are the steel's.

    `values`: `rust` (share of the surface that has some), `rust_mm` (size of the patches),
    `rust_age` (0 bloom, 1 thick scale), `rust_edge` (how much sooner edges rust),
    `pit_mm` and `pit_slope` (the relief under it), `blotch`, `blotch_mm`, `grain`.
    """
    v = spec.values
    skin = even_skin(spec, points.count)
    size, pit_mm = v.get("rust_mm", 9.0), v.get("pit_mm", 0.7)
    broad, broad_slope = cloud_with_slope(points.position, size, spec.seed, 8)
    ragged, ragged_slope = points.relief(size / 9, spec.seed + 1)
    least = 0.8 * points.texel_mm
    flaky, flaky_slope = points.relief(max(0.8 * pit_mm, 2 * least), spec.seed + 6)
    pits, pit_slope = points.relief(max(0.3 * pit_mm, least), spec.seed + 2)
    field = (0.68 * broad + 0.50 * ragged + 0.40 * flaky + 0.24 * pits) / np.float32(0.97)
    near = np.exp(-points.edge_mm * np.float32(1 / max(0.3 * size, points.texel_mm)))
    field += np.float32(v.get("rust_edge", 0.8)) * near
    share = min(max(v.get("rust", 0.45), 1e-3), 0.999)
    field += np.float32(ndtri(share))

    age = float(v.get("rust_age", 0.5))
    stain = _step(field, -1.3, 0.3)
    bloom = _step(field, -0.25, 0.55)
    thick = age * _step(field, 0.6 - 0.3 * age, 1.7 - 0.5 * age)
    blotch = cloud(points.position, v.get("blotch_mm", 25.0), spec.seed + 3)
    # Bare steel between the patches is dulled and stained as well.
    skin.shade(1 + v.get("grain", 0.04) * pits + v.get("blotch", 0.08) * blotch)
    for channel, loss in zip(skin.colour, (0.22, 0.38, 0.52), strict=True):
        channel *= 1 - np.float32(loss) * stain
    skin.roughness += (0.25 * stain) * (1 - skin.roughness)

    # Fresh rust is bright at the rims of a patch; old rust is dark, with bright dust in pits.
    mix = np.clip(0.25 + 0.5 * age + 0.22 * ragged + 0.25 * flaky + 0.35 * thick, 0, 1)
    rust = _DUST + mix * (_RUST - _DUST)
    rust += (thick * np.clip(0.75 + 0.3 * flaky, 0, 1)) * (_SCALE - rust)
    rust *= np.clip(1 + 0.15 * pits + 0.18 * flaky + 0.1 * blotch, 0.4, 1.9)
    cover = bloom * (0.62 + 0.38 * _step(field, 0.0, 1.0))
    roughness = np.clip(0.84 + 0.05 * flaky, 0, 1)
    skin.toward(cover, colour=rust, roughness=roughness, metalness=0.0)

    # Pits show wherever rust has eaten, and scale stands up at its border.
    slope = 0.7 * pit_slope + 0.6 * flaky_slope
    slope *= np.float32(v.get("pit_slope", 0.22)) * cover
    border = thick * (age - thick)
    slope += border * (0.8 * points.tangent(broad_slope) + 0.5 * ragged_slope)
    skin.slope += slope
    hollow = np.minimum(0.6 * pits + 0.6 * flaky, 0)
    skin.cavity *= np.clip(1 + 0.25 * cover * hollow, 0.4, 1)
    skin.height = pits + flaky
    return skin


def _step(field: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return 0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((field - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    result: np.ndarray = t * t * (3 - 2 * t)
    return result
