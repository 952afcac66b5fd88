"""`croissant.json`, read by mlcroissant, the format's reference reader."""

import json
import shutil
from io import BytesIO

import pytest
import stand_in
from PIL import Image, ImageChops

from simgen.dataset import finish_dataset
from simgen.dataset.check import check_dataset
from simgen.execute.render import render_dataset

mlcroissant = pytest.importorskip("mlcroissant", reason="extra `dev`")
# Of rdflib, which mlcroissant uses.
pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")
SAID = {
    "name": "flat", "version": "2.1.0", "date": "2026-03-04", "creator": "A & B {Ltd}",
    "url": "https://example.org/flat", "not_for": ["Anything <b>else</b>"],
    "bottleneck": {"slice": "crack", "reason": "4 real parts"},
}  # fmt: skip
VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"


def render(out, **keys):
    keys = {"frames": 5, "shard_size": 3, "dataset": SAID, **keys}
    render_dataset(stand_in.config(out, **keys), stand_in.CATEGORIES, renderer="stand_in:StandIn")
    return out


def described_anew(folder, out, **keys):
    """Copy a dataset and finish it again with other keys, nothing rendered."""
    shutil.copytree(folder, out)
    config = stand_in.config(out, **{"frames": 5, "shard_size": 3, "dataset": SAID, **keys})
    finish_dataset(config, stand_in.CATEGORIES)
    return out


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    return render(tmp_path_factory.mktemp("croissant") / "dataset")


def load(folder, caplog):
    """Read a dataset; return it and everything that mlcroissant had to say against it."""
    with caplog.at_level("WARNING"):
        dataset = mlcroissant.Dataset(folder / "croissant.json")
    issues = dataset.metadata.ctx.issues
    return dataset, [*issues.errors, *issues.warnings, *(r.getMessage() for r in caplog.records)]


