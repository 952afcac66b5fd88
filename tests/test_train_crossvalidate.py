"""The command crossvalidate, and runs trained by worker processes, from a user's seat."""

import importlib.util
import json
import operator
import shutil
from pathlib import Path

import numpy as np
import pytest
from real_fakes import write_real, write_rendered

from simgen.cli import crossvalidate, train
from simgen.config import compose, parse
from simgen.config.executor import LocalConfig
from simgen.errors import ConfigError, DatasetError
from simgen.evaluate.config import ExperimentConfig
from simgen.evaluate.training import load_material, train_all
from simgen.execute.tasks import run_tasks
from simgen.train.run import find_run

needs_yolo = pytest.mark.skipif(
    any(importlib.util.find_spec(m) is None for m in ("torch", "torchvision", "ultralytics")),
    reason="the extra yolo is not installed: pip install -c constraints.txt -e '.[yolo]'",
)


def overrides(folder: Path, *more: str) -> list[str]:
    return [
        f"out={folder}/out",
        f"real.root={folder}/real",
        "real.set=tiles",
        "real.exclude=[vague]",
        f"+datasets.synthetic.path={folder}/rendered",
        "+arms.real.mix={real: 1.0}",
        "+arms.mix_1={mix: {real: 0.5, synthetic: 0.5}, parts_per_kind: 1}",
        "train.passes=8",
        "train.batch=4",
        "train.crop_px=64",
        "train.width=16",
        "train.threads=1",
        "train.validations=2",
        *more,
    ]


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    write_real(tmp_path / "real")
    write_rendered(tmp_path / "rendered")
    return tmp_path


@needs_yolo
def test_choices_are_compared_on_folds_of_parts_without_the_holdout(folders: Path, capsys) -> None:
    for image in (folders / "real" / "tiles" / "images").glob("holdout_*"):
        image.unlink()
    arguments = overrides(
        folders,
        "+choices.slow={train.learning_rate: 0.0001}",
        "cv.folds=2",
    )
    assert crossvalidate.run(arguments, None) == 0
    lines = capsys.readouterr().out.splitlines()
    *lines, doubt, _ = lines
    assert doubt.startswith("one seed: +- is over folds alone")
    assert {line.split()[0] for line in lines} == {"as_is", "slow"}
    assert all("+-" in line for line in lines if not line.startswith("as_is"))
    result = json.loads((folders / "out" / "crossvalidation.json").read_text())
    assert [len(e["by_fold"]) for e in result["entries"]] == [2, 2]
    assert result["entries"][0]["differences"]["ap50"] == {
        "mean": 0,
        "standard_error": 0,
        "standard_error_runs": None,
    }
    base, slow = result["entries"]
    for name in ("ap50", "ap10", "recall"):
        over = [a[name] - b[name] for a, b in zip(slow["by_fold"], base["by_fold"], strict=True)]
        found = slow["differences"][name]
        assert found["mean"] == pytest.approx(np.mean(over))
        assert found["standard_error"] == pytest.approx(abs(over[0] - over[1]) / 2)

    runs = [find_run(Path(f)) for f in result["entries"][0]["runs"]]
    trained = [
        set(json.loads((r.folder / "counters.json").read_text())["parts"]["real"]) for r in runs
    ]
    assert {p.split("-")[0] for parts in trained for p in parts} == {"train", "val"}
    # Every part is left out once: 12 a fold are looked at, none of them trained on.
    assert [r.record["validation"]["parts"] for r in runs] == [12, 12]
    assert [r.record["sources"]["real"]["parts"] for r in runs] == [12, 12]
    assert all(r.record["validation"]["parts_by_kind"] == {"bar": 4, "dot": 4} for r in runs)
    assert not trained[0] & trained[1]

    stamps = [Path(f, "run.json").stat().st_mtime_ns for e in result["entries"] for f in e["runs"]]
    assert crossvalidate.run(arguments, None) == 0
    again = json.loads((folders / "out" / "crossvalidation.json").read_text())
    assert again == result
    assert stamps == [
        Path(f, "run.json").stat().st_mtime_ns for e in again["entries"] for f in e["runs"]
    ]

    # All folds and choices side by side: the same figures.
    shutil.rmtree(folders / "out" / "crossvalidation")
    assert crossvalidate.run([*arguments, "workers=2"], None) == 0
    assert json.loads((folders / "out" / "crossvalidation.json").read_text()) == result


@needs_yolo
def test_differences_hold_the_spread_of_seeds(folders: Path, capsys) -> None:
    words = ["+choices.slow={train.learning_rate: 0.0001}", "cv.folds=2", "seeds=[0,1]"]
    assert crossvalidate.run(overrides(folders, *words), None) == 0
    said = capsys.readouterr().out
    assert "one seed" not in said
    entries = json.loads((folders / "out" / "crossvalidation.json").read_text())["entries"]
    base, slow = entries
    assert [(r["draw"], r["seed"]) for r in slow["by_run"]] == [(0, 0), (0, 1)]
    for name in ("ap50", "ap10", "recall"):
        for entry in entries:
            curves = [json.loads((Path(f) / "run.json").read_text()) for f in entry["runs"]]
            for one in entry["by_run"]:
                mine = [r["curve"][-1][name] for r in curves if r["seed"] == one["seed"]]
                assert len(mine) == 2
                assert one[name] == pytest.approx(np.mean(mine))
        first, second = (
            a[name] - b[name] for a, b in zip(slow["by_run"], base["by_run"], strict=True)
        )
        found = slow["differences"][name]
        assert found["mean"] == pytest.approx((first + second) / 2)
        assert found["standard_error_runs"] == pytest.approx(abs(first - second) / 2)
        both = np.hypot(found["standard_error"], found["standard_error_runs"])
        assert f"{name} {slow['figures'][name]:.3f} ({found['mean']:+.3f} +- {both:.3f})" in said


