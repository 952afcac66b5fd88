"""Turned: lines around an axis, spaced by the tool's feed."""

import numpy as np

from simgen.finishes.noise import cloud, streaks
from simgen.finishes.points import Points
from simgen.finishes.skin import Skin, even_skin
from simgen.scene.spec import FinishSpec


def turned(spec: FinishSpec, points: Points) -> Skin:
    """Concentric lines around `direction` through the part's origin.

    `values` as for ground, and `feed_mm`, `feed_slope`: the regular groove that the tool's
    tip leaves each turn; choose `feed_mm` above two texels.
    """
    v = spec.values
    skin = even_skin(spec, points.count)
    frame = points.frame
    fine, slope = streaks(
        frame.across_mm,
        frame.along_mm,
        width_mm=v.get("line_mm", 0.2),
        length_mm=v.get("line_length_mm", 60.0),
        seed=spec.seed,
        skew=v.get("line_skew", 0.3),
    )
    grain = points.speckle(v.get("grain_mm", 0.15), spec.seed + 2)
    blotch = cloud(points.position, v.get("blotch_mm", 25.0), spec.seed + 3)
    factor = 1 + v.get("line_tone", 0.04) * fine + v.get("grain", 0.02) * grain
    skin.shade(factor * (1 + v.get("blotch", 0.04) * blotch), 0.3, 2)
    skin.gloss(1 - 0.1 * fine + 0.08 * blotch, 0.5, 1.6)
    slope = np.float32(v.get("line_slope", 0.05)) * slope
    feed = v.get("feed_slope", 0.0)
    if feed > 0:
        phase = frame.across_mm * np.float32(2 * np.pi / v.get("feed_mm", 0.6))
        slope += np.float32(feed) * np.sin(phase + 0.2 * fine)
    skin.slope += slope * frame.across
    skin.height = fine
    return skin
