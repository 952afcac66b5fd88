import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simgen.sampling import (
    Choice,
    Constant,
    FrameIndex,
    LogUniform,
    Normal,
    Streams,
    Uniform,
    sample_count,
    stream,
)

KEYS = st.tuples(
    st.integers(0, 2**40), st.integers(0, 10**9), st.sampled_from("abcdef"), st.integers(0, 99)
)


@given(key=KEYS, other=KEYS)
def test_a_stream_is_a_function_of_its_key_and_of_nothing_else(key, other):
    alone = stream(*key).uniform(size=4)
    stream(*other).uniform(size=100)
    np.testing.assert_array_equal(stream(*key).uniform(size=4), alone)
    if other != key:
        assert (stream(*other).uniform(size=4) != alone).all()


def test_seed_0_is_a_seed_and_differs_from_1():
    assert stream(0, 5, "camera").uniform() != stream(1, 5, "camera").uniform()


def test_a_stream_keeps_its_draws_from_version_to_version():
    # A change here means that no dataset can be rendered again as it was.
    expected = [0.670457145777188, 0.2667551617816988, 0.6063155291422119]
    assert stream(7, 731, "lighting", 2).uniform(size=3).tolist() == expected


@given(frame=st.integers(0, 10**6), views=st.integers(1, 9), exposures=st.integers(1, 9))
def test_frames_count_exposures_first_then_views_then_scenes(frame, views, exposures):
    place = FrameIndex.of(frame, views_per_scene=views, exposures_per_view=exposures)
    assert 0 <= place.view < views and 0 <= place.exposure < exposures
    assert (place.scene * views + place.view) * exposures + place.exposure == frame


def test_frames_of_a_scene_share_its_streams_and_have_cameras_of_their_own():
    def streams(frame):
        index = FrameIndex.of(frame, views_per_scene=2, exposures_per_view=2)
        return Streams(seed=3, index=index)

    first, second_exposure, second_view = (streams(f) for f in (0, 1, 2))
    for other in (second_exposure, second_view):
        assert first.scene("parts").uniform() == other.scene("parts").uniform()
        assert first.frame("noise").uniform() != other.frame("noise").uniform()
    assert first.view("camera").uniform() == second_exposure.view("camera").uniform()
    assert first.view("camera").uniform() != second_view.view("camera").uniform()


def test_a_name_used_at_two_levels_has_a_stream_at_each():
    streams = Streams(seed=3, index=FrameIndex.of(0, views_per_scene=1, exposures_per_view=1))
    draws = {
        streams.scene("x").uniform(),
        streams.scene("x", 1).uniform(),
        streams.view("x").uniform(),
        streams.frame("x").uniform(),
    }
    assert len(draws) == 4


@pytest.mark.parametrize(
    "distribution",
    [
        Constant(2.0),
        Uniform(-1.0, 3.0),
        LogUniform(0.01, 100.0),
        Normal(1.0, 5.0, 0.5, 1.5),
        Normal(0.0, 1e-3, 0.0, 9.0),
        Choice((1.0, 4.0), (0.0, 2.0)),
    ],
    ids=str,
)
def test_every_draw_lies_in_the_support(distribution):
    low, high = distribution.support()
    draws = [distribution.sample(rng) for rng in [stream(0, 0, "x")] for _ in range(500)]
    assert low <= min(draws) and max(draws) <= high


def test_log_uniform_draws_as_many_from_each_decade():
    rng = stream(0, 0, "x")
    draws = np.log10([LogUniform(0.01, 100.0).sample(rng) for _ in range(4000)])
    counts, _ = np.histogram(draws, bins=4, range=(-2, 2))
    assert abs(counts - 1000).max() < 120


def test_weights_are_relative_and_zero_is_never_drawn():
    rng = stream(0, 0, "x")
    draws = [Choice(("a", "b", "c"), (3.0, 1.0, 0.0)).sample(rng) for _ in range(4000)]
    assert "c" not in draws
    assert abs(draws.count("a") - 3000) < 120


def test_counts_include_both_ends_and_round_fractions_by_chance():
    rng = stream(0, 0, "x")
    assert {sample_count(rng, Uniform(1, 3)) for _ in range(200)} == {1, 2, 3}
    fractions = [sample_count(rng, Constant(0.25)) for _ in range(4000)]
    assert set(fractions) == {0, 1}
    assert abs(sum(fractions) - 1000) < 120


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Uniform(2, 1), r"range \[2, 1\] is reversed"),
        (lambda: LogUniform(2, 1), "reversed"),
        (lambda: LogUniform(-1, 1), "above 0, not -1"),
        (lambda: Normal(0, -1, 0, 1), "standard deviation -1 is negative"),
        (lambda: Normal(0, 1, 1, 0), "reversed"),
        (lambda: Uniform(0, float("inf")), "inf is not a finite number"),
        (lambda: Choice((1, 2), (1.0,)), "2 values but 1 weights"),
    ],
)
def test_a_wrong_distribution_says_what_is_wrong(make, message):
    with pytest.raises(ValueError, match=message):
        make()
