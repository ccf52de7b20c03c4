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
from seglab.simulator.endpoint import TcpEndpoint
from seglab.simulator.segment import TcpSegment
from seglab.simulator.session import client_settings
from seglab.validation.recording import (
    Closed,
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
    """

    at: int
    kernel: tuple[Sent, ...]
    simulator: tuple[Sent, ...]

    def lines(self) -> Iterator[str]:
        """Yield both, side by side, around the place."""
        yield f"segment {self.at}"
        for name, sent in (("kernel", self.kernel), ("simulator", self.simulator)):
            shown = sent[max(self.at - _SHOWN_BEFORE, 0) : self.at + _SHOWN_AFTER]
            yield f"  {name:10} {', '.join(map(sent_text, shown)) or 'nothing'}"


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
    kernel = recording.sequence
    found: list[Difference] = []
    known_ns = recording.phase_ns
    phases = unknown_ns if known_ns is None else [max(known_ns - late, 0) for late in LATE_NS]
    for phase_ns, early_ns in product(phases, SYN_EARLY_NS):
        simulator = replay(
            recording, network, nodelay=nodelay, phase_ns=phase_ns, early_ns=early_ns
        )
        if simulator == kernel:
            return None
        pairs = zip(kernel, simulator, strict=False)
        shorter = min(len(kernel), len(simulator))
        at = next((at for at, (one, other) in enumerate(pairs) if one != other), shorter)
        found.append(Difference(at, kernel, simulator))
    return max(found, key=lambda one: one.at)


def replay(
    recording: Recording, network: Network, *, nodelay: bool, phase_ns: int, early_ns: int = 0
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
    settings = client_settings(network, phase_ns, recording.clock_ms, nodelay=nodelay)
    endpoint = TcpEndpoint(settings)
    sent: list[TcpSegment] = []
    taken = offered = 0
    endpoint.connect(-early_ns)

    def run_timers(until_ns: int) -> None:
        while endpoint.wake_ns is not None and endpoint.wake_ns <= until_ns:
            sent.extend(endpoint.on_timer(endpoint.wake_ns))

    for t_ns, event in recording.events:
        run_timers(t_ns)
        match event:
            case Written(size, more, left):
                wanted = offered + size - taken
                offered += size - left
                if wanted > 0:
                    count, segments = endpoint.write(t_ns, wanted, more)
                    taken += count
                    sent += segments
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
                sent += endpoint.read(t_ns, _READ_BYTES)[1]
    last_ns = recording.sent[-1][0] if recording.sent else 0
    run_timers(last_ns + TAIL_NS)
    return tuple((one.start, one.end, one.psh, one.fin) for one in sent if one.size or one.fin)
