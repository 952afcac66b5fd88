"""Shapes that several kinds share: lines of varying width and irregular closed outlines."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from simgen.defects.strands import Points, strand_field
from simgen.finishes.noise import generator

_ANGLES = 1440


def line_distance(
    points: Points, u: np.ndarray, v: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return distance to the outline of one or more lines, half width there, place along it.

    Args:
        points: Rows (u, v, half_width) in mm; see `strands.strand_field`.
        u, v: Where, shape (N,).

    Returns:
        Signed distance (negative inside), half width, and arc length in [0, 1],
        each shape (N,), float32.
    """
    field = strand_field(points, u, v)
    total = np.maximum(field.length_mm, 1e-6)[field.strand]
    place = (field.along_mm / total).astype(np.float32)
    return field.distance_mm, field.half_width_mm, place


def blob_radius(angle: np.ndarray, seed: int, roughness: float, harmonics: int = 7) -> np.ndarray:
    """Return the relative radius of an irregular outline, mean about 1, shape of `angle`."""
    rng = generator(seed, "outline")
    k = np.arange(2, 2 + harmonics)
    amplitude = roughness * rng.normal(size=harmonics) / k**0.9
    # Two lobes alone make a lens with sharp tips.
    amplitude[0] *= 0.4
    phase = rng.uniform(0, 2 * np.pi, harmonics)
    wave = np.cos(np.multiply.outer(angle, k) + phase) @ amplitude
    return np.clip(1 + wave, 0.35, 1.9)


def blob_distance(
    u: np.ndarray,
    v: np.ndarray,
    *,
    length_mm: float,
    width_mm: float,
    seed: int,
    roughness: float = 0.2,
    squareness: float = 2.0,
    harmonics: int = 7,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the signed distance to a blob's outline, and the blob's relative radius.

    The blob is a superellipse of exponent `squareness` (2: ellipse, 6: nearly a
    rectangle), its outline disturbed by `roughness`, then scaled and moved so that its
    box is `length_mm` along u by `width_mm` along v around the origin. The distance is
    exact on the outline and true to first order beside it; the relative radius is 0 in
    the middle and 1 on the outline.
    """
    table = _blob(length_mm, width_mm, seed, roughness, squareness, harmonics)
    x = u * np.float32(table.scale_u) + np.float32(table.middle_u)
    y = v * np.float32(table.scale_v) + np.float32(table.middle_v)
    turn = np.arctan2(y, x) * np.float32(_ANGLES / (2 * np.pi))
    low = np.floor(turn)
    part = (turn - low).astype(np.float32)
    index = low.astype(np.int32) % _ANGLES
    edge = table.radius[index] + part * (table.radius[index + 1] - table.radius[index])
    stretch = table.stretch_mm[index] + part * (
        table.stretch_mm[index + 1] - table.stretch_mm[index]
    )
    radius = np.sqrt(x * x + y * y)
    distance = (radius - edge) * stretch
    return distance.astype(np.float32), (radius / edge).astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Blob:
    """An outline in its own units: radius by angle (one more to wrap) and mm per unit there."""

    scale_u: float
    scale_v: float
    middle_u: float
    middle_v: float
    radius: np.ndarray
    stretch_mm: np.ndarray


# A profile is asked several times over for one defect.
@lru_cache(maxsize=32)
def _blob(
    length_mm: float, width_mm: float, seed: int, roughness: float, squareness: float,
    harmonics: int,
) -> _Blob:  # fmt: skip
    angle = np.arange(_ANGLES) * (2 * np.pi / _ANGLES)
    cosine, sine = np.cos(angle), np.sin(angle)
    plain = (np.abs(cosine) ** squareness + np.abs(sine) ** squareness) ** (-1 / squareness)
    radius = plain * blob_radius(angle, seed, roughness, harmonics)
    x, y = radius * cosine, radius * sine
    half_x, half_y = np.ptp(x) / 2, np.ptp(y) / 2
    scale_u, scale_v = 2 * half_x / length_mm, 2 * half_y / width_mm
    # Slope of the radius, for the gradient of (radius - edge) with respect to u and v.
    tilt = (np.roll(radius, -1) - np.roll(radius, 1)) / (4 * np.pi / _ANGLES) / radius
    gradient = np.hypot((cosine + tilt * sine) * scale_u, (sine - tilt * cosine) * scale_v)
    wrap = np.append(np.arange(_ANGLES), 0)
    return _Blob(
        scale_u=scale_u,
        scale_v=scale_v,
        middle_u=float(x.max() - half_x),
        middle_v=float(y.max() - half_y),
        radius=radius[wrap].astype(np.float32),
        stretch_mm=(1 / gradient)[wrap].astype(np.float32),
    )


def wander(
    rng: np.random.Generator,
    *,
    length_mm: float,
    steps: int,
    wobble_deg: float,
    half_width_mm: float,
    taper: tuple[float, float] = (0.0, 0.0),
    jitter: float = 0.2,
) -> tuple[tuple[float, float, float], ...]:
    """Draw a path centred on the origin that runs along u and wanders.

    Args:
        rng: Generator.
        length_mm: Length of the path.
        steps: Number of segments.
        wobble_deg: Standard deviation of the heading's change over the whole path.
        half_width_mm: Half width at the widest place.
        taper: Relative half width at both ends.
        jitter: Relative standard deviation of the half width.
    """
    turn = np.deg2rad(wobble_deg) / np.sqrt(steps)
    heading = np.cumsum(rng.normal(0, turn, steps))
    heading -= heading.mean()
    xy = np.zeros((steps + 1, 2))
    xy[1:, 0] = np.cumsum(np.cos(heading))
    xy[1:, 1] = np.cumsum(np.sin(heading))
    xy *= length_mm / steps
    xy -= xy.mean(axis=0)
    s = np.linspace(0, 1, steps + 1)
    ends = np.minimum(1, np.minimum(taper[0] + s * 5, taper[1] + (1 - s) * 5))
    w = ends * np.clip(1 + jitter * rng.normal(size=steps + 1), 0.3, 2)
    w *= half_width_mm / w.max()
    return tuple((float(x), float(y), float(k)) for (x, y), k in zip(xy, w, strict=True))


def turned_path(points: Points, turn_deg: float) -> Points:
    """Return rows (u, v, ...) turned about the origin."""
    c, s = float(np.cos(np.deg2rad(turn_deg))), float(np.sin(np.deg2rad(turn_deg)))
    return tuple((c * u - s * v, s * u + c * v, *rest) for u, v, *rest in points)
