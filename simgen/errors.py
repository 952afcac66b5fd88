"""The exceptions that simgen raises for bad input; their message is what the user reads."""


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
