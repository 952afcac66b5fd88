"""Slices, resampling, verdicts, and the report's first line."""

from pathlib import Path

import numpy as np
import pytest

from simgen.errors import ConfigError
from simgen.evaluate.bootstrap import merge_singles, resample_parts
from simgen.evaluate.config import Bottleneck, EvaluateConfig, ExperimentConfig
from simgen.evaluate.figures import Judged
from simgen.evaluate.inference import holm, verdict
from simgen.evaluate.judge import ALARM, ONE_STRAY, TOO_FEW, judge
from simgen.evaluate.predictions import Detections
from simgen.evaluate.slices import make_slices, strata_of
from simgen.report.answer import answer
from simgen.train.images import LabelledImage, LabelledObject
from simgen.train.real import RealConfig

CLASSES = ("bar", "dot")
BOX = (10.0, 10.0, 12.0, 12.0)


def photographs(num_dot: int = 10, num_bar: int = 3, num_clean: int = 10) -> list[LabelledImage]:
    kinds = ["dot"] * num_dot + ["bar"] * num_bar + [None] * num_clean
    return [
        LabelledImage(
            image_id=2 * n + exposure,
            file=Path("x.png"),
            pixels=np.zeros((40, 40), np.uint8),
            part=f"part{n:03d}",
            objects=() if kind is None else (LabelledObject(kind=kind, box=BOX),),
            attributes={"exposure": exposure},
        )
        for n, kind in enumerate(kinds)
        for exposure in (1, 2)
    ]


def run(images: list[LabelledImage], arm: str, seed: int, finds: float) -> Judged:
    """A detector that finds a share of the defects and fires weakly on everything."""
    rng = np.random.default_rng(seed)
    found = []
    for image in images:
        boxes, scores, kinds = [(0.0, 0.0, 5.0, 5.0)], [0.1 * rng.uniform()], [0]
        for thing in image.objects:
            if rng.uniform() < finds:
                boxes.append(thing.box)
                scores.append(0.9)
                kinds.append(CLASSES.index(thing.kind))
        found.append(
            Detections(boxes=np.array(boxes), scores=np.array(scores), kinds=np.array(kinds))
        )
    return Judged(arm=arm, seed=seed, found=tuple(found))


def by_name(judged: dict, name: str) -> dict:
    return next(s for s in judged["slices"] if s["slice"] == name)


SETTINGS = EvaluateConfig(resamples=300)
SEEDS = (0, 1, 2)


def pair(images, before: float, after: float) -> list[Judged]:
    """Runs of the control and of the mix, three seeds each."""
    return [run(images, a, s, f) for a, f in (("real", before), ("mix", after)) for s in SEEDS]


def test_slices_are_all_each_kind_and_each_exposure() -> None:
    slices = make_slices(photographs(), CLASSES, ("exposure",)).made
    assert [s.name for s in slices] == ["all", "bar", "dot", "exposure 1", "exposure 2"]
    assert [s.num_parts for s in slices] == [13, 3, 10, 13, 13]
    assert [s.clean_parts for s in slices] == [10] * 5
    assert [int(s.defective.sum()) for s in slices] == [26, 6, 20, 13, 13]


def test_a_clear_gain_helps_and_a_clear_loss_hurts() -> None:
    images = photographs()
    gain = judge(images, pair(images, 0.1, 0.9), CLASSES, SETTINGS, "real")
    dots = by_name(gain, "dot")["versus_control"]["mix"]
    assert dots["ap50"]["verdict"] == dots["recall"]["verdict"] == "helps"
    assert dots["ap50"]["low"] > 0
    # Fewer misses are a gain as well.
    assert dots["miss_rate"]["difference"] < 0
    assert dots["miss_rate"]["verdict"] == "helps"
    loss = judge(images, pair(images, 0.9, 0.1), CLASSES, SETTINGS, "real")
    assert by_name(loss, "dot")["versus_control"]["mix"]["ap50"]["verdict"] == "hurts"


def test_the_same_detections_cannot_be_told_apart() -> None:
    images = photographs()
    ones = [run(images, "real", s, 0.5) for s in SEEDS]
    twins = [Judged(arm="mix", seed=one.seed, found=one.found) for one in ones]
    judged = judge(images, [*ones, *twins], CLASSES, SETTINGS, "real")
    entry = by_name(judged, "all")["versus_control"]["mix"]["ap50"]
    assert (entry["difference"], entry["verdict"]) == (0.0, "cannot tell")


def test_a_slice_with_few_parts_gets_no_verdict_however_large_the_gain() -> None:
    images = photographs(num_bar=7)
    judged = judge(images, pair(images, 0.0, 1.0), CLASSES, SETTINGS, "real")
    assert by_name(judged, "bar")["parts"] == 7
    against = by_name(judged, "bar")["versus_control"]["mix"]
    assert {against[m]["verdict"] for m in ("ap50", "ap10", "recall")} == {TOO_FEW}
    assert against["ap50"]["difference"] == pytest.approx(1.0)


