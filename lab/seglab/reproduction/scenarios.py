"""Whether the lab's sessions of a scenario agree with those that the paper printed.

A scenario is reproduced if no session failed and three criteria hold:

(a) every read ends where a segment ends;
(b) every sequence of read sizes that the paper prints occurs in the lab;
(c) a permutation test of the mean number of reads in a session does not distinguish the published
    sessions from the lab's.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from seglab.core.record import SessionRecord
from seglab.core.text import count, p_value, spaced
from seglab.core.trace import boundaries, sizes
from seglab.reproduction.paper import Sizes
from seglab.reproduction.statistics import permutation_p

ALPHA = 0.05
"""The permutation test distinguishes the two groups of sessions if p is below this."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """The outcome of one criterion, ready to print.

    Attributes:
        name: its name, in a word or two.
        title: the condition.
        passed: whether the condition holds.
        words: what was found, in words.
    """

    name: str
    title: str
    passed: bool
    words: str


FAILURES: Final = "failures"
"""The name of the criterion that every session completes."""


def failed_criterion(complete: int, failed: int) -> tuple[Criterion, ...]:
    """The criterion that every session completes; it is left out if it holds.

    Args:
        complete: the number of complete sessions.
        failed: the number of failed sessions.
    """
    if not failed:
        return ()
    words = f"{failed} of {count(complete + failed, 'session')} failed"
    return (Criterion(FAILURES, "every session completes", False, words),)


@dataclass(frozen=True, slots=True)
class ReadEnds:
    """Criterion (a): each read of each session without loss ends where a segment ends.

    Attributes:
        sessions: the number of sessions that were checked: the complete ones without loss.
        reads: the number of their reads.
        violations: each read that does not end where a segment ends, in words.
    """

    sessions: int
    reads: int
    violations: tuple[str, ...]

    def criterion(self) -> Criterion:
        """The outcome; the criterion does not hold if there was nothing to check."""
        if not self.sessions:
            words = "no complete session without loss to check"
        elif self.violations:
            words = (
                f"{len(self.violations)} of {self.reads} reads end inside a segment,"
                f" first: {self.violations[0]}"
            )
        else:
            words = (
                f"all {self.reads} reads of {count(self.sessions, 'session')} without loss"
                " end where a segment ends"
            )
        passed = self.sessions > 0 and not self.violations
        return Criterion("boundaries", "every read ends where a segment ends", passed, words)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A sequence of sizes, and the number of published and of the lab's sessions that have it."""

    sizes: Sizes
    published: int
    lab: int


@dataclass(frozen=True, slots=True)
class Sequences:
    """Criterion (b): every distinct sequence that the paper prints occurs in the lab.

    Attributes:
        published_sessions: the number of sessions that the paper prints.
        lab_sessions: the number of complete sessions of the lab.
        printed: each sequence that the paper prints, the most frequent first.
        others: the lab's sequences that the paper does not print, the most frequent first.
    """

    published_sessions: int
    lab_sessions: int
    printed: tuple[Occurrence, ...]
    others: tuple[Occurrence, ...]

    @property
    def missing(self) -> tuple[Occurrence, ...]:
        """The printed sequences that no session of the lab has."""
        return tuple(item for item in self.printed if not item.lab)

    @property
    def rarest(self) -> Occurrence | None:
        """The printed sequence that the lab has least often."""
        return min(self.printed, key=lambda item: item.lab, default=None)

    def criterion(self) -> Criterion:
        """The outcome; the criterion does not hold if the paper prints no sequence."""
        found, total = len(self.printed) - len(self.missing), len(self.printed)
        words = f"{found} of {total} published sequences occur in {self.lab_sessions} sessions"
        if self.missing:
            words += "; missing: " + "; ".join(spaced(item.sizes) for item in self.missing)
        elif self.rarest:
            words += f", the rarest ({spaced(self.rarest.sizes)}) in {self.rarest.lab}"
        passed = bool(self.printed) and not self.missing
        return Criterion("sequences", "every published sequence occurs", passed, words)


