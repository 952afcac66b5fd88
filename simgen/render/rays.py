"""What rays through pixels hit: meshes of a scene, and the label pass from triangles struck."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simgen.defects.surface import Surface
from simgen.render.buffers import LabelBuffers
from simgen.scene.spec import CameraSpec


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One mesh of an object: where it is, and what the label pass says of it.

    Attributes:
        id: Instance id.
        cut: 1 + index of the defect whose body this is, 0 for the part.
        world_mm: Where its vertices stand, shape (V, 3), float64.
        local_mm, normals: Of the undamaged part, which labels are measured on, (V, 3).
        world_normals: As it is now, shape (V, 3), float64.
        faces: Shape (F, 3).
        hair_mm: Radius of what may be thinner than a pixel, else 0.
    """

    id: int
    cut: int
    world_mm: np.ndarray
    local_mm: np.ndarray
    normals: np.ndarray
    world_normals: np.ndarray
    faces: np.ndarray
    hair_mm: float = 0.0


def pieces_of(k: int, matrix: np.ndarray, surface: Surface) -> list[Piece]:
    """Return the meshes of object `k`, which stands at `matrix`: its part, then its bodies."""
    mesh = surface.mesh
    rest = surface.rest if surface.rest is not None else mesh
    meshes = [(0, mesh.vertices_mm, mesh.normals, rest.vertices_mm, rest.normals, mesh.faces, 0.0)]
    for body in surface.bodies:
        at, up = body.vertices_mm, body.normals
        meshes.append((1 + body.defect, at, up, at, up, body.faces, body.hair_mm))
    turn = matrix[:3, :3].T
    return [
        Piece(
            id=k + 1,
            cut=cut,
            world_mm=vertices.astype(np.float64) @ turn + matrix[:3, 3],
            local_mm=local.astype(np.float64),
            normals=was.astype(np.float64),
            world_normals=normals.astype(np.float64) @ turn,
            faces=faces,
            hair_mm=hair,
        )
        for cut, vertices, normals, local, was, faces, hair in meshes
    ]


class Pieces:
    """Meshes joined into one, and the label pass of rays that strike its triangles.

    Attributes:
        world_mm: Vertices, shape (V, 3), float64.
        faces: Shape (F, 3), int64.
    """

    def __init__(self, pieces: Sequence[Piece]) -> None:
        starts = np.cumsum([0] + [len(p.world_mm) for p in pieces])
        self.world_mm = np.concatenate([p.world_mm for p in pieces])
        self.faces = np.concatenate(
            [p.faces.astype(np.int64) + s for p, s in zip(pieces, starts, strict=False)]
        )
        self._local = np.concatenate([p.local_mm for p in pieces])
        self._normals = np.concatenate([p.normals for p in pieces])
        self._ids = np.concatenate([np.full(len(p.faces), p.id, np.uint32) for p in pieces])
        self._cuts = np.concatenate([np.full(len(p.faces), p.cut, np.uint32) for p in pieces])

    def buffers(
        self, camera: CameraSpec, shape: tuple[int, int], hit: np.ndarray, directions: np.ndarray
    ) -> LabelBuffers:
        """Return the label pass of rays from the camera.

        Args:
            camera: Where the rays begin.
            shape: Rows and columns of pixels.
            hit: The first triangle that each pixel's ray strikes, -1 for none, shape
                (rows * columns,).
            directions: Unit, in the world, shape (rows * columns, 3), float64.
        """
        eye = np.asarray(camera.pose.position_mm, np.float64)
        at = np.flatnonzero(hit >= 0)
        hit, directions = hit[at], directions[at]
        corners = self.faces[hit]
        weights, distance = _on_triangles(self.world_mm[corners], eye, directions)
        forward = camera.pose.matrix()[:3, 2]
        normals = np.einsum("nc,nci->ni", weights, self._normals[corners])
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        return LabelBuffers(
            ids=_image(shape, at, self._ids[hit]),
            cut=_image(shape, at, self._cuts[hit]),
            position_mm=_image(shape, at, np.einsum("nc,nci->ni", weights, self._local[corners])),
            depth_mm=_image(shape, at, distance * (directions @ forward)),
            normal=_image(shape, at, normals),
        )


def _on_triangles(
    corners: np.ndarray, eye: np.ndarray, directions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return barycentric weights (N, 3) and distances (N,) where rays meet triangles' planes."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    u, v = b - a, c - a
    across = np.cross(directions, v)
    volume = np.einsum("ni,ni->n", u, across)
    volume = np.where(np.abs(volume) < 1e-18, 1e-18, volume)
    offset = eye - a
    second = np.einsum("ni,ni->n", offset, across) / volume
    turned = np.cross(offset, u)
    third = np.einsum("ni,ni->n", directions, turned) / volume
    distance = np.einsum("ni,ni->n", v, turned) / volume
    weights = np.clip(np.stack([1 - second - third, second, third], axis=1), 0, 1)
    return weights / weights.sum(axis=1, keepdims=True), distance


def _image(shape: tuple[int, int], at: np.ndarray, values: np.ndarray) -> np.ndarray:
    kind = np.uint32 if values.dtype == np.uint32 else np.float32
    image = np.zeros((shape[0] * shape[1], *values.shape[1:]), kind)
    image[at] = values
    return image.reshape(*shape, *values.shape[1:])
