"""Read STEP, STL, OBJ, GLB and PLY into one plain triangle soup, nothing repaired."""

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
import trimesh

from simgen.errors import AssetError
from simgen.parts.obj_format import read_obj_text

_UNIT_NAMES = {"MILLI": "mm", "CENTI": "cm", "": "m"}


@dataclass(kw_only=True)
class Soup:
    """Triangles as a file holds them.

    Attributes:
        corners: In the file's unit (STEP: in mm), shape (F, 3, 3), float64.
        groups: Names that the file gives to some of the faces, each a mask (F,), bool.
        uv: The file's own texture coordinates of each corner, v upwards, shape
            (F, 3, 2), float32, or None.
        colours: Colour of each corner in [0, 1] as stored, (F, 3, 3), float32, or None.
    """

    corners: np.ndarray
    groups: dict[str, np.ndarray] = field(default_factory=dict)
    uv: np.ndarray | None = None
    colours: np.ndarray | None = None


def read_soup(data: bytes, extension: str, *, unit: str, chord_mm: float) -> Soup:
    """Return a file's triangles.

    Args:
        data: What the file holds.
        extension: One of `READERS`.
        unit: What the config says; only a STEP file can contradict it.
        chord_mm: How far triangles may lie from a STEP file's surfaces.

    Raises:
        AssetError: An extra is missing or the unit is not the file's.
        Exception: Whatever the parser raises on a damaged file.
    """
    return READERS[extension](data, unit, chord_mm)


def _read_step(data: bytes, unit: str, chord_mm: float) -> Soup:
    try:
        import cascadio
    except ImportError:
        raise AssetError(
            "STEP files need cascadio; install the extra: pip install 'simgen[cad]'"
        ) from None
    text = data.decode("latin-1")
    _require_unit(text, unit)
    with _quiet():
        # One thread, so that the triangles come in the same order everywhere.
        glb = cascadio.load(
            data, file_type="step", tol_linear=chord_mm, tol_angular=0.2,
            merge_primitives=False, use_parallel=False,
        )  # fmt: skip
    if not glb:
        raise ValueError("no solid could be read")
    soup = _read_glb(glb, "m", chord_mm)
    soup.corners *= 1000.0
    # The materials' names are lost on the way; the colours and, in the text, theirs are not.
    soup.groups = _colour_groups(glb, text)
    return soup


def _require_unit(text: str, unit: str) -> None:
    """A STEP file states its unit: the config may not say another."""
    stated = set()
    for entity in re.findall(r"LENGTH_UNIT\(\)[^;]*;|[^;]*CONVERSION_BASED_UNIT[^;]*;", text):
        based = re.search(r"CONVERSION_BASED_UNIT\s*\(\s*'(\w+)'", entity)
        plain = re.search(r"SI_UNIT\s*\(\s*(?:\.(\w+)\.|\$)\s*,\s*\.METRE\.\s*\)", entity)
        if based and based.group(1).upper() in ("INCH", "IN"):
            return _same_unit("inch", unit)
        if plain and "CONVERSION" not in entity:
            stated.add(_UNIT_NAMES.get(plain.group(1) or "", "?"))
    if len(stated) == 1:
        _same_unit(stated.pop(), unit)


def _same_unit(stated: str, unit: str) -> None:
    if stated != unit and stated != "?":
        raise AssetError(f"the file says that its unit is {stated}, the config {unit}")


def _colour_groups(glb: bytes, text: str) -> dict[str, np.ndarray]:
    names: dict[str, str] = {}
    pattern = (
        r"COLOUR_RGB\s*\(\s*'([^']*)'\s*,\s*([\d.Ee+-]+)\s*,\s*([\d.Ee+-]+)\s*,\s*([\d.Ee+-]+)"
    )
    for name, *rgb in re.findall(pattern, text):
        if name:
            names.setdefault(_hex([float(c) for c in rgb]), name)
    groups: dict[str, np.ndarray] = {}
    parts = list(_meshes(trimesh.load_scene(BytesIO(glb), file_type="glb", process=False)))
    counts = [len(mesh.faces) for _, mesh, _ in parts]
    starts = np.cumsum([0, *counts])
    for k, (_, mesh, _) in enumerate(parts):
        factor = getattr(getattr(mesh.visual, "material", None), "baseColorFactor", None)
        if factor is None:
            continue
        linear = np.asarray(factor, np.float64)[:3]
        if np.asarray(factor).dtype.kind in "ui":
            linear = linear / 255
        code = _hex(_srgb(linear))
        for name in filter(None, (code, _nearest_name(code, names))):
            mask = groups.setdefault(name, np.zeros(starts[-1], bool))
            mask[starts[k] : starts[k + 1]] = True
    return groups


