"""The finishes: each a function of position on the surface in mm.

A new finish is a function `(spec, texels) -> Layers` and a line in `FINISHES`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simgen.config.parse import suggest
from simgen.errors import ConfigError
from simgen.finishes.layers import Layers, uniform_layers
from simgen.finishes.noise import blotches, ridged, speckle, streaks
from simgen.parts.mesh import TexelTable
from simgen.scene.spec import FinishSpec


def bake_finish(spec: FinishSpec, texels: TexelTable) -> Layers:
    """Return the material of every texel of a part with finish `spec`.

    Raises:
        ConfigError: The finish's kind is unknown.
    """
    if spec.kind not in FINISHES:
        raise ConfigError(f"finish {spec.kind!r} is unknown{suggest(spec.kind, FINISHES)}")
    layers = FINISHES[spec.kind](spec, texels)
    _round_edges(layers, texels, spec)
    return layers


def _base(spec: FinishSpec, texels: TexelTable) -> Layers:
    return uniform_layers(
        len(texels.rows),
        albedo=spec.colour,
        roughness=spec.roughness,
        metalness=spec.metalness,
        anisotropy=spec.anisotropy,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _ProcessFrame:
    """Positions across and along a straight process, and which axis counts as across."""

    across_mm: np.ndarray
    along_mm: np.ndarray
    first: int
    second: int
    on_first: np.ndarray

    def add_slope(self, layers: Layers, slope: np.ndarray) -> None:
        """Tilt the surface across the process by `slope`, shape (N,)."""
        layers.slope[:, self.first] += slope * self.on_first
        layers.slope[:, self.second] += slope * ~self.on_first


def _process_frame(spec: FinishSpec, texels: TexelTable) -> _ProcessFrame:
    """Return the frame of lines along `direction`.

    One constant axis a facing keeps the coordinate continuous over gently curved faces.
    """
    along = np.asarray(spec.direction, np.float32)
    first, second = sorted(np.argsort(np.abs(along))[:2].tolist())
    p, n = texels.positions_mm, texels.normals
    on_first = np.abs(n[:, first]) < np.abs(n[:, second])
    return _ProcessFrame(
        across_mm=np.where(on_first, p[:, first], p[:, second]),
        along_mm=p @ along,
        first=first,
        second=second,
        on_first=on_first,
    )


def ground(spec: FinishSpec, texels: TexelTable) -> Layers:
    """Straight grinding or brushing lines along `direction`.

    `values`: `line_mm` spacing, `line_length_mm`, `line_slope`, `line_skew`,
    `line_tone` (relative change of colour), `grain`, `blotch`, `blotch_mm`.
    """
    v = spec.values
    layers = _base(spec, texels)
    frame = _process_frame(spec, texels)
    s, a = frame.across_mm, frame.along_mm
    line, length = v.get("line_mm", 0.15), v.get("line_length_mm", 12.0)
    skew = v.get("line_skew", 0.6)
    # Grit scores long lines and, breaking, short ones; single grains run the whole length.
    short, short_slope = streaks(
        s, a, width_mm=line, length_mm=length / 10, seed=spec.seed, skew=0.5 * skew
    )
    long, long_slope = streaks(s, a, width_mm=line, length_mm=length, seed=spec.seed + 5, skew=skew)
    single, single_slope = streaks(
        s, a, width_mm=1.3 * line, length_mm=10 * length, seed=spec.seed + 6, skew=1.2
    )
    fine = 0.6 * short + 0.5 * long + 0.55 * single
    fine_slope = 0.6 * short_slope + 0.5 * long_slope + 0.3 * single_slope
    broad, _ = streaks(s, a, width_mm=8 * line, length_mm=6 * length, seed=spec.seed + 1)
    grain = speckle(texels.positions_mm, texels.normals, v.get("grain_mm", 0.12), spec.seed + 2)
    cloud = blotches(texels.positions_mm, v.get("blotch_mm", 25.0), spec.seed + 3)
    tone = v.get("line_tone", 0.05)
    factor = 1 + tone * fine + 0.4 * tone * broad + v.get("grain", 0.03) * grain
    factor *= 1 + v.get("blotch", 0.05) * cloud
    layers.albedo *= np.clip(factor, 0.15, 3)[:, None]
    layers.roughness *= np.clip(1 - 0.12 * fine - 0.08 * broad + 0.06 * cloud, 0.4, 1.6)
    frame.add_slope(layers, v.get("line_slope", 0.06) * fine_slope)
    return layers


def turned(spec: FinishSpec, texels: TexelTable) -> Layers:
    """Concentric lines around `direction` through the part's origin; `values` as for ground."""
    v = spec.values
    layers = _base(spec, texels)
    axis = np.asarray(spec.direction, np.float32)
    height = texels.positions_mm @ axis
    radial = texels.positions_mm - height[:, None] * axis
    radius = np.linalg.norm(radial, axis=1)
    outward = radial / np.maximum(radius, 1e-3)[:, None]
    # On faces the lines are spaced in radius, on the wall in height.
    on_face = np.abs(texels.normals @ axis) > 0.7
    s = np.where(on_face, radius, height)
    helper = (
        np.array([1, 0, 0], np.float32) if abs(axis[0]) < 0.8 else np.array([0, 1, 0], np.float32)
    )
    e1 = np.cross(axis, helper)
    e1 /= np.linalg.norm(e1)
    angle = np.arctan2(radial @ np.cross(axis, e1), radial @ e1)
    fine, fine_slope = streaks(
        s, angle * 20, width_mm=v.get("line_mm", 0.2), length_mm=v.get("line_length_mm", 60.0),
        seed=spec.seed, skew=v.get("line_skew", 0.3),
    )  # fmt: skip
    grain = speckle(texels.positions_mm, texels.normals, v.get("grain_mm", 0.15), spec.seed + 2)
    cloud = blotches(texels.positions_mm, v.get("blotch_mm", 25.0), spec.seed + 3)
    factor = 1 + v.get("line_tone", 0.04) * fine + v.get("grain", 0.02) * grain
    layers.albedo *= np.clip(factor * (1 + v.get("blotch", 0.04) * cloud), 0.3, 2)[:, None]
    layers.roughness *= np.clip(1 - 0.1 * fine + 0.08 * cloud, 0.5, 1.6)
    across = np.where(on_face[:, None], outward, axis)
    layers.slope += (v.get("line_slope", 0.05) * fine_slope)[:, None] * across
    return layers


