"""Slices by measures and attributes, and the reasons for those that there are not."""

from pathlib import Path

import numpy as np
import pytest

from simgen.config import parse
from simgen.errors import ConfigError
from simgen.evaluate.config import EvaluateConfig
from simgen.evaluate.slices import make_slices
from simgen.train.images import LabelledImage, LabelledObject


def photograph(number: int, sides: list[int], level: int = 100, **said) -> LabelledImage:
    """A grey picture with square marks, 40 levels darker each, and masks."""
    pixels = np.full((120, 160), level, np.uint8)
    objects = []
    for n, side in enumerate(sides):
        x = 10 + 50 * n
        pixels[20 : 20 + side, x : x + side] = level - 40
        mask = np.ones((side, side), bool)
        objects.append(
            LabelledObject(
                kind="dot",
                box=(float(x), 20.0, float(side), float(side)),
                mask=mask,
                corner=(x, 20),
                attributes={"visibility": 1.0 if n == 0 else 0.4} if said.get("hides") else {},
            )
        )
    said.pop("hides", None)
    return LabelledImage(
        image_id=number,
        file=Path(f"{number}.png"),
        pixels=pixels,
        part=f"part{number}",
        objects=tuple(objects),
        attributes=said,
    )


def test_labels_are_sorted_by_the_size_of_their_masks() -> None:
    images = [photograph(1, [8, 30]), photograph(2, [12]), photograph(3, [])]
    made = make_slices(images, ("dot",), (), {"size_px": (12, 24)}).made
    by_name = {s.name: s for s in made}
    assert list(by_name) == ["all", "dot", "size_px to 12", "size_px 12-24", "size_px from 24"]
    small = by_name["size_px to 12"]
    # Both ends are in, as in COCO's area ranges, and clean photographs take part.
    assert [list(c) for c in small.counted.objects] == [[True, False], [True], []]
    assert (small.num_parts, small.clean_parts) == (2, 1)
    assert by_name["size_px from 24"].defective.tolist() == [True, False, False]


def test_a_scale_gives_millimetres_and_without_one_the_slice_is_left_out() -> None:
    images = [photograph(1, [16], px_per_mm=8.0), photograph(2, [40], px_per_mm=8.0)]
    made = make_slices(images, ("dot",), (), {"size_mm": (3,)})
    assert [s.name for s in made.made[2:]] == ["size_mm to 3", "size_mm from 3"]
    assert [s.num_parts for s in made.made[2:]] == [1, 1]
    without = make_slices([photograph(1, [16])], ("dot", "bar"), ("lamp",), {"size_mm": (3,)})
    assert [s.name for s in without.made] == ["all", "dot"]
    assert without.left_out == {
        "bar": "no photograph shows it",
        "lamp": "no photograph says it among its attributes",
        "size_mm": "no photograph says its scale (a number `px_per_mm` among its attributes)",
    }


def test_occlusion_brightness_contrast_and_attributes_make_slices() -> None:
    images = [
        photograph(1, [16, 16], level=60, hides=True, lamp=1, spindle="a"),
        photograph(2, [16], level=200, hides=True, lamp=2, spindle="b"),
    ]
    bins = {"visibility": (0.5,), "brightness": (128,), "contrast": (5,), "lamp": (1.5,)}
    made = make_slices(images, ("dot",), ("spindle",), bins)
    parts = {s.name: s.num_parts for s in made.made[2:]}
    assert parts == {
        "spindle a": 1,
        "spindle b": 1,
        "visibility to 0.5": 1,
        "visibility from 0.5": 2,
        "brightness to 128": 1,
        "brightness from 128": 1,
        "lamp to 1.5": 1,
        "lamp from 1.5": 1,
    }
    assert made.left_out == {
        "contrast to 5": "no label is in this range",
        "contrast from 5": "every label is in this range: the same as all",
    }


def test_an_attribute_of_many_values_asks_for_edges() -> None:
    images = [photograph(n, [16], grey=float(n)) for n in range(20)]
    made = make_slices(images, ("dot",), ("grey",))
    assert made.left_out == {"grey": "it has 20 values; give edges in evaluate.bins"}


@pytest.mark.parametrize("edges", [[], [3, 3], [5, 2]])
def test_edges_must_rise(edges: list) -> None:
    with pytest.raises(ConfigError, match=r"evaluate\.bins\.size_px: .* no rising edges"):
        parse(EvaluateConfig, {"bins": {"size_px": edges}}, "evaluate")
    config = parse(EvaluateConfig, {"bins": {"size_px": [16, 48]}}, "evaluate")
    assert config.bins == {"size_px": (16.0, 48.0)}
