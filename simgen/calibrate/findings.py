"""What the photographs say of a scene's keys: a new range with evidence, or why there is none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from simgen.calibrate.adjust import Line, adjusted, fit_line, logarithm, read_distribution
from simgen.calibrate.compare import ALL, Row
from simgen.calibrate.measure import MeasuredImage
from simgen.calibrate.parameters import Drawn
from simgen.calibrate.sample import Sample
from simgen.config.render import parse_render
from simgen.errors import ConfigError
from simgen.scene.family import load_family, parse_ranges

# A smaller distance is left alone: moving a range for it would be fitting noise.
_AGREES = 0.1
_FEW_PARTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One key.

    Attributes:
        key: Dotted config key.
        now: What the config has, as plain values.
        value: What it should have, or None where nothing is to be changed.
        evidence: One sentence each: figures, how many, why.
    """

    key: str
    now: Any
    value: Any
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """All that an inference may look at.

    Attributes:
        config: The composed config of the simulated images, plain.
        rows: From `compare`.
        real, simulated: The measured images.
        drawn: From `drawn_parameters`.
    """

    config: Mapping[str, Any]
    rows: Sequence[Row]
    real: Sequence[MeasuredImage]
    simulated: Sequence[MeasuredImage]
    drawn: Mapping[int, Drawn]

    def row(self, quantity: str, population: str = ALL) -> Row | None:
        """Return a row, or None if there is none; a set's only kind stands for all."""
        found = [r for r in self.rows if r.quantity == quantity]
        exact = [r for r in found if r.population == population]
        if exact:
            return exact[0]
        return found[0] if len(found) == 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """A key, the stored parameter that it becomes, and the quantity that follows it."""

    key: str
    parameter: str
    quantity: str
    log: bool = True
    log_quantity: bool = True


# Each quantity at most once a scene: two keys that both moved for it would move it twice.
_IMAGE_PAIRS = (
    _Pair(key="sensor.level", parameter="sensor.exposure", quantity="brightness_median"),
    _Pair(key="sensor.exposure", parameter="sensor.exposure", quantity="brightness_median"),
    _Pair(key="sensor.shot_noise", parameter="sensor.shot_noise", quantity="noise"),
    _Pair(
        key="sensor.defocus_px", parameter="sensor.defocus_px", quantity="sharpness",
        log=False, log_quantity=False,
    ),
    _Pair(
        key="sensor.vignetting", parameter="sensor.vignetting", quantity="corner_fall",
        log=False, log_quantity=False,
    ),
    _Pair(key="line_slope", parameter="finish.line_slope", quantity="residual"),
    _Pair(
        key="line_length_mm", parameter="finish.line_length_mm", quantity="along_20",
        log_quantity=False,
    ),
    _Pair(key="line_mm", parameter="finish.line_mm", quantity="across_1", log_quantity=False),
    _Pair(key="blotch", parameter="finish.blotch", quantity="shading"),
)  # fmt: skip
_LABEL_PAIRS = (
    _Pair(key="length_mm", parameter="length_mm", quantity="box_long_px"),
    _Pair(key="width_mm", parameter="width_mm", quantity="mean_width_px"),
    _Pair(key="diameter_mm", parameter="diameter_mm", quantity="box_long_px"),
    _Pair(
        key="darkness", parameter="darkness", quantity="tone", log=False, log_quantity=False
    ),
    _Pair(key="tone", parameter="tone", quantity="tone"),
)  # fmt: skip


def image_findings(inference: Inference) -> list[Finding]:
    """Return a finding for each image key of the scene that a quantity follows."""
    found = []
    for pair in _IMAGE_PAIRS:
        key = _only_key(inference.config["scene"], pair.key)
        row = inference.row(pair.quantity)
        if key is None or row is None:
            continue
        points = [
            (
                inference.drawn[i.image_id].image.get(pair.parameter, np.nan),
                i.values.get(pair.quantity, np.nan),
                i.part,
            )
            for i in inference.simulated
            if i.image_id in inference.drawn
        ]
        found.append(_follow(inference.config, pair, key, row, points))
    return found


def label_findings(inference: Inference) -> list[Finding]:
    """Return a finding for each size of each kind of defect that a quantity follows."""
    found = []
    entries = inference.config["scene"].get("defects")
    for name, entry in (entries if isinstance(entries, Mapping) else {}).items():
        kind = entry.get("kind") or name
        alike = [n for n, e in entries.items() if (e.get("kind") or n) == kind]
        for pair in _LABEL_PAIRS:
            sizes = entry.get("sizes") or {}
            row = inference.row(pair.quantity, kind)
            if pair.key not in sizes or row is None or not len(row.real):
                continue
            key = f"scene.defects.{name}.sizes.{pair.key}"
            if len(alike) > 1:
                reason = (
                    f"{' and '.join(alike)} are all labelled {kind}: which is which cannot be told"
                )
                found.append(_left(key, sizes[pair.key], reason))
                continue
            points = _label_points(inference, pair, kind)
            found.append(_follow(inference.config, pair, key, row, points))
    return found


