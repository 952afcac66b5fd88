"""Under which licences files may go into a dataset, and what the dataset then says."""

import dataclasses
import json
import shutil

import pytest
import stand_in
from hypothesis import given
from hypothesis import strategies as st
from test_defects_own import ONLY_SPATTER, SPATTER

import scenes
from simgen.dataset import finish_dataset
from simgen.dataset.assets import Asset, assets_of, require_licences, shipped_assets, user_asset
from simgen.dataset.identity import read_config
from simgen.dataset.licences import FREE_LICENCES, terms_of
from simgen.errors import AssetError
from simgen.pipeline import scene_check

NC = "CC-BY-NC-4.0"


@pytest.mark.parametrize(
    ("expression", "allowed", "refused"),
    [
        ("MIT", (), ()),
        ("mit", (), ()),
        ("GPL-2.0", (), ()),
        ("GPL-2.0+", (), ()),
        ("GPL-2.0-only WITH Font-exception-2.0", (), ()),
        (NC, (), (NC,)),
        ("cc-by-nc-4.0", (NC,), ()),
        (f"MIT OR {NC}", (), ()),
        (f"{NC} OR MIT", (), ()),
        (f"MIT AND {NC}", (), (NC,)),
        (f"MIT AND {NC}", (NC,), ()),
        (f"MIT AND {NC}", (f"MIT  and {NC}",), ()),
        (f"(MIT OR {NC}) AND (CC0-1.0 OR Freeware)", (), ()),
        (f"(MIT AND {NC}) OR (CC0-1.0 AND Freeware)", (), ("Freeware",)),
        ("MIT AND Freeware AND LicenseRef-Odd", (), ("Freeware", "LicenseRef-Odd")),
        (f"{NC} WITH Odd-exception", (f"{NC} WITH Odd-exception",), ()),
        ("Ask Bob, really", (), ("Ask Bob, really",)),
        ("Ask Bob, really", ("ask Bob,  really",), ()),
        ("MIT OR", (), ("MIT OR",)),
        ("MIT MIT", (), ("MIT MIT",)),
        ("(MIT", (), ("(MIT",)),
        ("MIT WITH", (), ("MIT WITH",)),
        ("()", (), ("()",)),
        ("", (), ("",)),
        ("  ", (), ("",)),
    ],
)
def test_an_expression_is_free_if_every_way_out_of_it_is(expression, allowed, refused):
    assert terms_of(expression, allowed).refused == refused


@given(st.text(alphabet="MIT ANDORWH()+.-é\n", max_size=200))
def test_whatever_is_written_there_is_an_answer(text):
    terms = terms_of(text)
    if not terms.refused:
        words = text.replace("(", " ").replace(")", " ").split()
        assert {w.upper().rstrip("+") for w in words} & {n.upper() for n in FREE_LICENCES}


def test_brackets_without_end_are_refused_in_time():
    assert terms_of("(" * 100_000 + "MIT" + ")" * 100_000).refused
    assert terms_of(" AND ".join(["MIT"] * 20_000)).refused == ()


def test_of_alternatives_the_lightest_counts():
    terms = terms_of("CC-BY-SA-4.0 OR CC-BY-4.0")
    assert (terms.attribution, terms.share_alike) == (("CC-BY-4.0",), ())
    terms = terms_of("CC-BY-SA-4.0 AND CC-BY-3.0")
    assert terms.attribution == ("CC-BY-SA-4.0", "CC-BY-3.0")
    assert terms.share_alike == ("CC-BY-SA-4.0",)
    assert terms_of(f"{NC} AND MIT", [NC]).by_name == (NC,)


def asset(spdx, path="a.stl"):
    return Asset(path=path, spdx=spdx, source="by Ann | <i>", sha256="0" * 64)


def test_the_message_names_file_licence_and_remedy_in_one_line():
    with pytest.raises(AssetError) as caught:
        require_licences([asset("MIT"), asset(f"MIT AND {NC}", "b.stl")], [])
    assert str(caught.value) == (
        f"b.stl: licence '{NC}' (of 'MIT AND {NC}') limits commercial use or derived works; use"
        f" another file, or accept it by name: dataset.allow_licences=[{NC}]"
    )
    with pytest.raises(AssetError, match="licence 'PolyForm-Noncommercial-1.0.0' limits"):
        require_licences([asset("PolyForm-Noncommercial-1.0.0")], [])
    with pytest.raises(AssetError, match=r"licence 'X{80}' \(of 'Y AND X+'\) is not") as caught:
        require_licences([asset("Y AND " + "X" * 5000)], ["Y"])
    assert len(str(caught.value)) < 500


