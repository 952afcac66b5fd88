import json
from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simgen.config import bounded, parse, to_plain
from simgen.config.render import RenderConfig, parse_render
from simgen.errors import ConfigError
from simgen.sampling import Choice, Constant, Distribution, LogUniform, Normal, Uniform

NUMBERS = st.floats(-1e6, 1e6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    depth_mm: Distribution = Constant(1.0)
    names: tuple[str, ...] = ()
    corner: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    count: int = bounded(1, low=1, high=9)
    share: float = bounded(0.5, low=0, high=1)
    size_mm: Distribution = bounded(Constant(1.0), above=0)
    sizes_mm: dict[str, float] = bounded(None, low=0)
    kind: Literal["flat", "round"] = "flat"
    title: str | int = "x"
    on: bool = False
    inner: Inner = field(default_factory=Inner)


@dataclass(frozen=True, slots=True, kw_only=True)
class Required:
    value: float


@st.composite
def distributions(draw):
    low, high = sorted((draw(NUMBERS), draw(NUMBERS)))
    kinds = [
        Constant(low),
        Uniform(low, high),
        LogUniform(abs(low) + 1, abs(low) + 1 + high - low),
        Normal((low + high) / 2, draw(st.floats(0, 10)), low, high),
        Choice((low, high), (draw(st.floats(0, 5)), 1.0)),
    ]
    return draw(st.sampled_from(kinds))


@given(
    outer=st.builds(
        Outer,
        count=st.integers(1, 9),
        share=st.floats(0, 1),
        sizes_mm=st.dictionaries(st.text(), st.floats(0, 10)),
        kind=st.sampled_from(["flat", "round"]),
        title=st.text() | st.integers(),
        on=st.booleans(),
        inner=st.builds(
            Inner,
            depth_mm=distributions(),
            names=st.lists(st.text()).map(tuple),
            corner=st.none() | st.tuples(NUMBERS, NUMBERS),
        ),
    )
)
def test_parse_reads_back_what_to_plain_writes_as_json(outer):
    assert parse(Outer, json.loads(json.dumps(to_plain(outer)))) == outer


def test_a_render_config_reads_back():
    config = parse_render({"scene": {"name": "x", "a": {"b": [1, 2]}}, "out": "o", "seed": 3})
    assert parse(RenderConfig, json.loads(json.dumps(to_plain(config)))) == config


WRONG = [
    ({"cuont": 3}, "cuont: unknown key; did you mean 'count'?"),
    ({"inner": {"dpeth_mm": 3}}, "inner.dpeth_mm: unknown key; did you mean 'inner.depth_mm'?"),
    ({"inner": {"zzz": 3}}, "valid here: inner.corner, inner.depth_mm, inner.names"),
    ({"inner": 3}, "inner: expected keys and values, got 3"),
    ({"count": "many"}, "count: expected a whole number, got 'many'"),
    ({"count": 2.5}, "count: expected a whole number, got 2.5"),
    ({"count": True}, "count: expected a whole number, got True"),
    ({"count": 0}, "count: 0 is too small; at least 1 is needed"),
    ({"count": 10}, "count: 10 is too large; at most 9 is allowed"),
    ({"share": float("nan")}, "share: nan is not a finite number"),
    ({"share": 1.5}, "share: 1.5 is too large"),
    ({"size_mm": {"uniform": [0, 2]}}, "size_mm: 0 is too small; it must be above 0"),
    ({"sizes_mm": {"a": -1}}, "sizes_mm.a: -1 is too small"),
    ({"kind": "raund"}, "kind: 'raund' is not allowed; did you mean 'round'?"),
    ({"on": 1}, "on: expected true or false, got 1"),
    ({"title": 2.5}, "title: expected a whole number, got 2.5"),
    ({"inner": {"corner": [1]}}, "inner.corner: expected 2 values, got 1"),
    ({"inner": {"names": "a"}}, "inner.names: expected a list, got 'a'"),
    ({"inner": {"names": ["a", 1]}}, r"inner.names[1]: expected a text, got 1"),
    (
        {"inner": {"depth_mm": {"uniform": [2, 1]}}},
        "inner.depth_mm.uniform: range [2, 1] is reversed",
    ),
    ({"inner": {"depth_mm": {"unifrm": [1, 2]}}}, "unknown distribution; did you mean 'uniform'?"),
    ({"inner": {"depth_mm": {"uniform": [1]}}}, "inner.depth_mm.uniform: expected [low, high]"),
    ({"inner": {"depth_mm": {"uniform": 1}}}, "inner.depth_mm.uniform: expected a list, got 1"),
    ({"inner": {"depth_mm": {"loguniform": [0, 1]}}}, "loguniform needs a low end above 0"),
    ({"inner": {"depth_mm": {"normal": [5, 1, 0, 2]}}}, "mean 5 lies outside [0, 2]"),
    ({"inner": {"depth_mm": {"choice": []}}}, "choice needs at least one value"),
    ({"inner": {"depth_mm": {"choice": [1], "weights": 3}}}, "depth_mm.weights: expected a list"),
    ({"inner": {"depth_mm": {"choice": [1], "weights": [0]}}}, "not all 0"),
    ({"inner": {"depth_mm": {"uniform": [1, 2], "weights": [1]}}}, "only choice has weights"),
    ({"inner": {"depth_mm": {"uniform": [0, 1], "choice": [1]}}}, "set the others to null"),
    ({"inner": {"depth_mm": [1, 2]}}, "expected a number or a distribution"),
    ({3: 1}, "3: unknown key"),
]


@pytest.mark.parametrize(("data", "message"), WRONG, ids=[m for _, m in WRONG])
def test_a_mistake_names_its_key_and_the_remedy_in_one_line(data, message):
    with pytest.raises(ConfigError) as caught:
        parse(Outer, data)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_distribution_is_taken_out_by_null():
    data = {"inner": {"depth_mm": {"loguniform": None, "uniform": [1, 2]}}}
    assert parse(Outer, data).inner.depth_mm == Uniform(1, 2)


def test_a_missing_required_key_is_named():
    with pytest.raises(ConfigError, match="part.value: required key is missing"):
        parse(Required, {}, "part")


@pytest.mark.parametrize("plain", [{}, {"scene": None}, {"scene": {}}, {"scene": "inspection"}])
def test_a_render_without_a_scene_says_how_to_choose_one(plain):
    with pytest.raises(ConfigError, match=r"scene: none was chosen; add \+scene=inspection"):
        parse_render({**plain, "out": "o"})


def test_a_scene_name_cannot_leave_the_folder_of_scenes():
    with pytest.raises(ConfigError, match="scene.name: '../x' may hold letters"):
        parse_render({"scene": {"name": "../x"}, "out": "o"})