@dataclass(frozen=True, slots=True)
class ReadCounts:
    """Criterion (c): the number of reads does not distinguish the lab's sessions from the paper's.

    Attributes:
        published_mean: the mean number of reads in a published session; ``None`` without any.
        lab_mean: the mean number of reads in a session of the lab; ``None`` without any.
        p: two-sided p of the permutation test of these means; ``None`` if either side has fewer
            than two sessions.
    """

    published_mean: float | None
    lab_mean: float | None
    p: float | None

    def criterion(self) -> Criterion:
        """The outcome; the criterion does not hold if either side has fewer than two sessions."""
        name, title = "read counts", "the number of reads does not tell them apart"
        if self.p is None or self.published_mean is None or self.lab_mean is None:
            return Criterion(name, title, False, "fewer than two sessions to compare")
        distinguished = self.p < ALPHA
        words = (
            f"{self.published_mean:.2f} reads a session published, {self.lab_mean:.2f} in the lab;"
            f" permutation test {p_value(self.p)},"
            f" {'below' if distinguished else 'not below'} {ALPHA}"
        )
        return Criterion(name, title, not distinguished, words)


@dataclass(frozen=True, slots=True)
class ScenarioVerdict:
    """The verdict on one scenario that the paper prints."""

    scenario: str
    failed_sessions: int
    boundaries: ReadEnds
    sequences: Sequences
    read_counts: ReadCounts

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """The three criteria, in the order (a), (b), (c), and that no session failed."""
        return (
            self.boundaries.criterion(),
            self.sequences.criterion(),
            self.read_counts.criterion(),
            *failed_criterion(self.sequences.lab_sessions, self.failed_sessions),
        )

    @property
    def reproduced(self) -> bool:
        """Whether all criteria hold."""
        return all(criterion.passed for criterion in self.criteria)


def judge_scenario(
    scenario: str,
    published: Sequence[Sequence[int]],
    records: Iterable[SessionRecord],
    *,
    seed: int = 0,
) -> ScenarioVerdict:
    """Compare a scenario's published sessions with the lab's.

    Args:
        scenario: its name.
        published: the read sizes of each session, as printed.
        records: the lab's sessions of this scenario, failed ones included.
        seed: the seed of the permutation test.
    """
    sessions = list(records)
    complete = [record for record in sessions if record.complete]
    printed_counts = [len(session) for session in published]
    lab_counts = [len(record.reads) for record in complete]
    return ScenarioVerdict(
        scenario=scenario,
        failed_sessions=len(sessions) - len(complete),
        boundaries=check_read_ends(complete),
        sequences=count_sequences(published, complete),
        read_counts=ReadCounts(
            _mean(printed_counts),
            _mean(lab_counts),
            permutation_p(printed_counts, lab_counts, seed=seed),
        ),
    )


def check_read_ends(complete: Iterable[SessionRecord]) -> ReadEnds:
    """Check criterion (a) on complete sessions; sessions with a loss are skipped.

    After a loss a read may end elsewhere, since TCP may cut the bytes differently when it sends
    them again.
    """
    sessions = reads = 0
    violations = []
    for record in complete:
        if not record.trace.loss_free:
            continue
        sessions += 1
        reads += len(record.reads)
        ends = boundaries(record.segments)
        for read in record.reads:
            if read.end not in ends:
                inside = next((s for s in record.segments if s.start < read.end < s.end), None)
                where = f"segment {inside.start}:{inside.end}" if inside else "no segment"
                violations.append(
                    f"{record.session_id}: read {read.start}:{read.end} ends inside {where}"
                )
    return ReadEnds(sessions, reads, tuple(violations))


def count_sequences(
    published: Sequence[Sequence[int]], complete: Iterable[SessionRecord]
) -> Sequences:
    """Count criterion (b): how often the paper prints each sequence, and how often it occurs."""
    printed = Counter(tuple(session) for session in published)
    lab = Counter(tuple(sizes(record.reads)) for record in complete)
    return Sequences(
        published_sessions=printed.total(),
        lab_sessions=lab.total(),
        printed=tuple(
            Occurrence(sequence, times, lab[sequence])
            for sequence, times in sorted(printed.items(), key=lambda item: (-item[1], item[0]))
        ),
        others=tuple(
            Occurrence(sequence, 0, times)
            for sequence, times in sorted(lab.items(), key=lambda item: (-item[1], item[0]))
            if sequence not in printed
        ),
    )


def _mean(values: Sequence[int]) -> float | None:
    return sum(values) / len(values) if values else None
