"""The surface of a plug: the part's finish goes on over it as if the hole had never been."""

from dataclasses import replace

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from simgen.defects.bodies import BodySurface, vertex_normals
from simgen.finishes import Layers, bake_finish, to_maps
from simgen.parts.build import join
from simgen.parts.chart import Chart
from simgen.parts.edges import FAR_MM
from simgen.parts.mesh import TexelTable
from simgen.scene.spec import FinishSpec

# Finishes round and wear an edge no farther from it than this.
_EDGE_MM = 3.0


def finished(
    plug: BodySurface, texels: TexelTable, texel_mm: float, finish: FinishSpec
) -> tuple[BodySurface, np.ndarray, Layers]:
    """Return a plug's surface with maps of its own, and the part's texels around it anew.

    Both are baked together with the whole part, so that lines run on across the rim, and
    the rim's rounded edge is gone.

    Args:
        plug: What shows of it, with corners of its own.
        texels, texel_mm: The part's.
        finish: The part's.

    Returns:
        The surface, indices of the part's texels that change, and their material.
    """
    patch = join(_caps(plug), texel_mm)
    own = patch.texels
    low, high = plug.vertices_mm.min(axis=0) - 0.1, plug.vertices_mm.max(axis=0) + 0.1
    near = np.flatnonzero(texels.edge_mm < _EDGE_MM)
    edge = texels.positions_mm[near] + texels.edge_mm[near, None] * texels.edge_direction[near]
    near = near[((edge > low) & (edge < high)).all(axis=1)]
    edge_mm, count = texels.edge_mm.copy(), len(texels.rows)
    edge_mm[near] = FAR_MM
    both = TexelTable(
        **{
            name: np.concatenate([getattr(texels, name), getattr(own, name)])
            for name in ("rows", "columns", "positions_mm", "normals", "edge_direction", "face")
        },
        edge_mm=np.concatenate([edge_mm, np.full(len(own.rows), FAR_MM, np.float32)]),
        fill=own.fill,
    )
    layers = bake_finish(finish, both)
    maps = to_maps(layers.take(np.arange(count, count + len(own.rows))), own)
    surface = replace(
        plug,
        vertices_mm=patch.vertices_mm,
        normals=patch.normals,
        faces=patch.faces,
        shade=patch.uv,
        look=None,
        maps=maps,
    )
    return surface, near, layers.take(near)


def _caps(plug: BodySurface) -> list[Chart]:
    """Return the connected pieces of a plug's surface, each laid flat along its mean normal."""
    vertices, number = np.unique(plug.vertices_mm, axis=0, return_inverse=True)
    faces = number.reshape(-1)[plug.faces].astype(np.int64)
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]])
    graph = coo_matrix((np.ones(len(pairs), bool), tuple(pairs.T)), (len(vertices),) * 2)
    piece = connected_components(graph, directed=False)[1][faces[:, 0]]
    charts = []
    for k in range(int(piece.max()) + 1):
        used, index = np.unique(faces[piece == k], return_inverse=True)
        own, at = index.reshape(-1, 3), vertices[used].astype(np.float64)
        normals = vertex_normals(at, own)
        n = normals.mean(axis=0)
        n /= np.linalg.norm(n)
        x = np.cross(n, (0.0, 0.0, 1.0) if abs(n[2]) < 0.9 else (0.0, 1.0, 0.0))
        x /= np.linalg.norm(x)
        flat = at @ np.stack([x, np.cross(n, x)], axis=1)
        charts.append(Chart(vertices_mm=at, normals=normals, flat_mm=flat, faces=own))
    return charts
