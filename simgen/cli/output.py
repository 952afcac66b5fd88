"""The folder that a command writes to."""

import tempfile
from pathlib import Path

from simgen.errors import ConfigError


def writable_folder(out: str) -> Path:
    """Return the folder `out`, made if it is missing.

    Raises:
        ConfigError: It cannot be made or written.
    """
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(
            f"out: cannot write to {folder} ({error.strerror}); choose a folder that can be written"
        ) from None
    return folder