def cast(spec: FinishSpec, texels: TexelTable) -> Layers:
    """Sand-cast skin: bumps of `bump_mm` with slope `bump_slope`, and uneven tone."""
    v = spec.values
    layers = _base(spec, texels)
    scale = v.get("bump_mm", 0.8)
    p, n = texels.positions_mm, texels.normals
    for axis in range(3):
        bump = speckle(p, n, scale, spec.seed + axis) + 0.7 * speckle(
            p, n, scale / 2.3, spec.seed + 7 + axis
        )
        layers.slope[:, axis] += v.get("bump_slope", 0.14) * bump
    layers.slope -= np.einsum("ij,ij->i", layers.slope, n)[:, None] * n
    grain = speckle(p, n, scale, spec.seed + 20)
    cloud = blotches(p, v.get("blotch_mm", 18.0), spec.seed + 3)
    layers.albedo *= np.clip(1 + 0.10 * grain + v.get("blotch", 0.08) * cloud, 0.3, 2)[:, None]
    layers.roughness *= np.clip(1 + 0.08 * grain + 0.1 * cloud, 0.5, 1.4)
    layers.cavity *= np.clip(1 - 0.12 * np.abs(grain), 0.5, 1)
    return layers


def painted(spec: FinishSpec, texels: TexelTable) -> Layers:
    """A coat with orange peel of `peel_mm`, faint dirt; bare metal shows at worn edges."""
    v = spec.values
    layers = _base(spec, texels)
    p, n = texels.positions_mm, texels.normals
    for axis in range(3):
        layers.slope[:, axis] += v.get("peel_slope", 0.02) * blotches(
            p, v.get("peel_mm", 2.5), spec.seed + axis, 6
        )
    layers.slope -= np.einsum("ij,ij->i", layers.slope, n)[:, None] * n
    cloud = blotches(p, v.get("blotch_mm", 30.0), spec.seed + 3)
    grain = speckle(p, n, v.get("grain_mm", 0.3), spec.seed + 4)
    layers.albedo *= np.clip(
        1 + v.get("blotch", 0.05) * cloud + v.get("grain", 0.01) * grain, 0.3, 2
    )[:, None]
    layers.roughness *= np.clip(1 + 0.1 * cloud, 0.5, 1.5)
    return layers


