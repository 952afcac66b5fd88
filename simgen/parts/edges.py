"""Distance to sharp edges on a part from a file, across the seams of its charts."""

import numpy as np
from scipy.spatial import cKDTree

from simgen.parts.mesh import FaceTraits, PartMesh

FAR_MM = 1e6
_NEAREST = 3


def edges_by_patch(
    mesh: PartMesh,
    traits: FaceTraits,
    face: np.ndarray,
    positions_mm: np.ndarray,
    normals: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance to and the direction of the nearest crease of each texel's own region.

    A straight line through the part would be shorter than the way along the surface
    where a region bends; on planes it is exact, on cylinders nearly so close to an edge.
    Creases of other regions do not count, so that nothing reaches through a thin wall.

    Args:
        mesh: Gives the creases.
        traits: Of its faces.
        face: Of each texel, shape (N,).
        positions_mm, normals: Of each texel, shape (3, N).

    Returns:
        Distance in mm, (N,), and unit direction along the surface, (3, N), float32;
        `FAR_MM` and zero where a region has no crease.
    """
    count = len(face)
    distance = np.full(count, FAR_MM, np.float32)
    direction = np.zeros((3, count), np.float32)
    ends = mesh.vertices_mm.astype(np.float64)[mesh.creases]
    owner = traits.patch[face]
    order = np.argsort(owner, kind="stable")
    sorted_owner = owner[order]
    for patch in np.unique(traits.crease_patch):
        first, stop = np.searchsorted(sorted_owner, [patch, patch + 1])
        texels = order[first:stop]
        if not len(texels):
            continue
        at = positions_mm[:, texels].T.astype(np.float64)
        gap = _gaps(at, ends[traits.crease_patch == patch], max(4 * mesh.texel_mm, 0.5))
        length = np.linalg.norm(gap, axis=1)
        n = normals[:, texels].T
        along = gap - np.einsum("ij,ij->i", gap, n)[:, None] * n
        norm = np.linalg.norm(along, axis=1)
        distance[texels] = length
        direction[:, texels] = (along / np.maximum(norm, 1e-9)[:, None]).T
    return distance, direction


def _gaps(points: np.ndarray, ends: np.ndarray, spacing_mm: float) -> np.ndarray:
    """Return the step from each point to the nearest of the segments `ends` (E, 2, 3)."""
    along = ends[:, 1] - ends[:, 0]
    length = np.linalg.norm(along, axis=1)
    pieces = np.maximum(np.ceil(length / spacing_mm).astype(int), 1)
    segment = np.repeat(np.arange(len(ends)), pieces)
    place = np.arange(len(segment)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    share = (place + 0.5) / pieces[segment]
    samples = ends[segment, 0] + share[:, None] * along[segment]
    k = min(_NEAREST, len(samples))
    _, found = cKDTree(samples).query(points, k=k)
    found = segment[np.asarray(found).reshape(len(points), k)]
    best = np.full(len(points), np.inf)
    result = np.zeros_like(points)
    for column in found.T:
        start, step = ends[column, 0], along[column]
        t = np.einsum("ij,ij->i", points - start, step)
        t = np.clip(t / np.maximum(length[column] ** 2, 1e-18), 0, 1)
        gap = start + t[:, None] * step - points
        square = np.einsum("ij,ij->i", gap, gap)
        nearer = square < best
        best[nearer], result[nearer] = square[nearer], gap[nearer]
    return result
