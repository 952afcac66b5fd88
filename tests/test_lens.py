"""Depth of field: how far a lens spreads a point, who covers whom, and what labels make of it."""

from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import scenes
from simgen.pipeline import FrameRenderer
from simgen.scene.spec import CameraSpec
from simgen.sensor import blur_reach_px, defocused

# 1000 px x 8 mm x |1 / 400 - 1 / z| / 4: 1 px at 500 mm, -1 px at 333.3 mm.
LENS = CameraSpec(
    width=61, height=41, fx=1000.0, fy=1000.0, cx=30.0, cy=20.0,
    pose=scenes.camera((0.0, 0.0, 400.0)).pose, aperture_mm=8.0, focus_mm=400.0,
)  # fmt: skip


def depth(mm: float) -> np.ndarray:
    return np.full((41, 61), mm, np.float32)


def dot() -> np.ndarray:
    linear = np.zeros((41, 61, 3), np.float32)
    linear[20, 30] = 1.0
    return linear


@pytest.mark.parametrize(("z", "sigma"), [(500.0, 1.0), (1000 / 3, 1.0), (0.0, 5.0), (400.0, 0.0)])
def test_a_point_spreads_as_far_as_the_thin_lens_says(z: float, sigma: float) -> None:
    image = defocused(dot(), depth(z), LENS)[..., 0]
    assert image.sum() == pytest.approx(1, rel=0.02)
    x = np.arange(61) - 30
    assert np.sqrt((image.sum(axis=0) * x**2).sum()) == pytest.approx(sigma, abs=0.06 * sigma)
    reach = blur_reach_px(depth(z), LENS)
    rest = image.copy()
    rest[:, max(0, 30 - reach) : 31 + reach] = 0
    assert rest.sum() < 1e-4


def test_a_pinhole_changes_nothing() -> None:
    image = dot()
    assert defocused(image, depth(900.0), replace(LENS, aperture_mm=0.0)) is image
    assert blur_reach_px(depth(900.0), replace(LENS, aperture_mm=0.0)) == 0


def test_what_is_sharp_in_front_keeps_its_border_and_what_is_blurred_in_front_spreads() -> None:
    image, z = np.full((41, 61, 3), 0.2, np.float32), depth(0.0)
    image[:, 30:], z[:, 30:] = 1.0, 400.0
    sharp = defocused(image, z, LENS)
    np.testing.assert_allclose(sharp[:, 30:], 1.0, rtol=1e-5)
    np.testing.assert_allclose(sharp[:, :30], 0.2, rtol=1e-5)

    z[:, :30], z[:, 30:] = 400.0, 250.0  # now the bright half is far too near
    spread = defocused(image, z, LENS)[20, :, 0]
    assert spread[29] > 0.5 and spread[0] == pytest.approx(0.2, rel=1e-3)
    assert (np.diff(spread[:30]) > -1e-6).all()


@given(seed=st.integers(0, 10**6))
def test_an_even_field_stays_even_whatever_its_depths(seed: int) -> None:
    rng = np.random.default_rng(seed)
    z = rng.choice([0.0, 150.0, 399.0, 400.0, 402.0, 5000.0], (41, 61)).astype(np.float32)
    image = np.full((41, 61, 3), 0.7, np.float32)
    np.testing.assert_allclose(defocused(image, z, LENS), 0.7, rtol=1e-4)


def test_depth_of_field_moves_no_label_and_costs_contrast_until_it_hides_a_defect() -> None:
    small = ("image.width=240", "image.height=240", "renderer.supersample=1", "frames=2")
    lens = ("+scene.camera.focus_off_mm=-150", "+scene.camera.aperture_mm={}")
    found = []
    for aperture in (0, 20, 200):
        words = [w.format(aperture) for w in (*small, *lens)]
        with closing(FrameRenderer(scenes.config("inspection", *words))) as renderer:
            frame = renderer.frame(1)
        assert frame.spec.camera.aperture_mm == aperture
        parts = [a.mask for a in frame.annotations if a.supercategory == "part"]
        defects = [a for a in frame.annotations if a.supercategory == "defect"]
        found.append((parts, defects, frame.erased))
    (sharp_parts, (sharp,), _), (soft_parts, (soft,), _), (_, none, erased) = found
    for one, two in zip((*sharp_parts, sharp.mask), (*soft_parts, soft.mask), strict=True):
        np.testing.assert_array_equal(one, two)
    assert soft.contrast < 0.9 * sharp.contrast
    assert not none and erased[sharp.category] == 1
