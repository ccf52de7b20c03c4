"""Whether the lab's sessions show what the paper's Listings 3 to 13 print.

A listing is reproduced if two things hold. At least one session has exactly its sizes, in order, at
the layer that the scenario names. And in every such session each size ends where a segment ends.

The paper cut two listings short: their sizes are a prefix, and the sizes after it must obey a rule.
It lost the rows of one listing: all sizes of a session must obey the rule that its text describes.
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
from seglab.reproduction.scenarios import Criterion, Occurrence, Sequences, failed_criterion


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule for the sizes of a listing that the paper cut or lost.

    Attributes:
        words: the rule in words.
        holds: whether sizes obey it. Its first argument is the sizes after the printed rows, or
            all sizes if no rows are printed; its second is their session.
    """

    words: str
    holds: Callable[[Sizes, SessionRecord], bool]


def multiples_and_a_remainder(rest: Sizes, base: int) -> bool:
    """Whether there is a size, and all but the last are multiples of ``base``."""
    return bool(rest) and all(size % base == 0 for size in rest[:-1])


def pairs_and_a_remainder(rest: Sizes, first: int, second: int) -> bool:
    """Whether pairs ``first second`` repeat, up to a last write that may be shorter than a pair."""
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
"""The rules of the listings that the paper cut or lost, by key."""

PathEvent = Literal["falls", "falls and recovers"]

PATHS: Final[Mapping[str, PathEvent]] = MappingProxyType(
    {"listings.10": "falls and recovers", "listings.13": "falls"}
)
"""What the path's MTU must do during a session of these listings."""


@dataclass(frozen=True, slots=True)
class ListingVerdict:
    """The verdict on one listing.

    Attributes:
        scenario: the name of its scenario.
        listing: its key in the paper's numbers.
        layer: the layer at which its sizes are looked for.
        printed: the printed sizes; ``None`` if the paper lost them.
        rule: the rule in words; empty if the printed sizes are the whole message.
        sessions: the number of complete sessions.
        failed_sessions: the number of failed sessions.
        matching: the number of complete sessions that are as published.
        reads: the number of complete sessions whose reads have the listing's sizes.
        segments: the number of those whose segments, in the order of their bytes, have them.
        example: the id of the first session that is as published; ``None`` if there is none.
        unexplained: the sizes in such sessions that do not end where a segment ends, in words.
        path: what the path's MTU must do in such a session; ``None`` if it need not change.
        unmoved: the ids of such sessions in which the MTU did not do so, or no packet was
            dropped for it.
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
        """The sizes occur; the wire explains them; for some listings, the path's MTU changed."""
        found = [self._sizes(), self._wire()]
        if self.path is not None:
            found.append(self._path(self.path))
        return (*found, *failed_criterion(self.sessions, self.failed_sessions))

    @property
    def reproduced(self) -> bool:
        """Whether all criteria hold."""
        return all(criterion.passed for criterion in self.criteria)

    @property
    def share(self) -> float | None:
        """The share of complete sessions that are as published; ``None`` if none is complete."""
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
    """Whether a session has the listing's sizes at a layer; sizes after them must obey its rule."""
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

    A segment without new bytes, such as a retransmission of bytes that had arrived, does not
    count. A segment with some new bytes counts with the number of these. So does a receiver's log.
    """
    if layer == "reads":
        return tuple(sizes(record.reads))
    return tuple(sizes(first_arrived(record.segments)))


def path_did(record: SessionRecord, event: PathEvent) -> bool:
    """Whether the path's MTU fell during the session and a packet was dropped for it.

    For ``falls and recovers`` it must also have risen again. Changes count from the beginning of
    the session, which may be long before that of the message, to the last segment.
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
    """How often the listing, and every other sequence at its layer, occurs."""
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
