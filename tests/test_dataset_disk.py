"""Disks that are full, read-only or not ours: one message, nothing lost, a rerun completes."""

import dataclasses
import json
import os
import resource
import shutil
import subprocess
from contextlib import contextmanager

import pytest
import stand_in

from simgen.cli.main import main
from simgen.dataset import finish_dataset, read_shards
from simgen.dataset.check import check_dataset
from simgen.errors import ConfigError, DatasetError
from simgen.execute.render import render_dataset

NOBODY = 65534


def render(config):
    return render_dataset(config, stand_in.CATEGORIES, renderer="stand_in:StandIn")


def files(out):
    """Bytes of what must not depend on how a dataset came to be complete."""
    return {
        p.relative_to(out): p.read_bytes()
        for p in out.rglob("*")
        if p.is_file() and p.name not in ("config.yaml", "card.md") and p != out / "manifest.json"
    }


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, of 256 kB; a function sets its options."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs root and mount")

    def remount(options):
        subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)

    yield folder, remount
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_loses_nothing_and_a_rerun_completes(small_disk, tmp_path):
    disk, remount = small_disk
    out = disk / "d"
    config = stand_in.config(out, frames=40, shard_size=4)
    with pytest.raises(DatasetError, match="No space left on device; remedy it and run the com"):
        render(config)
    kept = read_shards(out)
    assert 2 <= len(kept) < 10
    assert not [p for p in out.rglob(".*") if p.is_file() or "attempt" in p.name]
    stamps = {s.folder.name: (s.folder / "frames.jsonl").stat().st_mtime_ns for s in kept}
    remount("size=8m")
    assert render(config).new_frames == 40 - 4 * len(kept)
    assert {n: (out / "shards" / n / "frames.jsonl").stat().st_mtime_ns for n in stamps} == stamps
    render(stand_in.config(tmp_path / "whole", frames=40, shard_size=4))
    assert files(out) == files(tmp_path / "whole")
    assert check_dataset(out).faults == ()


@contextmanager
def files_of_at_most(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_fills_while_finishing_leaves_the_finished_dataset_as_it_was(tmp_path):
    out = tmp_path / "d"
    render(stand_in.config(out))
    before = {p: p.read_bytes() for p in out.iterdir() if p.is_file()}
    config = stand_in.config(out, dataset={"name": "another name"})
    with files_of_at_most(500):
        with pytest.raises(DatasetError, match="File too large; remedy it"):
            finish_dataset(config, stand_in.CATEGORIES)
    assert {p: p.read_bytes() for p in out.iterdir() if p.is_file()} == before
    assert check_dataset(out).faults == ()
    finish_dataset(config, stand_in.CATEGORIES)
    assert json.loads((out / "manifest.json").read_text())["name"] == "another name"


def test_a_read_only_disk_is_told_before_rendering_and_can_be_checked(small_disk, tmp_path, capsys):
    disk, remount = small_disk
    remount("size=8m")
    out = disk / "d"
    render(stand_in.config(out))
    remount("ro")
    with pytest.raises(ConfigError, match="out: cannot write to .*Read-only file system.*choose"):
        render(stand_in.config(out, frames=8))
    assert main(["check", str(out), "audit=0", f"out={tmp_path}"]) == 0
    assert main(["check", str(out), "audit=0", f"out={out}"]) == 2
    assert "Read-only file system" in capsys.readouterr().err
    remount("rw")
    assert render(stand_in.config(out, frames=8)).new_frames == 2


@contextmanager
def somebody_else(*folders):
    """Run as a user who may do no more than others; its own files are those in `folders`."""
    if os.geteuid() != 0:
        yield
        return
    for folder in folders:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
    for parent in folders[0].parents:
        if not parent.stat().st_mode & 0o005 == 0o005:
            parent.chmod(parent.stat().st_mode | 0o055)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def closed(flat_dataset, tmp_path):
    """A dataset of a user, and a function that takes away what may be done with a path."""
    copy = shutil.copytree(flat_dataset, tmp_path / "d")
    changed = []

    def close(name, mode):
        path = copy / name if name else copy
        changed.append((path, path.stat().st_mode))
        path.chmod(mode)

    yield copy, close
    for path, mode in reversed(changed):
        path.chmod(mode)


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("", 0o000), ("shards", 0o000), ("shards/00001", 0o000), ("manifest.json", 0o000),
        ("shards/00001/manifest.json", 0o000), ("coco.json", 0o000),
    ],
)  # fmt: skip
def test_what_may_not_be_read_is_one_line_or_a_fault(closed, tmp_path, name, mode, capsys):
    copy, close = closed
    page = tmp_path / "page"
    page.mkdir()
    with somebody_else(copy, page):
        close(name, mode)
        code = main(["check", str(copy), "audit=0", f"out={page}"])
        said = capsys.readouterr()
        assert code in (1, 2)
        assert "Permission denied" in said.out + said.err
        assert "a fault of simgen's" not in said.err
        for words in (
            ["replay", str(copy), "frame=4", "render=false"],
            ["diff", str(copy), str(copy)],
        ):
            main([*words, *([f"out={page}"] if words[0] == "diff" else [])])
            assert "a fault of simgen's" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "mode"),
    [("", 0o000), ("", 0o555), ("shards", 0o555), ("shards", 0o000), ("config.yaml", 0o000),
     ("shards/00001", 0o000)],
)  # fmt: skip
def test_where_may_not_be_written_a_render_is_one_line_and_later_completes(closed, name, mode):
    copy, close = closed
    config = dataclasses.replace(
        stand_in.config(copy, frames=7, shard_size=3, views_per_scene=2), out=str(copy)
    )
    before = files(copy)
    with somebody_else(copy):
        close(name, mode)
        with pytest.raises((ConfigError, DatasetError), match="Permission denied") as caught:
            render(dataclasses.replace(config, frames=9))
        assert "\n" not in str(caught.value) and str(copy) in str(caught.value)
        (copy / name if name else copy).chmod(0o755)
    assert files(copy) == before
    assert render(config).new_frames == 0
    assert check_dataset(copy).faults == ()
