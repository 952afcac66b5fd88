"""Average precision against pycocotools, and image-level recall against its definition."""

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from simgen.evaluate.figures import coco_figures
from simgen.evaluate.matching import Matches, iou, match
from simgen.evaluate.metrics import (
    Parts,
    alarm_threshold,
    average_precision,
    hits_at_false_alarms,
    precision_table,
    recall_above,
)
from simgen.evaluate.mistakes import count_mistakes, one_stray_an_image
from simgen.evaluate.predictions import Detections, load_predictions, save_predictions
from simgen.evaluate.slices import make_slices
from simgen.train.images import LabelledImage, LabelledObject

CLASSES = ("dot", "bar")


def image(number: int, objects: list[tuple[str, tuple]], part: str = "p") -> LabelledImage:
    return LabelledImage(
        image_id=number + 1,
        file=Path(f"{number}.png"),
        pixels=np.zeros((64, 64), np.uint8),
        part=part,
        objects=tuple(LabelledObject(kind=k, box=b) for k, b in objects),
    )


def detections(rows: list[tuple[int, tuple, float]]) -> Detections:
    return Detections(
        boxes=np.array([r[1] for r in rows], np.float64).reshape(-1, 4),
        scores=np.array([r[2] for r in rows], np.float64),
        kinds=np.array([r[0] for r in rows], np.int64),
    )


# Few positions, sizes and scores, so that equal overlaps and equal scores are common.
_box = st.tuples(*[st.integers(0, 6)] * 2, *[st.integers(1, 6)] * 2).map(
    lambda b: tuple(float(v) for v in b)
)
_truth = st.lists(st.tuples(st.sampled_from(CLASSES), _box), max_size=4)
_score = st.one_of(st.sampled_from([0.1, 0.5, 0.9]), st.floats(0.001, 1))
_found = st.lists(st.tuples(st.integers(0, 1), _box, _score), max_size=6)


def mean_ap(matches: list[Matches], num_images: int) -> float:
    """Our average precision, the images weighing equally, over several classes."""
    parts = Parts(of_image=np.zeros(num_images, np.int64), share=np.ones(num_images), count=1)
    each = [average_precision(precision_table(m, parts), np.ones((1, 1)))[0] for m in matches]
    return float(np.nanmean(each))


