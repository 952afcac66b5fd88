"""Meshes and maps in OpenGL memory: uploaded once, kept as long as the values themselves live."""

import weakref
from collections.abc import Callable
from typing import Any

import moderngl
import numpy as np

from simgen.finishes import Maps
from simgen.parts.mesh import PartMesh

_Uploaded = tuple[Any, ...]


class KeptUploads:
    """The uploads of meshes and maps, which are values that never change.

    A worker's parts of one design share a mesh, and all views of a scene its maps: neither is
    uploaded again. Whoever holds the values decides how long: what is gone is freed by `sweep`.

    Args:
        context: Must be current in every call.
    """

    def __init__(self, context: moderngl.Context) -> None:
        self._context = context
        self._held: dict[int, tuple[weakref.ref[Any], _Uploaded]] = {}
        self._gone: list[_Uploaded] = []

    def mesh(self, mesh: PartMesh) -> tuple[moderngl.Buffer, moderngl.Buffer]:
        """Return vertices (position, normal, uv; eight float32 each) and indices of a mesh."""
        return self._once(
            mesh,
            lambda: upload_mesh(self._context, mesh.vertices_mm, mesh.normals, mesh.uv, mesh.faces),
        )

    def textures(self, maps: Maps) -> tuple[moderngl.Texture, ...]:
        """Return the textures colour, slope and extra of some maps."""
        return self._once(maps, lambda: _upload_maps(self._context, maps))

    def sweep(self) -> None:
        """Free what belongs to values that nobody holds any more."""
        while self._gone:
            for item in self._gone.pop():
                item.release()

    def release(self) -> None:
        """Free everything."""
        self._gone += [uploaded for _, uploaded in self._held.values()]
        self._held.clear()
        self.sweep()

    def _once(self, value: Any, upload: Callable[[], _Uploaded]) -> Any:
        key = id(value)
        if key not in self._held:
            uploaded = upload()
            held, gone = self._held, self._gone

            # May run at any moment, in any context: nothing is freed here.
            def forget(_: Any) -> None:
                if held.pop(key, None) is not None:
                    gone.append(uploaded)

            self._held[key] = weakref.ref(value, forget), uploaded
        return self._held[key][1]


def upload_mesh(
    context: moderngl.Context,
    vertices: np.ndarray,
    normals: np.ndarray,
    uv: np.ndarray,
    faces: np.ndarray,
) -> tuple[moderngl.Buffer, moderngl.Buffer]:
    """Return vertex and index buffer of a mesh; arrays of shape (V, 3), (V, 3), (V, 2), (F, 3)."""
    table = np.concatenate([vertices, normals, uv], axis=1).astype(np.float32)
    buffer = context.buffer(np.ascontiguousarray(table).tobytes())
    return buffer, context.buffer(np.ascontiguousarray(faces, np.int32).tobytes())


def _upload_maps(context: moderngl.Context, maps: Maps) -> tuple[moderngl.Texture, ...]:
    size = (maps.colour.shape[1], maps.colour.shape[0])
    textures = []
    for data, dtype in ((maps.colour, "f1"), (maps.slope, "f2"), (maps.extra, "f1")):
        texture = context.texture(size, 4, np.ascontiguousarray(data), dtype=dtype)
        texture.build_mipmaps(max_level=3)
        texture.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
        texture.repeat_x = texture.repeat_y = False
        textures.append(texture)
    return tuple(textures)
