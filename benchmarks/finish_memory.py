"""Memory and time of finishing a large dataset: coco.json, card, contact sheet and manifest.

    python benchmarks/finish_memory.py [frames=100000] [limit_mb=500]

Makes a dataset of that many frames in a temporary folder, each with a real scene's spec and nine
labels but one and the same small image, finishes it in a process of its own and prints the
process's peak memory and seconds. Exit code 1 if the peak exceeds the limit. 100,000 frames
take about 3 GB of disk.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from pycocotools import mask as rle

from simgen.config import compose
from simgen.config.render import RenderConfig, parse_render
from simgen.dataset.identity import config_sha256, write_config
from simgen.dataset.records import encode_image
from simgen.sampling import FrameIndex, Streams
from simgen.scene.family import load_family, parse_ranges
from simgen.scene.spec import to_json

LABELS = 9
FINISH = """
import resource, sys, time
from pathlib import Path
from simgen.dataset import finish_dataset
from simgen.dataset.identity import read_config
from simgen.pipeline import categories
out = Path(sys.argv[1])
config = read_config(out)
started = time.monotonic()
finish_dataset(config, categories(config))
peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(f"{peak_mb:.0f} {time.monotonic() - started:.0f}")
"""


def main(frames: int = 100_000, limit_mb: int = 500) -> int:
    with tempfile.TemporaryDirectory(prefix="simgen-finish-") as folder:
        out = Path(folder) / "dataset"
        started = time.monotonic()
        write_dataset(out, frames)
        made = time.monotonic() - started
        command = [sys.executable, "-c", FINISH, str(out)]
        peak_mb, seconds = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True
        ).stdout.split()
        size_mb = (out / "coco.json").stat().st_size / 2**20
    print(
        f"{frames} frames (made in {made:.0f} s): coco.json of {size_mb:.0f} MB, finished in"
        f" {seconds} s, at most {peak_mb} MB of memory"
    )
    return int(int(peak_mb) > limit_mb)


def write_dataset(out: Path, frames: int, *, shard_size: int = 1_000) -> RenderConfig:
    """Write committed shards of `frames` frames, unfinished."""
    overrides = ["+scene=inspection", f"frames={frames}", f"shard_size={shard_size}", f"out={out}"]
    config = parse_render(compose("render", overrides))
    (out / "shards").mkdir(parents=True)
    write_config(config, out)
    family = load_family(config.scene_name)
    ranges = parse_ranges(family, config.scene)
    streams = Streams(seed=0, index=FrameIndex(frame=0, scene=0, view=0, exposure=0))
    objects = family.sample_objects(streams, ranges)
    spec = to_json(family.sample_frame(streams, ranges, config.image, objects))
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    image = encode_image(noise, "noise.png")
    labels = [_label(j, len(family.categories(ranges))) for j in range(LABELS)]
    for number, first in enumerate(range(0, frames, shard_size)):
        stop = min(first + shard_size, frames)
        _write_shard(out, number, range(first, stop), image, spec, labels, config)
    return config


def _write_shard(
    out: Path,
    number: int,
    frames: range,
    image: bytes,
    spec: str,
    labels: list[str],
    config: RenderConfig,
) -> None:
    folder = out / "shards" / f"{number:05d}"
    (folder / "images").mkdir(parents=True)
    with (
        (folder / "frames.jsonl").open("w") as records,
        (folder / "annotations.jsonl").open("w") as annotations,
    ):
        for i in frames:
            name = f"images/{i:08d}.png"
            # A file system lets one file have some ten thousand names.
            if i == frames.start:
                (folder / name).write_bytes(image)
            else:
                os.link(folder / f"images/{frames.start:08d}.png", folder / name)
            head = {
                "frame": i, "file_name": name, "width": 64, "height": 64, "scene": i, "view": 0,
                "exposure": 0, "part": f"s{i:06d}", "erased": {}, "spec_sha256": "0" * 64,
            }  # fmt: skip
            records.write(json.dumps(head)[:-1] + ',"spec":' + spec + "}\n")
            for j, label in enumerate(labels):
                ids = f'{{"id":{i * 10_000 + j + 1},"image_id":{i + 1},'
                annotations.write(ids + label + "\n")
    files = {f"images/{i:08d}.png": "0" * 64 for i in frames}
    manifest = {
        "number": number, "first": frames.start, "stop": frames.stop, "erased": {},
        "files": files, "config_sha256": config_sha256(config),
        "made_with": {"renderer": {"name": "raster"}, "versions": {"cpu_features": []}},
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _label(j: int, categories: int) -> str:
    mask = np.zeros((64, 64), np.uint8, order="F")
    mask[5 * j : 5 * j + 9, 10 : 40 + j] = 1
    packed = rle.encode(mask)
    record = {
        "category_id": 1 + j % categories,
        "segmentation": {"size": [64, 64], "counts": packed["counts"].decode()},
        "area": int(mask.sum()), "bbox": rle.toBbox(packed).tolist(), "iscrowd": 0,
        "visibility": 0.9, "amodal_bbox": rle.toBbox(packed).tolist(), "part_annotation_id": 0,
        "defect_mm": {"length": 3.25}, "contrast": 4.0, "contrast_ring": 3.0,
        "missing_material": False,
    }  # fmt: skip
    return json.dumps(record, separators=(",", ":"))[1:]


if __name__ == "__main__":
    sys.exit(main(**{k: int(v) for k, _, v in (word.partition("=") for word in sys.argv[1:])}))
