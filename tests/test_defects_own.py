"""A user's own kind of defect: one file and one line, from config to a labelled frame."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import scenes
from simgen.cli.main import main
from simgen.config import compose
from simgen.config.render import RenderConfig, parse_render
from simgen.defects.describe import describe
from simgen.defects.kinds import DEFECTS, DISTRACTORS, KINDS, kind_module
from simgen.defects.surface import build_surfaces
from simgen.errors import AssetError, ConfigError
from simgen.pipeline import scene_check
from simgen.scene.spec import scene_from_json

ROOT = Path(__file__).resolve().parent.parent
# The file that CONTRIBUTING.md shows, as it stands there.
SPATTER = next(
    block.partition("```")[0]
    for block in (ROOT / "CONTRIBUTING.md").read_text().split("```python\n")
    if block.startswith('"""Weld spatter')
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with a kind of the user's."""
    (tmp_path / "defects").mkdir()
    (tmp_path / "defects" / "weld_spatter.py").write_text(SPATTER)
    monkeypatch.chdir(tmp_path)
    yield tmp_path


def config(*overrides: str) -> RenderConfig:
    small = ("image.width=200", "image.height=200", "scene.texel_mm=0.9", "scene.clean_share=0")
    plain = compose("render", [
        "+scene=inspection", "renderer.allow_software=true", "labels.min_contrast=0", *small,
        *overrides,
    ])  # fmt: skip
    return parse_render(plain)


ONLY_SPATTER = ("~scene.defects", "+scene.defects={weld_spatter: {sizes: {diameter_mm: 5}}}")


def test_a_users_kind_is_drawn_and_labelled_and_the_dataset_names_its_file(folder: Path) -> None:
    job = [
        "render", "+scene=inspection", "frames=1", "workers=1", "out=out", *ONLY_SPATTER,
        "image.width=160", "image.height=160", "scene.texel_mm=1.1", "scene.part_count=2",
        "renderer.allow_software=true", "scene.mark_count=0", "scene.clean_share=0",
        "labels.min_contrast=0",
    ]  # fmt: skip
    assert main(job) == 0
    coco = json.loads((folder / "out" / "coco.json").read_text())
    names = {c["id"]: c["name"] for c in coco["categories"]}
    found = [a for a in coco["annotations"] if names[a["category_id"]] == "weld_spatter"]
    assert found and all(a["defect_mm"]["width"] == 5.0 for a in found)
    manifest = json.loads((folder / "out" / "manifest.json").read_text())
    (used,) = manifest["assets"]
    assert used["path"] == "defects/weld_spatter.py"
    (frames,) = (folder / "out" / "shards").rglob("frames.jsonl")
    spec = scene_from_json(json.dumps(json.loads(frames.read_text())["spec"]))
    hashes = {d.file_sha256 for o in spec.objects for d in o.defects}
    assert hashes == {used["sha256"]}
    # With another file it would be another dataset.
    (folder / "defects" / "weld_spatter.py").write_text(
        SPATTER.replace("roughness=0.4,", "roughness=0.5,")
    )
    assert main(job) == 2


def test_a_frame_is_not_drawn_again_with_another_version_of_the_file(folder: Path) -> None:
    from simgen.parts.build import build_mesh
    from simgen.parts.sites import pick_site

    plain = scenes.plate()
    module = kind_module("weld_spatter")
    site = pick_site(np.random.default_rng(1), build_mesh(plain.shape))
    assert site is not None
    damaged = dataclasses.replace(
        plain, defects=(module.sample(np.random.default_rng(2), module.Ranges(), site),)
    )
    build_surfaces(damaged)
    (folder / "defects" / "weld_spatter.py").write_text(
        SPATTER.replace("roughness=0.4,", "roughness=0.5,")
    )
    with pytest.raises(AssetError, match="weld_spatter.py: has changed since this scene was drawn"):
        build_surfaces(damaged)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("weld_spatter", "x = 1\n", "a kind must define Ranges, sample, profile"),
        ("weld_spatter", "x = (\n", "line 1"),
        ("weld_spatter", "import numpy\nnumpy.nothing\n", "line 2: AttributeError"),
        ("weld_spatter", SPATTER.replace('kind="weld_spatter"', 'kind="pit"'), "must draw kind="),
        ("scratch", SPATTER, "'scratch' is a kind of simgen's; give the file another name"),
    ],
)
def test_a_broken_kind_is_named_with_its_file(
    folder: Path, name: str, text: str, message: str
) -> None:
    (folder / "defects" / f"{name}.py").write_text(text)
    with pytest.raises(ConfigError, match=message) as error:
        module = kind_module(name)
        from simgen.parts.build import build_mesh
        from simgen.parts.sites import pick_site

        site = pick_site(np.random.default_rng(1), build_mesh(scenes.plate().shape))
        module.sample(np.random.default_rng(2), module.Ranges(), site)
    assert f"{name}.py" in str(error.value)


def test_an_unknown_kind_suggests_the_users_too(folder: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'weld_spatter'"):
        scene_check(config("+scene.defects={weld_splatter: {}}"))


def test_the_gallery_names_every_kind_and_every_key() -> None:
    text = (ROOT / "docs" / "defects.md").read_text()
    sections = dict(
        section.split("\n", 1) for section in text.split("\n### ")[1:] if "\n" in section
    )
    assert set(sections) == set(KINDS) == set(DEFECTS) | set(DISTRACTORS)
    for kind, section in sections.items():
        picture = ROOT / "docs" / "img" / "defects" / f"{kind}.jpg"
        assert f"(img/defects/{kind}.jpg)" in section and picture.is_file()
        for row in describe(KINDS[kind]).rows:
            assert f"| `{row.key}` | {row.unit} | {row.default} | {row.limits} |" in section
    pictures = list((ROOT / "docs" / "img" / "defects").glob("*.jpg"))
    assert {p.stem for p in pictures} == set(KINDS)
    assert sum(p.stat().st_size for p in pictures) < 1_500_000
