"""Arguments of the commands that take datasets: some paths, then `key=value`."""

import re
from collections.abc import Mapping, Sequence

from simgen.config import suggest
from simgen.errors import ConfigError

_NUMBERS = ("no", "one", "two")


def read_words(
    command: str, words: Sequence[str], *, datasets: int, keys: Mapping[str, str]
) -> tuple[list[str], dict[str, str]]:
    """Return the datasets and the values of all keys, defaults included.

    Args:
        command: Its name, for messages.
        words: What was typed after it.
        datasets: How many it takes.
        keys: The keys it knows, with their defaults.

    Raises:
        ConfigError: A key is unknown or given twice, or there are more or fewer datasets.
    """
    paths, values = [], {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", key):
            paths.append(word)
            continue
        if key not in keys:
            raise ConfigError(f"{key}: unknown key{suggest(key, keys)}")
        if key in values:
            raise ConfigError(f"{key}: is given twice; choose one")
        values[key] = value
    if len(paths) != datasets:
        plural = "" if datasets == 1 else "s"
        names = " ".join("AB"[:datasets]) if datasets > 1 else "DATASET"
        raise ConfigError(
            f"{command}: expected {_NUMBERS[datasets]} dataset{plural}, got {len(paths)};"
            f" write simgen {command} {names}"
        )
    return paths, {**keys, **values}


def whole_number(key: str, text: str, *, low: int = 0) -> int:
    """Return the value of a key that takes a whole number.

    Raises:
        ConfigError: It is none, or too small.
    """
    if not re.fullmatch(r"[0-9]{1,12}", text) or int(text) < low:
        raise ConfigError(f"{key}: expected a whole number of at least {low}, got {text[:40]!r}")
    return int(text)


def files_allowed(text: str) -> bool:
    """Return the value of `files`: whether scenes may name files of the user's.

    Raises:
        ConfigError: It is neither `allow` nor left out.
    """
    if text not in ("", "allow"):
        raise ConfigError(f"files: expected allow, got {text[:40]!r}")
    return text == "allow"
