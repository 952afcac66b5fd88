"""A scene's meshes and maps in OpenGL memory, kept as long as a frame needs them."""

from dataclasses import dataclass, field

import moderngl
import numpy as np

from simgen.defects.bodies import BodySurface, Look
from simgen.defects.surface import Surface, SurfacePair
from simgen.finishes import Maps
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
    """Uploads surfaces; `release` frees what is not shared."""

    def __init__(self, context: moderngl.Context, scene: SceneSpec, pairs: list[SurfacePair]):
        self._context = context
        self._owned: list[moderngl.Buffer | moderngl.Texture | moderngl.VertexArray] = []
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

    def _instance(self, k: int, matrix: np.ndarray, pair: SurfacePair) -> Instance:
        clean = [self._surface(pair.clean)]
        damaged = clean
        if pair.damaged is not pair.clean:
            same_mesh = pair.damaged.mesh is pair.clean.mesh
            damaged = [self._surface(pair.damaged, clean[0] if same_mesh else None)]
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

    def _surface(self, surface: Surface, same: Drawable | None = None) -> Drawable:
        mesh = surface.mesh
        if same is None:
            buffer, index = self._mesh(mesh.vertices_mm, mesh.normals, mesh.uv, mesh.faces)
        else:
            buffer, index = same.buffer, same.index
        rest = None
        if surface.rest is not None:
            was = np.concatenate([surface.rest.vertices_mm, surface.rest.normals], axis=1)
            rest = self._context.buffer(np.ascontiguousarray(was, np.float32).tobytes())
            self._owned.append(rest)
        return Drawable(
            buffer=buffer,
            index=index,
            textures=self._textures(surface.maps),
            finish=surface.finish,
            rest=rest,
        )

    def _body(self, surface: Surface, body: BodySurface) -> Drawable:
        buffer, index = self._mesh(body.vertices_mm, body.normals, body.shade, body.faces)
        return Drawable(
            buffer=buffer,
            index=index,
            textures=() if body.maps is None else self._textures(body.maps),
            finish=surface.finish,
            cut=1 + body.defect,
            look=body.look,
            hair_mm=body.hair_mm,
        )

    def _textures(self, maps: Maps) -> tuple[moderngl.Texture, ...]:
        size = (maps.colour.shape[1], maps.colour.shape[0])
        textures = []
        for data, dtype in ((maps.colour, "f1"), (maps.slope, "f2"), (maps.extra, "f1")):
            texture = self._context.texture(size, 4, np.ascontiguousarray(data), dtype=dtype)
            texture.build_mipmaps(max_level=3)
            texture.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
            texture.repeat_x = texture.repeat_y = False
            textures.append(texture)
            self._owned.append(texture)
        return tuple(textures)

    def _mesh(
        self, vertices: np.ndarray, normals: np.ndarray, uv: np.ndarray, faces: np.ndarray
    ) -> tuple[moderngl.Buffer, moderngl.Buffer]:
        table = np.concatenate([vertices, normals, uv], axis=1).astype(np.float32)
        buffer = self._context.buffer(np.ascontiguousarray(table).tobytes())
        index = self._context.buffer(np.ascontiguousarray(faces, np.int32).tobytes())
        self._owned += [buffer, index]
        return buffer, index
