"""Remove bodies from a mesh and keep its texture coordinates (Manifold's booleans)."""

from dataclasses import dataclass, replace

import manifold3d
import numpy as np

from simgen.errors import AssetError
from simgen.parts.mesh import PartMesh
from simgen.scene.spec import DefectSpec


@dataclass(frozen=True, kw_only=True)
class CutMesh:
    """A fracture surface.

    Attributes:
        defect: Index of the defect in its object's `defects`.
        vertices_mm, normals: Part-local, shape (V, 3), float32.
        faces: Shape (F, 3), int32.
        tone, roughness, grain: Its material.
    """

    defect: int
    vertices_mm: np.ndarray
    normals: np.ndarray
    faces: np.ndarray
    tone: float
    roughness: float
    grain: float


Cutter = tuple[int, DefectSpec, tuple[np.ndarray, np.ndarray]]


def cut_mesh(mesh: PartMesh, cutters: list[Cutter]) -> tuple[PartMesh, tuple[CutMesh, ...]]:
    """Return the mesh less the cutters' bodies, and the surfaces that they leave.

    Args:
        mesh: A closed mesh.
        cutters: (index of the defect, defect, (vertices, faces)) of each body.

    Raises:
        AssetError: The mesh is not closed.
    """
    properties = np.concatenate([mesh.vertices_mm, mesh.normals, mesh.uv], axis=1)
    body, body_id = _manifold(properties, mesh.faces)
    owner = {}
    for index, defect, (vertices, faces) in cutters:
        padded = np.zeros((len(vertices), properties.shape[1]), np.float32)
        padded[:, :3] = vertices
        padded[:, 3:6] = -_vertex_normals(vertices, faces)
        tool, tool_id = _manifold(padded, faces)
        owner[tool_id] = (index, defect)
        body = body - tool
    result = body.to_mesh()
    table = np.asarray(result.vert_properties, np.float32)
    triangles = np.asarray(result.tri_verts, np.int32)
    bounds = np.asarray(result.run_index) // 3
    kept, cuts = [], []
    for run, original in enumerate(result.run_original_id):
        faces = triangles[bounds[run] : bounds[run + 1]]
        if original in owner and len(faces):
            index, defect = owner[original]
            cuts.append(_cut(index, defect, table, faces))
        elif original == body_id:
            kept.append(faces)
    if not kept:
        raise AssetError(
            "a break removes the whole part; lower its length_mm, width_mm or depth_mm"
        )
    rows, table = _compact(np.concatenate(kept), table)
    normals = table[:, 3:6] / np.maximum(np.linalg.norm(table[:, 3:6], axis=1, keepdims=True), 1e-6)
    cut = replace(mesh, vertices_mm=table[:, :3], normals=normals, uv=table[:, 6:8], faces=rows)
    return cut, tuple(cuts)


def _manifold(properties: np.ndarray, faces: np.ndarray) -> tuple[manifold3d.Manifold, int]:
    raw = manifold3d.Mesh(
        vert_properties=np.ascontiguousarray(properties, np.float32),
        tri_verts=np.ascontiguousarray(faces, np.uint32),
    )
    raw.merge()
    body = manifold3d.Manifold(raw).as_original()
    if body.status() != manifold3d.Error.NoError:
        raise AssetError(f"the mesh cannot be cut ({body.status()}); it must be closed")
    return body, body.original_id()


def _cut(index: int, defect: DefectSpec, table: np.ndarray, faces: np.ndarray) -> CutMesh:
    rows, used = _compact(faces, table)
    return CutMesh(
        defect=index,
        vertices_mm=used[:, :3],
        normals=used[:, 3:6],
        faces=rows,
        tone=defect.values["tone"],
        roughness=defect.values["roughness"],
        grain=defect.values["grain"],
    )


def _compact(faces: np.ndarray, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    used, inverse = np.unique(faces, return_inverse=True)
    return inverse.reshape(-1, 3).astype(np.int32), table[used]


def _vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    face = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(normals, faces[:, k], face)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
