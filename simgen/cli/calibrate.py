"""`python -m simgen calibrate`: ranges from the train photographs, with the evidence."""

import dataclasses
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simgen import pipeline
from simgen.calibrate.compare import compare, populations
from simgen.calibrate.conf import NAME as CONF_NAME
from simgen.calibrate.conf import flow, scene_yaml
from simgen.calibrate.direct import direct_findings
from simgen.calibrate.evidence import answer, by_attribute, population_sentences, summary, table
from simgen.calibrate.findings import Inference, allowed, image_findings, label_findings
from simgen.calibrate.measure import measure_all
from simgen.calibrate.page import write_page
from simgen.calibrate.parameters import drawn_parameters
from simgen.cli.output import writable_folder
from simgen.config import compose, parse, suggest, to_plain
from simgen.config.render import RenderConfig, parse_render
from simgen.dataset.identity import config_differences, config_sha256, read_config
from simgen.errors import ConfigError, DatasetError
from simgen.execute.render import render_dataset
from simgen.train.coco import read_json
from simgen.train.real import RealConfig, load_real
from simgen.train.rendered import RenderedConfig, load_rendered

HELP = """
usage: python -m simgen calibrate +scene=NAME [simulated=DATASET | frames=180] [key=value ...]

Measures the train photographs (never val or the holdout) and simulated images with the same code,
and writes to `out`:

  calibrate.html, .json   histograms of both, the Kolmogorov-Smirnov distance of every quantity
  scene/calibrated.yaml   ranges that the photographs support, the evidence beside each; use it with
                          render --config-dir OUT +scene=calibrated

  real.root=..., real.set=NAME   where the photographs are (set: the scene's name)
  'real.exclude=[uneven]'        categories left out, with the images that show them
  'categories={pitting: pit}'    the photographs' names to the scene's
  simulated=DATASET              a rendered dataset to compare with; without it, `frames` images of
                                 the scene are rendered to out/simulated-*
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrateCommand:
    """Keys of the command, beside those of `render`."""

    real: RealConfig
    simulated: str | None = None
    split: str = "train"
    categories: dict[str, str] | None = None
    by: tuple[str, ...] = ("exposure",)


def run(overrides: Sequence[str], config_dir: Path | None) -> int:
    """Measure both sides, write the page, the figures and the ranges, and print a table."""
    plain = compose("calibrate", overrides, config_dir)
    own = {f.name for f in dataclasses.fields(CalibrateCommand)}
    command = parse(CalibrateCommand, {k: plain.pop(k) for k in sorted(own & plain.keys())})
    config = parse_render(plain)
    _require_train(command.split)
    pipeline.scene_check(config)
    out = writable_folder(config.out)
    _require_categories(command)
    dataset = _dataset(command, config, out)

    photographs = load_real(command.real, "train", command.categories or {})
    rendered = load_rendered("simulated", RenderedConfig(path=str(dataset)))
    real = measure_all(photographs.images, "photographs")
    simulated = measure_all(rendered.images, "simulated")
    rows = compare(real, simulated)
    inference = Inference(
        config=to_plain(read_config(dataset)),
        rows=rows,
        real=real,
        simulated=simulated,
        drawn=drawn_parameters(dataset),
    )
    found = [
        *direct_findings(inference, [image.file for image in photographs.images]),
        *image_findings(inference),
        *label_findings(inference),
    ]
    findings = allowed(found, inference.config)
    record: dict[str, Any] = {
        "name": config.scene_name,
        "answer": answer(rows),
        "command": f"python -m simgen calibrate {shlex.join(overrides)}",
        "real": {**summary(real), "folder": str(command.real.folder), "sha256": photographs.sha256},
        "simulated": {**summary(simulated), "folder": str(dataset), "sha256": rendered.sha256},
        "populations": population_sentences(populations(real, simulated)),
        "by": by_attribute(real, command.by),
        "findings": [
            {
                "key": f.key,
                "now": flow(f.now),
                "value": None if f.value is None else flow(f.value),
                "evidence": "; ".join(f.evidence),
            }
            for f in findings
        ],
    }
    page, figures = write_page(out, record, rows, real, simulated)
    print(table(rows))
    for sentence in record["populations"]:
        print(sentence)
    for difference in _other_ranges(read_config(dataset), config)[:3]:
        print(f"note: {dataset} was rendered with other ranges, which count here: {difference}")
    print(record["answer"])
    conf = out / "scene" / f"{CONF_NAME}.yaml"
    conf.parent.mkdir(exist_ok=True)
    about = [
        f"Photographs: {photographs.sha256[:16]}, {len(real)} of train.",
        *record["populations"],
    ]
    conf.write_text(scene_yaml(inference.config, record["command"], findings, about))
    changed = sum(f.value is not None for f in findings)
    print(f"{changed} of {len(findings)} ranges change; render with them:")
    print(f"  python -m simgen render --config-dir {out} +scene={CONF_NAME}")
    print(f"written: {page}, {figures}, {conf}")
    return 0


def _require_train(split: str) -> None:
    if split != "train":
        raise ConfigError(
            f"split: {split!r}; only train photographs may be calibrated to: val chooses between"
            " models and the holdout judges them; leave split=train"
        )


def _require_categories(command: CalibrateCommand) -> None:
    if not command.real.folder.is_dir():
        # Said by the loader, with the remedy.
        load_real(command.real, "train")
    file = command.real.folder / "train.json"
    names = [str(c.get("name")) for c in read_json(file)["categories"]]
    for name in command.categories or {}:
        if name not in names:
            raise ConfigError(
                f"categories.{name}: {file} has no such category{suggest(name, names)}"
            )


def _other_ranges(rendered: RenderConfig, config: RenderConfig) -> list[str]:
    """Return how a dataset's config differs from the one composed, its seed aside."""
    differences = config_differences(rendered, config)
    return [d for d in differences if not d.startswith("seed:")]


def _dataset(command: CalibrateCommand, config: RenderConfig, out: Path) -> Path:
    if command.simulated is not None:
        folder = Path(command.simulated)
        if not (folder / "coco.json").is_file():
            raise DatasetError(
                f"simulated: {folder / 'coco.json'} does not exist; name a finished dataset, or"
                " leave the key out to render one"
            )
        scene = read_config(folder).scene_name
        if scene != config.scene_name:
            raise ConfigError(f"simulated: {folder} shows scene {scene}, not {config.scene_name}")
        return folder
    # The config's hash is in the name: after a change of ranges, another dataset.
    folder = out / f"simulated-{config_sha256(config)[:8]}"
    job = dataclasses.replace(config, out=str(folder))
    render_dataset(job, pipeline.categories(config), renderer="simgen.pipeline:FrameRenderer")
    return folder
