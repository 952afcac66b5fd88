"""The exceptions that simgen raises for bad input; their message is what the user reads."""


def printable(text: str) -> str:
    """Return a text with everything that could steer a terminal spelled out, as in \\x1b."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class SimgenError(Exception):
    """Base of all errors that are the user's to remedy: one line, exit code 2."""


class ConfigError(SimgenError):
    """A configuration key is unknown, missing, of the wrong type or out of range."""


class AssetError(SimgenError):
    """A mesh, texture, weight file or licence is missing, broken or not allowed."""


class RenderError(SimgenError):
    """The renderer cannot start or cannot draw what was asked for."""


class DatasetError(SimgenError):
    """A dataset or a set of real images is missing, damaged or contradicts itself."""
