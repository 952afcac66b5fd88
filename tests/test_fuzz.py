"""300 mutated configs and datasets, always the same ones: never a traceback, always one line."""

import dataclasses
import json
import re
import shutil

import numpy as np
import pytest
import stand_in

from simgen import pipeline
from simgen.cli.main import main
from simgen.config import compose
from simgen.config.render import parse_render
from simgen.dataset.check import check_dataset
from simgen.dataset.identity import read_config
from simgen.errors import SimgenError
from simgen.execute.render import render_dataset
from simgen.sampling import FrameIndex, Streams
from simgen.scene.family import load_family, parse_ranges

CONFIGS, DATASETS = 150, 150
# Of one test; a failure names its number.
BATCH = 50
VALUES = (
    None, True, False, 0, -1, 1, 3.5, 1e308, -1e308, 1e-300, float("inf"), float("nan"), 10**18,
    10**30, -(10**30), "", "x", "../../etc/passwd", "/etc/passwd", "\0", "\x1b[2J", "<script>",
    "${oc.env:HOME}", "1e9", "a" * 5000, [], {}, [[]], [1, 2], [2, 1], [None], {"uniform": [1, 0]},
    {"uniform": ["a", "b"]}, {"choice": []}, {"": ""}, {"__class__": "os.system"},
)  # fmt: skip


def generator(number):
    return np.random.default_rng([20261122, number])


def pick(rng, items):
    return items[int(rng.integers(len(items)))]


def places(value, path=()):
    """Yield the path to every value inside a nested one."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for i, inner in enumerate(value[:40]):
            yield from places(inner, (*path, i))


def mutated(rng, value):
    """Change a nested value in one to three places: drop, replace, double, rename, scale."""
    value = json.loads(json.dumps(value))
    for _ in range(int(rng.integers(1, 4))):
        found = list(places(value))
        if not found:
            return value
        *way, last = pick(rng, found)
        inner = value
        for key in way:
            inner = inner[key]
        kind = pick(rng, ("drop", "replace", "replace", "replace", "rename", "double", "scale"))
        if kind == "drop":
            del inner[last]
        elif kind == "rename" and isinstance(inner, dict):
            inner[pick(rng, ("", "x", f"{last}_", str(last)[::-1]))] = inner.pop(last)
        elif kind == "double" and isinstance(inner, list):
            inner.append(inner[last])
        elif kind == "scale" and isinstance(inner[last], (int, float)):
            inner[last] = inner[last] * pick(rng, (-1, 0, 1e-6, 1e6, 0.5))
        else:
            inner[last] = pick(rng, VALUES)
    return value


def scaled(rng, value):
    """Scale some numbers of a nested value, which leaves many a config that can be drawn."""
    value = json.loads(json.dumps(value))
    numbers = [p for p in places(value) if type(at(value, p)) in (int, float)]
    for _ in range(int(rng.integers(1, 3))):
        *way, last = pick(rng, numbers)
        inner = at(value, way)
        inner[last] = inner[last] * pick(rng, (-1, 0, 0.5, 0.9, 0.99, 1.01, 1.1, 2, 1e6))
    return value


def at(value, path):
    for key in path:
        value = value[key]
    return value


@pytest.fixture(scope="module")
def plains():
    return [
        compose("render", [f"+scene={name}", "out=x"]) for name in ("magnetic_tile", "inspection")
    ]


@pytest.mark.parametrize("batch", range(CONFIGS // BATCH))
def test_a_mutated_config_is_refused_in_one_line_or_draws_a_scene(plains, batch):
    drawn = 0
    for number in range(batch * BATCH, (batch + 1) * BATCH):
        rng = generator(number)
        change = scaled if number % 3 == 0 else mutated
        plain = change(rng, plains[number % 2])
        try:
            config = pipeline.scene_check(parse_render(plain))
            pipeline.categories(config)
            family = load_family(config.scene_name)
            ranges = parse_ranges(family, config.scene)
            index = FrameIndex(frame=number, scene=number, view=0, exposure=0)
            if config.scene_name == "magnetic_tile":
                streams = Streams(seed=config.seed, index=index)
                objects = family.sample_objects(streams, ranges)
                family.sample_frame(streams, ranges, config.image, objects)
                drawn += 1
        except SimgenError as error:
            require_one_line(str(error), number)
        except Exception as error:
            raise AssertionError(f"config {number}: {type(error).__name__}: {error}") from error
    assert drawn > 0


def damaged(rng, data):
    """Damage a file's bytes: cut, flip, empty, repeat, or put noise into it."""
    kind = pick(rng, ("cut", "flip", "flip", "empty", "repeat", "noise"))
    at = int(rng.integers(max(len(data), 1)))
    if kind == "cut":
        return data[:at]
    if kind == "flip" and data:
        return data[:at] + bytes([data[at] ^ (1 << int(rng.integers(8)))]) + data[at + 1 :]
    if kind == "repeat":
        return data + data[at:]
    if kind == "noise":
        return data[:at] + rng.bytes(20) + data[at:]
    return b""


