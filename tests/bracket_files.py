"""One bracket in every format that a user's part may come in."""

from pathlib import Path
from typing import Literal

import numpy as np
import trimesh

from simgen.config import data_folder
from simgen.parts.cad import CadMesh, load_cad
from simgen.scene.files import read_bytes
from simgen.scene.spec import FileSpec, ShapeSpec

FORMATS = ("step", "stl", "obj", "glb", "ply")
RED, GREY = (255, 0, 0, 255), (128, 128, 128, 255)


def file_spec(path: Path | str, unit: Literal["mm", "cm", "m", "inch"] = "mm") -> FileSpec:
    """Return the reference to a file as it is now."""
    return FileSpec(path=str(path), unit=unit, sha256=read_bytes(str(path))[1])


def shape_of(path: Path | str, texel_mm: float = 0.4) -> ShapeSpec:
    """Return a part from a file in mm."""
    return ShapeSpec(kind="file", size_mm={}, texel_mm=texel_mm, file=file_spec(path))


def bracket_mesh() -> CadMesh:
    """Return the shipped bracket; its group `machined` are the inner faces of both legs."""
    file = file_spec("assets/bracket.step")
    return load_cad(file, read_bytes(file.path)[0])


def write_brackets(folder: Path) -> dict[str, Path]:
    """Write the bracket to a folder in every format; return the files by extension.

    The machined faces are a group (OBJ), a mesh and material of their own (GLB), red
    (PLY); OBJ and GLB have texture coordinates: x and y of the part over 100 mm.
    """
    mesh = bracket_mesh()
    points, faces, machined = mesh.points_mm, mesh.faces, mesh.groups["machined"]
    files = {extension: folder / f"bracket.{extension}" for extension in FORMATS}
    files["step"].write_bytes((data_folder("assets") / "bracket.step").read_bytes())
    whole = trimesh.Trimesh(points, faces, process=False)
    whole.export(files["stl"])
    _write_obj(files["obj"], points, faces, machined)
    scene = trimesh.Scene()
    uv = points[:, :2] / 100 + 0.5
    for name, part in (("machined", machined), ("rest", ~machined)):
        material = trimesh.visual.material.PBRMaterial(name=f"{name} steel")
        piece = trimesh.Trimesh(
            points, faces[part], process=False,
            visual=trimesh.visual.TextureVisuals(uv=uv, material=material),
        )  # fmt: skip
        scene.add_geometry(piece, geom_name=name, node_name=name)
    scene.export(files["glb"])
    corners = points[faces].reshape(-1, 3)
    colours = np.where(np.repeat(machined, 3)[:, None], RED, GREY).astype(np.uint8)
    trimesh.Trimesh(
        corners, np.arange(len(corners)).reshape(-1, 3), process=False, vertex_colors=colours
    ).export(files["ply"])
    return files


def _write_obj(path: Path, points: np.ndarray, faces: np.ndarray, machined: np.ndarray) -> None:
    lines = ["o bracket"]
    lines += [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in points]
    lines += [f"vt {x / 100 + 0.5:.6f} {y / 100 + 0.5:.6f}" for x, y, _ in points]
    for name, part in (("machined", machined), ("rest", ~machined)):
        lines += [f"g {name}", f"usemtl {name}_steel"]
        lines += ["f " + " ".join(f"{k}/{k}" for k in face) for face in (faces[part] + 1).tolist()]
    path.write_text("\n".join(lines) + "\n")
