"""What one direction of a link does to a frame: pure arithmetic, without sockets and clocks.

A frame that is offered to a link first meets what may kill it (the link's MTU, an exact drop,
random loss), then waits for the transmitter behind at most ``max_queue_size`` others, is
serialised at ``bw_mbit``, and travels for ``delay_ms`` plus a jitter:

    offer -> mtu -> exact drop -> loss -> queue -> rate -> delay + jitter -> departure

It is the order of a real link, and so differs from Mininet's ``TCLink``, which delays first
(netem) and limits the rate afterwards (HTB, with a burst of 15 kB that ours does not have).

The Ethernet header of a frame counts at the rate, as in tc's ``qdisc_pkt_len``. Preamble, frame
check sequence and the gap between frames do not.

Times are integer nanoseconds. The wire of the kernel engine calls this code with the machine's
monotonic clock. The same offers get the same fates, whatever clock the times come from.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from math import log
from random import Random
from typing import NamedTuple

from seglab.core.seeds import derive
from seglab.core.tcpip import ETHERNET_HEADER_BYTES, MTU_MAX_BYTES, MTU_MIN_BYTES

_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000
_NO_LIMIT = 1 << 62
_OVERTAKES = -1
_NEVER = -1
_PARETO_SHAPE = 3.0  # as in the table that netem calls pareto

_Draw = Callable[[], float]


def _waiting_time(share: float) -> float:
    """Return what that share of an exponential distribution with mean 1 is below."""
    return -log(1.0 - share)


def _exponential(rng: Random) -> _Draw:
    draw = rng.random
    return lambda: _waiting_time(draw())


def _uniform(rng: Random) -> _Draw:
    draw = rng.random
    return lambda: 2.0 * draw() - 1.0


def _normal(rng: Random) -> _Draw:
    return lambda: rng.gauss(0.0, 1.0)


def _pareto(rng: Random) -> _Draw:
    mean = 1.0 / (_PARETO_SHAPE - 1.0)
    draw = rng.random
    return lambda: ((1.0 - draw()) ** (-1.0 / _PARETO_SHAPE) - 1.0) / mean


DISTRIBUTIONS: dict[str, Callable[[Random], _Draw]] = {
    "exponential": _exponential,
    "uniform": _uniform,
    "normal": _normal,
    "pareto": _pareto,
}
"""How ``jitter_ms`` is spread, each in units of ``jitter_ms``:

- ``exponential``: added to the delay, mean 1: the waiting time behind other traffic.
- ``pareto``: added to the delay, mean 1, heavy tail (Lomax, shape 3): rare long stalls.
- ``uniform``: between -1 and 1 around the delay, as netem without a table.
- ``normal``: around the delay, standard deviation 1, as netem's table of that name.

