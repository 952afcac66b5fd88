"""Is the optional extra `yolo` installed? Asked before anything is loaded or trained."""

import importlib.util

from simgen.errors import ConfigError

_MODULES = ("torch", "torchvision", "ultralytics", "jinja2", "matplotlib")


def require_yolo() -> None:
    """Check that what training and its reports need is installed.

    Raises:
        ConfigError: Something is not; the message says how to install it.
    """
    missing = [name for name in _MODULES if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"train.backend: yolo needs {', '.join(missing)}; install the extra:"
            " pip install -c constraints.txt -e '.[yolo]'"
        )
