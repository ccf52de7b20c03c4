"""What a record says about its wire: how the sender's TCP cut the message, and by which MSSs."""

from seglab.core.record import SessionRecord
from seglab.core.tcpip import full_segments
from seglab.tcp.admissible import Personality


def first_sent(record: SessionRecord) -> tuple[tuple[int, int], ...]:
    """The message as it was cut when each byte was sent for the first time, arrived or not."""
    spans = []
    reached = 0
    for segment in sorted(record.segments, key=lambda s: s.t_sent_ns):
        if segment.end > reached:
            spans.append((max(reached, segment.start), segment.end))
            reached = segment.end
    return tuple(spans)


def personality_of(record: SessionRecord, *, nodelay: bool | None = None) -> Personality:
    """The client's TCP as the record knows it.

    Args:
        record: of a complete session.
        nodelay: what is assumed of Nagle's algorithm; ``None`` leaves it open.
    """
    return Personality(
        mss=record.mss,
        others=_other_mss(record),
        initcwnd=record.initcwnd,
        nodelay=nodelay,
        disturbed_from=_disturbed_from(record),
    )


def _other_mss(record: SessionRecord) -> frozenset[int]:
    """The MSSs that the path's other MTUs make, and the one after a router dropped something."""
    mtus = {record.mtu, *(change.mtu for change in record.mtu_changes)}
    found = {size for m in mtus for size in full_segments(m, timestamps=record.timestamps)}
    refused = [s.t_sent_ns for s in record.segments if s.drop_reason == "router"]
    if refused:
        later = [s.end - s.start for s in record.segments if s.t_sent_ns > refused[-1]]
        found |= {max(later)} if later else set()
    else:
        found &= {s.end - s.start for s in record.segments}
    return frozenset(size for size in found if 0 < size < record.mss)


def _disturbed_from(record: SessionRecord) -> int | None:
    """The first byte that was sent for the first time after something had been sent again."""
    reached = 0
    for segment in sorted(record.segments, key=lambda s: s.t_sent_ns):
        if segment.retransmission:
            return reached
        reached = max(reached, segment.end)
    return None
