"""Where an export comes from, said in every one of them."""

import json
from pathlib import Path
from typing import Any

import simgen
from simgen.dataset.files import sha256_of
from simgen.errors import DatasetError
from simgen.export.source import Source
from simgen.export.split import Split


def provenance(source: Source) -> dict[str, Any]:
    """Return what a single file of an export says of its dataset."""
    manifest = source.manifest
    return {
        "dataset": manifest.name,
        "config_sha256": manifest.config_sha256,
        "licence": manifest.licence,
        "made_by": f"simgen {simgen.__version__}",
        "synthetic": True,
    }


def one_line(source: Source) -> str:
    """Return `provenance` as a comment's text."""
    p = provenance(source)
    return (
        f"simulated by {p['made_by']}, dataset {_plain(p['dataset'])},"
        f" licence {_plain(p['licence'])}, config sha256 {_plain(p['config_sha256'])}"
    )


def write_note(
    folder: Path, source: Source, format_name: str, split: Split, facts: dict[str, Any]
) -> None:
    """Write `export.json`: the dataset, its versions and assets, and what was written."""
    manifest = source.manifest
    record = {
        **provenance(source),
        "format": format_name,
        "scene": manifest.scene,
        "seed": manifest.seed,
        "frames": manifest.frames,
        "purpose": manifest.purpose,
        "manifest_sha256": sha256_of(source.folder / "manifest.json"),
        "split": split.record(),
        "facts": facts,
        "made_with": list(manifest.made_with),
        "assets": list(manifest.assets),
        "erased": manifest.erased,
    }
    write_json(folder / "export.json", record)


def write_json(path: Path, value: Any) -> None:
    """Write a small JSON file, a key a line.

    Raises:
        DatasetError: The dataset's manifest holds a number without end.
    """
    try:
        text = json.dumps(value, indent=1, allow_nan=False)
    except ValueError:
        raise DatasetError(
            "manifest.json: holds a number without end; run simgen check on the dataset"
        ) from None
    path.write_text(text + "\n")


def _plain(text: str) -> str:
    """Return a name on one line, with nothing that ends a comment."""
    return "".join(c if c.isprintable() and c.isascii() else "?" for c in text)[:200]
