"""What the paper published, as values: ``paper.json`` beside this file, read once and typed."""

from functools import cache
from importlib import resources
from typing import Final

import msgspec

from seglab.errors import InputError, nearest

Sizes = tuple[int, ...]
"""Bytes per server read of one session, in order."""


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
        """The different sequences, in the order of their first appearance."""
        return tuple(dict.fromkeys(self.sessions))

    @property
    def payload_bytes(self) -> int:
        """What each session carried."""
        return sum(self.writes)


class PublishedListing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of the paper's Listings 3 to 13.

    Attributes:
        style: the paper's name for the sender or the path.
        sizes: as printed; ``None`` where the text lost them.
        complete: whether the rows printed are the whole message.
        note: what the paper, or we, say about them.
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
        source: authors, title and place.
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
    """All that ``published`` finds: ``scenarios.1``, ``listings.3``... and ``mtu_table``."""
    numbers = paper()
    return (
        *(f"scenarios.{number}" for number in numbers.scenarios),
        *(f"listings.{number}" for number in numbers.listings),
        MTU_TABLE,
    )


def published(key: str) -> Published:
    """What the paper printed under a scenario's ``published`` key.

    Raises:
        InputError: the paper has no such thing.
    """
    if key not in keys():
        raise InputError(f"the paper has no {key!r}; {nearest(key, keys())}")
    if key == MTU_TABLE:
        return PublishedTable(paper().mtu_table)
    kind, _, number = key.partition(".")
    if kind == "scenarios":
        return paper().scenarios[int(number)]
    return paper().listings[int(number)]
