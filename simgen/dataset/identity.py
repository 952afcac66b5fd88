"""Which config a dataset was made with, and whether another may go on with it."""

import hashlib
import json
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from simgen.config import parse, to_plain
from simgen.config.render import RenderConfig
from simgen.dataset.files import disk_errors, replacing
from simgen.errors import ConfigError, DatasetError

# How a dataset is made, where it goes and what its card says change none of its frames.
_FREE = ("out", "frames", "workers", "executor", "shard_size", "dataset", "renderer.allow_software")


def config_sha256(config: RenderConfig) -> str:
    """Return the hex SHA-256 of all that decides what a frame shows and how it is labelled."""
    text = json.dumps(_identity(to_plain(config)), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def config_differences(before: RenderConfig, after: RenderConfig) -> list[str]:
    """Return `key: before -> after` for every key that makes these two other datasets."""
    old, new = _flat(_identity(to_plain(before))), _flat(_identity(to_plain(after)))
    unset = "(not set)"
    return [
        f"{key}: {old.get(key, unset)} -> {new.get(key, unset)}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key, unset) != new.get(key, unset)
    ]


def write_config(config: RenderConfig, out: Path) -> None:
    """Write `config.yaml`, the resolved config, in place of what was there."""
    with replacing(out / "config.yaml") as file:
        file.write(OmegaConf.to_yaml(OmegaConf.create(to_plain(config))).encode())


def read_config(out: Path) -> RenderConfig:
    """Return the config in a dataset's `config.yaml`.

    Raises:
        DatasetError: The file is missing or does not hold a render config.
    """
    path = out / "config.yaml"
    try:
        with disk_errors(path):
            plain = OmegaConf.to_container(OmegaConf.load(path))
        return parse(RenderConfig, plain)
    except (ConfigError, OmegaConfBaseException, YAMLError) as error:
        first = str(error).splitlines()[0]
        raise DatasetError(
            f"{path}: not the config of a dataset that this version reads ({first});"
            " choose another out"
        ) from None


def _identity(plain: dict[str, Any]) -> dict[str, Any]:
    kept = {k: dict(v) if isinstance(v, dict) else v for k, v in plain.items()}
    for key in _FREE:
        group, _, name = key.partition(".")
        if name:
            kept[group].pop(name)
        else:
            kept.pop(group)
    return kept


def _flat(value: Any, key: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {key: value}
    flat: dict[str, Any] = {}
    for name, inner in value.items():
        flat |= _flat(inner, f"{key}.{name}" if key else str(name))
    return flat
