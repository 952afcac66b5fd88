"""Shapes that several kinds share: lines of varying width and irregular closed outlines."""

import numpy as np

from simgen.finishes.noise import generator


def line_distance(
    points: tuple[tuple[float, ...], ...], u: np.ndarray, v: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return distance to a polyline's outline, its half width there and the place along it.

    Args:
        points: Rows (u, v, half_width) in mm.
        u, v: Where, shape (N,).

    Returns:
        Signed distance (negative inside), half width, and arc length in [0, 1],
        each shape (N,), float32.
    """
    path = np.asarray(points, np.float32)
    lengths = np.hypot(np.diff(path[:, 0]), np.diff(path[:, 1]))
    start = np.concatenate([[0.0], np.cumsum(lengths)])
    total = max(float(start[-1]), 1e-6)
    best = np.full(u.shape, np.inf, np.float32)
    width = np.zeros(u.shape, np.float32)
    place = np.zeros(u.shape, np.float32)
    for k in range(len(path) - 1):
        a, b = path[k], path[k + 1]
        d = b[:2] - a[:2]
        s = ((u - a[0]) * d[0] + (v - a[1]) * d[1]) / max(float(d @ d), 1e-12)
        s = np.clip(s, 0, 1)
        w = a[2] + s * (b[2] - a[2])
        signed = np.hypot(u - a[0] - s * d[0], v - a[1] - s * d[1]) - w
        nearer = signed < best
        best = np.where(nearer, signed, best)
        width = np.where(nearer, w, width)
        place = np.where(nearer, (start[k] + s * lengths[k]) / total, place)
    return best.astype(np.float32), width.astype(np.float32), place.astype(np.float32)


def blob_radius(angle: np.ndarray, seed: int, roughness: float, harmonics: int = 7) -> np.ndarray:
    """Return the relative radius of an irregular outline, mean about 1, shape of `angle`."""
    rng = generator(seed, "outline")
    k = np.arange(2, 2 + harmonics)
    amplitude = roughness * rng.normal(size=harmonics) / k**0.9
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
) -> tuple[np.ndarray, np.ndarray]:
    """Return an approximate signed distance to a blob's outline, and its relative radius.

    The blob is a superellipse of exponent `squareness` (2: ellipse, 6: nearly a
    rectangle) with `length_mm` along u and `width_mm` along v, its outline disturbed
    by `roughness`. The zero level is exact; the relative radius is 0 in the middle
    and 1 on the outline.
    """
    x, y = 2 * u / length_mm, 2 * v / width_mm
    radius = (np.abs(x) ** squareness + np.abs(y) ** squareness) ** (1 / squareness)
    relative = radius / blob_radius(np.arctan2(y, x), seed, roughness)
    distance = (relative - 1) * 0.5 * min(length_mm, width_mm)
    return distance.astype(np.float32), relative.astype(np.float32)


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
        half_width_mm: Half width in the middle.
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
    w = half_width_mm * ends * np.clip(1 + jitter * rng.normal(size=steps + 1), 0.3, 2)
    return tuple((float(x), float(y), float(k)) for (x, y), k in zip(xy, w, strict=True))
