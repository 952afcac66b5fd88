"""Finds the command, runs it, and turns errors into one line and an exit code.

Nothing heavy is imported at the top: every spawned worker imports this module.
"""

import importlib
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import simgen
from simgen.errors import ConfigError, SimgenError, printable

COMMANDS = {
    "render": "a labelled dataset, resumable",
    "preview": "a contact sheet with labels drawn",
    "calibrate": "ranges from train photographs, and both sides compared",
    "replay": "one frame again from its stored scene, compared; or the scene as glTF",
    "check": "a dataset's integrity, label exactness and statistics",
    "diff": "what changed from one dataset to another",
    "export": "a dataset as YOLO, COCO, WebDataset, Parquet or BOP, split by scene",
    "train": "one training run",
    "crossvalidate": "choices compared on folds of train and val, without the holdout",
    "evaluate": "one report on real photographs",
    "experiment": "all arms and seeds of a comparison, with a report",
    "doctor": "what will render here, and the remedy for what does not",
}

_USERS_ERROR = 2
_OUR_ERROR = 1
_INTERRUPTED = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arguments:
    command: str
    overrides: tuple[str, ...]
    config_dir: Path | None
    help: bool
    version: bool
    traceback: bool


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code.

    Args:
        argv: Arguments after the program's name; default those of this process.

    Returns:
        0, or 2 for the user's error, 1 for ours, 130 after Ctrl-C.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(_read(arguments))
    except SimgenError as error:
        if "--traceback" in arguments:
            traceback.print_exc()
        return _fail(_one_line(str(error), error), _USERS_ERROR)
    except KeyboardInterrupt:
        return _fail("interrupted; run the same command again to go on", _INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has read enough; a flush at exit must not complain.
        sys.stdout = None
        return 0
    except Exception as error:
        if "--traceback" in arguments:
            traceback.print_exc()
            return _OUR_ERROR
        what = _one_line(f"{type(error).__name__}: {error}", error)
        return _fail(f"{what}; a fault of simgen's: add --traceback and report it", _OUR_ERROR)


def _read(arguments: Sequence[str]) -> _Arguments:
    flags = {"--help": False, "-h": False, "--version": False, "--traceback": False}
    config_dir: Path | None = None
    words: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument in flags:
            flags[argument] = True
        elif argument == "--config-dir" or argument.startswith("--config-dir="):
            value = argument.partition("=")[2] or next(rest, "")
            if not value:
                raise ConfigError("--config-dir: no folder given; write --config-dir FOLDER")
            config_dir = Path(value)
        elif argument.startswith("-"):
            known = "--help, --version, --config-dir FOLDER, --traceback"
            raise ConfigError(f"{argument}: unknown option; there are {known}")
        else:
            words.append(argument)
    return _Arguments(
        command=words[0] if words else "",
        overrides=tuple(words[1:]),
        config_dir=config_dir,
        help=flags["--help"] or flags["-h"],
        version=flags["--version"],
        traceback=flags["--traceback"],
    )


def _run(arguments: _Arguments) -> int:
    if arguments.version:
        print(f"simgen {simgen.__version__}")
        return 0
    if not arguments.command:
        print(_overview())
        return 0 if arguments.help else _USERS_ERROR
    if arguments.command not in COMMANDS:
        from simgen.config import suggest

        raise ConfigError(
            f"{arguments.command}: unknown command{suggest(arguments.command, COMMANDS)}"
        )
    command = importlib.import_module(f"simgen.cli.{arguments.command}")
    if arguments.help:
        print(_help(arguments.command, command.HELP.strip()))
        return 0
    result = command.run(arguments.overrides, arguments.config_dir)
    return int(result)


def _help(command: str, text: str) -> str:
    if text.startswith("usage:"):
        return text
    return f"usage: python -m simgen {command} [key=value ...] [--config-dir FOLDER]\n\n{text}"


def _overview() -> str:
    lines = [f"  {name:<15}{what}" for name, what in COMMANDS.items()]
    return "\n".join(
        [
            "usage: python -m simgen COMMAND [key=value ...] [--config-dir FOLDER] [--traceback]",
            "",
            *lines,
            "",
            "python -m simgen COMMAND --help tells more; --version prints the version.",
        ]
    )


def _one_line(message: str, error: Exception) -> str:
    notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
    return printable(" ".join(f"{message}{notes}".split()))


def _fail(message: str, code: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return code
