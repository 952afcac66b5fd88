"""The sensor: exposure, noise and their independence of window and twin."""

import dataclasses

import numpy as np
import pytest

from simgen.scene.spec import SensorSpec
from simgen.sensor import develop, noise_field, quantize

SIZE = (64, 48)


def levels(linear: np.ndarray, spec: SensorSpec, noise: np.ndarray | None = None) -> np.ndarray:
    return develop(linear, spec, origin=(0, 0), camera_size=SIZE, noise=noise)


def grey(value: float) -> np.ndarray:
    return np.full((48, 64, 3), value, np.float32)


def test_mid_grey_follows_the_gamma() -> None:
    out = levels(grey(0.25), SensorSpec(gamma=2.0))
    np.testing.assert_allclose(out, 127.5, rtol=1e-5)
    assert out.shape == (48, 64, 3)


def test_a_mono_sensor_gives_one_channel_of_luminance() -> None:
    green = grey(0.0)
    green[..., 1] = 0.5
    out = levels(green, SensorSpec(mono=True, gamma=1.0))
    np.testing.assert_allclose(out, 0.7152 * 0.5 * 255, rtol=1e-4)


def test_twice_the_exposure_is_twice_the_light_until_it_clips() -> None:
    spec = SensorSpec(gamma=1.0)
    once, twice = (
        levels(grey(0.2), spec),
        levels(grey(0.2), dataclasses.replace(spec, exposure=2.0)),
    )
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-5)
    assert levels(grey(0.8), dataclasses.replace(spec, exposure=2.0)).max() == 255


@pytest.mark.parametrize(
    ("light", "shot", "read"), [(0.5, 0.02, 0.0), (0.5, 0.0, 0.01), (0.1, 0.03, 0.02)]
)
def test_noise_has_the_variance_of_shot_and_read_noise(
    light: float, shot: float, read: float
) -> None:
    spec = SensorSpec(gamma=1.0, shot_noise=shot, read_noise=read, noise_seed=4)
    noisy = levels(grey(light), spec, noise_field(spec, 48, 64))
    expected = 255 * np.sqrt(shot**2 * light + read**2)
    assert noisy.std() == pytest.approx(expected, rel=0.05)


def test_the_noise_field_is_the_frames_own() -> None:
    a, b = SensorSpec(noise_seed=1), SensorSpec(noise_seed=2)
    np.testing.assert_array_equal(noise_field(a, 48, 64), noise_field(a, 48, 64))
    assert np.abs(noise_field(a, 48, 64) - noise_field(b, 48, 64)).mean() > 0.5


def test_a_window_gets_the_vignetting_of_its_place() -> None:
    spec = SensorSpec(gamma=1.0, vignetting=0.6)
    whole = levels(grey(0.5), spec)
    part = develop(grey(0.5)[10:30, 5:25], spec, origin=(5, 10), camera_size=SIZE, noise=None)
    np.testing.assert_allclose(part, whole[10:30, 5:25], rtol=1e-6)
    assert whole[0, 0, 0] == pytest.approx(0.4 * 127.5, rel=0.08)


def test_defocus_and_motion_keep_the_light() -> None:
    dot = grey(0.0)
    dot[24, 32] = 0.5
    for spec in (
        SensorSpec(gamma=1.0, defocus_px=1.5),
        SensorSpec(gamma=1.0, motion_px=7, motion_deg=0),
    ):
        out = levels(dot, spec)[..., 0]
        assert out.sum() == pytest.approx(127.5, rel=0.01)
        assert (out > 0.5).sum() > 4
    assert set(np.nonzero(out > 0.5)[0]) == {24}


def test_jpeg_changes_little_and_keeps_the_channels_order() -> None:
    red = grey(0.1)
    red[..., 0] = 0.8
    spec = SensorSpec(gamma=1.0, jpeg_quality=90)
    out = quantize(levels(red, spec), spec)
    assert out.dtype == np.uint8
    np.testing.assert_allclose(out[0, 0], [204, 26, 26], atol=4)
