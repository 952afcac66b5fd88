"""Records of a COCO file one by one, whatever its size and layout."""

import codecs
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Any

from simgen.dataset.files import disk_errors
from simgen.dataset.stored import no_number, open_regular
from simgen.errors import DatasetError

_REMEDY = "fetch or render it again"
_CHUNK = 1 << 20
_RECORD_CHARS = 64 << 20
_OF_NUMBERS = "0123456789.eE+-"
_DECODER = json.JSONDecoder(parse_constant=no_number)


def coco_items(path: Path, keys: Collection[str]) -> Iterator[tuple[str, Any]]:
    """Yield (key, record) for every record of the top-level lists `keys`, in file order.

    One record is in memory at a time. Other keys are passed over.

    Raises:
        DatasetError: The file cannot be read, is not a JSON mapping, or one of `keys`
            is missing or no list.
    """
    found = set()
    with open_regular(path) as file, disk_errors(path):
        text = _Text(file)
        try:
            text.expect("{")
            while (key := text.key()) is not None:
                if key not in keys:
                    text.skip()
                    continue
                found.add(key)
                for record in text.elements(key):
                    yield key, record
        except (ValueError, RecursionError) as error:
            raise DatasetError(
                f"{path}: not a COCO file ({error}); fetch or render it again"
            ) from None
    for key in sorted(set(keys) - found):
        raise DatasetError(f"{path}: not a COCO file (no list {key!r}); fetch or render it again")


class _Text:
    """JSON text that is read on when a value turns out to be incomplete."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._text = ""
        self._at = 0

    def peek(self) -> str:
        """Return the next character that is no white space, "" at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in " \t\r\n":
                    return self._text[self._at]
                self._at += 1
            if not self._read():
                return ""

    def expect(self, character: str) -> None:
        """Pass over `character`."""
        found = self.peek()
        if found != character:
            raise ValueError(f"{found or 'the end'!r} where {character!r} was due")
        self._at += 1

    def accept(self, character: str) -> bool:
        """Pass over `character` if it is next."""
        if self.peek() != character:
            return False
        self._at += 1
        return True

    def key(self) -> str | None:
        """Return the next key of a mapping, None at its end."""
        if self.accept("}"):
            return None
        if self.peek() == ",":
            self._at += 1
        key = self.value()
        if not isinstance(key, str):
            raise ValueError("a key is no text")
        self.expect(":")
        return key

    def elements(self, key: str) -> Iterator[Any]:
        """Yield the elements of a list."""
        if self.peek() != "[":
            raise ValueError(f"{key!r} is no list")
        self._at += 1
        if self.accept("]"):
            return
        while True:
            yield self.value()
            if self.accept("]"):
                return
            self.expect(",")

    def skip(self) -> None:
        """Pass over a value, element by element if it is a list."""
        if self.peek() == "[":
            for _ in self.elements(""):
                pass
        else:
            self.value()

    def value(self) -> Any:
        """Return the next value."""
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
                # A number may go on in what was not read yet.
                whole = end < len(self._text) and self._text[end] not in _OF_NUMBERS
                if whole or not self._read():
                    self._at = end
                    return value
            except json.JSONDecodeError:
                if len(self._text) - self._at > _RECORD_CHARS:
                    raise ValueError("a record is too large, or no JSON") from None
                if not self._read(max(_CHUNK, len(self._text) - self._at)):
                    raise

    def _read(self, count: int = 0) -> bool:
        data = self._file.read(count or _CHUNK)
        self._text = self._text[self._at :] + self._decode(data, final=not data)
        self._at = 0
        return bool(data)
