"""Ground: straight lines that break off, left by grit along the process."""

import numpy as np

from simgen.finishes.noise import cloud, streaks
from simgen.finishes.points import Points
from simgen.finishes.skin import Skin, even_skin
from simgen.scene.spec import FinishSpec


def ground(spec: FinishSpec, points: Points) -> Skin:
    """Grinding lines along the process.

    `values`: `line_mm` spacing, `line_length_mm` (of the short ones, ten times),
    `line_run_mm` (of the long ones), `line_slope`, `line_skew`, `line_tone` (relative
    change of colour), `grain`, `grain_mm`, `blotch`, `blotch_mm`.
    """
    v = spec.values
    skin = even_skin(spec, points.count)
    frame = points.frame
    s, a = frame.across_mm, frame.along_mm
    line, length = v.get("line_mm", 0.15), v.get("line_length_mm", 12.0)
    skew = v.get("line_skew", 0.6)
    run = v.get("line_run_mm", 2 * length)
    # Grit that stays in the wheel scores long lines, over the whole part perhaps and some of
    # them strong; grit that breaks leaves short ones, which make the long ones sparkle.
    comb, comb_slope = streaks(
        s, a, width_mm=line, length_mm=run, seed=spec.seed + 5, skew=0.4 * skew
    )
    single, single_slope = streaks(
        s, a, width_mm=1.2 * line, length_mm=run, seed=spec.seed + 6, skew=2 * skew
    )
    short, short_slope = streaks(
        s, a, width_mm=line, length_mm=length / 10, seed=spec.seed, skew=0.5 * skew
    )
    fine = 0.5 * comb + 0.42 * single + 0.5 * short
    broad, _ = streaks(s, a, width_mm=8 * line, length_mm=run, seed=spec.seed + 1)
    grain = points.speckle(v.get("grain_mm", 0.12), spec.seed + 2)
    blotch = cloud(points.position, v.get("blotch_mm", 25.0), spec.seed + 3)
    tone = v.get("line_tone", 0.05)
    factor = 1 + tone * fine + 0.5 * tone * broad + v.get("grain", 0.03) * grain
    factor *= 1 + v.get("blotch", 0.05) * blotch
    skin.shade(factor, 0.15, 3)
    skin.gloss(1 - 0.12 * fine - 0.08 * broad + 0.06 * blotch)
    slope = 0.4 * comb_slope + 0.28 * single_slope + 0.5 * short_slope
    slope *= np.float32(v.get("line_slope", 0.06))
    skin.slope += slope * frame.across
    skin.height = fine
    return skin
