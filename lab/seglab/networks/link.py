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

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, fields
from random import Random
from typing import NamedTuple

from seglab.core.seeds import derive
from seglab.core.tcpip import ETHERNET_HEADER_BYTES, MTU_MAX_BYTES, MTU_MIN_BYTES

_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000
_NO_LIMIT = 1 << 62
_PARETO_SHAPE = 3.0  # as in the table that netem calls pareto

_Draw = Callable[[], float]


def _exponential(rng: Random) -> _Draw:
    draw, log = rng.random, math.log
    return lambda: -log(1.0 - draw())


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
    """What a link does with a frame. It is a tuple because one is made for every frame.

    Attributes:
        departures_ns: when the frame leaves: empty when it is dropped, two when duplicated.
        drop_reason: ``mtu``, ``exact``, ``loss`` or ``queue``; ``None`` when it leaves.
    """

    departures_ns: tuple[int, ...]
    drop_reason: str | None = None


_DROPPED = {reason: Fate((), reason) for reason in ("mtu", "exact", "loss", "queue")}


class LinkState:
    """The state of one direction of a link: its queue, its transmitter and its random draws.

    Each kind of draw has its own stream, with one draw for every frame that is offered, whether or
    not the link drops it. So a changed loss rate does not reshuffle the jitter.
    """

    __slots__ = (
        "_arrivals_data",
        "_busy_until_ns",
        "_delay_ns",
        "_drop_data",
        "_duplicate",
        "_jitter",
        "_jitter_ns",
        "_last_departure_ns",
        "_limit",
        "_loss",
        "_max_frame_bytes",
        "_overtake",
        "_rate_bps",
        "_stall",
        "_stall_duration",
        "_starts_ns",
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
        self._loss = _chance(params.loss_pct, seed, "loss")
        self._duplicate = _chance(params.duplicate_pct, seed, "duplicate")
        self._overtake = _chance(params.reorder_pct, seed, "reorder")
        self._stall = _chance(params.stall_pct, seed, "stall")
        self._stall_duration = (
            _exponential(Random(derive(seed, "stall duration"))) if self._stall else None
        )
        self._jitter = (
            DISTRIBUTIONS[params.jitter_distribution](Random(derive(seed, "jitter")))
            if params.jitter_ms
            else None
        )
        self._arrivals_data = 0
        self._busy_until_ns = 0
        self._last_departure_ns = 0
        self._starts_ns: deque[int] = deque()

    def offer(self, now_ns: int, size_bytes: int, *, is_data: bool) -> Fate:
        """Decide what happens to one frame.

        Args:
            now_ns: when the frame reaches the link; never earlier than the last offer.
            size_bytes: the whole frame, with its Ethernet header.
            is_data: whether it is a TCP segment with payload, for exact drops.
        """
        lost = self._loss is not None and self._loss()
        copies = 2 if self._duplicate is not None and self._duplicate() else 1
        overtakes = self._overtake is not None and self._overtake()
        delay_ns = self._delay_ns
        if self._jitter is not None:
            delay_ns = max(0, delay_ns + round(self._jitter() * self._jitter_ns))
        if self._stall is not None and self._stall_duration is not None:
            stall_ns = round(self._stall_duration() * self.params.stall_ms * _NS_PER_MS)
            if self._stall():
                delay_ns += stall_ns
        self._arrivals_data += is_data

        if size_bytes > self._max_frame_bytes:
            return _DROPPED["mtu"]
        if is_data and self._arrivals_data in self._drop_data:
            return _DROPPED["exact"]
        if lost:
            return _DROPPED["loss"]

        departures: tuple[int, ...] = ()
        for _ in range(copies):
            departure_ns = self._transmit(now_ns, size_bytes, None if overtakes else delay_ns)
            if departure_ns is not None:
                departures += (departure_ns,)
        return Fate(departures) if departures else _DROPPED["queue"]

    def _transmit(self, now_ns: int, size_bytes: int, delay_ns: int | None) -> int | None:
        """Put a frame into the queue, and return when it leaves the link.

        Args:
            now_ns: when it is offered.
            size_bytes: of the whole frame.
            delay_ns: how long it travels; ``None`` for a frame that overtakes.

        Returns:
            Nanoseconds; ``None`` where the queue is full and drops the frame.
        """
        serialisation_ns = 0
        sent_ns = now_ns
        if self._rate_bps:
            starts_ns = self._starts_ns
            while starts_ns and starts_ns[0] <= now_ns:
                starts_ns.popleft()
            if self._busy_until_ns > now_ns:
                if len(starts_ns) >= self._limit:
                    return None
                sent_ns = self._busy_until_ns
                starts_ns.append(sent_ns)
            # rounded up: a rate is never exceeded, not even by a nanosecond
            serialisation_ns = -(-size_bytes * 8 * _NS_PER_S // self._rate_bps)
            sent_ns += serialisation_ns
            self._busy_until_ns = sent_ns
        if delay_ns is None:
            return sent_ns
        departure_ns = max(sent_ns + delay_ns, self._last_departure_ns + serialisation_ns)
        self._last_departure_ns = departure_ns
        return departure_ns


def _chance(share_pct: float, seed: int, kind: str) -> Callable[[], bool] | None:
    """Make a die that says yes in ``share_pct`` of its throws; ``None`` where it never would."""
    if not share_pct:
        return None
    throw = Random(derive(seed, kind)).random
    share = share_pct / 100
    return lambda: throw() < share


def _number(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _whole(value: object, low: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= low
