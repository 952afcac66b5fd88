"""What can be read off the photographs without a simulated image: sizes, steps, counts, files."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from simgen.calibrate.adjust import read_distribution, rounded
from simgen.calibrate.compare import ALL
from simgen.calibrate.findings import Finding, Inference
from simgen.calibrate.measure import MeasuredImage
from simgen.calibrate.sample import Observation, Sample, weigh

_STEPS_OF = "exposure"
_LEAST_STEPS = 3
_LEAST_PARTS = 3

# Keys that photographs cannot set, and why. A key that a scene lacks is passed over.
_UNKNOWABLE = {
    "scene.clean_share": "the share of clean parts is the collector's choice, not a line's rate",
    "scene.camera.px_per_mm": "no photograph shows a scale; the nominal value stays, and all sizes"
    " in mm hang on it",
    "scene.sensor.gamma": "a tone curve cannot be told from exposure without a grey chart",
    "scene.sensor.read_noise": "on a textured surface it cannot be told from shot noise, which is"
    " adjusted in its stead",
    "scene.sensor.white_balance": "the light's colour cannot be told from the surface's",
}


def direct_findings(inference: Inference, files: Sequence[Path]) -> list[Finding]:
    """Return findings that follow from the photographs alone.

    Args:
        inference: Config and measurements.
        files: The photographs' files, for what their encoding says.
    """
    found = [
        *_image_size(inference),
        *_exposure_steps(inference),
        *_jpeg_quality(inference, files),
        *_defect_count(inference),
        *_label_padding(inference),
        *_label_merging(inference),
    ]
    for key, reason in _UNKNOWABLE.items():
        now = _get(inference.config, key)
        if now is not None:
            found.append(Finding(key=key, now=now, value=None, evidence=(f"left: {reason}",)))
    return found


def _image_size(inference: Inference) -> list[Finding]:
    found = []
    # Where simulated images vary in size the scene crops them, and the key is only their largest.
    crops = len({_size(i) for i in inference.simulated}) > 1
    for index, name in enumerate(("width", "height")):
        sizes = [_size(i)[index] for i in inference.real]
        now = inference.config["image"][name]
        top, usual = max(sizes), Counter(sizes).most_common(1)[0]
        evidence = f"{len(sizes)} photographs, {min(sizes)} to {top} px, most often {usual[0]}"
        if crops:
            value = top if now < top else None
            note = "the largest; the scene crops" if value else f"left: {now} px hold all"
        else:
            value = usual[0] if now != usual[0] else None
            note = f"{usual[1]} of {len(sizes)} have it" if value else "left: agrees"
        found.append(Finding(key=f"image.{name}", now=now, value=value, evidence=(evidence, note)))
    return found


def _exposure_steps(inference: Inference) -> list[Finding]:
    key = "scene.sensor.steps"
    now = _get(inference.config, key)
    by_part: dict[str, dict[Any, list[float]]] = defaultdict(lambda: defaultdict(list))
    for image in inference.real:
        if _STEPS_OF in image.attributes:
            level = max(image.values["brightness_median"], 1.0)
            by_part[image.part][image.attributes[_STEPS_OF]].append(np.log(level))
    full = {p: e for p, e in by_part.items() if len(e) >= _LEAST_STEPS}
    if not isinstance(now, list) or len(full) < 2:
        return []
    # Parts that lack an exposure would shift the mean of the rest, so whole sets only.
    counted = Counter(value for e in full.values() for value in e)
    values = sorted(v for v, n in counted.items() if n >= len(full) / 2)
    whole = [e for e in full.values() if all(v in e for v in values)]
    if len(values) < _LEAST_STEPS or len(whole) < 2:
        return []
    levels = np.array([[np.mean(e[v]) for v in values] for e in whole])
    gamma = read_distribution(_get(inference.config, "scene.sensor.gamma") or 1.0, "gamma")
    middle = float(np.mean(gamma.support()))
    relative = (levels - levels.mean(axis=1, keepdims=True)) * middle
    steps = np.exp(relative.mean(axis=0) + np.mean(np.log(now)))
    evidence = (
        f"median level at exposures {values}: "
        + ", ".join(f"{v:.0f}" for v in np.exp(levels).mean(axis=0))
        + f" (n={len(whole)} parts with all {len(values)})",
        f"in linear light with gamma {middle:g}, the middle of scene.sensor.gamma; same middle step"
        f" as before; spread over parts ± {float(relative.std(axis=0).mean()):.0%}",
    )
    return [Finding(key=key, now=now, value=[rounded(float(s)) for s in steps], evidence=evidence)]


def _jpeg_quality(inference: Inference, files: Sequence[Path]) -> list[Finding]:
    key = "scene.sensor.jpeg_quality"
    now = _get(inference.config, key)
    if now is None:
        return []
    qualities = [q for q in map(jpeg_quality, files) if q is not None]
    if not qualities:
        return [Finding(key=key, now=now, value=None, evidence=("left: no photograph is a JPEG",))]
    low, high = (int(v) for v in np.percentile(qualities, (5, 95)))
    evidence = (
        f"quantization tables of {len(qualities)} of {len(files)} files: quality"
        f" {int(np.median(qualities))}, 5 to 95 %: {low} to {high}",
        "the last encoding only; whatever the camera did before is in the noise",
    )
    value = {"uniform": [low, high]} if high > low else low
    return [Finding(key=key, now=now, value=None if value == now else value, evidence=evidence)]


# The luminance table of the JPEG standard (annex K), which encoders scale by quality.
_BASE = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip


def jpeg_quality(file: Path) -> int | None:
    """Return the quality that best explains a file's luminance table, or None if it has none."""
    with Image.open(file) as picture:
        tables = getattr(picture, "quantization", None)
    if not tables:
        return None
    total = sum(tables[0])
    sums = [_table_sum(q) for q in range(1, 101)]
    return int(np.argmin([abs(total - s) for s in sums])) + 1


