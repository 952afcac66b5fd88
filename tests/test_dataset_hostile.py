"""A dataset from a stranger: nothing outside it is read or written, and one message names it."""

import ast
import dataclasses
import json
import os
import pickle
import shutil
import struct
import zlib
from pathlib import Path

import pytest
import resealed
import stand_in
from watched import watched

from simgen.cli.main import main
from simgen.dataset import write_contact_sheet
from simgen.dataset.identity import read_config
from simgen.errors import SimgenError
from simgen.execute.render import render_dataset

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def place(flat_dataset, tmp_path):
    """A dataset in a folder of its own, and secrets beside it."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret.png").write_bytes(
        (flat_dataset / "shards/00000/images/00000000.png").read_bytes()
    )
    shutil.copytree(flat_dataset / "shards/00000", tmp_path / "outside/shard")
    (tmp_path / "outside/secret.json").write_text((flat_dataset / "manifest.json").read_text())
    return shutil.copytree(flat_dataset, tmp_path / "dataset")


def edit(path, change):
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def top(change):
    return lambda d: edit(d / "manifest.json", change)


def coco(change):
    return lambda d: edit(d / "coco.json", change)


def shard(change):
    return lambda d: edit(d / "shards/00000/manifest.json", change)


def frame(**values):
    def change(d):
        path = d / "shards/00000/frames.jsonl"
        records = resealed.lines(path)
        records[0].update(values)
        resealed.write_lines(path, records)

    return change


def label(change):
    def both(d):
        path = d / "shards/00000/annotations.jsonl"
        records = resealed.lines(path)
        change(records[0])
        resealed.write_lines(path, records)
        coco(lambda c: change(c["annotations"][0]))(d)

    return both


def link(name, target):
    def change(d):
        path = d / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        path.symlink_to(d.parent / "outside" / target)

    return change


def pipe(name):
    def change(d):
        (d / name).unlink()
        os.mkfifo(d / name)

    return change


def text(name, content):
    return lambda d: (d / name).write_bytes(content)


class Payload:
    def __reduce__(self):
        return os.mkdir, ("/tmp/simgen-was-unpickled",)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


# 60000 x 60000 pixels in a hundred bytes.
BOMB = (
    b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    + chunk(b"IDAT", zlib.compress(b"\0" * 100))
    + chunk(b"IEND", b"")
)
IMAGE = "shards/00000/images/00000000.png"
OUT = "../outside/secret.png"
HUGE = 10**18

# What is wrong, and what of it the message (on either stream) must name.
HOSTILE = {
    "file name in coco leads out": (
        coco(lambda c: c["images"][0].update(file_name=OUT)), OUT),
    "file name in coco is absolute": (
        coco(lambda c: c["images"][0].update(file_name="/etc/hostname")), "/etc/hostname"),
    "file name in coco is no text": (
        coco(lambda c: c["images"][0].update(file_name={"a": 1})), "record in images"),
    "file name in coco steers the terminal": (
        coco(lambda c: c["images"][0].update(file_name="\x1b[2Jx.png")), "\\x1b[2Jx.png"),
    "file name in a shard leads out": (
        shard(lambda m: m["files"].update({"../../../outside/secret.png": "0" * 64})),
        "../../../outside/secret.png"),
    "file name in a shard is absolute": (
        shard(lambda m: m["files"].update({"/etc/hostname": "0" * 64})), "/etc/hostname"),
    "file name of a frame leads out": (frame(file_name=f"../../{OUT}"), "frame"),
    "derived file leads out": (
        top(lambda m: m["files"].update({"../outside/secret.json": "0" * 64})),
        "../outside/secret.json"),
    "shard is a link": (link("shards/00000", "shard"), "shards/00000"),
    "all shards are a link": (link("shards", "."), "shards"),
    "image is a link": (link(IMAGE, "secret.png"), "00000000.png"),
    "records are a link": (link("shards/00000/frames.jsonl", "shard/frames.jsonl"), "frames.jsonl"),
    "manifest is a link": (link("manifest.json", "secret.json"), "manifest.json"),
    "coco is a link": (link("coco.json", "secret.json"), "coco.json"),
    "records are a pipe": (pipe("shards/00000/frames.jsonl"), "frames.jsonl"),
    "manifest is a pipe": (pipe("manifest.json"), "manifest.json"),
    "coco is a pipe": (pipe("coco.json"), "coco.json"),
    "frames without end": (top(lambda m: m.update(frames=HUGE)), "frames: 1e+18 is too large"),
    "frames below none": (top(lambda m: m.update(frames=-1)), "frames: -1 is too small"),
    "shard without end": (shard(lambda m: m.update(stop=HUGE)), "stop: 1e+18 is too large"),
    "shard of no frame": (shard(lambda m: m.update(stop=0)), "stop: 0 is too small"),
    "image of a thousand million pixels a side": (
        coco(lambda c: c["images"][0].update(width=10**9)), "record in images"),
    "image that unpacks to gigabytes": (text(IMAGE, BOMB), "frame 0"),
    "mask of a size without end": (
        label(lambda a: a["segmentation"].update(size=[10**9, 10**9])), "annotation 1"),
    "mask with more runs than pixels": (
        label(lambda a: a["segmentation"].update(counts="0" * 5000)), "annotation 1"),
    "mask with runs without end": (
        label(lambda a: a["segmentation"].update(counts=[10**12, 5])), "annotation 1"),
    "mask with negative runs": (
        label(lambda a: a["segmentation"].update(counts=[-5, 3077])), "annotation 1"),
    "polygon across the sky": (
        label(lambda a: a.update(segmentation=[[0, 0, 1e12, 0, 5, 5]])), "annotation 1"),
    "label id without end": (
        coco(lambda c: c["annotations"][0].update(id=10**30)), "record in annotations"),
    "NaN in coco": (
        lambda d: text("coco.json", (d / "coco.json").read_bytes().replace(
            b'"visibility":0.9', b'"visibility":NaN', 1))(d), "NaN"),
    "NaN in the manifest": (
        lambda d: text("manifest.json", (d / "manifest.json").read_bytes().replace(
            b'"seed": 0', b'"seed": NaN', 1))(d), "NaN"),
    "a number beyond all floats": (
        lambda d: text("coco.json", (d / "coco.json").read_bytes().replace(
            b'"visibility":0.9', b'"visibility":1e999', 1))(d), "record in annotations"),
    "nested without end": (text("coco.json", b'{"images":' + b"[" * 200_000), "coco.json"),
    "manifest nested without end": (text("manifest.json", b"[" * 200_000), "nested too deeply"),
    "no JSON but a pickle": (text("coco.json", pickle.dumps(Payload())), "coco.json"),
    "records are a pickle": (
        text("shards/00000/frames.jsonl", pickle.dumps(Payload())), "frames.jsonl"),
    "manifest is a list": (text("manifest.json", b"[1, 2]"), "expected keys and values"),
    "made with nothing": (shard(lambda m: m.update(made_with=3)), "made_with"),
}  # fmt: skip


def commands(d, page):
    yield ["check", str(d), "audit=2", f"out={page}"]
    yield ["replay", str(d), "frame=0", "renderer.allow_software=true", "render=false"]
    yield ["diff", str(d), str(d), f"out={page}"]


@pytest.mark.parametrize("case", HOSTILE)
def test_nothing_outside_is_touched_and_one_message_names_it(place, case, capsys):
    change, named = HOSTILE[case]
    change(place)
    page = place.parent / "page"
    page.mkdir()
    before = tree(place.parent / "outside")
    said = []
    with watched() as touched:
        for words in commands(place, page):
            code = main(words)
            captured = capsys.readouterr()
            said.append(captured.out + captured.err)
            assert "a fault of simgen's" not in captured.err
            assert "Traceback" not in captured.err
            assert captured.err.count("error: ") <= 1
            if words[0] == "check":
                assert code in (1, 2)
        rendered_again(place)
    assert any(named in text for text in said), said
    assert "\x1b" not in "".join(said)
    assert tree(place.parent / "outside") == before
    outside = os.fspath(place.parent / "outside")
    for event, path in touched:
        real = os.path.normpath(path)
        # The dataset's own links may be looked at, not through.
        assert not real.startswith(outside), (event, path)
        assert real not in ("/etc/hostname",), (event, path)
        assert not event.startswith("pickle"), (event, path)
    assert not Path("/tmp/simgen-was-unpickled").exists()


def rendered_again(place):
    """Go on with the dataset as `render` would; whatever is wrong is an error of ours."""
    try:
        config = dataclasses.replace(read_config(place), out=str(place))
        render_dataset(config, stand_in.CATEGORIES, renderer="stand_in:StandIn")
        write_contact_sheet(place / "coco.json", place / "sheet.png", title="x")
    except SimgenError as error:
        assert str(error)


def tree(folder):
    return {
        p.relative_to(folder): (p.stat().st_mtime_ns, p.read_bytes() if p.is_file() else None)
        for p in folder.rglob("*")
    }


def test_a_config_that_grows_without_end_is_refused(place):
    bomb = "a: &a [x, x, x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(12)
    )
    (place / "config.yaml").write_text(bomb)
    with pytest.raises(
        SimgenError, match=r"config.yaml: not the config .* \(it refers to itself\)"
    ):
        read_config(place)


def test_a_config_does_not_ask_the_environment(place, monkeypatch):
    monkeypatch.setenv("SECRET", "hunter2")
    path = place / "config.yaml"
    path.write_text(path.read_text().replace("purpose: ''", "purpose: ${oc.env:SECRET}"))
    assert "hunter2" not in read_config(place).dataset.purpose


def test_a_link_in_place_of_the_shards_is_refused_before_anything_is_written(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "d").mkdir()
    (tmp_path / "d/shards").symlink_to(tmp_path / "outside")
    with pytest.raises(SimgenError, match="'shards' is, or passes through, a link that leads out"):
        render_dataset(
            stand_in.config(tmp_path / "d"), stand_in.CATEGORIES, renderer="stand_in:StandIn"
        )
    assert list((tmp_path / "outside").iterdir()) == []


def test_photographs_outside_their_folder_are_not_shown(place, capsys):
    coco(lambda c: c["images"][0].update(file_name=OUT))(place)
    for name in ("coco.json", "sheet.png"):
        assert (place / name).exists() or name == "sheet.png"
    with pytest.raises(SimgenError, match="'../outside/secret.png' leads out of the dataset"):
        write_contact_sheet(place / "coco.json", place / "sheet.png", title="x")


def loads(source):
    """Names of calls in a module that could run what they read."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [a.name for a in node.names] + [getattr(node, "module", None) or ""]
            if {"pickle", "dill", "joblib", "shelve", "marshal", "cloudpickle"} & set(names):
                yield f"import in line {node.lineno}"
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        keys = {k.arg: ast.unparse(k.value) for k in node.keywords}
        unsafe = (
            (called in ("np.load", "numpy.load") and keys.get("allow_pickle", "False") != "False")
            or (called == "torch.load" and keys.get("weights_only") != "True")
            or called in ("yaml.load", "yaml.unsafe_load", "yaml.full_load", "eval", "exec")
        )
        if unsafe:
            yield f"{called} in line {node.lineno}"


def test_nothing_is_unpickled_anywhere():
    found = {
        str(path.relative_to(ROOT)): list(loads(path.read_text()))
        for path in sorted((ROOT / "simgen").rglob("*.py"))
    }
    assert {name: calls for name, calls in found.items() if calls} == {}


@pytest.mark.parametrize(
    "line",
    ["import pickle", "from joblib import load", "np.load(f, allow_pickle=True)", "torch.load(f)",
     "yaml.unsafe_load(f)", "eval(x)"],
)  # fmt: skip
def test_the_walk_sees_what_could_run_what_it_reads(line):
    assert list(loads(f"import numpy as np\n{line}\n"))
