"""Text in Markdown: whatever a config or a stranger's manifest says stays plain text."""

import re
from collections.abc import Iterable, Sequence

from simgen.errors import printable

_LONGEST = 2_000
_ACTIVE = re.compile(r"([\\`*\[\]<>|~&$#!])")
# Between letters it is no emphasis, and names are full of it.
_UNDERSCORE = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_FIRST = re.compile(r"^([-+=:]|\d+(?=[.)](\s|$)))")
_PLAIN = re.compile(r"[A-Za-z0-9_./:=,+@%^() -]+")


def plain(text: object) -> str:
    """Return a text as Markdown that shows exactly its characters, in one line.

    Spaces of all kinds and breaks become one space; what could steer a terminal or turn
    the direction of writing is spelled out.
    """
    line = printable(" ".join(str(text)[:_LONGEST].split()))
    line = _UNDERSCORE.sub(r"\\_", _ACTIVE.sub(r"\\\1", line))
    # At its start a line may be a list, a rule or a heading.
    return _FIRST.sub(lambda m: f"\\{m[0]}" if not m[0].isdigit() else f"{m[0]}\\", line)


def code(text: object) -> str:
    """Return a text as code where it is nothing but a name, a number or a path; else `plain`."""
    line = " ".join(str(text)[:_LONGEST].split())
    return f"`{line}`" if _PLAIN.fullmatch(line) else plain(text)


def bullets(lines: Iterable[str]) -> str:
    """Return lines of Markdown as a list."""
    return "\n".join(f"* {line}" for line in lines)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return cells of Markdown, made by `plain` and `code`, as a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
