"""Arms: stages and schedules, counters that prove them, and which real parts train."""

import copy
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simgen.config import compose, parse
from simgen.errors import ConfigError
from simgen.evaluate.config import ExperimentConfig
from simgen.train.config import ArmConfig, TrainConfig
from simgen.train.curve import best_point, converged, validation_steps
from simgen.train.images import LabelledImage, LabelledObject, Source
from simgen.train.mix import Draw
from simgen.train.parts import choose_parts, folds_of, join, only_parts
from simgen.train.plan import Counters, make_plan

CONFIG = TrainConfig(passes=1600, batch=16)


def image(part: str, *kinds: str, number: int = 1) -> LabelledImage:
    objects = tuple(LabelledObject(kind=k, box=(1, 1, 4, 4)) for k in kinds)
    pixels = np.zeros((8, 8), np.uint8)
    return LabelledImage(image_id=number, file=Path("x"), pixels=pixels, part=part, objects=objects)


def tiles(parts_by_kind: dict[str, int], clean: int, exposures: int = 2) -> Source:
    plan = [(f"{k}{n}", k) for k, count in parts_by_kind.items() for n in range(count)]
    plan += [(f"clean{n}", "") for n in range(clean)]
    images = [
        image(part, *([kind] if kind else []), number=n * exposures + e)
        for n, (part, kind) in enumerate(plan)
        for e in range(1, exposures + 1)
    ]
    return Source(name="real", images=tuple(images), sha256="0")


TILES = tiles({"blowhole": 7, "break": 5, "crack": 4, "fray": 3}, clean=52)


def parts_of(source: Source) -> set[str]:
    return {i.part for i in source.images}


def test_every_arm_has_the_same_passes_whatever_its_stages() -> None:
    arms = {
        "mix": {"mix": {"real": 0.5, "synthetic": 0.5}},
        "then": {
            "stages": [
                {"mix": {"synthetic": 1.0}, "share": 0.7},
                {"mix": {"real": 1.0}, "share": 0.3, "freeze": "neck", "rate": 0.5},
            ]
        },
        "schedule": {
            "stages": [
                {"mix": {"real": r, "synthetic": 1 - r}, "share": 1 / 3} for r in (0.25, 0.5, 0.75)
            ]
        },
    }
    plans = {n: make_plan(parse(ArmConfig, a, "arms"), CONFIG, n) for n, a in arms.items()}
    assert {plan[-1].stop for plan in plans.values()} == {100}
    for plan in plans.values():
        assert [s.first for s in plan] == [0, *[s.stop for s in plan[:-1]]]
        assert all(sum(s.quota.values()) == 16 for s in plan)
    synthetic, real = plans["then"]
    assert (synthetic.stop, synthetic.freeze, real.freeze, real.rate) == (
        70,
        "backbone",
        "neck",
        0.5,
    )
    assert [s.quota["real"] for s in plans["schedule"]] == [4, 8, 12]
    overall = parse(ArmConfig, arms["then"], "arms").overall()
    assert overall == {"synthetic": 0.7, "real": 0.3}


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ({}, r"arms\.x: give either mix.*or stages"),
        ({"mix": {"real": 1}, "stages": [{"mix": {"real": 1}, "share": 1}]}, r"arms\.x: give"),
        ({"stages": [{"mix": {"real": 1}, "share": 0.5}]}, r"arms\.x: stages: shares add up to 0"),
        ({"stages": [{"mix": {"real": 1}}]}, r"arms\.x\.stages\[0\]\.share: required key"),
        ({"mix": {"real": 1}, "parts_per_kind": 0}, r"arms\.x\.parts_per_kind: 0 is too small"),
        ({"real": 1.0}, r"arms\.x\.real: unknown key"),
    ],
)
def test_a_mistake_in_an_arm_names_its_key(arm, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse(ArmConfig, arm, "arms.x")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("stages", "config", "message"),
    [
        ([0.999, 0.001], {}, r"arms\.x\.stages\[1\]\.share: 0\.001 of 100 batches is none"),
        ([0.5, 0.5], {"freeze": "none"}, r"arms\.x\.stages\[0\]\.freeze: none, but train\.freeze"),
        ([1.0], {"freeze": "early"}, r"arms\.x\.stages\[0\]\.freeze: early, but train\.freeze"),
    ],
)
def test_a_stage_that_cannot_be_is_refused(stages, config, message: str) -> None:
    plain = {"stages": [{"mix": {"real": 1.0}, "share": s, **config} for s in stages]}
    with pytest.raises(ConfigError, match=message):
        make_plan(parse(ArmConfig, plain, "arms.x"), CONFIG, "x")


