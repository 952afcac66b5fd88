"""The shapes by name, and `build_mesh`: a ShapeSpec to a closed mesh with its atlas."""

import difflib
import inspect
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from simgen.errors import ConfigError
from simgen.parts.arc_tile import arc_tile
from simgen.parts.atlas import pack
from simgen.parts.bearing import bearing_inner_ring, bearing_outer_ring
from simgen.parts.bracket import bracket
from simgen.parts.chart import SHARP_DEG, Chart
from simgen.parts.features import FEATURES
from simgen.parts.file_part import file_part
from simgen.parts.gear import gear
from simgen.parts.hexagon import hex_bolt, hex_nut
from simgen.parts.mesh import PartMesh, number_points
from simgen.parts.plate import gripper_finger, plate
from simgen.parts.props import bench, box, cable, tray
from simgen.parts.revolve import cylinder, flange, screwdriver, sphere
from simgen.parts.shaft import shaft
from simgen.scene.spec import FileSpec, ShapeSpec, to_json

FILE_KIND = "file"
SHAPES: dict[str, Callable[..., list[Chart]]] = {
    "arc_tile": arc_tile,
    "bearing_inner_ring": bearing_inner_ring,
    "bearing_outer_ring": bearing_outer_ring,
    "bench": bench,
    "box": box,
    "bracket": bracket,
    "cable": cable,
    "cylinder": cylinder,
    "flange": flange,
    "gear": gear,
    "gripper_finger": gripper_finger,
    "hex_bolt": hex_bolt,
    "hex_nut": hex_nut,
    "plate": plate,
    "screwdriver": screwdriver,
    "shaft": shaft,
    "sphere": sphere,
    "tray": tray,
}


def build_mesh(shape: ShapeSpec) -> PartMesh:
    """Return the mesh of a shape; equal specs share one read-only mesh.

    Raises:
        ConfigError: The kind or a size key is unknown or missing, or a size makes no shape.
        AssetError: `texel_mm` is too fine for a map of 4096 texels a side, or the shape's
            file is missing, has changed or makes no part.
    """
    check_shape(shape)
    return _meshes.get(to_json(shape))


def check_shape(shape: ShapeSpec) -> None:
    """Check kind, size keys and signs; `build_mesh` finds the rest.

    Raises:
        ConfigError: The kind or a size key is unknown or missing, or not positive.
    """
    if not (math.isfinite(shape.texel_mm) and shape.texel_mm > 0):
        raise ConfigError(f"shape.texel_mm: {shape.texel_mm:g} must be above 0")
    if (shape.kind == FILE_KIND) != (shape.file is not None):
        raise ConfigError(f"shape.file: goes with kind {FILE_KIND!r}, not with {shape.kind!r}")
    known = size_keys(shape.kind)
    for key, value in shape.size_mm.items():
        name = f"shape.size_mm.{key}"
        if key not in known:
            raise ConfigError(f"{name}: {shape.kind} has no such size{_nearest(key, known)}")
        required = known[key] is None
        if not math.isfinite(value) or value < 0 or (value == 0 and required):
            raise ConfigError(f"{name}: {value:g} must be {'above' if required else 'at least'} 0")
    for key, default in known.items():
        if default is None and key not in shape.size_mm:
            raise ConfigError(f"shape.size_mm.{key}: missing, {shape.kind} needs it")


@lru_cache(maxsize=64)
def size_keys(kind: str) -> dict[str, float | None]:
    """Return the size keys of a shape kind with their defaults, None where required.

    Raises:
        ConfigError: No such kind.
    """
    if kind == FILE_KIND:
        return {}
    if kind not in SHAPES:
        raise ConfigError(f"shape.kind: no shape {kind!r}{_nearest(kind, SHAPES)}")
    parameters = inspect.signature(SHAPES[kind]).parameters.values()
    return {p.name: None if p.default is p.empty else float(p.default) for p in parameters}


