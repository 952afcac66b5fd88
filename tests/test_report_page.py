"""The report's page and gallery on made-up results."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from simgen.evaluate.config import EvaluateConfig
from simgen.evaluate.judge import Judged, judge
from simgen.evaluate.predictions import Detections
from simgen.report.gallery import galleries
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


def test_the_gallery_sorts_hits_misses_and_false_alarms_by_part() -> None:
    shown = galleries(_photographs(), _run(), ("dot",), threshold=0.5)
    captions = {heading: [p.caption for p in pictures] for heading, pictures in shown.items()}
    assert captions == {
        "hits": ["dot, part0: dot 0.90"],
        # Detected elsewhere on the part is still a miss.
        "misses": ["dot, part1: nothing detected"],
        "false alarms on clean parts": ["part2: dot 0.70"],
    }
    for pictures in shown.values():
        assert all(p.jpeg[:2] == b"\xff\xd8" for p in pictures)


@pytest.mark.skipif(
    not (importlib.util.find_spec("matplotlib") and importlib.util.find_spec("jinja2")),
    reason="the extra yolo is not installed",
)
def test_a_name_cannot_break_the_page(tmp_path: Path) -> None:
    from simgen.report.page import write_report

    images, run = _photographs(), _run()
    settings = EvaluateConfig(resamples=20)
    judged = judge(images, [run], ("dot",), settings, "real")
    record = {
        "answer": "5 < 6 & so on",
        "name": "<script>alert(1)</script>",
        "split": "val",
        "control": "real",
        "arms": {"real": {"real": 1.0}},
        "seeds": [0],
        "passes": 16,
        "evaluation": judged,
        "runs": [
            {
                "mix": {"real": 1.0},
                "passes": 16,
                "passes_per_s": 2.0,
                "folder": "f",
                **judged["runs"][0],
            }
        ],
        "sources": {},
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
    pictures = {"real": galleries(images, run, ("dot",), 0.5)}
    page, data = write_report(tmp_path / "new", record, {}, pictures)
    text = page.read_text()
    assert "<script>" not in text
    assert "5 &lt; 6 &amp; so on" in text
    assert json.loads(data.read_text())["answer"] == "5 < 6 & so on"
    assert text.count("data:image/jpeg;base64,") == 3
