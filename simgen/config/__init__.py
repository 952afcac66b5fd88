"""From YAML and overrides to checked, frozen values."""

from simgen.config.compose import compose, write_yaml
from simgen.config.parse import bounded, parse, suggest, to_plain
from simgen.config.resources import data_folder, scene_file, scene_names

__all__ = [
    "bounded",
    "compose",
    "data_folder",
    "parse",
    "scene_file",
    "scene_names",
    "suggest",
    "to_plain",
    "write_yaml",
]
