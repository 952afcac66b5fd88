"""Mixes and crops: exact ratios, independent draws, boxes that follow their pixels."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simgen.config import parse
from simgen.errors import ConfigError, DatasetError
from simgen.sampling import stream
from simgen.train.config import AugmentConfig, TrainConfig
from simgen.train.crops import cut, draw_crop, draw_side, normalised, resized
from simgen.train.images import LabelledImage, LabelledObject, Source
from simgen.train.mix import batches, quotas

STILL = AugmentConfig(flip_x=0, flip_y=0, gain=1, offset=0, noise=0)


def image(
    part: str, kind: str | None = None, size: tuple[int, int] = (80, 120), number: int = 1
) -> LabelledImage:
    height, width = size
    pixels = np.zeros(size, np.uint8)
    objects: tuple[LabelledObject, ...] = ()
    if kind:
        rng = np.random.default_rng(number)
        w, h = int(rng.integers(4, width // 2)), int(rng.integers(4, height // 2))
        x, y = int(rng.integers(0, width - w)), int(rng.integers(0, height - h))
        pixels[y : y + h, x : x + w] = 255
        mask = np.ones((h, w), bool)
        objects = (LabelledObject(kind=kind, box=(x, y, w, h), mask=mask, corner=(x, y)),)
    return LabelledImage(image_id=number, file=Path("x"), pixels=pixels, part=part, objects=objects)


def source(name: str, *images: LabelledImage) -> Source:
    return Source(name=name, images=images, sha256="0")


REAL = source(
    "real",
    *[image("common", "dot", number=n) for n in range(1, 40)],
    image("rare", "dot", number=50),
    image("line", "bar", number=51),
    image("clean", None, number=52),
)
SYNTHETIC = source("synthetic", image("s1", "dot", number=60), image("s2", None, number=61))


@pytest.mark.parametrize(
    ("ratios", "batch", "expected"),
    [
        ({"real": 1.0}, 16, {"real": 16}),
        ({"real": 0.375, "synthetic": 0.625}, 8, {"real": 3, "synthetic": 5}),
        ({"a": 0.1, "b": 0.2, "c": 0.7}, 10, {"a": 1, "b": 2, "c": 7}),
    ],
)
def test_quotas(ratios, batch: int, expected) -> None:
    assert quotas(ratios, batch, "arms.x") == expected


@pytest.mark.parametrize(
    ("ratios", "message"),
    [
        ({"real": 0.5, "synthetic": 0.4}, r"arms\.x: ratios add up to 0\.9"),
        ({"real": 0.3, "synthetic": 0.7}, r"arms\.x\.real: 0\.3 of a batch of 16 is 4\.8"),
        ({"real": 1.5, "synthetic": -0.5}, r"arms\.x\.synthetic"),
        ({}, r"arms\.x"),
    ],
)
def test_ratios_that_cannot_be_exact_are_refused(ratios, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        quotas(ratios, 16, "arms.x")


def test_every_batch_holds_the_exact_ratio() -> None:
    both = {"real": REAL, "synthetic": SYNTHETIC}
    for batch in batches(both, {"real": 3, "synthetic": 5}, steps=20, focus=0.7, seed=0):
        assert Counter(d.source for d in batch) == {"real": 3, "synthetic": 5}


def test_a_source_s_draws_ignore_the_other_sources() -> None:
    both = {"real": REAL, "synthetic": SYNTHETIC}
    alone = list(batches(both, {"real": 4}, steps=5, focus=0.7, seed=0))
    mixed = list(batches(both, {"synthetic": 6, "real": 4}, steps=5, focus=0.7, seed=0))
    for a, b in zip(alone, mixed, strict=True):
        assert a == [d for d in b if d.source == "real"]


def test_parts_and_kinds_are_drawn_evenly() -> None:
    draws = [
        d for b in batches({"real": REAL}, {"real": 10}, steps=300, focus=0.5, seed=1) for d in b
    ]
    share = Counter(d.image.part for d in draws)
    assert share["clean"] / 3000 == pytest.approx(0.5, abs=0.04)
    assert share["line"] / 3000 == pytest.approx(0.25, abs=0.04)
    assert share["common"] / 3000 == pytest.approx(0.125, abs=0.03)
    assert share["rare"] / 3000 == pytest.approx(0.125, abs=0.03)


def test_a_source_without_a_defect_is_refused() -> None:
    clean = {"real": source("real", image("a"))}
    with pytest.raises(DatasetError, match="source real: no image shows a defect"):
        next(batches(clean, {"real": 1}, steps=1, focus=0.7, seed=0))


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'real'"):
        next(batches({"real": REAL}, {"reel": 1}, steps=1, focus=0.7, seed=0))


@given(
    seed=st.integers(0, 10_000),
    height=st.integers(20, 150),
    width=st.integers(20, 150),
    flip_x=st.integers(0, 1),
    flip_y=st.integers(0, 1),
)
def test_a_box_in_a_crop_bounds_the_object_s_pixels(seed, height, width, flip_x, flip_y) -> None:
    picture = image("p", "dot", size=(height, width), number=seed)
    rng = stream(seed, 0, "test")
    corner = draw_crop(rng, picture, 0, 64)
    crop = cut(
        rng,
        picture,
        corner,
        64,
        AugmentConfig(flip_x=flip_x, flip_y=flip_y, gain=1, offset=0, noise=0),
    )
    rows, columns = np.nonzero(crop.pixels[..., 0] > 2)
    if len(crop.boxes) == 0:
        # Only a sliver may go unlabelled.
        assert min(np.ptp(rows, initial=0), np.ptp(columns, initial=0)) < 3
        return
    assert crop.kinds == ("dot",)
    seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_array_equal(crop.boxes[0], seen)


@given(seed=st.integers(0, 10_000))
def test_a_crop_aimed_at_a_defect_shows_it(seed: int) -> None:
    picture = image("p", "dot", size=(300, 400), number=seed)
    rng = stream(seed, 0, "test")
    crop = cut(rng, picture, draw_crop(rng, picture, 0, 96), 96, STILL)
    assert len(crop.boxes) == 1


@given(seed=st.integers(0, 10_000), scale=st.floats(1.1, 2))
def test_at_another_scale_a_box_still_bounds_the_object_s_pixels(seed: int, scale: float) -> None:
    picture = image("p", "dot", size=(150, 200), number=seed)
    rng = stream(seed, 0, "test")
    side = draw_side(rng, 64, scale)
    assert 64 / scale - 0.5 <= side <= 64 * scale + 0.5
    crop = resized(cut(rng, picture, draw_crop(rng, picture, 0, side), side, STILL), 64)
    assert crop.pixels.shape == (64, 64, 3)
    assert crop.mask.shape == (64, 64)
    # A pixel at a rim belongs to the object if half of it does, so a rim is a pixel off at most.
    for lit in (crop.pixels[..., 0] > 0.1, crop.mask > 0):
        rows, columns = np.nonzero(lit)
        seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(crop.boxes[0], seen, atol=1.01)


def test_sizes_are_drawn_to_either_side_alike() -> None:
    sides = [draw_side(stream(s, 0, "t"), 128, 2.0) for s in range(400)]
    assert min(sides) < 70
    assert max(sides) > 240
    assert abs(np.mean(np.log2(sides)) - 7) < 0.1
    assert draw_side(stream(0, 0, "t"), 128, 1.0) == 128


@given(seed=st.integers(0, 1000), size=st.sampled_from([(40, 300), (300, 40), (40, 40)]))
def test_a_crop_holds_the_whole_of_a_side_that_is_shorter(seed: int, size: tuple[int, int]) -> None:
    picture = image("p", "dot", size=size)
    left, top = draw_crop(stream(seed, 0, "test"), picture, None, 64)
    for first, length in ((left, size[1]), (top, size[0])):
        assert min(0, length - 64) <= first <= max(0, length - 64)


def test_pixels_keep_their_scale_and_padding_is_neutral() -> None:
    pixels = np.full((10, 20), 124, np.uint8)
    out = normalised(pixels, 32, 32)
    assert out.shape == (32, 32, 3)
    assert np.abs(out[:10, :20, 0]).max() < 0.02
    assert not out[10:].any()
    assert not out[:, 20:].any()


def test_light_changes_but_labels_do_not() -> None:
    picture = image("p", "dot", size=(64, 64))
    jitter = AugmentConfig(flip_x=0, flip_y=0, gain=2, offset=20, noise=5)
    crops = [cut(stream(s, 0, "t"), picture, (0, 0), 64, jitter) for s in range(8)]
    assert len({float(c.pixels.mean()) for c in crops}) == 8
    for crop in crops:
        np.testing.assert_array_equal(crop.boxes, crops[0].boxes)


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({"crop_px": 100}, r"train: crop_px: 100 is not a multiple of 32"),
        ({"passes": 0}, r"train\.passes"),
        ({"focus": 1.5}, r"train\.focus"),
        (
            {"lerning_rate": 0.1},
            r"train\.lerning_rate: unknown key; did you mean 'train.learning_rate'",
        ),
        ({"augment": {"gain": 0.5}}, r"train\.augment\.gain"),
        ({"augment": {"scale": 0.5}}, r"train\.augment\.scale"),
    ],
)
def test_a_mistake_in_the_recipe_names_its_key(plain, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(TrainConfig, plain, "train")
