"""The report's page and gallery on made-up results."""

import html
import importlib.util
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from simgen.evaluate.config import EvaluateConfig, Worth
from simgen.evaluate.figures import Judged
from simgen.evaluate.judge import judge
from simgen.evaluate.predictions import Detections
from simgen.evaluate.slices import Slice, make_slices
from simgen.report.gallery import FALSE_ALARMS, gallery
from simgen.train.images import LabelledImage, LabelledObject

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((f for n in _BROWSERS if (f := shutil.which(n))), None)
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


def _kinds() -> list[Slice]:
    return [s for s in make_slices(_photographs(), ("dot",), ()).made if s.group == "kind"]


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
    shown = gallery(_photographs(), runs, ("dot",), [0.5, 0.5], ["real", "mix"], _kinds())
    rows = {heading: [(r.outcome, r.part) for r in rows] for heading, rows in shown.items()}
    assert rows == {
        # Detected elsewhere on the part is still a miss.
        "dot": [("lost", "part0"), ("missed by all", "part1")],
        FALSE_ALARMS: [("by the control alone", "part2")],
    }
    captions = [p.caption for p in shown["dot"][0].pictures]
    assert captions == ["real: dot 0.90", "mix: nothing detected"]
    assert all(p.jpeg[:2] == b"\xff\xd8" for p in shown["dot"][0].pictures)
    turned = gallery(_photographs(), runs, ("dot",), [0.5, 0.5], ["mix", "real"], _kinds())
    assert turned["dot"][0].outcome == "gained"
    assert turned[FALSE_ALARMS][0].outcome == "by others, not by the control"


needs_plots = pytest.mark.skipif(
    not (importlib.util.find_spec("matplotlib") and importlib.util.find_spec("jinja2")),
    reason="the extra yolo is not installed",
)


def _write(folder: Path) -> tuple[Path, Path]:
    from simgen.report.page import write_report

    images, runs = _photographs(), [_run(), _blind()]
    worth = Worth(without={"1": "real", "2": "mix"}, mixed={"0": "mix"})
    settings = EvaluateConfig(resamples=20, by=("lamp",), min_parts=2, min_runs=1, worth=worth)
    judged = judge(images, runs, ("dot",), settings, "real")
    record = {
        "answer": "5 < 6 & so on AP at IoU 0.1: real 0.1; mix 0.2.",
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
                "folder": "f",
                "config_sha256": "ab" * 32,
                "stages": [
                    {
                        "batches": 4,
                        "passes": 16,
                        "sources": {"real": {"images": 16, "least": 4, "most": 4}},
                    }
                ],
                "curve": [{"passes": 16, "ap50": 0.3, "ap10": 0.4}],
                "best": {"passes": 16},
                "converged": False,
                "parts_by_kind": {"dot": 2},
                **one,
            }
            for one in judged["runs"]
        ],
        "own_best": judged,
        "versions": {"simgen": "0"},
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
    pictures = gallery(images, runs, ("dot",), [0.5, 0.5], ["real", "mix"], _kinds())
    return write_report(folder, record, {"real": pictures})


@needs_plots
def test_the_page_holds_everything_and_a_name_cannot_break_it(tmp_path: Path) -> None:
    page, data = _write(tmp_path / "new")
    text = page.read_text()
    assert "<script>" not in text
    assert "<i>no</i>" not in text
    assert "5 &lt; 6 &amp; so on" in text
    assert json.loads(data.read_text())["answer"].startswith("5 < 6 & so on")
    assert text.count("data:image/jpeg;base64,") == 6
    # Two free-response curves, a worth curve for everything and the kind, two curves on val.
    assert text.count("data:image/png;base64,") == 6
    # Nothing is fetched.
    assert "http" not in text
    assert "url(" not in text
    # The verdict is first, then the warnings, which the end repeats; the question's figure leads.
    assert text.index("5 &lt; 6") < text.index("Warnings") < text.index("<h1>")
    assert text.count("mix: &lt;i&gt;no&lt;/i&gt; real image") == 2
    assert text.index("mix: not for dot") > text.index("Commands")
    assert text.index("<h2>AP at IoU 0.1") < text.index("<summary>AP50<")
    assert "lamp (no photograph says it among its attributes)" in text
    assert 'class="verdict none"' in text
    assert 'role="img"' in text
    assert "<li>mix 0.2</li>" in text
    assert text.index("at equal passes</h2>") < text.index("own best</h2>")
    assert "real 4</td>" in text
    assert "abababababababab</td>" in text


@needs_plots
def test_the_same_record_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = _write(tmp_path / "a"), _write(tmp_path / "b")
    assert [f.read_bytes() for f in first] == [f.read_bytes() for f in second]


_MEASURE = """<script>
const out = document.documentElement;
document.title = JSON.stringify({
  inner: innerWidth, wide: out.scrollWidth, images: [...document.images].every(i => i.naturalWidth),
  fetched: performance.getEntriesByType("resource").filter(r => !r.name.startsWith("data:")).length,
  answer: document.querySelector(".answer").getBoundingClientRect().bottom,
  cut: [...document.querySelectorAll("td.against")].some(t => t.scrollWidth > t.clientWidth + 1),
});
</script></body>"""


@needs_plots
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
@pytest.mark.parametrize("width", [390, 1280, 1920])
def test_a_browser_shows_the_page_at_every_width(tmp_path: Path, width: int) -> None:
    page, _ = _write(tmp_path / "new")
    # An inner frame has the width of a phone, which a browser's own window may not take.
    inner = html.escape(page.read_text().replace("</body>", _MEASURE))
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<iframe style="width:{width}px;height:800px;border:0" srcdoc="{inner}"></iframe>'
        "<script>onload = () => { document.title = frames[0].document.title; }</script>"
    )
    dumped = subprocess.run(
        [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
        + ["--disable-dev-shm-usage"]
        + [f"--user-data-dir={tmp_path}/profile", frame.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
    ).stdout
    seen = json.loads(html.unescape(dumped.split("<title>")[1].split("</title>")[0]))
    assert seen["inner"] == width
    # Tables scroll within themselves, so nothing is wider than the screen.
    assert seen["wide"] <= width
    assert seen["images"]
    assert seen["fetched"] == 0
    assert seen["answer"] < 800
    assert not seen["cut"]
