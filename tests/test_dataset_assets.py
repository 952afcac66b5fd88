import hashlib
import json

import pytest

from simgen.config import data_folder
from simgen.dataset.assets import assets_of, shipped_assets
from simgen.errors import AssetError


def test_every_shipped_asset_is_in_the_manifest_with_its_hash():
    folder = data_folder("assets")
    files = {str(p.relative_to(folder)): p for p in folder.rglob("*") if p.is_file()}
    del files["manifest.json"]
    found = {name: hashlib.sha256(p.read_bytes()).hexdigest() for name, p in files.items()}
    assert found == {name: asset.sha256 for name, asset in shipped_assets().items()}


def test_an_asset_without_a_known_licence_stops_the_dataset():
    with pytest.raises(AssetError, match="assets/logo.png: no licence known; add it"):
        assets_of(["logo.png"])


def test_an_entry_without_a_licence_is_named(tmp_path):
    entry = {"path": "a.png", "source": "ours", "sha256": "0"}
    (tmp_path / "manifest.json").write_text(json.dumps({"assets": [entry]}))
    with pytest.raises(AssetError, match=r"assets\[0\].spdx: required key is missing"):
        shipped_assets(tmp_path)
