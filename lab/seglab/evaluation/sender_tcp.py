"""The client's TCP of a recorded session, as far as the record knows it."""

from seglab.core.boundaries import FullSegments
from seglab.core.record import SessionRecord
from seglab.tcp.admissible import SenderTcp


def sender_tcp_of(record: SessionRecord, *, nodelay: bool | None = None) -> SenderTcp:
    """The client's TCP as the record knows it.

    Args:
        record: of a complete session.
        nodelay: what is assumed of Nagle's algorithm; ``None`` leaves it open.
    """
    full = FullSegments.of_record(record)
    return SenderTcp(
        mss=full.mss,
        others=full.others,
        disturbed_from=full.disturbed_from,
        initcwnd=record.initcwnd,
        nodelay=nodelay,
    )
