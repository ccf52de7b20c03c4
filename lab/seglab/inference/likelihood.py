"""How well a hypothesis explains the units: bits for everything that it does not predict.

Theory of operation
-------------------

What comes in: the *units* (the sizes of an observation, with their places), a *path* (what a full
segment held, see ``path``), a *hypothesis* (where the writes end, see ``hypothesis``), and whether
the sender's TCP has Nagle's algorithm. What comes out is the cheapest *alignment* of the ends of
writes with the ends of units, and its price in bits. A price of b bits says that a thing happens
once in 2^b times. All prices are in ``cost``.

``Alignment.run`` takes the units in stream order and carries *states*. A state is one way to have
explained everything up to a unit:

    field             who changes it
    bits              every method that explains something adds its price
    anchor            ``with_shown_end``: the last end of a write that shows. Full segments count
                      from it, so that the next short segment can only end where a write does
    shown             ``with_shown_end``, and a full segment that ends where a write ends
    resegmented       ``segment``: a short segment that the path cut again
    lower_from        ``aligned``: where segments of a lower level count from, after the path's MTU
                      fell; an end of a write that shows resets it to ``None``
    unexplained_ends  ``segment`` and ``at_end``: a unit that ends where nothing explains it

A unit that is one segment leads from a state to exactly one state. Its size decides what happened:

    size                                    explanation
    a hole, which nobody saw                none is needed; segments count from its end
    a full segment, at any level            TCP had enough bytes; an end of a write may lie there
    the last unit                           the message ended
    ends where a full segment had ended     the path fell, and TCP cut the segment again
    ends where the hypothesis has an end    a write ended, and shows
    ends at a multiple of a full segment    a window that counts bytes was full (Listing 9)
    was sent again after a fall             the path cut it, somehow
    ends a large piece over loopback        half of the peer's window bounds it
    ends behind the smallest first window,  the peer's window ended within a segment
    and no write's end has shown yet
    none of these                           nothing: 18 bits or more

A unit that joins several segments (a read, or a capture behind offload) leads to several states:
each end of a write within it may have shown on the wire or not. States that agree in anchor and
``lower_from`` have the same future, so the cheapest of them is kept, and at most twelve in all.

An end that does not show is *hidden*: TCP put the bytes of the next write into the same segment.
What this costs depends on the moment. In the first window (ten segments, RFC 6928) each write
leaves at once, and a hidden end is a surprise. Behind a full window, and behind a small segment
that Nagle's algorithm waits for (``tcp_nagle_check``, ``tcp_minshall_check``), it is the rule.

Two invariants: bits never decrease from one state to the next, so a state above the limit can be
dropped. And the units that ``PathBounds.numbers_to_look_at`` leaves out change no state and cost
nothing.

What this deliberately ignores: congestion control after the first window, autocorking, where the
window of the peer ends (it may be anywhere behind ``Path.may_fill_window``, and over loopback
``Path.may_bound``), and acknowledgements, which no observation has. ``lines.LinesAlignment`` adds
writers whose ends are not known.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

from seglab.inference import cost
from seglab.inference.bounds import PathBounds
from seglab.inference.hypothesis import Hypothesis
from seglab.inference.units import Unit

_STATES_MAX = 12

_bits_of = itemgetter(0)


@dataclass(frozen=True, slots=True)
class Explained:
    """The cheapest alignment of a hypothesis with the units.

    Attributes:
        bits: the price of everything that the hypothesis did not predict.
        shown: the ends of writes that show.
        resegmented: the ranges of segments that the path cut again.
        trailing_end_bits: what one more end of a write would cost that is hidden in the last unit.
        unexplained_ends: how many units end where nothing explains it.
    """

    bits: float
    shown: tuple[int, ...]
    resegmented: tuple[tuple[int, int], ...] = ()
    trailing_end_bits: float = 0.0
    unexplained_ends: int = 0


class State(NamedTuple):
    """One way to explain all units up to some place.

    Attributes:
        bits: what it costs.
        anchor: the last end that showed. Full segments of the base count from it.
        shown: all ends of writes that showed.
        resegmented: ranges of segments that the path cut again.
        lower_from: where segments of a lower level count from, since the path's MTU fell; ``None``
            while segments have the size of the base.
        unexplained_ends: how many units end where nothing explains it.
    """

    bits: float
    anchor: int
    shown: tuple[int, ...]
    resegmented: tuple[tuple[int, int], ...] = ()
    lower_from: int | None = None
    unexplained_ends: int = 0

    def plus(self, bits: float) -> "State":
        """This state, at a higher cost."""
        return State(self.bits + bits, *self[1:]) if bits else self

    def with_shown_end(self, bits: float, end: int) -> "State":
        """The state after an end of a write that shows, at a price; segments count from it."""
        bits += self.bits
        return State(bits, end, (*self.shown, end), self.resegmented, None, self.unexplained_ends)


class Alignment:
    """The alignment of writers whose writes end exactly where their hypothesis says.

    Attributes:
        anywhere: whether a write may also end at bytes that the hypothesis does not name.
    """

    anywhere = False

    def __init__(self, bounds: PathBounds, hypothesis: Hypothesis, nagle: bool) -> None:
        self.bounds = bounds
        self.units = bounds.units
        self.path = bounds.path
        self.base = bounds.base
        self.total = bounds.total
        self.merged_bits = bounds.merged_bits
        self.hidden_early_bits = bounds.hidden_early_bits
        self.hypothesis = hypothesis
        self.ends = hypothesis.ends
        self.end_set = frozenset(hypothesis.ends)
        self.nagle = nagle

    def run(self, limit: float) -> Explained | None:
        """The cheapest alignment; ``None`` if every state comes to more than ``limit`` bits."""
        units = self.units
        states = [State(0.0, units[0].start, ())]
        for number in self.bounds.numbers_to_look_at(self.hypothesis):
            unit = units[number]
            if unit.coalesced:
                states = self.coalesced(states, number, unit, limit)
                if not states:
                    return None
            else:
                step = self.over_hole if unit.hole else self.segment
                state = step(states[0], number, unit)
                if state.bits > limit:
                    return None
                states = [state]
        state = states[0]
        return Explained(
            state.bits,
            state.shown,
            state.resegmented,
            self.trailing_end_bits(bool(state.shown)),
            state.unexplained_ends,
        )

    def trailing_end_bits(self, small: bool) -> float:
        """Bits for one more end of a write that is hidden in the last unit."""
        number = len(self.units) - 1
        if self.units[-1].hole:
            return cost.IN_HOLE
        bits = self.hidden_bits(number, self.total - 1, small)
        if self.units[-1].coalesced:
            bits = min(bits, self.shown_bits(number, self.total - 1, small) + self.merged_bits)
        return bits

    def ends_within(self, start: int, end: int) -> tuple[int, ...]:
        """The ends of writes at ``start < offset < end``."""
        ends = self.ends
        if not ends:
            return ends
        low = bisect_right(ends, start)
        return ends[low : bisect_right(ends, end - 1, low)]

    def hidden_bits(self, number: int, offset: int, small: bool) -> float:
        """Bits for an end that does not show.

        Args:
            number: of the unit that the end is in.
            offset: of the end.
            small: whether a segment that is not full was sent before it, which Nagle's algorithm
                may be waiting for.
        """
        if self.nagle and small:
            return cost.HELD_BACK
        bits = self.hidden_early_bits(number, offset)
        return cost.LATE_HIDDEN if bits is None else bits

    def shown_bits(self, number: int, offset: int, small: bool) -> float:
        """Bits for an end that shows; the arguments are those of ``hidden_bits``."""
        if self.nagle and small:
            return cost.RELEASED
        return cost.LATE_SHOWN if self.hidden_early_bits(number, offset) is None else cost.SHOWN

    def segment(self, state: State, number: int, unit: Unit) -> State:
        """The state after a unit that is one segment; the cases are those of the table above."""
        bits, anchor, shown, resegmented, _, unexplained = state
        start, end, _, resent, _, _, size, _ = unit
        small = bool(shown)
        bits += self.within_bits(number, unit, small)
        for inside in self.ends_within(start, end):
            bits += self.hidden_bits(number, inside, small)
        at_end = end in self.end_set
        if size in self.bounds.levels:
            bits += self.full_bits(number, unit, at_end)
            if at_end:
                shown = (*shown, end)
        elif end == self.total:
            pass
        elif self.path.resegmented(end, anchor) and not (at_end and not resent):
            bits += cost.RESEGMENTED if resent else cost.RESEGMENTED_UNSURE
            resegmented = (*resegmented, (max(anchor, end - self.base, 0), end))
        elif at_end or (self.anywhere and not self.path.may_bound(unit)):
            ended = self.short_bits(number, state, unit) + self.pause_bits(number)
            if not at_end and (cut := self.resent_short_bits(unit)) < ended:
                bits += cut
                resegmented = (*resegmented, (max(start, 0), end))
            else:
                bits += ended
                shown = (*shown, end)
                anchor = end
        elif end % self.base == 0 and shown:
            bits += cost.BYTE_WINDOW
        elif (cut := self.resent_short_bits(unit)) < math.inf:
            bits += cut
            resegmented = (*resegmented, (max(start, 0), end))
        elif (bounded := self.bounded_bits(unit, small or unexplained > 0)) < math.inf:
            bits += bounded
            anchor = end
        else:
            bits += self.bounds.unexplained_bits
            anchor = end
            unexplained += 1
        return State(bits, anchor, shown, resegmented, None, unexplained)

    def over_hole(self, state: State, _number: int, unit: Unit) -> State:
        """The state after a hole: ends in it leave no trace, and segments count from its end."""
        bits = cost.IN_HOLE * len(self.ends_within(unit.start, unit.end))
        return state.plus(bits)._replace(anchor=unit.end, lower_from=None)

    def resent_short_bits(self, unit: Unit) -> float:
        """Bits for a short segment that the path caused by a fall, wherever it ends."""
        if self.path.fell and unit.retransmitted and unit.size < self.path.levels[1]:
            return cost.RESENT_SHORT[bool(unit.push)]
        return math.inf

    def bounded_bits(self, unit: Unit, small: bool) -> float:
        """Bits for a segment that a window made short, wherever it ends.

        Behind a small segment that a write ended, or that nothing explains, other short ones are
        rather lines that gathered meanwhile.
        """
        if self.path.may_bound(unit):
            return cost.BOUNDED
        fills = not small and self.path.may_fill_window(unit)
        return cost.FILLS_WINDOW if fills else math.inf

    def full_bits(self, number: int, unit: Unit, at_end: bool) -> float:
        """Bits for what a full segment's PSH says, and for the pause where a write ends with it.

        Linux sets PSH at the end of each packet of several segments that it hands to the device
        (tcp_transmit_skb). So a long write has PSH on some of its full segments, and lines that
        fill one segment after the other have not.
        """
        bits = 0.0
        if at_end:
            bits += self.pause_bits(number) + (cost.NO_PUSH if unit.push is False else 0.0)
        if not unit.push or number >= self.bounds.first_resent:
            return bits
        bits += self.push_bits(number)
        if unit.size < self.base and not at_end:
            bits += cost.PUSH_AT_LEVEL if self.bounds.nothing_resent else cost.BEFORE_FALL
        return bits

    def within_bits(self, _number: int, _unit: Unit, _small: bool) -> float:
        """Bits for ends within a segment that are hidden and that the hypothesis does not name."""
        return 0.0

    def push_bits(self, _number: int) -> float:
        """Bits for PSH on a full segment that ends no write."""
        return 0.0

    def short_bits(self, number: int, state: State, unit: Unit) -> float:
        """Bits for a write's end that shows as the end of a short segment."""
        bits = cost.NO_PUSH if unit.push is False else 0.0
        return bits + self.ended_bits(number, state, unit.end)

    def ended_bits(self, number: int, state: State, end: int) -> float:
        """Bits for a write's end that shows here."""
        return self.shown_bits(number, end, bool(state.shown))

    def pause_bits(self, number: int) -> float:
        """Bits for the pause, or its absence, after the unit that a write ends with."""
        following = self.units[number + 1] if number + 1 < len(self.units) else None
        silence = None
        if following is not None and not following.retransmitted:
            silence = following.silence_before
        if self.path.fell and self.units[number].coalesced:
            silence = None  # the reader may have waited for a lost packet; reads do not say so
        if self.hypothesis.paused:
            if silence is None:
                return cost.PAUSE_UNKNOWN
            return cost.PAUSE_SEEN if silence else cost.PAUSE_MISSED
        if not silence or following is None:
            return 0.0
        if self.hidden_early_bits(number, following.start) is None:
            return 0.0
        released = self.nagle and following.size < self.base
        return cost.SHOWN if released else cost.PAUSE_ODD

    def coalesced(self, states: list[State], number: int, unit: Unit, limit: float) -> list[State]:
        """The states after a unit that joins segments: each end within it shows or is hidden."""
        inside = self.ends_within(unit.start, unit.end)
        if inside:
            states = self.within(states, number, unit, inside, limit)
        if unit.end == self.total:
            return states
        if len(states) == 1 and not self.anywhere and unit.end not in self.end_set:
            state = states[0]
            if state.lower_from is None and (unit.end - state.anchor) % self.base == 0:
                return states
        best = _Best(limit)
        for state in states:
            for later in self.at_end(state, number, unit):
                best.add(later)
        return best.states()

    def within(
        self, states: list[State], number: int, unit: Unit, inside: Sequence[int], limit: float
    ) -> list[State]:
        """The states after the ends within a unit: none shows, or one is the last to show."""
        chances: dict[bool, tuple[float, list[tuple[float, int]]]] = {}
        best = _Best(limit)
        for state in states:
            small = bool(state.shown)
            if small not in chances:
                chances[small] = self.chances(number, unit, inside, small)
            none, some = chances[small]
            best.add(state.plus(none))
            for bits, end in some:
                if state.bits + bits <= limit:
                    best.add(state.with_shown_end(bits, end))
        return best.states()

    def chances(
        self, number: int, unit: Unit, inside: Sequence[int], small: bool
    ) -> tuple[float, list[tuple[float, int]]]:
        """Bits if no end shows within a unit, and bits for each end if it is the last to show.

        The last end to show is one from which whole segments reach the end of the unit, or the
        first end, behind which Nagle's algorithm holds the others back, or the last of all.
        """
        if self.nagle and small:
            hidden, shows = [cost.HELD_BACK] * len(inside), [cost.RELEASED] * len(inside)
        else:
            hidden = [self.hidden_bits(number, end, small) for end in inside]
            shows = [self.shown_bits(number, end, small) for end in inside]
        behind = [cost.HELD_BACK] * len(inside) if self.nagle else hidden
        after = sum(behind)
        before = 0.0
        some = []
        final = len(inside) - 1
        reaching = self.path.reaching
        for place, end in enumerate(inside):
            after -= behind[place]
            shown = shows[place] + self.merged_bits
            if not place or place == final or (unit.end - end) % self.base in reaching:
                some.append((before + shown + max(after, 0.0), end))
            before += min(hidden[place], shown)
        return sum(hidden), some

    def at_end(self, state: State, number: int, unit: Unit) -> list[State]:
        """The states at the end of a unit that joins segments, each with a reason for that end."""
        states = self.aligned(state, unit)
        nothing_aligned = not states
        if unit.end in self.end_set:
            bits = self.shown_bits(number, unit.end, bool(state.shown)) + self.pause_bits(number)
            states.append(state.with_shown_end(bits, unit.end))
        if nothing_aligned:
            unexplained = state.unexplained_ends
            if self.path.may_bound(unit):
                bits = cost.BOUNDED
            else:
                fell = self.path.fell
                bits = cost.UNEXPLAINED_AFTER_FALL if fell else self.bounds.unexplained_bits
                unexplained += 1
            bits += state.bits
            states.append(State(bits, unit.end, state.shown, state.resegmented, None, unexplained))
        return states

    def aligned(self, state: State, unit: Unit) -> list[State]:
        """The states in which whole segments reach the end of a unit; empty where none can."""
        base = self.base
        bits, anchor, shown, resegmented, lower_from, unexplained = state
        if (unit.end - anchor) % base == 0:
            if lower_from is None:
                return [state]
            return [State(bits, anchor, shown, resegmented, None, unexplained)]
        found = []
        if lower_from is not None:
            if any((unit.end - lower_from) % level == 0 for level in self.path.levels[1:]):
                return [state]
            if unit.size % base == 0:  # the path takes whole segments again, from here on
                whole = bits + cost.WHOLE_AGAIN
                found.append(State(whole, unit.end, shown, resegmented, None, unexplained))
        if self.path.within_resegmented(unit.end, anchor):
            bits += cost.WITHIN_RESEGMENTED
            found.append(State(bits, anchor, shown, resegmented, unit.end, unexplained))
        return found


class _Best:
    """The cheapest state for each anchor and each start of a lower level, none above the limit."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._found: dict[tuple[int, int | None], State] = {}

    def add(self, state: State) -> None:
        """Keep a state unless it costs more than the limit, or than one with the same future."""
        bits, anchor, _, _, lower_from, _ = state
        if bits > self._limit:
            return
        place = (anchor, lower_from)
        other = self._found.get(place)
        if other is None or bits < other.bits:
            self._found[place] = state

    def states(self) -> list[State]:
        """The states that were kept, the cheapest first, at most ``_STATES_MAX``."""
        found = list(self._found.values())
        if len(found) > 1:
            found.sort(key=_bits_of)
            del found[_STATES_MAX:]
        return found
