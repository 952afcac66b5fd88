"""What is measured is what was planted."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from simgen.calibrate.compare import ALL, compare, populations
from simgen.calibrate.margin import gap_within, gaps_between, label_margin
from simgen.calibrate.measure import measure_image
from simgen.calibrate.quantities import QUANTITIES
from simgen.calibrate.sample import Observation, ks_distance, weigh
from simgen.calibrate.texture import noise_level, sharpness, streaks, usable
from simgen.train.images import LabelledImage, LabelledObject

SHAPE = (160, 200)
NOWHERE = np.zeros(SHAPE, bool)


def noisy(level, sigma, seed=0, shape=SHAPE):
    return np.random.default_rng(seed).normal(level, sigma, shape)


def image(pixels, number=1, part="a", objects=(), **attributes):
    pixels = np.clip(np.round(pixels), 0, 255).astype(np.uint8)
    return LabelledImage(
        image_id=number, file=Path("x.png"), pixels=pixels, part=part, objects=objects,
        attributes=attributes,
    )  # fmt: skip


def box(x, y, width, height, kind="pit"):
    return LabelledObject(
        kind=kind, box=(x, y, width, height), mask=np.ones((height, width), bool), corner=(x, y)
    )


@pytest.mark.parametrize("sigma", [1.0, 2.5, 6.0])
def test_planted_noise_is_found_whatever_the_shading(sigma):
    ramp = np.linspace(60, 180, SHAPE[1])[None, :] + np.zeros(SHAPE)
    found = measure_image(image(noisy(ramp, sigma))).values
    assert found["noise"] == pytest.approx(sigma, rel=0.06)
    assert found["brightness"] == pytest.approx(120, abs=0.5)


def test_noise_is_told_by_level():
    half = np.where(np.arange(SHAPE[1]) < 100, 50.0, 150.0)[None, :] + np.zeros(SHAPE)
    pixels = half + noisy(0, 1, 1) * np.where(half < 100, 1.5, 5.0)
    found = measure_image(image(pixels)).values
    assert found["noise_at_50"] == pytest.approx(1.5, rel=0.1)
    assert found["noise_at_150"] == pytest.approx(5.0, rel=0.1)
    assert np.isnan(found["noise_at_200"])


def test_clipped_pixels_carry_no_noise():
    pixels = np.where(np.arange(SHAPE[1]) < 150, 255.0, 100.0)[None, :] + noisy(0, 2)
    found = measure_image(image(pixels)).values
    assert found["noise"] == pytest.approx(2, rel=0.1)
    assert found["clipped_share"] == pytest.approx(0.75, abs=0.01)
    assert np.isnan(measure_image(image(np.full(SHAPE, 255.0))).values["noise"])


def test_contrast_is_that_of_the_levels():
    pixels = np.where(np.arange(SHAPE[1]) % 2, 120.0, 80.0)[None, :] + np.zeros(SHAPE)
    assert measure_image(image(pixels)).values["contrast"] == pytest.approx(0.2, abs=1e-3)


@pytest.mark.parametrize("angle_deg", [90.0, 60.0, 20.0, 0.0])
def test_the_direction_of_streaks_is_found_counter_clockwise_from_x(angle_deg):
    size = 180
    t = np.deg2rad(angle_deg)
    y, x = np.mgrid[0:size, 0:size]
    across = x * np.sin(t) + y * np.cos(t)
    lines = np.interp(across / 3, np.arange(-300, 500), noisy(0, 12, 3, (800,)))
    found = streaks(
        np.float32(120 + lines), np.ones((size, size), bool), along=(1, 5, 20), across=(1, 5)
    )
    assert found.coherence > 0.8
    away = (found.direction_deg - angle_deg + 90) % 180 - 90
    assert abs(away) < 3
    assert found.along[20] > 0.8 > found.across[5]


def test_texture_without_direction_has_no_coherence():
    found = streaks(np.float32(noisy(120, 10)), ~NOWHERE, along=(1,), across=(1,))
    assert found.coherence < 0.1
    assert abs(found.along[1]) < 0.1


def test_blur_lowers_sharpness():
    rough = np.float32(noisy(120, 12, 5))
    where = ~NOWHERE
    sharp, soft = sharpness(rough, where), sharpness(cv2.GaussianBlur(rough, (0, 0), 1.2), where)
    assert soft < 0.6 * sharp


def test_labels_take_no_part_in_the_texture():
    pixels = noisy(120, 2)
    pixels[60:90, 60:90] += noisy(0, 40, 2, (30, 30))
    labelled = measure_image(image(pixels, objects=(box(60, 60, 30, 30),))).values
    bare = measure_image(image(pixels)).values
    assert labelled["residual"] == pytest.approx(2 / 120, rel=0.1)
    assert bare["residual"] > 1.5 * labelled["residual"]


def test_the_numbers_of_a_label():
    pixels = noisy(120, 3)
    pixels[50:70, 40:80] -= 60
    measured = measure_image(image(pixels, objects=(box(40, 50, 40, 20),)))
    (label,) = measured.labels
    assert label.values["box_width_px"] == 40 and label.values["box_height_px"] == 20
    assert label.values["box_area_px"] == label.values["mask_area_px"] == 800
    assert (label.values["box_x"], label.values["box_y"]) == (60 / 200, 60 / 160)
    assert label.values["border_px"] == 40
    assert label.values["tone"] == pytest.approx(0.5, abs=0.02)
    assert measured.values["count"] == 1
    assert set(label.values) | set(measured.values) <= set(QUANTITIES)


@pytest.mark.parametrize("margin", [-2, 0, 1, 4])
def test_a_planted_label_margin_is_found(margin):
    grey = np.float32(noisy(120, 2, 7))
    grey[60:90, 80:120] -= 60
    mask = NOWHERE.copy()
    mask[60 - margin : 90 + margin, 80 - margin : 120 + margin] = True
    assert label_margin(grey, mask) == pytest.approx(margin, abs=0.5)


def test_a_margin_that_cannot_be_told_is_not_guessed():
    mask = NOWHERE.copy()
    mask[60:90, 80:120] = True
    assert np.isnan(label_margin(np.float32(noisy(120, 5)), mask))


def test_gaps_within_and_between_labels():
    pieces, other = NOWHERE.copy(), NOWHERE.copy()
    pieces[10:20, 10:20] = pieces[10:20, 26:30] = True
    other[10:20, 60:70] = True
    assert gap_within(pieces) == pytest.approx(7, abs=0.5)
    assert np.isnan(gap_within(other))
    assert gaps_between([pieces, other], ["pit", "pit"])[0] == pytest.approx(31, abs=0.5)
    assert np.isnan(gaps_between([pieces, other], ["pit", "scratch"])).all()


def test_a_colour_photograph_tells_its_colour_and_a_grey_one_does_not():
    grey = np.repeat(noisy(100, 3)[..., None], 3, axis=2)
    assert "red_over_green" not in measure_image(image(grey)).values
    tinted = measure_image(image(grey * np.array([1.2, 1.0, 0.8]))).values
    assert tinted["red_over_green"] == pytest.approx(1.2, abs=0.02)
    assert tinted["blue_over_green"] == pytest.approx(0.8, abs=0.02)


def test_the_same_set_has_distance_zero_everywhere():
    images = [
        measure_image(
            image(noisy(80 + 5 * k, 2, k), k + 1, f"p{k}", (box(20, 30, 9 + k, 7),) * (k % 2))
        )
        for k in range(6)
    ]
    rows = compare(images, images)
    assert {r.quantity for r in rows if r.population == ALL} >= {
        "brightness", "contrast", "noise", "box_width_px", "box_height_px", "box_area_px",
    }  # fmt: skip
    assert {r.distance for r in rows if len(r.simulated)} == {0.0}


def test_six_photographs_of_one_part_are_one_sample():
    many = [Observation(value=200.0, part="bright")] * 6
    sample = weigh([*many, Observation(value=100.0, part="dark")])
    assert sample.mean == pytest.approx(150)
    assert sample.parts == 2 and len(sample) == 7
    even = weigh([Observation(value=v, part=str(v)) for v in (100.0, 200.0)])
    assert ks_distance(sample, even) == pytest.approx(0)


def test_distance_is_the_largest_gap_of_the_distribution_functions():
    a = weigh([Observation(value=float(v), part=str(v)) for v in range(10)])
    b = weigh([Observation(value=float(v) + 3, part=str(v)) for v in range(10)])
    assert ks_distance(a, b) == pytest.approx(0.3)
    with pytest.raises(ValueError, match="empty sample"):
        ks_distance(a, weigh([]))


def test_like_is_compared_with_like():
    """The simulated set has other shares of clean images and kinds, and is otherwise the same."""

    def measured(number, part, level, kind=None):
        label = (box(20, 30, 10 if kind == "pit" else 40, 8, kind),) if kind else ()
        return measure_image(image(noisy(level, 2, number), number, part, label))

    def many(plan):
        return [measured(n + 1, f"p{n}", *what) for n, what in enumerate(plan)]

    clean, pit, crack = (150,), (90, "pit"), (90, "crack")
    real = many([clean] * 6 + [pit] + [crack])
    simulated = many([clean] + [pit] * 6 + [crack] * 2)
    shares = populations(real, simulated)
    assert shares.clean_share == 0.75
    assert shares.kind_shares == {"crack": 0.5, "pit": 0.5}
    rows = {(r.quantity, r.population): r for r in compare(real, simulated)}
    assert rows["box_width_px", ALL].distance == pytest.approx(0)
    brightness = rows["brightness", ALL]
    assert brightness.real.mean == pytest.approx(brightness.simulated.mean, abs=1)


def test_kinds_of_one_side_alone_are_left_out():
    real = [
        measure_image(image(noisy(100, 2), 1, "a", (box(9, 9, 12, 12),))),
        measure_image(image(noisy(200, 2), 2, "b", (box(9, 9, 60, 60, "vague"),))),
    ]
    rows = {(r.quantity, r.population): r for r in compare(real, real[:1])}
    assert populations(real, real[:1]).only_real == ("vague",)
    assert rows["brightness", ALL].distance == 0
    assert rows["box_width_px", ALL].real.parts == 1


def test_usable_pixels_keep_off_labels_and_clipping():
    grey = np.full(SHAPE, 100, np.float32)
    grey[0, 0] = 255
    labelled = NOWHERE.copy()
    labelled[50, 50] = True
    where = usable(grey, labelled)
    assert not where[0, 0] and not where[52, 52] and where[53, 53]
    assert np.isnan(noise_level(grey, NOWHERE))
