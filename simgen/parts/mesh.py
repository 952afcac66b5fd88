"""PartMesh: a triangle mesh with an isometric texture atlas, and the table of its texels."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, kw_only=True)
class TexelTable:
    """Where every texel of an atlas lies on the part.

    Attributes:
        rows, columns: Texels that lie on a chart, shape (N,), int32.
        positions_mm: Part-local position of each, shape (N, 3), float32.
        normals: Unit geometric (smooth) normal of each, shape (N, 3), float32.
        edge_mm: Distance on the chart to the nearest sharp edge, shape (N,), float32.
        edge_direction: Unit vector on the surface toward that edge, shape (N, 3), float32.
        fill: For every texel of the map, the index of the nearest of the N, shape
            (height, width), int32: `values[fill]` is a map with its gutters filled.
    """

    rows: np.ndarray
    columns: np.ndarray
    positions_mm: np.ndarray
    normals: np.ndarray
    edge_mm: np.ndarray
    edge_direction: np.ndarray
    fill: np.ndarray


@dataclass(frozen=True, kw_only=True)
class PartMesh:
    """A closed surface in part-local mm, its charts laid flat at `texel_mm` a texel.

    Attributes:
        vertices_mm: Shape (V, 3), float32; vertices on chart borders are repeated.
        normals: Shading normals, shape (V, 3), float32, unit.
        uv: Texture coordinates, shape (V, 2), float32, in [0, 1] (see `geometry`);
            charts are isometric: a length on the surface is uv distance x map size x texel_mm.
        faces: Shape (F, 3), int32, counter-clockwise seen from outside.
        creases: Vertex pairs of edges that are sharp on the real part, shape (E, 2), int32.
        map_height, map_width: Size of the atlas in texels.
        texel_mm: Length of a texel's side on the surface.
    """

    vertices_mm: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    faces: np.ndarray
    creases: np.ndarray
    map_height: int
    map_width: int
    texel_mm: float

    @cached_property
    def texels(self) -> TexelTable:
        """The texel table, built on first use."""
        from simgen.parts.texels import texel_table

        return texel_table(self)
