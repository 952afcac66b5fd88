"""The panoramas that a scene may have around it: checked, and with their licences."""

import re
from typing import Any

from simgen.dataset.assets import Asset, stated_licence, user_asset
from simgen.dataset.licences import OWN_LICENCE
from simgen.errors import AssetError
from simgen.randomize.surround import EnvironmentRanges
from simgen.scene.files import find_file, read_bytes
from simgen.scene.panorama import read_panorama, require_known_format
from simgen.scene.spec import PanoramaSpec

_COPYRIGHT = re.compile(r"SPDX-FileCopyrightText:[ \t]*([^\r\n]{1,200})")


def panorama_assets(ranges: Any) -> tuple[Asset, ...]:
    """Return the panoramas of a family's ranges, `ranges.environment`, each once.

    Raises:
        AssetError: One is missing, is no panorama by its name, has no licence, or has changed
            since the dataset was begun.
    """
    environment = getattr(ranges, "environment", None)
    if not isinstance(environment, EnvironmentRanges):
        return ()
    noted = getattr(ranges, "sha256", {})
    found = []
    for path in sorted(set(environment.images)):
        require_known_format(path)
        _, sha256 = read_bytes(path)
        if noted.get(path, sha256) != sha256:
            raise AssetError(
                f"{path}: has changed since the dataset was begun; put the old one back"
            )
        spdx, source = _licence(path, environment.licence)
        found.append(user_asset(path, spdx=spdx, source=source, sha256=sha256))
    return tuple(found)


def check_panoramas(ranges: Any) -> None:
    """Read every panorama of a family's ranges.

    Raises:
        AssetError: See `read_panorama`.
    """
    for asset in panorama_assets(ranges):
        read_panorama(PanoramaSpec(path=asset.path, sha256=asset.sha256))


def _licence(path: str, otherwise: str) -> tuple[str, str]:
    """Return a file's licence, as stated beside it or in the config, and what it is."""
    source = "surroundings, as the config names them"
    file = find_file(path)
    beside = file.with_name(file.name + ".license")
    if beside.is_file():
        text = read_bytes(str(beside))[0][:4_000].decode(errors="replace")
        if "SPDX-License-Identifier:" not in text:
            raise AssetError(
                f"{path}.license: has no line SPDX-License-Identifier: NAME; add it, or remove"
                " the file and set scene.environment.licence"
            )
        owner = _COPYRIGHT.search(text)
        return stated_licence(beside), source + (f"; {owner.group(1).strip()}" if owner else "")
    if not otherwise.strip():
        raise AssetError(
            f"{path}: has no licence; set scene.environment.licence to its SPDX identifier,"
            f" {OWN_LICENCE} if it is yours, or state it in {path}.license"
        )
    return otherwise, source
