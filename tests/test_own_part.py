"""A user's file becomes a closed part whose texture is the surface's, or one clear line."""

import dataclasses
import sys
from pathlib import Path

import bracket_files
import numpy as np
import pytest
import trimesh
from bracket_files import FORMATS, shape_of

from simgen.errors import AssetError, ConfigError
from simgen.parts import build, file_part
from simgen.parts.build import build_mesh
from simgen.parts.cache import cached_arrays
from simgen.parts.cad import load_cad
from simgen.parts.mesh import PartMesh
from simgen.parts.obj_format import read_obj_text
from simgen.parts.texels import FAR_MM
from simgen.parts.unwrap import MAX_STRETCH
from simgen.parts.weld import weld, without_slivers
from simgen.parts.zones import face_curvature
from simgen.physics.pieces import convex_pieces
from simgen.physics.settle import settle
from simgen.scene.files import read_bytes
from simgen.scene.spec import FileSpec, FinishSpec, ObjectSpec, PoseSpec, ShapeSpec

BRACKET_MM3 = (53 * 4 + 35 * 4 + np.pi / 4 * (7**2 - 3**2)) * 36 - 4 * np.pi * (
    2 * 3.25**2 + 4.5**2 + 6**2
)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    forget()


def forget() -> None:
    """Forget what this process holds in memory."""
    build._meshes.clear()
    file_part._held.cache_clear()


@pytest.fixture(scope="module")
def brackets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return bracket_files.write_brackets(tmp_path_factory.mktemp("brackets"))


def exported(mesh: trimesh.Trimesh, path: Path) -> Path:
    mesh.export(path)
    return path


