"""`card.md`: what a stranger must know of a dataset, and of the version before it."""

import dataclasses
import json
import os
import re
import shutil
import subprocess

import pytest
import stand_in
from hypothesis import given
from hypothesis import strategies as st

from simgen.cli.main import main
from simgen.config import compose
from simgen.config.render import parse_render
from simgen.dataset import finish_dataset, prepare_dataset
from simgen.dataset.check import check_dataset
from simgen.dataset.identity import config_sha256, read_config, write_config
from simgen.dataset.markdown import bullets, code, plain, table
from simgen.dataset.shards import read_shards
from simgen.errors import ConfigError, printable

OTHER_DATASET = {"name": "flat", "version": "2.0.0"}


def finished(folder, out, **dataset):
    """Copy a dataset and finish it again with other words about it, nothing rendered."""
    shutil.copytree(folder, out)
    config = config_of(out, **dataset)
    finish_dataset(config, stand_in.CATEGORIES)
    return (out / "card.md").read_text()


def config_of(out, **dataset):
    plain_config = {"scene": {"name": "flat"}, "out": str(out), "dataset": {"name": "flat"}}
    words = parse_render({**plain_config, "dataset": {"name": "flat", **dataset}}).dataset
    return dataclasses.replace(read_config(out), out=str(out), dataset=words)


def section(card, title):
    return re.search(rf"^## {re.escape(title)}.*?(?=^## |\Z)", card, re.M | re.S).group(0)


def test_a_card_says_what_for_what_not_how_many_and_where_from(flat_dataset, tmp_path):
    card = finished(
        flat_dataset, tmp_path / "d", version="1.2.0", purpose="Find pits on discs.",
        bottleneck={"slice": "crack", "reason": "4 real parts"},
        not_for=["Discs of titanium."], creator="Acme", date="2026-03-04",
    )  # fmt: skip
    head = card.partition("\n## ")[0]
    coco = json.loads((tmp_path / "d/coco.json").read_text())
    defects = [a for a in coco["annotations"] if a["category_id"] > 2]
    clean = len(coco["images"]) - len({a["image_id"] for a in defects})
    assert head.startswith("# flat 1.2.0\n\nFind pits on discs.\n")
    assert "**Bottleneck** it is made for: crack: 4 real parts." in head
    assert (
        f"7 computer-generated images of 4 scenes, at most 64 x 48 pixels, with masks and boxes of"
        f" 7 parts and {len(defects)} defects; {clean} images show no defect." in head
    )
    assert "**Licence** of images and labels: CC0-1.0." in head
    assert "[algorithmicMedia](http://cv.iptc.org/newscodes/digitalsourcetype/algorithm" in head
    assert "**Generations from a camera**: None of its pixels come from a camera" in head
    uses = section(card, "Must not be used")
    assert "* Not a holdout: it cannot measure" in uses and "* Discs of titanium.\n" in uses
    assert "parts (disc, plate) and defects (scratch, pit) of scene flat" in uses
    assert "| pit | defect | 4 | 3 |" in section(card, "Labels")
    assert "3 faint defects (pit 3) fell below labels.min_contrast = 1" in card
    assert "## Changed since" not in card
    # The rest of what a manifest holds for programs.
    manifest = json.loads((tmp_path / "d/manifest.json").read_text())
    counted = {name: 0 for name, _ in stand_in.CATEGORIES}
    for annotation in coco["annotations"]:
        counted[stand_in.CATEGORIES[annotation["category_id"] - 1][0]] += 1
    assert (manifest["version"], manifest["instances"]) == ("1.2.0", counted)


def test_the_command_on_the_card_makes_the_same_dataset(tmp_path):
    config = parse_render(
        compose("render", ["+scene=inspection", "seed=7", "scene.part_count=2", "frames=3"])
    )
    write_config(config, tmp_path)
    prepare_dataset(dataclasses.replace(config, out=str(tmp_path)), (("flange", "part"),))
    (tmp_path / "again").mkdir()
    shutil.copy(tmp_path / "config.yaml", tmp_path / "again/render.yaml")
    words = ["out=again/dataset", "dataset.parent="]
    again = parse_render(compose("render", words, tmp_path / "again"))
    assert config_sha256(again) == config_sha256(config)
    assert (again.out, again.frames, again.dataset.parent) == ("again/dataset", 3, "")


