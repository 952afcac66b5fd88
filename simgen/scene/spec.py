"""SceneSpec: one scene with everything decided. Frozen, no ranges, no generators.

`parse(SceneSpec, json)` and `to_plain(spec)` are exact inverses; `content_hash`
is the same for equal specs on every machine. Lengths in mm, see `geometry`.
"""

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from simgen.config.parse import parse, to_plain
from simgen.geometry import Quaternion, Vec3, pose_matrix

Colour = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeSpec:
    """A mesh by reference: a kind in `parts.SHAPES` and its dimensions."""

    kind: str
    size_mm: dict[str, float]
    texel_mm: float = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseSpec:
    """`pose_world_part`: where an object's local frame stands in the world."""

    position_mm: Vec3 = (0.0, 0.0, 0.0)
    quaternion: Quaternion = (1.0, 0.0, 0.0, 0.0)

    def matrix(self) -> np.ndarray:
        """Return the (4, 4) world-from-local matrix."""
        return pose_matrix(self.position_mm, self.quaternion)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishSpec:
    """How a surface looks before anything happened to it; a kind in `finishes.FINISHES`."""

    kind: str
    colour: Colour
    roughness: float
    metalness: float
    anisotropy: float = 0.0
    direction: Vec3 = (0.0, 1.0, 0.0)
    values: dict[str, float] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DefectSpec:
    """A labelled instance (or, among an object's `marks`, an unlabelled distractor).

    `anchor_mm`, `normal` and `tangent` are the part-local frame of the outline:
    u runs along `tangent`, v along normal x tangent, both in mm on the surface.
    """

    kind: str
    anchor_mm: Vec3
    normal: Vec3
    tangent: Vec3
    size_mm: dict[str, float]
    values: dict[str, float] = field(default_factory=dict)
    points: tuple[tuple[float, ...], ...] = ()
    missing_material: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectSpec:
    """A thing in the scene; with a `category` it is a labelled part, without one a prop.

    `casts_shadow=False` is for ground: it lies under everything, so it neither shades nor
    hides any other object.
    """

    name: str
    shape: ShapeSpec
    finish: FinishSpec
    category: str | None = None
    pose: PoseSpec = PoseSpec()
    defects: tuple[DefectSpec, ...] = ()
    marks: tuple[DefectSpec, ...] = ()
    body: Literal["dynamic", "fixed", "none"] = "dynamic"
    casts_shadow: bool = True
    mass_kg: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class LightSpec:
    """An area light: a disc, a bar along `axis`, or a ring around `axis`.

    `irradiance` is what arrives at `target_mm` on a surface that faces the light,
    in the scene's linear units: pi makes a white diffuse surface there have radiance 1.
    """

    kind: Literal["disc", "bar", "ring"]
    position_mm: Vec3
    target_mm: Vec3
    axis: Vec3
    size_mm: float
    irradiance: float
    colour: Colour = (1.0, 1.0, 1.0)
    shadow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelSpec:
    """A soft rectangle of light in the environment, infinitely far away."""

    azimuth_deg: float
    elevation_deg: float
    width_deg: float
    height_deg: float
    radiance: float
    softness: float = 0.2
    colour: Colour = (1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSpec:
    """The surroundings: a vertical gradient and panels; `rotation_deg` turns it about z."""

    zenith: Colour = (0.5, 0.5, 0.5)
    horizon: Colour = (0.3, 0.3, 0.3)
    ground: Colour = (0.1, 0.1, 0.1)
    panels: tuple[PanelSpec, ...] = ()
    rotation_deg: float = 0.0
    intensity: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraSpec:
    """A pinhole camera with OpenCV axes, `K` and optional distortion (k1, k2, p1, p2, k3)."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    pose: PoseSpec
    distortion: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)

    def matrix(self) -> np.ndarray:
        """Return `K`, shape (3, 3), float64."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1.0]])


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorSpec:
    """Linear colour to an 8-bit image.

    `crop` is (x, y, width, height) in camera pixels or None for all of them.
    """

    exposure: float = 1.0
    mono: bool = False
    gamma: float = 2.2
    contrast: float = 0.0
    vignetting: float = 0.0
    defocus_px: float = 0.0
    motion_px: float = 0.0
    motion_deg: float = 0.0
    shot_noise: float = 0.0
    read_noise: float = 0.0
    white_balance: Colour = (1.0, 1.0, 1.0)
    jpeg_quality: int = 0
    crop: tuple[int, int, int, int] | None = None
    noise_seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneSpec:
    """One frame's scene. `objects` in drawing order; instance id k + 1 is `objects[k]`."""

    scene: str
    objects: tuple[ObjectSpec, ...]
    lights: tuple[LightSpec, ...]
    environment: EnvironmentSpec
    camera: CameraSpec
    sensor: SensorSpec

    def without_defects(self) -> "SceneSpec":
        """Return the clean twin's spec."""
        return replace(self, objects=tuple(replace(o, defects=()) for o in self.objects))


def to_json(spec: Any) -> str:
    """Return a spec as canonical JSON: sorted keys, no spaces, shortest exact floats."""
    return json.dumps(to_plain(spec), sort_keys=True, separators=(",", ":"), allow_nan=False)


def scene_from_json(text: str) -> SceneSpec:
    """Return the SceneSpec that `to_json` wrote.

    Raises:
        ConfigError: The text does not hold a SceneSpec; the message names the key.
    """
    return parse(SceneSpec, json.loads(text))


def content_hash(spec: Any) -> str:
    """Return the hex SHA-256 of a spec's canonical JSON."""
    return hashlib.sha256(to_json(spec).encode()).hexdigest()
