"""What sources say they are, which mixes are warned of, and diagnostics of likeness."""

import importlib.util
import json
import shlex
from pathlib import Path

import numpy as np
import pytest

from simgen.config import compose, parse
from simgen.errors import ConfigError
from simgen.evaluate.config import EvaluateConfig
from simgen.evaluate.fidelity import fidelity, kid, mobilenet_features, nearest_ratio
from simgen.evaluate.guard import (
    Provenance,
    cards_that_differ,
    doubted_origins,
    doubts_about_controls,
    falls_beyond,
    guard,
    not_to_be_used,
    provenance_of,
    synthetic_share,
)
from simgen.train.images import LabelledImage
from simgen.train.rendered import RenderedConfig, rendered_with

REAL = Provenance(origin="real", generations=0)
RENDERED = Provenance(origin="rendered", generations=0)


def test_mixes_to_be_wary_of_are_named() -> None:
    sources = {
        "real": REAL,
        "rendered": RENDERED,
        "other": RENDERED,
        "third": RENDERED,
        "dreamt": Provenance(origin="model_generated", generations=2),
        "unsaid": Provenance(origin="rendered", generations=None),
    }
    arms = {
        "real": {"real": 1.0},
        "mix": {"real": 0.5, "rendered": 0.5},
        "much": {"real": 0.1, "rendered": 0.9},
        "alone": {"rendered": 0.7, "other": 0.2, "third": 0.1},  # in floats not quite 1
        "dream": {"real": 0.5, "dreamt": 0.25, "unsaid": 0.25},
    }
    warnings = guard(arms, sources, max_synthetic_share=0.8)
    assert [w.split(":")[0] for w in warnings] == [
        "much",
        "alone",
        "source dreamt",
        "source unsaid",
    ]
    assert "90% of its images were taken by no camera" in warnings[0]
    assert "no real image" in warnings[1]
    assert "2 generations from a camera" in warnings[2]
    assert "set datasets.unsaid.generations" in warnings[3]
    assert guard({"mix": arms["mix"]}, sources, 0.8) == []


def test_a_card_that_names_another_bottleneck_is_told(tmp_path: Path) -> None:
    sets = {}
    for name, lack in (("same", "size_px to 16"), ("other", "bar"), ("none", "")):
        (tmp_path / name).mkdir()
        said = {"config": {"dataset": {"bottleneck": {"slice": lack, "reason": ""}}}}
        (tmp_path / name / "manifest.json").write_text(json.dumps(said))
        sets[name] = RenderedConfig(path=str(tmp_path / name))
    other, none = cards_that_differ(sets, "size_px to 16")
    assert other.startswith("source other: its card names bar, the experiment size_px to 16;")
    assert none.startswith("source none: its card names no bottleneck")
    # What it says to add to the command is an override.
    line = shlex.split(none)[-1]
    card = compose("render", ["+scene=inspection", line])["dataset"]
    assert card["bottleneck"]["slice"] == "size_px to 16"