def _table_sum(quality: int) -> int:
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return sum(min(255, max(1, (v * scale + 50) // 100)) for v in _BASE)


def _defect_count(inference: Inference) -> list[Finding]:
    key = "scene.defect_count"
    now = _get(inference.config, key)
    row = inference.row("count")
    if now is None or row is None:
        return []
    counts = weigh(
        [
            Observation(value=i.values["count"], part=i.part)
            for i in inference.real
            if "count" in i.values
        ]
    )
    values = sorted(set(counts.values))
    weights = [rounded(float(counts.weights[counts.values == v].sum())) for v in values]
    value = (
        {"choice": [int(v) for v in values], "weights": weights} if len(values) > 1 else values[0]
    )
    evidence = (
        f"labels an image with any, {len(counts)} images of {counts.parts} parts; drawn defects may"
        " be hidden, erased or merged, so compare `count` after rendering",
    )
    agrees = row.distance is not None and row.distance <= 0.1
    return [Finding(key=key, now=now, value=None if agrees else value, evidence=evidence)]


def _label_padding(inference: Inference) -> list[Finding]:
    now = _get(inference.config, "labels.pad_px")
    row = inference.row("label_margin_px")
    if now is None or row is None or row.distance is None:
        return []
    by_kind = dict(_get(inference.config, "labels.pad_px_by_kind") or {})
    kinds = [r for r in inference.rows if r.quantity == row.quantity and r.distance is not None]
    kinds = [r for r in kinds if r.population != ALL] or kinds
    evidence = [
        f"margin of {r.population}: photographs {_middle(r.real):.1f} px (n={len(r.real)} of"
        f" {r.real.parts} parts), simulated {_middle(r.simulated):.1f}"
        for r in kinds
    ]
    changes = {r.population: round(_middle(r.real) - _middle(r.simulated)) for r in kinds}
    agreed = len(set(changes.values())) == 1
    value = None
    if row.real.parts < _LEAST_PARTS:
        evidence.append(f"left: told on fewer than {_LEAST_PARTS} parts")
    elif set(changes.values()) == {0}:
        evidence.append("left: differs by less than half a pixel")
    elif not agreed:
        evidence.append("left: kinds ask for different paddings, see labels.pad_px_by_kind")
    else:
        value = now + next(iter(changes.values()))
    found = [Finding(key="labels.pad_px", now=now, value=_new(value, now), evidence=(*evidence,))]
    if row.real.parts < _LEAST_PARTS or (agreed and not by_kind):
        return found
    if agreed:
        change = next(iter(changes.values()))
        wanted = {kind: px + change for kind, px in by_kind.items()}
    else:
        wanted = by_kind | {
            r.population: by_kind.get(r.population, now) + changes[r.population]
            for r in kinds
            if r.real.parts >= _LEAST_PARTS
        }
        wanted = {kind: px for kind, px in sorted(wanted.items()) if px != now}
    why = f"the margins of labels.pad_px, of kinds told on {_LEAST_PARTS} parts and more"
    key = "labels.pad_px_by_kind"
    return [*found, Finding(key=key, now=by_kind, value=_new(wanted, by_kind), evidence=(why,))]


def _new(value: Any, now: Any) -> Any:
    return None if value == now else value


def _label_merging(inference: Inference) -> list[Finding]:
    key = "labels.merge_mm"
    now = _get(inference.config, key)
    scale = _nominal_px_per_mm(inference)
    if now is None or scale is None:
        return []
    apart, bridged = _label_sample(inference, "gap_px"), _label_sample(inference, "inner_gap_px")
    evidence = []
    if len(bridged):
        evidence.append(
            f"{len(bridged)} labels of {bridged.parts} parts are in pieces, 5/50/95 % of the gaps:"
            f" {_three(bridged)} px"
        )
    if len(apart):
        evidence.append(
            f"{len(apart)} labels of {apart.parts} parts have a neighbour of their kind, 5/50/95 %"
            f" of the gaps: {_three(apart)} px"
        )
    if bridged.parts < _LEAST_PARTS:
        evidence.append(f"left: joined labels on fewer than {_LEAST_PARTS} parts")
        return [Finding(key=key, now=now, value=None, evidence=tuple(evidence))]
    # What was joined is a lower bound, what was left apart an upper one.
    reach = bridged.quantiles((0.95,))[0]
    if len(apart):
        reach = min(reach, apart.quantiles((0.05,))[0])
    value = rounded(reach / scale)
    evidence.append(f"the widest gap that is joined, at the nominal {scale:.3g} px per mm")
    return [
        Finding(key=key, now=now, value=None if value == now else value, evidence=tuple(evidence))
    ]


def _label_sample(inference: Inference, name: str) -> Sample:
    return weigh(
        [
            Observation(value=x.values.get(name, np.nan), part=i.part)
            for i in inference.real
            for x in i.labels
        ]
    )


def _middle(sample: Sample) -> float:
    return sample.quantiles((0.5,))[0]


def _three(sample: Sample) -> str:
    return " / ".join(f"{v:.3g}" for v in sample.quantiles((0.05, 0.5, 0.95)))


def _nominal_px_per_mm(inference: Inference) -> float | None:
    scales = [
        d.image["camera.px_per_mm"]
        for d in inference.drawn.values()
        if "camera.px_per_mm" in d.image
    ]
    return float(np.median(scales)) if scales else None


def _size(image: MeasuredImage) -> tuple[int, int]:
    return round(image.values["image_width_px"]), round(image.values["image_height_px"])


def _get(config: Mapping[str, Any], key: str) -> Any:
    value: Any = config
    for word in key.split("."):
        if not isinstance(value, Mapping) or word not in value:
            return None
        value = value[word]
    return value
