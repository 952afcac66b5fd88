"""The manifest of shipped assets: where each comes from and under which licence."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from simgen.config import data_folder, parse
from simgen.dataset.licences import OWN_LICENCE, Terms, is_limited, joined, terms_of
from simgen.errors import AssetError, ConfigError

# Where a source file says under which licence it is, by the convention of SPDX.
_STATED = re.compile(r"SPDX-License-Identifier:[ \t]*([^\r\n]{1,200})")
_HEAD = 4_000
_SHOWN = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file in `assets/`: its path there, licence (SPDX expression), origin and hash."""

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
        assets = [_asset(entry, f"assets[{i}]") for i, entry in enumerate(entries)]
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
            found.add(_asset(entry, "assets"))
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


def stated_licence(path: Path) -> str:
    """Return the licence that a source file states in its head, else the user's own.

    Raises:
        AssetError: The file cannot be read.
    """
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            match = _STATED.search(file.read(_HEAD))
    except OSError as error:
        raise AssetError(f"{path}: {error.strerror}; put the file back") from None
    return match.group(1).strip() if match else OWN_LICENCE


def require_licences(assets: Iterable[Asset], allowed: Iterable[str]) -> None:
    """Check that all assets may be used for anything, or that their licence is allowed by name.

    Args:
        assets: What a render uses.
        allowed: `dataset.allow_licences` of the config.

    Raises:
        AssetError: A licence is unknown, or forbids commercial use or derived works.
    """
    for asset, terms in terms_by_asset(assets, allowed):
        if not terms.refused:
            continue
        if not asset.spdx:
            raise AssetError(
                f"{asset.path}: has no licence; state its SPDX identifier, {OWN_LICENCE} if"
                " it is yours"
            )
        name = terms.refused[0][:_SHOWN]
        of = "" if name == asset.spdx[:_SHOWN] else f" (of {asset.spdx[:_SHOWN]!r})"
        reason = (
            "limits commercial use or derived works" if is_limited(name) else "is not one we know"
        )
        raise AssetError(
            f"{asset.path}: licence {name!r}{of} {reason}; use another file, or accept it"
            f" by name: dataset.allow_licences=[{name}]"
        )


def terms_by_asset(assets: Iterable[Asset], allowed: Iterable[str]) -> list[tuple[Asset, Terms]]:
    """Return every asset with what its licence comes to; see `require_licences`."""
    accepted = tuple(allowed)
    return [(asset, terms_of(asset.spdx, accepted)) for asset in assets]


def _asset(entry: Any, key: str) -> Asset:
    if isinstance(entry, Mapping) and "spdx" in entry:
        entry = {**entry, "spdx": joined(entry["spdx"])}
    return parse(Asset, entry, key)
