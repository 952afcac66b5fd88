"""Before the first frame: may this config write here, and what is there already?"""

from pathlib import Path
from tempfile import TemporaryFile

from simgen.config import to_plain
from simgen.config.render import RenderConfig
from simgen.dataset.coco import category_records
from simgen.dataset.files import disk_errors
from simgen.dataset.identity import config_differences, config_sha256, read_config, write_config
from simgen.dataset.parent import read_parent
from simgen.dataset.shards import (
    ShardRange,
    ShardStyle,
    committed_ranges,
    shard_manifests,
    sweep_attempts,
)
from simgen.dataset.stored import inside, read_manifest
from simgen.errors import ConfigError, DatasetError

_SHOWN = 4


def prepare_dataset(
    config: RenderConfig,
    categories: tuple[tuple[str, str], ...],
    *,
    folder: Path | None = None,
) -> list[ShardRange]:
    """Make or check the dataset's folder; return the shards that it holds already.

    Args:
        config: The job.
        categories: (name, supercategory) in the order of their ids.
        folder: Where the dataset or its mirror is; default `config.out`.

    Raises:
        ConfigError: `out` cannot be written, or holds more frames than asked for, or
            `dataset.parent` is no finished dataset.
        DatasetError: `out` holds something else, or a dataset of another config.
    """
    out = folder or Path(config.out)
    read_parent(config)
    _require_ours(out)
    _require_writable(out)
    sweep_attempts(out)
    if shard_manifests(out):
        _require_same(out, config, categories)
    ranges = committed_ranges(out, config_sha256=config_sha256(config))
    if ranges:
        held = max(done.stop for done in ranges)
        if held > config.frames:
            raise ConfigError(
                f"frames: {config.frames}, but {config.out} holds {held} already;"
                f" ask for at least {held}, or choose another out"
            )
    write_config(config, out)
    return ranges


def shard_style(config: RenderConfig, categories: tuple[tuple[str, str], ...]) -> ShardStyle:
    """Return what all shards of this config's dataset have in common."""
    return ShardStyle(
        config_sha256=config_sha256(config),
        categories=categories,
        part_prefix=f"{config.scene_name}-seed{config.seed}-",
        image_format=config.image.format,
        polygons=config.labels.polygons,
        outputs=config.outputs,
    )


def _require_writable(out: Path) -> None:
    shards = inside(out, "shards")
    try:
        shards.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=shards):
            pass
    except OSError as error:
        raise ConfigError(
            f"out: cannot write to {out} ({error.strerror}); choose a folder that can be written"
        ) from None


def _require_ours(out: Path) -> None:
    with disk_errors(out):
        if not out.exists() or (out / "config.yaml").is_file():
            return
        names = (p.name for p in out.iterdir()) if out.is_dir() else ()
        # Its first config.yaml may be on its way, another rank's, or of one that was killed.
        other = sorted(n for n in names if n != "shards" and not n.startswith(".config.yaml-"))
    if other:
        raise DatasetError(
            f"out: {out} holds {other[0]!r} and is no dataset; choose another folder"
        )


def _require_same(out: Path, config: RenderConfig, categories: tuple[tuple[str, str], ...]) -> None:
    differences = config_differences(read_config(out), config)
    if differences:
        more = f"; and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
        shown = "; ".join(differences[:_SHOWN]) + more
        raise DatasetError(
            f"out: {config.out} holds a dataset of another config ({shown});"
            " choose another out, or set these keys as before"
        )
    manifest = out / "manifest.json"
    if manifest.is_file():
        before = [to_plain(category) for category in read_manifest(out).categories]
        if before != category_records(categories):
            raise DatasetError(
                f"out: {config.out} was made with other categories of scene {config.scene_name};"
                " choose another out"
            )
