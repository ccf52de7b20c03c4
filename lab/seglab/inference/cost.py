"""What each surprise costs, in bits: the model's numbers, all in one place.

A cost of *b* bits says that one such event in 2^b is expected. They were chosen on the networks
on the tuning side of ``docs/quality.md``, and nowhere else.
"""

from typing import Final

UNEXPLAINED: Final = 18.0
"""An end of a segment, or of a read, that nothing explains."""

UNEXPLAINED_MORE: Final = 7.0
"""By so much, at least, it costs more than the choice of a byte within a full segment, which is
what such an end costs a writer of no style."""

IMPOSSIBLE: Final = 40.0
"""What cannot be, such as a line that ends within a field's name."""

SHOWN: Final = 0.1
"""A write's end in the first window shows."""

HIDDEN_EARLY: Final = ((1, 10.0), (4, 8.0), (10, 6.0))
"""It does not: up to so many segments, the cost. Linux begins with a window of ten (RFC 6928)."""

HIDDEN_AGAIN: Final = 5.0
"""The same, after a retransmission."""

HIDDEN_BEHIND_FALL: Final = 2.0
"""The same, in reads of a path whose MTU fell: what was written meanwhile waits."""

LATE_SHOWN: Final = 1.0
"""A write's end shows although the first window is over."""

LATE_HIDDEN: Final = 0.1
"""It does not: it waited behind a full window."""

HELD: Final = 0.1
"""Nagle's algorithm holds a write back behind a small segment, and its end is hidden."""

RELEASED: Final = 3.0
"""Behind a small segment an end shows nevertheless: the acknowledgement came."""

MERGED: Final = (0.15, 2.0)
"""A read runs across an end that shows on the wire: the least and the most; see ``likelihood``."""

NO_PUSH: Final = 5.0
"""A segment that ends a write has no PSH."""

PUSH_AT_LEVEL: Final = 1.5
"""A segment that is full at a lower MTU, and ends no write, has PSH."""

BEFORE_FALL: Final = 6.0
"""The same before the fall has cost a packet."""

PUSH_AMID_LINES: Final = (5.0, 1.5)
"""A full segment of the first window has PSH, although single lines filled it; and another."""

RECUT: Final = 0.5
"""A segment that was sent again ends where one of the old size did."""

RECUT_UNSURE: Final = 2.0
"""The same, not known to have been sent again."""

CUT_SOMEHOW: Final = (3.0, 6.0)
"""A short segment that was sent again after a fall, without and with PSH."""

AMID: Final = 2.5
"""A read ends amid a segment that was cut anew."""

BACK: Final = 6.0
"""After a fall, reads are whole segments of the old size again."""

ADRIFT: Final = 14.0
"""A read after a fall ends where no segment should."""

BYTE_WINDOW: Final = 5.0
"""A short segment fills up a window that counts bytes (RFC 9293, 3.8.6.2.1)."""

BOUND: Final = 2.0
"""A segment of 16 KiB or more is short of an MSS above 32 KiB: half the peer's window bounds it
(tcp_bound_to_half_wnd), as over loopback; or a read is 64 KiB long, as the reader's buffer is."""

PAUSE_SEEN: Final = 0.3
"""Behind a write of a sender that pauses, a pause."""

PAUSE_MISSED: Final = 3.0
"""None."""

PAUSE_UNKNOWN: Final = 0.5
"""Times that do not tell."""

PAUSE_ODD: Final = 6.0
"""A pause behind a write of a sender that does not pause."""

LINE_END: Final = 5.5
"""A line ends at this very byte: lines have some 50 bytes."""

LINE_HIDDEN: Final = 9.0
"""A line that had its own write does not show in the first window."""

LINE_HIDDEN_MAX: Final = 40.0
"""The most that hidden lines of one segment cost."""

LINES_ALIKE: Final = 2.0
"""A write of encoded lines (RFC 2045) is as long as the others."""

LINES_LEFT: Final = 11.0
"""What was written behind a small segment has just this length."""

LINE_ALONE: Final = 2.0
"""Behind a small segment, or after the first window, one line goes alone nevertheless."""

NO_REST: Final = 1.0
"""Behind a full segment of lines, under Nagle's algorithm, no rest of a line shows."""

LINES_ODD_MAX: Final = 20.0
"""The most that a write of lines costs for its length."""

LINES_MERGED_MAX: Final = 12.0
"""The most that lines joined by one read cost."""

FOLDED: Final = 2.0
"""A header field has a line end within: it is folded."""

LONG_FIRST: Final = 6.0
"""A message's first line is long."""
