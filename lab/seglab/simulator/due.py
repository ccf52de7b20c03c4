"""What is due when: the queue of a session's events, as far as packets cause them.

Nearly always, what is queued last is due last, since a link keeps the order of frames. So a list in
the order of times, to which a new event is added from its end, is faster than a heap, and events
at one time stay in the order in which they were queued.
"""

from typing import Final

from seglab.simulator.carried import Carried
from seglab.simulator.clock import NEVER

ARRIVAL: Final = 0
"""A packet reaches a host."""
AT_ROUTER: Final = 1
"""A packet reaches the router."""
COMPLAINT: Final = 2
"""The router complains of a packet's size."""


class Due:
    """One event.

    Attributes:
        at_ns: when it is due.
        what: ``ARRIVAL``, ``AT_ROUTER`` or ``COMPLAINT``.
        packet: the packet that it is about.
        order: how many events had been queued before.
        behind: the next event in the queue.
    """

    __slots__ = ("at_ns", "behind", "order", "packet", "what")

    def __init__(self, at_ns: int, what: int, packet: Carried, order: int) -> None:
        self.at_ns = at_ns
        self.what = what
        self.packet = packet
        self.order = order
        self.behind: Due | None = None


class Lane:
    """Events of one direction, in the order of their times.

    Attributes:
        first: the one that is due first; ``None`` where there is none.
        at_ns: when that is; ``NEVER`` where there is none.
    """

    __slots__ = ("at_ns", "first", "last")

    def __init__(self) -> None:
        self.first: Due | None = None
        self.last: Due | None = None
        self.at_ns = NEVER

    def put(self, event: Due) -> None:
        """Queue an event behind all that are due before it, or at its time."""
        last = self.last
        if last is None:
            self.first = self.last = event
            self.at_ns = event.at_ns
        elif event.at_ns >= last.at_ns:
            last.behind = event
            self.last = event
        elif event.at_ns < self.at_ns:
            event.behind = self.first
            self.first = event
            self.at_ns = event.at_ns
        else:
            before = self.first
            assert before is not None
            while before.behind is not None and before.behind.at_ns <= event.at_ns:
                before = before.behind
            event.behind = before.behind
            before.behind = event

    def take(self) -> Due:
        """Take the first event off."""
        event = self.first
        assert event is not None
        self.first = event.behind
        event.behind = None
        if self.first is None:
            self.last = None
            self.at_ns = NEVER
        else:
            self.at_ns = self.first.at_ns
        return event


class Queue:
    """All events of packets; each way has a lane of its own, since each keeps its own order.

    Attributes:
        at_ns: when the first one is due; ``NEVER`` where there is none.
    """

    __slots__ = ("_down", "_queued", "_up", "at_ns")

    def __init__(self) -> None:
        self._up = Lane()
        self._down = Lane()
        self._queued = 0
        self.at_ns = NEVER

    def put(self, at_ns: int, what: int, packet: Carried) -> None:
        """Queue an event."""
        self._queued += 1
        event = Due(at_ns, what, packet, self._queued)
        if packet.direction:
            self._down.put(event)
        else:
            self._up.put(event)
        if at_ns < self.at_ns:
            self.at_ns = at_ns

    def take(self) -> Due:
        """Take the first event off: of two at one time, the one that was queued first."""
        up, down = self._up, self._down
        first, other = up.first, down.first
        if first is None or (
            other is not None
            and (down.at_ns < up.at_ns or (down.at_ns == up.at_ns and other.order < first.order))
        ):
            event = down.take()
        else:
            event = up.take()
        self.at_ns = min(up.at_ns, down.at_ns)
        return event
