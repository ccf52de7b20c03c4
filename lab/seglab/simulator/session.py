"""One session in virtual time: two programs, two TCPs, and the path between them.

Theory of operation
-------------------
Everything that happens, happens at a time in nanoseconds, and nothing takes real time. The parts
have no clock: each is called with the time, and says when it must be called again. What leaves a
TCP is given to ``Path``, which puts its packets into the session's only queue. ``Simulation``
always takes what is due first:

    what is due                          who said so             it is given to
    a packet reaches a host              ``Path``                the host's ``TcpEndpoint``
    a packet reaches the router          ``Path``                ``Path`` (where frames overtake)
    the router complains of its size     ``Path``                ``Path``, back to the client
    a TCP timer                          ``TcpEndpoint.wake_ns`` the same endpoint
    a program runs                       the program itself      ``Client`` or ``Server``
    the time limit                       the engine              the session ends, as failed

Where several things are due at the same time, packets come first, in the order in which they were
sent; then the timers, the client's before the server's; then the programs in the same order. So
one seed always gives one session.

The session is over when the client has ended, both TCPs are done and nothing is on its way, or a
while after the client's end (``GRACE_NS``), as the kernel engine's wire has it.
"""

from random import Random
from typing import Final

from seglab.core.seeds import derive
from seglab.core.trace import Segment
from seglab.engine.record import TIME_LIMIT_REACHED
from seglab.experiment.plan import SessionSpec
from seglab.experiment.reader import Reader
from seglab.frames.addresses import ETHERNET_MTU
from seglab.networks.network import Network
from seglab.simulator.carried import DOWN, UP, Carried
from seglab.simulator.client import NEVER, Client
from seglab.simulator.clock import TICK_NS
from seglab.simulator.due import AT_ROUTER, COMPLAINT, Queue
from seglab.simulator.endpoint import TcpEndpoint
from seglab.simulator.host_times import HostTimes
from seglab.simulator.path import Path
from seglab.simulator.script import Script
from seglab.simulator.server import Server
from seglab.simulator.settings import EndpointSettings

EVENTS_MAX: Final = 5_000_000
"""How many events a session may need. One of 25 kB needs some 200."""

GRACE_NS: Final = 1_000_000_000
"""How long after the client's end packets may still be on their way, beside the links' delays."""

_WHEEL_NS: Final = TICK_NS << 9
"""Within which time a session begins: the timer wheel's step for timeouts of up to two minutes."""


