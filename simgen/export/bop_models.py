"""BOP's object models: one for each shape that parts have, and silhouettes of them."""

import json
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import cdist

from simgen.config import to_plain
from simgen.errors import DatasetError
from simgen.parts.build import build_mesh
from simgen.parts.mesh import PartMesh
from simgen.scene.spec import ShapeSpec, content_hash

# Who trains on BOP loads all models; more than these are no set of objects any more.
MOST_MODELS = 20_000
_KEPT = 32
_NEAR_MM = 1.0
_AT_ONCE = 2_000


@dataclass(frozen=True, kw_only=True)
class Model:
    """A part's mesh, moved so that the middle of its bounding box is the origin.

    Attributes:
        number: BOP's `obj_id`, from 1.
        middle_mm: That middle in part-local coordinates, shape (3,).
        vertices_mm: Shape (V, 3), float32.
        faces: Shape (F, 3).
    """

    number: int
    middle_mm: np.ndarray
    vertices_mm: np.ndarray
    faces: np.ndarray


class Models:
    """The models of an export, written as they turn up; few are in memory.

    Args:
        folder: `models/` of the export.
        comment: Where they come from, one line.
    """

    def __init__(self, folder: Path, comment: str) -> None:
        self._folder = folder
        self._comment = comment
        self._numbers: dict[bytes, int] = {}
        self._info: dict[int, dict[str, float]] = {}
        self._shapes: dict[int, dict[str, Any]] = {}
        self._kept: OrderedDict[int, tuple[Model, Any]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._numbers)

    def of(self, shape: ShapeSpec, category: str) -> Model:
        """Return the model of a shape, writing it if it is new.

        Raises:
            DatasetError: There are too many.
            ConfigError, AssetError: The shape cannot be built, see `parts.build`.
        """
        return self._model(shape, category)[0]

    def silhouette(
        self,
        shape: ShapeSpec,
        category: str,
        rotation: np.ndarray,
        translation_mm: np.ndarray,
        k: np.ndarray,
        size: tuple[int, int],
    ) -> tuple[np.ndarray, tuple[int, int]]:
        """Return which pixels a model covers, unhidden, at their centres.

        Args:
            shape, category: See `of`.
            rotation, translation_mm: Camera from model, shapes (3, 3) and (3,).
            k: Camera matrix, shape (3, 3).
            size: Of the image, (height, width).

        Returns:
            Bool, shape (h, w), and the pixel (x, y) of its first one: of a window that holds
            the model as far as an image three times as wide and as high around this one does.
        """
        model, rays = self._model(shape, category)
        x0, y0, x1, y1 = _window(model, rotation, translation_mm, k, size)
        if x0 >= x1 or y0 >= y1:
            return np.zeros((0, 0), bool), (0, 0)
        rows, columns = np.mgrid[y0:y1, x0:x1]
        pixels = np.stack([columns.ravel(), rows.ravel(), np.ones(rows.size)], axis=1)
        directions = pixels @ np.linalg.inv(k).T @ rotation
        origins = np.broadcast_to(-translation_mm @ rotation, directions.shape)
        covered = np.asarray(rays.intersects_any(origins, directions))
        return covered.reshape(rows.shape), (x0, y0)

    def finish(self) -> None:
        """Write models_info.json, and shapes.json, which says what each model is."""
        write_records(self._folder / "models_info.json", self._info)
        write_records(self._folder / "shapes.json", self._shapes)

    def _model(self, shape: ShapeSpec, category: str) -> tuple[Model, Any]:
        from trimesh import Trimesh
        from trimesh.ray.ray_pyembree import RayMeshIntersector

        key = bytes.fromhex(content_hash(shape))[:16]
        number = self._numbers.get(key, 0)
        if number in self._kept:
            self._kept.move_to_end(number)
            return self._kept[number]
        if not number and len(self._numbers) == MOST_MODELS:
            raise DatasetError(
                f"format=bop: parts have over {MOST_MODELS} shapes, each a model; fix the sizes"
                " of the scene's parts (size_mm) and render into another out"
            )
        mesh = build_mesh(shape)
        number = number or len(self._numbers) + 1
        vertices = mesh.vertices_mm.astype(np.float64)
        middle = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
        model = Model(
            number=number,
            middle_mm=middle,
            vertices_mm=(vertices - middle).astype(np.float32),
            faces=np.asarray(mesh.faces),
        )
        if key not in self._numbers:
            self._numbers[key] = number
            self._write(model, mesh)
            self._shapes[number] = {"category": category, "shape": to_plain(shape)}
        solid = Trimesh(model.vertices_mm, model.faces, process=False, validate=False)
        self._kept[number] = (model, RayMeshIntersector(solid))
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return self._kept[number]

    def _write(self, model: Model, mesh: PartMesh) -> None:
        low, high = model.vertices_mm.min(axis=0), model.vertices_mm.max(axis=0)
        self._info[model.number] = {
            **{f"min_{axis}": float(v) for axis, v in zip("xyz", low, strict=True)},
            **{f"size_{axis}": float(v) for axis, v in zip("xyz", high - low, strict=True)},
            "diameter": diameter_mm(model.vertices_mm),
        }
        path = self._folder / f"obj_{model.number:06d}.ply"
        with path.open("w", encoding="ascii") as file:
            file.write("ply\nformat ascii 1.0\n")
            file.write(f"comment {self._comment}\ncomment lengths in mm\n")
            file.write(f"element vertex {len(model.vertices_mm)}\n")
            file.writelines(
                f"property float {name}\n" for name in ("x", "y", "z", "nx", "ny", "nz")
            )
            file.write(f"element face {len(model.faces)}\n")
            file.write("property list uchar int vertex_indices\nend_header\n")
            rows = np.concatenate([model.vertices_mm, mesh.normals], axis=1)
            for row in rows.tolist():
                file.write(" ".join(f"{v:.9g}" for v in row) + "\n")
            for face in model.faces.tolist():
                file.write(f"3 {face[0]} {face[1]} {face[2]}\n")


