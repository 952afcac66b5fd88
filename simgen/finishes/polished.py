"""Polished or lapped: near a mirror, with faint lines along the process and haze."""

import numpy as np

from simgen.finishes.noise import cloud, streaks
from simgen.finishes.points import Points
from simgen.finishes.skin import Skin, even_skin
from simgen.scene.spec import FinishSpec


def polished(spec: FinishSpec, points: Points) -> Skin:
    """Races, grooves and lapped faces.

    `values`: `line_mm`, `line_length_mm`, `line_slope`, `line_skew`, `line_tone`,
    `haze` (relative change of roughness in clouds of `blotch_mm`), `wave_slope` and
    `wave_mm` (the faint waviness that bends reflections), `blotch`, `blotch_mm`.
    """
    v = spec.values
    skin = even_skin(spec, points.count)
    frame = points.frame
    s, a = frame.across_mm, frame.along_mm
    line, length = v.get("line_mm", 0.2), v.get("line_length_mm", 40.0)
    lines, lines_slope = streaks(
        s, a, width_mm=line, length_mm=length, seed=spec.seed, skew=v.get("line_skew", 0.9)
    )
    bands, _ = streaks(s, a, width_mm=7 * line, length_mm=5 * length, seed=spec.seed + 1)
    blotch = cloud(points.position, v.get("blotch_mm", 15.0), spec.seed + 3)
    tone = v.get("line_tone", 0.012)
    skin.shade(1 + tone * (lines + 1.5 * bands) + v.get("blotch", 0.02) * blotch)
    haze = v.get("haze", 0.2)
    # Where hairlines lie closer the polish is duller.
    skin.gloss(1 + haze * (0.6 * blotch + 0.5 * bands) + 0.1 * np.abs(lines), 0.5, 2.5)
    slope = np.float32(v.get("line_slope", 0.006)) * lines_slope
    skin.slope += slope * frame.across
    wave = v.get("wave_slope", 0.0)
    if wave > 0:
        _, slope = points.relief(v.get("wave_mm", 6.0) / 3, spec.seed + 7)
        skin.slope += np.float32(wave) * slope
    skin.height = lines
    return skin