def volume_of(mesh: PartMesh) -> float:
    a, b, c = (mesh.vertices_mm[mesh.faces[:, k]].astype(float) for k in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


def areas_of(mesh: PartMesh) -> tuple[np.ndarray, np.ndarray]:
    """Return each face's area on the surface and in the texture, both mm2."""
    a, b, c = (mesh.vertices_mm[mesh.faces[:, k]].astype(float) for k in range(3))
    size = np.array([mesh.map_width, mesh.map_height]) * mesh.texel_mm
    p, q, r = (mesh.uv[mesh.faces[:, k]].astype(float) * size for k in range(3))
    flat = (q - p)[:, 0] * (r - p)[:, 1] - (q - p)[:, 1] * (r - p)[:, 0]
    return np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2, flat / 2


@pytest.mark.parametrize("extension", FORMATS)
def test_every_format_gives_the_same_closed_part_in_mm(
    brackets: dict[str, Path], extension: str
) -> None:
    mesh = build_mesh(shape_of(brackets[extension]))
    assert volume_of(mesh) == pytest.approx(BRACKET_MM3, rel=2e-3)
    np.testing.assert_allclose(np.ptp(mesh.vertices_mm, axis=0), [60, 36, 42], atol=0.02)
    np.testing.assert_allclose(mesh.vertices_mm.min(axis=0), [-30, -18, -21], atol=0.02)
    points = np.unique(mesh.vertices_mm, axis=0, return_inverse=True)[1].reshape(-1)
    assert trimesh.Trimesh(mesh.vertices_mm, points[mesh.faces], process=False).is_watertight


def test_a_unit_scales_the_numbers_in_the_file(tmp_path: Path) -> None:
    path = exported(trimesh.creation.box((2, 3, 4)), tmp_path / "box.stl")
    for unit, length in (("mm", 4.0), ("cm", 40.0), ("inch", 101.6)):
        file = bracket_files.file_spec(path, unit)  # type: ignore[arg-type]
        assert file_part.longest_side_mm(file) == pytest.approx(length)


@pytest.mark.parametrize("made", ["bracket", "ball", "torus"])
def test_texels_have_the_stated_size_on_every_chart(
    brackets: dict[str, Path], tmp_path: Path, made: str
) -> None:
    solids = {
        "ball": lambda: trimesh.creation.icosphere(3, radius=12),
        "torus": lambda: trimesh.creation.torus(20, 6, major_sections=48, minor_sections=24),
    }
    path = brackets["step"] if made == "bracket" else exported(solids[made](), tmp_path / "x.ply")
    mesh = build_mesh(shape_of(path))
    surface, texture = areas_of(mesh)
    assert (texture > 0).all()
    assert texture.sum() == pytest.approx(surface.sum(), rel=1e-3)
    real = surface > 1e-3
    ratio = np.sqrt(texture[real] / surface[real])
    assert 1 / MAX_STRETCH - 0.01 < ratio.min() and ratio.max() < MAX_STRETCH + 0.01
    assert mesh.traits is not None
    longest, shortest = mesh.traits.stretch
    assert 1 / MAX_STRETCH < shortest <= longest < MAX_STRETCH
    # Stepping one texel aside in the map moves by a texel's length on the part.
    table = mesh.texels
    place = np.full((mesh.map_height, mesh.map_width), -1)
    place[table.rows, table.columns] = np.arange(len(table.rows))
    left, right = place[:, :-1].ravel(), place[:, 1:].ravel()
    both = (left >= 0) & (right >= 0)
    step = np.linalg.norm(table.positions_mm[left[both]] - table.positions_mm[right[both]], axis=1)
    assert np.median(step) == pytest.approx(mesh.texel_mm, rel=0.02)
    assert np.percentile(step, 99) < MAX_STRETCH * mesh.texel_mm


def test_normals_are_smooth_on_round_faces_and_split_at_creases(tmp_path: Path) -> None:
    ball = build_mesh(
        shape_of(exported(trimesh.creation.icosphere(3, radius=12), tmp_path / "ball.ply"))
    )
    outward = ball.vertices_mm / np.linalg.norm(ball.vertices_mm, axis=1, keepdims=True)
    assert np.einsum("ij,ij->i", outward, ball.normals).min() > np.cos(np.deg2rad(1.0))
    assert len(ball.creases) == 0 and (ball.texels.edge_mm == FAR_MM).all()
    np.testing.assert_allclose(face_curvature(ball), 1 / 12, rtol=0.12)
    box = build_mesh(shape_of(exported(trimesh.creation.box((20, 30, 40)), tmp_path / "box.stl")))
    np.testing.assert_allclose(np.abs(box.normals).max(axis=1), 1.0, atol=1e-6)


def test_a_plane_keeps_its_normal_where_a_fillet_runs_into_it(brackets: dict[str, Path]) -> None:
    mesh = build_mesh(shape_of(brackets["stl"]))
    bottom = mesh.vertices_mm[:, 2] < -20.99
    facing = mesh.normals[bottom & (mesh.normals[:, 2] < -0.9)]
    # A plain average would lean by half a facet, 5 degrees.
    assert np.degrees(np.arccos(np.clip(-facing[:, 2], -1, 1))).max() < 0.5


def test_edge_distance_does_not_stop_at_the_seams_of_charts(tmp_path: Path) -> None:
    rod = trimesh.creation.cylinder(8, 30, sections=64)
    mesh = build_mesh(shape_of(exported(rod, tmp_path / "rod.stl")))
    table = mesh.texels
    wall = np.abs(table.normals[:, 2]) < 0.1
    z = np.abs(table.positions_mm[:, 2])
    # Texels just beyond a border are carried on past the edge.
    np.testing.assert_allclose(table.edge_mm[wall], np.abs(15 - z[wall]), atol=0.05)
    toward = table.edge_direction[wall & (z > 1) & (z < 14.9)]
    np.testing.assert_allclose(np.abs(toward[:, 2]), 1.0, atol=0.01)
    face = ~wall & (z > 14.9)
    radius = np.linalg.norm(table.positions_mm[face, :2], axis=1)
    np.testing.assert_allclose(table.edge_mm[face], np.abs(8 - radius), atol=0.05)


def box_file(folder: Path, what: str) -> Path:
    """Write a box that is broken in one way."""
    box = trimesh.creation.box((20, 30, 40))
    path = folder / f"{what}.stl"
    if what == "open":
        box = trimesh.Trimesh(box.vertices, box.faces[:-1], process=False)
    elif what == "inside":
        box.invert()
    elif what == "mixed":
        faces = np.concatenate([box.faces[:-1], box.faces[-1:, ::-1]])
        box = trimesh.Trimesh(box.vertices, faces, process=False)
    elif what == "two":
        box = trimesh.util.concatenate([box, box.copy().apply_translation((100, 0, 0))])
    elif what == "double":
        other = box.copy().apply_translation((20, 30, 0))
        box = trimesh.util.concatenate([box, other])
    elif what == "tiny":
        box.apply_scale(1e-3)
    elif what == "huge":
        box.apply_scale(100)
    elif what == "many":
        box = trimesh.creation.icosphere(7, radius=30)
    elif what == "nan":
        path = folder / "nan.obj"
        path.write_text("v nan 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
        return path
    elif what in ("empty", "junk.step", "junk.glb", "junk.ply", "junk.obj", "notes.txt"):
        path = folder / what if "." in what else path
        path.write_text("f 1 2 3\n")
        return path
    elif what == "centimetre.step":
        path = folder / what
        text = bracket_files.data_folder("assets").joinpath("bracket.step").read_text()
        path.write_text(text.replace("SI_UNIT(.MILLI.,.METRE.)", "SI_UNIT(.CENTI.,.METRE.)"))
        return path
    return exported(box, path)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("open", r"open\.stl: is not closed, 3 edges .* export it as a solid"),
        ("inside", r"inside\.stl: is inside out; flip its normals"),
        ("mixed", r"mixed\.stl: neighbouring faces look to opposite sides; make its normals"),
        ("two", r"two\.stl: holds 2 separate bodies; export one part a file"),
        ("double", r"double\.stl: 1 edges have more than two faces; remove double"),
        ("tiny", r"tiny\.stl: its longest side is 0\.04 mm with unit=mm.*unit=m would make it 40"),
        ("huge", r"huge\.stl: its longest side is 4e\+03 mm with unit=mm, .*; scale it"),
        ("many", r"many\.stl: 327680 triangles, at most 100000 .* decimate it"),
        ("nan", r"nan\.obj: some vertices are not numbers; repair"),
        ("empty", r"empty\.stl: holds no triangles; export"),
        ("junk.step", r"junk\.step: cannot be read as STEP \(.*\); export it again"),
        ("junk.glb", r"junk\.glb: cannot be read as GLB \(.*\); export it again"),
        ("junk.ply", r"junk\.ply: cannot be read as PLY \(.*\); export it again"),
        ("junk.obj", r"junk\.obj: cannot be read as OBJ \(line 1: .*\); export it again"),
        ("notes.txt", r"notes\.txt: no mesh format ends in '\.txt'; valid here: \.glb, "),
        ("centimetre.step", r"centimetre\.step: the file says that its unit is cm, the config mm"),
    ],
)
def test_a_broken_file_is_one_line_with_its_name_and_the_remedy(
    tmp_path: Path, what: str, message: str
) -> None:
    path = box_file(tmp_path, what)
    with pytest.raises(AssetError, match=message) as caught:
        build_mesh(shape_of(path))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_has_changed_is_named(tmp_path: Path) -> None:
    path = exported(trimesh.creation.box((20, 30, 40)), tmp_path / "box.stl")
    shape = shape_of(path)
    build_mesh(shape)
    exported(trimesh.creation.box((20, 30, 41)), path)
    forget()
    # Although the cache on disk still has it.
    with pytest.raises(AssetError, match=r"box\.stl: has changed \(SHA-256 .*put the old file"):
        build_mesh(shape)
    path.unlink()
    forget()
    with pytest.raises(AssetError, match=r"box\.stl: no such file"):
        build_mesh(shape)
    with pytest.raises(AssetError, match=r"assets/nothing\.step: no such file"):
        read_bytes("assets/nothing.step")


