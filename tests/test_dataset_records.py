import dataclasses
import hashlib

import cv2
import numpy as np
import pytest
import stand_in
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as rle
from scipy.ndimage import binary_fill_holes

from simgen.dataset.records import (
    annotation_records,
    encode_image,
    frame_record,
    polygons_of,
)
from simgen.dataset.segmentation import decode_mask
from simgen.errors import DatasetError
from simgen.scene.spec import content_hash, scene_from_json, to_json

MASKS = arrays(bool, st.tuples(st.integers(1, 24), st.integers(1, 24))).filter(np.any)


def frame(**keys):
    drawn = stand_in.StandIn(stand_in.config("unused", seed=2, **keys)).frame(7)
    assert len(drawn.annotations) == 3
    return drawn


def records(drawn, polygons=False):
    return list(annotation_records(drawn, categories=stand_in.CATEGORIES, polygons=polygons))


@given(mask=MASKS)
def test_polygons_decode_to_the_mask_with_its_holes_filled(mask):
    np.testing.assert_array_equal(
        decode_mask(polygons_of(mask), *mask.shape), binary_fill_holes(mask)
    )


def test_a_rectangle_is_a_polygon_of_four_corners():
    mask = np.zeros((10, 10), bool)
    mask[2:5, 3:9] = True
    (polygon,) = polygons_of(mask)
    assert sorted(zip(polygon[::2], polygon[1::2], strict=True)) == [(3, 2), (3, 5), (9, 2), (9, 5)]


@given(mask=MASKS, polygons=st.booleans())
def test_box_and_area_are_those_of_what_the_segmentation_decodes_to(mask, polygons):
    drawn = frame(image={"width": 64, "height": 48})
    part = dataclasses.replace(drawn.annotations[0], mask=mask)
    image = np.zeros((*mask.shape, 3), np.uint8)
    (record,) = records(
        dataclasses.replace(drawn, image=image, annotations=(part,)), polygons=polygons
    )
    segmentation = record["segmentation"]
    packed = rle.merge(rle.frPyObjects(segmentation, *mask.shape)) if polygons else segmentation
    assert record["bbox"] == rle.toBbox(packed).tolist()
    assert record["area"] == rle.area(packed)


def test_ids_follow_the_frame_and_defects_point_to_their_part():
    part, *defects = records(frame())
    assert (part["id"], part["image_id"]) == (70_001, 8)
    assert [d["part_annotation_id"] for d in defects] == [70_001] * len(defects)
    assert {d["category_id"] for d in defects} <= {3, 4}
    assert "contrast" not in part


def test_a_defect_of_a_part_without_a_pixel_points_to_no_annotation():
    drawn = frame()
    lost = dataclasses.replace(drawn.annotations[1], part=None, missing_material=True)
    (record,) = records(dataclasses.replace(drawn, annotations=(lost,)))
    assert record["part_annotation_id"] == 0
    assert record["missing_material"] is True


def test_an_empty_mask_is_a_bug_and_never_written():
    drawn = frame()
    empty = dataclasses.replace(drawn.annotations[0], mask=np.zeros((48, 64), bool))
    with pytest.raises(ValueError, match="frame 7: annotation 0 has no mask"):
        records(dataclasses.replace(drawn, annotations=(empty,)))


def test_more_annotations_than_ids_are_refused():
    drawn = frame()
    with pytest.raises(DatasetError, match="frame 7: 10000 annotations"):
        records(dataclasses.replace(drawn, annotations=drawn.annotations[:1] * 10_000))


def test_a_frame_record_gives_the_spec_back_with_its_hash():
    drawn = frame()
    record = frame_record(drawn, file_name="images/00000007.png", part_prefix="flat-seed0-")
    assert scene_from_json(to_json(record["spec"])) == drawn.spec
    assert record["spec_sha256"] == content_hash(drawn.spec)
    assert hashlib.sha256(to_json(record["spec"]).encode()).hexdigest() == record["spec_sha256"]
    assert record["part"] == "flat-seed0-s000007"


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3)])
def test_png_keeps_every_pixel_and_channel_order(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    data = np.frombuffer(encode_image(image, "x.png"), np.uint8)
    decoded = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(decoded if len(shape) == 2 else decoded[..., ::-1], image)


def test_jpg_is_near_the_image_and_smaller_at_the_sensors_quality():
    image = np.full((64, 64, 3), (200, 100, 50), np.uint8)
    image[20:40, 20:40] = (60, 90, 160)
    high, low = encode_image(image, "x.jpg"), encode_image(image, "x.jpg", quality=30)
    assert len(low) < len(high)
    decoded = cv2.imdecode(np.frombuffer(high, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.abs(decoded.astype(int) - image).mean() < 2