def test_one_run_an_arm_gets_no_verdict_since_it_may_be_lucky() -> None:
    images = photographs()
    runs = [run(images, "real", 0, 0.0), run(images, "mix", 0, 1.0)]
    against = by_name(judge(images, runs, CLASSES, SETTINGS, "real"), "dot")["versus_control"]
    assert against["mix"]["ap50"]["verdict"] == "cannot tell"
    assert "luck of its seed" in against["mix"]["ap50"]["why"]
    trusting = EvaluateConfig(resamples=300, min_runs=1)
    against = by_name(judge(images, runs, CLASSES, trusting, "real"), "dot")["versus_control"]
    assert against["mix"]["ap50"]["verdict"] == "helps"


def test_an_arm_is_compared_with_its_own_control() -> None:
    images = photographs()
    found = {"real": 0.9, "real_1": 0.1, "mix_1": 0.6}
    runs = [run(images, a, s, f) for a, f in found.items() for s in SEEDS]
    judged = judge(images, runs, CLASSES, SETTINGS, {"real_1": "real", "mix_1": "real_1"})
    against = by_name(judged, "dot")["versus_control"]
    assert set(against) == {"real_1", "mix_1"}
    assert against["real_1"]["recall"]["difference"] < 0 < against["mix_1"]["recall"]["difference"]


def test_an_arm_s_figure_is_the_mean_of_its_seeds() -> None:
    images = photographs()
    runs = [run(images, "real", seed, 0.5) for seed in (0, 1, 2)]
    figure = by_name(judge(images, runs, CLASSES, SETTINGS, None), "all")["arms"]["real"]["ap50"]
    assert figure["value"] == pytest.approx(np.mean(list(figure["by_run"].values())))
    assert figure["low"] < figure["value"] < figure["high"]


def test_without_clean_parts_there_is_no_recall() -> None:
    images = photographs(num_clean=0)
    judged = judge(images, [run(images, "real", 0, 0.5)], CLASSES, SETTINGS, None)
    figures = by_name(judged, "all")["arms"]["real"]
    assert figures["recall"] == {
        "value": None,
        "low": None,
        "high": None,
        "by_run": {"draw 0 seed 0": None},
    }
    assert figures["ap50"]["value"] > 0


def test_false_alarms_stay_within_the_rate() -> None:
    images = photographs(num_clean=40)
    judged = judge(images, [run(images, "real", 0, 0.5)], CLASSES, SETTINGS, None)
    assert 0 < judged["runs"][0]["false_alarm_rate"] <= SETTINGS.false_alarm_rate


def test_a_threshold_from_elsewhere_is_kept() -> None:
    images = photographs(num_clean=40)
    one = run(images, "real", 0, 0.5)
    fixed = Judged(arm="real", seed=0, found=one.found, threshold=0.05)
    judged = judge(images, [fixed], CLASSES, SETTINGS, None)
    assert judged["runs"][0]["alarm_threshold"] == 0.05
    best = np.array([d.scores.max() for d, i in zip(one.found, images, strict=True) if i.is_clean])
    figure = by_name(judged, "all")["arms"]["real"]["false_alarms"]
    assert figure["value"] == pytest.approx((best > 0.05).mean())
    assert by_name(judged, "all")["arms"]["real"]["miss_rate"]["value"] < 0.5


def test_resamples_keep_the_weight_of_every_stratum() -> None:
    images = photographs(num_dot=5, num_bar=3, num_clean=4)
    strata = strata_of(images)
    rows = resample_parts(strata, 12, 50, seed=0)
    assert sorted(len(g) for g in strata) == [3, 4, 5]
    np.testing.assert_array_equal(rows.weights[0], 1)
    assert rows.weights.shape == (1 + 50 + 12, 12)
    for group in strata:
        np.testing.assert_allclose(rows.weights[:, list(group)].sum(axis=1), len(group))
    assert len(np.unique(rows.weights[1:51], axis=0)) > 40
    np.testing.assert_array_equal((rows.weights[51:] == 0).sum(axis=1), 1)


def test_a_part_that_is_alone_with_its_kinds_joins_others() -> None:
    groups = {(): [0, 1, 2], ("bar",): [3, 4], ("bar", "dot"): [5], ("hole",): [6], ("nick",): [7]}
    assert sorted(merge_singles(groups)) == [(0, 1, 2), (3, 4, 5), (6, 7)]
    assert merge_singles({(): [0, 1], ("hole",): [2]}) == ((0, 1, 2),)
    assert merge_singles({("hole",): [0]}) == ((0,),)


def test_holm_against_a_worked_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_verdicts_need_a_small_p_value_and_know_which_way_is_better() -> None:
    assert verdict(0.2, 0.049) == "helps"
    assert verdict(-0.2, 0.049) == "hurts"
    assert verdict(-0.2, 0.049, rising=False) == "helps"
    assert verdict(0.2, 0.051) == "cannot tell"


