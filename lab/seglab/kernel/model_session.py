"""One session whose client has the simulator's TCP, on the lab's real wire.

Theory of operation
-------------------
The simulator's endpoint (``TcpEndpoint``) and its program (``Client``) are state machines. Each is
called with the time, returns what leaves, and says when it must be called again. In the simulator
one queue of events calls them. Here the client's process does, by the machine's clock:

    what happens                                    whom it is given to
    a TCP frame with the session's addresses        ``TcpEndpoint.on_segment``
    a router's message about one of its packets     ``TcpEndpoint.on_path_mtu``
    a reset                                         ``TcpEndpoint.on_reset``
    ``TcpEndpoint.wake_ns`` is over                 ``TcpEndpoint.on_timer``
    the program's time has come                     ``Client.run``
    the time limit                                  ``Client.fail``

Segments have counts and offsets; frames have bytes and sequence numbers. ``FrameMaker`` turns the
one into the other on the way out, and ``_segment`` on the way in. All times of the state machines
count from the session's beginning, so that a clock of 32 bits does not overflow.

The session stays until both directions have ended, or its grace is past, since the server's last
segments have to be acknowledged. A session that fails resets its connection, and stays for its
grace as well: what still comes for it is answered by a reset, as a host does that has no such
connection. Otherwise a server whose reset was lost, or did not fit, would keep the connection.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from random import Random
from typing import Final

from seglab.core.seeds import derive
from seglab.frames.headers import ACK, FIN, PSH, RST, SYN, TcpPacket, parse_tcp, too_big
from seglab.frames.options import TcpOptions, checksums_right, tcp_options
from seglab.kernel.channel import ChannelMessage
from seglab.kernel.client_session import header_of, not_begun
from seglab.networks.network import Network
from seglab.sender import steps
from seglab.sender.script import needed_s
from seglab.simulator.carried import UP, Outlet
from seglab.simulator.client import NEVER, Client
from seglab.simulator.clock import TICK_NS
from seglab.simulator.endpoint import TcpEndpoint
from seglab.simulator.frames import FrameMaker
from seglab.simulator.host_times import HostTimes
from seglab.simulator.segment import NO_STAMP, TcpSegment
from seglab.simulator.session import client_settings

_WHEEL_NS = TICK_NS << 9  # the timer wheel's step for timeouts of up to two minutes
_MODULUS = 1 << 32
_HALF = 1 << 31
_GRACE_NS = 1_000_000_000
_PORTS_BYTES = 4

_NO_TIME: Final = HostTimes(0, {})
"""What the program's steps take beside the time that they really take on this machine."""