def test_scratch_trains_all_layers_or_none() -> None:
    with pytest.raises(ConfigError, match=r"train: freeze: backbone has learnt nothing"):
        parse(TrainConfig, {"weights": "none"}, "train")


def test_counters_show_a_batch_that_breaks_the_ratio() -> None:
    defect, clean = image("a", "crack"), image("b")
    draws = {
        "real": Draw(source="real", image=defect, target=0),
        "synthetic": Draw(source="synthetic", image=clean, target=None),
    }
    counters = Counters()
    for _ in range(3):
        counters.count(0, [draws["real"]] * 3 + [draws["synthetic"]])
    exact = counters.plain()["stages"][0]
    assert exact["sources"]["real"] == {"images": 9, "least": 3, "most": 3}
    assert counters.passes == 12
    assert counters.shares() == {"real": 0.75, "synthetic": 0.25}
    assert counters.plain()["aimed"] == {"real": {"crack": 9}, "synthetic": {"clean": 3}}
    again = Counters.of(copy.deepcopy(counters.plain()))
    again.count(0, [draws["real"]] * 4)
    broken = again.plain()["stages"][0]["sources"]
    assert broken["real"] == {"images": 13, "least": 3, "most": 4}
    assert broken["synthetic"] == {"images": 3, "least": 0, "most": 1}


@given(draw=st.integers(0, 30), count=st.integers(1, 7))
def test_fewer_parts_are_among_the_more(draw: int, count: int) -> None:
    few = choose_parts(TILES, count, draw, None)
    more = choose_parts(TILES, count + 1, draw, None)
    assert parts_of(few) <= parts_of(more)
    assert few.parts_by_kind() == {k: min(count, n) for k, n in TILES.parts_by_kind().items()}
    # All photographs of a part, or none.
    assert all(n == 2 for n in Counter(i.part for i in few.images).values())


def test_clean_parts_keep_their_proportion() -> None:
    for count in (1, 2, 7):
        few = choose_parts(TILES, count, 0, None)
        defective = sum(few.parts_by_kind().values())
        assert len(parts_of(few)) - defective == int(np.ceil(52 / 19 * defective))
    assert len(parts_of(choose_parts(TILES, 1, 0, 0.5))) == 4 + 2
    assert not any(i.is_clean for i in choose_parts(TILES, 1, 0, 0).images)
    assert parts_of(choose_parts(TILES, 7, 0, None)) == parts_of(TILES)


def test_draws_take_other_parts_until_all_were_taken() -> None:
    chosen = [choose_parts(TILES, 1, draw, None) for draw in range(7)]
    assert len({c.sha256 for c in chosen}) == 7
    blowholes = {i.part for c in chosen for i in c.images if "blowhole" in i.kinds}
    assert len(blowholes) == 7
    assert choose_parts(TILES, 1, 3, None).sha256 == chosen[3].sha256


def test_a_part_with_two_kinds_counts_for_both() -> None:
    both = Source(
        name="real", images=(image("p", "crack", "fray"), image("q", number=2)), sha256="0"
    )
    assert choose_parts(both, 1, 0, None).parts_by_kind() == {"crack": 1, "fray": 1}


@given(count=st.integers(2, 6), seed=st.integers(0, 20))
def test_folds_share_no_part_and_spread_the_kinds(count: int, seed: int) -> None:
    folds = folds_of(TILES, count, seed)
    assert sorted(p for f in folds for p in f) == sorted(parts_of(TILES))
    assert max(map(len, folds)) - min(map(len, folds)) <= 1
    for kind in TILES.kinds:
        each = [only_parts(TILES, f).parts_by_kind().get(kind, 0) for f in folds]
        assert max(each) - min(each) <= 1


def test_folds_stay_even_where_parts_show_two_kinds() -> None:
    more = image("both", "blowhole", "break", number=500)
    source = Source(name="real", images=(*TILES.images, more), sha256="0")
    each = [only_parts(source, f).parts_by_kind() for f in folds_of(source, 3, 0)]
    assert sorted(e["blowhole"] for e in each) == [2, 3, 3]
    assert sorted(e["break"] for e in each) == [2, 2, 2]


