"""What a dataset has of everything: counts that grow row by row, and stay small."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from seglab.core.seeds import derive
from seglab.core.text import count
from seglab.dataset.columns import LABELS, SPLITS
from seglab.dataset.splits import PARTS

_CAP = 10_000


@dataclass(slots=True)
class Tally:
    """Counts of a dataset's rows.

    Attributes:
        sessions: how many.
        labels: by label column and value, how many in each part of ``split``.
        splits: by split column, how many in each part.
        networks: by network, how many in each part of ``split_network``, ``None`` for neither.
        segments: how many sessions have so many segments, by style.
        reads: likewise for reads.
    """

    sessions: int = 0
    labels: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)
    splits: dict[str, Counter[str]] = field(default_factory=dict)
    networks: dict[str, Counter[str | None]] = field(default_factory=dict)
    segments: dict[str, Counter[int]] = field(default_factory=dict)
    reads: dict[str, Counter[int]] = field(default_factory=dict)

    def add(self, row: dict[str, Any]) -> None:
        """Count a row."""
        self.sessions += 1
        for column in LABELS:
            values = self.labels.setdefault(column, {})
            values.setdefault(row[column] or "null", Counter())[row["split"]] += 1
        for column in SPLITS:
            if row[column] is not None:
                self.splits.setdefault(column, Counter())[row[column]] += 1
        self.networks.setdefault(row["network"], Counter())[row["split_network"]] += 1
        for counts, layer in ((self.segments, "segments"), (self.reads, "reads")):
            counts.setdefault(row["style"], Counter())[min(len(row[layer]), _CAP)] += 1

    def gaps(self) -> Iterator[str]:
        """Labels that one part of ``split`` has and another, which is not empty, has not."""
        there = [part for part in PARTS if self.splits.get("split", Counter())[part]]
        for column in ("style", "terminator", "path_condition"):
            for value, counts in sorted(self.labels.get(column, {}).items()):
                for part in there:
                    if not counts[part]:
                        yield (
                            f"{part} has no session with {column} {value}, of which there are "
                            f"{sum(counts.values())}; more repeats, or a larger part"
                        )


class Leaks:
    """Finds messages that are in two parts, at nine bytes a message and part."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], list[npt.NDArray[np.uint64]]] = {}
        self._new: dict[tuple[str, str, str], set[int]] = {}

    def add(self, row: dict[str, Any]) -> None:
        """Take a row's message into account."""
        for column in SPLITS:
            part = row[column]
            if part is None:
                continue
            for what in ("payload_sha256", "message_id"):
                value = row[what]
                if value is not None:
                    self._new.setdefault((column, what, part), set()).add(_digest(what, value))

    def settle(self) -> None:
        """Put what was taken since the last time into its compact form."""
        for (column, what, part), values in self._new.items():
            found = np.fromiter(values, dtype=np.uint64, count=len(values))
            self._seen.setdefault((column, f"{what} {part}"), []).append(found)
        self._new = {}

    def found(self) -> Iterator[tuple[str, str]]:
        """What is in two parts, in words, and by which column."""
        self.settle()
        for column in SPLITS:
            for what in ("payload_sha256", "message_id"):
                sets = {
                    part: np.unique(np.concatenate(self._seen[key]))
                    for part in PARTS
                    if (key := (column, f"{what} {part}")) in self._seen
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
    if what == "payload_sha256":
        try:
            return int(value[:16], 16)
        except ValueError:
            pass
    return derive(0, value)
