"""Gives the simulator's TCP what a kernel's TCP was given, and compares what they send: pure.

The path, the other host and the programs are no part of the comparison, and no times race: what
differs is TCP's. What remains uncertain is in which order two things happened that have nearly the
same time, and, where a recording does not say it, where in a jiffy of 4 ms it began. So a replay
counts as equal if it is so with one of some phases, and one of some times of the SYN.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from seglab.networks.network import Network
from seglab.simulator.clock import TICK_NS
from seglab.simulator.endpoint import TcpEndpoint
from seglab.simulator.segment import TcpSegment
from seglab.simulator.session import client_settings
from seglab.simulator.settings import EndpointSettings
from seglab.validation.recording import (
    Closed,
    Event,
    Looked,
    OptionSet,
    Recording,
    Reported,
    Sent,
    Written,
    sent_text,
)

PHASES_NS: Final = (0, 1_000_000, 2_000_000, 3_000_000, 3_900_000)
"""Where in a jiffy a recording may have begun, where that is not known."""

LATE_NS: Final = (0, 100_000, 1_000_000)
"""By how much the kernel's jiffies may be behind, where the phase is known."""

SYN_EARLY_NS: Final = (0, 50_000, 150_000)
"""By how much the SYN may have left TCP before the wire had it, and its answer reached TCP after
the wire had handed it over. All later round trips lie between arrivals, so only that of the SYN,
which is the shortest one that RACK knows, is too short without it."""

TAIL_NS: Final = 400_000_000
"""How long timers still run after the last segment that the kernel sent."""

