"""Compose YAML with Hydra into plain containers; nothing changes directory."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import OverrideType
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import (
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)
from yaml import YAMLError

from simgen.config.parse import DISTRIBUTION_TAGS, suggest
from simgen.config.resources import data_folder
from simgen.errors import ConfigError


def compose(
    command: str, overrides: Sequence[str], config_dir: Path | None = None
) -> dict[str, Any]:
    """Return the resolved config of `command` as plain dicts and lists.

    Args:
        command: Name of the primary config, `conf/<command>.yaml`.
        overrides: Hydra overrides as typed by the user.
        config_dir: The user's own folder of configs. Its `<command>.yaml` comes
            before ours; without one, it adds group members of other names.

    Raises:
        ConfigError: An override does not parse, names an unknown key or group
            member, or a value that is required is missing.
    """
    if config_dir is not None and not config_dir.is_dir():
        raise ConfigError(f"--config-dir: {config_dir} is not a folder; name one that exists")
    for override in overrides:
        if override.startswith("="):
            raise ConfigError(f"{override}: no key before the =; write KEY=VALUE")
    try:
        composed = _composed(command, overrides, config_dir)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_explain(error, command, overrides, config_dir)) from None
    except YAMLError as error:
        raise ConfigError(f"not YAML: {' '.join(str(error).split())}; correct the file") from None
    try:
        plain = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise ConfigError(_explain_value(error, composed, config_dir)) from None
    assert isinstance(plain, dict)
    return {str(k): v for k, v in plain.items()}


def write_yaml(config: dict[str, Any], path: Path) -> None:
    """Write a plain config as YAML, keys in their order."""
    path.write_text(OmegaConf.to_yaml(DictConfig(config)))


def _composed(command: str, overrides: Sequence[str], config_dir: Path | None) -> DictConfig:
    # Hydra starts in the folder of the primary config and searches the other one after it.
    first, second = data_folder("conf"), config_dir
    if config_dir is not None and (config_dir / f"{command}.yaml").is_file():
        first, second = config_dir, first
    elif config_dir is not None:
        _require_names_of_their_own(config_dir, first, command)
    search = [] if second is None else [f"file://{second.resolve()}"]
    GlobalHydra.instance().clear()
    overrides = _with_distributions_replaced(overrides)
    with initialize_config_dir(config_dir=str(first.resolve()), version_base="1.3"):
        return hydra_compose(
            config_name=command, overrides=[*overrides, f"hydra.searchpath={search}"]
        )


def _with_distributions_replaced(overrides: Sequence[str]) -> list[str]:
    # Hydra merges mappings, so that `size={uniform: [1, 2]}` would be added to the
    # `loguniform` that is there. What is meant is to put it in its place.
    replaced: list[str] = []
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    for text, override in zip(overrides, parsed, strict=True):
        value = None if override.is_sweep_override() else override.value()
        changes = override.type is OverrideType.CHANGE
        if changes and isinstance(value, dict) and DISTRIBUTION_TAGS & value.keys():
            replaced += [f"~{override.key_or_group}", f"+{text}"]
        else:
            replaced.append(text)
    return replaced


def _require_names_of_their_own(config_dir: Path, ours: Path, command: str) -> None:
    for path in sorted(config_dir.rglob("*.yaml")):
        name = path.relative_to(config_dir)
        if (ours / name).is_file():
            raise ConfigError(
                f"--config-dir: {name} there would hide behind ours; give it another name,"
                f" or put a {command}.yaml of your own beside it"
            )


def _explain(
    error: Exception, command: str, overrides: Sequence[str], config_dir: Path | None
) -> str:
    message = _first_line(str(error))
    if isinstance(error, OverrideParseException):
        return _explain_syntax(error.override)
    if isinstance(error, MissingConfigException):
        group, slash, name = str(error.missing_cfg_file).rpartition("/")
        if not slash:
            return f"{name}.yaml: no such config; choose another, or add it with --config-dir"
        return f"{group}: no {group} named {name!r}{suggest(name, error.options or ())}"
    ambiguous = re.match(r"Ambiguous value for argument '(.*)'$", message)
    if ambiguous:
        return _explain_syntax(ambiguous.group(1))
    taken = re.match(r"Could not append to config. An item is already at '([^']+)'", message)
    if taken:
        return f"{taken.group(1)}: is set already; write it without the leading +"
    twice = re.match(r"(\S+) appears more than once", message)
    if twice:
        return f"{twice.group(1)}: is chosen more than once; choose one"
    unknown = re.match(r"Could not (?:override|delete from config\.) '([^']+)'", message)
    if unknown:
        return _explain_key(unknown.group(1), command, overrides, config_dir)
    return message


def _explain_syntax(override: str) -> str:
    key, equals, value = override.partition("=")
    if not equals:
        return f"{override}: no value; write {override}=VALUE"
    return f"""{key.lstrip("+~")}: cannot read {value!r}; quote it: '{key}="{value}"'"""


def _explain_key(key: str, command: str, overrides: Sequence[str], config_dir: Path | None) -> str:
    if _members(key, config_dir):
        name = next((o for o in overrides if o.startswith(f"{key}=")), f"{key}=NAME")
        return f"{key}: write +{name}; there are: {', '.join(_members(key, config_dir))}"
    rest = [o for o in overrides if o.lstrip("+~").split("=")[0] != key]
    try:
        siblings: Any = OmegaConf.to_container(_composed(command, rest, config_dir))
    except (HydraException, OmegaConfBaseException, YAMLError):
        siblings = {}
    # Go down as far as the key is right, so that the message is about its wrong word.
    *groups, last = key.split(".")
    known = ""
    for word in groups:
        if not isinstance(siblings.get(word), dict):
            last = word
            break
        siblings, known = siblings[word], f"{known}{word}."
    if last in siblings:
        return f"{key}: holds no such key yet; write +{key}.NAME=VALUE to add one"
    return f"{key}: unknown key{suggest(last, siblings, prefix=known)}"


def _explain_value(error: Exception, composed: DictConfig, config_dir: Path | None) -> str:
    key = getattr(error, "full_key", None) or "config"
    message = _first_line(str(error))
    if isinstance(error, MissingMandatoryValue):
        return f"{key}: required value is missing; set {key}=VALUE"
    if isinstance(error, InterpolationResolutionError):
        if "'scene.name'" in message and "scene" not in composed:
            names = ", ".join(_members("scene", config_dir))
            return f"scene: none was chosen; add +scene=NAME; there are: {names}"
        chosen = re.match(r"Interpolation key '([^']+)' not found", message)
        told = _explain_choice(chosen.group(1).split("."), composed) if chosen else None
        if told:
            return told
        reason = message.removeprefix("KeyError raised while resolving interpolation: ").strip('"')
        return f"{key}: {reason}; correct the ${{...}} in its value"
    return f"{key}: {message}"


def _explain_choice(path: Sequence[str], composed: DictConfig) -> str | None:
    """Return what is wrong with `size=huge` where values are `${sizes.${size}.passes}`."""
    node: Any = composed
    for depth, word in enumerate(path):
        if not isinstance(node, DictConfig):
            return None
        if word not in node:
            plain = OmegaConf.to_container(composed)
            assert isinstance(plain, dict)
            key = next((str(k) for k, value in plain.items() if str(value) == word), None)
            where = ".".join(path[:depth])
            if key is None or not depth:
                return None
            return f"{key}: {word!r} is not in {where}{suggest(word, [str(k) for k in node])}"
        node = node._get_node(word)
    return None


def _members(group: str, config_dir: Path | None) -> list[str]:
    folders = [data_folder("conf") / group]
    if config_dir is not None:
        folders.append(config_dir / group)
    return sorted({p.stem for f in folders if f.is_dir() for p in f.glob("*.yaml")})


def _first_line(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return lines[0] if lines else "the configuration could not be composed"
