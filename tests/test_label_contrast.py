"""What counts as findable: off the clean twin, off the surroundings, and large enough."""

import numpy as np
import pytest

from simgen.label.contrast import findable, stands_out, twin_contrast

WHOLE = np.ones((60, 80), bool)
MASK = np.zeros((60, 80), bool)
MASK[20:40, 30:50] = True
NOISY = 100 + np.random.default_rng(0).normal(0, 3, MASK.shape).astype(np.float32)


def flat(inside: float) -> np.ndarray:
    return np.where(MASK, inside, 100).astype(np.float32)


def test_a_patch_stands_out_by_its_level_in_the_ring_s_noise() -> None:
    assert stands_out(MASK, WHOLE, flat(112), NOISY) == pytest.approx(4.0, rel=0.1)
    assert stands_out(MASK, WHOLE, flat(100), NOISY) < 1e-3


def test_what_looks_like_its_surroundings_is_not_findable_however_far_its_twin_is() -> None:
    # A bright bevel (40 levels up in the twin) broken away to the face's own grey.
    twin = flat(140)
    far = twin_contrast(MASK, WHOLE, flat(100), twin, NOISY)
    assert far > 10
    assert findable(far, stands_out(MASK, WHOLE, flat(100), NOISY), int(MASK.sum())) < 1e-3


def test_texture_of_the_surroundings_mean_level_stands_out() -> None:
    y = flat(100)
    rows, columns = np.nonzero(MASK)
    # Facets ten pixels wide, half of them brighter and half darker.
    y[rows, columns] += np.where((rows // 10 + columns // 10) % 2, 15, -15)
    assert stands_out(MASK, WHOLE, y, NOISY) > 3


def test_a_hairline_stands_out_among_pixels_of_its_part_alone() -> None:
    line = np.zeros_like(MASK)
    line[10:50, 40] = True
    y = np.where(line, 70, 100).astype(np.float32)
    part = WHOLE.copy()
    part[:, 42:] = False
    y[:, 42:] = 0  # Background beside the part is no step of the defect's.
    assert stands_out(line, part, y, NOISY) == pytest.approx(10, rel=0.15)


def test_small_defects_need_more() -> None:
    assert findable(3.0, 2.0, 64) == 2.0
    assert findable(3.0, 2.0, 5000) == 2.0
    assert findable(3.0, 2.0, 16) == 1.0