def diameter_mm(vertices_mm: np.ndarray) -> float:
    """Return the largest distance between any two vertices, shape (V, 3)."""
    points = vertices_mm.astype(np.float64)
    try:
        points = points[ConvexHull(points).vertices]
    except QhullError:
        # Flat: the hull has no volume, every point may be the farthest.
        points = np.unique(points, axis=0)
    starts = range(0, len(points), _AT_ONCE)
    return max(float(cdist(points[i : i + _AT_ONCE], points).max()) for i in starts)


def _window(
    model: Model,
    rotation: np.ndarray,
    translation_mm: np.ndarray,
    k: np.ndarray,
    size: tuple[int, int],
) -> tuple[int, int, int, int]:
    height, width = size
    whole = (-width, -height, 2 * width, 2 * height)
    seen = model.vertices_mm.astype(np.float64) @ rotation.T + translation_mm
    if (seen[:, 2] < _NEAR_MM).all():
        return (0, 0, 0, 0)
    if (seen[:, 2] < _NEAR_MM).any():
        return whole
    points = seen @ k.T
    points = points[:, :2] / points[:, 2:]
    low, high = np.floor(points.min(axis=0)) - 1, np.ceil(points.max(axis=0)) + 2
    low, high = np.maximum(low, whole[:2]), np.minimum(high, whole[2:])
    return (int(low[0]), int(low[1]), int(high[0]), int(high[1]))


def write_records(path: Path, records: dict[int, Any]) -> None:
    """Write records by number as JSON, a record a line."""
    with path.open("w", encoding="ascii") as file:
        file.write("{\n")
        ends = [",\n"] * (len(records) - 1) + ["\n"]
        for (key, value), end in zip(records.items(), ends, strict=False):
            file.write(f'  "{key}": {json.dumps(value)}{end}')
        file.write("}\n")
