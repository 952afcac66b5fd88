"""A scene's meshes and maps in OpenGL memory, kept as long as a frame needs them."""

from dataclasses import dataclass, field

import moderngl
import numpy as np

from simgen.defects.bodies import BodySurface, Look
from simgen.defects.surface import Surface, SurfacePair
from simgen.render.kept import KeptUploads, upload_mesh
from simgen.scene.spec import FinishSpec, SceneSpec


@dataclass(kw_only=True)
class Drawable:
    """One mesh, its maps and what the shaders need to know of it.

    `rest` holds positions and normals on the undamaged part, None where they are the same.
    `cut` is 1 + index of the defect whose body this is, 0 for the part. What has a `look`
    has no maps. `hair_mm` is the radius of what may be thinner than a pixel, else 0.
    """

    buffer: moderngl.Buffer
    index: moderngl.Buffer
    textures: tuple[moderngl.Texture, ...]
    finish: FinishSpec
    rest: moderngl.Buffer | None = None
    cut: int = 0
    look: Look | None = None
    hair_mm: float = 0.0
    arrays: dict[str, moderngl.VertexArray] = field(default_factory=dict)


@dataclass(kw_only=True)
class Instance:
    """An object: its pose and what to draw for it, with and without defects."""

    id: int
    world_from_part: np.ndarray
    corners_mm: np.ndarray
    clean: list[Drawable]
    damaged: list[Drawable]
    reshaped: bool


class SceneOnGpu:
    """Uploads surfaces; `release` frees what is this scene's alone."""

    def __init__(
        self,
        context: moderngl.Context,
        kept: KeptUploads,
        scene: SceneSpec,
        pairs: list[SurfacePair],
    ):
        self._context, self._kept = context, kept
        # Held, so that nothing of it is swept while it is drawn.
        self._pairs = pairs
        kept.sweep()
        self._owned: list[moderngl.Buffer] = []
        self.instances = [
            self._instance(k, spec.pose.matrix(), pair)
            for k, (spec, pair) in enumerate(zip(scene.objects, pairs, strict=True))
        ]

    def release(self) -> None:
        """Free all memory of this scene."""
        for instance in self.instances:
            for drawable in (*instance.clean, *instance.damaged):
                for array in drawable.arrays.values():
                    array.release()
                drawable.arrays.clear()
        for item in self._owned:
            item.release()
        self._owned.clear()
        self._pairs = []

    def _instance(self, k: int, matrix: np.ndarray, pair: SurfacePair) -> Instance:
        clean = [self._surface(pair.clean)]
        damaged = clean
        if pair.damaged is not pair.clean:
            damaged = [self._surface(pair.damaged)]
            damaged += [self._body(pair.damaged, body) for body in pair.damaged.bodies]
        points = [pair.clean.mesh.vertices_mm, pair.damaged.mesh.vertices_mm]
        points += [body.vertices_mm for body in pair.damaged.bodies]
        low = np.min([p.min(axis=0) for p in points], axis=0)
        high = np.max([p.max(axis=0) for p in points], axis=0)
        corners = np.array([[(low, high)[(i >> a) & 1][a] for a in range(3)] for i in range(8)])
        return Instance(
            id=k + 1,
            world_from_part=matrix,
            corners_mm=corners @ matrix[:3, :3].T + matrix[:3, 3],
            clean=clean,
            damaged=damaged,
            reshaped=pair.damaged.mesh is not pair.clean.mesh or bool(pair.damaged.bodies),
        )

    def _surface(self, surface: Surface) -> Drawable:
        buffer, index = self._kept.mesh(surface.mesh)
        rest = None
        if surface.rest is not None:
            was = np.concatenate([surface.rest.vertices_mm, surface.rest.normals], axis=1)
            rest = self._context.buffer(np.ascontiguousarray(was, np.float32).tobytes())
            self._owned.append(rest)
        return Drawable(
            buffer=buffer,
            index=index,
            textures=self._kept.textures(surface.maps),
            finish=surface.finish,
            rest=rest,
        )

    def _body(self, surface: Surface, body: BodySurface) -> Drawable:
        buffer, index = upload_mesh(
            self._context, body.vertices_mm, body.normals, body.shade, body.faces
        )
        self._owned += [buffer, index]
        return Drawable(
            buffer=buffer,
            index=index,
            textures=() if body.maps is None else self._kept.textures(body.maps),
            finish=surface.finish,
            cut=1 + body.defect,
            look=body.look,
            hair_mm=body.hair_mm,
        )
