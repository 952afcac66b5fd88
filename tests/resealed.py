"""Datasets changed by someone who knows how: every hash and derived file made right again."""

import hashlib
import json
from pathlib import Path
from typing import Any

from simgen.dataset import finish_dataset
from simgen.dataset.identity import read_config
from simgen.dataset.stored import read_manifest


def reseal(folder: Path) -> None:
    """Write the hashes of all shards' files anew, and all that is derived from the shards."""
    for path in folder.glob("shards/*/manifest.json"):
        manifest = json.loads(path.read_text())
        files = [name for name in manifest["files"] if (path.parent / name).is_file()]
        manifest["files"] = {
            name: hashlib.sha256((path.parent / name).read_bytes()).hexdigest() for name in files
        }
        path.write_text(json.dumps(manifest))
    categories = [(c.name, c.supercategory) for c in read_manifest(folder).categories]
    finish_dataset(read_config(folder), tuple(categories), folder=folder)


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the records of a JSON lines file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_lines(path: Path, records: list[dict[str, Any]]) -> None:
    """Write a JSON lines file."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def respell(record: dict[str, Any], key: str, value: Any) -> None:
    """Set a key of a frame's spec, dotted, and the spec's hash."""
    *groups, last = key.split(".")
    inner = record["spec"]
    for word in groups:
        inner = inner[int(word)] if word.isdigit() else inner[word]
    inner[last] = value
    text = json.dumps(record["spec"], sort_keys=True, separators=(",", ":"))
    record["spec_sha256"] = hashlib.sha256(text.encode()).hexdigest()
