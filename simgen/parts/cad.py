"""A user's mesh file, read and checked: closed, outward, one body, a believable size."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from simgen.config import suggest
from simgen.errors import AssetError
from simgen.parts.cad_formats import READERS, Soup, read_soup
from simgen.parts.weld import weld, without_slivers
from simgen.scene.files import read_noted
from simgen.scene.spec import FileSpec

MM_OF_UNIT = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "inch": 25.4}
SMALLEST_MM, LARGEST_MM = 1.0, 2000.0
MAX_FACES = 100_000


@dataclass(frozen=True, kw_only=True)
class CadMesh:
    """A closed mesh in mm, its bounding box centred on the origin.

    Attributes:
        points_mm: Shape (P, 3), float64.
        faces: Shape (F, 3), int64, counter-clockwise from outside.
        groups: Names that the file gives to faces, each a mask of shape (F,).
        uv: The file's own texture coordinates by corner, v upwards, (F, 3, 2) or None.
        colours: Colours by corner in [0, 1], (F, 3, 3) or None.
    """

    points_mm: np.ndarray
    faces: np.ndarray
    groups: dict[str, np.ndarray]
    uv: np.ndarray | None
    colours: np.ndarray | None


def require_known_format(path: str) -> str:
    """Return a mesh file's extension in lower case.

    Raises:
        AssetError: It is none that can be read.
    """
    extension = Path(path).suffix.lower()
    if extension not in READERS:
        known = ", ".join(sorted(READERS))
        tail = suggest(extension, READERS) if extension else f"; give it one of {known}"
        if extension == ".gltf":
            tail = "; export it as .glb, which is one file"
        raise AssetError(f"{path}: no mesh format ends in {extension or 'nothing'!r}{tail}")
    return extension


def read_unchanged(file: FileSpec) -> bytes:
    """Return what a file holds.

    Raises:
        AssetError: The file is missing, or has changed since its SHA-256 was noted.
    """
    return read_noted(file.path, file.sha256)


def load_cad(file: FileSpec, data: bytes) -> CadMesh:
    """Return the mesh of a file that holds `data`.

    Raises:
        AssetError: The data cannot be read, or hold no closed single body of a
            believable size; one line that names the file and the remedy.
    """
    extension = require_known_format(file.path)
    try:
        soup = read_soup(data, extension, unit=file.unit, chord_mm=file.chord_mm)
    except AssetError as error:
        raise AssetError(f"{file.path}: {error}") from None
    except Exception as error:  # Parsers raise whatever they stumble over.
        reason = (str(error).splitlines() or [""])[0][:120] or type(error).__name__
        raise AssetError(
            f"{file.path}: cannot be read as {extension[1:].upper()} ({reason}); export it again"
        ) from None
    try:
        return _checked(soup, extension, file.unit)
    except AssetError as error:
        raise AssetError(f"{file.path}: {error}") from None


def _checked(soup: Soup, extension: str, unit: str) -> CadMesh:
    corners = soup.corners
    if not len(corners):
        raise AssetError("holds no triangles; export the part as a solid or a mesh")
    if not np.isfinite(corners).all():
        raise AssetError("some vertices are not numbers; repair and export it again")
    if len(corners) > MAX_FACES:
        raise AssetError(
            f"{len(corners)} triangles, at most {MAX_FACES} can be unwrapped;"
            " decimate it, or export it with a coarser tolerance"
        )
    # A STEP file is read in mm whatever its own unit.
    if extension not in (".step", ".stp"):
        corners = corners * MM_OF_UNIT[unit]
    low, high = corners.min(axis=(0, 1)), corners.max(axis=(0, 1))
    _require_size(float((high - low).max()), unit)
    corners = corners - (low + high) / 2
    tolerance = float(np.clip(1e-5 * np.linalg.norm(high - low), 1e-4, 2e-3))
    points, faces = weld(corners, tolerance)
    real = (faces != np.roll(faces, 1, axis=1)).all(axis=1)
    faces = faces[real]
    _require_closed(faces, points)
    faces, source, weights = without_slivers(points, faces, tolerance)
    kept = np.flatnonzero(real)

    def carried(values: np.ndarray | None) -> np.ndarray | None:
        if values is None:
            return None
        return np.einsum("fcw,fcwd->fcd", weights, values[kept][source]).astype(np.float32)

    return CadMesh(
        points_mm=points,
        faces=faces,
        groups={n: mask[kept][source[:, 0]] for n, mask in sorted(soup.groups.items())},
        uv=carried(soup.uv),
        colours=carried(soup.colours),
    )


def _require_size(side_mm: float, unit: str) -> None:
    if SMALLEST_MM <= side_mm <= LARGEST_MM:
        return
    fitting = [
        f"unit={other} would make it {side_mm / MM_OF_UNIT[unit] * factor:.3g} mm"
        for other, factor in MM_OF_UNIT.items()
        if SMALLEST_MM <= side_mm / MM_OF_UNIT[unit] * factor <= LARGEST_MM
    ]
    raise AssetError(
        f"its longest side is {side_mm:.3g} mm with unit={unit}, a part has"
        f" {SMALLEST_MM:g} to {LARGEST_MM:g}; {', '.join(fitting) or 'scale it'}"
    )


def _require_closed(faces: np.ndarray, points: np.ndarray) -> None:
    """Check that every edge has one face on either side, all seen from outside, one body."""
    count = len(points)
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    forward, times = np.unique(edges[:, 0] * count + edges[:, 1], return_counts=True)
    either = np.sort(edges, axis=1)
    _, sides = np.unique(either[:, 0] * count + either[:, 1], return_counts=True)
    if (sides == 1).any():
        raise AssetError(
            f"is not closed, {(sides == 1).sum()} edges have a face on one side only;"
            " close its holes, or export it as a solid"
        )
    if (sides > 2).any():
        raise AssetError(
            f"{(sides > 2).sum()} edges have more than two faces;"
            " remove double or inner faces, or export it as a solid"
        )
    if (times > 1).any():
        raise AssetError(
            "neighbouring faces look to opposite sides; make its normals consistent"
            " (in Blender: recalculate outside)"
        )
    ends = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]])
    graph = coo_matrix((np.ones(len(ends), bool), (ends[:, 0], ends[:, 1])), (count, count))
    _, body = connected_components(graph, directed=False)
    bodies = len(np.unique(body[faces[:, 0]]))
    if bodies > 1:
        raise AssetError(
            f"holds {bodies} separate bodies; export one part a file, without inner voids"
        )
    a, b, c = (points[faces[:, k]] for k in range(3))
    if np.einsum("ij,ij->", a, np.cross(b, c)) <= 0:
        raise AssetError("is inside out; flip its normals (in Blender: recalculate outside)")
