"""Worktop: a bench top, speckled, dirty, lightly scratched."""

import numpy as np

from simgen.finishes.noise import cloud, streaks
from simgen.finishes.points import Points
from simgen.finishes.skin import Skin, even_skin
from simgen.scene.spec import FinishSpec


def worktop(spec: FinishSpec, points: Points) -> Skin:
    """A bench top; `values` as for ground."""
    v = spec.values
    skin = even_skin(spec, points.count)
    p = points.position
    blotch = cloud(p, v.get("blotch_mm", 70.0), spec.seed)
    fine = cloud(p, 6.0, spec.seed + 1, 7)
    grain = points.speckle(v.get("grain_mm", 0.9), spec.seed + 2)
    coarse = points.speckle(4 * v.get("grain_mm", 0.9), spec.seed + 5)
    factor = 1 + v.get("blotch", 0.10) * blotch + 0.03 * fine
    factor += v.get("grain", 0.06) * (grain + 0.5 * coarse)
    line_tone, line_slope = v.get("line_tone", 0.0), v.get("line_slope", 0.0)
    if line_tone > 0 or line_slope > 0:
        frame = points.frame
        line, slope = streaks(
            frame.across_mm, frame.along_mm, width_mm=v.get("line_mm", 0.8),
            length_mm=v.get("line_length_mm", 80.0), seed=spec.seed + 3,
            skew=v.get("line_skew", 0.4),
        )  # fmt: skip
        factor += line_tone * line
        skin.slope += np.float32(line_slope) * slope * frame.across
    skin.shade(factor)
    skin.gloss(1 + 0.12 * blotch + 0.05 * grain, 0.5, 1.6)
    skin.height = grain
    return skin
