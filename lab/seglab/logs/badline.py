"""A line of a log that is none of the formats."""

from dataclasses import dataclass

from seglab.core.text import quoted

_FOUND_MAX = 48


class LineError(Exception):
    """A line cannot be used; the text says what was expected, and what is wrong."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """What is wrong with a line that was skipped.

    Attributes:
        name: of the log.
        number: of the line, from 1.
        problem: what was expected, and what was found; safe on a terminal.
    """

    name: str
    number: int
    problem: str

    def __str__(self) -> str:
        return f"{self.name}: line {self.number}: {self.problem}"


def excerpt(line: bytes) -> str:
    """Return the beginning of a line, in quotes and safe on a terminal."""
    return f"'{quoted(line, _FOUND_MAX)}'"
