"""Finds the line of every key in a TOML document, which `tomllib` does not tell.

A scanner, not a parser: it is only run on text that `tomllib` has accepted, so it looks for where keys
and values begin and end and judges nothing.
"""

import re
import tomllib
from bisect import bisect_left
from collections.abc import Mapping

Path = tuple[str | int, ...]

_GAP = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r'"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|[A-Za-z0-9_-]+')
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})|\'\'\'.*?\'\'\'(?:\'{0,2})|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'', re.DOTALL
)
_BARE = re.compile(r"[^,\]}\n#]*")  # numbers, booleans, dates (which may hold a space)


def find_lines(text: str) -> Mapping[Path, int]:
    """Map the path of each table, key and array element (``("sites", "cafe", "sources", 0)``) to its line.

    Lines count from 1. `text` must be valid TOML.
    """
    return _Scanner(text).scan()


def line_of(path: Path, lines: Mapping[Path, int]) -> int:
    """Look up the line of `path`, or of the closest table around it when the key is not in the file."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._newlines = [match.start() for match in re.finditer("\n", text)]
        self._elements: dict[Path, int] = {}  # path of an array of tables → index of its last table
        self._lines: dict[Path, int] = {}

    def scan(self) -> Mapping[Path, int]:
        table: Path = ()
        while self._peek():
            if self._peek() == "[":
                table = self._header()
            else:
                self._pair(table)
        return self._lines

    def _peek(self) -> str:
        self._skip(_GAP)
        return self._text[self._at : self._at + 1]

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        assert match, "find_lines is for text that tomllib accepted"
        self._at = match.end()
        return match.group()

    def _record(self, path: Path, start: int) -> None:
        line = bisect_left(self._newlines, start) + 1
        for depth in range(1, len(path) + 1):
            self._lines.setdefault(path[:depth], line)

    def _dotted_key(self) -> tuple[str, ...]:
        parts = [self._key()]
        while self._peek() == ".":
            self._at += 1
            parts.append(self._key())
        return tuple(parts)

    def _key(self) -> str:
        self._peek()
        token = self._skip(_KEY)
        return tomllib.loads(f"key = {token}")["key"] if token[0] in "\"'" else token

    def _header(self) -> Path:
        start = self._at
        brackets = 2 if self._text.startswith("[[", start) else 1
        self._at += brackets
        path = self._into_last_elements(self._dotted_key(), array=brackets == 2)
        self._peek()
        self._at += brackets
        self._record(path, start)
        return path

    def _into_last_elements(self, key: tuple[str, ...], *, array: bool) -> Path:
        path: Path = ()
        for position, part in enumerate(key, start=1):
            path = (*path, part)
            if array and position == len(key):
                self._elements[path] = self._elements.get(path, -1) + 1
            if path in self._elements:
                path = (*path, self._elements[path])
        return path

    def _pair(self, table: Path) -> None:
        self._peek()
        start = self._at
        path = (*table, *self._dotted_key())
        self._record(path, start)
        self._peek()
        self._at += 1  # the equals sign
        self._value(path)

    def _value(self, path: Path) -> None:
        match self._peek():
            case "[":
                self._array(path)
            case "{":
                self._inline_table(path)
            case '"' | "'":
                self._skip(_STRING)
            case _:
                self._skip(_BARE)

    def _array(self, path: Path) -> None:
        self._at += 1
        index = 0
        while self._peek() not in ("]", ""):
            self._record((*path, index), self._at)
            self._value((*path, index))
            index += 1
            self._skip_comma()
        self._at += 1

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        while self._peek() not in ("}", ""):
            self._pair(path)
            self._skip_comma()
        self._at += 1

    def _skip_comma(self) -> None:
        if self._peek() == ",":
            self._at += 1