def worktop(spec: FinishSpec, texels: TexelTable) -> Layers:
    """A bench top: speckled, dirty, lightly scratched in all directions."""
    v = spec.values
    layers = _base(spec, texels)
    p, n = texels.positions_mm, texels.normals
    cloud = blotches(p, v.get("blotch_mm", 70.0), spec.seed)
    fine = blotches(p, 6.0, spec.seed + 1, 7)
    grain = speckle(p, n, v.get("grain_mm", 0.9), spec.seed + 2)
    coarse = speckle(p, n, 4 * v.get("grain_mm", 0.9), spec.seed + 5)
    frame = _process_frame(spec, texels)
    s, a = frame.across_mm, frame.along_mm
    line, line_slope = streaks(
        s, a, width_mm=v.get("line_mm", 0.8), length_mm=v.get("line_length_mm", 80.0),
        seed=spec.seed + 3, skew=0.4,
    )  # fmt: skip
    factor = 1 + v.get("blotch", 0.10) * cloud + 0.03 * fine + v.get("line_tone", 0.0) * line
    factor += v.get("grain", 0.06) * (grain + 0.5 * coarse)
    layers.albedo *= np.clip(factor, 0.2, 2.5)[:, None]
    layers.roughness *= np.clip(1 + 0.12 * cloud + 0.05 * grain, 0.5, 1.6)
    frame.add_slope(layers, v.get("line_slope", 0.0) * line_slope)
    return layers


FINISHES: dict[str, Callable[[FinishSpec, TexelTable], Layers]] = {
    "ground": ground,
    "turned": turned,
    "cast": cast,
    "painted": painted,
    "worktop": worktop,
}


# What `values` may hold for each finish; lengths in mm must be above 0, the rest at least 0.
_LINES = ("line_mm", "line_length_mm", "line_slope", "line_skew", "line_tone")
_TONE = ("grain", "grain_mm", "blotch", "blotch_mm", "edge_mm", "edge_wear")
FINISH_VALUES: dict[str, tuple[str, ...]] = {
    "ground": (*_LINES, *_TONE),
    "turned": (*_LINES, *_TONE),
    "cast": ("bump_mm", "bump_slope", *_TONE),
    "painted": ("peel_mm", "peel_slope", *_TONE),
    "worktop": (*_LINES, *_TONE),
}


def _round_edges(layers: Layers, texels: TexelTable, spec: FinishSpec) -> None:
    """Bend normals toward sharp edges over `edge_mm`, and wear the finish there."""
    edge_mm, wear = spec.values.get("edge_mm", 0.0), spec.values.get("edge_wear", 0.0)
    near = np.flatnonzero(texels.edge_mm < edge_mm) if edge_mm > 0 else np.zeros(0, np.int64)
    if not len(near):
        return
    amount = 1 - texels.edge_mm[near] / np.float32(edge_mm)
    layers.slope[near] -= (0.3 * amount)[:, None] * texels.edge_direction[near]
    if wear > 0:
        relief = ridged(texels.positions_mm[near], 17.0, spec.seed + 9)
        worn = np.clip((amount + 1.3 * relief - 1.25) * 4, 0, 1) * wear
        layers.albedo[near] += worn[:, None] * (0.55 - layers.albedo[near])
        layers.metalness[near] += worn * (1 - layers.metalness[near])
        layers.roughness[near] += worn * (0.3 - layers.roughness[near])