def test_what_a_dataset_was_rendered_with_is_found_by_its_manifest(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(
        json.dumps({"assets": [{"path": "/some/room.hdr"}, {"path": "assets/manifest.json"}]})
    )
    own, shipped = rendered_with(RenderedConfig(path=str(tmp_path)))
    assert own == Path("/some/room.hdr")
    assert shipped.is_file()
    assert rendered_with(RenderedConfig(path=str(tmp_path / "none"))) == []


def test_a_source_says_what_it_is_in_its_manifest_or_in_the_config(tmp_path: Path) -> None:
    for name, said in (("drawn", {}), ("composed", {"digital_source_type": "compositeSynthetic"})):
        (tmp_path / name).mkdir()
        manifest = {"config": {"dataset": said}}
        (tmp_path / name / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "bare").mkdir()
    made = provenance_of(
        {
            "drawn": RenderedConfig(path=str(tmp_path / "drawn")),
            "composed": RenderedConfig(path=str(tmp_path / "composed")),
            "bare": RenderedConfig(path=str(tmp_path / "bare")),
            "told": RenderedConfig(path=str(tmp_path / "bare"), generations=3),
            "dreamt": RenderedConfig(path=str(tmp_path / "bare"), origin="model_generated"),
        }
    )
    assert made["real"] == REAL
    said = {name: p.generations for name, p in made.items()}
    assert said == {
        "real": 0,
        "drawn": 0,
        "composed": 1,
        "bare": None,
        "told": 3,
        "dreamt": None,
    }
    assert made["dreamt"].origin == "model_generated"


def test_a_set_rendered_with_pictures_is_asked_whether_they_are_photographs(tmp_path: Path) -> None:
    def dataset(name: str, asset: str, term: str) -> RenderedConfig:
        manifest = {
            "config": {"dataset": {"digital_source_type": term}},
            "assets": [{"path": str(tmp_path / asset)}],
        }
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(json.dumps(manifest))
        return RenderedConfig(path=str(tmp_path / name))

    sky = dataset("sky", "hall.hdr", "algorithmicMedia")
    sets = {
        "sky": sky,
        "owned": dataset("owned", "hall.hdr", "compositeSynthetic"),
        "mesh": dataset("mesh", "part.stl", "algorithmicMedia"),
        "told": RenderedConfig(path=sky.path, generations=0),
    }
    (warning,) = doubted_origins(sets)
    assert warning.startswith("source sky: ") and "hall.hdr" in warning
    assert "datasets.sky.generations=1" in warning


def test_the_report_says_where_synthetic_images_have_no_place() -> None:
    other = {"crack": "hurts", "break": "hurts", "fray": "helps"}
    verdicts = {"all": "helps", "crack": "hurts", "fray": "too few parts", "break": "cannot tell"}
    judged = {
        "controls": {"mix": "real"},
        "slices": [
            {
                "slice": s,
                "group": "all" if s == "all" else "kind",
                "versus_control": {
                    "mix": {
                        "ap50": {"difference": 0.1, "verdict": v},
                        "recall": {"difference": 0.1, "verdict": other.get(s, "cannot tell")},
                    }
                },
            }
            for s, v in verdicts.items()
        ],
    }
    lines = not_to_be_used(judged, "ap50", {0.0: 0.2, 0.5: 0.4, 0.75: 0.3, 1.0: 0.1})
    assert lines[0] == (
        "mix: not for crack (ap50, recall), break (recall), which it hurts."
        " To mix without: datasets.NAME.exclude=[crack,break]"
    )
    assert lines[1].startswith("mix: on break, fray nothing is shown by ap50;")
    assert lines[2].startswith(
        "Not beyond a share of 50%, where the figure on val is highest: 0.400"
    )
    # A gain in another figure is not what was asked, and the line says which figure that was.
    (fray,) = [e for e in judged["slices"] if e["slice"] == "fray"]
    alone = not_to_be_used({**judged, "slices": [fray]}, "ap50", {})
    assert alone == ["mix: no slice shows anything by ap50; do not count on a gain."]
    assert falls_beyond({0.0: 0.2, 0.5: 0.4}) is None
    assert falls_beyond({0.5: 0.4}) is None
    assert synthetic_share({"real": 0.25, "a": 0.5, "b": 0.25}) == 0.75


def test_a_control_that_may_not_be_the_strongest_is_doubted() -> None:
    figures = {"real": 0.2, "tuned": 0.3, "scratch": 0.1, "real_1": 0.1}
    alike = {"real": ["tuned", "scratch"], "real_1": []}
    converged = {"real": [True, False, None], "real_1": [True, None]}
    lines = doubts_about_controls(figures, alike, converged, "ap50")
    assert len(lines) == 2
    assert lines[0].startswith("real: 1 of 3 runs of this control still rose")
    assert (
        "tuned has the same photographs and a higher ap50 on val, 0.300 against 0.200" in lines[1]
    )


def _photograph(number: int, part: str, level: float, noise: float) -> LabelledImage:
    pixels = np.random.default_rng(number).normal(level, noise, (64, 64))
    return LabelledImage(
        image_id=number,
        file=Path(f"{number}.png"),
        pixels=pixels.clip(0, 255).astype(np.uint8),
        part=part,
    )


def _embed(images) -> np.ndarray:
    """Features of a made-up backbone: small pictures, in units of their spread."""
    small = [i.pixels.reshape(8, 8, 8, 8).mean(axis=(1, 3)).ravel() for i in images]
    return (np.array(small) - 100) / 20


def test_sources_are_measured_beside_what_photographs_have_among_themselves() -> None:
    real = [_photograph(n, f"part{n // 2}", 100, 20) for n in range(40)]
    alike = [_photograph(100 + n, "", 100, 20) for n in range(30)]
    other = [_photograph(200 + n, "", 160, 5) for n in range(30)]
    copies = [
        LabelledImage(image_id=n, file=i.file, pixels=i.pixels // 2 * 2, part="")
        for n, i in enumerate(real[:24])
    ]
    made = fidelity(
        real[:24], real[24:], {"alike": alike, "other": other, "copies": copies}, _embed, seed=0
    )
    sources = made["sources"]
    assert made["real"]["kid_low"] <= sources["alike"]["kid"] <= 2 * made["real"]["kid_high"]
    assert sources["other"]["kid"] > 10 * made["real"]["kid_high"]
    assert sources["other"]["statistics"]["brightness"] > 5
    assert abs(sources["alike"]["statistics"]["brightness"]) < 1
    assert sources["alike"]["nearest"] == pytest.approx(made["real"]["nearest"], abs=0.1)
    assert sources["copies"]["nearest"] < 0.5
    assert made == fidelity(
        real[:24], real[24:], {"alike": alike, "other": other, "copies": copies}, _embed, seed=0
    )


def test_the_kernel_distance_of_one_distribution_is_zero_on_average() -> None:
    rng = np.random.default_rng(0)
    same = [kid(rng.normal(size=(40, 16)), rng.normal(size=(60, 16))) for _ in range(60)]
    assert np.mean(same) == pytest.approx(0, abs=3 * np.std(same) / np.sqrt(60))
    assert kid(rng.normal(size=(40, 16)), rng.normal(1, 1, (60, 16))) > 10 * np.std(same)
    assert np.isnan(kid(np.zeros((1, 4)), np.zeros((5, 4))))


def test_copies_are_nearer_to_what_was_seen() -> None:
    rng = np.random.default_rng(0)
    seen, unseen = rng.normal(size=(30, 8)), rng.normal(size=(80, 8))
    assert nearest_ratio(seen + 0.01, seen, unseen) < 0.2
    assert nearest_ratio(rng.normal(size=(200, 8)), seen, unseen) == pytest.approx(1, abs=0.15)


@pytest.mark.skipif(
    not all(importlib.util.find_spec(m) for m in ("torch", "torchvision", "ultralytics")),
    reason="the extra yolo is not installed",
)
def test_backbone_features_tell_pictures_apart() -> None:
    images = [
        _photograph(0, "a", 100, 20),
        _photograph(0, "a", 100, 20),
        _photograph(1, "b", 60, 2),
    ]
    features = mobilenet_features(images)
    assert features.shape == (3, 1280)
    np.testing.assert_array_equal(features[0], features[1])
    assert np.abs(features[0] - features[2]).max() > 0.1


@pytest.mark.parametrize(
    ("worth", "message"),
    [
        ({"without": {"1": "a", "x": "b"}, "mixed": {}}, "'x' is not a number of real parts"),
        ({"without": {"1": "a"}, "mixed": {"1": "m"}}, "a curve wants at least two"),
    ],
)
def test_the_curves_of_worth_are_checked(worth: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(EvaluateConfig, {"worth": worth}, "evaluate")
