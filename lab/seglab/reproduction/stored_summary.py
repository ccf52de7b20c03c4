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
    """A sequence of sizes, and in how many sessions of the lab it occurs."""

    sizes: Sizes
    lab: int


class StoredSequences(msgspec.Struct, frozen=True):
    """The sequences of an experiment, printed ones and others."""

    lab_sessions: int
    printed: tuple[StoredOccurrence, ...] = ()
    others: tuple[StoredOccurrence, ...] = ()


class StoredMedium(msgspec.Struct, frozen=True):
    """One row of Table 1."""

    name: str
    timestamps: bool
    largest: Sizes


class StoredSeen(msgspec.Struct, frozen=True):
    """What became of a listing or of Table 1, as much as is compared."""

    sessions: int
    matching: int | None = None
    media: tuple[StoredMedium, ...] = ()


class StoredReadCounts(msgspec.Struct, frozen=True):
    """Reads a session, and the p of the permutation test against the paper's."""

    lab_mean: float | None = None
    p: float | None = None


class StoredVerdict(msgspec.Struct, frozen=True):
    """A verdict, as much as is compared."""

    read_counts: StoredReadCounts | None = None


class StoredScenario(msgspec.Struct, frozen=True):
    """One experiment of a stored summary."""

    name: str
    sequences: StoredSequences
    reproduced: bool | None = None
    verdict: StoredVerdict | None = None
    seen: StoredSeen | None = None


class StoredSummary(msgspec.Struct, frozen=True):
    """A run's summary as ``--json`` prints it, as much as is compared."""

    scenarios: tuple[StoredScenario, ...]

    @classmethod
    def from_json(cls, text: bytes) -> "StoredSummary":
        """The summary that ``seglab reproduce --json`` printed.

        Raises:
            InputError: it is none.
        """
        return decoding.from_json(text, cls, "the summary of a run")

    @classmethod
    def of(cls, summary: Mapping[str, Any]) -> "StoredSummary":
        """The summary from its own JSON data."""
        return msgspec.convert(summary, type=cls)
