"""Reads TOML files that a stranger may have written, and says in one line what is wrong in them.

Every message has the form ``file: key.path: expected what, found what``. Where a name is unknown,
the message has the nearest known one.
"""

import math
import re
import stat
import tomllib
from collections.abc import Collection, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, cast

from seglab.core.parameters import shown
from seglab.core.text import one_line
from seglab.errors import InputError, nearest

SIZE_MAX_BYTES = 1 << 20
"""The largest file that is read."""

KEY_PARTS_MAX = 16
"""The most parts of a dotted key, such as ``links.access.delay_ms``, which has three.

``tomllib`` takes memory as the square of this number: a key of 100 000 parts takes 23 GB.
"""

_PART = r"[\w-]++"
_LONG_KEY = re.compile(rf"(?<![\w-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{KEY_PARTS_MAX},}}+")
_STRING_OR_COMMENT = re.compile("[\"'#]")

_UNITS = {
    "_ms": "milliseconds",
    "_pct": "per cent",
    "_mbit": "Mbit/s",
    "_bytes": "bytes",
    "_s": "seconds",
}
_TEXT_MAX = 1000
_LINES_MAX = 1 << 16
_MISSING = object()
_T = TypeVar("_T", bound=str)


def unit_of(key: str) -> str:
    """The unit in the ending of a key, in words; the key itself where its ending is no unit."""
    return next((unit for ending, unit in _UNITS.items() if key.endswith(ending)), key)