def test_a_list_of_licences_holds_all_at_once(tmp_path):
    entry = {"path": "a.png", "source": "ours", "sha256": "0", "spdx": ["MIT", f"CC0-1.0 OR {NC}"]}
    (tmp_path / "manifest.json").write_text(json.dumps({"assets": [entry]}))
    (found,) = shipped_assets(tmp_path).values()
    assert found.spdx == f"MIT AND (CC0-1.0 OR {NC})"
    require_licences([found], [])
    (found,) = assets_of([{**entry, "spdx": ["MIT", NC]}])
    with pytest.raises(AssetError, match=f"licence '{NC}'"):
        require_licences([found], [])
    for wrong in ([1], {"a": 1}, None):
        (tmp_path / "manifest.json").write_text(json.dumps({"assets": [{**entry, "spdx": wrong}]}))
        with pytest.raises(AssetError, match=r"assets\[0\].spdx: expected a text"):
            shipped_assets(tmp_path)
    assert user_asset("x.stl", spdx="MIT", source="s", sha256="0").spdx == "MIT"


@pytest.mark.parametrize(
    ("head", "allowed", "message"),
    [
        ("", "", None),
        ("# SPDX-License-Identifier: Apache-2.0\n", "", None),
        (
            f"# SPDX-License-Identifier: {NC}\n",
            "",
            f"defects/weld_spatter.py: licence '{NC}' limits",
        ),
        (f"# SPDX-License-Identifier: {NC}\n", NC, None),
    ],
)
def test_a_users_kind_is_under_the_licence_that_its_file_states(
    tmp_path, monkeypatch, head, allowed, message
):
    (tmp_path / "defects").mkdir()
    (tmp_path / "defects/weld_spatter.py").write_text(head + SPATTER)
    monkeypatch.chdir(tmp_path)
    config = scenes.config("inspection", f"dataset.allow_licences=[{allowed}]", *ONLY_SPATTER)
    if message is None:
        scene_check(config)
        return
    with pytest.raises(AssetError, match=message):
        scene_check(config)


def test_the_card_carries_every_licence_and_what_it_asks_for(flat_dataset, tmp_path):
    out = shutil.copytree(flat_dataset, tmp_path / "d")
    used = [
        dataclasses.asdict(asset(spdx, path))
        for path, spdx in (
            ("by.stl", "CC-BY-4.0"), ("sa.stl", "CC-BY-SA-4.0 AND MIT"), ("nc.stl", NC),
            ("odd.stl", "Ask Bob"), ("own.stl", "LicenseRef-Own"),
        )
    ]  # fmt: skip
    for path in out.glob("shards/*/manifest.json"):
        manifest = json.loads(path.read_text())
        manifest["made_with"]["renderer"]["assets"] = used
        path.write_text(json.dumps(manifest))
    config = read_config(out)
    words = dataclasses.replace(config.dataset, allow_licences=(NC, "Ask Bob"))
    manifest = finish_dataset(
        dataclasses.replace(config, dataset=words), stand_in.CATEGORIES, folder=out
    )
    assert [entry["spdx"] for entry in manifest["assets"]] == [
        "CC-BY-4.0", NC, "Ask Bob", "LicenseRef-Own", "CC-BY-SA-4.0 AND MIT",
    ]  # fmt: skip
    card = (out / "card.md").read_text()
    zeros = "0" * 64
    assert f"| `own.stl` | LicenseRef-Own | by Ann \\| \\<i\\> | `{zeros}` |" in card
    assert "* by.stl: by Ann \\| \\<i\\>, CC-BY-4.0; name its author." in card
    assert "* sa.stl is under CC-BY-SA-4.0: works derived from it are to be shared alike" in card
    assert f"* Not for what {NC} forbids: nc.stl is under that licence, which limits" in card
    assert "* Not for what Ask Bob forbids: odd.stl is under that licence, which is not kn" in card
    page = json.loads((out / "croissant.json").read_text())
    sources = {entry["prov:label"]: entry for entry in page["prov:wasDerivedFrom"]}
    assert sources["by.stl"]["license"] == "https://spdx.org/licenses/CC-BY-4.0"
    assert sources["sa.stl"]["license"] == "CC-BY-SA-4.0 AND MIT"
    assert {entry["sha256"] for entry in sources.values()} == {zeros}
    assert "by Ann" in page["creditText"]