def test_the_card_gives_that_command_and_the_sums_verify(flat_dataset):
    again = section((flat_dataset / "card.md").read_text(), "Make it again")
    assert "mkdir again && cp config.yaml again/render.yaml\n" in again
    assert "python -m simgen render --config-dir again out=again/dataset\n" in again
    subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=flat_dataset, check=True
    )
    listed = {
        line.split("  ")[1] for line in (flat_dataset / "SHA256SUMS").read_text().split("\n")[:-1]
    }
    held = {p.relative_to(flat_dataset).as_posix() for p in flat_dataset.rglob("*") if p.is_file()}
    assert held - listed == {"config.yaml", "manifest.json", "SHA256SUMS", "croissant.json"}


def test_a_child_says_what_changed_since_its_parent(flat_dataset, tmp_path):
    first = shutil.copytree(flat_dataset, tmp_path / "first")
    second = shutil.copytree(flat_dataset, tmp_path / "second")
    manifest = json.loads((first / "manifest.json").read_text())
    manifest["config"]["labels"]["min_contrast"] = 3.5
    manifest["config"]["scene"]["angle | <b>"] = "x"
    manifest["instances"]["pit"] = 11
    manifest["frames"] = 5
    manifest["assets"] = [{"path": "old.stl", "spdx": "MIT", "source": "s", "sha256": "a" * 64}]
    manifest["made_with"][0]["versions"]["simgen"] = "0.0.1"
    manifest["name"] = "flat [before](http://evil)"
    (first / "manifest.json").write_text(json.dumps(manifest))
    config = config_of(second, parent=str(first), version="1.0.1")
    prepare_dataset(config, stand_in.CATEGORIES)
    finish_dataset(config, stand_in.CATEGORIES)
    card = (second / "card.md").read_text()
    since = section(card, "Changed since")
    assert since.startswith(r"## Changed since flat \[before\](http://evil) 1.0.0")
    for line in (
        "* Frames: 5 → 7",
        "* Labels: pit: 11 → 4",
        r"* Config: labels.min_contrast: 3.5 → 1.0; scene.angle \| \<b\>: x → (not set)",
        f"* Assets: old.stl: {'a' * 12}, MIT → (not set)",
        "* Categories: the same",
    ):
        assert line in since.split("\n")
    assert "* Driver and versions: versions.simgen: 0.0.1 → " in since
    assert str(tmp_path) not in card
    page = json.loads((second / "croissant.json").read_text())
    (parent,) = page["prov:wasDerivedFrom"]
    written = json.loads((second / "manifest.json").read_text())["parent"]
    assert parent["sha256"] == written["manifest_sha256"]
    assert parent["prov:label"] == "flat [before](http://evil) 1.0.0"
    assert check_dataset(second).faults == ()


def test_an_older_parent_that_does_not_count_its_labels_is_no_obstacle(flat_dataset, tmp_path):
    first = shutil.copytree(flat_dataset, tmp_path / "first")
    manifest = json.loads((first / "manifest.json").read_text())
    for key in ("instances", "version"):
        del manifest[key]
    (first / "manifest.json").write_text(json.dumps(manifest))
    card = finished(flat_dataset, tmp_path / "d", parent=str(first))
    assert "* Labels: the parent's manifest does not count them" in section(card, "Changed since")


def empty(folder):
    return folder / "none"


def itself(folder):
    return folder / "d"


def broken(folder):
    (folder / "broken").mkdir()
    (folder / "broken/manifest.json").write_text("{")
    return folder / "broken"


def piped(folder):
    (folder / "piped").mkdir()
    os.mkfifo(folder / "piped/manifest.json")
    return folder / "piped"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (empty, "dataset.parent: .*none holds no finished dataset; name a folder or URL"),
        (itself, "dataset.parent: .* is this dataset's own out; write the new version to another"),
        (broken, "dataset.parent: Expecting property name"),
        (piped, "dataset.parent: .*manifest.json: is no ordinary file"),
    ],
)
def test_a_parent_that_is_none_is_refused_before_anything_is_written(tmp_path, make, message):
    out = tmp_path / "d"
    config = stand_in.config(out, dataset={"name": "flat", "parent": str(make(tmp_path))})
    with pytest.raises(ConfigError, match=message) as caught:
        prepare_dataset(config, stand_in.CATEGORIES)
    assert "\n" not in str(caught.value)
    assert not out.exists()


def test_a_child_must_bear_another_version_than_its_parent(flat_dataset, tmp_path):
    config = stand_in.config(tmp_path / "d", dataset={"name": "flat", "parent": str(flat_dataset)})
    with pytest.raises(ConfigError, match="dataset.version: 1.0.0 is that of dataset.parent alr"):
        prepare_dataset(config, stand_in.CATEGORIES)


