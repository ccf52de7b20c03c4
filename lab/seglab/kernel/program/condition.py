"""What says that a program is ready or done: a pattern for what it prints, or a shell's command.

A regular expression can take years on thirty bytes, and the client has one thread. So a search has
a limit of processor time: a timer of the process, whose signal Python's matcher looks for while it
works.
"""

import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Final

SEARCH_LIMIT_S: Final = 0.5
"""Processor time of one search. What a plain pattern takes on 64 KiB is a thousandth of that."""


class SlowPatternError(Exception):
    """A pattern takes too long; the message says which, and what to do."""


class Condition:
    """Something that is to happen.

    Args:
        what: its name, for an error.
        job: ``{"pattern": TEXT}``, ``{"command": TEXT}``, or ``None`` where there is no condition.

    Attributes:
        given: whether there is such a condition.
        command: the shell's command that says so; ``None`` for a pattern.
        holds: whether it has happened.
    """

    def __init__(self, what: str, job: Mapping[str, str] | None) -> None:
        self.given = job is not None
        self.command: str | None = (job or {}).get("command")
        self.holds = False
        self._what = what
        self._pattern = (job or {}).get("pattern")
        self._searched: bytes | None = None

    def is_met(self, printed: bytes) -> bool:
        """Whether it has happened, now that this has been printed.

        Raises:
            SlowPatternError: the search took more than ``SEARCH_LIMIT_S``.
        """
        if self._pattern is not None and not self.holds and printed != self._searched:
            self._searched = printed
            try:
                with _processor_time(SEARCH_LIMIT_S):
                    found = re.search(self._pattern.encode(), printed, re.MULTILINE)
            except _TimeIsUp:
                raise SlowPatternError(
                    f"{self._what} /{self._pattern}/: still searched after {SEARCH_LIMIT_S} s of "
                    f"processor time in the {len(printed)} bytes that the program had printed; "
                    "write it without a repetition inside a repetition, such as (a+)+"
                ) from None
            self.holds = found is not None
        return self.holds


class _TimeIsUp(Exception):  # noqa: N818 -- it never leaves this module
    """The timer's signal has come."""


@contextmanager
def _processor_time(limit_s: float) -> Iterator[None]:
    """Raise ``_TimeIsUp`` in the block once this process has computed for so long.

    Only the main thread can have it, since only there Python handles signals.
    """
    inside = True

    def end(_number: int, _frame: FrameType | None) -> None:
        if inside:
            raise _TimeIsUp

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, limit_s)
    try:
        yield
    finally:
        inside = False
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
