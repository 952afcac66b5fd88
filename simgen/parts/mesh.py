"""PartMesh: a triangle mesh with an isometric texture atlas, and the table of its texels."""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Literal

import numpy as np

from simgen.geometry import Vec3


@dataclass(frozen=True, kw_only=True)
class TexelTable:
    """Where every texel of an atlas lies on the part.

    Attributes:
        rows, columns: Texels that lie on a chart, shape (N,), int32.
        positions_mm: Part-local position of each, shape (N, 3), float32.
        normals: Unit geometric (smooth) normal of each, shape (N, 3), float32.
        edge_mm: Distance on the chart to the nearest sharp edge, shape (N,), float32.
        edge_direction: Unit vector on the surface toward that edge, shape (N, 3), float32.
        face: The mesh's face that each lies on, shape (N,), int32.
        fill: For every texel of the map, the index of the nearest of the N, shape
            (height, width), int32: `values[fill]` is a map with its gutters filled.
    """

    rows: np.ndarray
    columns: np.ndarray
    positions_mm: np.ndarray
    normals: np.ndarray
    edge_mm: np.ndarray
    edge_direction: np.ndarray
    face: np.ndarray
    fill: np.ndarray

    @cached_property
    def nbytes(self) -> int:
        """Memory of all columns."""
        return sum(getattr(self, f.name).nbytes for f in fields(self))


@dataclass(frozen=True, kw_only=True)
class FaceTraits:
    """What is known of the faces of a part from a user's file.

    Attributes:
        patch: Smooth region of each face, bounded by creases, shape (F,), int32.
        crease_patch: The region that each of the mesh's creases bounds, shape (E,), int32.
        groups: Names that the file gives to faces, each a mask of shape (F,).
        uv: The file's own texture coordinates by corner, v upwards, (F, 3, 2) or None.
        colours: The file's colours by corner in [0, 1], (F, 3, 3) or None.
        stretch: Largest and smallest ratio of a length on the charts to the surface's.
    """

    patch: np.ndarray
    crease_patch: np.ndarray
    groups: dict[str, np.ndarray]
    uv: np.ndarray | None
    colours: np.ndarray | None
    stretch: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Feature:
    """A hole, a tooth or the like that a part may lack by mistake.

    Attributes:
        kind: What it is: "hole", "tooth".
        name: Unique on its part.
        anchor_mm: Part-local: the middle of a hole's mouth, or where a tooth stands.
        axis: Unit vector out of the part there.
        size_mm: Its own dimensions.
        body: The closed solid that fills the hole or takes the tooth away: vertices (V, 3)
            and faces (F, 3), exactly as large as the gap that it fills.
        operation: Whether the part without the feature has the body too or lacks it.
    """

    kind: str
    name: str
    anchor_mm: Vec3
    axis: Vec3
    size_mm: dict[str, float]
    body: tuple[np.ndarray, np.ndarray]
    operation: Literal["fill", "remove"]


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
        traits: What a user's file says of its faces; its charts are isometric to within
            `traits.stretch`.
        features: What the part may lack by mistake.
    """

    vertices_mm: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    faces: np.ndarray
    creases: np.ndarray
    map_height: int
    map_width: int
    texel_mm: float
    traits: FaceTraits | None = None
    features: tuple[Feature, ...] = ()

    @cached_property
    def texels(self) -> TexelTable:
        """The texel table, built on first use."""
        from simgen.parts.texels import texel_table

        return texel_table(self)

    def texels_bytes(self) -> int:
        """Return the memory of the texel table, 0 while there is none."""
        table = self.__dict__.get("texels")
        return 0 if table is None else table.nbytes

    def free_texels(self) -> None:
        """Free the texel table; whoever asks for it next builds it again."""
        self.__dict__.pop("texels", None)


def number_points(positions: np.ndarray) -> np.ndarray:
    """Return a number for each vertex (V, 3) that equal positions share, shape (V,), int64."""
    # Adding zero makes -0.0 and 0.0 the same bits.
    rows = np.ascontiguousarray(positions + 0.0)
    order = np.lexsort(rows.T)
    new = np.any(rows[order][1:] != rows[order][:-1], axis=1)
    number = np.empty(len(rows), np.int64)
    number[order] = np.concatenate([[0], np.cumsum(new)])
    return number
