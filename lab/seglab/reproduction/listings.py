"""Whether the lab's sessions are what the paper's Listings 3 to 13 print.

Pure functions of published sizes and recorded sessions. A listing is reproduced when at least one
session has exactly its sizes, in order, at the layer that the scenario names, and when the wire
explains each of them. A listing that was cut is a prefix, and what follows obeys its rule; the one
whose rows are lost is held against its description.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from seglab.core.observation import Layer
from seglab.core.record import SessionRecord
from seglab.core.text import count, percent
from seglab.core.trace import boundaries, first_arrived, sizes
from seglab.reproduction.paper import PublishedListing, Sizes
from seglab.reproduction.scenarios import Criterion, Occurrence, Sequences


@dataclass(frozen=True, slots=True)
class Rule:
    """What a session of a listing must look like where its printed rows do not settle it.

    Attributes:
        words: the rule, for people.
        holds: whether sizes obey it: those after the printed rows or, where no rows are printed,
            all of them. The record they are from is for what else the rule speaks of.
    """

    words: str
    holds: Callable[[Sizes, SessionRecord], bool]


def multiples_and_a_remainder(rest: Sizes, base: int) -> bool:
    """Whether all but the last are multiples of ``base``, and there is something."""
    return bool(rest) and all(size % base == 0 for size in rest[:-1])


def pairs_and_a_remainder(rest: Sizes, first: int, second: int) -> bool:
    """Whether pairs ``first second`` go on, up to a last write that may be shorter than a pair."""
    pairs = len(rest) // 2
    while pairs and rest[2 * pairs - 2 : 2 * pairs] != (first, second):
        pairs -= 1
    if rest[: 2 * pairs] != (first, second) * pairs:
        return False
    match rest[2 * pairs :]:
        case ():
            return bool(rest)
        case (only,):
            return only <= first
        case (full, last):
            return full == first and last < second
        case _:
            return False


def own_first_write(found: Sizes, record: SessionRecord, base: int) -> bool:
    """Whether the first write came by itself, then multiples of ``base`` and a remainder."""
    first = sizes(record.writes[:1])
    rest = found[1:]
    return [*found[:1]] == first and len(rest) > 1 and multiples_and_a_remainder(rest, base)


RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        "listings.8": Rule(
            "the From header alone, then multiples of 1440 and a remainder",
            lambda found, record: (
                record.style == "distinct_from" and own_first_write(found, record, 1440)
            ),
        ),
        "listings.10": Rule(
            "then multiples of 1400, and a remainder",
            lambda rest, _: multiples_and_a_remainder(rest, 1400),
        ),
        "listings.12": Rule(
            "then 1460 588 repeating, and the remainder of the last write",
            lambda rest, _: pairs_and_a_remainder(rest, 1460, 588),
        ),
    }
)
"""The rules of the listings that were cut or lost."""

PathEvent = Literal["falls", "falls and recovers"]

PATHS: Final[Mapping[str, PathEvent]] = MappingProxyType(
    {"listings.10": "falls and recovers", "listings.13": "falls"}
)
"""The listings that must come from a path whose MTU changes while the session runs."""


@dataclass(frozen=True, slots=True)
class ListingVerdict:
    """What became of one listing.

    Attributes:
        scenario: its scenario's name.
        listing: its key in the paper's numbers.
        layer: where its sizes were looked for.
        printed: its rows; ``None`` where they are lost.
        rule: of what follows them, or of all; empty where the rows are the whole message.
        sessions: the complete ones.
        failed_sessions: the others.
        matching: how many of the complete ones are as published.
        reads: in how many its sizes are those of the reads.
        segments: in how many those of the segments in the order of their bytes.
        example: the id of the first session that is as published; ``None`` without.
        unexplained: sizes of such sessions that end where no segment does, each in words.
        path: what the path's MTU had to do in them; ``None`` for nothing.
        unmoved: such sessions in which it did not, or in which it cost no packet.
    """

    scenario: str
    listing: str
    layer: Layer
    printed: Sizes | None
    rule: str
    sessions: int
    failed_sessions: int
    matching: int
    reads: int
    segments: int
    example: str | None
    unexplained: tuple[str, ...] = ()
    path: PathEvent | None = None
    unmoved: tuple[str, ...] = ()

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """The sizes occur; the wire explains them; and, for some, the path's MTU changed."""
        found = [self._sizes(), self._wire()]
        if self.path is not None:
            found.append(self._path(self.path))
        return tuple(found)

    @property
    def reproduced(self) -> bool:
        """Whether all criteria hold."""
        return all(criterion.passed for criterion in self.criteria)

    @property
    def share(self) -> float | None:
        """The share of the complete sessions that are as published; ``None`` without any."""
        return self.matching / self.sessions if self.sessions else None

    def published_words(self) -> str:
        """What the paper prints."""
        if self.printed is None:
            return self.rule
        return shortened(self.printed) + (" ..." if self.rule else "")

    def lab_words(self) -> str:
        """What the lab saw."""
        if not self.sessions:
            return "no complete session"
        return (
            f"the same {self.layer} in {self.matching} of {count(self.sessions, 'session')}"
            f" ({percent(self.matching, self.sessions)})"
        )

    def _sizes(self) -> Criterion:
        words = self.lab_words()
        if self.sessions:
            other: Layer = "segments" if self.layer == "reads" else "reads"
            words += f"; the same {other} in {getattr(self, other)}"
            if self.example:
                words += f"; for example {self.example}"
        title = f"the published {self.layer} occur, in order"
        if self.rule:
            title += f": {self.rule}"
        return Criterion("sizes", title, self.matching > 0, words)

    def _wire(self) -> Criterion:
        title = f"all of these {self.layer} end where a segment ends"
        if not self.matching:
            return Criterion("wire", title, False, "no such session to check")
        words = (
            f"{count(len(self.unexplained), 'end')} inside a segment, first: {self.unexplained[0]}"
            if self.unexplained
            else f"so they do in {count(self.matching, 'session')}"
        )
        return Criterion("wire", title, not self.unexplained, words)

    def _path(self, event: PathEvent) -> Criterion:
        title = f"the path's MTU {event} during the session, before the message's last segment"
        if not self.matching:
            return Criterion("path", title, False, "no such session to check")
        words = (
            f"not so in {len(self.unmoved)} of {self.matching}, first: {self.unmoved[0]}"
            if self.unmoved
            else f"so it did in {count(self.matching, 'session')}, and the router dropped a packet"
        )
        return Criterion("path", title, not self.unmoved, words)