_READ_BYTES = 1 << 16
_SHOWN_BEFORE, _SHOWN_AFTER = 3, 4


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a replay leaves its recording.

    Attributes:
        at: the number of the first segment that differs.
        kernel: what the kernel sent.
        simulator: what the simulator's TCP sent.
        phase_ns: where in a jiffy this replay began.
        early_ns: by how much its SYN was early.
        expiries: when the retransmission timer expired.
    """

    at: int
    kernel: tuple[Sent, ...]
    simulator: tuple[Sent, ...]
    phase_ns: int = 0
    early_ns: int = 0
    expiries: tuple[int, ...] = ()

    def lines(self) -> Iterator[str]:
        """Yield both, side by side, around the place."""
        yield f"segment {self.at}"
        for name, sent in (("kernel", self.kernel), ("simulator", self.simulator)):
            shown = sent[max(self.at - _SHOWN_BEFORE, 0) : self.at + _SHOWN_AFTER]
            yield f"  {name:10} {', '.join(map(sent_text, shown)) or 'nothing'}"


@dataclass(frozen=True, slots=True)
class Race:
    """What a busy machine did otherwise than the times of a recording say.

    Attributes:
        swapped: events, by number, that happened after the one behind them.
        batched: arrivals, by number, that TCP took together with the next one, before the device
            had sent what the first of them let out.
        late: expiries of the retransmission timer, by number, that were noticed a jiffy late.
    """

    swapped: frozenset[int] = frozenset()
    batched: frozenset[int] = frozenset()
    late: frozenset[int] = frozenset()

    def order(self, events: Sequence[tuple[int, Event]]) -> list[tuple[int, int, Event]]:
        """Return events as they happened: the time, the number in the recording, the event."""
        order = [(t_ns, number, event) for number, (t_ns, event) in enumerate(events)]
        for at in sorted(self.swapped):
            (_, first, one), (t_ns, second, other) = order[at : at + 2]
            order[at : at + 2] = [(t_ns, second, other), (t_ns, first, one)]
        return order


class _Host(TcpEndpoint):
    """The endpoint, on a host that may take several arrivals in one batch.

    Attributes:
        batches: whether the next arrival belongs to the batch of this one.
        sent: what left.
        expiries: when the retransmission timer expired.
    """

    __slots__ = ("_late", "_put_off_ns", "batches", "expiries", "sent")

    def __init__(self, settings: EndpointSettings, late: frozenset[int]) -> None:
        super().__init__(settings)
        self._late = late
        self._put_off_ns = -1
        self.batches = False
        self.sent: list[TcpSegment] = []
        self.expiries: list[int] = []

    @property
    def sequence(self) -> tuple[Sent, ...]:
        """The segments with data or FIN that left, in order."""
        return tuple((s.start, s.end, s.psh, s.fin) for s in self.sent if s.size or s.fin)

    def _softirq_done(self, now_ns: int) -> Sequence[TcpSegment]:
        return self.out if self.batches else super()._softirq_done(now_ns)

    def run_timers(self, until_ns: int) -> None:
        """Let the timers fire that are due until then."""
        while self.wake_ns is not None and self.wake_ns <= until_ns:
            if self.wake_ns == self.retransmit_ns != self._put_off_ns:
                self.expiries.append(self.wake_ns)
                if len(self.expiries) in self._late:
                    self.retransmit_ns += TICK_NS
                    self._put_off_ns = self.retransmit_ns
                    continue
            self.sent += self.on_timer(self.wake_ns)


def difference(
    recording: Recording,
    network: Network,
    *,
    nodelay: bool,
    unknown_ns: Sequence[int] = PHASES_NS,
) -> Difference | None:
    """Return where the simulator's TCP leaves a recording; ``None`` where it sends the same.

    Args:
        recording: what happened.
        network: for the settings of the client's TCP.
        nodelay: whether TCP_NODELAY was set from the beginning.
        unknown_ns: the phases to try where the recording does not say its own.
    """
    found: list[Difference] = []
    known_ns = recording.phase_ns
    phases = unknown_ns if known_ns is None else [max(known_ns - late, 0) for late in LATE_NS]
    for phase_ns, early_ns in product(phases, SYN_EARLY_NS):
        one = compared(recording, network, nodelay, phase_ns, early_ns, Race())
        if one is None:
            return None
        found.append(one)
    return max(found, key=lambda one: one.at)


def compared(
    recording: Recording,
    network: Network,
    nodelay: bool,
    phase_ns: int,
    early_ns: int,
    race: Race,
) -> Difference | None:
    """Return where one replay leaves the recording; ``None`` where it sends the same."""
    kernel = recording.sequence
    host = _play(recording, network, nodelay, phase_ns, early_ns, race)
    simulator = host.sequence
    if simulator == kernel:
        return None
    pairs = zip(kernel, simulator, strict=False)
    shorter = min(len(kernel), len(simulator))
    at = next((at for at, (one, other) in enumerate(pairs) if one != other), shorter)
    return Difference(at, kernel, simulator, phase_ns, early_ns, tuple(host.expiries))


def replay(
    recording: Recording,
    network: Network,
    *,
    nodelay: bool,
    phase_ns: int,
    early_ns: int = 0,
) -> tuple[Sent, ...]:
    """Return what the simulator's TCP sends when it gets what the kernel's got.

    Each call of the program is made when the kernel's program made it. Where the model's send
    buffer takes less than the kernel's did, the rest goes with the next call, and so that shows.

    Args:
        recording: what happened.
        network: for the settings of the client's TCP.
        nodelay: whether TCP_NODELAY was set from the beginning.
        phase_ns: where in a jiffy the recording began.
        early_ns: by how much the SYN was earlier than its packet.
    """
    return _play(recording, network, nodelay, phase_ns, early_ns, Race()).sequence


def _play(
    recording: Recording,
    network: Network,
    nodelay: bool,
    phase_ns: int,
    early_ns: int,
    race: Race,
) -> "_Host":
    """Give a host what the kernel's TCP was given."""
    settings = client_settings(network, phase_ns, recording.clock_ms, nodelay=nodelay)
    endpoint = _Host(settings, race.late)
    sent = endpoint.sent
    taken = offered = 0
    endpoint.connect(-early_ns)
    for t_ns, number, event in race.order(recording.events):
        endpoint.run_timers(t_ns)
        endpoint.batches = number in race.batched
        match event:
            case Written(size, more, left):
                wanted = offered + size - taken
                offered += size - left
                if wanted > 0:
                    taken += endpoint.write(t_ns, wanted, more)
                    sent += endpoint.out
            case OptionSet("cork", on):
                sent += endpoint.set_cork(t_ns, on)
            case OptionSet(_, on):
                sent += endpoint.set_nodelay(t_ns, on)
            case Looked():
                endpoint.look()
            case Closed():
                sent += endpoint.close(t_ns)
            case Reported(mtu, start):
                sent += endpoint.on_path_mtu(t_ns, mtu, start)
            case TcpSegment():
                sent += endpoint.on_segment(t_ns, event)
                endpoint.read(t_ns, _READ_BYTES)
                sent += endpoint.out
    last_ns = recording.sent[-1][0] if recording.sent else 0
    endpoint.batches = False
    endpoint.run_timers(last_ns + TAIL_NS)
    return endpoint
