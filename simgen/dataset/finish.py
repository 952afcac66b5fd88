"""What is derived from the shards: coco.json, card.md, contact_sheet.png, manifest.json."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from simgen.config import to_plain
from simgen.config.render import RenderConfig
from simgen.dataset.assets import assets_of
from simgen.dataset.card import card_text
from simgen.dataset.coco import category_records, write_coco
from simgen.dataset.contact_sheet import write_contact_sheet
from simgen.dataset.files import replacing, sha256_of
from simgen.dataset.identity import config_sha256
from simgen.dataset.shards import CommittedShard, read_shards
from simgen.dataset.stored import NO_HASH
from simgen.errors import DatasetError

# What stands beside the shards and is made from them; the manifest has their hashes.
DERIVED = ("config.yaml", "coco.json", "card.md", "contact_sheet.png", "croissant.json")


def finish_dataset(
    config: RenderConfig,
    categories: tuple[tuple[str, str], ...],
    *,
    folder: Path | None = None,
    fetch: Callable[[Sequence[str]], None] = lambda names: None,
) -> dict[str, Any]:
    """Write everything that is derived from the committed shards; return the manifest.

    Each file is replaced as a whole, the manifest last, so that a reader who
    trusts the manifest never sees half a dataset.

    Args:
        config: The job.
        categories: (name, supercategory) in the order of their ids.
        folder: Where the dataset or its mirror is; default `config.out`.
        fetch: Makes sure that images, named relative to the dataset, are in `folder`.

    Raises:
        DatasetError: A shard is missing or damaged, or the disk cannot be written.
    """
    out = folder or Path(config.out)
    shards = read_shards(out)
    _require_complete(shards, config)
    instances = write_coco(out / "coco.json", shards, dataset=config.dataset, categories=categories)
    manifest = _manifest(config, categories, shards, coco_sha256=sha256_of(out / "coco.json"))
    with replacing(out / "card.md") as file:
        file.write(card_text(manifest, instances).encode())
    write_contact_sheet(
        out / "coco.json", out / "contact_sheet.png", title=config.dataset.name, fetch=fetch
    )
    manifest["files"] = {name: sha256_of(out / name) for name in DERIVED if (out / name).is_file()}
    with replacing(out / "manifest.json") as file:
        file.write(sealed(manifest))
    return manifest


def sealed(manifest: dict[str, Any]) -> bytes:
    """Return a manifest's JSON, which ends with the hash of itself before it had one."""
    text = json.dumps({**manifest, "sha256": NO_HASH}, indent=1) + "\n"
    head, _, tail = text.rpartition(NO_HASH)
    return f"{head}{hashlib.sha256(text.encode()).hexdigest()}{tail}".encode()


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
    *,
    coco_sha256: str,
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
        "coco_sha256": coco_sha256,
        "shards": [
            {
                "name": shard.range.name,
                "first": shard.range.first,
                "stop": shard.range.stop,
                "manifest_sha256": sha256_of(shard.manifest_path),
            }
            for shard in shards
        ],
    }