def read(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        InputError: it cannot be read, is no regular file, is too large, or is not TOML.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"{path}: expected a regular file")
        with path.open("rb") as file:
            data = file.read(SIZE_MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    if len(data) > SIZE_MAX_BYTES:
        raise InputError(f"{path}: larger than {SIZE_MAX_BYTES} bytes, the limit for such a file")
    return decode(data, str(path))


def decode(data: bytes, where: str) -> dict[str, Any]:
    """Parse TOML text.

    Raises:
        InputError: it is not TOML, and the message has the line and column of the first mistake; or
            reading it would take too much memory or time.
    """
    if len(data) > SIZE_MAX_BYTES:
        raise InputError(f"{where}: larger than {SIZE_MAX_BYTES} bytes, the limit for such a file")
    try:
        text = data.decode()
        _refuse_long_keys(text, where)
        return tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{where}: not UTF-8 at line {line}") from error
    except tomllib.TOMLDecodeError as error:
        last_line = len(data.splitlines())
        end = f"at line {last_line}, the end of the file"
        found = one_line(str(error)).replace("at end of document", end)
        raise InputError(f"{where}: not TOML: {found}") from error
    except RecursionError as error:
        raise InputError(f"{where}: not usable TOML: nested too deeply") from error
    except ValueError as error:  # Python refuses to convert numbers of thousands of digits
        raise InputError(f"{where}: not usable TOML: a number has too many digits") from error


def _refuse_long_keys(text: str, where: str) -> None:
    """Refuse a dotted key of too many parts, before anything is parsed.

    Raises:
        InputError: there is such a key; says at which line.
    """
    code = _without_strings(text)
    if found := _LONG_KEY.search(code):
        line = code.count("\n", 0, found.start()) + 1
        raise InputError(
            f"{where}: not usable TOML: line {line} has a key of {found[0].count('.') + 1} parts; "
            f"expected {KEY_PARTS_MAX} at most"
        )


def _without_strings(text: str) -> str:
    """TOML text with ``_`` for each string and without comments, on the same lines.

    A dotted key keeps its number of parts that way. The result ends at the first string that has
    no end, where parsing ends as well. Each character is read once, whatever the text is.
    """
    code = []
    at = 0
    while match := _STRING_OR_COMMENT.search(text, at):
        start = match.start()
        code.append(text[at:start])
        if match[0] == "#":
            at = text.find("\n", start)
        else:
            at = _string_end(text, start)
            code.append("_" + "\n" * text.count("\n", start, max(at, start)))
        if at < 0:
            return "".join(code)
    code.append(text[at:])
    return "".join(code)


def _string_end(text: str, start: int) -> int:
    """The offset after the string that begins at ``start``; -1 where it has no end."""
    quote = text[start]
    if text.startswith(quote * 3, start):
        return _find_unescaped(text, quote * 3, start + 3)
    return _find_unescaped(text, quote, start + 1)


def _find_unescaped(text: str, closing: str, at: int) -> int:
    """The offset after the next ``closing``; in a basic string, a backslash escapes one quote."""
    if closing[0] == "'":
        end = text.find(closing, at)
        return end + len(closing) if end >= 0 else -1
    search = re.compile(rf"\\|{closing}").search
    while found := search(text, at):
        if found[0] == closing:
            return found.end()
        at = found.end() + 1
    return -1


class SpecTable:
    """A TOML table that knows its place in a file, and which of its keys were asked for."""

    def __init__(self, where: str, values: dict[str, Any], prefix: str = "") -> None:
        self._root = where
        self._prefix = prefix
        self._values = values
        self._known: set[str] = set()

    @property
    def file(self) -> str:
        """The file that holds it."""
        return self._root

    @property
    def where(self) -> str:
        """The file and the table's path in it, with which a message begins."""
        return f"{self._root}: {self._prefix}" if self._prefix else self._root

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def problem(self, key: str, expected: str, found: object) -> InputError:
        """Make the error for a value that does not fit."""
        return InputError(f"{self._at(key)}: expected {expected}, found {shown(found)}")

    def text(self, key: str, default: str | None = None) -> str:
        """One line of text; required where there is no default."""
        value = self._take(key, default, "one line of text")
        if not isinstance(value, str) or not value.isprintable() or len(value) > _TEXT_MAX:
            raise self.problem(key, f"one line of text of {_TEXT_MAX} characters at most", value)
        return value

    def lines(self, key: str) -> str:
        """Text of any number of lines; required."""
        value = self._take(key, None, "text")
        if not isinstance(value, str) or "\0" in value or len(value) > _LINES_MAX:
            raise self.problem(key, f"text of {_LINES_MAX} characters at most", value)
        return value

    def choice(self, key: str, choices: Collection[_T], default: _T | None = None) -> _T:
        """One of some words; required where there is no default."""
        value = self._take(key, default, f"one of {', '.join(choices)}")
        if not isinstance(value, str):
            raise self.problem(key, f"one of {', '.join(choices)}", value)
        if value not in choices:
            raise InputError(f"{self._at(key)}: unknown {shown(value)}; {nearest(value, choices)}")
        return cast(_T, value)

    def boolean(self, key: str, default: bool | None = None) -> bool:
        """``true`` or ``false``; required where there is no default."""
        value = self._take(key, default, "true or false")
        if not isinstance(value, bool):
            raise self.problem(key, "true or false", value)
        return value

    def integer(
        self,
        key: str,
        minimum: int,
        maximum: int | None = None,
        *,
        default: int | None = None,
        expected: str | None = None,
    ) -> int:
        """A whole number in a range; required where there is no default."""
        if expected is None:
            upper = "or more" if maximum is None else f"to {maximum}"
            expected = f"a whole number, {minimum} {upper}"
        value = self._take(key, default, expected)
        if type(value) is not int or value < minimum or (maximum is not None and value > maximum):
            raise self.problem(key, expected, value)
        return value

    def number(self, key: str, *, expected: str) -> float:
        """A finite number."""
        value = self._take(key, None, expected)
        if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
            raise self.problem(key, expected, value)
        return value

    def integers(self, key: str) -> list[int]:
        """A list of whole numbers."""
        value = self._take(key, None, "a list of whole numbers")
        if not isinstance(value, list) or any(type(item) is not int for item in value):
            raise self.problem(key, "a list of whole numbers", value)
        return value

    def is_word(self, key: str, word: str) -> bool:
        """Whether the value is this word, for a key whose value may also be something else."""
        if self._values.get(key) != word:
            return False
        self._known.add(key)
        return True

    def array(self, key: str, expected: str, *, required: bool = True) -> list[Any]:
        """A list of any values; where it is required, it must not be empty."""
        value = self._take(key, None if required else [], expected)
        if not isinstance(value, list) or (required and not value):
            raise self.problem(key, expected, value)
        return value

    def table(self, key: str) -> "SpecTable":
        """A table below this one; empty where it is absent."""
        value = self._take(key, {}, "a table")
        return self.inside(key, value)

    def inside(self, key: str, value: object) -> "SpecTable":
        """A value, which must be a table, as the table at ``key`` of this one."""
        if not isinstance(value, dict):
            raise self.problem(key, "a table", value)
        return SpecTable(self._root, value, self._path(key))

    def items(self) -> Iterator[tuple[str, Any]]:
        """All keys and values, without any check. All keys count as asked for."""
        self._known |= self._values.keys()
        return iter(self._values.items())

    def only(self, known: Collection[str]) -> None:
        """Refuse keys that are not known; the error has the nearest known one."""
        for key in self._values:
            if key not in known:
                raise InputError(f"{self.where}: unknown key {shown(key)}; {nearest(key, known)}")

    def finish(self) -> None:
        """Refuse keys that nobody has asked for."""
        self.only(self._known)

    def _take(self, key: str, default: object, expected: str) -> object:
        self._known.add(key)
        value = self._values.get(key, _MISSING)
        if value is not _MISSING:
            return value
        if default is None:
            self._refuse_misspelling(key)
            raise InputError(f"{self.where}: {key} is missing; expected {expected}")
        return default

    def _refuse_misspelling(self, key: str) -> None:
        """Raise an error if an unknown key looks like a required one that is missing."""
        strangers = [found for found in self._values if found not in self._known]
        for found in get_close_matches(key, strangers, n=1):
            raise InputError(f"{self.where}: unknown key {shown(found)}; did you mean {key!r}?")

    def _path(self, key: str) -> str:
        return f"{self._prefix}.{key}" if self._prefix else key

    def _at(self, key: str) -> str:
        return f"{self._root}: {self._path(key)}"


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond every float
        return False
