"""`croissant.json`: the dataset as Croissant 1.1, which loaders and search engines read."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simgen.dataset.croissant_records import (
    ANNOTATIONS_FILE,
    CHECKSUMS_FILE,
    IMAGES,
    IMAGES_FILE,
    Json,
    record_sets,
)
from simgen.dataset.facts import (
    Facts,
    attributions,
    bottleneck,
    contents,
    generations,
    limits,
    not_for,
    purpose,
    source_type,
)
from simgen.dataset.licences import spdx_url

CROISSANT = "croissant.json"
_CONFORMS_TO = ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
_JSON_LINES = "application/jsonlines"
_FORMATS = {
    "card.md": "text/markdown",
    "contact_sheet.png": "image/png",
    CHECKSUMS_FILE: "text/plain",
}
# The specification's terms, and `path`, `repeated`, `replace`, `samplingRate`, without which
# mlcroissant 1.1.1 says that the context is not standard.
_TERMS = (
    *("annotation", "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty"),
    *("excludes", "extract", "field", "fileObject", "fileProperty", "fileSet", "format"),
    *("includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path"),
    *("readLines", "recordSet", "references", "regex", "repeated", "replace", "samplingRate"),
    *("sdVersion", "separator", "source", "subField", "transform", "unArchive", "value"),
)


def croissant_text(facts: Facts, out: Path, hashes: Mapping[str, str]) -> str:
    """Return `croissant.json`: of a size that does not depend on the number of frames.

    Args:
        facts: What is known of the dataset.
        out: Where its files are.
        hashes: SHA-256 of coco.json and the other files beside the shards, by name; those
            in the shards are in `SHA256SUMS`.
    """
    dataset, config = facts.config.dataset, facts.config
    page: Json = {
        "@context": _context(),
        "@type": "sc:Dataset",
        "name": facts.name,
        "description": f"{purpose(facts)} {contents(facts)}.",
        "conformsTo": _CONFORMS_TO,
        "citeAs": _citation(facts),
        "license": spdx_url(dataset.licence) or dataset.licence,
        "version": dataset.version,
        "isLiveDataset": False,
        "keywords": ["synthetic", "defect detection", "instance segmentation", config.scene_name],
        "digitalSourceType": {"@id": source_type(facts)},
        **_optional(facts),
        **_provenance(facts),
        **_responsible(facts),
        "distribution": _distribution(facts, out, hashes),
        "recordSet": record_sets(
            facts.manifest["categories"],
            polygons=config.labels.polygons,
            sizes_mm=facts.tally.sizes_mm,
        ),
    }
    return json.dumps(page, indent=1, allow_nan=False) + "\n"


def _context() -> Json:
    return {
        "@language": "en",
        # The specification prints http, mlcroissant and its example datasets take https only.
        "@vocab": "https://schema.org/",
        "sc": "https://schema.org/",
        "cr": "http://mlcommons.org/croissant/",
        "rai": "http://mlcommons.org/croissant/RAI/",
        "dct": "http://purl.org/dc/terms/",
        "prov": "http://www.w3.org/ns/prov#",
        "conformsTo": "dct:conformsTo",
        "data": {"@id": "cr:data", "@type": "@json"},
        "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
        "examples": {"@id": "cr:examples", "@type": "@json"},
        **{term: f"cr:{term}" for term in _TERMS},
    }


def _optional(facts: Facts) -> Json:
    dataset = facts.config.dataset
    owed = attributions(facts)
    return {
        **({"datePublished": dataset.date} if dataset.date else {}),
        **({"url": dataset.url} if dataset.url else {}),
        **(
            {"creator": {"@type": "sc:Organization", "name": dataset.creator}}
            if dataset.creator
            else {}
        ),
        **({"creditText": " ".join(owed)} if owed else {}),
    }


def _provenance(facts: Facts) -> Json:
    """Return what the dataset was derived from and what generated it, in terms of PROV-O."""
    sources: list[Json] = [
        {
            "@type": "prov:Entity",
            "prov:label": asset.path,
            "description": asset.source,
            "license": spdx_url(asset.spdx) or asset.spdx,
            "sha256": asset.sha256,
        }
        for asset, _ in facts.assets
    ]
    if facts.parent is not None:
        before = facts.parent.manifest
        sources.insert(
            0,
            {
                "@type": "prov:Entity",
                "prov:label": " ".join(text for text in (before.name, before.version) if text),
                "description": "The version before; none of its images are in this one.",
                "sha256": facts.parent.manifest_sha256,
            },
        )
    return {
        **({"prov:wasDerivedFrom": sources} if sources else {}),
        "prov:wasGeneratedBy": {
            "@type": "prov:Activity",
            "prov:label": f"simgen render of scene {facts.config.scene_name}",
            "description": generations(facts),
            "prov:used": {
                "@type": "prov:Entity",
                "prov:label": "config, as simgen hashes it",
                "sha256": facts.manifest["config_sha256"],
            },
            "prov:wasAssociatedWith": [_agent(made) for made in facts.manifest["made_with"]],
        },
    }


def _agent(made: dict[str, Any]) -> Json:
    versions = {k: v for k, v in made["versions"].items() if k != "cpu_features"}
    renderer = {k: v for k, v in made["renderer"].items() if k != "assets"}
    parts = (*renderer.items(), *versions.items())
    simgen = versions.get("simgen", "")
    return {
        "@type": "prov:SoftwareAgent",
        "prov:label": f"simgen {simgen}".strip(),
        "version": str(simgen),
        "description": ", ".join(f"{key} {value}" for key, value in parts),
    }


def _responsible(facts: Facts) -> Json:
    """Return what Croissant's vocabulary for responsible AI has terms for."""
    lack = bottleneck(facts)
    drawn = facts.config.dataset.digital_source_type == "algorithmicMedia"
    versions = sorted({str(m["versions"].get("simgen", "")) for m in facts.manifest["made_with"]})
    personal = {"rai:personalSensitiveInformation": "None: no person and no place was recorded."}
    return {
        "rai:dataCollection": (
            "Rendered: every parameter of a scene is drawn from ranges in config.yaml by a"
            f" generator seeded with {facts.config.seed}. {generations(facts)}"
        ),
        "rai:dataCollectionRawData": (
            "The settled scene of every frame, in shards/*/frames.jsonl; each frame can be"
            " rendered again from it alone."
        ),
        "rai:dataAnnotationProtocol": (
            "Labels are computed from the scene's geometry, not drawn by people: a pixel belongs to"
            " a defect if the point that it shows lies within the defect's outline."
        ),
        "rai:machineAnnotationTools": [f"simgen {version}".strip() for version in versions],
        "rai:dataUseCases": [
            purpose(facts),
            *([f"Made for the bottleneck {lack}."] if lack else []),
        ],
        "rai:dataLimitations": [*not_for(facts), *limits(facts)],
        "rai:dataBiases": (
            "Kinds, sizes, numbers and places of defects, poses, light and cameras follow the"
            " ranges in config.yaml, not their frequencies in production."
        ),
        **(personal if drawn else {}),
    }


