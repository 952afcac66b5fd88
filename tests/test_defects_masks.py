"""Masks against an independent judge, and what the profiles of the kinds promise."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.spatial import cKDTree

from simgen.config.render import RendererConfig
from simgen.defects.kinds import KINDS
from simgen.defects.outlines import blob_distance
from simgen.defects.profile import reach_of, surface_points
from simgen.defects.strands import NEAR_MM, strand_field
from simgen.label.contrast import same_face, twin_contrast
from simgen.parts.build import build_mesh
from simgen.parts.sites import Site
from simgen.render.raster import Raster
from simgen.sampling import stream
from simgen.scene.spec import DefectSpec, ShapeSpec

FLAT = Site(
    anchor_mm=(0.0, 0.0, 0.0), normal=(0.0, 0.0, 1.0), tangent=(1.0, 0.0, 0.0), edge_mm=1e6,
    edge_direction=(0.0, 0.0, 0.0),
)  # fmt: skip
BLOBS = ("blowhole", "corrosion", "fray", "pit", "stain", "wear")


def benchmark() -> ModuleType:
    path = Path(__file__).resolve().parent.parent / "benchmarks" / "mask_agreement.py"
    spec = importlib.util.spec_from_file_location("mask_agreement", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_masks_and_sizes_agree_with_rays_and_polygons() -> None:
    judge = benchmark()
    raster = Raster(RendererConfig(allow_software=True, supersample=1))
    # Steps of 7 visit every kind, every part, and lenses among them.
    verdicts = [judge.judge(raster, seed=3, number=7 * k, size_px=160) for k in range(16)]
    raster.close()
    seen = [v for v in verdicts if v is not None]
    assert {v.kind for v in seen} == set(judge.KINDS_TESTED)
    assert {v.place for v in seen} == {"plate", "cylinder", "sphere", "bracket"}
    assert any(v.distorted for v in seen)
    wrong, box = sum(v.wrong_px for v in seen), sum(v.box_px for v in seen)
    assert 1 - wrong / box > 0.998
    assert max(v.farthest_px for v in seen) <= 1
    sizes = [s for v in seen for s in v.sizes.values()]
    assert len(sizes) > 12
    assert sum(judge.within(*s) for s in sizes) >= len(sizes) - 1


def grid(defect: DefectSpec, step_mm: float) -> tuple[np.ndarray, np.ndarray]:
    reach = reach_of(defect)
    axis = np.arange(-reach, reach, step_mm, dtype=np.float32)
    u, v = np.meshgrid(axis, axis)
    return u.ravel(), v.ravel()


def along(defect: DefectSpec) -> tuple[np.ndarray, np.ndarray]:
    """Return points along a line and beside it."""
    path = np.array([p[:2] for p in defect.points])
    s = np.linspace(0, len(path) - 1, 20 * len(path))
    middle = [np.interp(s, np.arange(len(path)), path[:, k]) for k in (0, 1)]
    off = np.linspace(-0.6, 0.6, 13) * defect.size_mm["width"]
    u, v = (np.add.outer(m, o).ravel() for m, o in zip(middle, (0.6 * off, off), strict=True))
    return u.astype(np.float32), v.astype(np.float32)


@pytest.mark.parametrize("kind", [*BLOBS, "scratch"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_relief_is_as_deep_and_as_high_as_asked_for(kind: str, seed: int) -> None:
    module = KINDS[kind]
    defect = module.sample(stream(seed, 0, kind), module.Ranges(), FLAT)
    u, v = along(defect) if defect.points else grid(defect, defect.size_mm["width"] / 25)
    at = module.profile(defect, u, v)
    inside = at.distance_mm <= 0
    size = defect.size_mm
    if "depth" in size:
        assert -size["depth"] * 1.001 <= at.height_mm[inside].min() <= -0.55 * size["depth"]
    if "height" in size:
        assert 0.3 * size["height"] <= at.height_mm[inside].max() <= size["height"] * 1.001
    assert np.isfinite(at.height_mm).all()
    assert (at.amount >= 0).all() and (at.amount <= 1).all()


@pytest.mark.parametrize("kind", BLOBS)
def test_an_outline_fills_its_box_in_mm(kind: str) -> None:
    module = KINDS[kind]
    for seed in range(4):
        defect = module.sample(stream(seed, 0, kind), module.Ranges(), FLAT)
        step = defect.size_mm["width"] / 120
        u, v = grid(defect, step)
        inside = module.profile(defect, u, v).distance_mm <= 0
        assert np.ptp(u[inside]) == pytest.approx(defect.size_mm["length"], abs=4 * step)
        assert np.ptp(v[inside]) == pytest.approx(defect.size_mm["width"], abs=3 * step)


def test_distance_beside_an_outline_is_a_length_in_mm() -> None:
    u, v = (a.ravel() for a in np.meshgrid(*2 * [np.linspace(-9, 9, 361, dtype=np.float32)]))
    distance, radius = blob_distance(u, v, length_mm=12.0, width_mm=5.0, seed=4)
    on = np.stack([u, v], axis=1)[np.abs(distance) < 0.03]
    near = np.abs(distance) < 0.3
    gap, _ = cKDTree(on).query(np.stack([u, v], axis=1)[near])
    error = np.abs(np.abs(distance[near]) - gap)
    # To first order: at a tight turn it is a little off.
    assert np.quantile(error, 0.98) < 0.08 and error.max() < 0.2
    np.testing.assert_array_equal(distance < 0, radius < 1)


def test_strands_far_from_all_points_cost_nothing_and_change_nothing() -> None:
    rng = np.random.default_rng(1)
    path = np.cumsum(rng.uniform(-0.4, 0.8, (120, 2)), axis=0)
    rows = tuple((float(a), float(b), 0.1, float(k // 60)) for k, (a, b) in enumerate(path))
    u, v = rng.uniform(-20, 60, (2, 24_000)).astype(np.float32)
    many = strand_field(rows, u, v)
    few = [strand_field(rows, u[k : k + 300], v[k : k + 300]) for k in range(0, 24_000, 300)]
    exact = np.concatenate([f.distance_mm for f in few])
    near = exact < NEAR_MM - 0.3
    assert near.sum() > 200
    np.testing.assert_allclose(many.distance_mm[near], exact[near], atol=1e-4)
    assert (many.distance_mm[~near] > 1.0).all()
    along = np.concatenate([f.along_mm for f in few])
    np.testing.assert_allclose(many.along_mm[near], along[near], atol=1e-3)


def test_lengths_are_true_across_a_bend() -> None:
    mesh = build_mesh(ShapeSpec(kind="bracket", texel_mm=0.3, size_mm={
        "leg_a": 40.0, "leg_b": 40.0, "width": 30.0, "thickness": 3.0, "bend": 7.0, "holes": 0.0,
    }))  # fmt: skip
    # On the flat outer face, 4 mm before the bend of radius 10 begins.
    defect = DefectSpec(
        kind="crack", anchor_mm=(-6.0, 0.0, -20.0), normal=(0.0, 0.0, -1.0),
        tangent=(-1.0, 0.0, 0.0), size_mm={"length": 20.0, "width": 1.0},
        values={"max_turn_deg": 60.0, "level_mm": 0.8},
    )  # fmt: skip
    texels = mesh.texels
    near = surface_points(defect, texels.positions_mm, texels.normals, 14.0)
    p, n = texels.positions_mm[near.index], texels.normals[near.index]
    bent = (n[:, 2] < -0.5) & (n[:, 2] > -0.98) & (np.abs(p[:, 1]) < 14)
    angle = np.arctan2(-10.0 - p[bent, 0], -10.0 - p[bent, 2])
    assert bent.sum() > 200
    np.testing.assert_allclose(near.u_mm[bent], 4.0 + 10.0 * angle, atol=0.05)


def test_the_noise_of_a_contrast_is_that_of_the_defects_own_face() -> None:
    # A flat face, a chamfer turned by 45 degrees beside it, and a background.
    part = np.zeros((60, 60), bool)
    part[10:50, 10:50] = True
    normal = np.zeros((60, 60, 3), np.float32)
    normal[10:50, 10:44] = (0, 0, 1)
    normal[10:50, 44:50] = (np.sqrt(0.5), 0, np.sqrt(0.5))
    mask = np.zeros((60, 60), bool)
    mask[25:35, 36:40] = True
    clean = np.full((60, 60), 100.0)
    clean[:, 44:50] = 220.0
    noisy = clean + np.random.default_rng(1).normal(0, 2, clean.shape)
    faint = np.where(mask, clean + 10, clean)
    face = same_face(mask, part, normal)
    np.testing.assert_array_equal(face, part & (normal[..., 2] > 0.9))
    assert twin_contrast(mask, face, faint, clean, noisy) == pytest.approx(5.0, rel=0.15)
    # Over the edge there is no one face.
    over = np.zeros((60, 60), bool)
    over[25:35, 40:48] = True
    np.testing.assert_array_equal(same_face(over, part, normal), part)