def join(charts: Sequence[Chart], texel_mm: float) -> PartMesh:
    """Return charts that make a closed surface as one mesh, packed and with its creases.

    Raises:
        AssetError: The map would exceed 4096 texels on a side.
    """
    atlas = pack(charts, texel_mm)
    starts = np.cumsum([0] + [len(c.vertices_mm) for c in charts])
    # Rounding before merging equal positions, so that borders agree to the bit.
    vertices = np.concatenate([c.vertices_mm for c in charts]).round(6).astype(np.float32) + 0.0
    normals = np.concatenate([c.normals for c in charts])
    faces = np.concatenate([c.faces + s for c, s in zip(charts, starts, strict=False)])
    size = np.array([atlas.map_width, atlas.map_height])
    mesh = PartMesh(
        vertices_mm=vertices,
        normals=normals.astype(np.float32),
        uv=(np.concatenate(atlas.texel_xy) / size).astype(np.float32),
        faces=faces.astype(np.int32),
        creases=_creases(vertices, normals, faces).astype(np.int32),
        map_height=atlas.map_height,
        map_width=atlas.map_width,
        texel_mm=texel_mm,
    )
    for array in (mesh.vertices_mm, mesh.normals, mesh.uv, mesh.faces, mesh.creases):
        array.flags.writeable = False
    return mesh


class _Meshes:
    """The last meshes that were asked for, by their spec; of fewer, the texel tables.

    A table may weigh 40 MB, and where every part has a size of its own hardly any is used
    by two scenes: by number of meshes a worker would keep gigabytes of them.
    """

    def __init__(self, *, most: int, most_table_bytes: int) -> None:
        self._most, self._most_table_bytes = most, most_table_bytes
        self._by_text: dict[str, PartMesh] = {}

    def get(self, text: str) -> PartMesh:
        """Return the mesh of a spec, built if need be."""
        mesh = self._by_text.pop(text, None) or _built(text)
        # Its own table may come any moment: the limit is for the others.
        held = 0
        for other in reversed(self._by_text.values()):
            held += other.texels_bytes()
            if held > self._most_table_bytes:
                other.free_texels()
        while len(self._by_text) >= self._most:
            self._by_text.pop(next(iter(self._by_text)))
        self._by_text[text] = mesh
        return mesh

    def clear(self) -> None:
        """Forget all."""
        self._by_text.clear()


_meshes = _Meshes(most=128, most_table_bytes=320 * 2**20)


def _built(text: str) -> PartMesh:
    plain = json.loads(text)
    kind, size, texel_mm = plain["kind"], plain["size_mm"], plain["texel_mm"]
    if plain["file"] is not None:
        return file_part(FileSpec(**plain["file"]), texel_mm)
    try:
        charts = SHAPES[kind](**size)
    except ConfigError as error:
        raise ConfigError(f"shape {kind}: {error}") from None
    mesh = join(charts, texel_mm)
    return replace(mesh, features=tuple(FEATURES[kind](**size))) if kind in FEATURES else mesh


def _creases(vertices: np.ndarray, normals: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return the vertex pairs, from both charts, of convex edges whose two normals differ.

    Inner corners are left out: nothing wears, frays or breaks off there.
    """
    point = number_points(vertices)
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    opposite = np.concatenate([faces[:, 2], faces[:, 0], faces[:, 1]])
    ends = point[edges]
    count = int(point.max()) + 1
    forward = ends[:, 0] * count + ends[:, 1]
    backward = ends[:, 1] * count + ends[:, 0]
    order = np.argsort(forward, kind="stable")
    mate = order[np.minimum(np.searchsorted(forward[order], backward), len(order) - 1)]
    found = forward[mate] == backward
    # The mate runs the other way: its second end is our first.
    mine = normals[edges[:, 0]] + normals[edges[:, 1]]
    cosine = np.einsum("ij,ij->i", normals[edges[:, 0]], normals[edges[mate, 1]])
    cosine += np.einsum("ij,ij->i", normals[edges[:, 1]], normals[edges[mate, 0]])
    beyond = vertices[opposite[mate]] - vertices[edges[:, 0]]
    convex = np.einsum("ij,ij->i", mine, beyond) < 0
    return edges[found & convex & (cosine / 2 < np.cos(np.deg2rad(SHARP_DEG)))]


def _nearest(name: str, known: Sequence[str] | dict) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there are {', '.join(sorted(known))}"