def reference(
    images: list[LabelledImage], found: list[Detections], thresholds: list[float]
) -> np.ndarray:
    """pycocotools' precisions: overlap, recall, class, area range; -1 where there is no label."""
    annotations, results = [], []
    for picture, seen in zip(images, found, strict=True):
        for thing in picture.objects:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": picture.image_id,
                    "category_id": CLASSES.index(thing.kind) + 1,
                    "bbox": list(thing.box),
                    "area": thing.box[2] * thing.box[3],
                    "iscrowd": 0,
                }
            )
        for box, score, kind in zip(seen.boxes, seen.scores, seen.kinds, strict=True):
            results.append(
                {
                    "image_id": picture.image_id,
                    "category_id": int(kind) + 1,
                    "bbox": box.tolist(),
                    "score": float(score),
                }
            )
    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": i.image_id, "width": 640, "height": 640} for i in images],
        "annotations": annotations,
        "categories": [{"id": i + 1, "name": k} for i, k in enumerate(CLASSES)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.params.iouThrs = np.array(thresholds)
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"][..., -1]


def reference_ap(images: list[LabelledImage], found: list[Detections], threshold: float) -> float:
    precision = reference(images, found, [threshold])[0, :, :, 0]
    return float(precision[precision > -1].mean())


@given(
    st.lists(st.tuples(_truth, _found), min_size=1, max_size=5), st.sampled_from([0.1, 0.5, 0.75])
)
def test_average_precision_is_pycocotools(scenes, threshold: float) -> None:
    images = [image(n, truth) for n, (truth, _) in enumerate(scenes)]
    found = [detections(rows) for _, rows in scenes]
    if not any(i.objects for i in images) or not any(len(d.scores) for d in found):
        return
    kinds = [k for k in CLASSES if any(k in i.kinds for i in images)]
    ours = mean_ap([match(images, found, CLASSES, k, threshold) for k in kinds], len(images))
    assert ours == pytest.approx(reference_ap(images, found, threshold), abs=1e-6)


def test_average_precision_is_pycocotools_on_many_detections() -> None:
    rng = np.random.default_rng(0)
    images, found = [], []
    for n in range(30):
        truth = [
            (CLASSES[i % 2], (*rng.uniform(0, 40, 2), *rng.uniform(4, 20, 2))) for i in range(n % 5)
        ]
        rows = [
            (int(rng.integers(2)), (*rng.uniform(0, 40, 2), *rng.uniform(4, 20, 2)))
            for _ in range(230)
        ]
        near = [(CLASSES.index(k), tuple(np.array(b) + rng.uniform(-2, 2, 4))) for k, b in truth]
        images.append(image(n, truth))
        found.append(detections([(k, b, round(float(rng.uniform()), 2)) for k, b in rows + near]))
    ours = mean_ap([match(images, found, CLASSES, k, 0.5) for k in CLASSES], len(images))
    assert ours == pytest.approx(reference_ap(images, found, 0.5), abs=1e-6)
    assert ours > 0


@pytest.mark.parametrize("seed", range(6))
def test_every_slice_that_pycocotools_knows_is_its_figure(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Sides around COCO's limits of 32 and 96 pixels, on them as well.
    sides = (12, 31, 32, 33, 60, 95, 96, 97, 150)
    images, found = [], []
    for n in range(25):
        truth = [
            (CLASSES[int(rng.integers(2))], (*rng.integers(0, 300, 2), *rng.choice(sides, 2)))
            for _ in range(int(rng.integers(0, 5)))
        ]
        near = [
            (int(rng.integers(2)) if rng.uniform() < 0.2 else CLASSES.index(k), b + shift)
            for k, b in truth
            for shift in rng.integers(-8, 9, (2, 4))
        ]
        far = [
            (int(rng.integers(2)), (*rng.integers(0, 300, 2), *rng.choice(sides, 2)))
            for _ in range(4)
        ]
        images.append(image(n, [(k, tuple(float(v) for v in b)) for k, b in truth]))
        found.append(detections([(k, tuple(b), rng.integers(1, 20) / 20) for k, b in near + far]))
    expected = reference(images, found, np.linspace(0.5, 0.95, 10).tolist())
    slices = make_slices(images, CLASSES, (), {"size_px": (32, 96)}).made
    assert [s.name for s in slices] == [
        "all",
        "dot",
        "bar",
        "size_px to 32",
        "size_px 32-96",
        "size_px from 96",
    ]
    both = slice(None)
    for part, kinds, area in zip(
        slices, (both, 0, 1, both, both, both), (0, 0, 0, 1, 2, 3), strict=True
    ):
        figures = coco_figures(images, found, part, CLASSES)
        for name, overlaps in (("ap50", 0), ("ap50_95", both)):
            precision = expected[overlaps][..., kinds, area]
            assert figures[name] == pytest.approx(precision[precision > -1].mean(), abs=1e-6)


def test_hits_rise_with_the_false_alarms_that_are_allowed() -> None:
    images, found = _scene()
    parts = Parts(of_image=np.arange(4), share=np.ones(4), count=4)
    table = precision_table(match(images, found, CLASSES, "dot", 0.5), parts)
    # By falling score: hit .9, false .8, false .7, hit .6 (and a false .5), over four images.
    curve = hits_at_false_alarms(table, np.ones((1, 4)), np.ones(4), (0.0, 0.25, 0.5, 8.0))
    np.testing.assert_allclose(curve, [[1 / 3, 1 / 3, 2 / 3, 2 / 3]])
    # Without the part of the last hit there is half of the rest.
    curve = hits_at_false_alarms(table, np.array([[1.0, 1, 0, 1]]), np.ones(4), (8.0,))
    np.testing.assert_allclose(curve, [[0.5]])


def test_each_mistake_has_its_name() -> None:
    box, off, far = (10.0, 10.0, 10.0, 10.0), (15.0, 12.0, 10.0, 10.0), (40.0, 40.0, 8.0, 8.0)
    images = [image(0, [("dot", box), ("dot", far)]), image(1, [("bar", box)]), image(2, [])]
    found = [
        detections([(0, box, 0.9), (0, box, 0.8), (0, off, 0.7), (0, far, 0.1)]),
        detections([(0, box, 0.9)]),
        detections([(1, far, 0.9)]),
    ]
    counts = count_mistakes(images, found, CLASSES, threshold=0.5)
    none = dict.fromkeys(counts["dot"], 0)
    # The far dot was seen below the threshold alone; the bar was touched, as a dot.
    seen = {"hit": 1, "duplicate": 1, "localization": 1, "confused": 1, "missed": 1}
    assert counts["dot"] == none | seen
    assert counts["bar"] == none | {"background": 1}


def test_without_clean_parts_one_stray_an_image_sets_the_threshold() -> None:
    box, far = (10.0, 10.0, 10.0, 10.0), (40.0, 40.0, 8.0, 8.0)
    images = [image(0, [("dot", box)]), image(1, [("bar", box)])]
    found = [
        detections([(0, box, 0.95), (1, box, 0.9), (0, far, 0.6)]),  # a hit and two strays
        detections([(1, box, 0.1), (0, far, 0.5)]),
    ]
    limit = one_stray_an_image(images, found, CLASSES)
    assert limit == pytest.approx(0.5)
    counts = count_mistakes(images, found, CLASSES, limit)
    assert sum(c["background"] + c["confused"] + c["duplicate"] for c in counts.values()) == 2
    assert one_stray_an_image(images, found[:1] + [detections([])], CLASSES) == 0.0


def test_saved_detections_give_the_same_figure(tmp_path: Path) -> None:
    images = [image(0, [("dot", (5.0, 5.0, 10.0, 10.0))]), image(1, [])]
    found = [detections([(0, (5.25, 5.0, 10.0, 10.0), 0.75)]), detections([])]
    save_predictions(tmp_path / "p.json", images, found, CLASSES)
    back = load_predictions(tmp_path / "p.json", images, CLASSES)
    np.testing.assert_array_equal(back[0].boxes, found[0].boxes)
    assert len(back[1].scores) == 0


def _scene() -> tuple[list[LabelledImage], list[Detections]]:
    box, far = (0.0, 0.0, 10.0, 10.0), (40.0, 40.0, 10.0, 10.0)
    images = [
        image(0, [("dot", box)], "a"),
        image(1, [("dot", box)], "a"),
        image(2, [("dot", box)], "b"),
        image(3, [], "c"),
    ]
    found = [
        detections([(0, box, 0.9)]),
        detections([(0, far, 0.8)]),
        detections([(0, box, 0.6), (0, far, 0.7)]),
        detections([(0, far, 0.5)]),
    ]
    return images, found


@given(st.lists(st.integers(0, 3), min_size=3, max_size=3).filter(lambda w: w[0] + w[1] > 0))
def test_a_weight_is_a_number_of_copies_of_the_part(weights: list[int]) -> None:
    images, found = _scene()
    parts = Parts(of_image=np.array([0, 0, 1, 2]), share=np.ones(4), count=3)
    table = precision_table(match(images, found, CLASSES, "dot", 0.5), parts)
    weighted = average_precision(table, np.array([weights], float))[0]
    copies = [n for n, p in enumerate([0, 0, 1, 2]) for _ in range(weights[p])]
    again = [image(i, [(o.kind, o.box) for o in images[n].objects]) for i, n in enumerate(copies)]
    matches = match(again, [found[n] for n in copies], CLASSES, "dot", 0.5)
    assert weighted == pytest.approx(mean_ap([matches], len(again)), abs=1e-6)


def test_a_part_counts_once_however_many_images_show_it() -> None:
    images, found = _scene()
    parts = Parts(of_image=np.array([0, 0, 1, 2]), share=np.array([0.5, 0.5, 1, 1]), count=3)
    table = precision_table(match(images, found, CLASSES, "dot", 0.5), parts)
    # Recall .25 at precision 1, then .75 at .5 + .5 + 1 false against 1.5 found.
    by_hand = (26 * 1.0 + 50 * 1.5 / 3.0) / 101
    assert average_precision(table, np.ones((1, 3)))[0] == pytest.approx(by_hand)


def test_no_label_has_no_average_precision_and_no_detection_has_zero() -> None:
    images = [image(0, [("dot", (0.0, 0.0, 5.0, 5.0))], "a"), image(1, [], "b")]
    parts = Parts(of_image=np.array([0, 1]), share=np.ones(2), count=2)
    table = precision_table(match(images, [detections([])] * 2, CLASSES, "dot", 0.5), parts)
    result = average_precision(table, np.array([[1.0, 1.0], [0.0, 1.0]]))
    assert result[0] == 0
    assert np.isnan(result[1])


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((0, 0, 10, 10), (0, 0, 10, 10), 1.0),
        ((0, 0, 10, 10), (5, 0, 10, 10), 1 / 3),
        ((0, 0, 10, 10), (10, 0, 10, 10), 0.0),
        ((0, 0, 10, 10), (20, 20, 1, 1), 0.0),
    ],
)
def test_overlap(a: tuple, b: tuple, expected: float) -> None:
    assert iou(np.array([a], float), np.array([b], float))[0, 0] == pytest.approx(expected)


@given(
    st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9]), min_size=1, max_size=12), st.floats(0, 0.9)
)
def test_no_lower_threshold_keeps_the_false_alarm_rate(scores: list[float], rate: float) -> None:
    values = np.array(scores)
    threshold = alarm_threshold(values, np.ones((1, len(values))), rate)[0]
    allowed = [t for t in values if (values > t).mean() <= rate + 1e-9]
    assert threshold == min(allowed)


def test_the_threshold_weighs_parts() -> None:
    scores = np.array([0.9, 0.5, 0.1])
    weights = np.array([[1.0, 1.0, 8.0], [8.0, 1.0, 1.0]])
    np.testing.assert_array_equal(alarm_threshold(scores, weights, 0.1), [0.5, 0.9])


def test_recall_needs_a_clean_part() -> None:
    none = alarm_threshold(np.zeros(0), np.zeros((1, 0)), 0.1)
    assert np.isnan(recall_above(np.array([0.5]), np.ones((1, 1)), none))[0]


def test_recall_is_weighted() -> None:
    scores, weights = np.array([0.9, 0.2]), np.array([[1.0, 3.0]])
    assert recall_above(scores, weights, np.array([0.5]))[0] == 0.25
