"""Counts of answers by truth, and what follows from them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import fmean


def f1(precision: float | None, recall: float | None) -> float | None:
    """The harmonic mean; ``None`` where neither is known, 0 where one of them is 0."""
    if precision is None and recall is None:
        return None
    if not precision or not recall:
        return 0.0
    return 2 * precision * recall / (precision + recall)


def share(part: int, whole: int) -> float | None:
    """A share; ``None`` of nothing."""
    return part / whole if whole else None


@dataclass(frozen=True, slots=True)
class Score:
    """How well one label is recognised.

    Attributes:
        label: the label.
        sessions: in which it is the truth.
        precision: the share of right answers among those with this label; ``None`` for none.
        recall: the share of its sessions that were answered right; an abstention is a miss.
        f1: of precision and recall; 0 where a label that occurs was never recognised.
    """

    label: str
    sessions: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True, slots=True)
class Confusion:
    """A confusion matrix.

    Attributes:
        counts: how often, by truth and answer; an answer of ``None`` is an abstention.
    """

    counts: Counter[tuple[str, str | None]] = field(default_factory=Counter)

    def add(self, truth: str, answer: str | None) -> None:
        """Count one answer."""
        self.counts[truth, answer] += 1

    @classmethod
    def joined(cls, parts: Iterable["Confusion"]) -> "Confusion":
        """All answers of several matrices."""
        whole: Counter[tuple[str, str | None]] = Counter()
        for part in parts:
            whole.update(part.counts)
        return cls(whole)

    @property
    def total(self) -> int:
        """All answers, abstentions included."""
        return self.counts.total()

    @property
    def right(self) -> int:
        """Answers that are the truth."""
        return sum(n for (truth, answer), n in self.counts.items() if truth == answer)

    @property
    def abstained(self) -> int:
        """Sessions without an answer."""
        return sum(n for (_, answer), n in self.counts.items() if answer is None)

    @property
    def labels(self) -> tuple[str, ...]:
        """All truths and answers, in alphabetical order."""
        found = {label for pair in self.counts for label in pair if label is not None}
        return tuple(sorted(found))

    def score(self, label: str) -> Score:
        """How well one label is recognised."""
        true = sum(n for (truth, _), n in self.counts.items() if truth == label)
        answered = sum(n for (_, answer), n in self.counts.items() if answer == label)
        hit = self.counts[label, label]
        precision, recall = share(hit, answered), share(hit, true)
        return Score(label, true, precision, recall, f1(precision, recall))

    def scores(self) -> tuple[Score, ...]:
        """The scores of all labels that are the truth of some session."""
        truths = sorted({truth for truth, _ in self.counts})
        return tuple(self.score(label) for label in truths)

    @property
    def macro_f1(self) -> float | None:
        """The mean F1 of the labels that are the truth of some session."""
        values = [score.f1 or 0.0 for score in self.scores()]
        return fmean(values) if values else None

    def to_dict(self) -> dict[str, object]:
        """For JSON: rows of truths with their answers, and the scores."""
        rows: dict[str, dict[str, int]] = {}
        for (truth, answer), number in sorted(self.counts.items(), key=str):
            rows.setdefault(truth, {})[answer or "abstained"] = number
        return {
            "sessions": self.total,
            "right": self.right,
            "abstained": self.abstained,
            "macro_f1": self.macro_f1,
            "matrix": rows,
            "scores": [
                {name: getattr(score, name) for name in Score.__slots__} for score in self.scores()
            ],
        }


@dataclass(slots=True)
class BoundaryCounts:
    """How often boundaries between writes were found.

    Attributes:
        written: all boundaries.
        visible: those that the layer shows.
        found: visible boundaries that were named.
        named: boundaries that were named.
        named_right: named boundaries at which a write ended, whether visible or hidden.
    """

    written: int = 0
    visible: int = 0
    found: int = 0
    named: int = 0
    named_right: int = 0

    def add(self, written: frozenset[int], visible: frozenset[int], named: frozenset[int]) -> None:
        """Count one session."""
        self.written += len(written)
        self.visible += len(visible)
        self.found += len(visible & named)
        self.named += len(named)
        self.named_right += len(written & named)

    @property
    def precision(self) -> float | None:
        """The share of named boundaries where a write ended."""
        return share(self.named_right, self.named)

    @property
    def recall(self) -> float | None:
        """The share of visible boundaries that were named."""
        return share(self.found, self.visible)

    @property
    def f1(self) -> float | None:
        """The harmonic mean of precision and recall."""
        return f1(self.precision, self.recall)

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "written": self.written,
            "traced": self.visible,
            "found": self.found,
            "named": self.named,
            "named_right": self.named_right,
            "untraced": self.written - self.visible,
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
        }
