"""A run's summary as ``--json`` prints it and as ``summary.json`` keeps it, read back.

Only what a comparison of two runs needs is declared here. The decoder ignores every other field,
so that a reference can be read that an older or a newer version of the lab has written.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from seglab.core import decoding
from seglab.reproduction.paper import Sizes


class StoredOccurrence(msgspec.Struct, frozen=True):
    """A sequence of sizes, and the number of the lab's sessions in which it occurs."""

    sizes: Sizes
    lab: int


class StoredSequences(msgspec.Struct, frozen=True):
    """The sequences of an experiment: those that the paper prints, and the others."""

    lab_sessions: int
    printed: tuple[StoredOccurrence, ...] = ()
    others: tuple[StoredOccurrence, ...] = ()


class StoredMedium(msgspec.Struct, frozen=True):
    """One row of Table 1."""

    name: str
    timestamps: bool
    largest: Sizes


class StoredSeen(msgspec.Struct, frozen=True):
    """How the sessions compare with a listing or with Table 1."""

    sessions: int
    matching: int | None = None
    media: tuple[StoredMedium, ...] = ()


class StoredReadCounts(msgspec.Struct, frozen=True):
    """The mean number of reads in a session, and p of the permutation test against the paper."""

    lab_mean: float | None = None
    p: float | None = None


class StoredVerdict(msgspec.Struct, frozen=True):
    """The verdict on one of the scenarios 1 to 3."""

    read_counts: StoredReadCounts | None = None


class StoredScenario(msgspec.Struct, frozen=True):
    """One scenario of a stored summary."""

    name: str
    sequences: StoredSequences
    reproduced: bool | None = None
    verdict: StoredVerdict | None = None
    seen: StoredSeen | None = None


class StoredSummary(msgspec.Struct, frozen=True):
    """A run's summary, as much of it as a comparison needs."""

    scenarios: tuple[StoredScenario, ...]

    @classmethod
    def from_json(cls, text: bytes) -> "StoredSummary":
        """The summary that ``seglab reproduce --json`` printed.

        Raises:
            InputError: the text is not such a summary.
        """
        return decoding.from_json(text, cls, "the summary of a run")

    @classmethod
    def of(cls, summary: Mapping[str, Any]) -> "StoredSummary":
        """The summary from the data that ``RunSummary.to_dict`` returns."""
        return msgspec.convert(summary, type=cls)
