"""The manifest of shipped assets: where each comes from and under which licence."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from simgen.config import data_folder, parse
from simgen.errors import AssetError, ConfigError

# What a user states of a file that is theirs.
OWN_LICENCE = "LicenseRef-Own"
# SPDX identifiers of licences that allow any use of images made with the file.
FREE_LICENCES = frozenset(
    (
        OWN_LICENCE,
        *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "ISC", "MIT"),
        *("CC-BY-2.0", "CC-BY-3.0", "CC-BY-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0", "CC0-1.0"),
        *("CERN-OHL-P-2.0", "CERN-OHL-S-2.0", "CERN-OHL-W-2.0", "PDDL-1.0", "Unlicense"),
        *("GPL-2.0-only", "GPL-2.0-or-later", "GPL-3.0-only", "GPL-3.0-or-later", "MPL-2.0"),
    )
)


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


def assets_of(used: Iterable[str | Mapping[str, Any]]) -> list[Asset]:
    """Return the assets that a render used, sorted by path, each once.

    Args:
        used: Shipped assets by path in `assets/`, and files of the user's as `Asset` fields.

    Raises:
        AssetError: One of them is not in the manifest, so that its licence is unknown.
    """
    known = shipped_assets()
    found = set()
    for entry in used:
        if isinstance(entry, str):
            if entry not in known:
                raise AssetError(
                    f"assets/{entry}: no licence known; add it to assets/manifest.json"
                )
            found.add(known[entry])
        else:
            found.add(parse(Asset, entry, "assets"))
    return sorted(found, key=lambda asset: (asset.path, asset.sha256))


def user_asset(path: str, *, spdx: str, source: str, sha256: str) -> Asset:
    """Return the entry of a file that a config names; what we ship keeps its own licence.

    Args:
        path: As in the config; `assets/...` may be ours.
        spdx: The licence that the config states.
        source: What the file is for.
        sha256: Of what it holds.
    """
    shipped = shipped_assets().get(path.removeprefix("assets/"))
    if path.startswith("assets/") and shipped is not None and shipped.sha256 == sha256:
        return replace(shipped, path=path)
    return Asset(path=path, spdx=spdx, source=source, sha256=sha256)


def require_licences(assets: Iterable[Asset], allowed: Iterable[str]) -> None:
    """Check that all assets may be used for anything, or that their licence is allowed by name.

    Args:
        assets: What a render uses.
        allowed: `dataset.allow_licences` of the config.

    Raises:
        AssetError: A licence is unknown, or forbids commercial use or derived works.
    """
    for asset in assets:
        if asset.spdx in FREE_LICENCES or asset.spdx in allowed:
            continue
        if not asset.spdx:
            raise AssetError(
                f"{asset.path}: has no licence; state its SPDX identifier, {OWN_LICENCE} if"
                " it is yours"
            )
        limited = {"NC", "ND"} & set(asset.spdx.upper().split("-"))
        reason = "limits commercial use or derived works" if limited else "is not one we know"
        raise AssetError(
            f"{asset.path}: licence {asset.spdx!r} {reason}; use another file, or accept it"
            f" by name: dataset.allow_licences=[{asset.spdx}]"
        )
