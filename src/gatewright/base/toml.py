"""TOML files as people wrote them: the document, and on which line each of its keys stands."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Final

Path = tuple[str | int, ...]

_BARE_ENDS: Final = frozenset(",]}#\n")
_SPACES: Final = frozenset(" \t\r\n")


class TomlFault(Exception):
    """The text is no TOML; the sentence says where."""


def parse(text: str) -> dict[str, object]:
    """Return the document of a TOML text.

    Raises:
        TomlFault: it is not TOML 1.0.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise TomlFault(f"this is not TOML: {fault}") from None
    except RecursionError:
        raise TomlFault("this is not TOML: too many brackets inside each other") from None


def line_of(lines: Mapping[Path, int], path: Path) -> int | None:
    """Return the line of a key, or of the nearest table or list around it that the file writes down."""
    for length in range(len(path), 0, -1):
        line = lines.get(path[:length])
        if line is not None:
            return line
    return None


def key_lines(text: str) -> dict[Path, int]:
    """Return the line of every key and list item of a text that `parse` accepts."""
    scan = _Scan(text)
    scan.document()
    return scan.lines


class _Scan:
    """One walk over a valid text, which notes lines and passes over values."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {}
        self._text = text.replace("\r\n", "\n") + "\n"
        self._at = 0
        self._line = 1
        self._tables: dict[Path, int] = {}  # array of tables → index of its last one

    def document(self) -> None:
        here: Path = ()
        while self._skip(_SPACES):
            if self._text.startswith("[[", self._at):
                self._move(2)
                here = self._one_more(self._key())
                self._move(2)
            elif self._text[self._at] == "[":
                self._move(1)
                here = self._within(self._key())
                self._move(1)
                self._note(here, self._line)
            else:
                self._pair(here)

    def _one_more(self, key: Path) -> Path:
        array = (*self._within(key[:-1]), key[-1])
        index = self._tables[array] = self._tables.get(array, -1) + 1
        self._note(array, self._line)
        self.lines[(*array, index)] = self._line
        return (*array, index)

    def _within(self, key: Path) -> Path:
        path: Path = ()
        for part in key:
            path = (*path, part)
            if path in self._tables:
                path = (*path, self._tables[path])
        return path

    def _note(self, path: Path, line: int) -> None:
        """Remember where a key stands; `[a.b]` is also where `a` stands, unless it was seen before."""
        for length in range(1, len(path) + 1):
            self.lines.setdefault(path[:length], line)

    def _pair(self, here: Path) -> None:
        line = self._line
        path = (*here, *self._key())
        self._note(path, line)
        self._move(1)  # the equals sign
        self._value(path)

    def _key(self) -> Path:
        parts: list[str] = []
        while True:
            self._skip(_SPACES)
            start = self._at
            if self._text[start] in "\"'":
                self._string()
                parts.append(next(iter(tomllib.loads(self._text[start : self._at] + "=0"))))
            else:
                while self._text[self._at].isalnum() or self._text[self._at] in "-_":
                    self._move(1)
                parts.append(self._text[start : self._at])
            self._skip(_SPACES)
            if self._text[self._at] != ".":
                return tuple(parts)
            self._move(1)

    def _value(self, path: Path) -> None:
        self._skip(_SPACES)
        first = self._text[self._at]
        if first in "\"'":
            self._string()
        elif first == "[":
            self._list(path)
        elif first == "{":
            self._table(path)
        else:
            while self._text[self._at] not in _BARE_ENDS:
                self._move(1)

    def _list(self, path: Path) -> None:
        self._move(1)
        index = 0
        while self._skip(_SPACES) and self._text[self._at] != "]":
            if self._text[self._at] == ",":
                self._move(1)
                continue
            self.lines[(*path, index)] = self._line
            self._value((*path, index))
            index += 1
        self._move(1)

    def _table(self, path: Path) -> None:
        self._move(1)
        while self._skip(_SPACES) and self._text[self._at] != "}":
            if self._text[self._at] == ",":
                self._move(1)
                continue
            self._pair(path)
        self._move(1)

    def _string(self) -> None:
        quote = self._text[self._at]
        end = quote * 3 if self._text.startswith(quote * 3, self._at) else quote
        self._move(len(end))
        while not self._text.startswith(end, self._at):
            self._move(2 if self._text[self._at] == "\\" and quote == '"' else 1)
        self._move(len(end))
        while len(end) == 3 and self._text[self._at] == quote:  # up to two quotes may stand before the closing three
            self._move(1)

    def _skip(self, chars: frozenset[str]) -> bool:
        """Pass over space and comments; tell whether anything is left."""
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == "#":
                self._move(self._text.index("\n", self._at) - self._at)
            elif char in chars:
                self._move(1)
            else:
                return True
        return False

    def _move(self, count: int) -> None:
        self._line += self._text.count("\n", self._at, self._at + count)
        self._at += count
