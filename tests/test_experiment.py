"""The commands train, evaluate and experiment, from a user's seat."""

import importlib.util
import io
import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from real_fakes import edit, write_real, write_rendered

from simgen.cli import evaluate, experiment, train
from simgen.config import compose, parse
from simgen.errors import ConfigError, DatasetError
from simgen.evaluate.config import ExperimentConfig

_HAS_EXTRA = all(
    importlib.util.find_spec(m) for m in ("torch", "torchvision", "ultralytics", "matplotlib")
)
needs_yolo = pytest.mark.skipif(
    not _HAS_EXTRA,
    reason="the extra yolo is not installed: pip install -c constraints.txt -e '.[yolo]'",
)


def overrides(tmp_path: Path, *more: str) -> list[str]:
    return [
        "name=made_up",
        f"out={tmp_path}/out",
        f"real.root={tmp_path}/real",
        "real.set=tiles",
        "real.exclude=[vague]",
        f"+datasets.synthetic.path={tmp_path}/rendered",
        "+datasets.synthetic.render='python -m simgen render +scene=made_up'",
        "+arms.real.mix={real: 1.0}",
        "+arms.mix.mix={real: 0.5, synthetic: 0.5}",
        "train.passes=16",
        "train.batch=4",
        "train.crop_px=64",
        "train.width=16",
        "train.threads=1",
        "evaluate.resamples=50",
        f"evaluate.holdout_log={tmp_path}/holdout.jsonl",
        *more,
    ]


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    write_real(tmp_path / "real")
    write_rendered(tmp_path / "rendered")
    return tmp_path


def _stamps(folder: Path) -> dict[str, int]:
    return {str(f): f.stat().st_mtime_ns for f in sorted(folder.rglob("weights.pt"))}


@needs_yolo
def test_an_experiment_reports_resumes_and_matches_pycocotools(folders: Path, capsys) -> None:
    question = "bottleneck={slice: bar, metric: ap50, reason: 4 real parts}"
    arguments = overrides(folders, "evaluate.split=holdout", question)
    assert experiment.run(arguments, None) == 0
    line = capsys.readouterr().out.splitlines()[0]
    assert line.startswith("Do synthetic images help bar (4 real parts)? ")
    assert "4 holdout parts are too few for a verdict" in line

    report = json.loads((folders / "out" / "report.json").read_text())
    assert report["answer"] == line
    assert [s["slice"] for s in report["evaluation"]["slices"]] == [
        "all",
        "bar",
        "dot",
        "exposure 1",
        "exposure 2",
    ]
    assert {(r["arm"], r["passes"]) for r in report["runs"]} == {("real", 16), ("mix", 16)}
    assert set(report["sources"]) == {"real", "synthetic", "real holdout"}
    page = (folders / "out" / "report.html").read_text()
    assert page.index("Do synthetic images help bar") < page.index("<h1>")
    assert "http" not in page.replace('<html lang="en">', "")
    assert page.count("data:image/png;base64,") >= 3
    # Both views of the same runs: after equal passes, and each at its own best.
    assert "at equal passes" in page
    assert "own best" in page
    assert [s["slice"] for s in report["own_best"]["slices"]] == [
        s["slice"] for s in report["evaluation"]["slices"]
    ]
    own = {f.name for f in (folders / "out" / "runs").rglob("predictions-holdout-*-own_best.json")}
    assert len(own) == 1
    # The mix as it was: a ratio that never varied.
    (stage,) = next(r for r in report["runs"] if r["arm"] == "mix")["stages"]
    assert {(s["least"], s["most"]) for s in stage["sources"].values()} == {(2, 2)}
    said = (folders / "out" / "report.json").read_bytes(), page

    _same_as_pycocotools(folders, report)
    assert len((folders / "holdout.jsonl").read_text().splitlines()) == 1

    trained = _stamps(folders / "out")
    assert len(trained) == 2
    assert experiment.run([*arguments, "evaluate.false_alarm_rate=0.2"], None) == 0
    assert _stamps(folders / "out") == trained
    assert len((folders / "holdout.jsonl").read_text().splitlines()) == 2
    assert experiment.run([*arguments, "seeds=[1]"], None) == 0
    assert len(_stamps(folders / "out")) == 4

    # Trained anew from the same command, it says the same.
    shutil.rmtree(folders / "out")
    assert experiment.run(arguments, None) == 0
    again = folders / "out" / "report.json", folders / "out" / "report.html"
    assert (again[0].read_bytes(), again[1].read_text()) == said

    # Workers that detect side by side find the same.
    for file in (folders / "out" / "runs").rglob("predictions-*"):
        file.unlink()
    assert experiment.run([*arguments, "workers=2"], None) == 0
    side_by_side = json.loads((folders / "out" / "report.json").read_text())
    assert side_by_side["evaluation"] == report["evaluation"]
    assert side_by_side["own_best"] == report["own_best"]


