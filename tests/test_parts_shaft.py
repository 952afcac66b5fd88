"""The grooved shaft: its profile, its helix, and charts that are true to a few per cent."""

import numpy as np
import pytest

from simgen.errors import ConfigError
from simgen.parts.build import build_mesh
from simgen.parts.shaft import groove_of, groove_offset
from simgen.scene.spec import ShapeSpec

SIZE = {
    "diameter": 38.0,
    "length": 18.0,
    "lead": 20.0,
    "starts": 2.0,
    "groove_width": 6.2,
    "groove_depth": 2.0,
    "groove_radius": 4.0,
    "lip": 0.2,
}


def mesh_of(**changes):
    return build_mesh(ShapeSpec(kind="shaft", size_mm=SIZE | changes, texel_mm=0.2))


def test_the_groove_has_its_width_depth_and_rounded_lips():
    mesh = mesh_of()
    points = mesh.vertices_mm.astype(float)
    points = points[np.abs(points[:, 2]) < 8]
    radius = np.hypot(points[:, 0], points[:, 1])
    offset = np.abs(groove_offset(SIZE, points))
    on_land = offset > 6.2 / 2 + 0.2 + 1e-3
    np.testing.assert_allclose(radius[on_land], 19.0, atol=1e-5)
    assert radius.min() == pytest.approx(17.0, abs=1e-5)
    np.testing.assert_allclose(offset[radius < 17.001], 0, atol=1e-4)
    assert (radius[offset < 6.2 / 2 - 0.2] < 19.0).all()


def test_the_groove_advances_by_its_lead_in_a_turn():
    angle = np.linspace(-3, 3, 50)
    middle = 5.0 + 20.0 * angle / (2 * np.pi)
    on_helix = np.stack([17 * np.cos(angle), 17 * np.sin(angle), middle], axis=1)
    np.testing.assert_allclose(groove_offset(SIZE, on_helix), 0, atol=1e-4)
    np.testing.assert_allclose(groove_offset(SIZE, on_helix + [0, 0, 10.0]), 0, atol=1e-4)


@pytest.mark.parametrize("lip", [0.0, 0.2])
def test_depth_and_its_slope_agree(lip):
    groove = groove_of(
        diameter=38.0, lead=10.0, starts=1.0, groove_width=6.2, groove_depth=2.0,
        groove_radius=4.0, lip=lip,
    )  # fmt: skip
    x = np.linspace(-5, 5, 4001)
    depth, slope = groove.depth_at(x)
    numeric = np.gradient(depth, x)
    # Not at the sharp bottom, nor at lips that are not rounded.
    smooth = (np.abs(x) > 0.01) & (np.abs(np.abs(x) - 3.1) > 0.01 + lip)
    np.testing.assert_allclose(slope[smooth], numeric[smooth], atol=5e-3)
    assert depth[2000] == pytest.approx(2.0) and depth[0] == 0


def test_charts_are_true_to_four_per_cent():
    mesh = mesh_of()
    flat = mesh.uv.astype(float) * [mesh.map_width, mesh.map_height] * mesh.texel_mm
    points, flat = mesh.vertices_mm.astype(float)[mesh.faces], flat[mesh.faces]
    for i, j in ((0, 1), (1, 2), (2, 0)):
        length = np.linalg.norm(points[:, i] - points[:, j], axis=1)
        long = length > 0.1
        ratio = np.linalg.norm(flat[:, i] - flat[:, j], axis=1)[long] / length[long]
        assert 0.96 < ratio.min() and ratio.max() < 1.04


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groove_width": 9.9}, "groove_width"),
        ({"groove_depth": 3.2}, "groove_depth"),
        ({"lip": 1.2}, "lip"),
        ({"back_detail": 1.5}, "back_detail"),
    ],
)
def test_dimensions_that_contradict_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        mesh_of(**change)
