"""Take bodies from a mesh or join them to it, keeping texture coordinates (Manifold's booleans)."""

from collections.abc import Sequence
from dataclasses import replace

import manifold3d
import numpy as np
from scipy.spatial import cKDTree

from simgen.defects.bodies import Body, BodySurface, creased_normals, vertex_normals
from simgen.defects.displace import Rest
from simgen.errors import AssetError
from simgen.parts.mesh import PartMesh

# Columns of a vertex: position, normal, uv, and where it was before dents.
_WIDTH = 14
# Triangles that a fracture is reduced to where its parts hide the sky from each other.
_PANELS = 160


def cut_mesh(
    mesh: PartMesh, rest: Rest | None, bodies: Sequence[tuple[int, Body]]
) -> tuple[PartMesh, Rest | None, tuple[BodySurface, ...]]:
    """Return the mesh with bodies taken away or filled in, and the surfaces that these leave.

    Args:
        mesh: A closed mesh, perhaps with dents.
        rest: Where its vertices were before the dents, if it has any.
        bodies: (index of the defect, body), operation "remove" or "fill".

    Raises:
        AssetError: The mesh is not closed, or nothing of it is left.
    """
    was = (mesh.vertices_mm, mesh.normals)
    if rest is not None:
        was = (rest.vertices_mm, rest.normals)
    table = np.concatenate([mesh.vertices_mm, mesh.normals, mesh.uv, *was], axis=1)
    solid, solid_id = _manifold(table, mesh.faces, "the mesh")
    owner: dict[int, tuple[int, Body]] = {}
    for index, body in bodies:
        padded = np.zeros((len(body.vertices_mm), _WIDTH), np.float32)
        padded[:, :3] = padded[:, 8:11] = body.vertices_mm
        tool, tool_id = _manifold(padded, body.faces, "a defect's body")
        owner[tool_id] = (index, body)
        solid = solid + tool if body.operation == "fill" else solid - tool
    result = solid.to_mesh()
    table = np.asarray(result.vert_properties, np.float32)
    triangles = np.asarray(result.tri_verts, np.int64)
    bounds = np.asarray(result.run_index) // 3
    kept, surfaces = [], []
    for run, original in enumerate(result.run_original_id):
        faces = triangles[bounds[run] : bounds[run + 1]]
        if original in owner and len(faces):
            surfaces.append(_left_by(*owner[original], table, faces))
        elif original == solid_id:
            kept.append(faces)
    if not kept or not len(np.concatenate(kept)):
        raise AssetError(
            "a break removes the whole part; lower its length_mm, width_mm or depth_mm"
        )
    faces, table = _compact(np.concatenate(kept), table)
    left = replace(
        mesh,
        vertices_mm=table[:, :3],
        normals=_unit(table[:, 3:6]),
        uv=table[:, 6:8],
        faces=faces,
        traits=None,
    )
    if rest is not None:
        rest = Rest(vertices_mm=table[:, 8:11], normals=_unit(table[:, 11:14]))
    return left, rest, tuple(surfaces)


def _manifold(
    properties: np.ndarray, faces: np.ndarray, what: str
) -> tuple[manifold3d.Manifold, int]:
    raw = manifold3d.Mesh(
        vert_properties=np.ascontiguousarray(properties, np.float32),
        tri_verts=np.ascontiguousarray(faces, np.uint32),
    )
    raw.merge()
    body = manifold3d.Manifold(raw).as_original()
    if body.status() != manifold3d.Error.NoError:
        raise AssetError(f"{what} cannot be cut ({body.status()}); it must be closed")
    return body, body.original_id()


def _left_by(index: int, body: Body, table: np.ndarray, faces: np.ndarray) -> BodySurface:
    """Return the surface of a body that shows in the result, shaded by its own shape."""
    faces, used = _compact(faces, table)
    vertices = used[:, :3].astype(np.float64)
    corner = vertices[faces]
    face = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    smooth = vertex_normals(vertices, faces)
    shade = np.empty((len(vertices), 2), np.float32)
    shade[:, 0] = _to_rim(vertices, faces)
    shade[:, 1] = _openness(vertices, smooth, corner.mean(axis=1), face / 2)
    # Corners of their own, so that ridges between facets stay crisp.
    flat = faces.reshape(-1)
    return BodySurface(
        defect=index,
        vertices_mm=used[flat, :3],
        normals=creased_normals(face, faces).reshape(-1, 3).astype(np.float32),
        faces=np.arange(len(flat), dtype=np.int32).reshape(-1, 3),
        shade=shade[flat],
        look=body.look,
    )


def _to_rim(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return every vertex's distance to the border of the surface, mm."""
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    unique, number = np.unique(edges, axis=0, return_counts=True)
    border = unique[number == 1]
    if not len(border):
        return np.full(len(vertices), 1e6)
    ends = vertices[border]
    points = np.concatenate([ends[:, 0], ends.mean(axis=1), ends[:, 1]])
    return cKDTree(points).query(vertices)[0]


def _openness(
    vertices: np.ndarray, normals: np.ndarray, centres: np.ndarray, areas: np.ndarray
) -> np.ndarray:
    """Return how much of the hemisphere the surface itself leaves open at each vertex.

    By form factors from every triangle, which see each other all where it is hollow.
    """
    size = np.linalg.norm(areas, axis=1)
    if len(centres) > _PANELS:
        # The largest stand for all; their areas make up for the rest.
        keep = np.argsort(size)[-_PANELS:]
        scale = size.sum() / max(size[keep].sum(), 1e-12)
        centres, areas, size = centres[keep], areas[keep] * scale, size[keep]
    step = centres[None] - vertices[:, None]
    squared = np.einsum("ijk,ijk->ij", step, step) + size.mean() * 2 + 1e-9
    here = np.maximum(np.einsum("ijk,ik->ij", step, normals), 0)
    there = np.maximum(-np.einsum("ijk,jk->ij", step, areas), 0)
    blocked = (here * there / (np.pi * squared**2)).sum(axis=1)
    return np.clip(1 - blocked, 0.25, 1)


def _compact(faces: np.ndarray, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    used, inverse = np.unique(faces, return_inverse=True)
    return inverse.reshape(-1, 3).astype(np.int32), table[used]


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
