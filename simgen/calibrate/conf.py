"""Write the calibrated ranges as a scene config, the evidence beside each value."""

import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from simgen.calibrate.findings import Finding
from simgen.config.parse import DISTRIBUTION_TAGS

NAME = "calibrated"
_WIDTH = 96
# What a scene's config sets; the rest is the render's.
_SCENES_OWN = ("views_per_scene", "exposures_per_view", "image", "labels", "scene")


def scene_yaml(
    config: Mapping[str, Any], command: str, findings: Sequence[Finding], about: Sequence[str]
) -> str:
    """Return the text of `scene/calibrated.yaml`.

    It is whole: it extends no other scene's config, which may change or lie elsewhere.

    Args:
        config: The composed config of the simulated images.
        command: The command that writes it.
        findings: Values to set, and why others are left.
        about: Sentences for the header.
    """
    lines = [
        "# @package _global_",
        f"# python -m simgen render --config-dir FOLDER +scene={NAME}",
        "# FOLDER holds this file as scene/calibrated.yaml. A comment above a key says what the",
        "# photographs say of it; keys without one were not looked at. Written by",
        *_comment(command, ""),
        *(line for sentence in about for line in _comment(sentence, "")),
    ]
    known = {f.key: f for f in findings}
    for name in _SCENES_OWN:
        if name in config:
            lines += _lines(name, config[name], name, known)
    return "\n".join(lines) + "\n"


def flow(value: Any) -> str:
    """Return YAML in one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(flow(v) for v in value) + "]"
    return json.dumps(value)


def _lines(name: str, value: Any, key: str, known: Mapping[str, Finding]) -> list[str]:
    indent = "  " * key.count(".")
    finding = known.get(key)
    lines = []
    if finding is not None:
        lines = [line for sentence in finding.evidence for line in _comment(sentence, indent)]
        if finding.value is not None:
            lines += _comment(f"before: {flow(finding.now)}", indent)
            value = finding.value
    is_range = isinstance(value, Mapping) and bool(DISTRIBUTION_TAGS & value.keys())
    if is_range or not isinstance(value, Mapping) or not value:
        return [*lines, f"{indent}{name}: {flow(value)}"]
    lines.append(f"{indent}{name}:")
    for word, inner in value.items():
        lines += _lines(word, inner, f"{key}.{word}", known)
    return lines


def _comment(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        " ".join(text.split()), _WIDTH, initial_indent=f"{indent}# ",
        subsequent_indent=f"{indent}#   ", break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
