"""A SceneSpec as a Mitsuba scene: objects with their materials, lamps, surroundings."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from simgen.defects.bodies import BodySurface
from simgen.defects.surface import Surface, SurfacePair
from simgen.finishes import Maps
from simgen.render.pathtrace.grain import Charted
from simgen.render.pathtrace.lamps import lamp_of
from simgen.render.pathtrace.look import looked
from simgen.render.pathtrace.material import (
    Covered,
    TexelFrames,
    charted,
    covered,
    frames_of_body,
    frames_of_part,
)
from simgen.render.pathtrace.meshes import mesh_of
from simgen.render.pathtrace.surroundings import environment_of
from simgen.render.pathtrace.traced import covered_whole
from simgen.render.projection import NEAR_MM, camera_from_world
from simgen.scene.spec import FinishSpec, SceneSpec

# Sides of a body's triangles over a pixel's footprint.
_FINE = 0.7


class ColourScene:
    """What Mitsuba draws of a scene with and without its defects; made when asked for.

    Args:
        mi: The module `mitsuba`, its variant set.
        scene: The settled scene, its camera without distortion.
        pairs: The surfaces of its objects, in their order.
    """

    def __init__(self, mi: Any, scene: SceneSpec, pairs: Sequence[SurfacePair]) -> None:
        self._mi, self._scene, self._pairs = mi, scene, list(pairs)
        self._materials: dict[tuple[int, bool], list[Covered]] = {}
        self._made: dict[bool, Any] = {}

    @property
    def glows(self) -> bool:
        """Whether an object gives off light, which the camera sees."""
        return any(item.finish.glow > 0 for item in self._scene.objects)

    def of(self, clean: bool) -> Any:
        """Return the scene for Mitsuba's integrators."""
        clean = clean or all(pair.clean is pair.damaged for pair in self._pairs)
        if clean not in self._made:
            parts: dict[str, Any] = {"type": "scene"}
            for i, light in enumerate(self._scene.lights):
                if light.irradiance > 0:
                    parts[f"lamp_{i}"] = lamp_of(self._mi, light)
            parts["surroundings"] = environment_of(self._mi, self._scene.environment)
            for k in range(len(self._pairs)):
                for j, shape in enumerate(self._shapes(k, clean)):
                    parts[f"object_{k}_{j}"] = shape
            self._made[clean] = self._mi.load_dict(parts)
        return self._made[clean]

    def release(self) -> None:
        """Free the scenes."""
        self._made.clear()
        self._materials.clear()

    def _shapes(self, k: int, clean: bool) -> list[Any]:
        pair, item = self._pairs[k], self._scene.objects[k]
        surface = pair.clean if clean else pair.damaged
        matrix = item.pose.matrix()
        shapes = [_placed(self._mi, piece, matrix) for piece in self._pieces(k, clean)]
        for body in surface.bodies:
            if body.look is not None:
                shapes.append(self._bare(body, matrix))
            elif body.maps is not None:
                pieces = self._plug(k, body, surface.finish)
                shapes += [_placed(self._mi, piece, matrix) for piece in pieces]
        return shapes

    def _pieces(self, k: int, clean: bool) -> list[Covered]:
        pair = self._pairs[k]
        # What defects left as it was has its material once.
        key = (k, clean or pair.damaged is pair.clean)
        if key not in self._materials:
            surface: Surface = pair.clean if key[1] else pair.damaged
            mesh = charted(surface.mesh)
            # Charts and frames are the undamaged part's: defects move its mesh, not its texels.
            self._materials[key] = self._covered(
                k, mesh, surface.maps, surface.finish, lambda: frames_of_part(pair.clean.mesh)
            )
        return self._materials[key]

    def _covered(
        self, k: int, mesh: Charted, maps: Maps, finish: FinishSpec,
        frames: Callable[[], TexelFrames],
    ) -> list[Covered]:  # fmt: skip
        if self._mi.variant().startswith("scalar"):
            return covered(self._mi, mesh, maps, finish, frames())
        return [covered_whole(self._mi, mesh, maps, finish, self._scene.objects[k].pose.matrix())]

    def _plug(self, k: int, body: BodySurface, finish: FinishSpec) -> list[Covered]:
        assert body.maps is not None
        height, width = body.maps.colour.shape[:2]
        mesh = Charted(
            vertices_mm=body.vertices_mm.astype(np.float64),
            normals=body.normals.astype(np.float64),
            texels=body.shade * np.array([width, height], np.float64),
            faces=body.faces.astype(np.int64),
        )
        return self._covered(
            k, mesh, body.maps, finish, lambda: frames_of_body(mesh, (height, width))
        )

    def _bare(self, body: BodySurface, matrix: np.ndarray) -> Any:
        look = body.look
        assert look is not None
        camera = self._scene.camera
        middle = matrix[:3, :3] @ body.vertices_mm.mean(axis=0) + matrix[:3, 3]
        depth = float((camera_from_world(camera) @ np.append(middle, 1.0))[2])
        made = looked(body, look, _FINE * max(depth, NEAR_MM) / max(camera.fx, camera.fy))
        bsdf = self._mi.load_dict(
            {
                "type": "principled",
                "specular": 0.5,
                "metallic": look.metalness,
                "base_color": {"type": "mesh_attribute", "name": "vertex_albedo"},
                "roughness": {"type": "mesh_attribute", "name": "vertex_roughness"},
            }
        )
        return mesh_of(
            self._mi,
            made.vertices_mm @ matrix[:3, :3].T + matrix[:3, 3],
            made.faces,
            normals=made.normals @ matrix[:3, :3].T,
            attributes={"vertex_albedo": made.albedo, "vertex_roughness": made.roughness},
            bsdf=bsdf,
        )


def _placed(mi: Any, piece: Covered, matrix: np.ndarray) -> Any:
    return mesh_of(
        mi,
        piece.vertices_mm @ matrix[:3, :3].T + matrix[:3, 3],
        piece.faces,
        normals=piece.normals @ matrix[:3, :3].T,
        uv=piece.uv,
        bsdf=piece.bsdf,
        emitter=piece.glow,
    )