@pytest.mark.parametrize(
    ("finds", "num_dot", "expected"),
    [
        ((0.1, 0.95), 10, "Yes, in mix"),
        ((0.95, 0.1), 10, "No: mix hurts"),
        ((0.5, 0.5), 10, "No rise was seen on 10 val parts"),
        ((0.1, 0.95), 4, "The figure rose, but 4 val parts are too few for a verdict"),
        ((0.5, 0.5), 4, "No rise was seen, and 4 val parts are too few for a verdict"),
    ],
)
def test_the_first_line_answers_whatever_the_answer_is(finds, num_dot: int, expected: str) -> None:
    images = photographs(num_dot=num_dot)
    if finds[0] == finds[1]:
        runs = [run(images, arm, s, finds[0]) for arm in ("real", "mix") for s in SEEDS]
    else:
        runs = pair(images, *finds)
    judged = judge(images, runs, CLASSES, SETTINGS, "real")
    asked = Bottleneck(slice="dot", metric="ap50", reason="few dots")
    line = answer(asked, judged, "val")
    assert line.startswith("Do synthetic images help dot (few dots)? ")
    assert expected in line
    assert "\n" not in line


def test_the_first_line_names_the_arms_that_rose_if_not_all_did() -> None:
    images = photographs(num_dot=4)
    finds = {"real": 0.5, "mix": 0.95, "alone": 0.1}
    runs = [run(images, arm, s, share) for arm, share in finds.items() for s in SEEDS]
    judged = judge(images, runs, CLASSES, SETTINGS, "real")
    rising = answer(Bottleneck(slice="dot", metric="ap50"), judged, "val")
    assert "The figure rose in mix and not in alone, but 4 val parts are too few" in rising
    falling = answer(Bottleneck(slice="dot", metric="miss_rate"), judged, "val")
    assert "The figure fell in mix and not in alone, but" in falling


def test_the_first_line_says_when_nobody_shows_the_slice() -> None:
    images = photographs(num_bar=0)
    judged = judge(
        images, [run(images, "real", 0, 0.5), run(images, "mix", 0, 0.5)], CLASSES, SETTINGS, "real"
    )
    assert "Not answered" in answer(Bottleneck(slice="bar"), judged, "val")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"control": "reel"}, "control: .* did you mean 'real'"),
        ({"seeds": (1, 1)}, "seeds: "),
        ({"arms": {}}, "arms: none"),
    ],
)
def test_an_experiment_checks_its_arms(change: dict, message: str) -> None:
    good = {
        "name": "n",
        "out": "o",
        "real": RealConfig(root="r", set="s"),
        "arms": {"real": {"real": 1.0}},
    }
    with pytest.raises(ConfigError, match=message):
        ExperimentConfig(**(good | change))


def test_without_clean_parts_mistakes_stand_at_one_stray_an_image() -> None:
    images = photographs(num_clean=0)
    sure = run(images, "real", 0, 1.0)
    # Boxes beside every label: far more low scores than images.
    stray = Detections(
        boxes=np.tile([30.0, 30.0, 5.0, 5.0], (9, 1)),
        scores=np.linspace(0.01, 0.02, 9),
        kinds=np.zeros(9, np.int64),
    )
    noisy = tuple(
        Detections(
            boxes=np.vstack([d.boxes, stray.boxes]),
            scores=np.hstack([d.scores, stray.scores]),
            kinds=np.hstack([d.kinds, stray.kinds]),
        )
        for d in sure.found
    )
    judged = judge(images, [Judged(arm="real", seed=0, found=noisy)], CLASSES, SETTINGS, None)
    assert judged["mistakes_at"] == ONE_STRAY
    assert judged["runs"][0]["alarm_threshold"] is None
    counts = judged["mistakes"]["real"]
    assert counts["dot"]["hit"] == sum("dot" in i.kinds for i in images)
    assert sum(c["background"] for c in counts.values()) <= len(images)
    with_clean = judge(photographs(), [run(photographs(), "real", 0, 1.0)], CLASSES, SETTINGS, None)
    assert with_clean["mistakes_at"] == ALARM


def test_every_slice_has_a_free_response_curve() -> None:
    images = photographs()
    settings = EvaluateConfig(resamples=50, by=("exposure",), bins={"size_px": (9,)})
    judged = judge(images, [run(images, "real", 0, 0.5)], CLASSES, settings, None)
    shares = {}
    for entry in judged["slices"]:
        curve = [p["value"] for p in entry["froc"]["real"]]
        assert curve == sorted(curve) and 0 < curve[-1] < 1, entry["slice"]
        shares[entry["slice"]] = curve[-1]
    # Exposures halve everything, and with false alarms enough all that was found counts.
    halves = [shares["exposure 1"], shares["exposure 2"]]
    assert np.mean(halves) == pytest.approx(shares["all"], abs=1e-9)
    assert shares["size_px from 9"] == pytest.approx(shares["all"])
