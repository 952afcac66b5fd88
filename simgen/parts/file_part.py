"""A part from the user's own file: read, split at its creases, unwrapped, packed."""

import importlib.metadata
import json
from functools import lru_cache

import numpy as np

from simgen.errors import AssetError
from simgen.parts.atlas import pack
from simgen.parts.cache import Arrays, cached_arrays
from simgen.parts.cad import load_cad, read_unchanged, require_known_format
from simgen.parts.chart import Chart
from simgen.parts.mesh import FaceTraits, PartMesh
from simgen.parts.smooth import smooth_mesh
from simgen.parts.unwrap import unwrap, upright
from simgen.scene.spec import FileSpec, to_json

# Raise it with every change to how a file becomes charts.
_VERSION = 1
_LIBRARIES = ("cascadio", "numpy", "trimesh", "xatlas")


def file_part(file: FileSpec, texel_mm: float) -> PartMesh:
    """Return the mesh of a user's file with its atlas.

    What depends on the file alone is kept in the user's cache folder, under the hash of
    the file, the settings and the libraries that took part.

    Raises:
        AssetError: See `file_arrays`; also when the map would exceed 4096
            texels on a side. The message names the file.
    """
    held = _held(to_json(file))
    chart_of = held["chart"][np.unique(held["faces"], return_index=True)[1] // 3]
    order = np.argsort(chart_of, kind="stable")
    bounds = np.searchsorted(chart_of[order], np.arange(int(chart_of.max()) + 2))
    empty = np.zeros((0, 3))
    charts, members = [], []
    for first, stop in zip(bounds[:-1], bounds[1:], strict=True):
        vertices = order[first:stop]
        members.append(vertices)
        flat = upright(held["flat_mm"][vertices])
        charts.append(
            Chart(vertices_mm=empty, normals=empty, flat_mm=flat, faces=empty.astype(np.int64))
        )
    try:
        atlas = pack(charts, texel_mm)
    except AssetError as error:
        raise AssetError(f"{file.path}: {error}") from None
    texel_xy = np.empty((len(held["flat_mm"]), 2))
    for vertices, placed in zip(members, atlas.texel_xy, strict=True):
        texel_xy[vertices] = placed
    names = json.loads(str(held["group_names"]))
    mesh = PartMesh(
        vertices_mm=held["vertices_mm"],
        normals=held["normals"],
        uv=(texel_xy / [atlas.map_width, atlas.map_height]).astype(np.float32),
        faces=held["faces"],
        creases=held["creases"],
        map_height=atlas.map_height,
        map_width=atlas.map_width,
        texel_mm=texel_mm,
        traits=FaceTraits(
            patch=held["patch"],
            crease_patch=held["crease_patch"],
            groups={name: held["groups"][k] for k, name in enumerate(names)},
            uv=held.get("file_uv"),
            colours=held.get("colours"),
            stretch=(float(held["stretch"][0]), float(held["stretch"][1])),
        ),
    )
    for array in (*held.values(), mesh.uv):
        array.flags.writeable = False
    return mesh


def longest_side_mm(file: FileSpec) -> float:
    """Return the longest side of a part's bounding box.

    Raises:
        AssetError: See `file_arrays`.
    """
    return float(np.ptp(_held(to_json(file))["vertices_mm"], axis=0).max())


# What several texel sizes of one file share; a big one weighs 20 MB.
@lru_cache(maxsize=4)
def _held(text: str) -> Arrays:
    return file_arrays(FileSpec(**json.loads(text)))


def file_arrays(file: FileSpec) -> Arrays:
    """Return what of a part follows from its file alone; see `_made` for the names.

    Raises:
        AssetError: See `read_unchanged`, `load_cad` and `unwrap`.
    """
    # Read even if the cache has it: what is rendered is what lies there now.
    data = read_unchanged(file)
    settings = json.loads(to_json(file)) | {"path": require_known_format(file.path)}
    return cached_arrays("part", [_VERSION, settings, _versions()], lambda: _made(file, data))


def _made(file: FileSpec, data: bytes) -> Arrays:
    mesh = load_cad(file, data)
    smooth = smooth_mesh(mesh.points_mm, mesh.faces, file.crease_deg)
    try:
        laid = unwrap(mesh.points_mm, smooth)
    except AssetError as error:
        raise AssetError(f"{file.path}: {error}") from None
    # Any of the charts' copies of a vertex stands for its position.
    copy = np.zeros(len(smooth.point), np.int64)
    copy[laid.vertex] = np.arange(len(laid.vertex))
    arrays = {
        "vertices_mm": mesh.points_mm[smooth.point[laid.vertex]].astype(np.float32) + np.float32(0),
        "normals": smooth.normals[laid.vertex].astype(np.float32),
        "flat_mm": laid.flat_mm,
        "faces": laid.faces.astype(np.int32),
        "chart": laid.chart,
        "stretch": np.array(laid.stretch),
        "patch": smooth.patch,
        "creases": copy[smooth.sharp].astype(np.int32).reshape(-1, 2),
        "crease_patch": smooth.sharp_patch,
        "group_names": np.array(json.dumps(list(mesh.groups))),
        "groups": np.array(list(mesh.groups.values()), bool).reshape(-1, len(mesh.faces)),
    }
    if mesh.uv is not None:
        arrays["file_uv"] = mesh.uv
    if mesh.colours is not None:
        arrays["colours"] = mesh.colours
    return arrays


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "none"
    return found