def judge_listing(
    scenario: str,
    key: str,
    listing: PublishedListing,
    layer: Layer,
    records: Iterable[SessionRecord],
) -> ListingVerdict:
    """Compare a listing with the lab's sessions of its scenario, failed ones included."""
    sessions = list(records)
    complete = [record for record in sessions if record.complete]
    matching = [r for r in complete if as_published(key, listing, layer, r)]
    path = PATHS.get(key)
    return ListingVerdict(
        scenario=scenario,
        listing=key,
        layer=layer,
        printed=listing.sizes,
        rule=RULES[key].words if key in RULES else "",
        sessions=len(complete),
        failed_sessions=len(sessions) - len(complete),
        matching=len(matching),
        reads=sum(as_published(key, listing, "reads", r) for r in complete),
        segments=sum(as_published(key, listing, "segments", r) for r in complete),
        example=matching[0].session_id if matching else None,
        unexplained=tuple(words for r in matching for words in _unexplained(r, layer)),
        path=path,
        unmoved=tuple(r.session_id for r in matching if path and not path_did(r, path)),
    )


def as_published(key: str, listing: PublishedListing, layer: Layer, record: SessionRecord) -> bool:
    """Whether a session has the listing's sizes at a layer, and what follows obeys its rule."""
    found = layer_sizes(record, layer)
    rule = RULES.get(key)
    if listing.sizes is None:
        return rule is not None and rule.holds(found, record)
    if listing.complete:
        return found == listing.sizes
    printed = len(listing.sizes)
    return (
        found[:printed] == listing.sizes
        and rule is not None
        and rule.holds(found[printed:], record)
    )


def layer_sizes(record: SessionRecord, layer: Layer) -> Sizes:
    """The sizes of a session's reads, or of the new bytes of its segments as they arrived.

    A segment that brings nothing new (a retransmission of what had arrived) does not count, and
    one that brings some counts with these: as a receiver's log would have it.
    """
    if layer == "reads":
        return tuple(sizes(record.reads))
    return tuple(sizes(first_arrived(record.segments)))


def path_did(record: SessionRecord, event: PathEvent) -> bool:
    """Whether the path's MTU fell during the session and cost a packet; and perhaps recovered.

    From the session's begin, which may be long before the message's, to its last segment.
    """
    last_sent_ns = max((s.t_sent_ns for s in record.segments), default=0)
    mtus = [c.mtu for c in record.mtu_changes if 0 <= c.t_ns <= last_sent_ns]
    fell = bool(mtus) and min(mtus) < record.mtu
    dropped = any(s.drop_reason == "router" for s in record.segments)
    recovered = bool(mtus) and mtus[-1] > min(mtus)
    return fell and dropped and (recovered or event == "falls")


def listing_sequences(
    key: str, listing: PublishedListing, layer: Layer, complete: Sequence[SessionRecord]
) -> Sequences:
    """How often the listing, and each other sequence at its layer, occurs."""
    others: Counter[Sizes] = Counter()
    alike = 0
    for record in complete:
        if as_published(key, listing, layer, record):
            alike += 1
        else:
            others[layer_sizes(record, layer)] += 1
    return Sequences(
        published_sessions=1,
        lab_sessions=len(complete),
        printed=(Occurrence(listing.sizes, 1, alike),) if listing.sizes else (),
        others=tuple(Occurrence(sequence, 0, times) for sequence, times in others.most_common()),
    )


def shortened(sequence: Sizes) -> str:
    """Sizes as the paper prints them, three or more alike in a row as ``1400 x 7``."""
    runs: list[list[int]] = []
    for size in sequence:
        if runs and runs[-1][0] == size:
            runs[-1][1] += 1
        else:
            runs.append([size, 1])
    return " ".join(
        f"{size} x {times}" if times > 2 else " ".join([str(size)] * times) for size, times in runs
    )


def _unexplained(record: SessionRecord, layer: Layer) -> Iterable[str]:
    if layer == "segments":
        return
    ends = boundaries(s for s in record.segments if s.t_arrived_ns is not None)
    for read in record.reads:
        if read.end not in ends:
            yield f"{record.session_id}: read {read.start}:{read.end}"
