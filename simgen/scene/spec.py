"""SceneSpec: one scene with everything decided. Frozen, no ranges, no generators.

`parse(SceneSpec, json)` and `to_plain(spec)` are exact inverses; `content_hash`
is the same for equal specs on every machine. Lengths in mm, see `geometry`.
"""

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from simgen.config.parse import LEFT_OUT_AT_DEFAULT, parse, to_plain
from simgen.geometry import Quaternion, Vec3, pose_matrix

Colour = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSpec:
    """A mesh file of the user's, and what it held when the scene was drawn.

    Attributes:
        path: As the user wrote it; `assets/...` is also looked for among what we ship.
        unit: Length of 1 in the file.
        sha256: Of the file's bytes; a file that has changed since is refused.
        crease_deg: An edge is sharp where the surface turns by more.
        chord_mm: How far triangles may lie from an exact (STEP) surface.
    """

    path: str
    unit: Literal["mm", "cm", "m", "inch"]
    sha256: str
    crease_deg: float = 30.0
    chord_mm: float = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeSpec:
    """A mesh by reference: a kind in `parts.SHAPES` and its dimensions, or a `file`.

    A shape from a file has the kind "file" and no dimensions.
    """

    kind: str
    size_mm: dict[str, float]
    texel_mm: float = 0.25
    file: FileSpec | None = None


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
    """How a surface looks before anything happened to it; a kind in `finishes.FINISHES`.

    The process ran along `direction` or around it, and around it wherever the kind is
    "turned". A part that knows its own process (a thread, a groove) says where it ran
    itself; `direction` is then the part's axis, or what the angles are counted from. `glow` is
    the radiance that white places of it give off by themselves, as a light table does.
    """

    kind: str
    colour: Colour
    roughness: float
    metalness: float
    anisotropy: float = 0.0
    direction: Vec3 = (0.0, 1.0, 0.0)
    process: Literal["along", "around"] = "along"
    values: dict[str, float] = field(default_factory=dict)
    seed: int = 0
    glow: float = 0.0

    @property
    def around(self) -> bool:
        """Whether the process ran around `direction`."""
        return self.kind == "turned" or self.process == "around"


@dataclass(frozen=True, slots=True, kw_only=True)
class DefectSpec:
    """A labelled instance (or, among an object's `marks`, an unlabelled distractor).

    `anchor_mm`, `normal` and `tangent` are the part-local frame of the outline:
    u runs along `tangent`, v along normal x tangent, both in mm on the surface.
    `file_sha256` is the hash of the user's file that the kind is from, empty for ours.
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
    file_sha256: str = ""


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
    """An area light: a disc, a bar along `axis`, a ring around `axis`, or a panel.

    A panel is a rectangle that faces its target, `size_mm` long along `axis` (as near as that
    is to its plane) and `breadth_mm` across, or square where that is 0. `irradiance` is what
    arrives at `target_mm` on a surface that faces the light, in the scene's linear units: pi
    makes a white diffuse surface there have radiance 1.
    """

    kind: Literal["disc", "bar", "ring", "panel"]
    position_mm: Vec3
    target_mm: Vec3
    axis: Vec3
    size_mm: float
    irradiance: float
    colour: Colour = (1.0, 1.0, 1.0)
    shadow: bool = False
    breadth_mm: float = 0.0


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
class PanoramaSpec:
    """A panorama of the user's (.hdr or .exr), and what the file held when it was drawn."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSpec:
    """The surroundings: a vertical gradient and panels; `rotation_deg` turns it about z.

    With an `image` they are what that shows instead; see `scene.panorama` for its directions.
    """

    zenith: Colour = (0.5, 0.5, 0.5)
    horizon: Colour = (0.3, 0.3, 0.3)
    ground: Colour = (0.1, 0.1, 0.1)
    panels: tuple[PanelSpec, ...] = ()
    rotation_deg: float = 0.0
    intensity: float = 1.0
    image: PanoramaSpec | None = field(default=None, metadata=LEFT_OUT_AT_DEFAULT)


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraSpec:
    """A camera with OpenCV axes, `K` and optional distortion (k1, k2, p1, p2, k3).

    `aperture_mm` is the diameter of the lens's opening, 0 a pinhole that shows all depths sharp;
    `focus_mm` the depth that is sharp otherwise.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    pose: PoseSpec
    distortion: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)
    aperture_mm: float = 0.0
    focus_mm: float = 1.0

    def matrix(self) -> np.ndarray:
        """Return `K`, shape (3, 3), float64."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1.0]])


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorSpec:
    """Linear colour to an 8-bit image.

    `crop` is (x, y, width, height) in camera pixels or None for all of them. With
    `auto_level` above 0 the camera exposes by itself: `exposure` is scaled so that the
    image's mean is that share of white. Light of `white_point` is drawn as white, with
    highlights compressed below it. `sharpening` is the gain of an unsharp mask.
    """

    exposure: float = 1.0
    mono: bool = False
    auto_level: float = 0.0
    white_point: float = 1.0
    gamma: float = 2.2
    contrast: float = 0.0
    sharpening: float = 0.0
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
