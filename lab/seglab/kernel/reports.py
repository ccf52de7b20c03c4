"""What the parts of a lab report about one session."""

from dataclasses import dataclass

from seglab.kernel.channel import ChannelMessage


@dataclass(frozen=True, slots=True)
class SessionReports:
    """What the parts of a lab saw of one session, each by itself.

    Attributes:
        flow: the session's number in its lab.
        client: the client's result.
        connection: the server's record; ``None`` where no connection reached it.
        wire: the wire's record: its frames, and how many the kernel dropped before it saw them.
        mtu_changes: the changes of the path's MTU: when, on the lab's clock, and to what.
        path_mtu: the path's MTU when the lab started, as read back.
        initcwnd: the client's initial congestion window in segments, as read back.
    """

    flow: int
    client: ChannelMessage
    connection: ChannelMessage | None
    wire: ChannelMessage
    mtu_changes: tuple[tuple[int, int], ...] = ()
    path_mtu: int | None = None
    initcwnd: int | None = None
