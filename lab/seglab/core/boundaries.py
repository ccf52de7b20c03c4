"""Where the writes of a session ended, and which of these ends a layer of the session shows.

A *boundary* is an offset at which one write of the sender ended and the next one began. The end of
the last write is the end of the message, and no boundary.

Whether a boundary is *visible* at a layer follows from how the sender's TCP cut the message when
it sent each byte for the first time:

- A segment that is not full ends there. TCP fills its segments as long as it has bytes, so
  something must have kept it from filling this one: the write had ended.
- A size of the layer ends there, too. The path may have cut the message again, the receiver may
  have joined what it got, and a read may hold several segments.

A boundary at which a *full* segment ends is not visible: the segment ends there whether or not a
write does. What counts as full changes with the MTU of the path. So a segment that was cut at a
lower MTU counts as full, and so does its rest, which ends where a full segment of the old size did.
PSH plays no part: Linux sets it on the last segment of each packet that it hands to the device, and
wherever half of the peer's window has been filled (``forced_push``), within a write as well.

``visible_boundaries`` needs the truth about the session. What a classifier may conclude without it,
from sizes and a guess about the path, is ``seglab.inference.posterior.suggested_ends``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Self

from seglab.core.tcpip import full_segments
from seglab.core.trace import first_sent

if TYPE_CHECKING:
    from seglab.core.record import SessionRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class FullSegments:
    """How many payload bytes a full segment held, at each moment of a connection.

    Attributes:
        mss: payload bytes of a full segment when the message began.
        others: of a full segment after the path's MTU had changed, beside ``mss``.
        disturbed_from: the first byte that was sent for the first time after the sender had sent
            something again; ``None`` for nothing. Before it, ``others`` do not count.
    """

    mss: int
    others: frozenset[int] = field(default_factory=frozenset)
    disturbed_from: int | None = None

    @classmethod
    def of_record(cls, record: "SessionRecord") -> Self:
        """What a full segment held in a recorded session."""
        return cls(
            mss=record.mss,
            others=_other_sizes(record),
            disturbed_from=_disturbed_from(record),
        )

    def disturbed(self, start: int) -> bool:
        """Whether something had been sent again when ``start`` was sent for the first time."""
        return self.disturbed_from is not None and start >= self.disturbed_from

    def full_sizes(self, start: int) -> frozenset[int]:
        """All sizes that a full segment can have which begins at ``start``."""
        return frozenset({self.mss, *self.others} if self.disturbed(start) else {self.mss})


def write_boundaries(record: "SessionRecord") -> frozenset[int]:
    """Where one write of the session ended and another one began."""
    return frozenset(write.end for write in record.writes[:-1])


def visible_boundaries(record: "SessionRecord", ends: Iterable[int]) -> frozenset[int]:
    """The boundaries of a session that a layer of it shows.

    Args:
        record: the session, with its writes and with its segments as they were sent.
        ends: where the sizes of the layer end, such as ``Observation.ends``.
    """
    full_sizes = FullSegments.of_record(record).full_sizes
    short = {
        end for start, end, _ in first_sent(record.segments) if end - start not in full_sizes(start)
    }
    return write_boundaries(record) & short & frozenset(ends)


def short_ends(sizes: Sequence[int], mss: int | None) -> frozenset[int]:
    """Where those sizes end that are no whole number of full segments.

    These are the ends that stand out without any truth about the writes or the path.

    Args:
        sizes: of a layer, in stream order.
        mss: payload bytes of a full segment. Where it is not known, the result has all ends.
    """
    return frozenset(
        end for size, end in zip(sizes, accumulate(sizes), strict=True) if not mss or size % mss
    )


def _other_sizes(record: "SessionRecord") -> frozenset[int]:
    """What full segments held at the path's other MTUs, and after a router had dropped one."""
    mtus = {record.mtu, *(change.mtu for change in record.mtu_changes)}
    found = {size for m in mtus for size in full_segments(m, timestamps=record.timestamps)}
    refused = [s.t_sent_ns for s in record.segments if s.drop_reason == "router"]
    if refused:
        later = [s.end - s.start for s in record.segments if s.t_sent_ns > refused[-1]]
        found |= {max(later)} if later else set()
    else:
        found &= {s.end - s.start for s in record.segments}
    return frozenset(size for size in found if 0 < size < record.mss)


def _disturbed_from(record: "SessionRecord") -> int | None:
    """The first byte that was sent for the first time after something had been sent again."""
    reached = 0
    for segment in sorted(record.segments, key=lambda s: s.t_sent_ns):
        if segment.retransmission:
            return reached
        reached = max(reached, segment.end)
    return None