class ModelSession:
    """One session under way.

    Args:
        job: the parent's order.
        script: the steps that the sender takes.
        network: the path, whose ``client`` says what the TCP is like.
        send: writes a frame to the wire.
        look: gives the frames that have come to their sessions.

    Attributes:
        flow: the session's number in its lab.
        addresses: the client's and the server's, as they stand in frames.
        late_ns: how much later than due the client did something while the session ran, at most.
        checksum_errors: how many frames of the server had a wrong checksum; they are ignored.
        reported: whether the parent has the session's result.
    """

    def __init__(
        self,
        job: ChannelMessage,
        script: Sequence[steps.Step],
        network: Network,
        send: Callable[[bytes], object],
        look: Callable[[], object],
    ) -> None:
        self.flow: int = job["flow"]
        self.t0_ns = time.monotonic_ns()
        self.addresses = ip_address(job["client"]).packed, ip_address(job["server"]).packed
        self.late_ns = 0
        self.checksum_errors = 0
        self.reported = False
        self._header = header_of(script) if job.get("protocol") == "smtp" else {}
        self._look = look
        self._running = self._was_reset = False
        self._script = script
        self._algorithm = network.client.congestion_control
        own_s = needed_s(script, job["round_trip_s"], job["bw_mbit"])
        self._deadline_ns = int((job["time_limit_s"] + own_s) * 1e9)
        self._grace_ns = _GRACE_NS + round(2e9 * network.round_trip_s)
        seed = job["seed"]
        draw = Random(derive(seed, "hosts")).randrange
        settings = client_settings(network, draw(_WHEEL_NS), draw(_HALF), nodelay=job["nodelay"])
        self._tcp = TcpEndpoint(settings)
        self._stream = b"".join(step.data for step in script if isinstance(step, steps.Write))
        self._maker = FrameMaker(
            network.ip_version,
            job["port"],
            seed,
            (self._stream, b""),
            (job["client"], job["server"]),
        )
        self._wire = _Wire(self._maker, send)
        self._received = _ReceivedStream()
        self._scale = 0
        self._server_clock: int | None = None
        self._program = Client(
            script,
            self._tcp,
            _NO_TIME,
            None,
            self._received.stream,
            self._wire,
        )

    # What the client's loop calls --------------------------------------------------------------

    def begin(self) -> None:
        """Send the SYN: here the session's time begins."""
        self.t0_ns = time.monotonic_ns()
        self._wire.send(0, UP, self._tcp.connect(0))

    @property
    def wake_ns(self) -> int:
        """When ``wake`` is due, on the machine's clock; ``NEVER`` is later than that."""
        due_ns = self._program.noticing_ns
        due_ns = min(due_ns, self._program.resume_ns, self._end_ns)
        timer_ns = None if self._failed else self._tcp.wake_ns
        if timer_ns is not None:
            due_ns = min(due_ns, timer_ns)
        return NEVER if due_ns >= NEVER else self.t0_ns + due_ns

    @property
    def ended(self) -> bool:
        """Whether the program has ended, so that there is a result."""
        return self._program.ended_ns is not None

    @property
    def over(self) -> bool:
        """Whether there is nothing left to do for the session."""
        if not self.ended:
            return False
        tcp = self._tcp
        return (
            not self._failed and tcp.fin_acked and tcp.peer_closed
        ) or self._now_ns() >= self._end_ns

    @property
    def _failed(self) -> bool:
        """Whether there is no connection any more, since the session or its TCP has failed."""
        return self._program.error is not None or self._tcp.error is not None

    @property
    def _end_ns(self) -> int:
        ended_ns = self._program.ended_ns
        return self._deadline_ns if ended_ns is None else ended_ns + self._grace_ns

    def postpone(self, by_ns: int) -> None:
        """Give the session more time, since something else has held up all sessions."""
        self._deadline_ns += by_ns

    def note_late(self, due_ns: int, now_ns: int) -> None:
        """Note that the client did at ``now_ns`` what was due before, unless all is over."""
        if not self.ended:
            self.late_ns = max(self.late_ns, now_ns - max(due_ns, self.t0_ns))

    def wake(self) -> None:
        """Do what is due."""
        now_ns = self._now_ns()
        timer_ns = self._tcp.wake_ns
        if timer_ns is not None and timer_ns <= now_ns and not self._failed:
            self._wire.send(now_ns, UP, self._tcp.on_timer(now_ns))
        if not self.ended and now_ns >= self._deadline_ns:
            self._fail(now_ns, "time limit reached")
        self._run(now_ns)

    def take(self, frame: bytes) -> None:
        """Take a frame with the session's addresses, or a router's message about one."""
        now_ns = self._now_ns()
        packet = parse_tcp(frame)
        options = tcp_options(frame)
        if packet is None or options is None:
            self._take_message(now_ns, frame)
        elif packet.destination_port != self._maker.client_port:
            return
        elif not checksums_right(frame):
            self.checksum_errors += 1
        elif self._failed:
            self._refuse(packet)
        elif packet.flags & RST:
            segment = self._segment(packet, options)
            self._wire.send(now_ns, UP, self._tcp.on_reset(now_ns, segment))
        else:
            segment = self._segment(packet, options)
            payload = frame[packet.payload_start : packet.payload_start + packet.payload_bytes]
            self._received.put(segment.start, payload)
            self._wire.send(now_ns, UP, self._tcp.on_segment(now_ns, segment))
        self._run(now_ns)

    def result(self) -> ChannelMessage:
        """Return the message to the parent about the session, which has ended."""
        program = self._program
        writes = [(self.t0_ns + t_ns, start, end) for t_ns, start, end in program.writes]
        start, end = self._payload()
        return not_begun(self.flow, self.t0_ns, program.error) | {
            "t_end_ns": self.t0_ns + (program.ended_ns or 0),
            "writes": writes,
            "payload": [start, end],
            "sha256": hashlib.sha256(self._stream[start:end]).hexdigest(),
            "mss": program.mss,
            "timestamps": program.timestamps,
            "congestion_control": self._algorithm,
            "late_ns": self.late_ns,
            "checksum_errors": self.checksum_errors,
            **self._header,
        }

    # The parts ---------------------------------------------------------------------------------

    def _now_ns(self) -> int:
        return time.monotonic_ns() - self.t0_ns

    def _run(self, now_ns: int) -> None:
        """Let the program do what it can, now that something may have happened.

        After each step the client looks at the wire, as a kernel takes what arrives between two
        write calls. What comes for this session then is given to its TCP at once, and to its
        program by the loop below.
        """
        program = self._program
        if self.ended:
            return
        program.wake(now_ns)
        if self._running:
            return
        self._running = True
        while min(program.noticing_ns, program.resume_ns) <= now_ns and not self.ended:
            program.run(now_ns)
            self._look()
            now_ns = self._now_ns()
        self._running = False
        if program.error is not None:
            self._reset()

    def _fail(self, now_ns: int, error: str) -> None:
        self._program.fail(now_ns, error)
        self._reset()

    def _reset(self) -> None:
        """End the connection at once, as a socket does that lingers for no time.

        One that has failed by itself is at its end already.
        """
        tcp = self._tcp
        if tcp.established and tcp.error is None and not self._was_reset:
            self._was_reset = True
            self._wire.put(self._maker.reset(tcp.snd_nxt, tcp.rcv_nxt))

    def _refuse(self, packet: TcpPacket) -> None:
        """Answer a segment for which there is no connection any more (RFC 9293, 3.10.7.1)."""
        if packet.flags & ACK and not packet.flags & RST:
            start = (packet.ack - self._maker.initial[0] - 1) % _MODULUS
            self._wire.put(self._maker.reset(start, -1))

    def _take_message(self, now_ns: int, frame: bytes) -> None:
        """Take a router's message that a packet was too large."""
        message = too_big(frame)
        if message is None or message.about is None:
            return
        seq = int.from_bytes(message.about[2][_PORTS_BYTES:], "big")
        start = _signed(seq - self._maker.initial[0] - 1 - self._tcp.snd_una) + self._tcp.snd_una
        if not self._failed:
            self._wire.send(now_ns, UP, self._tcp.on_path_mtu(now_ns, message.mtu, start))

    def _segment(self, packet: TcpPacket, options: TcpOptions) -> TcpSegment:
        """Return a frame of the server as the endpoint takes it, in offsets of the streams."""
        syn = bool(packet.flags & SYN)
        if syn:
            self._maker.meet(packet.seq)
            self._scale = options.scale or 0
        client_initial, server_initial = self._maker.initial
        start = 0
        if not syn:
            read = self._tcp.rcv_nxt
            start = _signed(packet.seq - server_initial - 1 - read) + read
        sent = self._tcp.snd_una
        return TcpSegment(
            start,
            start + packet.payload_bytes,
            _signed(packet.ack - client_initial - 1 - sent) + sent if packet.flags & ACK else -1,
            options.window << (0 if syn else self._scale),
            syn=syn,
            fin=bool(packet.flags & FIN),
            psh=bool(packet.flags & PSH),
            ts_val=self._clock(options.ts_val),
            ts_ecr=NO_STAMP if options.ts_ecr is None else options.ts_ecr,
            sack=tuple(
                tuple(_signed(end - client_initial - 1 - sent) + sent for end in ends)  # type: ignore[misc]
                for ends in options.sack
            ),
            mss_option=options.mss,
            wscale_option=options.scale,
            sack_option=options.sack_permitted,
        )

    def _clock(self, ts_val: int | None) -> int:
        """Return the server's clock without its overflow after 32 bits, or ``NO_STAMP``."""
        if ts_val is None:
            return NO_STAMP
        if self._server_clock is None:
            self._server_clock = ts_val
        self._server_clock += _signed(ts_val - self._server_clock)
        return self._server_clock

    def _payload(self) -> tuple[int, int]:
        """Return the range of the payload in the client's stream, as far as it was written."""
        at, start, end = 0, None, 0
        for step in self._script:
            if isinstance(step, steps.Write):
                if step.payload and at < self._written:
                    start = at if start is None else start
                    end = at + len(step.data)
                at += len(step.data)
        return (0, 0) if start is None else (start, end)

    @property
    def _written(self) -> int:
        return self._program.writes[-1][2] if self._program.writes else 0


