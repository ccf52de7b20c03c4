"""The numbers that the paper published, read once from ``paper.json`` beside this file."""

from functools import cache
from importlib import resources
from typing import Final

import msgspec

from seglab.errors import InputError, nearest

Sizes = tuple[int, ...]
"""The sizes of one session in order, in bytes: of its server reads, or of its segments."""


MTU_TABLE: Final = "mtu_table"
"""The key of Table 1."""


class PublishedScenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of the paper's three experiments.

    Attributes:
        writes: the size of each write.
        gap_ms: the pause between two writes; ``None`` where there is one write.
        sessions: the sizes of the reads, session by session, as printed.
        note: the paper's own remark, or ours about it.
    """

    writes: Sizes
    gap_ms: float | None
    sessions: tuple[Sizes, ...]
    note: str = ""

    @property
    def distinct(self) -> tuple[Sizes, ...]:
        """Each sequence once, in the order of its first appearance."""
        return tuple(dict.fromkeys(self.sessions))

    @property
    def payload_bytes(self) -> int:
        """The number of bytes that each session carried."""
        return sum(self.writes)


class PublishedListing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of the paper's Listings 3 to 13.

    Attributes:
        style: the paper's name for the sender or the path.
        sizes: the sizes as printed; ``None`` if the text of the paper lost them.
        complete: whether the printed rows are the whole message.
        note: a remark about them, the paper's or ours.
    """

    style: str
    sizes: Sizes | None
    complete: bool
    note: str = ""


class PublishedTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The paper's Table 1.

    Attributes:
        mtus: the MTU of each medium, in bytes.
    """

    mtus: dict[str, int]


Published = PublishedScenario | PublishedListing | PublishedTable


class Paper(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All numbers of the paper.

    Attributes:
        source: the authors, the title and the conference.
        unit: what a number of a sequence counts.
        scenarios: the experiments, by number.
        listings: the listings, by number.
        mtu_table: Table 1: the MTU of each medium, in bytes.
    """

    source: str
    unit: str
    scenarios: dict[int, PublishedScenario]
    listings: dict[int, PublishedListing]
    mtu_table: dict[str, int]


@cache
def paper() -> Paper:
    """The paper's numbers, from the package's own data."""
    data = resources.files("seglab.reproduction").joinpath("paper.json").read_bytes()
    return msgspec.json.decode(data, type=Paper, strict=False)


def keys() -> tuple[str, ...]:
    """All keys that ``published`` knows: ``scenarios.1``, ``listings.3``... and ``mtu_table``."""
    numbers = paper()
    return (
        *(f"scenarios.{number}" for number in numbers.scenarios),
        *(f"listings.{number}" for number in numbers.listings),
        MTU_TABLE,
    )


def published(key: str) -> Published:
    """The numbers that a scenario's ``published`` key names.

    Raises:
        InputError: the paper has nothing of that key.
    """
    if key not in keys():
        raise InputError(f"the paper has no {key!r}; {nearest(key, keys())}")
    if key == MTU_TABLE:
        return PublishedTable(paper().mtu_table)
    kind, _, number = key.partition(".")
    if kind == "scenarios":
        return paper().scenarios[int(number)]
    return paper().listings[int(number)]
