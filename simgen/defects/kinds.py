"""The kinds of defects and distractors, one line each; a new kind is a module and a line here."""

from types import ModuleType

from simgen.config.parse import suggest
from simgen.defects import blowhole, chip, crack, dent, fray, mark, pit, scratch, stain
from simgen.errors import ConfigError

KINDS: dict[str, ModuleType] = {
    "blowhole": blowhole,
    "break": chip,
    "crack": crack,
    "dent": dent,
    "fray": fray,
    "mark": mark,
    "pit": pit,
    "scratch": scratch,
    "stain": stain,
}


def kind_module(kind: str, key: str = "defect kind") -> ModuleType:
    """Return the module of a defect kind.

    Raises:
        ConfigError: No such kind.
    """
    if kind not in KINDS:
        raise ConfigError(f"{key}: {kind!r} is unknown{suggest(kind, KINDS)}")
    return KINDS[kind]
