"""A session as the wire knows it: its link states, its frames, and whether it is over."""

from typing import Any

from seglab.frames.headers import Teardown
from seglab.networks.link import LinkState

DIRECTIONS = ("a_to_b", "b_to_a")
"""The directions of a link: from the client's end to the server's, and back."""

FrameRecord = list[Any]
"""A frame on one link, as the wire sends it to the parent:
``[link, direction, t_in_ns, [t_out_ns...], drop_reason, frame]``."""

LINK, DIRECTION, T_OUT, DROP_REASON, FRAME = 0, 1, 3, 4, 5
"""The positions of the values in a ``FrameRecord``."""

_GRACE_NS = 1_000_000_000


class Flow:
    """One session: its link states, and every frame that its hosts sent.

    Attributes:
        number: of the session in its lab.
        keys: the pair of its addresses as it stands in a frame, in either direction.
        kernel_drops_before: how many frames the kernel had dropped when the session was opened.
        states: the state of each link's direction, by port index; ``None`` where a link does
            nothing to a frame.
        frames: a record of each frame on each link.
        announces: whether the wire is still to say when the client's first SYN came in.
        queued: how many departures are still to come.
        closed: whether the session was reported; what is still queued then is never sent.
        opened_ns: when it was opened.
        late_ns: how much later than due the most delayed of its frames left, or the wire did
            anything else.
        grace_ns: how long after the order to close the wire waits at most.
        deadline_ns: when that time ends; 0 before the order.
    """

    __slots__ = (
        "_examined",
        "_teardown",
        "announces",
        "closed",
        "deadline_ns",
        "frames",
        "grace_ns",
        "kernel_drops_before",
        "keys",
        "late_ns",
        "number",
        "opened_ns",
        "queued",
        "states",
    )

    def __init__(
        self,
        number: int,
        keys: tuple[bytes, bytes],
        kernel_drops_before: int,
        opened_ns: int,
    ) -> None:
        self.number = number
        self.keys = keys
        self.kernel_drops_before = kernel_drops_before
        self.opened_ns = opened_ns
        self.states: list[LinkState | None] = []
        self.frames: list[FrameRecord] = []
        self.announces = False
        self.queued = 0
        self.closed = False
        self.late_ns = 0
        self.grace_ns = _GRACE_NS
        self.deadline_ns = 0
        self._teardown = Teardown()
        self._examined = 0

    def is_over(self, now_ns: int) -> bool:
        """Return whether nothing is queued and TCP has finished, or the time is up."""
        if now_ns >= self.deadline_ns:
            return True
        if self.queued:
            return False
        last_link = len(self.states) // len(DIRECTIONS) - 1, 0
        for record in self.frames[self._examined :]:
            if record[T_OUT] and record[LINK] == last_link[record[DIRECTION]]:
                self._teardown.see(record[DIRECTION], record[FRAME])
        self._examined = len(self.frames)
        return self._teardown.finished
