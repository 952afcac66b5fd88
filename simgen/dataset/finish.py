"""What is derived from the shards: coco.json, card.md, contact_sheet.png, manifest.json."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simgen.config import to_plain
from simgen.config.render import RenderConfig
from simgen.dataset.assets import assets_of
from simgen.dataset.card import card_text
from simgen.dataset.coco import annotations_of, category_records, write_coco
from simgen.dataset.contact_sheet import write_contact_sheet
from simgen.dataset.files import replacing, sha256_of
from simgen.dataset.identity import config_sha256
from simgen.dataset.shards import CommittedShard, read_shards
from simgen.errors import DatasetError


def finish_dataset(config: RenderConfig, categories: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """Write everything that is derived from the committed shards; return the manifest.

    Each file is replaced as a whole, the manifest last, so that a reader who
    trusts the manifest never sees half a dataset.

    Raises:
        DatasetError: A shard is missing or damaged, or the disk cannot be written.
    """
    out = Path(config.out)
    shards = read_shards(out)
    _require_complete(shards, config)
    write_coco(out / "coco.json", shards, dataset=config.dataset, categories=categories)
    manifest = _manifest(config, categories, shards)
    with replacing(out / "card.md") as file:
        file.write(card_text(manifest, _instances(shards, categories)).encode())
    write_contact_sheet(out / "coco.json", out / "contact_sheet.png", title=config.dataset.name)
    with replacing(out / "manifest.json") as file:
        file.write((json.dumps(manifest, indent=1) + "\n").encode())
    return manifest


def _require_complete(shards: Sequence[CommittedShard], config: RenderConfig) -> None:
    position = 0
    for first, stop in [*((s.range.first, s.range.stop) for s in shards), (config.frames,) * 2]:
        if first > position:
            raise DatasetError(
                f"{config.out}: frames {position} to {first - 1} are missing; render again"
            )
        position = max(position, stop)


def _manifest(
    config: RenderConfig,
    categories: tuple[tuple[str, str], ...],
    shards: Sequence[CommittedShard],
) -> dict[str, Any]:
    made_with: list[dict[str, Any]] = []
    erased: Counter[str] = Counter()
    for shard in shards:
        erased.update(shard.erased)
        if shard.made_with not in made_with:
            made_with.append(shard.made_with)
    used = [path for made in made_with for path in made["renderer"].get("assets", ())]
    return {
        "name": config.dataset.name,
        "purpose": config.dataset.purpose,
        "licence": config.dataset.licence,
        "scene": config.scene_name,
        "seed": config.seed,
        "frames": sum(len(shard.range) for shard in shards),
        "config_sha256": config_sha256(config),
        "config": to_plain(config),
        "categories": category_records(categories),
        "erased": dict(sorted(erased.items())),
        "made_with": made_with,
        "assets": [to_plain(asset) for asset in assets_of(used)],
        "coco_sha256": sha256_of(Path(config.out) / "coco.json"),
        "shards": [
            {
                "name": shard.range.name,
                "first": shard.range.first,
                "stop": shard.range.stop,
                "manifest_sha256": sha256_of(shard.folder / "manifest.json"),
            }
            for shard in shards
        ],
    }


def _instances(
    shards: Sequence[CommittedShard], categories: tuple[tuple[str, str], ...]
) -> dict[str, int]:
    counts = Counter(record["category_id"] for record in annotations_of(shards))
    return {name: counts[i] for i, (name, _) in enumerate(categories, start=1)}
