"""A score from a verdict: weights that a user sets, added up.

A first-layer daemon such as Postscreen adds up weights of what it knows of a client before it
spends more on it. Whether a style means spam is such a weight, and not a fact; ``example.toml``
beside this file says so too. What a verdict leaves open counts zero. A set of styles counts with
the mean of its members; the score also has the range that the members span.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Final

from seglab.classification.classifier import Verdict
from seglab.core.labels import PATH_CONDITIONS, STYLES, TERMINATORS
from seglab.core.specfile import SpecTable, decode, read
from seglab.errors import InputError

EXAMPLE: Final = "example"
"""The name of the shipped file, accepted where a path is expected."""

WEIGHT_MAX: Final = 1_000_000
_BUFFER_MAX = 1 << 30


@dataclass(frozen=True, slots=True)
class WeightedScore:
    """The sum of the weights of one verdict.

    Attributes:
        total: the sum; a set of styles counts with the mean of its members.
        parts: what each of these adds: ``style``, ``terminator``, ``buffer``, ``path_condition``.
        low: the smallest sum that a member of the set would give.
        high: the largest sum that a member of the set would give.
    """

    total: float
    parts: Mapping[str, float]
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Weights:
    """What each value of a verdict weighs; a value without a weight counts zero.

    Attributes:
        style: by style.
        terminator: by terminator.
        path_condition: by path condition.
        buffer: by size of the sender's buffer in bytes.
    """

    style: Mapping[str, float] = field(default_factory=dict)
    terminator: Mapping[str, float] = field(default_factory=dict)
    path_condition: Mapping[str, float] = field(default_factory=dict)
    buffer: Mapping[int, float] = field(default_factory=dict)

    def score(self, verdict: Verdict) -> WeightedScore:
        """Add up the weights of a verdict."""
        members = [self.style.get(style, 0.0) for style in verdict.styles] or [0.0]
        others = {
            "terminator": self.terminator.get(verdict.terminator or "", 0.0),
            "buffer": self.buffer.get(verdict.buffer or 0, 0.0),
            "path_condition": self.path_condition.get(verdict.path_condition or "", 0.0),
        }
        mean = sum(members) / len(members)
        rest = sum(others.values())
        return WeightedScore(
            mean + rest, {"style": mean, **others}, min(members) + rest, max(members) + rest
        )


def load(path: str | Path) -> Weights:
    """Read the weights of a file; ``example`` is the shipped one.

    Raises:
        InputError: the file cannot be read, or holds something that is no weight; says where.
    """
    if str(path) == EXAMPLE and not Path(path).exists():
        data = resources.files("seglab.classification").joinpath("example.toml").read_bytes()
        return parse(SpecTable(EXAMPLE, decode(data, EXAMPLE)))
    return parse(SpecTable(str(path), read(Path(path))))


def parse(table: SpecTable) -> Weights:
    """Read the weights of a decoded file.

    Raises:
        InputError: a key is not known, or a value is no weight.
    """
    table.only(("style", "terminator", "path_condition", "buffer"))
    return Weights(
        style=_numbers(table.table("style"), STYLES),
        terminator=_numbers(table.table("terminator"), TERMINATORS),
        path_condition=_numbers(table.table("path_condition"), PATH_CONDITIONS),
        buffer=_buffers(table.table("buffer")),
    )


def _numbers(table: SpecTable, known: tuple[str, ...]) -> dict[str, float]:
    table.only(known)
    return {key: _weight(table, key) for key, _ in table.items()}


def _buffers(table: SpecTable) -> dict[int, float]:
    return {_buffer(table, key): _weight(table, key) for key, _ in table.items()}


def _buffer(table: SpecTable, key: str) -> int:
    if key.isascii() and key.isdecimal() and len(key) < 11 and 0 < int(key) <= _BUFFER_MAX:
        return int(key)
    raise InputError(
        f"{table.where}: expected buffers in bytes as keys, such as 2048, found {key[:40]!a}"
    )


def _weight(table: SpecTable, key: str) -> float:
    expected = f"a number from -{WEIGHT_MAX} to {WEIGHT_MAX}"
    value = table.number(key, expected=expected)
    if abs(value) > WEIGHT_MAX:
        raise table.problem(key, expected, value)
    return value
