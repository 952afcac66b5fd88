"""The manifest of shipped assets: where each comes from and under which licence."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from simgen.config import data_folder, parse
from simgen.errors import AssetError, ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file in `assets/`: its path there, licence (SPDX), origin and hash."""

    path: str
    spdx: str
    source: str
    sha256: str


def shipped_assets(folder: Path | None = None) -> dict[str, Asset]:
    """Return the assets of a folder's `manifest.json` (default: our own) by path.

    Raises:
        AssetError: The manifest cannot be read or an entry lacks a field.
    """
    path = (folder or data_folder("assets")) / "manifest.json"
    try:
        entries = json.loads(path.read_text())["assets"]
        assets = [parse(Asset, entry, f"assets[{i}]") for i, entry in enumerate(entries)]
    except (OSError, ValueError, KeyError, TypeError, ConfigError) as error:
        raise AssetError(f"{path}: {error}; each asset needs path, spdx, source, sha256") from None
    return {asset.path: asset for asset in assets}


def assets_of(paths: Iterable[str]) -> list[Asset]:
    """Return the manifest's entries of the assets that a render used, sorted by path.

    Raises:
        AssetError: One of them is not in the manifest, so that its licence is unknown.
    """
    known = shipped_assets()
    used = sorted(set(paths))
    for path in used:
        if path not in known:
            raise AssetError(f"assets/{path}: no licence known; add it to assets/manifest.json")
    return [known[path] for path in used]
