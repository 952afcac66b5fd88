"""Which EGL device belongs to the GPU that a scheduler gave."""

import pytest

from simgen.errors import RenderError
from simgen.render.context import describe, open_context
from simgen.render.egl import (
    EglDevice,
    device_of_this_process,
    list_devices,
    matching_device,
)

# EGL's order is its own, and Mesa's software device comes with the GPUs.
DEVICES = [
    EglDevice(index=0, cuda=2, uuid="aa00bb11" + "0" * 24),
    EglDevice(index=1, cuda=0, uuid="aa00cc22" + "0" * 24),
    EglDevice(index=2, cuda=None),
    EglDevice(index=3, cuda=1, uuid="dd00ee33" + "0" * 24),
]


@pytest.mark.parametrize(
    ("visible", "index"),
    [
        ("0", 1),
        ("1", 3),
        ("2,0", 0),
        (" 1 ,0", 3),
        ("GPU-dd00ee33-0000-0000-0000-000000000000", 3),
        ("GPU-aa00c", 1),
        ("", None),
        ("-1", None),
        ("NoDevFiles", None),
    ],
)
def test_the_first_visible_gpu_is_drawn_on(visible, index):
    assert matching_device(visible, DEVICES) == index


@pytest.mark.parametrize("visible", ["3", "GPU-ff", "GPU-aa00", "MIG-aa00bb11"])
def test_a_gpu_that_egl_does_not_show_is_no_reason_to_draw_on_another(visible):
    with pytest.raises(RenderError, match=f"GPU {visible} of CUDA_VISIBLE_DEVICES.*shows 2, 0, 1"):
        matching_device(visible, DEVICES)


def test_without_nvidias_egl_the_choice_is_egls():
    assert matching_device("5", [EglDevice(index=0, cuda=None)]) is None
    assert matching_device("5", []) is None


def test_a_gpu_that_egl_lacks_is_missed_though_the_mask_hides_the_others_too(monkeypatch):
    # EGL numbers only what CUDA_VISIBLE_DEVICES names, so that this process sees no number.
    masked = [EglDevice(index=device.index, cuda=None) for device in DEVICES]
    monkeypatch.setattr("simgen.render.egl.list_devices", lambda: masked)
    monkeypatch.setattr("simgen.render.egl._unmasked_devices", lambda: DEVICES)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    with pytest.raises(RenderError, match="EGL does not show GPU 3"):
        device_of_this_process()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert device_of_this_process() == 3
    monkeypatch.setenv("GLCONTEXT_DEVICE_INDEX", "0")
    assert device_of_this_process() is None


def test_a_context_opens_here_whatever_the_scheduler_says(monkeypatch):
    devices = list_devices()
    assert [device.index for device in devices] == list(range(len(devices)))
    if any(device.cuda is not None for device in devices):
        pytest.skip("has NVIDIA's EGL")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    context = open_context()
    assert describe(context).software
    context.release()
