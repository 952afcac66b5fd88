"""A pile: objects dropped onto what stands there, and those of them that came to rest."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from simgen.physics.drop import drop_poses
from simgen.physics.settle import settle
from simgen.scene.spec import ObjectSpec


def pile(
    rng: np.random.Generator,
    loose: Sequence[ObjectSpec],
    support: Sequence[ObjectSpec],
    *,
    area_mm: float,
    floor_mm: float = 0.0,
) -> tuple[ObjectSpec, ...]:
    """Drop objects and return those at rest, the support among them, in the given order.

    Args:
        rng: Draws where they start.
        loose: What falls, wherever it is now.
        support: What stands.
        area_mm: Side of the square around the origin that they fall on.
        floor_mm: Its height.
    """
    poses = drop_poses(
        rng, [item.shape for item in loose], area_mm=(area_mm, area_mm), floor_mm=floor_mm
    )
    placed = [replace(item, pose=pose) for item, pose in zip(loose, poses, strict=True)]
    settled = settle([*placed, *support])
    pairs = zip(settled.objects, settled.at_rest, strict=True)
    return tuple(item for item, rests in pairs if rests)
