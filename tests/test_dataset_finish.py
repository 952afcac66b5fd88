"""What is derived from the shards, streamed: its memory does not grow with the frames."""

import json
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as rle

from simgen import pipeline
from simgen.dataset import finish_dataset
from simgen.dataset.coco_items import coco_items
from simgen.dataset.segmentation import decode_mask
from simgen.errors import DatasetError

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def write_dataset():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        from finish_memory import write_dataset

        yield write_dataset
    finally:
        sys.path.remove(str(BENCHMARKS))


def peak_of_finishing(config):
    categories = pipeline.categories(config)
    tracemalloc.start()
    try:
        manifest = finish_dataset(config, categories)
        return manifest, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_of_finishing_does_not_grow_with_the_frames(write_dataset, tmp_path):
    peaks = {}
    for frames in (40, 240):
        config = write_dataset(tmp_path / str(frames), frames, shard_size=50)
        manifest, peaks[frames] = peak_of_finishing(config)
        assert manifest["frames"] == frames
    coco = json.loads((tmp_path / "240/coco.json").read_text())
    assert (len(coco["images"]), len(coco["annotations"])) == (240, 2160)
    small, large = ((tmp_path / str(n) / "coco.json").stat().st_size for n in peaks)
    # Of half a megabyte that is written more, a few bytes a label are kept.
    assert large - small > 500_000
    assert peaks[240] - peaks[40] < 0.3 * (large - small)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
LISTS = st.lists(VALUES, max_size=6)


@given(
    images=LISTS, annotations=LISTS, other=VALUES, indent=st.sampled_from([None, 0, 2]),
    ascii_only=st.booleans(), chunk=st.integers(1, 40),
)  # fmt: skip
def test_records_come_one_by_one_as_json_would_have_read_them(
    tmp_path_factory, images, annotations, other, indent, ascii_only, chunk
):
    path = tmp_path_factory.getbasetemp() / "items.json"
    whole = {"info": other, "images": images, "more": [other], "annotations": annotations}
    text = json.dumps(whole, indent=indent, ensure_ascii=ascii_only)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    found = {"images": [], "annotations": []}
    with pytest.MonkeyPatch.context() as patch:
        # So small that values, texts and characters are cut in two.
        patch.setattr("simgen.dataset.coco_items._CHUNK", chunk)
        for key, record in coco_items(path, found):
            found[key].append(record)
    assert found == {"images": images, "annotations": annotations}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'the end' where '{' was due"),
        ('{"images": [1, 2', "'the end' where ',' was due"),
        ('{"images": 3}', "'images' is no list"),
        ('{"images": [NaN]}', "NaN is no number"),
        ("{}", "no list 'images'"),
        ('{"images": [{]}', "Expecting property name"),
        ('{"images": [1] "x": 2}', "no list"),
    ],
)
def test_what_is_no_coco_file_is_one_line(tmp_path, text, message):
    (tmp_path / "coco.json").write_text(text)
    if message == "no list":
        # Lenient where nothing can go wrong: the list itself is whole.
        assert list(coco_items(tmp_path / "coco.json", ("images",))) == [("images", 1)]
        return
    with pytest.raises(DatasetError, match=f"coco.json: not a COCO file .*{message}.*fetch or"):
        list(coco_items(tmp_path / "coco.json", ("images",)))


@given(rows=st.integers(1, 30), columns=st.integers(1, 30), seed=st.integers(0, 1000))
def test_masks_decode_as_pycocotools_decodes_them(rows, columns, seed):
    rng = np.random.default_rng(seed)
    mask = rng.random((rows, columns)) < rng.choice([0, 0.05, 0.5, 0.95, 1])
    packed = rle.encode(np.asfortranarray(mask, np.uint8))
    text = {"size": [rows, columns], "counts": packed["counts"].decode()}
    runs, last = [], False
    for value in mask.T.reshape(-1):
        if value != last or not runs:
            runs += [0] * (bool(value) and not runs) + [0]
            last = value
        runs[-1] += 1
    listed = {"size": [rows, columns], "counts": runs}
    for segmentation in (text, listed):
        np.testing.assert_array_equal(decode_mask(segmentation, rows, columns), mask)


@pytest.mark.parametrize(
    "segmentation",
    [
        {"size": [4, 4], "counts": "0"},
        {"size": [4, 4], "counts": ""},
        {"size": [4, 4], "counts": "é"},
        {"size": [4, 4], "counts": "o" * 40},
        {"size": [4, 4], "counts": [16, True]},
        {"size": [4, 4], "counts": [10**30]},
        {"size": [4, 4], "counts": None},
        {"size": [10**9, 10**9], "counts": [10**18]},
        {"size": "44", "counts": "0"},
        {},
        [],
        [[0, 0, 4, 4]],
        [[0, 0, 1, 0, 1, float("nan")]],
        [[0, 0, 1, 0, 1, 10**400]],
        [[0, 0, 1, 0, 1e9, 1]],
        [["a"] * 6],
        "0",
        None,
    ],
)
def test_a_segmentation_that_is_none_is_refused_before_memory_is_asked_for(segmentation):
    with pytest.raises(ValueError):
        decode_mask(segmentation, 4, 4)
