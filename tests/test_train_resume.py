"""A run that is killed goes on to the same weights; checkpoints of strangers are data, not code."""

import hashlib
import importlib.util
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from real_fakes import write_real, write_rendered

from simgen.cli import train
from simgen.errors import AssetError, ConfigError, DatasetError

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(m) is None for m in ("torch", "torchvision", "ultralytics")),
    reason="the extra yolo is not installed: pip install -c constraints.txt -e '.[yolo]'",
)


def overrides(folder: Path, out: str, *more: str) -> list[str]:
    return [
        f"out={folder}/{out}",
        f"real.root={folder}/real",
        "real.set=tiles",
        "real.exclude=[vague]",
        f"+datasets.synthetic.path={folder}/rendered",
        "+arms.real.mix={real: 1.0}",
        "+arms.then.stages=[{mix: {synthetic: 1.0}, share: 0.5},"
        " {mix: {real: 0.75, synthetic: 0.25}, share: 0.5, freeze: neck}]",
        "arm=then",
        "seed=3",
        "train.passes=128",
        "train.batch=4",
        "train.crop_px=64",
        "train.width=16",
        "train.threads=1",
        "train.validations=2",
        "train.checkpoint_s=0",
        *more,
    ]


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    write_real(tmp_path / "real")
    write_rendered(tmp_path / "rendered")
    return tmp_path


def run_of(folder: Path, out: str) -> Path:
    (found,) = (folder / out / "runs").iterdir()
    return found


def weights(file: Path) -> dict:
    import torch

    return torch.load(file, weights_only=True)["head"]


def test_a_killed_run_ends_with_the_same_weights(folders: Path) -> None:
    import torch

    assert train.run(overrides(folders, "whole"), None) == 0
    whole = run_of(folders, "whole")

    command = [sys.executable, "-m", "simgen", "train", *overrides(folders, "killed")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # After the second stage began, so that frozen layers and counters are resumed too.
    limit = time.monotonic() + 120
    while _passes_logged(folders / "killed") < 100 and time.monotonic() < limit:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    killed = run_of(folders, "killed")
    assert (killed / "checkpoint.pt").is_file()
    assert not (killed / "run.json").exists()

    assert train.run(overrides(folders, "killed"), None) == 0
    for name in ("weights.pt", "best.pt"):
        one, two = weights(whole / name), weights(killed / name)
        assert all(torch.equal(one[k], two[k]) for k in one), name
    same = ("counters.json", "trained_on.json")
    for name in same:
        assert (whole / name).read_text() == (killed / name).read_text()
    assert _timeless(whole) == _timeless(killed)
    assert not (killed / "checkpoint.pt").exists()


def _passes_logged(out: Path) -> int:
    lines = [t for f in out.rglob("metrics.jsonl") for t in f.read_text().splitlines() if t]
    try:
        return max((json.loads(t)["passes"] for t in lines), default=0)
    except ValueError:
        return 0


def _timeless(run: Path) -> list[dict]:
    records = [json.loads(t) for t in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in r.items() if k != "passes_per_s"} for r in records]


def test_the_run_folder_proves_ratios_and_passes(folders: Path, capsys) -> None:
    assert train.run(overrides(folders, "out"), None) == 0
    assert train.run(overrides(folders, "out", "arm=real"), None) == 0
    runs = {
        json.loads((f / "run.json").read_text())["arm"]: f for f in (folders / "out/runs").iterdir()
    }
    counted = {a: json.loads((f / "counters.json").read_text()) for a, f in runs.items()}
    assert {c["passes"] for c in counted.values()} == {128}
    first, second = counted["then"]["stages"]
    assert first["sources"] == {"synthetic": {"images": 64, "least": 4, "most": 4}}
    assert second["sources"]["real"] == {"images": 48, "least": 3, "most": 3}
    assert second["sources"]["synthetic"] == {"images": 16, "least": 1, "most": 1}
    record = json.loads((runs["then"] / "run.json").read_text())
    assert record["mix"] == {"real": 0.375, "synthetic": 0.625}
    assert [p["passes"] for p in record["curve"]] == [64, 128]
    assert record["best"]["ap50"] == max(p["ap50"] for p in record["curve"])
    assert "on val" in capsys.readouterr().out


def test_a_frozen_stage_moves_the_head_alone(folders: Path) -> None:
    import torch

    from simgen.train.config import ArmConfig, StageConfig, TrainConfig
    from simgen.train.plan import make_plan
    from simgen.train.real import RealConfig, load_real
    from simgen.train.session import Session
    from simgen.train.yolo import YoloTrainer

    kept: dict[int, dict] = {}

    class Recording(Session):
        def save(self, step, state) -> None:
            kept[step] = state["model"]

    source = load_real(
        RealConfig(root=str(folders / "real"), set="tiles", exclude=("vague",)), "train"
    )
    config = TrainConfig(
        passes=24, batch=4, crop_px=64, width=16, threads=1, validations=0, checkpoint_s=0
    )
    mix = {"real": 1.0}
    stages = (StageConfig(mix=mix, share=0.5), StageConfig(mix=mix, share=0.5, freeze="neck"))
    plan = make_plan(ArmConfig(stages=stages), config, "then")
    session = Recording(folders, checkpoint_s=0)
    YoloTrainer().train(config, source.kinds, {"real": source}, plan, 0, session)
    start, middle, end = kept[0], kept[2], kept[4]
    last = max(int(name.split(".")[0]) for name in start)
    neck = [n for n in start if int(n.split(".")[0]) < last]
    assert neck and not all(torch.equal(start[n], middle[n]) for n in neck)
    assert all(torch.equal(middle[n], end[n]) for n in neck)
    assert not all(torch.equal(middle[n], end[n]) for n in start if n not in neck)