class _Wire(Outlet):
    """The lab's wire, as the session's TCP and its program see it.

    Attributes:
        put: puts a frame on it.
    """

    def __init__(self, maker: FrameMaker, put: Callable[[bytes], object]) -> None:
        self._maker = maker
        self.put = put

    def send(self, _now_ns: int, _direction: int, segments: Sequence[TcpSegment]) -> None:
        """Put segments on the wire, as frames."""
        for segment in segments:
            self.put(self._maker.sent(segment))


class _ReceivedStream:
    """The bytes of the server's stream, in whichever order they come.

    Attributes:
        stream: the bytes at their places.
    """

    def __init__(self) -> None:
        self.stream = bytearray()

    def put(self, start: int, payload: bytes) -> None:
        """Keep bytes at their place."""
        end = start + len(payload)
        if payload and 0 <= start < _HALF and end <= _RECEIVED_MOST:
            if end > len(self.stream):
                self.stream.extend(bytes(end - len(self.stream)))
            self.stream[start:end] = payload


_RECEIVED_MOST: Final = 1 << 24
"""The longest stream of a server that is kept: replies are short."""


def _signed(difference: int) -> int:
    """Return a difference of sequence numbers with its sign (RFC 9293, 3.4)."""
    return (difference + _HALF) % _MODULUS - _HALF
