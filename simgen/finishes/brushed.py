"""Brushed: long hairlines of an abrasive belt or fleece, satin."""

import numpy as np

from simgen.finishes.noise import cloud, streaks
from simgen.finishes.points import Points
from simgen.finishes.skin import Skin, even_skin
from simgen.scene.spec import FinishSpec


def brushed(spec: FinishSpec, points: Points) -> Skin:
    """Hairlines that run on for tens of mm, in sheaves, with single deeper ones among them.

    Nothing breaks off and there is no grain across, as there is on `ground`: along a hair
    the surface is even, and highlights draw out to bands square to the hairs.

    `values`: `line_mm`, `line_length_mm`, `line_slope`, `line_skew`, `line_tone`,
    `hair` (strength of the single deeper hairs), `sheaf_mm` (width of the bands that the
    belt leaves), `sheaf` (their relative change of colour), `blotch`, `blotch_mm`.
    """
    v = spec.values
    skin = even_skin(spec, points.count)
    frame = points.frame
    s, a = frame.across_mm, frame.along_mm
    line, length = v.get("line_mm", 0.2), v.get("line_length_mm", 60.0)
    skew = v.get("line_skew", 0.3)
    lines, lines_slope = streaks(s, a, width_mm=line, length_mm=length, seed=spec.seed, skew=skew)
    hairs, hairs_slope = streaks(
        s, a, width_mm=1.1 * line, length_mm=0.6 * length, seed=spec.seed + 5, skew=1.5
    )
    sheaf, _ = streaks(
        s, a, width_mm=v.get("sheaf_mm", 12 * line), length_mm=3 * length, seed=spec.seed + 1
    )
    hair = np.float32(v.get("hair", 0.5))
    # Deep hairs are dark: they hold shadow and dirt.
    fine = 0.8 * lines - hair * np.clip(hairs, 0, 4)
    blotch = cloud(points.position, v.get("blotch_mm", 35.0), spec.seed + 3)
    factor = 1 + v.get("line_tone", 0.04) * fine + v.get("sheaf", 0.02) * sheaf
    factor *= 1 + v.get("blotch", 0.02) * blotch
    skin.shade(factor)
    skin.gloss(1 - 0.07 * lines + 0.06 * sheaf + 0.05 * blotch)
    slope = lines_slope + hair * hairs_slope
    slope *= np.float32(v.get("line_slope", 0.03))
    skin.slope += slope * frame.across
    skin.height = fine
    return skin
