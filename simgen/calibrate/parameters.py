"""What was drawn for every simulated image and label, from the specs stored beside them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simgen.dataset.stored import read_jsonl
from simgen.errors import DatasetError
from simgen.train.coco import read_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Parameters of one image.

    Attributes:
        image: `sensor.NAME` of the sensor, `finish.NAME` of the first labelled part's finish.
        labels: Sizes (`length_mm`, ...) and values of each defect label, in the order of its COCO
            file; empty where a label joins several defects.
    """

    image: dict[str, float]
    labels: tuple[dict[str, float], ...]


def drawn_parameters(dataset: Path) -> dict[int, Drawn]:
    """Return what was drawn, by image id.

    Args:
        dataset: A finished dataset with its shards.

    Raises:
        DatasetError: A shard's frames cannot be read.
    """
    specs = {}
    for file in sorted((dataset / "shards").glob("*/frames.jsonl")):
        for record in read_jsonl(file):
            try:
                specs[int(record["frame"]) + 1] = record["spec"]
            except (KeyError, TypeError, ValueError):
                raise DatasetError(f"{file}: a frame without its spec; render it again") from None
    coco = read_json(dataset / "coco.json")
    defects = {c["id"] for c in coco["categories"] if c.get("supercategory") == "defect"}
    labels: dict[int, list[dict[str, Any]]] = {}
    # The loader of labels goes through them by annotation id; so does this.
    for annotation in coco["annotations"]:
        if annotation["category_id"] in defects:
            labels.setdefault(annotation["image_id"], []).append(annotation)
    return {
        number: Drawn(
            image=_image_parameters(spec),
            labels=tuple(_label_parameters(a, spec) for a in labels.get(number, [])),
        )
        for number, spec in specs.items()
    }


def _image_parameters(spec: Mapping[str, Any]) -> dict[str, float]:
    found = {f"sensor.{k}": v for k, v in spec["sensor"].items()}
    part = next((o for o in spec["objects"] if o.get("category")), None)
    if part is not None:
        finish = part["finish"]
        found |= {f"finish.{k}": v for k, v in finish.get("values", {}).items()}
        found |= {f"finish.{k}": finish[k] for k in ("roughness", "metalness", "anisotropy")}
        found["finish.tone"] = finish["colour"][1]
        found["camera.px_per_mm"] = _px_per_mm(spec["camera"], part)
    return {k: float(v) for k, v in found.items() if _is_number(v)}


def _px_per_mm(camera: Mapping[str, Any], part: Mapping[str, Any]) -> float:
    eye, at = (np.asarray(x["pose"]["position_mm"], np.float64) for x in (camera, part))
    return float(camera["fx"]) / max(float(np.linalg.norm(eye - at)), 1.0)


def _label_parameters(annotation: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, float]:
    sizes = annotation.get("defect_mm")
    if not isinstance(sizes, Mapping):
        return {}
    key = json.dumps(sizes, sort_keys=True)
    values: Mapping[str, Any] = {}
    for item in spec["objects"]:
        for defect in item["defects"]:
            if json.dumps(defect["size_mm"], sort_keys=True) == key:
                values = defect.get("values", {})
    found = {f"{k}_mm": v for k, v in sizes.items()} | dict(values)
    if "length" in sizes and "width" in sizes:
        # What a kind calls its diameter, whatever its aspect.
        found.setdefault("diameter_mm", (sizes["length"] * sizes["width"]) ** 0.5)
    return {k: float(v) for k, v in found.items() if _is_number(v)}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
