"""What is derived from the shards: coco.json, card, contact sheet, hashes, manifest.json."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from simgen.config import to_plain
from simgen.config.render import RenderConfig
from simgen.dataset.assets import assets_of, terms_by_asset
from simgen.dataset.card import card_text
from simgen.dataset.checksums import CHECKSUMS, write_checksums
from simgen.dataset.coco import category_records, write_coco
from simgen.dataset.contact_sheet import write_contact_sheet
from simgen.dataset.croissant import CROISSANT, croissant_text
from simgen.dataset.facts import Facts, Tally
from simgen.dataset.files import replacing, sha256_of
from simgen.dataset.identity import config_sha256
from simgen.dataset.parent import Parent, changes_since, read_parent
from simgen.dataset.shards import CommittedShard, read_shards
from simgen.dataset.stored import NO_HASH
from simgen.errors import DatasetError

# What stands beside the shards and is made from them; the manifest has their hashes.
DERIVED = ("config.yaml", "coco.json", "card.md", "contact_sheet.png", CHECKSUMS, CROISSANT)
# Without config.yaml, which says where the dataset is and how many workers made it.
_SUMMED = ("coco.json", "card.md", "contact_sheet.png")


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
        ConfigError: `dataset.parent` is no finished dataset.
        DatasetError: A shard is missing or damaged, or the disk cannot be written.
    """
    out = folder or Path(config.out)
    shards = read_shards(out)
    _require_complete(shards, config)
    parent = read_parent(config)
    tally = Tally(categories)
    instances = write_coco(
        out / "coco.json",
        shards,
        dataset=config.dataset,
        categories=categories,
        on_label=tally.add,
    )
    hashes = {"coco.json": sha256_of(out / "coco.json")}
    manifest = _manifest(config, categories, shards, instances, hashes["coco.json"], parent)
    facts = _facts(config, manifest, tally, parent)
    with replacing(out / "card.md") as file:
        file.write(card_text(facts).encode())
    write_contact_sheet(
        out / "coco.json", out / "contact_sheet.png", title=config.dataset.name, fetch=fetch
    )
    hashes |= _hashes(out, _SUMMED)
    write_checksums(out, shards, hashes)
    hashes |= _hashes(out, (CHECKSUMS,))
    with replacing(out / CROISSANT) as file:
        file.write(croissant_text(facts, out, hashes).encode())
    manifest["files"] = _hashes(out, DERIVED)
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
    instances: dict[str, int],
    coco_sha256: str,
    parent: Parent | None,
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
        "version": config.dataset.version,
        **({"parent": _named(parent)} if parent else {}),
        "purpose": config.dataset.purpose,
        "licence": config.dataset.licence,
        "scene": config.scene_name,
        "seed": config.seed,
        "frames": sum(len(shard.range) for shard in shards),
        "config_sha256": config_sha256(config),
        "config": to_plain(config),
        "categories": category_records(categories),
        "instances": instances,
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


def _named(parent: Parent) -> dict[str, str]:
    return {
        "name": parent.manifest.name,
        "version": parent.manifest.version,
        "manifest_sha256": parent.manifest_sha256,
    }


def _facts(
    config: RenderConfig, manifest: dict[str, Any], tally: Tally, parent: Parent | None
) -> Facts:
    assets = assets_of(manifest["assets"])
    return Facts(
        config=config,
        manifest=manifest,
        tally=tally,
        assets=tuple(terms_by_asset(assets, config.dataset.allow_licences)),
        parent=parent,
        changes=changes_since(parent, manifest) if parent else None,
    )


def _hashes(out: Path, names: Iterable[str]) -> dict[str, str]:
    return {name: sha256_of(out / name) for name in names if (out / name).is_file()}
