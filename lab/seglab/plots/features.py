"""What of a session can be seen: the facts behind the strips, the heat map, the distribution.

Pure functions of stored sessions. Which boundaries between writes are *visible* is defined in
``seglab.core.boundaries``. The *agreement* of a session compares them with all ends of writes, and
with all ends of short segments, some of which are the path's doing.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean, median

from seglab.core.boundaries import short_ends, visible_boundaries, write_boundaries
from seglab.core.observation import Layer
from seglab.core.record import SessionRecord
from seglab.core.tcpip import full_segments
from seglab.core.trace import boundaries, first_arrived, sizes
from seglab.reproduction.listings import layer_sizes
from seglab.reproduction.paper import Sizes

TERMINATORS = (3, 5)
"""Lengths of an end of data in a write of its own: ``. CRLF`` and ``CRLF . CRLF``."""


def other_full_sizes(record: SessionRecord) -> frozenset[int]:
    """What fills a packet of the other MTUs that the session's path had or came to have.

    An MTU less the IPv4 or the IPv6 header, the TCP header, and the timestamps where they are on.
    """
    mtus = {record.mtu, *(change.mtu for change in record.mtu_changes)}
    full = {size for mtu in mtus for size in full_segments(mtu, timestamps=record.timestamps)}
    return frozenset(full - {record.mss})


def size_parts(
    size: int, mss: int, others: Collection[int] = (), *, terminator: bool = False
) -> tuple[tuple[str, int], ...]:
    """A size as ``multiple`` of the MSS and ``remainder``, or as what else it is.

    Args:
        size: of a segment or read.
        mss: of the session.
        others: sizes that are full too, at another MTU (``another``).
        terminator: whether it is an end of data by itself (``terminator``).

    Returns:
        Kinds and bytes, in the order of the bytes, without empty parts.
    """
    if terminator:
        return (("terminator", size),)
    if size in others:
        return (("another", size),)
    whole = size - size % mss if mss > 0 else 0
    return tuple(part for part in (("multiple", whole), ("remainder", size - whole)) if part[1])


def agreement(record: SessionRecord) -> float:
    """How far the short segments tell where the writes ended, from 0 to 1.

    The visible boundaries over all offsets at which a write or a short segment ended, the end of
    the stream left out. A session with one write and without a short segment agrees: 1.
    """
    arrived = first_arrived(record.segments)
    visible = visible_boundaries(record, boundaries(arrived))
    short = short_ends(sizes(arrived), record.mss) - {record.payload_bytes}
    either = write_boundaries(record) | short
    return len(visible) / len(either) if either else 1.0


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """The sessions of one sender on one network.

    Attributes:
        sessions: how many ended.
        complete: how many of them are complete.
        agreement: mean of the complete ones; ``None`` without any.
        reads: median number of reads of the complete ones.
        reason: the most frequent reason of the others, shortened to its class.
    """

    sessions: int
    complete: int
    agreement: float | None
    reads: float | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Matrix:
    """A matrix: a row a sender, a column a network, ``None`` where there is no session."""

    senders: tuple[str, ...]
    networks: tuple[str, ...]
    rows: tuple[tuple[MatrixCell | None, ...], ...]


def matrix_of(records: Iterable[SessionRecord]) -> Matrix:
    """The matrix of some sessions; networks by falling MSS, senders as they come."""
    grouped: dict[tuple[str, str], list[SessionRecord]] = defaultdict(list)
    mss: dict[str, int] = {}
    for record in records:
        grouped[record.sender, record.network].append(record)
        mss[record.network] = max(mss.get(record.network, 0), record.mss)
    senders = tuple(dict.fromkeys(sender for sender, _ in grouped))
    networks = tuple(sorted(mss, key=lambda name: (-mss[name], name)))
    return Matrix(
        senders,
        networks,
        tuple(tuple(_cell(grouped.get((s, n), ())) for n in networks) for s in senders),
    )


def _cell(records: Sequence[SessionRecord]) -> MatrixCell | None:
    if not records:
        return None
    complete = [record for record in records if record.complete]
    reasons = Counter(reason_class(r.error) for r in records if not r.complete)
    return MatrixCell(
        len(records),
        len(complete),
        mean(map(agreement, complete)) if complete else None,
        median(len(record.reads) for record in complete) if complete else None,
        reasons.most_common(1)[0][0] if reasons else None,
    )


_REASONS = (
    ("timed out", ("time limit", "timed out", "timeout", "hang", "hung")),
    ("reset", ("reset", "refused", "abort", "broken pipe")),
    ("sender", ("sender", "raised")),
    ("killed", ("died", "killed", "exited", "gone")),
    ("above MSS", ("exceeds the mss",)),
    ("incomplete", ("no segment", "segments reach", "expected", "reads end")),
)


def reason_class(error: str | None) -> str:
    """The class of a failure, in a word or two that fit a cell."""
    text = (error or "").lower()
    return next((name for name, words in _REASONS if any(w in text for w in words)), "failed")


@dataclass(frozen=True, slots=True)
class Pattern:
    """One sequence of sizes: how many of how many sessions have it.

    Attributes:
        sizes: of the layer that was asked for.
        mss: of these sessions.
        others: sizes that are full at another MTU of their path.
        own_terminator: whether their last write was the end of data alone.
        sessions: that have this sequence.
        of: all complete sessions of the group.
    """

    sizes: Sizes
    mss: int
    others: frozenset[int]
    own_terminator: bool
    sessions: int
    of: int


def patterns(records: Iterable[SessionRecord], layer: Layer, most: int) -> list[Pattern]:
    """The most frequent sequences of complete sessions, the most frequent first."""
    complete = [record for record in records if record.complete]
    counted = Counter(
        (layer_sizes(record, layer), record.mss, other_full_sizes(record), ends_alone(record))
        for record in complete
    )
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0][:2]))
    return [Pattern(*key, number, len(complete)) for key, number in ordered[:most]]


def ends_alone(record: SessionRecord) -> bool:
    """Whether the last write held nothing but an end of data."""
    last = record.writes[-1] if record.writes else None
    return last is not None and record.terminator == "own_write" and last.end - last.start <= 5


@dataclass(frozen=True, slots=True)
class SizeDistribution:
    """How often each size occurs in a group of sessions with one MSS.

    Attributes:
        label: of the group.
        mss: of its sessions.
        segments: how many segments have each size.
        reads: how many reads have each size.
    """

    label: str
    mss: int
    segments: dict[int, int]
    reads: dict[int, int]


def size_distributions(records: Iterable[SessionRecord], key: str) -> list[SizeDistribution]:
    """The distribution of sizes, a group a value of the attribute ``key`` and MSS.

    Networks come by falling MTU, then by falling MSS, which timestamps lower; others as they come.
    """
    grouped: dict[tuple[str, int], list[SessionRecord]] = defaultdict(list)
    for record in records:
        if record.complete and record.mss > 0:
            grouped[getattr(record, key), record.mss].append(record)
    ordered = list(grouped.items())
    if key == "network":
        ordered.sort(key=lambda group: (-max(record.mtu for record in group[1]), -group[0][1]))
    return [
        SizeDistribution(
            label,
            mss,
            _counted(layer_sizes(record, "segments") for record in members),
            _counted(layer_sizes(record, "reads") for record in members),
        )
        for (label, mss), members in ordered
    ]


def _counted(sequences: Iterable[Sizes]) -> dict[int, int]:
    return dict(Counter(size for sequence in sequences for size in sequence))


def left_edges(lengths: Sequence[float]) -> list[float]:
    """Where each of some lengths laid end to end begins."""
    places = [0.0]
    for length in lengths:
        places.append(places[-1] + length)
    return [start for start, _ in pairwise(places)]