def test_a_run_starts_from_a_file_and_from_scratch(folders: Path) -> None:
    more = ("arm=real", "train.passes=8", "train.validations=0")
    first = ("arm=real", "train.passes=8", "train.validations=1")
    assert train.run(overrides(folders, "first", *first), None) == 0
    file = run_of(folders, "first") / "best.pt"
    assert train.run(overrides(folders, "second", *more, f"train.weights={file}"), None) == 0
    record = json.loads((run_of(folders, "second") / "run.json").read_text())
    assert record["weights_from"] == str(file)
    scratch = (*more, "train.weights=none", "train.freeze=none")
    assert train.run(overrides(folders, "third", *scratch), None) == 0
    import torch

    saved = torch.load(run_of(folders, "third") / "weights.pt", weights_only=True)
    assert saved["backbone"]
    # A backbone that trained is what the next run starts from, frozen or not.
    file = run_of(folders, "third") / "weights.pt"
    assert train.run(overrides(folders, "fourth", *more, f"train.weights={file}"), None) == 0
    # So is one of which a part trained; the rest is ImageNet's, which its file does not repeat.
    assert train.run(overrides(folders, "fifth", *more, "train.freeze=early"), None) == 0
    file = run_of(folders, "fifth") / "weights.pt"
    kept = torch.load(file, weights_only=True)["backbone"]
    assert min(int(name.split(".")[2]) for name in kept) == 7
    assert train.run(overrides(folders, "sixth", *more, f"train.weights={file}"), None) == 0
    held = torch.load(run_of(folders, "sixth") / "weights.pt", weights_only=True)["backbone"]
    later = "0.m.14.conv.0.0.weight"
    assert not torch.equal(kept[later], saved["backbone"][later])
    assert held[later].shape == kept[later].shape


def test_ultralytics_own_checkpoints_are_read_as_data(folders: Path) -> None:
    from simgen.train.ultralytics_env import import_ultralytics

    import_ultralytics()
    import torch
    from ultralytics.nn.tasks import DetectionModel

    file = folders / "yolo11n.pt"
    torch.save({"model": DetectionModel("yolo11n.yaml", nc=80, verbose=False), "ema": None}, file)
    more = ("arm=real", "train.model=yolo11n", f"train.weights={file}", "train.freeze=none")
    more += ("train.passes=4", "train.validations=0")
    assert train.run(overrides(folders, "out", *more), None) == 0
    record = json.loads((run_of(folders, "out") / "run.json").read_text())
    assert record["weights_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()


class _Payload:
    def __reduce__(self):
        return os.mkdir, ("pwned",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("pickle", "is no checkpoint of weights alone"),
        ("other", "does not fit model=mobilenet"),
        ("list", "holds no weights by name"),
        ("broken", "is no checkpoint of weights alone"),
    ],
)
@pytest.mark.parametrize("suffix", [".pt", ".pth"])
def test_a_foreign_checkpoint_is_refused_unread(
    folders: Path, monkeypatch, content: str, message: str, suffix: str
) -> None:
    import torch

    file = folders / f"foreign{suffix}"
    if content == "pickle":
        file.write_bytes(pickle.dumps({"head": _Payload()}))
    elif content == "broken":
        file.write_bytes(b"PK half")
    else:
        torch.save({"fc.weight": torch.zeros(3)} if content == "other" else [1.0], file)
    monkeypatch.chdir(folders)
    with pytest.raises(AssetError, match=message) as caught:
        train.run(overrides(folders, "out", "arm=real", f"train.weights={file}"), None)
    assert "\n" not in str(caught.value)
    assert not (folders / "pwned").exists()


def test_missing_weights_are_named(folders: Path) -> None:
    with pytest.raises(ConfigError, match=r"train\.weights: /no/such\.pt cannot be read"):
        train.run(overrides(folders, "out", "arm=real", "train.weights=/no/such.pt"), None)
    with pytest.raises(ConfigError, match=r"train\.weights: imagenet is MobileNetV2's"):
        train.run(overrides(folders, "out", "arm=real", "train.model=yolo11n"), None)


def test_a_broken_checkpoint_is_named(folders: Path) -> None:
    from simgen.train.session import Session

    (folders / "checkpoint.pt").write_bytes(b"half")
    with pytest.raises(DatasetError, match=r"checkpoint\.pt: cannot be read .*; delete it"):
        Session(folders).resume()


def test_masks_are_learnt_with_the_segment_task(folders: Path) -> None:
    from simgen.config import parse
    from simgen.train.config import TrainConfig
    from simgen.train.real import RealConfig, load_real
    from simgen.train.run import find_run

    more = ("arm=real", "train.task=segment", "train.passes=960", "train.batch=8")
    more += ("train.learning_rate=0.005", "train.ema=0.9", "train.validations=0")
    more += ("train.crop_px=96", "train.checkpoint_s=60")
    assert train.run(overrides(folders, "out", *more), None) == 0
    run = find_run(run_of(folders, "out"))
    detector = run.detector(parse(TrainConfig, run.record["train"], "train"))
    config = RealConfig(root=str(folders / "real"), set="tiles", exclude=("vague",))
    overlaps = []
    for image in load_real(config, "train").images:
        for thing in image.objects:
            _, _, _, masks = detector.predict_masks(image.pixels)
            assert masks.shape[1:] == image.pixels.shape[:2]
            full = np.zeros(image.pixels.shape[:2], bool)
            x, y = thing.corner
            rows, columns = thing.mask.shape
            full[y : y + rows, x : x + columns] = thing.mask
            overlaps.append(max(((m & full).sum() / (m | full).sum() for m in masks), default=0))
    assert np.median(overlaps) > 0.4
