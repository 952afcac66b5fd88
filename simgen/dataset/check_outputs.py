"""Do a frame's depth, normals, instance ids and poses agree with its labels?"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from simgen.config.render import RenderConfig
from simgen.dataset.outputs import MOST, OUTPUT_IMAGES
from simgen.dataset.pictures import read_image
from simgen.dataset.stored import inside, is_number, is_whole
from simgen.errors import DatasetError

# Of a unit vector's length, after interpolation in half floats and rounding to 16 bit.
_UNIT_LENGTH = 0.01


def output_faults(
    folder: Path,
    image: dict[str, Any],
    parts: dict[int, np.ndarray],
    pose: dict[str, Any] | None,
    config: RenderConfig,
) -> Iterator[str]:
    """Yield kinds of faults of a frame's optional outputs.

    Args:
        folder: The frame's shard.
        image: Its record in coco.json.
        parts: Masks of its labelled parts by annotation id.
        pose: Its line of poses.jsonl.
        config: What the dataset was made with.
    """
    size = (image["height"], image["width"])
    held: dict[str, np.ndarray] = {}
    for kind in OUTPUT_IMAGES:
        if not getattr(config.outputs, kind):
            continue
        shape = (*size, 3) if kind == "normals" else size
        try:
            pixels = read_image(inside(folder, f"{kind}/{image['frame']:08d}.png"))
        except DatasetError:
            yield f"{kind} image is missing or damaged"
            continue
        if pixels.shape != shape or pixels.dtype != np.uint16:
            yield f"{kind} image is not {'x'.join(map(str, shape))} of 16 bit"
            continue
        held[kind] = pixels
    yield from _agreement(held)
    if "instances" in held and not config.labels.polygons:
        for mask in parts.values():
            numbers = np.unique(held["instances"][mask])
            if len(numbers) != 1 or (held["instances"] == numbers[0]).sum() != mask.sum():
                yield "part mask is not its instance's pixels"
    if config.outputs.poses:
        yield from _pose_faults(pose, parts, held.get("instances"))


def _agreement(held: dict[str, np.ndarray]) -> Iterator[str]:
    shown = held.get("instances")
    if shown is not None and "depth" in held and (held["depth"][shown == 0] != 0).any():
        yield "depth where instances see background"
    if "normals" in held:
        normals = held["normals"].astype(np.float64) / MOST * 2 - 1
        there = (held["normals"] != 0).any(axis=2)
        if shown is not None and (there != (shown > 0)).any():
            yield "normals are not where instances are"
        lengths = np.linalg.norm(normals[there], axis=1)
        if len(lengths) and np.abs(lengths - 1).max() > _UNIT_LENGTH:
            yield "normals are not of unit length"


def _pose_faults(
    pose: dict[str, Any] | None, parts: dict[int, np.ndarray], instances: np.ndarray | None
) -> Iterator[str]:
    objects = pose.get("objects") if pose else None
    if not isinstance(objects, list):
        yield "poses are missing"
        return
    labelled = {}
    for item in objects:
        if not isinstance(item, dict) or not is_pose(item.get("camera_from_part")):
            yield "pose is no rotation and translation"
            return
        labelled[item.get("annotation_id")] = item.get("instance")
    for number, mask in parts.items():
        if not is_whole(labelled.get(number), 1, MOST):
            yield "part has no pose"
        elif instances is not None and (instances[mask] != labelled[number]).any():
            yield "pose names another instance than the mask's"


def is_pose(pose: Any) -> bool:
    """Return whether `pose` has a rotation `R`, row by row, and a translation `t_mm`."""
    if not isinstance(pose, dict):
        return False
    rotation, translation = pose.get("R"), pose.get("t_mm")
    for values, count in ((rotation, 9), (translation, 3)):
        if not isinstance(values, list) or len(values) != count:
            return False
        if not all(is_number(v) for v in values):
            return False
    r = np.asarray(rotation, np.float64).reshape(3, 3)
    return bool(np.abs(r @ r.T - np.eye(3)).max() < 1e-6 and np.linalg.det(r) > 0)