class Simulation:
    """One session under way.

    Args:
        spec: what is planned.
        network: the path.
        script: what the sender does.
        limit_ns: when the session fails if it has not ended.
        repetition: as in ``EngineOptions``: the programs' times and the kernels' clocks follow
            from it, beside the session's seed.

    Attributes:
        packets: every packet, in the order in which they were sent (``Path``).
        client: the client's program.
        server: the server's program.
        script: what the sender does.
        path: the links and the router.
        error: why the session failed, as far as the engine is concerned.
        events: how many things have happened, when it is over.
    """

    __slots__ = (
        "_client_tcp",
        "_grace_ns",
        "_limit_ns",
        "_queue",
        "_server_tcp",
        "client",
        "error",
        "events",
        "packets",
        "path",
        "script",
        "server",
    )

    def __init__(
        self,
        spec: SessionSpec,
        network: Network,
        script: Script,
        limit_ns: int,
        repetition: int = 0,
    ) -> None:
        self.script = script
        self.error: str | None = None
        self.events = 0
        hosts_seed = derive(spec.seed, "repetition", repetition) if repetition else spec.seed
        times = HostTimes(hosts_seed)
        self._queue = Queue()
        self.path = Path(network, spec.seed, limit_ns, times, self._queue)
        self.packets: list[Carried] = self.path.packets
        self._limit_ns = limit_ns
        self._grace_ns: int = GRACE_NS + round(2e9 * network.round_trip_s)
        draw = Random(derive(hosts_seed, "hosts")).randrange
        phase_ns = draw(_WHEEL_NS)  # one kernel has both hosts, and one timer wheel
        self._client_tcp = TcpEndpoint(
            client_settings(network, phase_ns, draw(1 << 32), nodelay=spec.nodelay)
        )
        self._server_tcp = TcpEndpoint(server_settings(network, phase_ns, draw(1 << 32)))
        if not isinstance(spec.reader, Reader):
            raise TypeError(f"{spec.session_id}: the simulator runs no programs")
        self.server = Server(
            spec.protocol,
            spec.reader,
            self._server_tcp,
            times,
            script.stream,
            script.turns,
            self.path,
        )
        self.client = Client(
            script.steps,
            self._client_tcp,
            times,
            None if network.client.tcp == "simulator" else network.client.send_window_bytes,
            self.server.replies,
            self.path,
            bare=self.path.bare,
        )

    def run(self) -> None:
        """Carry the session through to its end."""
        self.events = EVENTS_MAX - self._carry_through()

    def _carry_through(self) -> int:
        """Let what is due happen until the session is over; return how many events are left."""
        client, server = self.client, self.server
        client_tcp, server_tcp = self._client_tcp, self._server_tcp
        queue, path = self._queue, self.path
        self._server_tcp.listen()
        path.send(0, UP, client_tcp.connect(0))
        left = EVENTS_MAX
        end_ns: int = self._limit_ns
        client_due_ns = client_tcp.due_ns
        server_due_ns = server_tcp.due_ns
        while True:
            now_ns: int = queue.at_ns
            kind = 0
            if client_due_ns < now_ns:
                now_ns, kind = client_due_ns, 1
            if server_due_ns < now_ns:
                now_ns, kind = server_due_ns, 2
            if client.noticing_ns < now_ns:
                now_ns, kind = client.noticing_ns, 3
            if client.resume_ns < now_ns:
                now_ns, kind = client.resume_ns, 3
            if server.noticing_ns < now_ns:
                now_ns, kind = server.noticing_ns, 4
            if server.deadline_ns < now_ns:
                now_ns, kind = server.deadline_ns, 4
            if now_ns >= end_ns or (client.ended_ns is not None and self._is_over()):
                if client.ended_ns is not None:
                    return left
                client.fail(end_ns, TIME_LIMIT_REACHED)
                return left
            left -= 1
            if not left:
                client.fail(now_ns, f"the session needs more than {EVENTS_MAX} events")
                return left
            if kind == 0:
                event = queue.take()
                packet = event.packet
                if event.what == AT_ROUTER:
                    path.forward(now_ns, packet)
                    continue
                if event.what == COMPLAINT:
                    path.complain(now_ns, packet)
                    continue
                if packet.arrived_ns < 0:
                    packet.arrived_ns = now_ns
                else:
                    packet.copies_ns += (now_ns,)
                path.stays_awake(now_ns)
                segment = packet.delivered
                if segment is None:
                    self._learn_mtu(now_ns, packet)
                    client_due_ns = client_tcp.due_ns
                elif packet.direction == UP:
                    path.send(now_ns, DOWN, server_tcp.on_segment(now_ns, segment))
                    server.wake(now_ns)
                    server_due_ns = server_tcp.due_ns
                else:
                    path.send(now_ns, UP, client_tcp.on_segment(now_ns, segment))
                    client.wake(now_ns)
                    client_due_ns = client_tcp.due_ns
            elif kind == 1:
                path.send(now_ns, UP, client_tcp.on_timer(now_ns))
                client.wake(now_ns)
                client_due_ns = client_tcp.due_ns
            elif kind == 2:
                path.send(now_ns, DOWN, server_tcp.on_timer(now_ns))
                server.wake(now_ns)
                server_due_ns = server_tcp.due_ns
            elif kind == 3:
                path.program_runs = True
                client.run(now_ns)
                client_due_ns = client_tcp.due_ns
                path.program_runs = client.in_turn
                if path.held and not client.in_turn:
                    path.release(now_ns)
                if client.ended_ns is not None:
                    if client.error is not None:
                        return left
                    end_ns = min(end_ns, client.ended_ns + self._grace_ns)
            else:
                server.run(now_ns)
                server_due_ns = server_tcp.due_ns

    def segments(self, start: int, end: int) -> tuple[Segment, ...]:
        """Return the client's segments with bytes of ``start:end``, clipped to it, from 0 on."""
        found = []
        reached = 0
        for packet in self.packets:
            segment = packet.segment
            if packet.direction != UP or segment is None or segment.end <= segment.start:
                continue
            again = segment.end <= reached
            reached = max(reached, segment.end)
            if segment.start >= end or segment.end <= start:
                continue
            arrived = None if packet.arrived_ns < 0 else packet.arrived_ns
            fate = packet.fate if arrived is None else None
            found.append(
                Segment(
                    packet.sent_ns,
                    arrived,
                    max(segment.start, start) - start,
                    min(segment.end, end) - start,
                    segment.psh,
                    again,
                    fate is not None,
                    fate,
                )
            )
        return tuple(found)

    def _is_over(self) -> bool:
        """Whether both sides are done and nothing is on its way."""
        return (
            self._queue.at_ns == NEVER
            and self.server.closed
            and self._client_tcp.fin_acked
            and self._server_tcp.fin_acked
        )

    def _learn_mtu(self, now_ns: int, message: Carried) -> None:
        """Let a router's message about an MTU reach the client's TCP."""
        quoted = message.about.segment if message.about is not None else None
        start = None if quoted is None else quoted.start
        self.path.send(now_ns, UP, self._client_tcp.on_path_mtu(now_ns, message.mtu, start))
        self.client.wake(now_ns)


def client_settings(
    network: Network, tick_phase_ns: int, clock_ms: int, *, nodelay: bool
) -> EndpointSettings:
    """Return the settings of the client's TCP, as ``kernel.host_setup`` sets them on its host."""
    client = network.client
    return EndpointSettings(
        mtu=network.mtu,
        ip_version=network.ip_version,
        timestamps=client.timestamps,
        sack=client.sack,
        initcwnd=client.initcwnd,
        congestion_control=client.congestion_control,
        mtu_probing=client.mtu_probing,
        pmtu_expires_s=client.pmtu_expires_s,
        send_window_bytes=client.send_window_bytes if client.tcp == "simulator" else None,
        personality=client.personality,
        nodelay=nodelay,
        tick_phase_ns=tick_phase_ns,
        clock_ms=clock_ms,
    )


def server_settings(network: Network, tick_phase_ns: int, clock_ms: int) -> EndpointSettings:
    """Return the settings of the server's TCP; its listening socket has TCP_NODELAY set."""
    return EndpointSettings(
        mtu=max(ETHERNET_MTU, network.mtu),
        ip_version=network.ip_version,
        nodelay=True,
        tick_phase_ns=tick_phase_ns,
        clock_ms=clock_ms,
    )