def mutated_lines(rng, text):
    lines = text.splitlines()
    if not lines:
        return "{}\n"
    at = int(rng.integers(len(lines)))
    lines[at] = json.dumps(mutated(rng, json.loads(lines[at])))
    return "\n".join(lines) + "\n"


NAMES = (
    "manifest.json", "manifest.json", "coco.json", "coco.json", "config.yaml",
    "shards/00000/manifest.json", "shards/00000/manifest.json", "shards/00001/frames.jsonl",
    "shards/00001/annotations.jsonl", "shards/00001/images/00000004.png",
)  # fmt: skip


@pytest.mark.parametrize("batch", range(DATASETS // BATCH))
def test_a_mutated_dataset_is_refused_in_one_line_or_faulted(flat_dataset, tmp_path, batch, capsys):
    copy = shutil.copytree(flat_dataset, tmp_path / "copy")
    for number in range(batch * BATCH, (batch + 1) * BATCH):
        rng = generator(1000 + number)
        name = NAMES[number % len(NAMES)]
        path = copy / name
        before = path.read_bytes()
        if name.endswith(".json") and rng.uniform() < 0.75:
            path.write_text(json.dumps(mutated(rng, json.loads(before))))
        elif name.endswith(".jsonl") and rng.uniform() < 0.75:
            path.write_text(mutated_lines(rng, before.decode()))
        else:
            path.write_bytes(damaged(rng, before))
        if path.read_bytes() != before:
            require_found(copy, tmp_path / "page", name, number, capsys)
        restore(flat_dataset, copy)


def require_found(copy, page, name, number, capsys):
    where = f"dataset {number} ({name})"
    try:
        check_dataset(copy, audit=int(name.endswith("frames.jsonl")))
    except SimgenError as error:
        require_one_line(str(error), where)
    commands = [["replay", str(copy), "frame=4", "render=false"]]
    if number % 6 == 0:
        # Pages take as long as all the rest.
        commands.append(["check", str(copy), "audit=0", f"out={page}"])
        commands.append(["diff", str(copy), str(copy), f"out={page}"])
    for words in commands:
        code = main(words)
        said = capsys.readouterr()
        assert code == (2 if said.err else code) and code in (0, 1, 2), where
        assert "\x1b" not in said.out + said.err, where
        if said.err:
            require_one_line(said.err.removeprefix("error: ").rstrip("\n"), where)
    if name in ("config.yaml", "manifest.json", "shards/00000/manifest.json"):
        try:
            config = dataclasses.replace(read_config(copy), out=str(copy))
            if config.frames == 7:
                render_dataset(config, stand_in.CATEGORIES, renderer="stand_in:StandIn")
        except SimgenError as error:
            require_one_line(str(error), where)


def require_one_line(message, where):
    assert message and "\n" not in message.strip(), where
    assert "a fault of simgen's" not in message, (where, message)
    assert not re.search(r"Traceback|object at 0x|File \"", message), (where, message)
    assert len(message) < 2500, (where, message[:200])


def restore(source, copy):
    """Put back what the last mutation and the render that followed it changed."""
    for path in source.rglob("*"):
        if path.is_file():
            target = copy / path.relative_to(source)
            if not target.is_file() or target.read_bytes() != path.read_bytes():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(path.read_bytes())