A delay that would come out negative is 0.
"""


@dataclass(frozen=True, slots=True)
class LinkParams:
    """One direction of one link, in the terms of Mininet's ``TCLink`` where they mean the same.

    Attributes:
        bw_mbit: rate in 10^6 bit/s, Ethernet header included; ``None`` is unlimited.
        delay_ms: propagation delay, after serialisation.
        jitter_ms: scale of the jitter. Jitter keeps the order of frames: one that would overtake
            leaves right behind its predecessor, at the rate.
        jitter_distribution: a name in ``DISTRIBUTIONS``.
        stall_pct: share of frames that wait behind a burst of other traffic, for a time with
            an exponential distribution, beside their jitter. Those after them pile up behind.
        stall_ms: the mean of that time.
        loss_pct: share of frames lost at random, each on its own.
        duplicate_pct: share of frames that are followed at once by a copy.
        reorder_pct: share of frames that skip delay and jitter, and so overtake those before
            them (netem's ``reorder``). Needs a delay.
        max_queue_size: frames that may wait for the rate, the one being serialised not counted;
            one more is dropped (tail drop). ``None`` is no limit. Needs ``bw_mbit``.
        mtu: larger IP packets are dropped, without an ICMP message (a black hole).
        drop_data: exact drops. 1 is the first segment with data that is offered. Each offer
            counts, also of retransmissions and of segments that the link drops.

    Raises:
        ValueError: a value is out of range; the message begins with the field's name.
    """

    bw_mbit: float | None = None
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    jitter_distribution: str = "exponential"
    stall_pct: float = 0.0
    stall_ms: float = 0.0
    loss_pct: float = 0.0
    duplicate_pct: float = 0.0
    reorder_pct: float = 0.0
    max_queue_size: int | None = None
    mtu: int | None = None
    drop_data: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "drop_data", tuple(self.drop_data))
        if problems := self.problems():
            raise ValueError("; ".join(problems))

    def problems(self) -> list[str]:
        """Describe all that is wrong with the values: ``field: expected ..., found ...``."""
        return [
            f"{name}: expected {expected}, found {getattr(self, name)!r}"
            for name, (good, expected) in self._rules().items()
            if not good
        ]

    @property
    def instant(self) -> bool:
        """Whether a frame that survives leaves at the moment it is offered."""
        return self.bw_mbit is None and not (self.delay_ms or self.jitter_ms or self.stall_pct)

    @property
    def draws(self) -> bool:
        """Whether chance decides anything about a frame, so that a seed makes a difference."""
        return any(
            (self.jitter_ms, self.stall_pct, self.loss_pct, self.duplicate_pct, self.reorder_pct)
        )

    @property
    def transparent(self) -> bool:
        """Whether the link does nothing at all to a frame."""
        return self == LinkParams(jitter_distribution=self.jitter_distribution)

    def _rules(self) -> dict[str, tuple[bool, str]]:
        """For each field, whether its value is good, and what would be."""
        rules = {
            "bw_mbit": (
                self.bw_mbit is None or _number(self.bw_mbit, 1e-6, 1e6),
                "a rate above 0 Mbit/s, or none",
            ),
            "jitter_distribution": (
                self.jitter_distribution in DISTRIBUTIONS,
                f"one of {', '.join(DISTRIBUTIONS)}",
            ),
            "max_queue_size": (
                self.max_queue_size is None
                or (_whole(self.max_queue_size, 0) and self.bw_mbit is not None),
                "a number of frames from 0, on a link with a rate (bw_mbit)",
            ),
            "mtu": (
                self.mtu is None or (_whole(self.mtu, MTU_MIN_BYTES) and self.mtu <= MTU_MAX_BYTES),
                f"bytes from {MTU_MIN_BYTES} to {MTU_MAX_BYTES}",
            ),
            "drop_data": (
                all(_whole(n, 1) for n in self.drop_data),
                "positions of data segments, from 1",
            ),
        }
        for name in ("delay_ms", "jitter_ms", "stall_ms"):
            rules[name] = (_number(getattr(self, name), 0, 3.6e6), "milliseconds from 0 to an hour")
        for name in ("loss_pct", "duplicate_pct", "reorder_pct", "stall_pct"):
            rules[name] = (_number(getattr(self, name), 0, 100), "a percentage from 0 to 100")
        if rules["reorder_pct"][0] and self.reorder_pct and not self.delay_ms:
            rules["reorder_pct"] = (False, "a link with a delay (delay_ms) to overtake in")
        return {f.name: rules[f.name] for f in fields(self)}


class Fate(NamedTuple):
    """What a link does with a frame.

    Attributes:
        departures_ns: when the frame leaves: empty when it is dropped, two when duplicated.
        drop_reason: ``mtu``, ``exact``, ``loss`` or ``queue``; ``None`` when it leaves.
    """

    departures_ns: tuple[int, ...]
    drop_reason: str | None = None


class LinkState:
    """The state of one direction of a link: its queue, its transmitter and its random draws.

    Each kind of draw has its own stream, with one draw for every frame that is offered, whether or
    not the link drops it. So a changed loss rate does not reshuffle the jitter.

    Attributes:
        params: of that direction.
        drop_reason: why the last frame was dropped, as in ``Fate``; ``None`` where it was not.
        copy_ns: when a copy of the last frame leaves; below zero where there is none.
    """

    __slots__ = (
        "_arrivals_data",
        "_busy_until_ns",
        "_delay_ns",
        "_drop_data",
        "_duplicate",
        "_duplicate_share",
        "_first_waits",
        "_jitter",
        "_jitter_ns",
        "_last_departure_ns",
        "_limit",
        "_loss",
        "_loss_share",
        "_max_frame_bytes",
        "_overtake",
        "_overtake_share",
        "_rate_bps",
        "_stall",
        "_stall_duration",
        "_stall_ms",
        "_stall_share",
        "_starts_ns",
        "_waits",
        "copy_ns",
        "drop_reason",
        "params",
    )

    def __init__(self, params: LinkParams, seed: int) -> None:
        self.params = params
        self._rate_bps: int = 0 if params.bw_mbit is None else max(1, round(params.bw_mbit * 1e6))
        self._delay_ns: int = round(params.delay_ms * _NS_PER_MS)
        self._jitter_ns: float = params.jitter_ms * _NS_PER_MS
        self._limit: int = _NO_LIMIT if params.max_queue_size is None else params.max_queue_size
        self._max_frame_bytes: int = (
            _NO_LIMIT if params.mtu is None else params.mtu + ETHERNET_HEADER_BYTES
        )
        self._drop_data = frozenset(params.drop_data)
        self._loss_share: float = params.loss_pct / 100
        self._duplicate_share: float = params.duplicate_pct / 100
        self._overtake_share: float = params.reorder_pct / 100
        self._stall_share: float = params.stall_pct / 100
        self._stall_ms: float = params.stall_ms
        self._loss = _die(params.loss_pct, seed, "loss")
        self._duplicate = _die(params.duplicate_pct, seed, "duplicate")
        self._overtake = _die(params.reorder_pct, seed, "reorder")
        self._stall = _die(params.stall_pct, seed, "stall")
        self._stall_duration = _die(params.stall_pct, seed, "stall duration")
        self._waits: bool = params.jitter_distribution == "exponential"
        self._jitter = _die(params.jitter_ms, seed, "jitter")
        if self._jitter is not None and not self._waits:
            rng = Random(derive(seed, "jitter"))
            self._jitter = DISTRIBUTIONS[params.jitter_distribution](rng)
        self.drop_reason: str | None = None
        self.copy_ns = _NEVER
        self._arrivals_data = 0
        self._busy_until_ns = 0
        self._last_departure_ns = 0
        self._starts_ns: list[int] = []  # of the frames in the queue, and of some before
        self._first_waits = 0  # which one of them is the first that waits

    def offer(self, now_ns: int, size_bytes: int, *, is_data: bool) -> Fate:
        """Decide what happens to one frame.

        Args:
            now_ns: when the frame reaches the link; never earlier than the last offer.
            size_bytes: the whole frame, with its Ethernet header.
            is_data: whether it is a TCP segment with payload, for exact drops.
        """
        departure_ns = self.departure(now_ns, size_bytes, is_data=is_data)
        if departure_ns < 0:
            return Fate((), self.drop_reason)
        if self.copy_ns < 0:
            return Fate((departure_ns,))
        return Fate((departure_ns, self.copy_ns))

    def departure(self, now_ns: int, size_bytes: int, *, is_data: bool) -> int:
        """Do what ``offer`` does, without a value around it.

        Returns:
            When the frame leaves, and ``copy_ns`` says when a copy of it does; below zero where the
            link drops it, and ``drop_reason`` says why.
        """
        lost = self._loss is not None and self._falls(self._loss, self._loss_share)
        copied = self._duplicate is not None and self._falls(self._duplicate, self._duplicate_share)
        overtakes = self._overtake is not None and self._falls(self._overtake, self._overtake_share)
        delay_ns = self._travels_ns()
        self._arrivals_data += is_data

        self.drop_reason = None
        self.copy_ns = _NEVER
        if size_bytes > self._max_frame_bytes:
            self.drop_reason = "mtu"
        elif is_data and self._drop_data and self._arrivals_data in self._drop_data:
            self.drop_reason = "exact"
        elif lost:
            self.drop_reason = "loss"
        if self.drop_reason is not None:
            return _NEVER

        if overtakes:
            delay_ns = _OVERTAKES
        departure_ns = self._transmit(now_ns, size_bytes, delay_ns)
        copy_ns = self._transmit(now_ns, size_bytes, delay_ns) if copied else _NEVER
        if departure_ns == _NEVER:
            if copy_ns == _NEVER:
                self.drop_reason = "queue"
            return copy_ns
        self.copy_ns = copy_ns
        return departure_ns

    def _falls(self, throw: _Draw, share: float) -> bool:
        """Whether a die says yes, as it does in that share of its throws."""
        thrown: float = throw()
        return thrown < share

    def _travels_ns(self) -> int:
        """Draw how long a frame travels that does not overtake: delay, jitter and stall."""
        delay_ns: int = self._delay_ns
        if self._jitter is not None:
            jitter: float = self._jitter()
            if self._waits:
                jitter = _waiting_time(jitter)
            delay_ns += round(jitter * self._jitter_ns)
            if delay_ns < 0:
                delay_ns = 0
        if self._stall is not None and self._stall_duration is not None:
            share: float = self._stall_duration()
            stall_ns: int = round(_waiting_time(share) * self._stall_ms * _NS_PER_MS)
            if self._falls(self._stall, self._stall_share):
                delay_ns += stall_ns
        return delay_ns

    def _transmit(self, now_ns: int, size_bytes: int, delay_ns: int) -> int:
        """Put a frame into the queue, and return when it leaves the link.

        Args:
            now_ns: when it is offered.
            size_bytes: of the whole frame.
            delay_ns: how long it travels; ``_OVERTAKES`` for a frame that overtakes.

        Returns:
            Nanoseconds; below zero where the queue is full and drops the frame.
        """
        serialisation_ns = 0
        sent_ns = now_ns
        if self._rate_bps:
            if self._busy_until_ns > now_ns:
                sent_ns = self._busy_until_ns
                if self._limit != _NO_LIMIT and not self._finds_room(now_ns, sent_ns):
                    return _NEVER
            # rounded up: a rate is never exceeded, not even by a nanosecond
            serialisation_ns = -(-size_bytes * 8 * _NS_PER_S // self._rate_bps)
            sent_ns += serialisation_ns
            self._busy_until_ns = sent_ns
        if delay_ns == _OVERTAKES:
            return sent_ns
        departure_ns = sent_ns + delay_ns
        if departure_ns < self._last_departure_ns + serialisation_ns:
            departure_ns = self._last_departure_ns + serialisation_ns
        self._last_departure_ns = departure_ns
        return departure_ns

    def _finds_room(self, now_ns: int, start_ns: int) -> bool:
        """Whether a frame may wait in the queue at ``now_ns`` until it is sent at ``start_ns``."""
        starts_ns, first = self._starts_ns, self._first_waits
        while first < len(starts_ns):
            begins_ns: int = starts_ns[first]
            if begins_ns > now_ns:
                break
            first += 1
        if 2 * first > len(starts_ns):  # what has passed never outnumbers what waits
            del starts_ns[:first]
            first = 0
        self._first_waits = first
        if len(starts_ns) - first >= self._limit:
            return False
        starts_ns.append(start_ns)
        return True


def _die(pct: float, seed: int, kind: str) -> _Draw | None:
    """Return what throws a die for each frame; ``None`` where what it decides never happens."""
    return Random(derive(seed, kind)).random if pct else None


def _number(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _whole(value: object, low: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= low
