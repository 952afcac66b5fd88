"""Optional files of a frame beside its image: depth, normals, instance ids, poses.

All are of the image's size and lens: pixel for pixel what the image shows, a defect
that was erased from the image included. Poses are 6-D, in the camera's OpenCV axes.
"""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

from simgen.config.render import OutputsConfig
from simgen.errors import RenderError
from simgen.geometry import rotation_matrix
from simgen.label.annotation import Frame, FrameGeometry

MOST = 65_535
OUTPUT_IMAGES = ("depth", "normals", "instances")


def output_files(frame: Frame, config: OutputsConfig) -> Iterator[tuple[str, bytes]]:
    """Yield (path within the shard, PNG) of each image that the config asks for.

    Depth is 16 bit in units of `outputs.depth_unit_mm` along the viewing axis; normals
    are 16 bit RGB, (n + 1) / 2 x 65535 of the smooth surface normal in camera axes;
    instances are 16 bit, k + 1 for `objects[k]` of the SceneSpec. 0 is background, and
    depth that 16 bit cannot hold.

    Raises:
        RenderError: The renderer gives no geometry, or there are too many objects.
    """
    name = f"{frame.index:08d}.png"
    if config.depth:
        geometry = geometry_of(frame)
        steps = np.rint(geometry.depth_mm.astype(np.float64) / config.depth_unit_mm)
        yield f"depth/{name}", _png(np.where(steps <= MOST, steps, 0))
    if config.normals:
        yield f"normals/{name}", _png(camera_normals(frame))
    if config.instances:
        ids = geometry_of(frame).ids
        if int(ids.max(initial=0)) > MOST:
            raise RenderError(
                f"outputs.instances: frame {frame.index} has over {MOST} objects; use fewer"
            )
        yield f"instances/{name}", _png(ids)


def pose_record(frame: Frame) -> dict[str, Any]:
    """Return a frame's line of `poses.jsonl`: the camera, and every object's pose in it.

    `camera_from_part` maps part-local mm to camera mm: p_camera = R p_part + t, `R` row by
    row. `K` belongs to the image as it is stored, cropped. `annotation_id` is the part's,
    0 where it has none (hidden, or no labelled part).
    """
    spec, geometry = frame.spec, geometry_of(frame)
    crop = spec.sensor.crop or (0, 0, 0, 0)
    k = spec.camera.matrix()
    k[:2, 2] -= crop[:2]
    camera_from_world = np.linalg.inv(spec.camera.pose.matrix())
    labels: dict[int, int] = {}
    for j, annotation in enumerate(frame.annotations):
        if annotation.supercategory == "part":
            labels[int(geometry.ids[annotation.mask][0])] = frame.index * 10_000 + j + 1
    objects = []
    for number, item in enumerate(spec.objects, start=1):
        matrix = camera_from_world @ item.pose.matrix()
        objects.append(
            {
                "instance": number,
                "name": item.name,
                "category": item.category,
                "annotation_id": labels.get(number, 0),
                "camera_from_part": _pose(matrix),
            }
        )
    return {
        "frame": frame.index,
        "camera": {
            "K": k.reshape(-1).tolist(),
            "distortion": list(spec.camera.distortion),
            "camera_from_world": _pose(camera_from_world),
        },
        "objects": objects,
    }


def camera_normals(frame: Frame) -> np.ndarray:
    """Return the frame's normals as (n + 1) / 2 x 65535 in camera axes, (H, W, 3), uint16."""
    geometry, spec = geometry_of(frame), frame.spec
    camera_from_world = rotation_matrix(spec.camera.pose.quaternion).T
    turns = [np.zeros((3, 3))]
    turns += [camera_from_world @ rotation_matrix(o.pose.quaternion) for o in spec.objects]
    normals = np.einsum("hwij,hwj->hwi", np.stack(turns)[geometry.ids], geometry.normal)
    normals /= np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-9)
    coded = np.rint((normals + 1) / 2 * MOST)
    return np.where(geometry.ids[..., None] > 0, coded, 0).astype(np.uint16)


def geometry_of(frame: Frame) -> FrameGeometry:
    """Return what the renderer says of the surface behind each pixel.

    Raises:
        RenderError: It says nothing.
    """
    if frame.geometry is None:
        raise RenderError(
            "outputs: this renderer gives no geometry; leave depth, normals, poses and"
            " instances off"
        )
    return frame.geometry


def _pose(matrix: np.ndarray) -> dict[str, list[float]]:
    return {"R": matrix[:3, :3].reshape(-1).tolist(), "t_mm": matrix[:3, 3].tolist()}


def _png(values: np.ndarray) -> bytes:
    pixels = np.ascontiguousarray(values.astype(np.uint16))
    if pixels.ndim == 3:
        pixels = np.ascontiguousarray(pixels[..., ::-1])
    done, data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not done:
        raise ValueError(f"OpenCV cannot encode {pixels.dtype} {pixels.shape}")
    return data.tobytes()
