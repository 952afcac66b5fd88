"""Painted: a coat with orange peel."""

import numpy as np

from simgen.finishes.noise import cloud
from simgen.finishes.points import Points
from simgen.finishes.skin import Skin, even_skin
from simgen.scene.spec import FinishSpec


def painted(spec: FinishSpec, points: Points) -> Skin:
    """A coat with orange peel and faint dirt; bare metal shows at worn edges.

    `values`: `peel_mm`, `peel_slope`, `grain`, `grain_mm`, `blotch`, `blotch_mm`.
    """
    v = spec.values
    skin = even_skin(spec, points.count)
    peel = np.float32(v.get("peel_slope", 0.02))
    if peel > 0:
        _, slope = points.relief(v.get("peel_mm", 2.5) / 3, spec.seed)
        skin.slope += peel * slope
    blotch = cloud(points.position, v.get("blotch_mm", 30.0), spec.seed + 3)
    grain = points.speckle(v.get("grain_mm", 0.3), spec.seed + 4)
    skin.shade(1 + v.get("blotch", 0.05) * blotch + v.get("grain", 0.01) * grain, 0.3, 2)
    skin.gloss(1 + 0.1 * blotch, 0.5, 1.5)
    skin.height = grain
    return skin
