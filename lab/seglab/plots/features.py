"""The features of sessions that the figures show: sizes, their parts, and visible boundaries.

Pure functions of stored sessions. ``seglab.core.boundaries`` defines which boundaries between
writes are *visible*. The *agreement* of a session compares them with the ends of all writes, and
with the ends of all short segments: the path may have cut some of these.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from statistics import mean, median

from seglab.core.boundaries import FullSegments, short_ends, visible_boundaries, write_boundaries
from seglab.core.observation import Layer
from seglab.core.record import SessionRecord
from seglab.core.tcpip import full_segments
from seglab.core.trace import boundaries, first_arrived, sizes
from seglab.reproduction.listings import layer_sizes
from seglab.reproduction.paper import Sizes

TERMINATORS = (3, 5)
"""The lengths of an end of data that is written alone: ``. CRLF`` and ``CRLF . CRLF``."""


def other_full_sizes(record: SessionRecord) -> frozenset[int]:
    """The sizes other than the MSS of segments that were full at some time of the session.

    They fill a packet at another MTU that the path had or came to have, or they are what the client
    fell back to after a router had dropped a full segment (``core.boundaries.FullSegments``).
    """
    mtus = {record.mtu, *(change.mtu for change in record.mtu_changes)}
    full = frozenset(
        size for mtu in mtus for size in full_segments(mtu, timestamps=record.timestamps)
    )
    return (full | FullSegments.of_record(record).others) - {record.mss}


def size_parts(
    size: int, mss: int, others: Collection[int] = (), *, terminator: bool = False
) -> tuple[tuple[str, int], ...]:
    """The parts of a size, each with its kind.

    Args:
        size: the size of a segment or a read.
        mss: the MSS of the session.
        others: the sizes that are full at another MTU of the path (kind ``another``).
        terminator: whether the size is an end of data that was written alone (kind
            ``terminator``).

    Returns:
        Pairs of a kind and a number of bytes, in the order of the bytes. A size that is neither
        ``another`` nor ``terminator`` has a ``multiple`` of the MSS and a ``remainder``; a part
        without bytes is left out.
    """
    if terminator:
        return (("terminator", size),)
    if size in others:
        return (("another", size),)
    whole = size - size % mss if mss > 0 else 0
    return tuple(part for part in (("multiple", whole), ("remainder", size - whole)) if part[1])


def agreement(record: SessionRecord) -> float:
    """How well the short segments show where the writes ended, from 0 to 1.

    It is the number of visible boundaries, divided by the number of offsets where a write or a
    short segment ends. The end of the stream does not count. The result is 1 if there is no such
    offset.
    """
    arrived = first_arrived(record.segments)
    visible = visible_boundaries(record, boundaries(arrived))
    short = short_ends(sizes(arrived), record.mss) - {record.payload_bytes}
    either = write_boundaries(record) | short
    return len(visible) / len(either) if either else 1.0


@dataclass(frozen=True, slots=True)
class SeenCell:
    """The sessions of one sender on one network.

    Attributes:
        sessions: the number of its sessions.
        complete: the number of complete ones.
        agreement: the mean agreement of the complete ones; ``None`` if none is complete.
        reads: the median number of reads of the complete ones; ``None`` if none is complete.
        reason: the most frequent class of reasons of the failed ones; ``None`` if none failed.
    """

    sessions: int
    complete: int
    agreement: float | None
    reads: float | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Matrix:
    """One row for each sender, one column for each network; ``None`` where nothing was run."""

    senders: tuple[str, ...]
    networks: tuple[str, ...]
    rows: tuple[tuple[SeenCell | None, ...], ...]


def matrix_of(records: Iterable[SessionRecord]) -> Matrix:
    """The matrix of some sessions: networks by falling MSS, senders in the sessions' order."""
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


def _cell(records: Sequence[SessionRecord]) -> SeenCell | None:
    if not records:
        return None
    complete = [record for record in records if record.complete]
    reasons = Counter(reason_class(r.error) for r in records if not r.complete)
    return SeenCell(
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
    """The class of a failure, in a word or two that fit into a cell."""
    text = (error or "").lower()
    return next((name for name, words in _REASONS if any(w in text for w in words)), "failed")


@dataclass(frozen=True, slots=True)
class Pattern:
    """One sequence of sizes, and how many of the sessions of a group have it.

    Attributes:
        sizes: the sizes at one layer.
        mss: the MSS of these sessions.
        others: the sizes that are full at another MTU of their path.
        own_terminator: whether their last write was an end of data alone.
        sessions: the number of sessions with this sequence.
        of: the number of complete sessions of the group.
    """

    sizes: Sizes
    mss: int
    others: frozenset[int]
    own_terminator: bool
    sessions: int
    of: int


def patterns(records: Iterable[SessionRecord], layer: Layer, most: int) -> list[Pattern]:
    """The ``most`` most frequent sequences of complete sessions, the most frequent first."""
    complete = [record for record in records if record.complete]
    counted = Counter(_pattern_key(record, layer) for record in complete)
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0][:2]))
    return [Pattern(*key, number, len(complete)) for key, number in ordered[:most]]


def _pattern_key(record: SessionRecord, layer: Layer) -> tuple[Sizes, int, frozenset[int], bool]:
    found = layer_sizes(record, layer)
    others = other_full_sizes(record) & frozenset(found)
    return found, record.mss, others, ends_alone(record)


def ends_alone(record: SessionRecord) -> bool:
    """Whether the last write held nothing but an end of data."""
    last = record.writes[-1] if record.writes else None
    return last is not None and record.terminator == "own_write" and last.end - last.start <= 5


@dataclass(frozen=True, slots=True)
class SizeDistribution:
    """How often each size occurs in a group of sessions with one MSS.

    Attributes:
        label: the name of the group.
        mss: the MSS of its sessions.
        segments: the number of segments of each size.
        reads: the number of reads of each size.
    """

    label: str
    mss: int
    segments: dict[int, int]
    reads: dict[int, int]


def size_distributions(records: Iterable[SessionRecord], key: str) -> list[SizeDistribution]:
    """The distributions of sizes: one for each value of the attribute ``key`` and each MSS.

    If ``key`` is ``network``, they are sorted by falling MTU, then by falling MSS (timestamps
    lower it). Otherwise they keep the order of the sessions.
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