def _distribution(facts: Facts, out: Path, hashes: Mapping[str, str]) -> list[Json]:
    def file(name: str, identity: str, kind: str) -> Json:
        return {
            "@type": "cr:FileObject",
            "@id": identity,
            "name": name,
            "contentUrl": name,
            "contentSize": f"{(out / name).stat().st_size} B",
            "encodingFormat": kind,
            "sha256": hashes[name],
        }

    def files(identity: str, includes: str, kind: str, description: str) -> Json:
        return {
            "@type": "cr:FileSet",
            "@id": identity,
            "name": identity,
            "description": description,
            "encodingFormat": kind,
            "includes": f"shards/*/{includes}",
        }

    ending = facts.config.image.format
    outputs = facts.config.outputs
    image = files(
        IMAGES,
        f"images/*.{ending}",
        "image/png" if ending == "png" else "image/jpeg",
        "The images; their hashes are in SHA256SUMS.",
    )
    found = [
        *(file("coco.json", name, "application/json") for name in (IMAGES_FILE, ANNOTATIONS_FILE)),
        *(file(name, name, kind) for name, kind in _FORMATS.items() if name in hashes),
        {**image, "digitalSourceType": {"@id": source_type(facts)}},
        files("frames", "frames.jsonl", _JSON_LINES, "Every sampled parameter of every frame."),
    ]
    for kind in ("depth", "normals", "instances"):
        if getattr(outputs, kind):
            found.append(files(kind, f"{kind}/*.png", "image/png", "See docs/dataset.md."))
    if outputs.poses:
        found.append(files("poses", "poses.jsonl", _JSON_LINES, "6-D poses and cameras."))
    return found


def _citation(facts: Facts) -> str:
    dataset = facts.config.dataset
    fields = {
        "title": f"{facts.name} {dataset.version}",
        "author": dataset.creator,
        "year": dataset.date[:4],
        "url": dataset.url,
    }
    key = "".join(c for c in facts.name if c.isascii() and c.isalnum()) or "dataset"
    inner = ", ".join(f"{k} = {{{_tame(v)}}}" for k, v in fields.items() if v)
    return f"@misc{{{key}, {inner}}}"


def _tame(text: str) -> str:
    return " ".join(text.replace("\\", " ").replace("{", "(").replace("}", ")").split())