def test_a_map_that_would_be_too_large_names_the_file(brackets: dict[str, Path]) -> None:
    with pytest.raises(AssetError, match=r"bracket\.stl: texture map needs .* raise texel_mm"):
        build_mesh(shape_of(brackets["stl"], texel_mm=0.005))


def test_a_shape_needs_a_file_exactly_if_its_kind_is_file(brackets: dict[str, Path]) -> None:
    with pytest.raises(ConfigError, match="shape.file: goes with kind 'file', not with 'plate'"):
        build_mesh(dataclasses.replace(shape_of(brackets["stl"]), kind="plate"))
    with pytest.raises(ConfigError, match="shape.file"):
        build_mesh(ShapeSpec(kind="file", size_mm={}))


@pytest.mark.parametrize(
    ("extra", "extension"), [("xatlas", "stl"), ("cascadio", "step")], ids=["xatlas", "cascadio"]
)
def test_a_missing_extra_is_named(
    brackets: dict[str, Path], monkeypatch: pytest.MonkeyPatch, extra: str, extension: str
) -> None:
    monkeypatch.setitem(sys.modules, extra, None)
    with pytest.raises(
        AssetError, match=rf"{extra}; install the extra: pip install 'simgen\[cad\]"
    ):
        build_mesh(shape_of(brackets[extension]))


