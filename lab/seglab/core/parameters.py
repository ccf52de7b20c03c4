"""The parameters of a sender. Each has a type, a range and a meaning, and checks its values.

The name of a parameter carries its unit (``gap_ms``, ``buffer_bytes``). A value has a type that
TOML and JSON know: an integer, a number, a boolean, a word, or a list of sizes or names. A checked
list is a tuple.
"""

import math
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seglab.core.text import shorten
from seglab.errors import InputError, nearest

Parameters = Mapping[str, Any]
"""The checked values of all parameters of one sender, by name."""

PAYLOAD_MAX_BYTES = 1 << 24
"""The largest payload of a session: 16 MiB, far beyond any mail of the paper."""

_WRITES_MAX = 65_536
_NAMES_MAX = 50
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number from ``minimum`` to ``maximum``, or one of ``choices``."""

    default: int
    minimum: int
    maximum: int
    summary: str
    choices: tuple[int, ...] = ()

    @property
    def expected(self) -> str:
        """The values that fit, in words."""
        if self.choices:
            return f"one of {', '.join(map(str, self.choices))}"
        return f"a whole number from {self.minimum} to {self.maximum}"

    def check(self, value: object) -> int:
        """Return the value if it fits, else raise ValueError."""
        if type(value) is not int or not self.minimum <= value <= self.maximum:
            raise ValueError(self.expected)
        if self.choices and value not in self.choices:
            raise ValueError(self.expected)
        return value


@dataclass(frozen=True, slots=True)
class Number:
    """A number from ``minimum`` to ``maximum``."""

    default: float
    minimum: float
    maximum: float
    summary: str

    @property
    def expected(self) -> str:
        """The values that fit, in words."""
        return f"a number from {self.minimum:g} to {self.maximum:g}"

    def check(self, value: object) -> float:
        """Return the value if it fits, else raise ValueError."""
        if type(value) not in (int, float) or not isinstance(value, int | float):
            raise ValueError(self.expected)
        if not (math.isfinite(value) and self.minimum <= value <= self.maximum):
            raise ValueError(self.expected)
        return value


@dataclass(frozen=True, slots=True)
class Flag:
    """``true`` or ``false``."""

    default: bool
    summary: str

    @property
    def expected(self) -> str:
        """The values that fit, in words."""
        return "true or false"

    def check(self, value: object) -> bool:
        """Return the value if it fits, else raise ValueError."""
        if not isinstance(value, bool):
            raise ValueError(self.expected)
        return value


@dataclass(frozen=True, slots=True)
class Sizes:
    """A list of write sizes in bytes, each at least 1, with a sum that a session can carry."""

    default: tuple[int, ...]
    summary: str

    @property
    def expected(self) -> str:
        """The values that fit, in words."""
        return (
            f"a list of 1 to {_WRITES_MAX} sizes in bytes, each 1 or more, "
            f"{PAYLOAD_MAX_BYTES} bytes together at most"
        )

    def check(self, value: object) -> tuple[int, ...]:
        """Return the value as a tuple if it fits, else raise ValueError."""
        if not isinstance(value, list | tuple) or not 1 <= len(value) <= _WRITES_MAX:
            raise ValueError(self.expected)
        if any(type(size) is not int or size < 1 for size in value):
            raise ValueError(self.expected)
        if sum(value) > PAYLOAD_MAX_BYTES:
            raise ValueError(self.expected)
        return tuple(value)


@dataclass(frozen=True, slots=True)
class Word:
    """One of the words in ``choices``."""

    default: str
    choices: tuple[str, ...]
    summary: str

    @property
    def expected(self) -> str:
        """The values that fit, in words."""
        return f"one of {', '.join(self.choices)}"

    def check(self, value: object) -> str:
        """Return the value if it fits, else raise ValueError."""
        if not isinstance(value, str) or value not in self.choices:
            raise ValueError(self.expected)
        return value


@dataclass(frozen=True, slots=True)
class HeaderNames:
    """A list of names of header fields (RFC 5322, 2.2), no name twice in any case."""

    default: tuple[str, ...]
    summary: str

    @property
    def expected(self) -> str:
        """The values that fit, in words."""
        return (
            f"a list of 1 to {_NAMES_MAX} different names of header fields, "
            "such as 'Subject', of letters, digits and hyphens"
        )

    def check(self, value: object) -> tuple[str, ...]:
        """Return the value as a tuple if it fits, else raise ValueError."""
        if not isinstance(value, list | tuple) or not 1 <= len(value) <= _NAMES_MAX:
            raise ValueError(self.expected)
        if not all(isinstance(name, str) and _HEADER_NAME.fullmatch(name) for name in value):
            raise ValueError(self.expected)
        if len({name.lower() for name in value}) != len(value):
            raise ValueError(self.expected)
        return tuple(value)


Parameter = Integer | Number | Flag | Sizes | Word | HeaderNames


def resolve(
    declared: Mapping[str, Parameter], given: Mapping[str, object], where: str
) -> dict[str, Any]:
    """Check the given values, and add the defaults of all other parameters.

    Args:
        declared: the sender's parameters.
        given: values by name, from a file or an option.
        where: the beginning of an error message.

    Raises:
        InputError: a name is not declared (the message has the nearest one), or a value does
            not fit.
    """
    values: dict[str, Any] = {name: parameter.default for name, parameter in declared.items()}
    for name, value in given.items():
        if name not in declared:
            hint = nearest(name[:_SHOWN_MAX], declared)
            raise InputError(f"{where}: unknown parameter {shown(name)}; {hint}")
        try:
            values[name] = declared[name].check(value)
        except ValueError as error:
            raise InputError(f"{where}.{name}: expected {error}, found {shown(value)}") from error
    return values


def shown(value: object) -> str:
    """Show a value from a stranger's file, in one short line that is safe on a terminal."""
    if isinstance(value, bool):
        return str(value).lower()
    try:
        text = _REPR.repr(value)
    except ValueError:  # an integer of more digits than Python prints
        return "a number of thousands of digits"
    return shorten(text, _SHOWN_MAX)


_SHOWN_MAX = 60
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 50
