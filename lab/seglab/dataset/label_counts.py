"""Counts the rows of a dataset by label, and finds messages that are in two parts."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from seglab.core.seeds import derive
from seglab.core.text import count
from seglab.dataset.columns import LABELS, SPLITS
from seglab.dataset.splits import PARTS

_T = TypeVar("_T")

_SIZES_MAX = 10_000  # a session with more segments or reads counts as one with so many
_KINDS_MAX = 10_000  # so many kinds of rows are kept apart at most before they are counted
_COLUMNS = tuple(dict.fromkeys((*LABELS, *SPLITS, "network", "style")))
_COUNTED = itemgetter(*_COLUMNS)
_OF_MESSAGE = itemgetter(*SPLITS, "payload_sha256", "message_id")


@dataclass(slots=True)
class LabelCounts:
    """How many rows of a dataset have each label, part and number of segments.

    It stays small however many rows are added.

    Attributes:
        sessions: how many rows there are.
        labels: rows in each part of ``split``, by label column and value.
        splits: rows in each part, by split column.
        networks: rows in each part of ``split_network``, by network. The part ``None`` counts the
            rows that belong to no part.
        segments: sessions by their number of segments, by style.
        reads: sessions by their number of reads, by style.
    """

    sessions: int = 0
    labels: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)
    splits: dict[str, Counter[str]] = field(default_factory=dict)
    networks: dict[str, Counter[str | None]] = field(default_factory=dict)
    segments: dict[str, Counter[int]] = field(default_factory=dict)
    reads: dict[str, Counter[int]] = field(default_factory=dict)
    _new: Counter[tuple[Any, ...]] = field(default_factory=Counter)

    def add(self, row: dict[str, Any]) -> None:
        """Count a row; ``settle`` must be called before the counts are read.

        Many rows are alike in all that is counted, so a row costs one count here.
        """
        sizes = len(row["segments"]), len(row["reads"])
        self._new[(*_COUNTED(row), *sizes)] += 1
        if len(self._new) > _KINDS_MAX:
            self.settle()

    def settle(self) -> None:
        """Count by label what was added since the last call."""
        for (*values, segments, reads), rows in self._new.items():
            row = dict(zip(_COLUMNS, values, strict=True))
            self._add_alike(row, rows)
            for counts, layer in ((self.segments, segments), (self.reads, reads)):
                counts.setdefault(row["style"], Counter())[min(layer, _SIZES_MAX)] += rows
        self._new.clear()

    def _add_alike(self, row: dict[str, Any], rows: int) -> None:
        self.sessions += rows
        for column in LABELS:
            values = self.labels.setdefault(column, {})
            values.setdefault(row[column] or "null", Counter())[row["split"]] += rows
        for column in SPLITS:
            if row[column] is not None:
                self.splits.setdefault(column, Counter())[row[column]] += rows
        self.networks.setdefault(row["network"], Counter())[row["split_network"]] += rows

    def merge(self, other: "LabelCounts") -> None:
        """Add the rows that another one has counted."""
        other.settle()
        self.sessions += other.sessions
        for column, values in other.labels.items():
            _add(self.labels.setdefault(column, {}), values)
        _add(self.splits, other.splits)
        _add(self.networks, other.networks)
        _add(self.segments, other.segments)
        _add(self.reads, other.reads)

    def missing_labels(self) -> Iterator[str]:
        """Describe each label that one part of ``split`` has and another part lacks.

        A part without any row lacks nothing.
        """
        self.settle()
        there = [part for part in PARTS if self.splits.get("split", Counter())[part]]
        for column in ("style", "terminator", "path_condition"):
            for value, counts in sorted(self.labels.get(column, {}).items()):
                for part in there:
                    if not counts[part]:
                        yield (
                            f"{part} has no session with {column} {value}, of which there are "
                            f"{sum(counts.values())}; more repeats, or a larger part"
                        )


def _add(counts: dict[str, Counter[_T]], others: dict[str, Counter[_T]]) -> None:
    """Add counters to those of the same names."""
    for name, counter in others.items():
        counts.setdefault(name, Counter()).update(counter)


class Leaks:
    """Finds messages that are in two parts. It keeps eight bytes for each message and part."""

    def __init__(self) -> None:
        self._compact: dict[tuple[str, str], list[npt.NDArray[np.uint64]]] = {}
        self._new: set[tuple[str | None, ...]] = set()

    def add(self, row: dict[str, Any]) -> None:
        """Remember a row's message and payload for each part that the row is in."""
        self._new.add(_OF_MESSAGE(row))

    def merge(self, other: "Leaks") -> None:
        """Add what another one has settled."""
        for key, digests in other._compact.items():
            self._compact.setdefault(key, []).extend(digests)

    def settle(self) -> None:
        """Store what was added since the last call in its compact form."""
        digests: dict[tuple[str, str], set[int]] = {}
        for *values, payload, message in self._new:
            for what, value in (("payload_sha256", payload), ("message_id", message)):
                if value is None:
                    continue
                digest = _digest(what, value)
                for column, part in zip(SPLITS, values, strict=True):
                    if part is not None:
                        digests.setdefault((column, f"{what} {part}"), set()).add(digest)
        for key, values_ in digests.items():
            numbers = np.fromiter(values_, dtype=np.uint64, count=len(values_))
            self._compact.setdefault(key, []).append(numbers)
        self._new = set()

    def found(self) -> Iterator[tuple[str, str]]:
        """Yield a split column, and words that say what is in two of its parts."""
        self.settle()
        for column in SPLITS:
            for what in ("payload_sha256", "message_id"):
                sets = {
                    part: np.unique(np.concatenate(self._compact[key]))
                    for part in PARTS
                    if (key := (column, f"{what} {part}")) in self._compact
                }
                for at, one in enumerate(PARTS):
                    for other in PARTS[at + 1 :]:
                        if one in sets and other in sets:
                            both = np.intersect1d(sets[one], sets[other], assume_unique=True)
                            if len(both):
                                yield column, _shared(what, one, other, both)


def _shared(what: str, one: str, other: str, both: npt.NDArray[np.uint64]) -> str:
    are = "is" if len(both) == 1 else "are"
    if what == "message_id":
        messages = count(len(both), "message")
        return f"{messages} (message_id) {are} in {one} as well as in {other}"
    return (
        f"{count(len(both), 'payload')} {are} in {one} as well as in {other}, "
        f"such as the one whose payload_sha256 begins with {int(both[0]):016x}"
    )


def _digest(what: str, value: str) -> int:
    """64 bits that stand for a message: of a SHA-256, its first ones."""
    if what == "payload_sha256":
        try:
            return int(value[:16], 16)
        except ValueError:
            pass
    return derive(0, value)
