"""Small scenes for tests, and an independent ray caster to judge the label pass by."""

from dataclasses import replace
from typing import Any

import numpy as np
import trimesh

from simgen.config import compose
from simgen.config.render import RenderConfig, parse_render
from simgen.defects.surface import Surface, SurfacePair
from simgen.finishes import Maps
from simgen.geometry import Vec3, look_at, quaternion_of
from simgen.parts.build import build_mesh
from simgen.scene.spec import (
    CameraSpec,
    DefectSpec,
    EnvironmentSpec,
    FinishSpec,
    LightSpec,
    ObjectSpec,
    PoseSpec,
    SceneSpec,
    SensorSpec,
    ShapeSpec,
)

STEEL = FinishSpec(kind="ground", colour=(0.5, 0.5, 0.5), roughness=0.5, metalness=0.2)


def config(scene: str, *overrides: str) -> RenderConfig:
    """Return the render config of a scene."""
    return parse_render(compose("render", [f"+scene={scene}", *overrides]))


def camera(
    eye_mm: Vec3, target_mm: Vec3 = (0.0, 0.0, 0.0), *, size: int = 200, focal: float = 400.0
) -> CameraSpec:
    """Return a square camera."""
    return CameraSpec(
        width=size, height=size, fx=focal, fy=focal, cx=(size - 1) / 2, cy=(size - 1) / 2,
        pose=PoseSpec(position_mm=eye_mm, quaternion=quaternion_of(look_at(eye_mm, target_mm))),
    )  # fmt: skip


def scene(*objects: ObjectSpec, view: CameraSpec, **keys: Any) -> SceneSpec:
    """Return a scene with one lamp."""
    lamp = LightSpec(
        kind="disc", position_mm=(200.0, 100.0, 500.0), target_mm=(0.0, 0.0, 0.0),
        axis=(0.0, 0.0, 1.0), size_mm=80.0, irradiance=2.0, shadow=True,
    )  # fmt: skip
    return SceneSpec(
        scene="test", objects=objects, lights=(lamp,), environment=EnvironmentSpec(),
        camera=view, sensor=keys.pop("sensor", SensorSpec()),
    )  # fmt: skip


def plate(
    *defects: DefectSpec, name: str = "plate", at: Vec3 = (0.0, 0.0, 0.0), texel_mm: float = 0.2,
    **size_mm: float,
) -> ObjectSpec:  # fmt: skip
    """Return a labelled plate; its upper face is at z = at.z + thickness / 2."""
    size = {"length": 60.0, "width": 40.0, "thickness": 6.0, **size_mm}
    return ObjectSpec(
        name=name,
        category="plate",
        shape=ShapeSpec(kind="plate", size_mm=size, texel_mm=texel_mm),
        finish=STEEL,
        pose=PoseSpec(position_mm=at),
        defects=defects,
        body="none",
    )


def bare_surfaces(spec: SceneSpec) -> list[SurfacePair]:
    """Return surfaces with maps of one texel: for label passes, which need no material."""
    pairs = []
    for item in spec.objects:
        dot = np.full((1, 1, 4), 128, np.uint8)
        maps = Maps(colour=dot, slope=np.zeros((1, 1, 4), np.float16), extra=dot)
        surface = Surface(mesh=build_mesh(item.shape), maps=maps, finish=item.finish)
        pairs.append(SurfacePair(clean=surface, damaged=surface))
    return pairs


def without_damage(spec: SceneSpec) -> SceneSpec:
    """Return a scene with neither defects nor marks."""
    objects = tuple(replace(o, defects=(), marks=()) for o in spec.objects)
    return replace(spec, objects=objects)


def pixel_rays(view: CameraSpec) -> tuple[np.ndarray, np.ndarray]:
    """Return origins and unit directions in the world of all pixel centres, each (H * W, 3)."""
    y, x = np.mgrid[0 : view.height, 0 : view.width].astype(np.float64)
    rays = np.stack([(x - view.cx) / view.fx, (y - view.cy) / view.fy, np.ones_like(x)], axis=-1)
    rays = rays.reshape(-1, 3) @ view.pose.matrix()[:3, :3].T
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    return np.broadcast_to(view.pose.position_mm, rays.shape).astype(np.float64), rays


def cast_ids(spec: SceneSpec) -> np.ndarray:
    """Return instance ids by casting rays with Embree, shape (H, W): the independent judge."""
    vertices, faces, owner, start = [], [], [], 0
    for k, item in enumerate(spec.objects):
        mesh = build_mesh(item.shape)
        m = item.pose.matrix()
        vertices.append(mesh.vertices_mm.astype(np.float64) @ m[:3, :3].T + m[:3, 3])
        faces.append(mesh.faces + start)
        owner.append(np.full(len(mesh.faces), k + 1))
        start += len(mesh.vertices_mm)
    whole = trimesh.Trimesh(np.concatenate(vertices), np.concatenate(faces), process=False)
    origins, directions = pixel_rays(spec.camera)
    hit = whole.ray.intersects_first(origins, directions)
    ids = np.where(hit >= 0, np.concatenate(owner)[hit], 0)
    return ids.reshape(spec.camera.height, spec.camera.width)
