"""A SceneSpec as pyrender's scene: metres, textures with v upwards, lamps as points and spots."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from simgen.defects.bodies import BodySurface
from simgen.defects.surface import Surface, SurfacePair
from simgen.render.environment import prefiltered
from simgen.render.projection import FAR_MM, NEAR_MM, camera_from_world
from simgen.render.pyrender.canvas import DIMMED
from simgen.render.pyrender.lamps import points_of, spot_of
from simgen.render.pyrender.material import bare_material, material_of, rgba_of
from simgen.scene.spec import SceneSpec

# pyrender's biases and limits are made for metres.
M_PER_MM = 1e-3
_OPENGL_AXES = np.diag([1.0, -1.0, -1.0, 1.0])
_MOST_SPOTS = 4


class Drawn:
    """A scene of pyrender's that holds the parts with and without their defects.

    Args:
        pyrender: The module.
        scene: The settled scene, its camera without distortion.
        pairs: The surfaces of its objects, in their order.
    """

    def __init__(self, pyrender: Any, scene: SceneSpec, pairs: Sequence[SurfacePair]) -> None:
        self._pyrender, self._spec = pyrender, scene
        self.scene = pyrender.Scene(bg_color=np.zeros(4), ambient_light=_ambient(scene) / DIMMED)
        self._only: dict[bool, list[Any]] = {False: [], True: []}
        for item, pair in zip(scene.objects, pairs, strict=True):
            both = pair.clean is pair.damaged
            for clean in (True,) if both else (True, False):
                surface = pair.clean if clean else pair.damaged
                mesh = self._mesh(surface, pair.clean, item.pose.matrix())
                self.scene.add(mesh, pose=_in_metres(item.pose.matrix()))
                if not both:
                    self._only[clean].append(mesh)
        self._add_lamps(pairs)
        camera = scene.camera
        # pyrender counts from a pixel's corner.
        lens = pyrender.IntrinsicsCamera(
            fx=camera.fx, fy=camera.fy, cx=camera.cx + 0.5, cy=camera.cy + 0.5,
            znear=NEAR_MM * M_PER_MM, zfar=FAR_MM * M_PER_MM,
        )  # fmt: skip
        self.scene.add(lens, pose=_in_metres(camera.pose.matrix()) @ _OPENGL_AXES)

    def show(self, clean: bool) -> None:
        """Let what is drawn be the parts with their defects, or (clean) without."""
        for meshes, visible in ((self._only[clean], True), (self._only[not clean], False)):
            for mesh in meshes:
                mesh.is_visible = visible

    def _mesh(self, surface: Surface, whole: Surface, matrix: np.ndarray) -> Any:
        mesh = surface.mesh
        material = material_of(self._pyrender, surface.maps, surface.finish, whole.mesh, DIMMED)
        primitives = [
            self._primitive(mesh.vertices_mm, mesh.normals, mesh.faces, material, uv=mesh.uv)
        ]
        for body in surface.bodies:
            primitives.append(self._body(body, surface, matrix))
        return self._pyrender.Mesh(primitives=primitives)

    def _body(self, body: BodySurface, surface: Surface, matrix: np.ndarray) -> Any:
        if body.maps is not None:
            material = material_of(self._pyrender, body.maps, surface.finish, body, DIMMED)
            return self._primitive(
                body.vertices_mm, body.normals, body.faces, material, uv=body.shade
            )
        assert body.look is not None
        camera = self._spec.camera
        middle = matrix[:3, :3] @ body.vertices_mm.mean(axis=0) + matrix[:3, 3]
        depth = float((camera_from_world(camera) @ np.append(middle, 1.0))[2])
        pixel_mm = max(depth, NEAR_MM) / max(camera.fx, camera.fy)
        made, rgba = rgba_of(body, pixel_mm)
        material = bare_material(self._pyrender, body.look)
        return self._primitive(made.vertices_mm, made.normals, made.faces, material, rgba=rgba)

    def _primitive(
        self, vertices_mm: np.ndarray, normals: np.ndarray, faces: np.ndarray, material: Any, *,
        uv: np.ndarray | None = None, rgba: np.ndarray | None = None,
    ) -> Any:  # fmt: skip
        if uv is not None:
            # pyrender turns textures upside down, so that their first row is at v = 1.
            uv = np.stack([uv[:, 0], 1 - uv[:, 1]], axis=1).astype(np.float32)
        return self._pyrender.Primitive(
            positions=(M_PER_MM * vertices_mm).astype(np.float32),
            normals=normals.astype(np.float32),
            indices=np.ascontiguousarray(faces, np.uint32),
            texcoord_0=uv,
            color_0=rgba,
            material=material,
        )

    def _add_lamps(self, pairs: Sequence[SurfacePair]) -> None:
        lit = _to_be_lit(self._spec, pairs)
        spots = 0
        for light in self._spec.lights:
            if light.irradiance <= 0:
                continue
            if light.shadow and spots < _MOST_SPOTS:
                made = [spot_of(self._pyrender, light, lit, M_PER_MM, DIMMED)]
                spots += 1
            else:
                made = points_of(self._pyrender, light, M_PER_MM, DIMMED)
            for lamp, pose in made:
                self.scene.add(lamp, pose=pose)


def _to_be_lit(scene: SceneSpec, pairs: Sequence[SurfacePair]) -> np.ndarray:
    """Return world points that hold what casts shadows and the ground in view, (N, 3), mm."""
    points = [np.zeros((1, 3))]
    for item, pair in zip(scene.objects, pairs, strict=True):
        if item.casts_shadow:
            vertices, m = pair.clean.mesh.vertices_mm, item.pose.matrix()
            low, high = vertices.min(axis=0), vertices.max(axis=0)
            box = [[(low, high)[(i >> a) & 1][a] for a in range(3)] for i in range(8)]
            points.append(np.array(box) @ m[:3, :3].T + m[:3, 3])
    floor_mm = float(np.concatenate(points)[:, 2].min())
    camera = scene.camera
    eye = np.asarray(camera.pose.position_mm)
    for x in (-0.5, camera.width - 0.5):
        for y in (-0.5, camera.height - 0.5):
            ray = np.array([(x - camera.cx) / camera.fx, (y - camera.cy) / camera.fy, 1.0])
            ray = camera.pose.matrix()[:3, :3] @ ray
            far = (floor_mm - eye[2]) / ray[2] if ray[2] else -1.0
            if far > 0:
                points.append((eye + far * ray)[None])
    return np.concatenate(points)


def _ambient(scene: SceneSpec) -> np.ndarray:
    """Return what a white surface that faces up sends back of the surroundings, (3,)."""
    upward: np.ndarray = prefiltered(scene.environment)[-1, 0].mean(axis=0)
    return scene.environment.intensity * upward


def _in_metres(matrix: np.ndarray) -> np.ndarray:
    made = matrix.copy()
    made[:3, 3] *= M_PER_MM
    return made
