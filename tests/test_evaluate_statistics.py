"""Intervals and verdicts on made-up results of known effect, at the real sets' numbers of parts."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from simgen.evaluate.bootstrap import Resamples, resample_parts
from simgen.evaluate.config import EvaluateConfig, Worth
from simgen.evaluate.figures import Judged
from simgen.evaluate.inference import estimate, estimate_difference, holm
from simgen.evaluate.judge import judge
from simgen.evaluate.matching import Matches
from simgen.evaluate.metrics import (
    Parts,
    alarm_threshold,
    average_precision,
    precision_table,
    recall_above,
)
from simgen.evaluate.predictions import Detections
from simgen.evaluate.worth import worth_in_parts
from simgen.train.images import LabelledImage, LabelledObject

MAGNETIC_TILE = {"blowhole": 7, "break": 8, "crack": 4, "fray": 3, None: 52}
BALL_SCREW = {"pit": 15}
IMAGES = 4
FEW = 8
# Which draws of real parts train with which seeds: each with each, as `paired`, and one draw.
EACH, PAIRED, ONE_DRAW = tuple(np.ndindex(3, 2)), ((0, 0), (1, 1), (2, 2)), ((0, 0), (0, 1), (0, 2))


def made_up_results(
    rng: np.random.Generator, counts: dict, skills: dict[str, float], runs: Sequence = EACH
) -> tuple[dict, Resamples]:
    """Curves by slice, arm and run of detectors whose arms have given skills.

    Parts differ in difficulty, for all arms and for each; draws of real parts move both arms,
    and each a little on its own, unless there is one, of which alone it is asked; seeds move
    every run.
    """
    owners = [kind for kind, count in counts.items() for _ in range(count)]
    of_image = np.repeat(np.arange(len(owners)), IMAGES)
    kind_of = np.array([str(o) for o in owners])[of_image]
    parts = Parts(of_image=of_image, share=np.full(len(of_image), 1 / IMAGES), count=len(owners))
    ends = np.cumsum([0, *counts.values()])
    strata = [range(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True)]
    rows = resample_parts(strata, len(owners), 200, int(rng.integers(1 << 30)))
    clean, kinds = kind_of == "None", [k for k in counts if k]
    hard, noisy = rng.normal(0, 1.2, len(owners)), rng.normal(0, 0.6, len(owners))
    draws = 1 + max(draw for draw, _ in runs)
    between = 1.0 if draws > 1 else 0.0
    of_draw = between * rng.normal(0, 0.4, draws)
    curves: dict = {}
    for arm, skill in skills.items():
        own_hard, own_draw = rng.normal(0, 0.5, len(owners)), between * rng.normal(0, 0.2, draws)
        for draw, seed in runs:
            luck = of_draw[draw] + own_draw[draw] + rng.normal(0, 0.3)
            best, each = np.zeros(len(of_image)), []
            for kind in kinds:
                seen = skill + luck + (hard + own_hard)[of_image] + rng.normal(size=len(of_image))
                hit = np.flatnonzero((kind_of == kind) & (seen > 0))
                false = np.repeat(np.arange(len(of_image)), rng.poisson(1, len(of_image)))
                image = np.concatenate([hit, false])
                logit = rng.normal(-1.5, 1, len(false)) + noisy[of_image[false]]
                score = 1 / (1 + np.exp(-np.concatenate([seen[hit] - 1, logit])))
                order = np.argsort(-score)
                matches = Matches(
                    image=image[order],
                    hit=(np.arange(len(image)) < len(hit))[order],
                    labels=(kind_of == kind).astype(int),
                )
                np.maximum.at(best, image, score)
                each.append(average_precision(precision_table(matches, parts), rows.weights))
                curves.setdefault(kind, {}).setdefault(arm, {})[draw, seed] = each[-1]
            curves.setdefault("all", {}).setdefault(arm, {})[draw, seed] = np.mean(each, axis=0)
            if clean.any():
                weights = rows.weights[:, of_image] / IMAGES
                threshold = alarm_threshold(best[clean], weights[:, clean], 0.1)
                recall = recall_above(best[~clean], weights[:, ~clean], threshold)
                curves.setdefault("recall", {}).setdefault(arm, {})[draw, seed] = recall
    return curves, rows


@pytest.mark.parametrize(
    ("counts", "runs", "repeats", "power"),
    [
        (MAGNETIC_TILE, EACH, 60, 0.7),
        (MAGNETIC_TILE, PAIRED, 60, 0.5),
        (MAGNETIC_TILE, ONE_DRAW, 60, 0.5),
        (BALL_SCREW, EACH, 100, 0.7),
        (BALL_SCREW, ONE_DRAW, 100, 0.5),
    ],
)
def test_intervals_cover_and_false_verdicts_are_rare(
    counts, runs, repeats: int, power: float
) -> None:
    rng = np.random.default_rng(7)
    num_parts = {k: n for k, n in counts.items() if k}
    num_parts |= {"all": sum(num_parts.values()), "recall": sum(num_parts.values())}
    seen: dict[tuple[str, str], list[tuple]] = {}
    figures: dict[str, list[tuple]] = {}
    for _ in range(repeats):
        skills = {"control": -0.6, "same": -0.6, "better": 2.2}
        curves, rows = made_up_results(rng, counts, skills, runs)
        for name, arms in curves.items():
            made = estimate(arms["control"], rows, num_parts[name])
            figures.setdefault(name, []).append((made.value, *made.interval(0.95)))
            for arm in ("same", "better"):
                few = num_parts[name] < FEW
                against = estimate_difference(
                    arms[arm],
                    arms["control"],
                    rows,
                    num_parts[name],
                    pulled=few or name == "recall",
                )
                row = (against.value, *against.interval(0.95), against.p_value())
                seen.setdefault((arm, name), []).append(row)
    for name, of_figure in figures.items():
        value, low, high = np.array(of_figure).T
        assert np.mean((low <= value.mean()) & (value.mean() <= high)) >= 0.9, name
    for (arm, name), made_up in seen.items():
        value, low, high, _ = np.array(made_up).T
        truth = 0.0 if arm == "same" else value.mean()
        assert np.mean((low <= truth) & (truth <= high)) >= 0.9, (arm, name)

    judged = [n for n in num_parts if num_parts[n] >= FEW and ("same", n) in seen]
    adjusted = {
        arm: np.array([holm(p) for p in np.array([seen[arm, n] for n in judged])[:, :, 3].T])
        for arm in ("same", "better")
    }
    assert np.mean((adjusted["same"] < 0.05).any(axis=1)) <= 0.05
    assert np.mean(adjusted["better"][:, judged.index("all")] < 0.05) >= power
    wrong = np.array([seen["better", n] for n in judged])[:, :, 0].T < 0
    assert not ((adjusted["better"] < 0.05) & wrong).any()


def _rows(num_parts: int = 40, count: int = 4000) -> Resamples:
    return resample_parts([range(num_parts)], num_parts, count, seed=0)


def test_the_interval_of_a_mean_is_students() -> None:
    values = np.random.default_rng(0).uniform(0.2, 0.5, size=40)
    rows = _rows()
    curve = rows.weights @ values / 40
    made = estimate_difference({(0, 0): curve}, {(0, 0): 0 * curve}, rows, 40, pulled=False)
    low, high = made.interval(0.95)
    assert high - low == pytest.approx(2 * 2.0227 * values.std(ddof=1) / np.sqrt(40), rel=0.05)
    assert made.dfs == (pytest.approx(39),)
    assert made.p_value() == pytest.approx(2.0 ** (1 - 40), abs=1e-9)


def test_a_mean_that_varies_with_three_parts_has_two_degrees_of_freedom() -> None:
    rows = resample_parts([range(3), range(3, 30)], 30, 500, seed=0)
    values = np.concatenate([[0.1, 0.5, 0.9], np.full(27, 0.3)])
    assert rows.parts_df(rows.weights @ values / 30) == pytest.approx(2)


def test_draws_hold_the_spread_of_their_seeds() -> None:
    rows = _rows(10, 50)
    flat = np.ones(len(rows.weights))
    runs = {(0, 0): 0.1, (0, 1): 0.3, (1, 0): 0.5, (1, 1): 0.7, (2, 0): 0.2, (2, 1): 0.6}
    curves = {key: value * flat for key, value in runs.items()}
    control = {key: 0 * flat for key in runs}
    made = estimate_difference(curves, control, rows, 10, pulled=False)
    of_draws = np.array([0.2, 0.6, 0.4])
    assert made.value == pytest.approx(0.4)
    assert made.variances == pytest.approx((0.0, of_draws.var(ddof=1) / 3))
    assert made.dfs[1] == 2
    # With one draw it is the seeds that vary.
    seeds = {(0, 0): 0.1 * flat, (0, 1): 0.3 * flat}
    made = estimate_difference(seeds, {k: 0 * flat for k in seeds}, rows, 10, pulled=False)
    assert made.variances[1] == pytest.approx(0.01)


def test_the_luck_of_unlike_runs_adds_up() -> None:
    rows = _rows(10, 50)
    flat = np.ones(len(rows.weights))
    arm = {(0, 0): 0.6 * flat, (0, 1): 0.8 * flat}
    control = {(0, 0): 0.1 * flat, (1, 0): 0.3 * flat, (2, 0): 0.2 * flat}
    made = estimate_difference(arm, control, rows, 10, pulled=False)
    assert made.value == pytest.approx(0.5)
    assert made.variances[1:] == pytest.approx((0.01, 0.01 / 3))
    assert made.dfs[1:] == (1, 2)


def test_eight_parts_that_agree_are_still_eight_parts() -> None:
    rows = _rows(8, 200)
    all_found = {(0, s): np.ones(len(rows.weights)) for s in (0, 1)}
    none_found = {key: 0 * curve for key, curve in all_found.items()}
    made = estimate(all_found, rows, 8)
    low, high = made.interval(0.95)
    assert high == 1.0
    assert 0.5 < low < 0.8  # Wilson's interval begins at .68.
    against = estimate_difference(all_found, none_found, rows, 8, pulled=False)
    assert against.p_value() == 2.0**-7
    same = estimate_difference(all_found, all_found, rows, 8, pulled=True)
    assert same.p_value() == 1.0
    assert same.interval(0.95)[0] < -0.1


def test_the_detectable_difference_is_found_four_times_in_five() -> None:
    rng, found, detectable = np.random.default_rng(3), [], []
    rows = _rows(12, 300)
    for _ in range(300):
        values = rng.normal(0.243, 0.3, 12)  # A mean of 12 such is found four times in five.
        curve = rows.weights @ values / 12
        made = estimate_difference({(0, 0): curve}, {(0, 0): 0 * curve}, rows, 12, pulled=False)
        found.append(made.p_value() < 0.05)
        detectable.append(made.minimum_detectable())
    assert np.mean(found) == pytest.approx(0.75, abs=0.08)
    assert np.mean(detectable) == pytest.approx(0.26, abs=0.03)


def _learning(
    rng: np.random.Generator, numbers: Sequence[int], gain: int, rows: Resamples
) -> dict[int, dict]:
    """Figures that grow with log(1 + parts + gain), over draws, seeds and judging parts."""
    judges = rng.normal(0, 0.1, 20)
    return {
        n: {
            (d, s): 0.15 * np.log1p(n + gain)
            + luck
            + rng.normal(0, 0.01)
            + rows.weights @ (judges + rng.normal(0, 0.03, 20)) / 20
            for d, luck in enumerate(rng.normal(0, 0.01, 3))
            for s in range(2)
        }
        for n in numbers
    }


def test_worth_is_the_number_of_real_parts_that_are_replaced() -> None:
    rng, rows, inside, worth = np.random.default_rng(5), _rows(20, 300), 0, []
    for _ in range(60):
        state = rng.integers(1 << 30)
        without = _learning(np.random.default_rng(state), (1, 2, 4, 8, 16), 0, rows)
        mixed = _learning(np.random.default_rng(state), (2,), 4, rows)
        (entry,) = worth_in_parts(without, mixed, rows, num_parts=20, confidence=0.95, seed=0)
        assert (entry["real_parts"], entry["beyond"]) == (2, False)
        worth.append(entry["worth"])
        inside += entry["low"] <= 4 <= entry["high"]
    assert np.mean(worth) == pytest.approx(4, abs=0.4)
    assert inside >= 0.9 * 60


def test_few_seeds_do_not_make_worth_sure() -> None:
    """One draw, three seeds, two points: an interval that ignores Student's t is far too short."""
    rng, rows, inside = np.random.default_rng(8), _rows(20, 200), 0
    for _ in range(100):
        judges = rng.normal(0, 0.1, 20)

        def runs(true: float, judges: np.ndarray = judges) -> dict:
            return {
                (0, s): true + rng.normal(0, 0.06) + rows.weights @ judges / 20 for s in range(3)
            }

        # One part does .2, seven .4; with one part the mix does what two do.
        value = 0.2 + 0.2 * np.log(3 / 2) / np.log(4)
        without = {1: runs(0.2), 7: runs(0.4)}
        (entry,) = worth_in_parts(
            without, {1: runs(value)}, rows, num_parts=20, confidence=0.95, seed=0
        )
        inside += entry["low"] <= 1 and (entry["high"] >= 1 or entry["high_beyond"])
    assert inside >= 90


