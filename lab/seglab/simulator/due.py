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
        last: the one that is due last.
        at_ns: when the first one is due; ``NEVER`` where there is none.
    """

    __slots__ = ("at_ns", "first", "last")

    def __init__(self) -> None:
        self.first: Due | None = None
        self.last: Due | None = None
        self.at_ns = NEVER

    def insert(self, event: Due) -> None:
        """Queue an event that is due before the last one; others at its time go before it."""
        if event.at_ns < self.at_ns:
            event.behind = self.first
            self.first = event
            self.at_ns = event.at_ns
            return
        before = self.first
        assert before is not None
        while before.behind is not None and before.behind.at_ns <= event.at_ns:
            before = before.behind
        event.behind = before.behind
        before.behind = event


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
        lane = self._down if packet.direction else self._up
        last = lane.last
        if last is None:
            lane.first = lane.last = event
            lane.at_ns = at_ns
        elif at_ns >= last.at_ns:
            last.behind = lane.last = event
        else:
            lane.insert(event)
        if at_ns < self.at_ns:
            self.at_ns = at_ns

    def take(self) -> Due:
        """Take the first event off: of two at one time, the one that was queued first."""
        lane, other = self._up, self._down
        event, rival = lane.first, other.first
        if event is None or (
            rival is not None
            and (
                other.at_ns < lane.at_ns
                or (other.at_ns == lane.at_ns and rival.order < event.order)
            )
        ):
            event = rival
            lane, other = other, lane
        assert event is not None
        behind = lane.first = event.behind
        event.behind = None
        if behind is None:
            lane.last = None
            lane.at_ns = NEVER
        else:
            lane.at_ns = behind.at_ns
        self.at_ns = lane.at_ns if lane.at_ns < other.at_ns else other.at_ns
        return event
