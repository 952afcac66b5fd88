"""Engraving: a serial number, cut or burnt into the surface. A distractor."""

from dataclasses import dataclass

import numpy as np

from simgen.config import bounded
from simgen.defects.outlines import turned_path
from simgen.defects.profile import Profile
from simgen.defects.strands import strand_field
from simgen.defects.stroke_font import DIGITS, LETTERS, strokes
from simgen.parts.sites import Placement, Site
from simgen.sampling import Choice, Distribution, LogUniform, Uniform, sample_count
from simgen.scene.spec import DefectSpec

PLACEMENT = Placement(edge_mm=(4.0, float("inf")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Height of the signs, width and depth of their strokes in mm; `turn_deg` to the process.

    `ink` is how dark the strokes are, from bare metal to burnt by a laser.
    """

    height_mm: Distribution = bounded(Uniform(2.0, 5.0), above=0)
    stroke_mm: Distribution = bounded(LogUniform(0.25, 0.6), above=0)
    depth_mm: Distribution = bounded(LogUniform(0.03, 0.15), low=0)
    signs: Distribution = bounded(Uniform(2, 8), low=1, high=24)
    turn_deg: Distribution = bounded(Choice((0.0, 90.0, 180.0, 270.0), (1.0,) * 4))
    ink: Distribution = bounded(Uniform(0.0, 0.8), low=0, high=1)


def sample(rng: np.random.Generator, ranges: Ranges, site: Site) -> DefectSpec:
    """Draw a text that is centred on `site`."""
    height = ranges.height_mm.sample(rng)
    stroke = min(ranges.stroke_mm.sample(rng), height / 6)
    text = _text(rng, sample_count(rng, ranges.signs))
    rows = tuple(
        (u, v, stroke / 2, float(k))
        for k, line in enumerate(strokes(text, height))
        for u, v in line
    )
    return DefectSpec(
        kind="engraving",
        anchor_mm=site.anchor_mm,
        normal=site.normal,
        tangent=site.tangent,
        size_mm={"height": height, "width": stroke, "depth": ranges.depth_mm.sample(rng)},
        values={"ink": ranges.ink.sample(rng), "max_turn_deg": 50.0, "level_mm": 0.6},
        points=turned_path(rows, ranges.turn_deg.sample(rng) + float(rng.normal(0, 1.5))),
        seed=int(rng.integers(2**31)),
    )


def _text(rng: np.random.Generator, count: int) -> str:
    """Return letters, digits and perhaps a dash, as type plates have them."""
    letters = int(rng.integers(0, min(3, count)))
    text = [LETTERS[int(rng.integers(len(LETTERS)))] for _ in range(letters)]
    text += [DIGITS[int(rng.integers(10))] for _ in range(count - letters)]
    if count > 4 and rng.uniform() < 0.5:
        text[int(rng.integers(2, count - 1))] = "-"
    return "".join(text)


def profile(defect: DefectSpec, u: np.ndarray, v: np.ndarray) -> Profile:
    """Return strokes with a round bottom and slight burrs."""
    field = strand_field(defect.points, u, v)
    r, depth, ink = field.radius, defect.size_mm["depth"], defect.values["ink"]
    groove = np.where(r < 0.8, (r / 0.8) ** 2 - 1, 0.25 * np.sin(np.pi * (r - 0.8) / 0.2))
    tone = 0.55 * (1 - ink) + 0.03 * ink
    return Profile(
        distance_mm=field.distance_mm,
        half_width_mm=field.half_width_mm,
        height_mm=(depth * groove).astype(np.float32),
        amount=(np.clip(2.5 * (1 - r), 0, 1) * (0.35 + 0.6 * ink)).astype(np.float32),
        albedo=np.array([tone, tone, 0.98 * tone], np.float32),
        roughness=0.45 + 0.3 * ink,
        metalness=1 - ink,
        cavity=(1 - 0.3 * np.clip(1 - r, 0, 1)).astype(np.float32),
    )