def test_the_cache_returns_what_was_made_and_ignores_damage(tmp_path: Path) -> None:
    made: list[int] = []

    def make() -> dict[str, np.ndarray]:
        made.append(1)
        return {"a": np.arange(6).reshape(2, 3), "b": np.array("text")}

    for _ in range(2):
        held = cached_arrays("thing", {"of": [1, 2]}, make)
        np.testing.assert_array_equal(held["a"], [[0, 1, 2], [3, 4, 5]])
        assert str(held["b"]) == "text" and set(held) == {"a", "b"}
    assert len(made) == 1
    cached_arrays("thing", {"of": [1, 3]}, make)
    assert len(made) == 2
    files = sorted((tmp_path / "cache" / "simgen").iterdir())
    assert len(files) == 2
    for file in files:
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data[:-1])
    np.testing.assert_array_equal(cached_arrays("thing", {"of": [1, 2]}, make)["a"].shape, (2, 3))
    assert len(made) == 3


def test_a_cache_that_cannot_be_written_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    for base in (tmp_path / "file", Path("relative")):
        monkeypatch.setenv("XDG_CACHE_HOME", str(base))
        assert cached_arrays("thing", 1, lambda: {"a": np.ones(1)})["a"] == 1
    assert not Path("relative").exists()


def test_a_cached_part_is_the_same_to_the_bit(brackets: dict[str, Path]) -> None:
    shape = shape_of(brackets["step"])
    first = build_mesh(shape)
    forget()
    second = build_mesh(shape)
    assert first is not second
    for name in ("vertices_mm", "normals", "uv", "faces", "creases"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_slivers_become_triangles_and_the_mesh_stays_closed() -> None:
    box = trimesh.creation.box((20, 30, 40))
    a, b = (int(v) for v in box.faces[0][:2])
    (other,) = (f for f in range(1, 12) if {a, b} <= set(box.faces[f].tolist()))
    tip = len(box.vertices)
    points = np.concatenate([box.vertices, [(box.vertices[a] + box.vertices[b]) / 2]])
    # The neighbour goes by way of the edge's middle; a triangle without height closes the gap.
    u, v, w = np.roll(box.faces[other], -int(np.argmin(np.isin(box.faces[other], [a, b]))))[
        [1, 2, 0]
    ]
    faces = np.concatenate(
        [np.delete(box.faces, other, axis=0), [[u, tip, w], [tip, v, w], [v, tip, u]]]
    )
    before = trimesh.Trimesh(points, faces, process=False)
    assert before.is_watertight
    fixed, source, weights = without_slivers(points, faces, 1e-3)
    after = trimesh.Trimesh(points, fixed, process=False)
    assert after.is_watertight and after.is_winding_consistent
    assert after.area_faces.min() > 1 and after.volume == pytest.approx(20 * 30 * 40)
    carried = np.einsum("fcw,fcwd->fcd", weights, points[faces][source])
    np.testing.assert_allclose(carried, points[fixed], atol=1e-9)


def test_corners_that_hardly_differ_are_one_point() -> None:
    corners = np.array(
        [[[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[1 + 1e-6, 0, 0], [1, 1, 0], [0, 1, 0]]]
    )
    points, faces = weld(corners, 1e-4)
    assert len(points) == 4
    np.testing.assert_array_equal(faces, [[0, 1, 2], [1, 3, 2]])


def test_obj_polygons_negative_indices_and_names() -> None:
    text = (
        "o part\nv 0 0 0\nv 4 0 0\nv 4 4 0\nv 2 1 0\nv 0 4 0\nvt 0 0\nvt 1 1\n"
        "g upper rim\nusemtl steel\nf 1/1 2/1 3/2 4/2 5/1\ng\nf -5 -4 -3\n"
    )
    corners, groups, uv, colours = read_obj_text(text)
    # The outline is hollow at its fourth corner: a fan from the first would overlap.
    areas = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] / 2
    assert (areas > 0).all() and areas[:3].sum() == pytest.approx(10.0)
    assert {n: int(m.sum()) for n, m in groups.items()} == {
        "part": 4, "upper": 3, "rim": 3, "steel": 4,
    }  # fmt: skip
    assert uv is not None and np.isnan(uv[3]).all() and np.isfinite(uv[:3]).all()
    assert colours is None


def test_the_shipped_bracket_is_what_its_script_writes(tmp_path: Path) -> None:
    import subprocess

    script = Path(__file__).resolve().parent.parent / "examples" / "make_bracket.py"
    target = tmp_path / "bracket.step"
    subprocess.run([sys.executable, str(script), str(target)], check=True, capture_output=True)
    assert target.read_bytes() == read_bytes("assets/bracket.step")[0]


def test_a_bracket_is_made_of_few_convex_pieces_and_comes_to_rest(
    brackets: dict[str, Path],
) -> None:
    shape = shape_of(brackets["step"])
    pieces = convex_pieces(shape)
    hulls = [trimesh.convex.convex_hull(p) for p in pieces]
    assert 2 <= len(pieces) <= 8
    # Holes stay filled, the inside of the angle does not: its whole hull is far larger.
    filled = BRACKET_MM3 + 4 * np.pi * (2 * 3.25**2 + 4.5**2 + 6**2)
    assert sum(h.volume for h in hulls) == pytest.approx(filled, rel=0.03)
    steel = FinishSpec(kind="ground", colour=(0.5, 0.5, 0.5), roughness=0.5, metalness=0.2)
    bench = ObjectSpec(
        name="bench", finish=steel, body="fixed",
        shape=ShapeSpec(
            kind="bench", size_mm={"length": 400.0, "width": 400.0, "thickness": 20.0}, texel_mm=2.0
        ),
    )  # fmt: skip
    part = ObjectSpec(
        name="bracket", shape=shape, finish=steel, pose=PoseSpec(position_mm=(0.0, 0.0, 40.0))
    )
    settled = settle([part, bench])
    assert all(settled.at_rest)
    pose = settled.objects[0].pose.matrix()
    z = build_mesh(shape).vertices_mm @ pose[2, :3] + pose[2, 3]
    assert z.min() == pytest.approx(0.0, abs=0.02)


def test_a_steps_faces_are_as_fine_as_the_chord_says(brackets: dict[str, Path]) -> None:
    counts = []
    for chord_mm in (0.2, 0.005):
        file: FileSpec = dataclasses.replace(
            bracket_files.file_spec(brackets["step"]), chord_mm=chord_mm
        )
        counts.append(len(load_cad(file, read_bytes(file.path)[0]).faces))
    assert counts[0] < counts[1]
