"""Gives the simulator's receiving half what a server's kernel was given, and compares the answers.

Theory of operation
-------------------
A capture at the server shows every segment that reached the server's kernel, and everything that
this kernel sent. The record has the reads of its program. A simulated endpoint gets the same
segments, reads, replies and end, and then has to say the same to the client, segment by segment:

    which numbers      the acknowledgement, and the range of a reply
    how much room      the window, and in the first answer its scale and the other options
    what is missing    the blocks of selective acknowledgement, those of duplicates as well
    which clock        the timestamp that is echoed

Path, client and programs are no part of the comparison, so the client can have any TCP.

In which order things happened to the kernel follows from contents wherever they say it, and not
from times: a read that did not fill its buffer took all that was there in order, so what is beyond
it came later; and a reply says by its own acknowledgement what had come when it was written. Reads
of the dialogue are not recorded: right before a reply, everything up to the payload was read.

What stays unknown is where a jiffy, and a step of the timer wheel, began, and by how much a timer
was late. So a session counts as equal if it is so with one of some such phases. Where it is with
none, each timer may also be late by itself: if one was due less than ``RACE_NS`` before something
else happened, and the kernel had not answered by then, it comes afterwards. When an answer left
is compared as well, but not judged: the wire stamps it when it takes it, on a busy machine late.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from seglab.core.record import SessionRecord
from seglab.experiment.plan import SessionSpec
from seglab.frames import pcapng
from seglab.networks.network import Network
from seglab.simulator.endpoint import TcpEndpoint
from seglab.simulator.script import script_of
from seglab.simulator.segment import NO_STAMP, TcpSegment
from seglab.simulator.session import server_settings
from seglab.validation.recording import SeenPacket, SeenSession

PHASES_NS: Final = (0, 1_000_000, 2_000_000, 3_000_000, 3_900_000)
"""Where in a jiffy of 4 ms a session may have begun."""

WHEEL_PHASES_NS: Final = (
    *range(4_000_000, 32_000_000, 2_000_000),
    *range(32_000_000, 256_000_000, 8_000_000),
)
"""Where in the next larger steps of the timer wheel; it matters where the server sends again.

A timer of 0.25 s to 2 s fires with a step of 32 ms, and one of up to 16 s with one of 256 ms.
"""

LATE_NS: Final = (0, 1_000_000)
"""By how much a timer may have been late."""

RACE_NS: Final = 8_000_000
"""By how much one timer may be late where others are not, and so lose a race.

Two jiffies of 4 ms. On two virtual processors with a load of 4 to 30, the clock that follows
jiffies (CLOCK_MONOTONIC_COARSE) lagged by 7 ms or less in 99 % of 150 579 looks, and a timer that
is late by a jiffy more is no rarity.
"""

SOON_NS: Final = 5_000_000
"""Up to this difference two answers left at the same time: a jiffy, and the way to the wire."""

_TAIL_NS: Final = 100_000_000
_SHOWN_BEFORE, _SHOWN_AFTER = 2, 2


class Answer(NamedTuple):
    """What a segment of the server says to the client.

    Attributes:
        start: the first byte that it carries of the server's stream.
        end: the byte after the last one.
        fin: whether FIN is set.
        ack: the byte of the client's stream that is expected next.
        window: how many bytes from there on may come.
        sack: the ranges of the SACK option.
        echo: the echoed timestamp; ``NO_STAMP`` without timestamps.
        options: the MSS, the scale of the window, and whether SACK is permitted, in a SYN.
    """

    start: int
    end: int
    fin: bool
    ack: int
    window: int
    sack: tuple[tuple[int, int], ...]
    echo: int
    options: tuple[int | None, int | None, bool]

    @classmethod
    def of(cls, segment: TcpSegment) -> "Answer":
        """Return what a segment says."""
        options = segment.mss_option, segment.wscale_option, segment.sack_option
        return cls(
            segment.start, segment.end, segment.fin, segment.ack, segment.window, segment.sack,
            segment.ts_ecr, options,
        )  # fmt: skip

    def __str__(self) -> str:
        """Return it as a line for people."""
        blocks = " ".join(f"{low}:{high}" for low, high in self.sack)
        words = [f"ack {self.ack} window {self.window}", f"sack {blocks}" if blocks else ""]
        if self.end > self.start or self.fin:
            words.append(f"with {self.start}:{self.end}{' FIN' * self.fin}")
        if self.echo != NO_STAMP:
            words.append(f"echo {self.echo}")
        return " ".join(filter(None, words))


Timed = tuple[int, Answer]
"""An answer and when it left, in nanoseconds from the client's SYN."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The answers of one session's server, and those of the simulator's receiving half.

    Attributes:
        session_id: the session.
        client_tcp: whose TCP its client had, as the record names it.
        kernel: what the server's kernel sent.
        simulator: what the simulator's receiving half sent, in the phase that fits best.
    """

    session_id: str
    client_tcp: str
    kernel: tuple[Timed, ...]
    simulator: tuple[Timed, ...]

    @property
    def common(self) -> int:
        """How many answers are equal before the first that differs."""
        pairs = zip(self.kernel, self.simulator, strict=False)
        shorter = min(len(self.kernel), len(self.simulator))
        return next((at for at, (a, b) in enumerate(pairs) if a[1] != b[1]), shorter)

    @property
    def equal(self) -> bool:
        """Whether all answers are equal."""
        return self.common == len(self.kernel) == len(self.simulator)

    @property
    def soon(self) -> int:
        """How many of the common answers left at the same time, within ``SOON_NS``."""
        pairs = list(zip(self.kernel, self.simulator, strict=False))[: self.common]
        return sum(abs(kernel - simulator) <= SOON_NS for (kernel, _), (simulator, _) in pairs)

    def lines(self) -> Iterator[str]:
        """Yield both sides around the first answer that differs."""
        at = self.common
        for name, answers in (("kernel", self.kernel), ("simulator", self.simulator)):
            for t_ns, answer in answers[max(at - _SHOWN_BEFORE, 0) : at + _SHOWN_AFTER]:
                yield f"{name:10} {t_ns / 1e6:10.3f} ms  {answer}"


class _Read(NamedTuple):
    """The program read up to a byte; ``None`` is all that is there before the payload's end."""

    end: int