def _nearest_name(code: str, names: dict[str, str]) -> str | None:
    """Return the name of the colour nearest to a hex code, allowing for rounding on the way."""
    wanted = np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)])
    for other, name in names.items():
        have = np.array([int(other[i : i + 2], 16) for i in (1, 3, 5)])
        if np.abs(wanted - have).max() <= 4:
            return name
    return None


def _hex(rgb: Any) -> str:
    return "#" + "".join(f"{round(255 * min(max(float(c), 0.0), 1.0)):02x}" for c in rgb)


def _srgb(linear: np.ndarray) -> np.ndarray:
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def _read_glb(data: bytes, unit: str, chord_mm: float) -> Soup:
    return _joined(trimesh.load_scene(BytesIO(data), file_type="glb", process=False))


def _read_stl(data: bytes, unit: str, chord_mm: float) -> Soup:
    return _joined(trimesh.load_scene(BytesIO(data), file_type="stl", process=False))


def _read_ply(data: bytes, unit: str, chord_mm: float) -> Soup:
    return _joined(trimesh.load_scene(BytesIO(data), file_type="ply", process=False))


def _read_obj(data: bytes, unit: str, chord_mm: float) -> Soup:
    # trimesh drops group names, and material names where the .mtl file is missing.
    corners, groups, uv, colours = read_obj_text(data.decode("utf-8", errors="replace"))
    return Soup(corners=corners, groups=groups, uv=uv, colours=colours)


READERS: dict[str, Callable[[bytes, str, float], Soup]] = {
    ".glb": _read_glb,
    ".obj": _read_obj,
    ".ply": _read_ply,
    ".step": _read_step,
    ".stl": _read_stl,
    ".stp": _read_step,
}


def _joined(scene: Any) -> Soup:
    corners, uvs, colours = [], [], []
    named: list[tuple[str, int, int]] = []
    start = 0
    for names, mesh, matrix in _meshes(scene):
        points = mesh.vertices.astype(np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
        faces = np.asarray(mesh.faces)
        if np.linalg.det(matrix[:3, :3]) < 0:
            faces = faces[:, ::-1]
        corners.append(points[faces])
        uvs.append(_uv(mesh, faces))
        colours.append(_colours(mesh, faces))
        named += [(name, start, start + len(faces)) for name in names]
        start += len(faces)
    groups: dict[str, np.ndarray] = {}
    for name, first, stop in named:
        groups.setdefault(name, np.zeros(start, bool))[first:stop] = True
    return Soup(
        corners=np.concatenate(corners) if corners else np.zeros((0, 3, 3)),
        groups=groups,
        uv=_stacked(uvs, corners),
        colours=_stacked(colours, corners),
    )


def _meshes(scene: Any) -> Iterator[tuple[set[str], Any, np.ndarray]]:
    """Yield names, mesh and (4, 4) placement of everything that has faces, in file order."""
    for node in scene.graph.nodes_geometry:
        matrix, key = scene.graph[node]
        mesh = scene.geometry[key]
        if not isinstance(mesh, trimesh.Trimesh) or not len(mesh.faces):
            continue
        material = getattr(getattr(mesh.visual, "material", None), "name", None)
        # trimesh makes names up where the file has none.
        names = {str(n) for n in (node, key, mesh.metadata.get("name"), material) if n}
        names = {n for n in names if not re.fullmatch(r"geometry_\d+|material_\d+|mat_\d+", n)}
        yield names, mesh, np.asarray(matrix, np.float64)


def _uv(mesh: Any, faces: np.ndarray) -> np.ndarray | None:
    uv = getattr(mesh.visual, "uv", None)
    if uv is None or len(uv) != len(mesh.vertices):
        return None
    return np.asarray(uv, np.float32)[faces]


def _colours(mesh: Any, faces: np.ndarray) -> np.ndarray | None:
    if mesh.visual.kind == "vertex":
        values = mesh.visual.vertex_colors
    else:
        values = getattr(mesh.visual, "vertex_attributes", {}).get("color")
    if values is None or len(values) != len(mesh.vertices):
        return None
    values = np.asarray(values)
    scale = 255.0 if values.dtype.kind in "ui" else 1.0
    return (values[:, :3] / scale).astype(np.float32)[faces]


def _stacked(parts: list[np.ndarray | None], corners: list[np.ndarray]) -> np.ndarray | None:
    """Join per-corner values; pieces without any get NaN, and None if none has."""
    widths = {p.shape[2] for p in parts if p is not None}
    if not widths:
        return None
    width = widths.pop()
    return np.concatenate(
        [
            np.full((len(c), 3, width), np.nan, np.float32) if p is None else p
            for p, c in zip(parts, corners, strict=True)
        ]
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep a C++ library's own lines out of standard output and error."""
    sys.stdout.flush()
    kept, nothing = [os.dup(1), os.dup(2)], os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept[0], 1)
        os.dup2(kept[1], 2)
        for handle in (*kept, nothing):
            os.close(handle)