@needs_yolo
def test_gains_over_the_first_arm_are_told(folders: Path, capsys) -> None:
    words = ["cv.arms=[real,mix_1]", "cv.folds=2", "seeds=[0,1]", "draws=[0,1]", "paired=true"]
    assert crossvalidate.run(overrides(folders, *words), None) == 0
    said = capsys.readouterr().out.splitlines()
    entries = json.loads((folders / "out" / "crossvalidation.json").read_text())["entries"]
    base, mix = entries
    assert base["gains"]["ap10"]["mean"] == 0
    over = [a["ap10"] - b["ap10"] for a, b in zip(mix["by_fold"], base["by_fold"], strict=True)]
    gain = mix["gains"]["ap10"]
    assert gain["mean"] == pytest.approx(np.mean(over))
    assert gain["standard_error"] == pytest.approx(abs(over[0] - over[1]) / 2)
    # Draws of one tile a kind and all tiles have no run in common.
    assert [(r["draw"], r["seed"]) for r in mix["by_run"]] == [(0, 0), (1, 1)]
    spreads = [abs(a["ap10"] - b["ap10"]) / 2 for a, b in (e["by_run"] for e in entries)]
    assert gain["standard_error_runs"] == pytest.approx(np.hypot(*spreads))
    assert "; over real: ap50 " in next(line for line in said if line.split()[1] == "mix_1")
    assert "over real" not in next(line for line in said if line.split()[1] == "real")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("+choices.as_is={train.passes: 8}", r"choices\.as_is: .* another name"),
        ("+choices.slow=3", r"choices\.slow: expected keys and values"),
        ("+choices.slow={train.learning_rat: 3}", r"train\.learning_rat: unknown key"),
        ("cv.folds=1", r"cv\.folds: 1 is too small"),
        ("cv.arms=[reel]", r"cv\.arms: no arm named 'reel'; did you mean 'real'"),
        ("train.validations=0", r"train\.validations: 0 leaves no figure"),
    ],
)
@needs_yolo
def test_a_mistake_in_the_choices_is_named(folders: Path, change: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        crossvalidate.run(overrides(folders, change), None)
    assert "\n" not in str(caught.value)


@needs_yolo
def test_a_choice_may_be_a_whole_mix_or_a_list(folders: Path, capsys) -> None:
    choice = "{arms.mix_1.mix: {real: 0.25, synthetic: 0.75}, train.classes: [dot, bar]}"
    words = overrides(folders, f"+choices.other={choice}", "cv.arms=[mix_1]", "cv.folds=2")
    words.append("evaluate.max_synthetic_share=0.6")
    assert crossvalidate.run(words, None) == 0
    result = json.loads((folders / "out" / "crossvalidation.json").read_text())
    run = find_run(Path(result["entries"][1]["runs"][0]))
    assert run.record["mix"] == {"real": 0.25, "synthetic": 0.75}
    # Only the choice has too many, and nothing else is said twice.
    warned = [w for w in capsys.readouterr().err.splitlines() if w.startswith("warning: ")]
    assert [w.split(":")[1] for w in warned] == [" source synthetic", " mix_1"]
    assert run.classes == ("dot", "bar")


@needs_yolo
def test_worker_processes_train_what_is_missing_and_nothing_else(folders: Path, capsys) -> None:
    # One run by hand, the other by a worker.
    assert train.run(overrides(folders, "arm=mix_1", "draw=1"), None) == 0
    by_hand = Path(capsys.readouterr().out.split(":")[0])
    before = (by_hand / "run.json").stat().st_mtime_ns
    words = overrides(folders, "workers=2", "draws=[0,1]", "only=[mix_1]", "control=mix_1")
    config = parse(ExperimentConfig, compose("experiment", words)).narrowed()
    runs = train_all(config, load_material(config, ["mix_1"]))
    assert [(r.arm, r.draw, r.parts_per_kind) for r in runs] == [("mix_1", 0, 1), ("mix_1", 1, 1)]
    assert runs[1].folder == by_hand
    assert (by_hand / "run.json").stat().st_mtime_ns == before
    for run in runs:
        assert run.record["sources"]["real"]["parts_by_kind"] == {"bar": 1, "dot": 1}
    parts = [json.loads((r.folder / "counters.json").read_text())["parts"]["real"] for r in runs]
    assert not parts[0].keys() & parts[1].keys()


def test_tasks_run_in_processes_and_their_errors_come_back() -> None:
    results = run_tasks(operator.add, [(1, 2), (3, 4), (5, 6)], LocalConfig(), workers=2)
    assert results == [3, 7, 11]
    with pytest.raises(DatasetError, match="no usable"):
        run_tasks(_fail, [("no usable image",)], LocalConfig(), workers=1)


def _fail(text: str) -> None:
    raise DatasetError(text)