def _same_as_pycocotools(folders: Path, report: dict) -> None:
    """Score the saved detections with pycocotools on the photographs that were judged."""
    truth = json.loads((folders / "real" / "tiles" / "holdout.json").read_text())
    vague = {a["image_id"] for a in truth["annotations"] if a["category_id"] == 3}
    # Left out as well: the unannotated photograph of an annotated part, which is the last.
    judged = [i for i in truth["images"][:-1] if i["id"] not in vague and "vague" not in i["part"]]
    kinds = {1: "dot", 2: "bar"}
    for run in report["runs"]:
        saved = json.loads(
            next(Path(run["folder"]).glob("predictions-holdout-????????.json")).read_text()
        )
        number = {c["name"]: c["id"] for c in saved["categories"]}
        coco = COCO()
        coco.dataset = {
            "info": {},
            "images": judged,
            "categories": saved["categories"],
            "annotations": [
                {**a, "category_id": number[kinds[a["category_id"]]]}
                for a in truth["annotations"]
                if a["category_id"] in kinds
            ],
        }
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(saved["results"]), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        assert run["coco_ap50"] == pytest.approx(evaluation.stats[1], abs=1e-6)


@needs_yolo
def test_train_then_evaluate_reads_val_unless_told_otherwise(folders: Path, capsys) -> None:
    strict = "evaluate.max_synthetic_share=0.1"
    assert train.run(overrides(folders, "arm=mix", "seed=3", strict), None) == 0
    folder = next((folders / "out" / "runs").iterdir())
    assert folder.name.startswith("mix-seed3-")
    printed = capsys.readouterr()
    assert str(folder) in printed.out
    assert "warning: mix: " in printed.err and strict.split("=")[0] in printed.err
    log = folders / "log.jsonl"
    arguments = [f"run={folder}", f"evaluate.holdout_log={log}", "evaluate.resamples=20"]

    assert evaluate.run(arguments, None) == 0
    assert (folder / "evaluation-val.json").is_file()
    assert not log.exists()
    assert "all" in capsys.readouterr().out

    assert evaluate.run([*arguments, "split=holdout"], None) == 0
    assert json.loads(log.read_text())["run"] == str(folder)
    result = json.loads((folder / "evaluation-holdout.json").read_text())
    assert np.isfinite(result["runs"][0]["coco_ap50"])

    # A picture that it was trained on may not judge it, under whatever name it comes back,
    # nor recompressed; to be told of it alone has to be asked for.
    images = folders / "real" / "tiles" / "images"
    judge = next(images.glob("holdout_*"))
    compressed = io.BytesIO()
    Image.open(next(images.glob("train_*"))).save(compressed, "JPEG", quality=80)
    Image.open(compressed).save(judge)
    with pytest.raises(DatasetError, match=r"evaluate\.contamination"):
        evaluate.run([*arguments, "split=holdout"], None)
    capsys.readouterr()
    assert evaluate.run([*arguments, "split=holdout", "evaluate.contamination=warn"], None) == 0
    assert "judges all the same" in capsys.readouterr().err
    result = json.loads((folder / "evaluation-holdout.json").read_text())
    assert judge.name in {Path(leak["judge"]).name for leak in result["leaks"]}

    judge = next(images.glob("holdout_*"))
    judge.write_bytes(next(images.glob("train_*")).read_bytes())
    with pytest.raises(DatasetError, match="is the same picture as"):
        evaluate.run([*arguments, "split=holdout"], None)


