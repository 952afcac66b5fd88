"""The kinds of defects and distractors, one line each; a new kind is a module and a line here.

A user's own kind is a file of the same shape, `defects/<kind>.py` in the working
directory, and needs no line here.
"""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from types import ModuleType

from simgen.config.parse import suggest
from simgen.config.resources import kind_file, kind_names
from simgen.config.source import load_source
from simgen.defects import (
    blemish,
    blowhole,
    chatter_mark,
    chip,
    clamp_mark,
    corrosion,
    crack,
    dent,
    dust,
    engraving,
    fibre,
    fingerprint,
    fray,
    mark,
    missing_feature,
    oil,
    particle,
    pit,
    scratch,
    stain,
    water_spot,
    wear,
)
from simgen.errors import AssetError, ConfigError
from simgen.scene.spec import DefectSpec

DEFECTS: dict[str, ModuleType] = {
    "blowhole": blowhole,
    "break": chip,
    "corrosion": corrosion,
    "crack": crack,
    "dent": dent,
    "fibre": fibre,
    "fray": fray,
    "missing_feature": missing_feature,
    "particle": particle,
    "pit": pit,
    "scratch": scratch,
    "stain": stain,
    "wear": wear,
}

# What a sound part may carry. Nothing but where a scene lists it decides what is labelled.
DISTRACTORS: dict[str, ModuleType] = {
    "blemish": blemish,
    "chatter_mark": chatter_mark,
    "clamp_mark": clamp_mark,
    "dust": dust,
    "engraving": engraving,
    "fingerprint": fingerprint,
    "mark": mark,
    "oil": oil,
    "water_spot": water_spot,
}

KINDS: dict[str, ModuleType] = {**DEFECTS, **DISTRACTORS}


def kind_module(kind: str, key: str = "defect kind") -> ModuleType:
    """Return the module of a kind, ours or the user's `defects/<kind>.py`.

    Raises:
        ConfigError: No such kind, or the user's file does not make one.
    """
    path = kind_file(kind)
    if kind in KINDS:
        if path is not None:
            raise ConfigError(f"{path}: {kind!r} is a kind of simgen's; give the file another name")
        return KINDS[kind]
    if path is None:
        raise ConfigError(f"{key}: {kind!r} is unknown{suggest(kind, [*KINDS, *kind_names()])}")
    return own_kind(path)


def module_of(defect: DefectSpec) -> ModuleType:
    """Return the module that builds a defect.

    Raises:
        ConfigError: See `kind_module`.
        AssetError: The user's file has changed since the defect was drawn.
    """
    if defect.kind in KINDS:
        return KINDS[defect.kind]
    module = kind_module(defect.kind)
    if defect.file_sha256 not in ("", module.file_sha256):
        raise AssetError(
            f"{module.__file__}: has changed since this scene was drawn; put the file of"
            f" SHA-256 {defect.file_sha256[:12]}... back"
        )
    return module


def own_kind(path: Path) -> ModuleType:
    """Return the user's module; every defect that it draws bears the file's hash.

    Raises:
        ConfigError: The file does not run or lacks a part of a kind.
    """
    module = load_source(path, f"simgen._kind_{path.stem}")
    if not hasattr(module, "file_sha256"):
        missing = [n for n in ("Ranges", "sample") if not hasattr(module, n)]
        if not hasattr(module, "profile") and not hasattr(module, "body"):
            missing.append("profile")
        if missing:
            raise ConfigError(
                f"{path}: a kind must define {', '.join(missing)}; see CONTRIBUTING.md"
            )
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        module.sample = _stamped(module.sample, path.stem, digest)  # type: ignore[attr-defined]
        module.file_sha256 = digest  # type: ignore[attr-defined]
    return module


def _stamped(
    sample: Callable[..., DefectSpec], kind: str, digest: str
) -> Callable[..., DefectSpec]:
    @wraps(sample)
    def stamped(*args: object, **keys: object) -> DefectSpec:
        drawn = sample(*args, **keys)
        if drawn.kind != kind:
            raise ConfigError(
                f"defects/{kind}.py: sample() drew a {drawn.kind!r}; it must draw kind={kind!r}"
            )
        return replace(drawn, file_sha256=digest)

    return stamped


def has_body(defect: DefectSpec) -> bool:
    """Return whether a defect is a solid, so that its label comes from its body."""
    return hasattr(module_of(defect), "body")


def moves_mesh(defect: DefectSpec) -> bool:
    """Return whether a defect's height is moved into the mesh rather than into the maps."""
    return bool(getattr(module_of(defect), "MOVES_MESH", False))


def found_by_absence(defect: DefectSpec) -> bool:
    """Return whether a kind may look just like its surroundings and be seen all the same.

    Where a hole should be and is none, nothing stands out.
    """
    return bool(getattr(module_of(defect), "FOUND_BY_ABSENCE", False))


def reshapes(defect: DefectSpec) -> bool:
    """Return whether a part with the defect has another shape than its clean twin."""
    return has_body(defect) or moves_mesh(defect)
