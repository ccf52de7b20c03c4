"""Which segments some writes could have become, whatever the timing.

A sender may pause between two writes for as long as it likes, and acknowledgements take as long
as they like. Under that freedom, Linux's rules (``net/ipv4/tcp.c`` and ``tcp_output.c``) leave
this grammar:

1. A segment is full, or it ends where a write ends, or where a buffer ends that was filled while
   another MSS was in force (``tcp_fragment`` cuts a buffer, and never joins two).
2. A write that ends inside a segment was joined there with the next one, in the last buffer of
   the queue, which had not been sent (``tcp_sendmsg_locked`` fills it up). It needs a reason not
   to have been sent at once:

   - the window: as many segments are before it as the initial window holds (``tcp_cwnd_test``),
     or, where more than one segment waits, more than two thirds of them
     (``tcp_tso_should_defer``); or the sender had retransmitted before, after which its window
     can be as small as one segment;
   - Nagle's algorithm, where it is on: the part that waits is shorter than a segment, and an
     earlier short segment can be unacknowledged (``tcp_nagle_check``, Minshall's variant).

3. Reads are unions of consecutive segments.

What the grammar cannot express, it refuses: what else holds data back (``tcp_autocorking``, a
full send buffer, the peer's window) is rare, and ``docs/quality.md`` counts it.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice, pairwise
from typing import Final

from seglab.core.boundaries import FullSegments

INITIAL_WINDOW: Final = 10
"""Linux's own (RFC 6928), in segments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderTcp(FullSegments):
    """What decides how a sender's TCP cuts writes, beside the writes.

    Attributes:
        initcwnd: the initial window in segments; ``None`` is the kernel's own.
        nodelay: whether Nagle's algorithm was off; ``None`` leaves it open.
    """

    initcwnd: int | None = None
    nodelay: bool | None = None

    def window_hides(self, segments_before: int, start: int) -> bool:
        """Whether a full window can have held back what begins at ``start``."""
        if self.disturbed(start):
            return True
        window = self.initcwnd or INITIAL_WINDOW
        deferred = 2 * window // 3 + 2  # over two thirds in flight, and one that is sent later
        return segments_before >= min(window, deferred)


def could_give(
    ends: Iterable[int],
    sizes: Sequence[int],
    tcp: SenderTcp,
    *,
    merged: bool = False,
    unexplained: Iterable[int] = (),
) -> bool:
    """Whether writes with these ends, at some times, give exactly these sizes.

    Args:
        ends: where writes end, inside the message; its own end need not be among them.
        sizes: of segments in stream order, as they were first sent; or of reads.
        tcp: of the sender.
        merged: whether the sizes are reads', each of one or more segments.
        unexplained: ends of reads that are skipped, because the path cut again what had been sent.
    """
    if not sizes:
        return False
    total = sum(sizes)
    writes = sorted({end for end in ends if 0 < end < total} | {total})
    grammar = _Grammar(writes, tcp)
    if merged:
        wanted = sorted({*accumulate(sizes)} - {*unexplained} | {total})
        return grammar.reaches(wanted)
    return grammar.gives(sizes)


@dataclass(frozen=True, slots=True)
class _State:
    """Between two segments: the number before, whether one was short, and where it ended."""

    before: int = 0
    short: bool = False
    buffer: int = 0


class _Grammar:
    def __init__(self, writes: Sequence[int], tcp: SenderTcp) -> None:
        self.writes = writes
        self.total = writes[-1]
        self.tcp = tcp
        self.ends = frozenset(writes)

    def gives(self, sizes: Sequence[int]) -> bool:
        """Whether each size is a segment by the rules, one after the other."""
        state: _State | None = _State()
        start = 0
        for size in sizes:
            state = self.after(state, start, start + size)
            if state is None:
                return False
            start += size
        return True

    def reaches(self, wanted: Sequence[int]) -> bool:
        """Whether some segments by the rules have all these ends among theirs.

        As long as nothing can hide a boundary, there is one way to go on: to the next end of a
        write, or by a full segment. From then on any boundary may hide, and each wanted end can
        be looked at by itself: it is the end of a write, or full segments lead to it from an end
        before it.
        """
        state, start, first = _State(), 0, 0
        while not self._can_hide(state, start):
            end = min(self._next_write(start), start + self.tcp.mss)
            if end > wanted[first]:
                return False
            first += end == wanted[first]
            if end == self.total:
                return True
            whole = end - start == self.tcp.mss
            state = _State(state.before + 1, state.short or not whole, end)
            start = end
        return all(self._free(begin, end) for begin, end in pairwise((start, *wanted[first:])))

    def _can_hide(self, state: _State, start: int) -> bool:
        """Whether a boundary in the segment that begins there can have been hidden."""
        held = self.tcp.nodelay is not True and state.short
        return held or self.tcp.window_hides(state.before, start)

    def _next_write(self, start: int) -> int:
        """Where the first write ends that ends behind ``start``."""
        return self.writes[bisect_right(self.writes, start)]

    def _free(self, start: int, end: int) -> bool:
        """Whether segments can lead from one offset to the other where all boundaries may hide."""
        if end in self.ends:
            return True
        full = self.tcp.full_sizes(end - 1)
        low = bisect_right(self.writes, start)
        if len(full) > 1:
            low = 0  # the buffer that ends here may have begun long before
        begins = (start, *islice(self.writes, low, bisect_left(self.writes, end)))
        return any(_filled(end - begin, full) for begin in begins)

    def after(self, state: _State | None, start: int, end: int) -> _State | None:
        """The state after such a segment; ``None`` where the rules do not allow it."""
        if state is None:
            return None
        size = end - start
        full = self.tcp.full_sizes(start)
        if size > max(full):
            return None
        whole = size in full
        if not whole and end not in self.ends and not self._buffer_ends(state.buffer, start, end):
            return None
        if self._next_write(start) < end and not self._can_hide(state, start):
            return None
        return _State(state.before + 1, state.short or not whole, state.buffer if whole else end)

    def _buffer_ends(self, buffer: int, start: int, end: int) -> bool:
        """Whether a buffer could end here that was filled while another MSS was in force."""
        sizes = self.tcp.full_sizes(start)
        return len(sizes) > 1 and any(
            (end - begin) % size == 0 for begin in (buffer, start) for size in sizes
        )


def _filled(size: int, full: frozenset[int]) -> bool:
    """Whether full segments have so many bytes, of one MSS, or of one and then another."""
    if any(size % one == 0 for one in full):
        return True
    return len(full) > 1 and any(
        (size - rest) % one == 0
        for one in full
        for other in full
        if other != one
        for rest in range(other, size, other)
    )