class _Reply(NamedTuple):
    """The program wrote bytes, and closed where ``last`` is set, when it had read up to a byte."""

    size: int
    last: bool
    read_to: int


_Event = TcpSegment | _Read | _Reply


def payload_of(spec: SessionSpec) -> tuple[int, int]:
    """Return where the payload of a planned session is in its client's stream."""
    return script_of(spec).payload


def answered(
    payload: tuple[int, int], network: Network, record: SessionRecord, capture: bytes
) -> Answered | None:
    """Compare a session's server with the simulator's receiving half.

    Args:
        payload: where the payload is in the client's stream.
        network: the path.
        record: the record of the kernel engine.
        capture: its capture at the server.

    Returns:
        ``None`` where the capture has no handshake, or no payload arrived.
    """
    packets = (SeenPacket(t_ns, raw, out) for t_ns, out, raw, _ in pcapng.read(capture))
    try:
        seen = SeenSession(packets)
    except ValueError:
        return None
    events = _events(seen, record, payload)
    if events is None:
        return None
    kernel = tuple((t_ns, Answer.of(segment)) for t_ns, segment in seen.left)
    best: Answered | None = None
    for phase_ns, late_ns, races in _phases():
        if best is not None and best.equal and (races or phase_ns in WHEEL_PHASES_NS):
            break
        left_ns = [t_ns for t_ns, _ in kernel] if races else None
        simulator = _replayed(seen, network, events, phase_ns, late_ns, left_ns)
        one = Answered(record.session_id, record.client_tcp, kernel, simulator)
        if best is None or _fit(one) > _fit(best):
            best = one
        if best.equal and best.soon == len(kernel):
            break
    return best


def _phases() -> Iterator[tuple[int, int, bool]]:
    for late_ns in LATE_NS:
        yield from ((phase_ns, late_ns, False) for phase_ns in PHASES_NS)
    yield from ((phase_ns, 0, False) for phase_ns in WHEEL_PHASES_NS)
    yield from ((phase_ns, 0, True) for phase_ns in PHASES_NS)


def _fit(one: Answered) -> tuple[bool, int, int]:
    return one.equal, one.common, one.soon


