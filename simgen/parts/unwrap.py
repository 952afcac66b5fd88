"""Lay a smooth mesh flat in charts whose lengths are the surface's, and prove that they are.

Planes are laid flat as they are. Everything else goes through xatlas, one smooth patch
at a time, so that no chart crosses a sharp edge; a chart that stretches too much is cut
into pieces that do not.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from simgen.errors import AssetError
from simgen.parts.smooth import SmoothMesh

# How much longer or shorter a length on a chart may be than on the surface.
MAX_STRETCH = 1.15
MAX_CHARTS = 3000
_PLANE_DEG = 0.5
_CONES_DEG = (25.0, 12.0, 6.0, 3.0)
_SLIVER_MM2 = 1e-4


@dataclass(frozen=True, kw_only=True)
class Unwrapped:
    """Charts, none of them scaled.

    Attributes:
        vertex: For each vertex of the charts that of the smooth mesh, shape (W,), int64.
        flat_mm: Where it lies in its chart, shape (W, 2), float64.
        faces: The smooth mesh's faces in the charts' vertices, shape (F, 3), int64.
        chart: Chart of each face, shape (F,), int32.
        stretch: Largest and smallest ratio of a length on the charts to that on the
            surface, by area but for the last thousandth.
    """

    vertex: np.ndarray
    flat_mm: np.ndarray
    faces: np.ndarray
    chart: np.ndarray
    stretch: tuple[float, float]


def unwrap(points_mm: np.ndarray, mesh: SmoothMesh) -> Unwrapped:
    """Return the charts of a mesh.

    Args:
        points_mm: Positions of `mesh.point`, shape (P, 3).
        mesh: Split at its creases.

    Raises:
        AssetError: xatlas is missing, or the surface falls into too many charts.
    """
    positions = points_mm[mesh.point]
    normals, area = _normals(positions, mesh.faces)
    flat = np.zeros((len(mesh.faces), 3, 2))
    chart = np.full(len(mesh.faces), -1, np.int64)
    count = 0
    order = np.argsort(mesh.patch, kind="stable")
    bounds = np.searchsorted(mesh.patch[order], np.arange(int(mesh.patch.max()) + 2))
    curved = []
    for first, stop in zip(bounds[:-1], bounds[1:], strict=True):
        faces = order[first:stop]
        mean = _mean(normals[faces], area[faces])
        real = area[faces] > _SLIVER_MM2
        if (normals[faces][real] @ mean > np.cos(np.deg2rad(_PLANE_DEG))).all():
            flat[faces], chart[faces] = _projected(positions[mesh.faces[faces]], mean), count
            count += 1
        else:
            curved.append(faces)
    for faces, laid, number in _laid_by_xatlas(positions, mesh.faces, curved):
        flat[faces], chart[faces] = laid, number + count
    flat, chart = _scaled(positions, mesh.faces, flat, chart, area)
    for cone_deg in _CONES_DEG:
        flat, chart = _split_stretched(positions, mesh.faces, flat, chart, normals, area, cone_deg)
    if int(chart.max()) >= MAX_CHARTS:
        raise AssetError(
            f"its surface falls into {int(chart.max()) + 1} charts, at most {MAX_CHARTS} can be"
            " packed; smooth or decimate it, or raise crease_deg"
        )
    vertex, flat_mm, faces = _welded(mesh.faces, flat, chart)
    low, high = _stretch(positions, mesh.faces, flat)
    return Unwrapped(
        vertex=vertex,
        flat_mm=flat_mm,
        faces=faces,
        chart=chart.astype(np.int32),
        stretch=(_by_area(high, area, 0.999), _by_area(low, area, 0.001)),
    )


def _projected(corners: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Return corners (F, 3, 3) seen along a unit normal, (F, 3, 2); x cross y is the normal."""
    x = np.cross(normal, np.eye(3)[np.abs(normal).argmin()])
    x /= np.linalg.norm(x)
    return corners @ np.stack([x, np.cross(normal, x)], axis=1)


