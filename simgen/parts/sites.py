"""Sites: where on a part a defect or a mark may be put, drawn uniformly by area."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from simgen.geometry import Vec3, to_vec3
from simgen.parts.mesh import Feature, PartMesh, TexelTable

_TRIES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A point on a part with its surface frame.

    Attributes:
        anchor_mm: Part-local position.
        normal: Unit normal there.
        tangent: Unit vector along the surface, as near to the process direction as it gets.
        edge_mm: Distance along the surface to the nearest sharp edge; `texels.FAR_MM` for none.
        edge_direction: Unit vector along the surface toward that edge, zero for none.
        tone: Mean linear brightness of the finish, in [0, 1].
        feature: The hole, tooth or the like that this is the place of, if any.
    """

    anchor_mm: Vec3
    normal: Vec3
    tangent: Vec3
    edge_mm: float
    edge_direction: Vec3
    tone: float = 0.4
    feature: Feature | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a defect kind occurs by itself; a module says it as `PLACEMENT`.

    Attributes:
        edge_mm: Nearest and farthest distance to a sharp edge, mm.
        on_feature: On a hole, a tooth or the like, rather than anywhere on the surface.
    """

    edge_mm: tuple[float, float] = (1.5, math.inf)
    on_feature: bool = False


def pick_site(
    rng: np.random.Generator,
    mesh: PartMesh,
    *,
    edge_mm: tuple[float, float] = (0.0, math.inf),
    facing: Sequence[Vec3] = (),
    cone_deg: float = 60.0,
    process_direction: Vec3 = (0.0, 1.0, 0.0),
    where: Callable[[TexelTable], np.ndarray] | None = None,
) -> Site | None:
    """Draw a site uniformly by area among the places that satisfy every condition.

    Args:
        rng: Generator of this draw.
        mesh: The part; shapes with stretched charts (bench, sphere) are drawn by map area.
        edge_mm: Nearest and farthest distance to a sharp edge, mm, both included.
        facing: Part-local directions; the normal lies within `cone_deg` of one of them.
            Empty for any normal.
        cone_deg: Half angle of those cones.
        process_direction: Part-local; its projection to the surface is the tangent.
        where: Further predicate, texel table to a boolean mask of shape (N,).

    Returns:
        The site, or None where no place satisfies the conditions.
    """
    table = mesh.texels
    fits = (table.edge_mm >= edge_mm[0]) & (table.edge_mm <= edge_mm[1])
    if len(facing):
        directions = np.asarray(facing, dtype=np.float32)
        directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        limit = math.cos(math.radians(cone_deg))
        fits &= (table.normals @ directions.T).max(axis=1) >= limit
    if where is not None:
        fits &= where(table)
    candidates = np.flatnonzero(fits)
    if not len(candidates):
        return None
    for _ in range(_TRIES):
        texel = int(candidates[rng.integers(len(candidates))])
        if _centre_on_chart(mesh, int(table.columns[texel]), int(table.rows[texel])):
            return _site(table, texel, process_direction)
    return None


def pick_feature(
    rng: np.random.Generator,
    mesh: PartMesh,
    *,
    facing: Sequence[Vec3] = (),
    cone_deg: float = 60.0,
    process_direction: Vec3 = (0.0, 1.0, 0.0),
    where: Callable[[TexelTable], np.ndarray] | None = None,
) -> Site | None:
    """Draw one of a part's features as a site; a hole that goes through is seen from both ends.

    Args:
        facing, cone_deg, process_direction: See `pick_site`.
        where: Predicate, texel table to a mask; a feature fits where the nearest texel of
            the surface around it does.

    Returns:
        The site, or None where no feature faces the right way.
    """
    limit = math.cos(math.radians(cone_deg))
    fits = []
    for feature in mesh.features:
        through = feature.size_mm.get("through_mm", 0.0)
        ends = [(feature.anchor_mm, feature.axis)]
        if through > 0:
            ends.append(
                (
                    to_vec3(np.asarray(feature.anchor_mm) - through * np.asarray(feature.axis)),
                    to_vec3(-np.asarray(feature.axis)),
                )
            )
        for anchor, axis in ends:
            cosine = [np.dot(axis, d) / np.linalg.norm(d) for d in facing]
            if (not cosine or max(cosine) >= limit) and _near(mesh, anchor, axis, where):
                fits.append((feature, anchor, axis))
    if not fits:
        return None
    feature, anchor, axis = fits[int(rng.integers(len(fits)))]
    return Site(
        anchor_mm=anchor,
        normal=axis,
        tangent=to_vec3(surface_tangent(np.asarray(axis), process_direction)),
        edge_mm=0.0,
        edge_direction=(0.0, 0.0, 0.0),
        feature=feature,
    )


def _near(
    mesh: PartMesh, anchor: Vec3, axis: Vec3, where: Callable[[TexelTable], np.ndarray] | None
) -> bool:
    """Return whether the surface nearest to a feature, facing as it does, fits a predicate."""
    if where is None:
        return True
    table = mesh.texels
    facing = np.flatnonzero(table.normals @ np.asarray(axis, np.float32) > 0.7)
    if not len(facing):
        return False
    offset = table.positions_mm[facing] - np.asarray(anchor, np.float32)
    nearest = facing[np.argmin(np.einsum("ij,ij->i", offset, offset))]
    return bool(where(table)[nearest])


def surface_tangent(normal: np.ndarray, direction: Sequence[float]) -> np.ndarray:
    """Return `direction` projected to the plane of a unit `normal`, unit length, shape (3,).

    A direction along the normal is replaced by x, or by y where that fails as well.
    """
    n = np.asarray(normal, dtype=np.float64)
    for candidate in (direction, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)):
        d = np.asarray(candidate, dtype=np.float64)
        tangent = d - (d @ n) * n
        length = np.linalg.norm(tangent)
        if length > 1e-3 * np.linalg.norm(d):
            return tangent / length
    raise ValueError(f"normal {tuple(n)} is not a unit vector")


def _site(table: TexelTable, texel: int, process_direction: Vec3) -> Site:
    normal = table.normals[texel].astype(np.float64)
    normal /= np.linalg.norm(normal)
    return Site(
        anchor_mm=to_vec3(table.positions_mm[texel]),
        normal=to_vec3(normal),
        tangent=to_vec3(surface_tangent(normal, process_direction)),
        edge_mm=float(table.edge_mm[texel]),
        edge_direction=to_vec3(table.edge_direction[texel]),
    )


def _centre_on_chart(mesh: PartMesh, column: int, row: int) -> bool:
    """Whether a texel's centre lies on a face; texels at a border may stick out."""
    size = np.array([mesh.map_width, mesh.map_height])
    x, y = (mesh.uv * size - (column + 0.5, row + 0.5)).T
    inside = np.ones(len(mesh.faces), bool)
    for k in range(3):
        a, b = mesh.faces[:, k], mesh.faces[:, (k + 1) % 3]
        inside &= x[a] * y[b] - y[a] * x[b] >= 0
    return bool(inside.any())
