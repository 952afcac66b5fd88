"""Things among and in front of the parts: loose tools, cables, a gripper; never labelled."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from simgen.config import bounded
from simgen.geometry import quaternion_of, to_vec3
from simgen.parts.build import build_mesh
from simgen.randomize.part import FinishRanges, PartRanges, pick, sample_object
from simgen.sampling import Distribution, Streams, sample_count
from simgen.scene.spec import CameraSpec, ObjectSpec, PoseSpec

PROP_TEXEL_MM = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class OccluderRanges:
    """Things in the foreground; `reach` is where between parts (0) and camera (1) they hover."""

    count: Distribution = bounded(low=0, high=8)
    reach: Distribution = bounded(above=0, high=0.9)
    offset_mm: Distribution = bounded(low=0)
    kinds: dict[str, PartRanges]
    loose_tools: Distribution = bounded(low=0, high=4)


def sample_tool(
    streams: Streams,
    rng: np.random.Generator,
    ranges: OccluderRanges,
    finishes: Mapping[str, FinishRanges],
    number: int,
) -> ObjectSpec:
    """Draw a tool that lies among the parts; it is never labelled."""
    kinds = ranges.kinds
    kind = "screwdriver" if "screwdriver" in kinds else pick(rng, kinds)
    tool = sample_object(
        streams, rng, kind, kinds[kind], finishes, name=f"tool{number}", texel_mm=PROP_TEXEL_MM
    )
    return replace(tool, mass_kg=0.08)


def sample_occluders(
    streams: Streams,
    ranges: OccluderRanges,
    finishes: Mapping[str, FinishRanges],
    camera: CameraSpec,
    centres_mm: np.ndarray,
) -> tuple[ObjectSpec, ...]:
    """Draw things that reach into the picture between camera and parts."""
    eye = np.asarray(camera.pose.position_mm)
    right, down = camera.pose.matrix()[:3, 0], camera.pose.matrix()[:3, 1]
    result = []
    kinds = ranges.kinds
    for k in range(sample_count(streams.view("occluder count"), ranges.count)):
        rng = streams.scene("occluders", 100 * streams.index.view + k)
        kind = pick(rng, kinds)
        item = sample_object(
            streams,
            rng,
            kind,
            kinds[kind],
            finishes,
            name=f"occluder{k}",
            texel_mm=PROP_TEXEL_MM,
        )
        at = centres_mm[int(rng.integers(len(centres_mm)))]
        at = at + ranges.reach.sample(rng) * (eye - at)
        angle = rng.uniform(0, 2 * np.pi)
        away = np.cos(angle) * right + np.sin(angle) * down
        # Long things enter from outside the picture: their long axis points away from it.
        extent = np.ptp(build_mesh(item.shape).vertices_mm, axis=0)
        longest = int(np.argmax(extent))
        axis = away + 0.35 * rng.normal(size=3)
        rotation = _frame_along(axis, longest)
        place = at + away * (ranges.offset_mm.sample(rng) + 0.5 * float(extent[longest]))
        pose = PoseSpec(position_mm=to_vec3(place), quaternion=quaternion_of(rotation))
        result.append(replace(item, pose=pose, body="none"))
    return tuple(result)


def _frame_along(axis: np.ndarray, column: int) -> np.ndarray:
    """Return a rotation whose given column points along `axis`."""
    a = axis / np.linalg.norm(axis)
    helper = np.array([0, 0, 1.0]) if abs(a[2]) < 0.9 else np.array([0, 1.0, 0])
    b = np.cross(helper, a)
    b /= np.linalg.norm(b)
    columns = [np.zeros(3)] * 3
    columns[column], columns[(column + 1) % 3] = a, b
    columns[(column + 2) % 3] = np.cross(a, b)
    return np.stack(columns, axis=1)
