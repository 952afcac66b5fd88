"""Before the first frame: may this config write here, and what is there already?"""

import json
from pathlib import Path
from tempfile import TemporaryFile

from simgen.config.render import RenderConfig
from simgen.dataset.coco import category_records
from simgen.dataset.identity import config_differences, config_sha256, read_config, write_config
from simgen.dataset.shards import ShardRange, ShardStyle, read_shards, sweep_attempts
from simgen.errors import ConfigError, DatasetError


def prepare_dataset(
    config: RenderConfig, categories: tuple[tuple[str, str], ...]
) -> list[ShardRange]:
    """Make or check the dataset's folder; return the shards that it holds already.

    Raises:
        ConfigError: `out` cannot be written, or holds more frames than asked for.
        DatasetError: `out` holds something else, or a dataset of another config.
    """
    out = Path(config.out)
    _require_ours(out)
    _require_writable(out)
    sweep_attempts(out)
    shards = read_shards(out)
    if shards:
        _require_same(out, config, categories)
        held = max(shard.range.stop for shard in shards)
        if held > config.frames:
            raise ConfigError(
                f"frames: {config.frames}, but {out} holds {held} already;"
                f" ask for at least {held}, or choose another out"
            )
    write_config(config, out)
    return [shard.range for shard in shards]


def shard_style(config: RenderConfig, categories: tuple[tuple[str, str], ...]) -> ShardStyle:
    """Return what all shards of this config's dataset have in common."""
    return ShardStyle(
        config_sha256=config_sha256(config),
        categories=categories,
        part_prefix=f"{config.scene_name}-seed{config.seed}-",
        image_format=config.image.format,
        polygons=config.labels.polygons,
    )


def _require_writable(out: Path) -> None:
    try:
        (out / "shards").mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out / "shards"):
            pass
    except OSError as error:
        raise ConfigError(
            f"out: cannot write to {out} ({error.strerror}); choose a folder that can be written"
        ) from None


def _require_ours(out: Path) -> None:
    if not out.is_dir() or (out / "config.yaml").is_file():
        return
    other = sorted(p.name for p in out.iterdir() if p.name != "shards")
    if other:
        raise DatasetError(
            f"out: {out} holds {other[0]!r} and is no dataset; choose another folder"
        )


def _require_same(out: Path, config: RenderConfig, categories: tuple[tuple[str, str], ...]) -> None:
    differences = config_differences(read_config(out), config)
    if differences:
        shown = "; ".join(differences[:4]) + ("; ..." if len(differences) > 4 else "")
        raise DatasetError(
            f"out: {out} holds a dataset of another config ({shown});"
            " choose another out, or set these keys as before"
        )
    manifest = out / "manifest.json"
    if manifest.is_file():
        before = json.loads(manifest.read_text()).get("categories")
        if before != category_records(categories):
            raise DatasetError(
                f"out: {out} was made with other categories of scene {config.scene_name};"
                " choose another out"
            )