def test_more_folds_than_parts_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"folds: 9 folds of 3 parts; choose fewer"):
        folds_of(tiles({"pit": 3}, clean=0), 9, 0)


def test_joined_splits_are_numbered_anew() -> None:
    joined = join("real", [TILES, TILES])
    assert [i.image_id for i in joined.images] == list(range(1, 2 * len(TILES.images) + 1))


def test_a_curve_is_looked_at_to_its_end() -> None:
    assert validation_steps(100, 4) == {24, 49, 74, 99}
    assert max(validation_steps(7, 3)) == 6
    assert len(validation_steps(5, 50)) == 5


@pytest.mark.parametrize(
    ("values", "flat", "best"),
    [
        ([0.0, 0.1, 0.2, 0.3, 0.3, 0.3, 0.3, 0.31, 0.3, 0.3], True, 7),
        ([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9], False, 9),
        ([0.0, 0.5, 0.5, 0.5, 0.3, 0.2, 0.1, 0.1, 0.1, 0.1], True, 1),
        ([0.0, 0.002, 0.004, 0.006, 0.01, 0.014, 0.018, 0.022], False, 7),
        ([0.1, 0.2], None, 1),
        ([None] * 8, None, None),
    ],
)
def test_flat_curves_are_told_from_rising_ones(values, flat, best) -> None:
    curve = [{"passes": i, "ap50": v} for i, v in enumerate(values)]
    assert converged(curve, "ap50") is flat
    point = best_point(curve, "ap50")
    assert (point and point["passes"]) == best


def _experiment(*overrides: str) -> ExperimentConfig:
    return parse(ExperimentConfig, compose("experiment", overrides))


def test_only_arms_with_a_choice_of_parts_have_draws() -> None:
    config = _experiment(
        "+arms.real.mix={real: 1.0}",
        "+arms.real_1={mix: {real: 1.0}, parts_per_kind: 1}",
        "+arms.synthetic={mix: {synthetic: 1.0}, parts_per_kind: 1}",
        "seeds=[0,1]",
        "draws=[0,1,2]",
    )
    runs = [(j.arm, j.draw, j.seed) for j in config.jobs()]
    assert Counter(arm for arm, _, _ in runs) == {"real": 2, "real_1": 6, "synthetic": 2}
    assert len(set(runs)) == 10
    everywhere = _experiment("+arms.real.mix={real: 1.0}", "real.parts_per_kind=2", "draws=[0,1]")
    assert [j.parts_per_kind() for j in everywhere.jobs()] == [2, 2]


def test_paired_draws_and_seeds_go_together() -> None:
    arms = ("+arms.real.mix={real: 1.0}", "+arms.real_1={mix: {real: 1.0}, parts_per_kind: 1}")
    config = _experiment(*arms, "seeds=[4,5,6]", "draws=[0,1,2]", "paired=true")
    assert [(j.arm, j.draw, j.seed) for j in config.jobs()] == [
        *(("real", 0, s) for s in (4, 5, 6)),
        *(("real_1", d, s) for d, s in ((0, 4), (1, 5), (2, 6))),
    ]
    with pytest.raises(ConfigError, match="paired: 2 seeds and 1 draws; give as many of each"):
        _experiment(*arms, "seeds=[4,5]", "paired=true")


@pytest.mark.parametrize("name", ["magnetic_tile", "ball_screw"])
@pytest.mark.parametrize("size", ["cpu", "gpu"])
def test_the_shipped_comparisons_are_valid(name: str, size: str) -> None:
    config = _experiment(f"+experiment={name}", f"size={size}").narrowed()
    steps = {make_plan(arm, config.train, n)[-1].stop for n, arm in config.arms.items()}
    assert len(steps) == 1
    assert {"real", "synthetic", "mix"} <= config.arms.keys()
    assert config.evaluate.split == "val"
    for arm, control in config.control_of().items():
        # A control has the same real parts and no synthetic image.
        assert set(config.arms[control].overall()) == {"real"}, arm
        if "real" in config.arms[arm].overall():
            first = [config.job(a, 0).parts_per_kind() for a in (arm, control)]
            assert first[0] == first[1], arm
    assert json.dumps(config.mixes())


def test_an_unknown_size_is_refused() -> None:
    with pytest.raises(ConfigError, match="sizes"):
        _experiment("+experiment=magnetic_tile", "size=huge")
