"""Ranges that are inferred, and the conf file that holds them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simgen.calibrate.adjust import adjusted, fit_line, read_distribution
from simgen.calibrate.compare import compare
from simgen.calibrate.conf import NAME, scene_yaml
from simgen.calibrate.direct import direct_findings, jpeg_quality
from simgen.calibrate.findings import (
    Finding,
    Inference,
    allowed,
    image_findings,
    label_findings,
)
from simgen.calibrate.measure import MeasuredImage, MeasuredLabel
from simgen.calibrate.parameters import Drawn, drawn_parameters
from simgen.calibrate.sample import Observation, weigh
from simgen.config import compose
from simgen.config.render import parse_render
from simgen.scene.family import load_family, parse_ranges
from simgen.train.rendered import RenderedConfig, load_rendered

SIZE = {"image_width_px": 300.0, "image_height_px": 200.0}


def sample(values):
    return weigh([Observation(value=float(v), part=str(i)) for i, v in enumerate(values)])


def measured(number, part, values, labels=(), **attributes):
    return MeasuredImage(
        image_id=number, part=part, kinds=frozenset(x.kind for x in labels),
        attributes=attributes, values={**SIZE, **values}, labels=tuple(labels),
    )  # fmt: skip


def config(**scene):
    plain = compose("render", ["+scene=magnetic_tile"])
    plain["scene"] |= scene
    return plain


def inference(real, simulated, drawn, plain=None):
    return Inference(
        config=plain or config(), rows=compare(real, simulated), real=real, simulated=simulated,
        drawn=drawn,
    )  # fmt: skip


def exposed(low, high, seed, first=1):
    """Images whose median level is 100 times the root of their exposure, with light of its own."""
    rng = np.random.default_rng(seed)
    images, drawn = [], {}
    for k in range(80):
        exposure = rng.uniform(low, high)
        level = 100 * exposure**0.5 * np.exp(rng.normal(0, 0.05))
        images.append(measured(first + k, f"{seed}-{k}", {"brightness_median": level}))
        drawn[first + k] = Drawn(image={"sensor.exposure": exposure}, labels=())
    return images, drawn


def test_a_range_moves_to_where_the_photographs_are():
    real, _ = exposed(1.0, 2.0, seed=1)
    simulated, drawn = exposed(0.5, 1.0, seed=2)
    plain = config()
    plain["scene"]["sensor"] |= {"level": {"uniform": [0.5, 1.0]}}
    found = {f.key: f for f in image_findings(inference(real, simulated, drawn, plain))}
    level = found["scene.sensor.level"]
    low, high = level.value["uniform"]
    assert low == pytest.approx(1.0, rel=0.12) and high == pytest.approx(2.0, rel=0.12)
    assert "n=80 of 80 parts" in level.evidence[0]
    assert any("slope 0.5" in sentence for sentence in level.evidence)


def test_a_range_is_left_where_both_sides_agree():
    real, _ = exposed(0.5, 1.0, seed=2)
    simulated, drawn = exposed(0.5, 1.0, seed=2)
    (level,) = (
        f for f in image_findings(inference(real, simulated, drawn)) if f.key.endswith("level")
    )
    assert level.value is None and "left: agrees" in level.evidence


def test_a_range_is_left_where_nothing_follows_it():
    real, _ = exposed(1.0, 2.0, seed=1)
    simulated, drawn = exposed(0.5, 1.0, seed=2)
    rng = np.random.default_rng(0)
    shuffled = {k: Drawn(image={"sensor.exposure": rng.uniform(0.5, 1)}, labels=()) for k in drawn}
    (level,) = (
        f for f in image_findings(inference(real, simulated, shuffled)) if f.key.endswith("level")
    )
    assert level.value is None and "does not clearly follow" in level.evidence[-1]


def test_a_step_is_cut_short_and_says_so():
    line = fit_line(np.linspace(0, 1, 40), np.linspace(0, 1, 40), [str(k) for k in range(40)])
    assert line.slope == pytest.approx(1) and line.clear
    now = read_distribution({"uniform": [0.0, 1.0]}, "key")
    near = sample(np.linspace(0, 1, 40))
    step = adjusted(now, line, sample(np.linspace(0.3, 1.3, 40)), near, log=False)
    assert not step.limited
    assert step.value["uniform"] == pytest.approx([0.3, 1.3], abs=0.06)
    far = adjusted(now, line, sample(np.linspace(9, 10, 40)), near, log=False)
    assert far.limited


@pytest.mark.parametrize(
    ("plain", "tag"),
    [
        ({"loguniform": [1, 4]}, "loguniform"),
        ({"uniform": [1, 4]}, "uniform"),
        ({"normal": [2, 0.5, 1, 4]}, "normal"),
    ],
)
def test_a_range_keeps_its_family(plain, tag):
    theta = np.linspace(0, 1.4, 40)
    line = fit_line(theta, theta, [str(k) for k in range(40)])
    step = adjusted(
        read_distribution(plain, "key"), line, sample(theta + 0.3), sample(theta), log=True
    )
    assert list(step.value) == [tag]
    read_distribution(step.value, "key")


def test_a_choice_has_no_mean_to_move():
    line = fit_line(np.linspace(0, 1, 40), np.linspace(0, 1, 40), [str(k) for k in range(40)])
    now = read_distribution({"choice": [1, 2]}, "key")
    assert adjusted(now, line, sample([1, 2]), sample([1, 3]), log=False) is None


def sized(kind, lengths, seed, px_per_mm=8.0):
    images, drawn = [], {}
    for k, length in enumerate(lengths):
        px = length * px_per_mm
        label = MeasuredLabel(kind=kind, values={"box_long_px": px, "box_width_px": px})
        images.append(measured(k + 1, f"{seed}-{k}", {}, [label]))
        drawn[k + 1] = Drawn(image={}, labels=({"length_mm": float(length)},))
    return images, drawn


def test_sizes_of_a_kind_follow_the_boxes():
    real, _ = sized("crack", np.geomspace(4, 40, 40), 1)
    simulated, drawn = sized("crack", np.geomspace(2, 20, 40), 2)
    plain = config()
    del plain["scene"]["defects"]["gaping"]  # is labelled crack, too
    plain["scene"]["defects"]["crack"]["sizes"]["length_mm"] = {"loguniform": [2.0, 20.0]}
    found = {f.key: f for f in label_findings(inference(real, simulated, drawn, plain))}
    value = found["scene.defects.crack.sizes.length_mm"].value
    assert value["loguniform"] == pytest.approx([4, 40], rel=0.15)


def test_entries_with_one_label_are_not_told_apart():
    real, _ = sized("break", np.geomspace(4, 40, 12), 1)
    simulated, drawn = sized("break", np.geomspace(2, 20, 12), 2)
    plain = config()
    plain["scene"]["defects"]["gap"] = {"kind": "break", "sizes": {"length_mm": 3.0}}
    found = label_findings(inference(real, simulated, drawn, plain))
    (gap,) = (f for f in found if f.key == "scene.defects.gap.sizes.length_mm")
    assert gap.value is None and "all labelled break" in gap.evidence[0]


def test_exposure_steps_are_ratios_in_linear_light():
    plain = config()
    plain["scene"]["sensor"] |= {"gamma": 2.0, "steps": [0.5, 1.0, 2.0]}
    steps = (0.25, 1.0, 4.0)
    real = [
        measured(
            10 * part + k, f"p{part}", {"brightness_median": (20 + part) * step**0.5}, exposure=k
        )
        for part in range(4)
        for k, step in enumerate(steps)
    ]
    found = direct_findings(inference(real, real, {}, plain), [])
    (finding,) = (f for f in found if f.key == "scene.sensor.steps")
    assert finding.value == pytest.approx(steps, rel=0.01)
    assert "n=4 parts" in finding.evidence[0]


@pytest.mark.parametrize("quality", [40, 75, 95])
def test_the_quality_of_a_jpeg_is_read_off_its_tables(tmp_path, quality):
    file = tmp_path / "x.jpg"
    Image.new("L", (32, 32), 90).save(file, quality=quality)
    assert jpeg_quality(file) == quality
    Image.new("L", (32, 32), 90).save(tmp_path / "x.png")
    assert jpeg_quality(tmp_path / "x.png") is None


def padded(margins):
    return [
        measured(
            k, f"{kind}-{k}", {},
            [MeasuredLabel(kind=kind, values={"label_margin_px": margin + 0.1 * (k % 3)})],
        )
        for kind, margin in margins.items()
        for k in range(1, 9)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("real", "value", "said"),
    [
        ({"pit": 3.0, "crack": 2.8}, 3, ""),
        ({"pit": 1.2, "crack": 0.8}, None, "less than half a pixel"),
        ({"pit": 3.0, "crack": 1.0}, None, "kinds ask for different paddings"),
    ],
)
def test_padding_follows_the_margins_where_the_kinds_agree(real, value, said):
    plain = config()
    plain["labels"] |= {"pad_px": 1, "pad_px_by_kind": {}}
    simulated = padded({"pit": 1.0, "crack": 1.0})
    found = direct_findings(inference(padded(real), simulated, {}, plain), [])
    (finding,) = (f for f in found if f.key == "labels.pad_px")
    assert finding.value == value
    assert said in finding.evidence[-1]


@pytest.mark.parametrize(
    ("now", "real", "value"),
    [
        ({}, {"pit": 0.0, "crack": 1.0}, {"pit": 0}),
        ({}, {"pit": 3.0, "crack": 0.0}, {"crack": 0, "pit": 3}),
        ({"pit": 0}, {"pit": 1.0, "crack": 1.0}, None),
        ({"pit": 0, "crack": 0}, {"pit": 1.0, "crack": 2.0}, {"pit": 0}),
        # They agree on a change, and one kind of them keeps its lead.
        ({"pit": 3}, {"pit": 2.0, "crack": 2.0}, {"pit": 4}),
        ({"pit": 0}, {"pit": -1.0, "crack": 0.0}, {"crack": 0, "pit": -2}),
    ],
)
def test_kinds_that_ask_for_different_paddings_get_their_own(now, real, value):
    plain = config()
    plain["labels"] |= {"pad_px": 1, "pad_px_by_kind": now}
    simulated = padded({"pit": 1.0, "crack": 1.0})
    found = direct_findings(inference(padded(real), simulated, {}, plain), [])
    (finding,) = (f for f in found if f.key == "labels.pad_px_by_kind")
    assert finding.value == value
    (kept, *_) = allowed([finding], config())
    assert kept.value is None or kept.value == value


def test_what_photographs_cannot_say_is_left_with_the_reason():
    real, _ = exposed(1.0, 2.0, seed=1)
    found = {f.key: f for f in direct_findings(inference(real, real, {}), [])}
    for key in ("scene.camera.px_per_mm", "scene.sensor.gamma", "scene.clean_share"):
        assert found[key].value is None
        assert found[key].evidence[0].startswith("left: ")


def test_a_value_that_the_scene_does_not_allow_is_left():
    wrong = Finding(key="scene.sensor.gamma", now=1.0, value={"uniform": [0.1, 9]}, evidence=("n",))
    right = Finding(key="scene.sensor.gamma", now=1.0, value=1.5, evidence=())
    (left, kept) = allowed([wrong, right], config())
    assert left.value is None and "is not allowed" in left.evidence[-1]
    assert kept.value == 1.5


def test_the_written_config_composes_and_holds_values_and_evidence(tmp_path):
    findings = [
        Finding(
            key="scene.sensor.level", now={"uniform": [0.7, 1.1]},
            value={"loguniform": [0.5, 1.5]}, evidence=("brightness: n=398 of 70 parts",),
        ),
        Finding(key="labels.pad_px", now=1, value=2, evidence=("margin of pit: 1.2 px",)),
        Finding(
            key="scene.defect_count", now={"choice": [1, 2], "weights": [3, 1]},
            value={"choice": [1, 2, 4], "weights": [0.5, 0.3, 0.2]}, evidence=("n=18",),
        ),
        Finding(key="scene.sensor.gamma", now=1.0, value=None, evidence=("left: no chart",)),
    ]  # fmt: skip
    (tmp_path / "scene").mkdir()
    text = scene_yaml(config(), "python -m simgen calibrate x", findings, ["398 of train."])
    (tmp_path / "scene" / f"{NAME}.yaml").write_text(text)
    plain = compose("render", [f"+scene={NAME}"], tmp_path)
    ranges = parse_ranges(load_family("magnetic_tile"), parse_render(plain).scene)
    assert ranges.sensor.level.support() == (0.5, 1.5)
    assert ranges.defect_count.values == (1, 2, 4)
    assert plain["labels"]["pad_px"] == 2
    before = compose("render", ["+scene=magnetic_tile"])
    assert plain["scene"]["tile"] == before["scene"]["tile"]
    for said in ("n=398 of 70 parts", "before: {uniform: [0.7, 1.1]}", "left: no chart",
                 "python -m simgen calibrate x"):  # fmt: skip
        assert said in text


def test_parameters_are_those_of_their_images_and_labels(flat_dataset: Path):
    drawn = drawn_parameters(flat_dataset)
    source = load_rendered("simulated", RenderedConfig(path=str(flat_dataset)))
    assert set(drawn) == {i.image_id for i in source.images}
    for image in source.images:
        assert len(drawn[image.image_id].labels) == len(image.objects)
        assert drawn[image.image_id].image["sensor.exposure"] == 1.0
