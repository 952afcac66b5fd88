"""Load a Python file of the user's by path, with errors that name its line."""

import importlib.util
import sys
import traceback
from functools import lru_cache
from pathlib import Path
from types import ModuleType

from simgen.errors import ConfigError


def load_source(path: Path, name: str) -> ModuleType:
    """Return the module in the file `path`, run anew only after the file has changed.

    Args:
        path: A Python file.
        name: The module's name; it is not importable by it.

    Raises:
        ConfigError: The file does not run; the message names its line.
    """
    return _load(path.resolve(), path.stat().st_mtime_ns, name)


@lru_cache(maxsize=64)
def _load(path: Path, changed_ns: int, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name while the file runs.
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise ConfigError(f"{path}: line {error.lineno}: {error.msg}") from None
    except Exception as error:
        lines = [
            f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)
        ]
        where = f"line {lines[-1]}: " if lines else ""
        raise ConfigError(f"{path}: {where}{type(error).__name__}: {error}") from None
    return module
