"""Which config a dataset was made with, and whether another may go on with it."""

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from simgen.config import to_plain
from simgen.config.render import RenderConfig, parse_render
from simgen.dataset.files import disk_errors, replacing
from simgen.dataset.stored import open_regular
from simgen.errors import ConfigError, DatasetError

# How a dataset is made, where it goes and what its card says change none of its frames.
_CONFIG_BYTES = 4 << 20
_FREE = (
    "out", "frames", "workers", "executor", "shard_size", "dataset", "renderer.allow_software",
    "renderer.pathtrace.threads",
)  # fmt: skip


def config_sha256(config: RenderConfig) -> str:
    """Return the hex SHA-256 of all that decides what a frame shows and how it is labelled.

    Keys that are at their default count as absent, so that a later version of simgen,
    which may have more keys, gives the same config the same hash.
    """
    defaults = _identity(to_plain(RenderConfig(scene={}, out="")))
    chosen = _without(_identity(to_plain(config)), defaults)
    text = json.dumps(chosen, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def config_differences(before: RenderConfig, after: RenderConfig) -> list[str]:
    """Return `key: before -> after` for every key that makes these two other datasets."""
    old, new = flat(_identity(to_plain(before))), flat(_identity(to_plain(after)))
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
        with open_regular(path) as file, disk_errors(path):
            text = file.read(_CONFIG_BYTES).decode()
        # A few lines of aliases of aliases would grow to any size; ours has none.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
            raise ConfigError("it refers to itself")
        plain: Any = OmegaConf.to_container(OmegaConf.create(text))
        return parse_render(plain if isinstance(plain, dict) else {})
    except (
        ConfigError, OmegaConfBaseException, yaml.YAMLError, ValueError, RecursionError, TypeError
    ) as error:  # fmt: skip
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise DatasetError(
            f"{path}: not the config of a dataset that this version reads ({first});"
            " choose another out"
        ) from None


def _identity(plain: dict[str, Any]) -> dict[str, Any]:
    kept = copy.deepcopy(plain)
    for key in _FREE:
        *groups, name = key.split(".")
        within = kept
        for group in groups:
            within = within[group]
        within.pop(name)
    return kept


def _without(plain: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    for key, value in plain.items():
        default = defaults.get(key)
        if isinstance(value, dict) and isinstance(default, dict) and key != "scene":
            value, default = _without(value, default), {}
        if value != default:
            chosen[key] = value
    return chosen


def flat(value: Any, key: str = "") -> dict[str, Any]:
    """Return nested mappings as one, with dotted keys."""
    if not isinstance(value, dict):
        return {key: value}
    found: dict[str, Any] = {}
    for name, inner in value.items():
        found |= flat(inner, f"{key}.{name}" if key else str(name))
    return found