def test_a_kinds_worth_is_in_parts_of_that_kind() -> None:
    images = [
        LabelledImage(
            image_id=n,
            file=Path("x.png"),
            pixels=np.zeros((40, 40), np.uint8),
            part=f"part{n}",
            objects=(LabelledObject(kind="dot", box=(5.0, 5.0, 9.0, 9.0)),),
        )
        for n in range(6)
    ]

    def run(arm: str, hits: int, parts: dict[str, int]) -> Judged:
        each = [n < hits for n in range(6)]
        found = [
            Detections(
                boxes=np.array([(5.0, 5.0, 9.0, 9.0)] * hit).reshape(-1, 4),
                scores=np.full(int(hit), 0.9),
                kinds=np.zeros(int(hit), np.int64),
            )
            for hit in each
        ]
        return Judged(arm=arm, seed=0, found=tuple(found), parts_by_kind=parts)

    runs = [
        run("real_1", 1, {"dot": 1, "bar": 1}),
        run("real", 4, {"dot": 3, "bar": 12}),
        run("mix_1", 4, {"dot": 1, "bar": 1}),
        run("synthetic", 2, {}),
    ]
    worth = Worth(without={"1": "real_1", "7": "real"}, mixed={"0": "synthetic", "1": "mix_1"})
    config = EvaluateConfig(resamples=50, worth=worth)
    judged = judge(images, runs, ("dot", "bar"), config, "real")
    at = {
        c["slice"]: [(p["real_parts"], p["arm"]) for p in c["without"] + c["mixed"]]
        for c in judged["worth_curves"]
    }
    assert at["all"] == [(1, "real_1"), (7, "real"), (0, "synthetic"), (1, "mix_1")]
    assert at["dot"] == [(1, "real_1"), (3, "real"), (0, "synthetic"), (1, "mix_1")]
    found = {(w["slice"], w["real_parts"]): w["worth"] for w in judged["worth"]}
    # As good as all three real parts, with one.
    assert found["dot", 1] == pytest.approx(2)