def _events(
    seen: SeenSession, record: SessionRecord, payload: tuple[int, int]
) -> list[tuple[int, _Event]] | None:
    """Return what happened to the server's kernel, in order; ``None`` where no payload arrived."""
    came = [(t_ns, what) for t_ns, what in seen.came if isinstance(what, TcpSegment)]
    order = _Order(came)
    first = [t_ns for t_ns, s in came if not s.syn and s.end > max(s.start, payload[0])]
    arrived = [s.t_arrived_ns for s in record.segments if s.t_arrived_ns is not None]
    if not first or not arrived:
        return None
    ahead_ns = min(first) - min(arrived)
    fins = {s.end for _, s in came if s.fin}
    found: list[tuple[int, int, _Event]] = [(t_ns, 0, what) for t_ns, what in came]
    for read in record.reads:
        end = payload[0] + read.end
        short = read.end - read.start < record.buffer_bytes
        most = end + (end in fins)  # a FIN counts, and no read takes it
        t_ns = order.between(read.t_ns + ahead_ns, end, most if short else None)
        found.append((t_ns, 1, _Read(end)))
    reached = 0
    for t_ns, s in seen.left:
        end = s.end + s.fin
        if not s.syn and end > max(s.start, reached):
            reached = end
            read_to = s.ack if not payload[0] < s.ack < payload[1] else 0
            reply = _Reply(s.size, s.fin, read_to)
            found.append((order.between(t_ns, s.ack, s.ack), 2, reply))
    found.sort(key=lambda one: one[:2])
    return [(t_ns, what) for t_ns, _, what in found]


class _Order:
    """How far the client's stream was in order after each segment that came."""

    def __init__(self, came: Sequence[tuple[int, TcpSegment]]) -> None:
        self._times = [t_ns for t_ns, _ in came]
        self._reached: list[int] = []
        early: list[tuple[int, int]] = []
        reached = 0
        for _, segment in came:
            early.append((segment.start, segment.end + segment.fin))
            for start, end in sorted(early):
                if start <= reached:
                    reached = max(reached, end)
            early = [one for one in early if one[1] > reached]
            self._reached.append(reached)

    def between(self, t_ns: int, least: int, most: int | None) -> int:
        """Return a time, moved to where at least and at most so many bytes had come in order."""
        at = min(bisect_left(self._reached, least), len(self._times) - 1)
        t_ns = max(t_ns, self._times[at])
        if most is not None:
            beyond = bisect_right(self._reached, most)
            if beyond < len(self._times):
                t_ns = min(t_ns, self._times[beyond] - 1)
        return t_ns


def _replayed(
    seen: SeenSession,
    network: Network,
    events: Sequence[tuple[int, _Event]],
    phase_ns: int,
    late_ns: int,
    left_ns: Sequence[int] | None,
) -> tuple[Timed, ...]:
    """Return what the simulator's receiving half sends.

    Args:
        seen: what the capture shows.
        network: the path.
        events: what happened to the server's kernel.
        phase_ns: where in a jiffy, or in a step of the timer wheel, the session began.
        late_ns: by how much all timers are late.
        left_ns: when the kernel's answers left, by which a race of a timer is decided; ``None``
            where the timer always wins it.
    """
    clock_ms = next((s.ts_val for _, s in seen.left if s.ts_val != NO_STAMP), 0)
    endpoint = TcpEndpoint(server_settings(network, phase_ns, clock_ms))
    endpoint.listen()
    sent: list[Timed] = []

    def note(t_ns: int, segments: Sequence[TcpSegment]) -> None:
        sent.extend((t_ns, Answer.of(segment)) for segment in segments)

    def run_timers(since_ns: int, until_ns: int) -> None:
        while endpoint.wake_ns is not None and endpoint.wake_ns + late_ns <= until_ns:
            at_ns = max(endpoint.wake_ns + late_ns, since_ns)
            if until_ns - at_ns < RACE_NS and loses(until_ns):
                break
            note(at_ns, endpoint.on_timer(at_ns))

    def loses(until_ns: int) -> bool:
        """Whether the kernel had not answered by then what a timer would answer before."""
        return left_ns is not None and len(sent) < len(left_ns) and left_ns[len(sent)] >= until_ns

    def read_to(t_ns: int, end: int) -> None:
        if end > endpoint.copied_seq:
            endpoint.read(t_ns, end - endpoint.copied_seq)
            note(t_ns, endpoint.out)

    before_ns = 0
    for t_ns, what in events:
        run_timers(before_ns, t_ns)
        before_ns = t_ns
        match what:
            case TcpSegment():
                note(t_ns, endpoint.on_segment(t_ns, what))
            case _Read(end):
                read_to(t_ns, end)
            case _Reply(size, last, end):
                read_to(t_ns, end)
                if size:  # a reply that leaves with the FIN is held for it
                    endpoint.write(t_ns, size, last)
                    note(t_ns, endpoint.out)
                if last:
                    note(t_ns, endpoint.close(t_ns))
    run_timers(before_ns, seen.left[-1][0] + _TAIL_NS)
    return tuple(sent)
