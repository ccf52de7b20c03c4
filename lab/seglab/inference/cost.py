"""What each surprise costs, in bits. All prices of the inference stand here.

A price of *b* bits says that the event is expected once in 2^b times. The prices were chosen on the
networks of the tuning side of ``docs/quality.md``, and on no others.
"""

from typing import Final

UNEXPLAINED: Final = 18.0
"""A segment or a read ends where nothing explains it."""

UNEXPLAINED_MORE: Final = 7.0
"""An end that nothing explains costs at least this much more than the choice of a byte within a
full segment, which is what the end costs a writer of no style."""

IMPOSSIBLE: Final = 40.0
"""Something that cannot be, such as a line that ends within the name of a header field."""

SHOWN: Final = 0.1
"""An end of a write shows in the first window."""

HIDDEN_EARLY: Final = ((1, 10.0), (4, 8.0), (10, 6.0))
"""An end of a write is hidden in the first window: up to so many segments, this price.

The first window of Linux has ten segments (RFC 6928)."""

HIDDEN_AFTER_LOSS: Final = 5.0
"""An end of a write is hidden in the first window, after something was sent again."""

HIDDEN_BEHIND_FALL: Final = 2.0
"""An end of a write is hidden in reads of a path whose MTU fell: the write had to wait."""

LATE_SHOWN: Final = 1.0
"""An end of a write shows although the first window is over."""

LATE_HIDDEN: Final = 0.1
"""An end of a write is hidden after the first window: the write waited behind a full window."""

IN_HOLE: Final = LATE_HIDDEN
"""An end of a write lies in a hole, whose bytes nobody saw."""

HELD_BACK: Final = 0.1
"""An end of a write is hidden: Nagle's algorithm held the write back behind a small segment."""

RELEASED: Final = 3.0
"""An end of a write shows behind a small segment, because the acknowledgement had come."""

MERGED: Final = (0.15, 2.0)
"""A read runs across an end that shows on the wire: the lowest and the highest price.

The more segments the reader joins, the lower the price."""

NO_PUSH: Final = 5.0
"""A segment that ends a write has no PSH."""

PUSH_AT_LEVEL: Final = 1.5
"""A segment that is full at a lower MTU, and ends no write, has PSH."""

BEFORE_FALL: Final = 6.0
"""A segment that is full at a lower MTU has PSH and ends no write, before any was sent again."""

PUSH_WITHIN_LINES: Final = (5.0, 1.5)
"""A full segment of the first window has PSH although lines filled it: the first, and others."""

RESEGMENTED: Final = 0.5
"""A segment that was sent again ends where one of the old size did."""

RESEGMENTED_UNSURE: Final = 2.0
"""A segment ends where one of the old size did, but is not known to have been sent again."""

RESENT_SHORT: Final = (3.0, 6.0)
"""A short segment was sent again after a fall: its price without PSH, and with PSH."""

WITHIN_RESEGMENTED: Final = 2.5
"""A read ends within a segment that the path cut again."""

WHOLE_AGAIN: Final = 6.0
"""After a fall, reads are whole segments of the old size again."""

UNEXPLAINED_AFTER_FALL: Final = 14.0
"""After a fall, a read ends where no segment ends."""

BYTE_WINDOW: Final = 5.0
"""A short segment fills up a window that counts bytes (RFC 9293, 3.8.6.2.1)."""

FILLS_WINDOW: Final = 8.0
"""A segment is short since the peer's window ended within it."""

BOUNDED: Final = 2.0
"""Something else than a write bounds a unit.

A segment of 16 KiB or more is shorter than an MSS above 32 KiB, as over loopback: half the peer's
window bounds it (tcp_bound_to_half_wnd). Or a read is 64 KiB long, as the reader's buffer is."""

PAUSE_SEEN: Final = 0.3
"""A sender that pauses did pause after a write."""

PAUSE_MISSED: Final = 3.0
"""A sender that pauses did not pause after a write."""

PAUSE_UNKNOWN: Final = 0.5
"""The times do not tell whether a sender that pauses did."""

PAUSE_ODD: Final = 6.0
"""A sender that does not pause did pause after a write."""

LINE_END: Final = 5.5
"""A line ends at exactly this byte: lines have some 50 bytes."""

LINE_HIDDEN: Final = 9.0
"""The end of a line that had its own write is hidden in the first window."""

LINE_HIDDEN_MAX: Final = 40.0
"""The most that hidden lines of one segment cost."""

LINES_ALIKE: Final = 2.0
"""A write of encoded lines (RFC 2045) is as long as the others."""

LINES_LEFT: Final = 11.0
"""What was written behind a small segment has exactly this length."""

LINE_ALONE: Final = 2.0
"""One line goes alone although it is behind a small segment, or after the first window."""

NO_REST: Final = 1.0
"""Under Nagle's algorithm, a full segment of lines is not followed by the rest of a line."""

LINES_ODD_MAX: Final = 20.0
"""The most that a write of lines costs for its length."""

LINES_MERGED_MAX: Final = 12.0
"""The most that lines joined by one read cost."""

FOLDED: Final = 2.0
"""A line ends within a header field: the field is folded."""

LONG_FIRST: Final = 6.0
"""The first line of a message is long."""
