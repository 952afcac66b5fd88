"""Start poses for `settle`: turned at random, spread over an area, none inside another."""

from collections.abc import Sequence

import numpy as np

from simgen.errors import ConfigError
from simgen.geometry import axis_rotation, quaternion_of
from simgen.parts.build import build_mesh
from simgen.scene.spec import PoseSpec, ShapeSpec

_PLACES = 12


def drop_poses(
    rng: np.random.Generator,
    shapes: Sequence[ShapeSpec],
    *,
    area_mm: tuple[float, float],
    centre_mm: tuple[float, float] = (0.0, 0.0),
    floor_mm: float = 0.0,
    clearance_mm: float = 3.0,
    tilt_deg: float = 25.0,
    flip_probability: float = 0.5,
) -> tuple[PoseSpec, ...]:
    """Draw a start pose for each shape, for a pile without overlaps above `floor_mm`.

    Each shape gets any yaw, a tilt up to `tilt_deg`, and is upside down with
    `flip_probability`. Of a dozen random places the one is taken where it starts
    lowest, so that parts lie beside each other as long as there is room.

    Args:
        rng: Generator of this draw.
        shapes: In the order of dropping.
        area_mm: Extent in x and y that bounding boxes stay in (where they fit at all).
        centre_mm: The area's middle.
        floor_mm: Height of the bench, or of the tray's floor.
        clearance_mm: Between bounding boxes, and above the floor.

    Raises:
        ConfigError: The area is not above 0, or a shape is not valid.
    """
    if not min(area_mm) > 0:
        raise ConfigError(f"area_mm: {area_mm[0]:g} x {area_mm[1]:g} must be above 0")
    taken: list[tuple[np.ndarray, np.ndarray]] = []
    poses = []
    for shape in shapes:
        rotation = _orientation(rng, tilt_deg, flip_probability)
        turned = build_mesh(shape).vertices_mm.astype(np.float64) @ rotation.T
        low, high = turned.min(axis=0), turned.max(axis=0)
        half = (high - low) / 2
        reach = np.maximum(np.asarray(area_mm) / 2 - half[:2], 0.0)
        places = np.asarray(centre_mm) + rng.uniform(-1, 1, size=(_PLACES, 2)) * reach
        heights = [_free_height(p, half, taken, floor_mm, clearance_mm) for p in places]
        best = int(np.argmin(heights))
        corner = np.array([*(places[best] - half[:2]), heights[best]])
        taken.append((corner, corner + 2 * half))
        x, y, z = (float(v) for v in corner - low)
        poses.append(PoseSpec(position_mm=(x, y, z), quaternion=quaternion_of(rotation)))
    return tuple(poses)


def _orientation(rng: np.random.Generator, tilt_deg: float, flip_probability: float) -> np.ndarray:
    yaw, lean, tilt = rng.uniform(0, 360), rng.uniform(0, 2 * np.pi), rng.uniform(0, tilt_deg)
    flipped = rng.uniform() < flip_probability
    rotation = axis_rotation((0.0, 0.0, 1.0), float(yaw))
    if flipped:
        rotation = axis_rotation((1.0, 0.0, 0.0), 180.0) @ rotation
    return axis_rotation((float(np.cos(lean)), float(np.sin(lean)), 0.0), float(tilt)) @ rotation


def _free_height(
    place: np.ndarray,
    half: np.ndarray,
    taken: Sequence[tuple[np.ndarray, np.ndarray]],
    floor_mm: float,
    clearance_mm: float,
) -> float:
    """Return the lowest height of the box's underside that clears floor and earlier boxes."""
    height = floor_mm + clearance_mm
    for low, high in sorted(taken, key=lambda box: float(box[0][2])):
        gap = np.maximum(low[:2] - (place + half[:2]), (place - half[:2]) - high[:2])
        under = height + 2 * half[2] + clearance_mm <= low[2]
        if gap.max() < clearance_mm and not under:
            height = max(height, float(high[2]) + clearance_mm)
    return height