def test_a_parent_may_lie_behind_a_url(flat_dataset, tmp_path):
    fsspec = pytest.importorskip("fsspec", reason="extra `cluster`")
    store = fsspec.filesystem("memory")
    store.pipe("/parent/manifest.json", (flat_dataset / "manifest.json").read_bytes())
    try:
        card = finished(flat_dataset, tmp_path / "d", parent="memory://parent", version="1.1.0")
        assert "* Config: the same" in section(card, "Changed since flat 1.0.0")
        config = stand_in.config(tmp_path / "e", dataset={"parent": "memory://nobody"})
        with pytest.raises(ConfigError, match="dataset.parent: memory://nobody holds no finished"):
            prepare_dataset(config, stand_in.CATEGORIES)
    finally:
        store.rm("/parent", recursive=True)


def test_other_words_on_the_card_are_no_other_dataset(flat_dataset, tmp_path):
    out = shutil.copytree(flat_dataset, tmp_path / "d")
    before = [shard.range for shard in read_shards(out)]
    words = {
        "name": "other", "licence": "CC-BY-4.0", "version": "3.0.0", "purpose": "p", "url":
        "https://a.b", "bottleneck": {"slice": "s"}, "not_for": ["x"], "date": "2026-01-01",
        "creator": "c", "digital_source_type": "compositeSynthetic", "allow_licences": ["X"],
        "parent": str(flat_dataset),
    }  # fmt: skip
    config = config_of(out, **words)
    assert config_sha256(config) == config_sha256(read_config(flat_dataset))
    assert prepare_dataset(config, stand_in.CATEGORIES) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("dataset.version=1.0", "dataset.version: expected a text"),
        ("dataset.version=v1", "dataset.version: 'v1' is not MAJOR.MINOR.PATCH"),
        ("dataset.version=01.0.0", "dataset.version: '01.0.0' is not MAJOR.MINOR.PATCH"),
        ("dataset.date=2026-02-30", "dataset.date: '2026-02-30' is no date; write YYYY-MM-DD"),
        ("dataset.date=20260203", "dataset.date: expected a text"),
        ("dataset.url='javascript:x'", "dataset.url: 'javascript:x' is no web address"),
        ("dataset.digital_source_type=digitalCapture", "digital_source_type: 'digitalCapture'"),
        ("dataset.bottleneck.slise=x", "dataset.bottleneck.slise: unknown key; did you mean"),
    ],
)
def test_a_wrong_word_is_one_line_before_any_frame(words, message, tmp_path, capsys):
    assert main(["render", "+scene=inspection", f"out={tmp_path / 'd'}", words]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "d").exists()


ASCII = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
HOSTILE = st.sampled_from(
    ["<script>alert(1)</script>", "[x](javascript:y)", "![i](u)", "`a", "a|b", "# h", "- l", "1. x",
     "1) x", "***", "---", "===", "~~~", "```\ncode", "\n\n# h", "&amp;", "<!--", "a\\", "$x$",
     "_em_", "__s__", "> q", "+ p", ":--", "x\x1b[2J", "\u202eevil", "\u2028", "\ud800", "a_b_c"]
)  # fmt: skip
PLAIN = {"text", "inline", "paragraph_open", "paragraph_close", "list_item_open"} | {
    f"{kind}_{end}"
    for kind in ("table", "thead", "tbody", "tr", "th", "td", "bullet_list", "list_item")
    for end in ("open", "close")
}


@given(st.lists(ASCII | HOSTILE, min_size=1, max_size=3).map(" ".join))
def test_texts_stay_texts_wherever_they_stand(text):
    markdown_it = pytest.importorskip("markdown_it", reason="extra `dev`")
    shown = printable(" ".join(text.split()))
    parser = markdown_it.MarkdownIt("commonmark").enable(["table", "strikethrough"])
    page = f"{bullets([plain(text)])}\n\n{table(('k',), [(plain(text),)])}\n"
    tokens = parser.parse(page)
    assert {t.type for t in tokens} <= PLAIN
    inline = [t for t in tokens if t.type == "inline"]
    kinds = {child.type for t in inline for child in t.children}
    assert kinds <= {"text", "text_special"}
    found = ["".join(child.content for child in t.children) for t in inline]
    assert found == [shown, "k", shown] if shown else found == ["k", ""]


@given(ASCII | HOSTILE)
def test_names_are_code_only_if_nothing_in_them_ends_it(text):
    line = " ".join(text.split())
    found = code(text)
    if found.startswith("`"):
        assert found == f"`{line}`" and not set(line) & set("`|<>[]\\")
    else:
        assert found == plain(text)
