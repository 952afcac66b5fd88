"""Triangle meshes for Mitsuba, from arrays in memory."""

from typing import Any

import numpy as np


def mesh_of(
    mi: Any, vertices_mm: np.ndarray, faces: np.ndarray, *, normals: np.ndarray | None = None,
    uv: np.ndarray | None = None, attributes: dict[str, np.ndarray] | None = None,
    bsdf: Any = None, emitter: Any = None,
) -> Any:  # fmt: skip
    """Return a mesh.

    Args:
        mi: The module `mitsuba`, its variant set.
        vertices_mm: In the world, shape (V, 3).
        faces: Shape (F, 3), counter-clockwise from outside.
        normals: Shading normals, shape (V, 3); without them faces are flat.
        uv: Texture coordinates, shape (V, 2).
        attributes: Values of vertices by name (`vertex_...`), each (V, 1) or (V, 3).
        bsdf, emitter: Its material, and what it shines with.
    """
    props = mi.Properties()
    if bsdf is not None:
        props["bsdf"] = bsdf
    if emitter is not None:
        props["emitter"] = emitter
    mesh = mi.Mesh(
        "mesh",
        len(vertices_mm),
        len(faces),
        props=props,
        has_vertex_normals=normals is not None,
        has_vertex_texcoords=uv is not None,
    )
    for name, values in (attributes or {}).items():
        values = np.ascontiguousarray(values, np.float32)
        mesh.add_attribute(name, values.shape[1], values.ravel())
    arrays = mi.traverse(mesh)
    arrays["vertex_positions"] = np.ascontiguousarray(vertices_mm, np.float32).ravel()
    arrays["faces"] = np.ascontiguousarray(faces, np.uint32).ravel()
    if normals is not None:
        arrays["vertex_normals"] = np.ascontiguousarray(normals, np.float32).ravel()
    if uv is not None:
        arrays["vertex_texcoords"] = np.ascontiguousarray(uv, np.float32).ravel()
    arrays.update()
    return mesh