def _laid_by_xatlas(
    positions: np.ndarray, faces: np.ndarray, patches: list[np.ndarray]
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return for each patch its faces, their corners laid flat and their chart numbers."""
    if not patches:
        return []
    xatlas = _xatlas()
    atlas = xatlas.Atlas()
    for patch in patches:
        used, local = np.unique(faces[patch], return_inverse=True)
        atlas.add_mesh(positions[used].astype(np.float32), local.reshape(-1, 3).astype(np.uint32))
    options = xatlas.PackOptions()
    # Charts are packed elsewhere; here whole texels would only round their sizes.
    total = sum(float(_normals(positions, faces[p])[1].sum()) for p in patches)
    options.texels_per_unit = float(np.clip(1000 / np.sqrt(max(total, 1e-6)), 0.5, 200))
    options.rotate_charts = options.rotate_charts_to_axis = options.bilinear = False
    atlas.generate(xatlas.ChartOptions(), options)
    size = np.array([atlas.width, atlas.height]) / options.texels_per_unit
    result, number = [], 0
    for k, patch in enumerate(patches):
        _, triangles, uv = atlas.get_mesh(k)
        triangles = np.asarray(triangles, np.int64).reshape(-1, 3)
        chart = _connected(triangles, len(uv))
        result.append((patch, (np.asarray(uv, np.float64) * size)[triangles], chart + number))
        number += int(chart.max()) + 1
    return result


def _xatlas() -> Any:
    try:
        import xatlas
    except ImportError:
        raise AssetError(
            "unwrapping a part needs xatlas; install the extra: pip install 'simgen[cad]'"
        ) from None
    return xatlas


def _scaled(
    positions: np.ndarray,
    faces: np.ndarray,
    flat: np.ndarray,
    chart: np.ndarray,
    area: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return charts of the surface's own area, unmirrored, and numbered in order of faces."""
    _, chart = np.unique(chart, return_inverse=True)
    chart = chart.reshape(-1)
    signed = _signed_area(flat)
    laid = np.bincount(chart, weights=signed)
    scale = np.sqrt(np.bincount(chart, weights=area) / np.maximum(np.abs(laid), 1e-12))[chart]
    flat = flat * scale[:, None, None]
    flat[:, :, 0] *= np.where(laid < 0, -1.0, 1.0)[chart][:, None]
    return flat, chart


def _split_stretched(
    positions: np.ndarray,
    faces: np.ndarray,
    flat: np.ndarray,
    chart: np.ndarray,
    normals: np.ndarray,
    area: np.ndarray,
    cone_deg: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Cut charts that stretch into regions within a cone of normals, laid flat by projection."""
    low, high = _stretch(positions, faces, flat)
    bad = (high > MAX_STRETCH) | (low < 1 / MAX_STRETCH)
    bad = (bad & (area > _SLIVER_MM2)) | (_signed_area(flat) < 0)
    count = int(chart.max()) + 1
    for number in np.unique(chart[bad]):
        members = np.flatnonzero(chart == number)
        for region in _cones(faces, members, normals, area, cone_deg):
            laid = _projected(positions[faces[region]], _mean(normals[region], area[region]))
            ratio = area[region].sum() / max(abs(_signed_area(laid).sum()), 1e-12)
            flat[region], chart[region] = laid * np.sqrt(ratio), count
            count += 1
    _, chart = np.unique(chart, return_inverse=True)
    return flat, chart.reshape(-1)


def _mean(normals: np.ndarray, area: np.ndarray) -> np.ndarray:
    mean = (normals * area[:, None]).sum(axis=0)
    return mean / max(float(np.linalg.norm(mean)), 1e-300)


def _cones(
    faces: np.ndarray,
    members: np.ndarray,
    normals: np.ndarray,
    area: np.ndarray,
    cone_deg: float,
) -> list[np.ndarray]:
    """Return connected regions of faces whose normals lie within a cone about the first's."""
    limit = np.cos(np.deg2rad(cone_deg))
    around = _adjacent(faces[members])
    left = np.ones(len(members), bool)
    regions = []
    for seed in np.argsort(-area[members], kind="stable").tolist():
        if not left[seed]:
            continue
        left[seed] = False
        region, edge = [seed], [seed]
        while edge:
            here = edge.pop()
            for other in around[here]:
                fits = normals[members[other]] @ normals[members[seed]] > limit
                if left[other] and (fits or area[members[other]] <= _SLIVER_MM2):
                    left[other] = False
                    region.append(other)
                    edge.append(other)
        regions.append(members[np.sort(region)])
    return regions


def _adjacent(faces: np.ndarray) -> list[list[int]]:
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    owner = np.tile(np.arange(len(faces)), 3)
    order = np.lexsort((owner, edges[:, 1], edges[:, 0]))
    edges, owner = edges[order], owner[order]
    same = np.flatnonzero((edges[1:] == edges[:-1]).all(axis=1))
    around: list[list[int]] = [[] for _ in faces]
    for a, b in zip(owner[same].tolist(), owner[same + 1].tolist(), strict=True):
        around[a].append(b)
        around[b].append(a)
    return around


def _stretch(
    positions: np.ndarray, faces: np.ndarray, flat: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and largest ratio of flat to real length in each face, (F,) each."""
    a, b, c = (positions[faces[:, k]] for k in range(3))
    base = np.linalg.norm(b - a, axis=1)
    x = (b - a) / np.maximum(base, 1e-12)[:, None]
    along = np.einsum("ij,ij->i", c - a, x)
    height = np.linalg.norm(c - a - along[:, None] * x, axis=1)
    first = (flat[:, 1] - flat[:, 0]) / np.maximum(base, 1e-12)[:, None]
    second = (flat[:, 2] - flat[:, 0] - along[:, None] * first) / np.maximum(height, 1e-12)[:, None]
    e = np.einsum("ij,ij->i", first, first)
    g = np.einsum("ij,ij->i", second, second)
    f = np.einsum("ij,ij->i", first, second)
    middle, spread = (e + g) / 2, np.hypot((e - g) / 2, f)
    return np.sqrt(np.maximum(middle - spread, 0)), np.sqrt(middle + spread)


def _by_area(values: np.ndarray, area: np.ndarray, share: float) -> float:
    order = np.argsort(values)
    reached = np.cumsum(area[order]) / area.sum()
    return float(values[order][min(int(np.searchsorted(reached, share)), len(order) - 1)])


def _normals(positions: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b, c = (positions[faces[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    length = np.linalg.norm(normal, axis=1)
    return normal / np.maximum(length, 1e-300)[:, None], length / 2


def _signed_area(flat: np.ndarray) -> np.ndarray:
    p, q = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
    return (p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]) / 2


def _connected(faces: np.ndarray, count: int) -> np.ndarray:
    """Return a number for each face, equal where faces share vertices."""
    ends = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]])
    graph = coo_matrix((np.ones(len(ends), bool), (ends[:, 0], ends[:, 1])), (count, count))
    _, number = np.unique(
        connected_components(graph, directed=False)[1][faces[:, 0]], return_inverse=True
    )
    return number.reshape(-1)


def _welded(
    faces: np.ndarray, flat: np.ndarray, chart: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the vertices of all charts: corners of one vertex of the mesh in one chart are one.

    Where a chart closes on itself along a cut, the two sides stay apart.
    """
    place = flat.reshape(-1, 2)
    key = np.stack([faces.reshape(-1), np.repeat(chart, 3)], axis=1)
    _, first, inverse = np.unique(key, axis=0, return_index=True, return_inverse=True)
    there = place[first][inverse.reshape(-1)]
    away = np.abs(place - there).max(axis=1) > 1e-3
    side = np.where(away[:, None], np.round(place * 100).astype(np.int64), 0)
    key = np.concatenate([key, away[:, None], side], axis=1)
    _, first, inverse = np.unique(key, axis=0, return_index=True, return_inverse=True)
    return faces.reshape(-1)[first], place[first], inverse.reshape(-1, 3)


def upright(flat: np.ndarray) -> np.ndarray:
    """Return a chart's points (W, 2) turned so that they fill their bounding box best."""
    (_, _), _, angle = cv2.minAreaRect(flat.astype(np.float32))
    a = np.deg2rad(-angle)
    return flat @ np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