def test_worth_beyond_what_was_measured_is_a_lower_bound() -> None:
    rows = _rows(20, 100)
    without = _learning(np.random.default_rng(0), (1, 2, 4), 0, rows)
    mixed = _learning(np.random.default_rng(0), (0, 2), 40, rows)
    entries = worth_in_parts(without, mixed, rows, num_parts=20, confidence=0.95, seed=0)
    assert [(e["real_parts"], e["worth"], e["beyond"]) for e in entries] == [
        (0, 4.0, True),
        (2, 2.0, True),
    ]
    assert worth_in_parts({1: without[1]}, mixed, rows, num_parts=20, confidence=0.95, seed=0) == []


def test_synthetic_images_that_harm_are_worth_less_than_nothing() -> None:
    rows = _rows(20, 100)
    without = _learning(np.random.default_rng(0), (1, 2, 4, 8), 0, rows)
    mixed = _learning(np.random.default_rng(0), (4,), -2, rows)
    (entry,) = worth_in_parts(without, mixed, rows, num_parts=20, confidence=0.95, seed=0)
    assert -3 < entry["worth"] < -1


def test_a_thousand_resamples_of_400_images_take_seconds() -> None:
    rng, classes = np.random.default_rng(0), ("dot", "bar")
    images = [
        LabelledImage(
            image_id=n + 1,
            file=Path("x.png"),
            pixels=np.zeros((200, 200), np.uint8),
            part=f"part{n // 6}",
            objects=tuple(
                LabelledObject(kind=classes[n // 6 % 2], box=(*rng.uniform(0, 150, 2), 20.0, 20.0))
                for _ in range(2 if n < 200 else 0)
            ),
            attributes={"exposure": n % 6},
        )
        for n in range(400)
    ]

    def run(arm: str) -> Judged:
        found = []
        for image in images:
            near = [np.array(o.box) + rng.uniform(-3, 3, 4) for o in image.objects]
            boxes = np.array([*near, *rng.uniform(5, 100, (60, 4))])
            scores = rng.uniform(size=len(boxes))
            kinds = rng.integers(2, size=len(boxes))
            found.append(Detections(boxes=boxes, scores=scores, kinds=kinds))
        return Judged(arm=arm, seed=0, found=tuple(found))

    started = time.process_time()
    judged = judge(images, [run("a"), run("b")], classes, EvaluateConfig(resamples=1000), "a")
    assert time.process_time() - started < 10
    assert len(judged["slices"]) == 9