def allowed(findings: Sequence[Finding], config: Mapping[str, Any]) -> list[Finding]:
    """Return the findings, without the values that the scene does not allow.

    Args:
        findings: To check, each on its own.
        config: The composed config that they change.
    """
    kept = []
    for finding in findings:
        if finding.value is not None:
            try:
                render = parse_render(_with(config, finding.key.split("."), finding.value))
                parse_ranges(load_family(render.scene_name), render.scene)
            except ConfigError as error:
                reason = f"left: {finding.value} is not allowed ({error})"
                finding = replace(finding, value=None, evidence=(*finding.evidence, reason))
        kept.append(finding)
    return kept


def _with(config: Mapping[str, Any], words: Sequence[str], value: Any) -> dict[str, Any]:
    """Return a config with one value changed."""
    inner = value if len(words) == 1 else _with(config[words[0]], words[1:], value)
    return {**config, words[0]: inner}


def _label_points(inference: Inference, pair: _Pair, kind: str) -> list[tuple[float, float, str]]:
    points = []
    for image in inference.simulated:
        drawn = inference.drawn.get(image.image_id)
        if drawn is None or len(drawn.labels) != len(image.labels):
            continue
        for parameters, label in zip(drawn.labels, image.labels, strict=True):
            if label.kind == kind:
                points.append(
                    (
                        parameters.get(pair.parameter, np.nan),
                        label.values.get(pair.quantity, np.nan),
                        image.part,
                    )
                )
    return points


def _follow(
    config: Mapping[str, Any],
    pair: _Pair,
    key: str,
    row: Row,
    points: Sequence[tuple[float, float, str]],
) -> Finding:
    """Return what a key should be for its quantity to agree."""
    now = _at(config, key)
    evidence = _figures(row)

    def left(reason: str) -> Finding:
        return Finding(key=key, now=now, value=None, evidence=(*evidence, f"left: {reason}"))

    if row.distance is None:
        return left("nothing simulated")
    if row.distance <= _AGREES:
        return left("agrees")
    line = _line(pair, points)
    name = f"log {pair.quantity}" if pair.log_quantity else pair.quantity
    over = f"log {pair.parameter}" if pair.log else pair.parameter
    if not line.clear:
        seen = f"slope {line.slope:.2g} ± {line.error:.1g}"
        seen = seen if np.isfinite(line.error) else "no slope"
        return left(f"{name} does not clearly follow {over} in {line.scenes} scenes ({seen})")
    try:
        distribution = read_distribution(now, key)
    except ConfigError:
        return left("not a range")
    real, simulated = (_scaled(s, pair.log_quantity) for s in (row.real, row.simulated))
    step = adjusted(distribution, line, real, simulated, log=pair.log)
    if step is None:
        return left("a choice has no mean to move; change its values by hand")
    notes = [f"{name} follows {over} with slope {line.slope:.2g} ± {line.error:.1g}"]
    if step.limited:
        notes.append("cut short: calibrate again from here")
    if row.real.parts < _FEW_PARTS:
        notes.append(f"few parts: {row.real.parts}")
    return Finding(key=key, now=now, value=step.value, evidence=(*evidence, *notes))


def _line(pair: _Pair, points: Sequence[tuple[float, float, str]]) -> Line:
    usable = [
        p
        for p in points
        if np.isfinite(p[0])
        and np.isfinite(p[1])
        and (p[0] > 0 or not pair.log)
        and (p[1] > 0 or not pair.log_quantity)
    ]
    theta = np.array([p[0] for p in usable], np.float64)
    y = np.array([p[1] for p in usable], np.float64)
    theta = np.log(theta) if pair.log else theta
    y = np.log(y) if pair.log_quantity else y
    return fit_line(theta, y, [p[2] for p in usable])


def _scaled(sample: Sample, log: bool) -> Sample:
    return logarithm(sample) if log else replace(sample)


def _figures(row: Row) -> tuple[str, ...]:
    sides = []
    for name, sample, of in (
        ("photographs", row.real, "parts"),
        ("simulated", row.simulated, "scenes"),
    ):
        if len(sample):
            q = " / ".join(f"{v:.3g}" for v in sample.quantiles((0.05, 0.5, 0.95)))
            sides.append(f"{name} {q} (n={len(sample)} of {sample.parts} {of})")
    what = row.quantity if row.population == ALL else f"{row.quantity} of {row.population}"
    distance = "" if row.distance is None else f"; KS {row.distance:.2f}"
    return (f"{what} 5/50/95 %: {', '.join(sides)}{distance}",)


def _left(key: str, now: Any, reason: str) -> Finding:
    return Finding(key=key, now=now, value=None, evidence=(f"left: {reason}",))


def _only_key(scene: Mapping[str, Any], tail: str) -> str | None:
    """Return the one dotted key under `scene` that ends in `tail`, defects and marks aside."""
    found = [k for k in _keys(scene, "scene") if k == f"scene.{tail}" or k.endswith(f".{tail}")]
    return found[0] if len(found) == 1 else None


def _keys(value: Mapping[str, Any], prefix: str) -> list[str]:
    found = []
    for name, item in value.items():
        key = f"{prefix}.{name}"
        if key in ("scene.defects", "scene.marks"):
            continue
        found.append(key)
        if isinstance(item, Mapping):
            found += _keys(item, key)
    return found


def _at(config: Mapping[str, Any], key: str) -> Any:
    value: Any = config
    for word in key.split("."):
        value = value[word]
    return value
