"""The report's page and gallery on made-up results."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from simgen.evaluate.config import EvaluateConfig
from simgen.evaluate.figures import Judged
from simgen.evaluate.judge import judge
from simgen.evaluate.predictions import Detections
from simgen.report.gallery import FALSE_ALARMS, gallery
from simgen.train.images import LabelledImage, LabelledObject

BOX = (10.0, 10.0, 12.0, 12.0)


def _photographs() -> list[LabelledImage]:
    return [
        LabelledImage(
            image_id=n + 1,
            file=Path("x.png"),
            pixels=np.full((40, 60), 100, np.uint8),
            part=f"part{n // 2}",
            objects=(LabelledObject(kind="dot", box=BOX),) if n < 4 else (),
        )
        for n in range(8)
    ]


def _seen(*rows: tuple[tuple[float, ...], float]) -> Detections:
    return Detections(
        boxes=np.array([r[0] for r in rows]).reshape(-1, 4),
        scores=np.array([r[1] for r in rows]),
        kinds=np.zeros(len(rows), np.int64),
    )


def _run() -> Judged:
    elsewhere = (40.0, 20.0, 5.0, 5.0)
    found = (
        [_seen((BOX, 0.9)), _seen((BOX, 0.8)), _seen((BOX, 0.2)), _seen((elsewhere, 0.9))]
        + [_seen((elsewhere, 0.7)), _seen((elsewhere, 0.6))]
        + [_seen(), _seen((elsewhere, 0.1))]
    )
    return Judged(arm="real", seed=0, found=tuple(found))


def _blind() -> Judged:
    nothing = Detections(boxes=np.zeros((0, 4)), scores=np.zeros(0), kinds=np.zeros(0, np.int64))
    return Judged(arm="mix", seed=0, found=(nothing,) * 8)


def test_the_gallery_sets_arms_side_by_side_by_kind_and_outcome() -> None:
    runs = [_blind(), _run()]
    shown = gallery(_photographs(), runs, ("dot",), [0.5, 0.5], control="real")
    rows = {heading: [(r.outcome, r.part) for r in rows] for heading, rows in shown.items()}
    assert rows == {
        # Detected elsewhere on the part is still a miss.
        "dot": [("lost", "part0"), ("missed by all", "part1")],
        FALSE_ALARMS: [("by real", "part2")],
    }
    captions = [p.caption for p in shown["dot"][0].pictures]
    assert captions == ["real: dot 0.90", "mix: nothing detected"]
    assert all(p.jpeg[:2] == b"\xff\xd8" for p in shown["dot"][0].pictures)
    turned = gallery(_photographs(), runs, ("dot",), [0.5, 0.5], control="mix")
    assert turned["dot"][0].outcome == "gained"


@pytest.mark.skipif(
    not (importlib.util.find_spec("matplotlib") and importlib.util.find_spec("jinja2")),
    reason="the extra yolo is not installed",
)
def test_the_page_holds_everything_and_a_name_cannot_break_it(tmp_path: Path) -> None:
    from simgen.report.page import write_report

    images, runs = _photographs(), [_run(), _blind()]
    settings = EvaluateConfig(resamples=20, by=("lamp",), min_parts=2, min_runs=1)
    judged = judge(images, runs, ("dot",), settings, "real")
    record = {
        "answer": "5 < 6 & so on",
        "name": "<script>alert(1)</script>",
        "split": "val",
        "control": "real",
        "arms": {"real": {"real": 1.0}, "mix": {"real": 0.5, "<b>": 0.5}},
        "bottleneck": {"slice": "dot", "metric": "ap10", "reason": ""},
        "seeds": [0],
        "passes": 16,
        "evaluation": judged,
        "runs": [
            {
                "mix": {"real": 1.0},
                "passes": 16,
                "passes_per_s": 2.0,
                "folder": "f",
                **one,
            }
            for one in judged["runs"]
        ],
        "sources": {},
        "provenance": {},
        "warnings": ["mix: <i>no</i> real image"],
        "leaks": [],
        "fidelity": {},
        "val_by_share": {},
        "not_to_be_used": ["mix: not for dot, which it hurts."],
        "commands": ["python -m simgen experiment"],
        "config": {
            "evaluate": {
                "confidence": 0.95,
                "resamples": 20,
                "min_parts": 8,
                "false_alarm_rate": 0.1,
            }
        },
    }
    pictures = gallery(images, runs, ("dot",), [0.5, 0.5], "real")
    page, data = write_report(tmp_path / "new", record, {}, pictures)
    text = page.read_text()
    assert "<script>" not in text
    assert "<i>no</i>" not in text
    assert "5 &lt; 6 &amp; so on" in text
    assert json.loads(data.read_text())["answer"] == "5 < 6 & so on"
    assert text.count("data:image/jpeg;base64,") == 6
    assert text.count("data:image/png;base64,") == 1
    # Nothing is fetched.
    assert "http" not in text
    assert "url(" not in text
    # The verdict is first, then the warnings, which the end repeats; the question's figure leads.
    assert text.index("5 &lt; 6") < text.index("Warnings") < text.index("<h1>")
    assert text.count("mix: &lt;i&gt;no&lt;/i&gt; real image") == 2
    assert text.index("mix: not for dot") > text.index("Commands")
    assert text.index("<h2>AP at IoU 0.1") < text.index("<summary>AP50<")
    assert "lamp (no photograph says it among its attributes)" in text
    assert '<td class="none"' in text
    assert 'role="img"' in text