@pytest.mark.parametrize("name", ["magnetic_tile_small", "magnetic_tile", "ball_screw"])
def test_a_shipped_experiment_is_valid_and_its_scene_names_its_bottleneck(name: str) -> None:
    config = parse(ExperimentConfig, compose("experiment", [f"+experiment={name}"]))
    assert {"real", "synthetic", "mix"} <= set(config.arms)
    # Photographs of both sets' splits are found in train; without this a run ends in an error.
    assert (config.evaluate.split, config.evaluate.contamination) == ("val", "leave_out")
    (command,) = [d.render for d in config.datasets.values()]
    rendered = compose("render", shlex.split(command)[4:])
    assert config.bottleneck is not None
    assert rendered["dataset"]["bottleneck"] == {
        "slice": config.bottleneck.slice,
        "reason": config.bottleneck.reason,
    }


@needs_yolo
def test_what_was_trained_on_sets_no_threshold_and_judges_nothing(folders: Path, capsys) -> None:
    real = folders / "real" / "tiles"
    names = {}
    for split in ("val", "holdout"):
        images = json.loads((real / f"{split}.json").read_text())["images"]
        names[split] = next(i for i in images if "None" in i["part"])
        copied = next((real / "images").glob("train_*")).read_bytes()
        (real / "images" / names[split]["file_name"]).write_bytes(copied)
    arguments = overrides(folders, "evaluate.split=holdout", "only=[real]")
    with pytest.raises(DatasetError, match="judge without such parts by evaluate.contamination"):
        experiment.run(arguments, None)
    capsys.readouterr()
    assert experiment.run([*arguments, "evaluate.contamination=leave_out"], None) == 0
    said = capsys.readouterr().err
    report = json.loads((folders / "out" / "report.json").read_text())
    for split, image in names.items():
        assert f"warning: {split}: part {image['part']} is left out" in said
    assert any(w.startswith("val: part") for w in report["warnings"])
    assert report["commands"][-1].endswith("evaluate.contamination=leave_out")


def test_photographs_are_found_through_the_environment(monkeypatch) -> None:
    monkeypatch.setenv("SIMGEN_DATA", "/some/where")
    assert compose("experiment", [])["real"]["root"] == "/some/where"


@needs_yolo
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["train.pases=3"], r"train\.pases: unknown key"),
        (["+arms.odd.mix={real: 0.3, synthetic: 0.7}"], r"odd\.mix\.real: 0\.3 of a batch of 4"),
        (["+arms.odd.mix={reel: 1.0}"], r"arms\.odd: no source named 'reel'; did you mean 'real'"),
        (["control=mixx"], r"control: no arm named 'mixx'"),
        (["+train.categories.sinthetic.dot=bar"], r"train\.categories: no source named"),
        (["bottleneck={slice: bra}"], r"bottleneck\.slice: no slice named 'bra'; did you mean"),
        (
            ["+evaluate.bins.size_px=[9]", "bottleneck={slice: size_px to 8}"],
            r"bottleneck\.slice: no slice named 'size_px to 8'; did you mean 'size_px to 9'",
        ),
        (["evaluate.split=test"], r"evaluate\.split: 'test' is not allowed"),
    ],
)
def test_a_mistake_names_its_key_before_anything_is_trained(folders, change, message) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        experiment.run(overrides(folders, *change), None)
    assert "\n" not in str(caught.value)
    assert not (folders / "out").exists()


@needs_yolo
def test_a_missing_dataset_names_the_command_that_makes_it(folders: Path) -> None:
    (folders / "rendered" / "coco.json").unlink()
    with pytest.raises(
        DatasetError, match=r"make it with: python -m simgen render \+scene=made_up"
    ):
        experiment.run(overrides(folders), None)


@needs_yolo
def test_a_kind_that_photographs_do_not_have_must_be_mapped(folders: Path) -> None:
    edit(folders / "rendered" / "coco.json", lambda d: d["categories"][1].update(name="hole"))
    with pytest.raises(DatasetError, match=r"\+train\.categories\.synthetic\.hole=CLASS"):
        experiment.run(overrides(folders), None)


@needs_yolo
def test_evaluating_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="run: .* holds no finished run"):
        evaluate.run([f"run={tmp_path}"], None)


@pytest.mark.skipif(_HAS_EXTRA, reason="the extra yolo is installed")
def test_without_the_extra_the_error_says_how_to_install_it(folders: Path) -> None:
    with pytest.raises(ConfigError, match=r"pip install -c constraints.txt -e '\.\[yolo\]'"):
        experiment.run(overrides(folders), None)
