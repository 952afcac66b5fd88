"""Finishes are functions of the place on the part: continuous, directed, and the same each time."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from simgen.errors import ConfigError
from simgen.finishes import FINISH_VALUES, FINISHES, OVERLAY_VALUES, Layers, bake_finish, to_maps
from simgen.parts.build import build_mesh
from simgen.parts.mesh import TexelTable
from simgen.randomize.part import FinishRanges, check_finish
from simgen.sampling import Constant
from simgen.scene.spec import FinishSpec, ShapeSpec

DOCS = Path(__file__).resolve().parent.parent / "docs"
PER_TEXEL = ("albedo", "roughness", "metalness", "anisotropy", "cavity", "slope")
PLATE = {"length": 50.0, "width": 30.0, "thickness": 4.0}
ROD = {"radius": 10.0, "length": 40.0}


def texels_of(kind: str, size_mm: dict[str, float], texel_mm: float = 0.2) -> TexelTable:
    return build_mesh(ShapeSpec(kind=kind, size_mm=size_mm, texel_mm=texel_mm)).texels


def steel(kind: str, **values: float) -> FinishSpec:
    return FinishSpec(
        kind=kind, colour=(0.5, 0.5, 0.5), roughness=0.4, metalness=1.0, anisotropy=0.5,
        direction=(1.0, 0.0, 0.0), values=values, seed=5,
    )  # fmt: skip


def some(texels: TexelTable, index: np.ndarray) -> TexelTable:
    names = ("rows", "columns", "positions_mm", "normals", "edge_mm", "edge_direction", "face")
    return replace(texels, **{name: getattr(texels, name)[index] for name in names})


def top_of(texels: TexelTable) -> np.ndarray:
    return np.flatnonzero((texels.normals[:, 2] > 0.99) & (texels.edge_mm > 2))


def on_grid(values: np.ndarray, texels: TexelTable, index: np.ndarray) -> np.ndarray:
    """Return values of texels of one flat face as a picture, NaN where there are none."""
    rows, columns = texels.rows[index], texels.columns[index]
    grid = np.full((np.ptp(rows) + 1, np.ptp(columns) + 1), np.nan)
    grid[rows - rows.min(), columns - columns.min()] = values[index]
    return grid


def likeness(grid: np.ndarray, axis: int, shift: int) -> float:
    """Return the correlation of a picture with itself moved by some texels."""
    a = np.moveaxis(grid, axis, 0)
    a, b = a[shift:].ravel(), a[:-shift].ravel()
    both = np.isfinite(a) & np.isfinite(b)
    return float(np.corrcoef(a[both], b[both])[0, 1])


@pytest.mark.parametrize("kind", sorted(FINISHES))
def test_materials_are_in_range_the_same_each_time_and_whatever_is_asked_with_them(kind):
    texels = texels_of("plate", PLATE | {"chamfer": 0.8, "corner": 5.0, "holes": 2.0})
    spec = steel(kind, edge_mm=0.6, edge_wear=0.7, oil=0.4, soil=0.3)
    layers = bake_finish(spec, texels)
    for name in ("albedo", "roughness", "metalness", "anisotropy", "cavity"):
        values = getattr(layers, name)
        assert values.min() >= 0 and values.max() <= 1, name
    assert np.isfinite(layers.slope).all()
    assert layers.albedo.std() > 0.003
    again = to_maps(bake_finish(spec, texels), texels)
    assert to_maps(layers, texels).colour.tobytes() == again.colour.tobytes()
    # Runs of neighbours, so that the size of a texel is known.
    index = np.arange(len(texels.rows) // 3, len(texels.rows) // 3 + 9000)
    part = bake_finish(spec, some(texels, index))
    for name in PER_TEXEL:
        difference = np.abs(getattr(part, name) - getattr(layers, name)[index]).max()
        assert difference < 1e-4, name
    other = bake_finish(replace(spec, seed=6), texels)
    assert np.abs(other.albedo - layers.albedo).mean() > 0.001


def seam_difference(layers: Layers, texels: TexelTable) -> dict[str, float]:
    """Return how much texels differ that lie at one place of the part and apart in the atlas.

    Relative to the difference of texels anywhere.
    """
    near = cKDTree(texels.positions_mm).query_pairs(0.05, output_type="ndarray")
    apart = np.hypot(*(np.diff(a[near], axis=1)[:, 0] for a in (texels.rows, texels.columns)))
    alike = np.einsum("ij,ij->i", texels.normals[near[:, 0]], texels.normals[near[:, 1]]) > 0.999
    near = near[(apart > 8) & alike]
    assert len(near) > 40
    result = {}
    for name in ("albedo", "roughness", "slope"):
        values = getattr(layers, name).reshape(len(texels.rows), -1)
        difference = np.abs(values[near[:, 0]] - values[near[:, 1]]).mean()
        result[name] = difference / max(np.abs(values - values.mean(axis=0)).mean(), 1e-6)
    return result


@pytest.mark.parametrize("kind", sorted(FINISHES))
def test_a_finish_runs_on_over_the_borders_of_charts(kind):
    texels = texels_of("cylinder", ROD)
    layers = bake_finish(replace(steel(kind, line_mm=0.5), direction=(0.0, 0.0, 1.0)), texels)
    # Texels 0.05 mm apart: grain of a few texels differs a little by itself.
    for name, difference in seam_difference(layers, texels).items():
        assert difference < 0.45, name


@pytest.mark.parametrize("kind", ["turned", "polished"])
def test_a_helical_finish_has_no_cut(kind):
    texels = texels_of("cylinder", ROD)
    spec = steel(kind, line_mm=0.5, lead_mm=7.0, blotch=0.0)
    layers = bake_finish(replace(spec, direction=(0.0, 0.0, 1.0)), texels)
    assert seam_difference(layers, texels)["slope"] < 0.45


@pytest.mark.parametrize("kind", ["ground", "brushed", "polished"])
@pytest.mark.parametrize(("direction", "along"), [((1.0, 0, 0), 0), ((0, 1.0, 0), 1)])
def test_lines_run_along_the_process_and_tilt_the_surface_across(kind, direction, along):
    texels = texels_of("plate", PLATE)
    spec = replace(steel(kind, line_mm=0.4, blotch=0.0), direction=direction)
    layers, top = bake_finish(spec, texels), top_of(texels)
    slope = layers.slope[top]
    assert slope[:, 1 - along].std() > 10 * slope[:, along].std() + 1e-6
    grid = on_grid(layers.slope[:, 1 - along], texels, top)
    # Which way the atlas lies is its own affair.
    p = texels.positions_mm[top]
    by_row = abs(np.corrcoef(p[:, along], texels.rows[top])[0, 1]) > 0.9
    axis = 0 if by_row else 1
    assert likeness(grid, axis, 5) > 0.5
    assert likeness(grid, 1 - axis, 5) < 0.3


def test_hairlines_of_a_brush_are_longer_than_those_of_a_grinding_wheel():
    texels = texels_of("plate", PLATE)
    top, far = top_of(texels), {}
    for kind in ("ground", "brushed"):
        layers = bake_finish(steel(kind, line_mm=0.4, blotch=0.0, sheaf=0.0, grain=0.0), texels)
        grid = on_grid(layers.albedo[:, 0], texels, top)
        far[kind] = max(likeness(grid, axis, 40) for axis in (0, 1))
    assert far["brushed"] > far["ground"] + 0.2


def test_a_helix_rises_by_its_lead_each_turn():
    texels = texels_of("cylinder", ROD)
    wall = np.flatnonzero((np.abs(texels.normals[:, 2]) < 0.1) & (texels.edge_mm > 1))
    lead = 12.0
    spec = steel("turned", line_mm=0.6, line_length_mm=400.0, lead_mm=lead, blotch=0.0, grain=0.0)
    layers = bake_finish(replace(spec, direction=(0.0, 0.0, 1.0)), texels)
    p, tone = texels.positions_mm[wall], layers.albedo[wall, 0]
    angle = np.arctan2(p[:, 1], p[:, 0])
    start = np.flatnonzero((np.abs(angle) < 0.8) & (np.abs(p[:, 2]) < 12))
    tree = cKDTree(np.stack([10 * angle, p[:, 2]], axis=1))

    def alike(turn: float, rise: float) -> float:
        at = np.stack([10 * (angle[start] + turn), p[start, 2] + rise], axis=1)
        _, index = tree.query(at)
        return float(np.corrcoef(tone[start], tone[index])[0, 1])

    turn = 0.9
    along = alike(turn, lead * turn / (2 * np.pi))
    assert along > 0.7
    assert along > alike(turn, 0.0) + 0.4 and along > alike(turn, -lead * turn / (2 * np.pi)) + 0.4


def test_worn_edges_are_bare_metal_in_a_band_of_the_asked_width():
    texels = texels_of("plate", PLATE)
    paint = FinishSpec(kind="painted", colour=(0.3, 0.02, 0.02), roughness=0.5, metalness=0.0)
    widths = []
    for wear_mm in (0.6, 1.8):
        values = {"edge_mm": 0.4, "edge_wear": 1.0, "wear_mm": wear_mm}
        layers = bake_finish(replace(paint, values=values), texels)
        inside = texels.edge_mm > 4 * wear_mm
        assert layers.metalness[inside].max() == 0
        rim = texels.edge_mm < 0.25 * wear_mm
        assert layers.metalness[rim].mean() > 0.7
        assert layers.roughness[rim].mean() < 0.4
        x, y, z = texels.positions_mm.T
        top = (z > 1.99) & (np.abs(x) < PLATE["length"] / 2) & (np.abs(y) < PLATE["width"] / 2)
        area = layers.metalness[top & (texels.normals[:, 2] > 0.99)].sum() * 0.2**2
        widths.append(area / (2 * (PLATE["length"] + PLATE["width"])))
    assert widths[0] == pytest.approx(0.6, rel=0.35)
    assert widths[1] == pytest.approx(1.8, rel=0.35)


def test_a_worn_rim_does_not_break_into_dashes_on_coarse_texels():
    texels = texels_of("plate", PLATE, texel_mm=0.5)
    spec = FinishSpec(
        kind="painted", colour=(0.3, 0.02, 0.02), roughness=0.5, metalness=0.0,
        values={"edge_mm": 0.6, "edge_wear": 1.0, "wear_mm": 0.6},
    )  # fmt: skip
    layers = bake_finish(spec, texels)
    rim = (texels.normals[:, 2] > 0.99) & (texels.edge_mm < 0.3)
    assert (layers.metalness[rim] > 0.15).mean() > 0.9
    # From texel to texel along the rim it changes little.
    order = np.lexsort((texels.positions_mm[rim, 0], texels.positions_mm[rim, 1] > 0))
    assert np.abs(np.diff(layers.metalness[rim][order])).mean() < 0.2


@pytest.mark.parametrize("kind", ["ground", "cast", "painted", "rusted"])
def test_oil_smooths_and_darkens_what_it_covers(kind):
    texels = texels_of("plate", PLATE)
    dry, wet = (bake_finish(steel(kind, oil=share), texels) for share in (0.0, 0.5))
    assert (wet.roughness <= dry.roughness + 1e-6).all()
    covered = wet.roughness < dry.roughness - 0.05
    assert 0.3 < covered.mean() < 0.75
    assert (wet.albedo[covered] <= dry.albedo[covered] + 1e-6).all()
    # Amber: blue is taken most.
    kept = (wet.albedo[covered] / np.maximum(dry.albedo[covered], 1e-3)).mean(axis=0)
    assert kept[0] > kept[1] > kept[2]
    bare = ~covered & (wet.roughness == dry.roughness)
    np.testing.assert_array_equal(wet.albedo[bare], dry.albedo[bare])


def test_oil_and_soil_gather_below_the_land():
    size = {"diameter": 60.0, "thickness": 8.0, "bore": 16.0, "hub_diameter": 30.0}
    texels = texels_of("flange", size | {"hub_height": 10.0}, texel_mm=0.3)
    wall = (np.abs(texels.normals[:, 2]) < 0.1) & (texels.edge_mm > 0.5)
    radius = np.hypot(texels.positions_mm[:, 0], texels.positions_mm[:, 1])
    low, land = wall & (np.abs(radius - 15) < 0.5), wall & (np.abs(radius - 30) < 0.5)
    for overlay, dark in (("oil", "roughness"), ("soil", "metalness")):
        spec = steel("turned", **{overlay: 0.3}, land_radius_mm=30.0)
        spec = replace(spec, direction=(0.0, 0.0, 1.0))
        values = getattr(bake_finish(spec, texels), dark)
        assert values[low].mean() < values[land].mean() - 0.05, overlay


def test_soil_is_smeared_along_the_process():
    texels = texels_of("plate", PLATE)
    layers, top = bake_finish(steel("polished", soil=0.5), texels), top_of(texels)
    grid = on_grid(layers.metalness, texels, top)
    alike = sorted(likeness(grid, axis, 12) for axis in (0, 1))
    assert alike[1] > alike[0] + 0.15


def test_rust_covers_its_share_is_brown_dull_and_sits_at_edges_first():
    texels = texels_of("plate", PLATE | {"chamfer": 0.5})
    inside, rim = texels.edge_mm > 3, texels.edge_mm < 0.5
    covered = []
    for share in (0.15, 0.5, 0.85):
        layers = bake_finish(steel("rusted", rust=share), texels)
        rust = layers.metalness < 0.5
        covered.append(rust[inside].mean())
        assert rust[rim].mean() > covered[-1]
        red, green, blue = layers.albedo[rust].mean(axis=0)
        assert red > 1.6 * green > 1.6 * blue
        assert layers.roughness[rust].mean() > 0.6
    assert covered == sorted(covered)
    assert covered[1] == pytest.approx(0.45, abs=0.2)


def test_spangles_are_patches_with_borders():
    texels = texels_of("plate", PLATE)
    spec = steel("galvanized", spangle_mm=6.0, grain=0.0, blotch=0.0, fern=0.0)
    grid = on_grid(bake_finish(spec, texels).albedo[:, 0], texels, top_of(texels))
    steps = np.abs(np.diff(grid, axis=0))
    steps = steps[np.isfinite(steps)]
    # Nearly even within a crystal, a jump at its border.
    assert np.median(steps) < 0.1 * np.nanstd(grid)
    assert np.percentile(steps, 99) > 0.25 * np.nanstd(grid)
    assert likeness(grid, 0, 5) > 0.6 and likeness(grid, 0, 60) < 0.3


def test_slopes_survive_as_half_floats():
    texels = texels_of("plate", PLATE)
    layers = bake_finish(steel("cast", bump_slope=0.3, edge_mm=0.5), texels)
    slope = to_maps(layers, texels).slope[texels.rows, texels.columns].astype(np.float32)
    np.testing.assert_allclose(slope[:, :3], layers.slope, rtol=6e-4, atol=7e-5)
    square = (layers.slope.astype(np.float64) ** 2).sum(axis=1)
    np.testing.assert_allclose(slope[:, 3], square, rtol=6e-4, atol=7e-5)


def test_values_are_checked_by_name_and_sign():
    def ranges(**values: float) -> FinishRanges:
        return FinishRanges(
            kind="turned", colours=((0.5, 0.5, 0.5),), tone=Constant(1.0), roughness=Constant(0.4),
            metalness=Constant(1.0), anisotropy=Constant(0.0),
            values={name: Constant(value) for name, value in values.items()},
        )  # fmt: skip

    check_finish(ranges(lead_mm=0.0, edge_mm=0.0, oil=0.0), "scene.finishes.x")
    with pytest.raises(ConfigError, match=r"values\.oil_mm: 0 is too small; it must be above 0"):
        check_finish(ranges(oil_mm=0.0), "scene.finishes.x")
    with pytest.raises(ConfigError, match=r"values\.oill: unknown key; did you mean 'oil'"):
        check_finish(ranges(oill=0.1), "scene.finishes.x")
    with pytest.raises(ConfigError, match="'grownd' is unknown; did you mean 'ground'"):
        bake_finish(steel("grownd"), texels_of("plate", PLATE))


def test_every_finish_and_value_is_documented_with_a_picture():
    assert set(FINISHES) == set(FINISH_VALUES)
    text = (DOCS / "finishes.md").read_text()
    for name in (*FINISHES, *OVERLAY_VALUES):
        assert f"img/finishes/{name}.jpg" in text, name
        assert (DOCS / f"img/finishes/{name}.jpg").stat().st_size < 80_000, name
    for key in {key for keys in FINISH_VALUES.values() for key in keys}:
        assert f"`{key}`" in text, key