def text(value):
    """Undo what mlcroissant does to texts: bytes, and names with their record set before them."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, dict):
        return {key.rpartition("/")[2]: text(inner) for key, inner in value.items()}
    return [text(v) for v in value] if isinstance(value, list) else value


def rows(dataset, name):
    return [text(row) for row in dataset.records(name)]


def without_nothing(row):
    """A record as COCO has it: without fields that it has no value for."""
    kept = {k: without_nothing(v) if isinstance(v, dict) else v for k, v in row.items()}
    return {k: v for k, v in kept.items() if v is not None and v != {}}


def test_it_is_valid_without_a_warning_and_its_records_are_those_of_coco(described, caplog):
    dataset, said = load(described, caplog)
    assert said == []
    coco = json.loads((described / "coco.json").read_text())
    assert rows(dataset, "images") == coco["images"]
    assert rows(dataset, "categories") == coco["categories"]
    labels = [without_nothing(row) for row in rows(dataset, "annotations")]
    assert labels == coco["annotations"]
    assert {"contrast", "defect_mm", "missing_material"} <= labels[-1].keys() | labels[1].keys()
    files = [(r["image_files/path"].decode(), r["image_files/image"])
             for r in dataset.records("image_files")]  # fmt: skip
    assert [path for path, _ in files] == [image["file_name"] for image in coco["images"]]
    for path, image in files:
        with Image.open(described / path) as stored:
            assert ImageChops.difference(image, stored.convert("RGB")).getbbox() is None
    sums = {row["path"]: row["sha256"] for row in rows(dataset, "files")}
    for folder in (described / "shards").iterdir():
        listed = json.loads((folder / "manifest.json").read_text())["files"]
        for name, sha256 in listed.items():
            assert sums[f"shards/{folder.name}/{name}"] == sha256


def test_polygons_and_jpeg_are_read_back_too(tmp_path, caplog):
    out = render(tmp_path / "d", labels={"polygons": True}, image={"format": "jpg"})
    dataset, said = load(out, caplog)
    assert said == []
    coco = json.loads((out / "coco.json").read_text())
    assert [without_nothing(r) for r in rows(dataset, "annotations")] == coco["annotations"]
    assert len(rows(dataset, "image_files")) == 5


def test_optional_outputs_are_file_sets(inspection_dataset, caplog):
    dataset, said = load(inspection_dataset, caplog)
    assert [line for line in said if "datePublished" not in line] == []
    sets = {node.id: node.includes for node in dataset.metadata.file_sets}
    assert sets.keys() == {"image-files", "frames", "depth", "normals", "instances", "poses"}
    for identity, includes in sets.items():
        found = [p for pattern in includes for p in inspection_dataset.glob(pattern)]
        assert len(found) == (1 if identity in ("frames", "poses") else 2)
    coco = json.loads((inspection_dataset / "coco.json").read_text())
    assert [without_nothing(r) for r in rows(dataset, "annotations")] == coco["annotations"]


def test_it_says_where_the_images_come_from_and_what_they_are_for(described):
    page = json.loads((described / "croissant.json").read_text())
    manifest = json.loads((described / "manifest.json").read_text())
    assert page["conformsTo"][0] == "http://mlcommons.org/croissant/1.1"
    assert page["digitalSourceType"] == {"@id": f"{VOCABULARY}algorithmicMedia"}
    assert (page["version"], page["datePublished"], page["isLiveDataset"]) == (
        "2.1.0", "2026-03-04", False,
    )  # fmt: skip
    assert page["license"] == "https://spdx.org/licenses/CC0-1.0"
    assert page["creator"] == {"@type": "sc:Organization", "name": "A & B {Ltd}"}
    assert page["citeAs"] == (
        "@misc{flat, title = {flat 2.1.0}, author = {A & B (Ltd)}, year = {2026},"
        " url = {https://example.org/flat}}"
    )
    made = page["prov:wasGeneratedBy"]
    assert made["prov:used"]["sha256"] == manifest["config_sha256"]
    agent = made["prov:wasAssociatedWith"][0]
    assert agent["@type"] == "prov:SoftwareAgent" and "renderer stand-in" in agent["description"]
    assert "prov:wasDerivedFrom" not in page
    assert page["rai:dataUseCases"][1] == "Made for the bottleneck crack: 4 real parts."
    assert any(line.startswith("Not a holdout") for line in page["rai:dataLimitations"])
    assert "Anything <b>else</b>" in page["rai:dataLimitations"]


def test_without_a_date_the_one_complaint_is_about_the_date(described, tmp_path, caplog):
    out = described_anew(described, tmp_path / "d", dataset={"name": "flat"})
    _, said = load(out, caplog)
    assert "datePublished" not in json.loads((out / "croissant.json").read_text())
    assert [line for line in said if "datePublished" in line]
    assert [line for line in said if "datePublished" not in line] == []


def test_photographs_in_a_scene_are_a_composite(described, tmp_path):
    said = {"name": "flat", "digital_source_type": "compositeSynthetic"}
    out = described_anew(described, tmp_path / "d", dataset=said)
    page = json.loads((out / "croissant.json").read_text())
    assert page["digitalSourceType"] == {"@id": f"{VOCABULARY}compositeSynthetic"}
    assert "rai:personalSensitiveInformation" not in page
    assert "photographs went into its scenes" in (out / "card.md").read_text()


def test_its_bytes_depend_neither_on_workers_nor_on_the_place(described, tmp_path):
    again = render(tmp_path / "elsewhere", workers=2)
    for name in ("croissant.json", "SHA256SUMS", "card.md"):
        assert (again / name).read_bytes() == (described / name).read_bytes()


def test_mlcroissant_refuses_a_coco_file_that_was_changed(described, tmp_path, caplog):
    copy = shutil.copytree(described, tmp_path / "copy")
    (copy / "coco.json").write_bytes((copy / "coco.json").read_bytes() + b"\n")
    dataset, _ = load(copy, caplog)
    with pytest.raises(Exception, match="Download") as caught:
        rows(dataset, "images")
    assert "is not identical with the reference" in str(caught.value.__cause__)


@pytest.mark.parametrize(
    ("change", "kind", "where"),
    [
        (lambda p: p["distribution"][2].update(sha256="0" * 64),
         "croissant.json gives a file another hash", "'card.md'"),
        (lambda p: p["distribution"][2].update(contentUrl="../x"),
         "croissant.json gives a file another hash", "'../x'"),
        (lambda p: p.update(distribution=3), "croissant.json is not as documented", "distribution"),
        (lambda p: p.update(distribution=[3]), "croissant.json is not as documented",
         "distribution"),
    ],
)  # fmt: skip
def test_check_compares_its_hashes_with_the_files(described, tmp_path, change, kind, where):
    copy = shutil.copytree(described, tmp_path / "copy")
    assert check_dataset(copy).faults == ()
    path = copy / "croissant.json"
    page = json.loads(path.read_text())
    change(page)
    path.write_text(json.dumps(page))
    found = {fault.kind: fault.where for fault in check_dataset(copy).faults}
    assert found[kind] == where
    assert found["file differs from its hash"] == "croissant.json"


def test_a_hash_that_is_none_does_not_get_into_the_list(described, tmp_path):
    copy = shutil.copytree(described, tmp_path / "copy")
    path = copy / "shards/00000/manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"]["frames.jsonl"] = f"{'0' * 64}  x\n{'1' * 64}"
    path.write_text(json.dumps(manifest))
    config = stand_in.config(copy, frames=5, shard_size=3, dataset=SAID)
    with pytest.raises(Exception, match="frames.jsonl: has no hash in its shard's manifest"):
        finish_dataset(config, stand_in.CATEGORIES)
    assert BytesIO((copy / "SHA256SUMS").read_bytes()).readline().endswith(b"  card.md\n")
