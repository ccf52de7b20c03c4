"""A session as the wire knows it: its link states, its frames, and whether it is over."""

from typing import Any

from seglab.kernel.headers import Teardown
from seglab.networks.link import LinkState

DIRECTIONS = ("a_to_b", "b_to_a")
"""From the client's end of a link to the server's, and back."""

Record = list[Any]
"""A frame on one link, as it goes to the parent:
``[link, direction, t_in_ns, [t_out_ns...], drop_reason, frame]``."""

LINK, DIRECTION, T_OUT, DROP_REASON, FRAME = 0, 1, 3, 4, 5
"""Where in a record is what."""

_GRACE_NS = 1_000_000_000


class Flow:
    """One session: its link states, and every frame that it sent.

    Attributes:
        keys: its addresses as they stand in a frame, either way.
        states: by port index; ``None`` where the link does nothing.
        queued: how many departures are still to come.
        closed: whether it was reported, and what is still queued is void.
    """

    __slots__ = (
        "_examined",
        "_teardown",
        "closed",
        "deadline_ns",
        "frames",
        "grace_ns",
        "kernel_drops_before",
        "keys",
        "number",
        "queued",
        "states",
    )

    def __init__(self, number: int, keys: tuple[bytes, bytes], kernel_drops_before: int) -> None:
        self.number = number
        self.keys = keys
        self.kernel_drops_before = kernel_drops_before
        self.states: list[LinkState | None] = []
        self.frames: list[Record] = []
        self.queued = 0
        self.closed = False
        self.grace_ns = _GRACE_NS
        self.deadline_ns = 0
        self._teardown = Teardown()
        self._examined = 0

    def is_over(self, now_ns: int) -> bool:
        """Whether nothing is queued and TCP has finished, or the grace is past."""
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
