"""The wire: one process that carries every frame of a lab from one interface to another.

    python -m seglab.kernel.wire --fd N

Theory of operation
-------------------
The wire stands in the network namespace where all links of the lab meet:

    client -- w-c0 [ link "access" ] w-r0 -- router -- w-r1 [ link "core" ] w-s0 -- server

A link joins two interfaces. Each interface has a packet socket (``packet(7)``), which reads what
the host behind it sends and writes what that host is to receive. A *port* is one direction of one
link: frames come in at one socket and leave at the other. A packet from the client to the server
therefore passes two ports, and the router's own kernel in between.

A session is a *flow*: it is known by its pair of addresses, which no other session of the lab ever
has. A flow has a link state of its own for each port (``seglab.networks.link``), so sessions side
by side share neither bandwidth nor queue nor dice.

    state of a flow   it becomes so                             a frame with its addresses
    open              on the order ``open``                     is recorded; the link decides
    closing           on the order ``close``                    is recorded; the link decides
    closed            when it is over: nothing is queued and    passes at once as a stray;
                      both ends of TCP have finished, or its    what was queued is not sent
                      grace is past. Its frames are reported

A frame that comes in at a port is first recorded with the time. The link state then says when it
leaves (twice for a duplicate), or why it never does. Departures that are not due yet wait in one
heap for all ports, in the order of their times and then of their arrival.

The loop waits with ``select`` for a frame, an order of the parent, room in the parent's channel, or
the time of the next departure, and does whatever is due. While flows are open it also wakes every
10 ms, to notice when the machine does not let it run (``late_ns``). No step of it waits for
anybody: the channel to the parent keeps what the parent does not take, and a frame that an
interface does not take is tried again a little later. While frames are read, the departures that
become due go first.

Two rules keep the records true:

- A frame is stamped *in* right after it was read and *out* just before it is written. So no server
  has read a byte before the wire says that it left.
- The parent sends ``open`` before it tells the client to begin. The wire may still read the first
  frame before that order; so before it lets the first frame of an unknown connection pass, it reads
  its channel again.

The wire ignores frames of no open flow, apart from passing them on and counting them (strays). It
does not look into TCP but for four questions: which flow an ICMP error is about, whether a frame
may open a connection, whether it carries data, and whether the session's connections are over.

Where the order ``open`` asks for it (``announce``), the wire also says when a flow has ``begun``:
when the client's first SYN came in.
"""

import argparse
import dataclasses
import errno
import gc
import heapq
import select
import signal
import socket
import sys
import time
from ipaddress import ip_address
from typing import Any

from seglab.core.seeds import derive
from seglab.frames.headers import IPV4, IPV6, carries_data, may_open, quoted_addresses
from seglab.kernel import packet_socket
from seglab.kernel.channel import ChannelMessage, Outbox
from seglab.kernel.flow import DIRECTIONS, DROP_REASON, FRAME, T_OUT, Flow, FrameRecord
from seglab.kernel.wake_up import WakeUp, sharpen_timers, take_precedence
from seglab.networks.link import LinkParams, LinkState

_MAX_FRAME_BYTES = 65535 + 14 + 4  # the largest IP packet, Ethernet header and VLAN tag
_BATCH = 64  # frames from one socket before the others have their turn
_RETRY_NS = 100_000
_PROBE_NS = 10_000_000


class WireError(Exception):
    """The wire cannot do what its parent asks for; the parent is told why."""


class Port:
    """One direction of one link: frames come from one socket and go to another."""

    __slots__ = ("direction", "index", "link", "name", "params", "receive", "send", "transparent")

    def __init__(
        self,
        name: str,
        index: int,
        params: LinkParams,
        source: socket.socket,
        destination: socket.socket,
    ) -> None:
        self.name = name
        self.index = index
        self.link, self.direction = divmod(index, len(DIRECTIONS))
        self.params = params
        self.transparent = params.transparent
        self.receive = source.recv
        self.send = destination.send


class Wire:
    """All links of a lab.

    Args:
        links: as in the ``config`` message: ``name``, ends ``a`` and ``b``, and the parameters
            ``a_to_b`` and ``b_to_a``.
        outbox: the channel to the parent.

    Raises:
        WireError: an interface or a parameter cannot be used.
    """

    def __init__(self, links: list[dict[str, Any]], outbox: Outbox) -> None:
        self._outbox = outbox
        self._sockets: dict[str, socket.socket] = {}
        self._ports: dict[int, Port] = {}
        self._flows: dict[bytes, Flow] = {}
        self._by_number: dict[int, Flow] = {}
        self._closing: list[Flow] = []
        self._due: list[tuple[int, int, Port, Flow, FrameRecord]] = []
        self._pushed = 0
        self._strays = 0
        self._strays_lost = 0
        self._retries = 0
        self._kernel_drops = 0
        self._wake_up = WakeUp()
        self._probe_ns = 0
        self._stopping = False
        for index, link in enumerate(links):
            params = [_params(link, way) for way in DIRECTIONS]
            a, b = self._open_socket(link["a"]), self._open_socket(link["b"])
            for direction, (source, to) in enumerate(((a, b), (b, a))):
                name = f"{link['name']}:{DIRECTIONS[direction]}"
                number = len(DIRECTIONS) * index + direction
                self._ports[source.fileno()] = Port(name, number, params[direction], source, to)
        self._in_order = sorted(self._ports.values(), key=lambda port: port.index)

    def interfaces(self) -> list[dict[str, Any]]:
        """Return the sizes of the buffers that the kernel granted for each interface."""
        return [
            {
                "name": name,
                "receive_buffer_bytes": sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF),
                "send_buffer_bytes": sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF),
            }
            for name, sock in self._sockets.items()
        ]

    @property
    def keeps_time(self) -> bool:
        """Whether a link does anything to a frame, so that it matters when it is done.

        Where no link does, it is better not to run before the hosts: being woken for each single
        frame would cost a third of the sessions in a second.
        """
        return not all(port.transparent for port in self._in_order)

    def run(self) -> None:
        """Carry frames until the parent says ``stop``, or is gone."""
        channel = self._outbox.fileno()
        readable_fds = [channel, *self._ports]
        while not (self._outbox.ended or self._stopping):
            readable, _, _ = select.select(
                readable_fds, [channel] if self._outbox.kept else [], [], self._timeout()
            )
            if not readable and self._due:
                self._wake_up.await_due(self._due[0][0])
            now_ns = time.monotonic_ns()
            if self._probe_ns and now_ns >= self._probe_ns:
                self._probe(now_ns)
            self._send_due(now_ns)
            for fd in readable:
                if fd == channel:
                    self._drain_channel()
                else:
                    self._receive(self._ports[fd])
            if self._outbox.kept:
                self._outbox.push()
            if self._closing:
                self._finish(time.monotonic_ns())
        if self._stopping:
            self._stop()

    def _open_socket(self, interface: str) -> socket.socket:
        if interface in self._sockets:
            raise WireError(f"interface {interface} is on two links")
        try:
            sock = packet_socket.bound_to(interface)
        except OSError as error:
            raise WireError(f"interface {interface}: {error.strerror or error}") from None
        self._sockets[interface] = sock
        return sock

    def _timeout(self) -> float | None:
        """Return in how many seconds this process should wake; ``None`` for when a frame comes."""
        if not (self._closing or self._due or self._probe_ns):
            return None
        wake_ns = [flow.deadline_ns for flow in self._closing]
        if self._probe_ns:
            wake_ns.append(self._probe_ns)
        if self._due:
            wake_ns.append(self._due[0][0] - self._wake_up.head_start_ns)
        return self._wake_up.timeout_s(min(wake_ns))

    def _probe(self, now_ns: int) -> None:
        """Note how late the wire is, and be late or in time once more while sessions are open.

        Where a link delays nothing, no frame is ever due. The wire then notices only in this way
        that the machine did not let it run.
        """
        for flow in self._by_number.values():
            flow.late_ns = max(flow.late_ns, now_ns - max(self._probe_ns, flow.opened_ns))
        self._probe_ns = now_ns + _PROBE_NS if self._by_number else 0

    def _receive(self, port: Port) -> None:
        """Read the frames that have come in at a port, and decide what becomes of each."""
        receive, clock = port.receive, time.monotonic_ns
        flows, due, index = self._flows, self._due, port.index
        for _ in range(_BATCH):
            try:
                frame = receive(_MAX_FRAME_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                raise WireError(f"receiving on {port.name}: {error.strerror}") from None
            now_ns = clock()
            if due and due[0][0] <= now_ns:
                self._send_due(now_ns)
            flow = flows.get(frame[26:34]) if frame[12:14] == IPV4 else None
            if flow is None:
                flow = self._find_flow(frame)
            if flow is None and may_open(frame):
                # The parent sent the order before this frame, but it may still be in the channel.
                self._drain_channel()
                flow = self._find_flow(frame)
            if flow is None:
                self._strays += 1
                self._send_stray(port, frame)
                continue
            record = [port.link, port.direction, now_ns, [], None, frame]
            flow.frames.append(record)
            if flow.announces and may_open(frame):
                flow.announces = False
                self._outbox.post({"begun": flow.number, "t_ns": now_ns})
            state = flow.states[index]
            if state is None:
                self._send(port, flow, record)
                continue
            is_data = bool(state.params.drop_data) and carries_data(frame)
            departures_ns, record[DROP_REASON] = state.offer(now_ns, len(frame), is_data=is_data)
            for departure_ns in departures_ns:
                if state.params.instant:
                    self._send(port, flow, record)
                else:
                    self._queue(departure_ns, port, flow, record)

    def _find_flow(self, frame: bytes) -> Flow | None:
        """Return the flow that a frame belongs to; ``None`` where there is none."""
        addresses = frame[22:54] if frame[12:14] == IPV6 else frame[26:34]
        if flow := self._flows.get(addresses):
            return flow
        quoted = quoted_addresses(frame)
        return None if quoted is None else self._flows.get(quoted[0] + quoted[1])

    def _queue(self, due_ns: int, port: Port, flow: Flow, record: FrameRecord) -> None:
        flow.queued += 1
        self._pushed += 1  # frames due at the same time leave in the order they came
        heapq.heappush(self._due, (due_ns, self._pushed, port, flow, record))

    def _send_due(self, now_ns: int) -> None:
        due = self._due
        while due and due[0][0] <= now_ns:
            due_ns, _, port, flow, record = heapq.heappop(due)
            flow.queued -= 1
            flow.late_ns = max(flow.late_ns, now_ns - due_ns)
            if not flow.closed:
                self._send(port, flow, record)

    def _send(self, port: Port, flow: Flow, record: FrameRecord) -> None:
        sent_ns = time.monotonic_ns()
        try:
            port.send(record[FRAME])
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.ENOBUFS):
                self._retries += 1
                self._queue(sent_ns + _RETRY_NS, port, flow, record)
            else:
                record[DROP_REASON] = f"send: {error.strerror}"
        else:
            record[T_OUT].append(sent_ns)

    def _send_stray(self, port: Port, frame: bytes) -> None:
        try:
            port.send(frame)
        except OSError:
            self._strays_lost += 1

    def _drain_channel(self) -> None:
        """Carry out all orders of the parent that have arrived."""
        for message in self._outbox.drain():
            if "stop" in message:
                self._stopping = True
            else:
                self._handle(message)

    def _handle(self, message: ChannelMessage) -> None:
        """Carry out one order of the parent.

        Raises:
            WireError: the order makes no sense.
        """
        try:
            if "open" in message:
                self._open(message["open"])
            else:
                self._close(self._by_number[message["close"]])
        except (KeyError, TypeError, ValueError) as error:
            raise WireError(f"{str(message)[:200]} makes no sense: {error!r}") from None

    def _open(self, order: dict[str, Any]) -> None:
        number = order["flow"]
        client, server = (ip_address(order[end]).packed for end in ("client", "server"))
        now_ns = time.monotonic_ns()
        keys = client + server, server + client
        flow = Flow(number, keys, self._count_kernel_drops(), now_ns)
        self._probe_ns = self._probe_ns or now_ns + _PROBE_NS
        if number in self._by_number or any(key in self._flows for key in flow.keys):
            raise WireError(f"flow {number} or its addresses are open already")
        exact = order.get("drop_data") or {}
        if unknown := exact.keys() - {port.name for port in self._ports.values()}:
            raise WireError(f"drop_data for unknown links {', '.join(sorted(unknown))}")
        for port in self._in_order:
            params = port.params
            if port.name in exact:
                params = dataclasses.replace(params, drop_data=tuple(exact[port.name]))
            elif port.transparent:
                flow.states.append(None)
                continue
            seed = derive(order["seed"], *port.name.split(":"))
            flow.states.append(LinkState(params, seed))
            flow.grace_ns += round(2 * params.delay_ms * 1e6)
        flow.announces = order.get("announce", False)
        self._by_number[number] = flow
        self._flows.update(dict.fromkeys(flow.keys, flow))
        if order.get("acknowledge", True):
            self._outbox.post({"opened": number})

    def _close(self, flow: Flow) -> None:
        if flow not in self._closing:
            flow.deadline_ns = time.monotonic_ns() + flow.grace_ns
            self._closing.append(flow)

    def _finish(self, now_ns: int) -> None:
        """Report the closing flows that are over."""
        for flow in [flow for flow in self._closing if flow.is_over(now_ns)]:
            self._closing.remove(flow)
            flow.closed = True  # what is still queued is for addresses that never come back
            del self._by_number[flow.number]
            for key in flow.keys:
                del self._flows[key]
            drops = self._count_kernel_drops() - flow.kernel_drops_before
            self._outbox.post(
                {
                    "flow": flow.number,
                    "frames": flow.frames,
                    "queued": flow.queued,
                    "late_ns": flow.late_ns,
                    "strays": self._strays,
                    "strays_lost": self._strays_lost,
                    "kernel_drops": drops,
                }
            )

    def _count_kernel_drops(self) -> int:
        """Return how many frames the kernel has dropped so far because the wire read too slowly."""
        self._kernel_drops += sum(map(packet_socket.drops, self._sockets.values()))
        return self._kernel_drops

    def _stop(self) -> None:
        self._outbox.post(
            {
                "stopped": {
                    "strays": self._strays,
                    "strays_lost": self._strays_lost,
                    "kernel_drops": self._count_kernel_drops(),
                    "send_retries": self._retries,
                }
            }
        )
        self._outbox.flush()


def _params(link: dict[str, Any], direction: str) -> LinkParams:
    try:
        return LinkParams(**link.get(direction, {}))
    except (TypeError, ValueError) as error:
        raise WireError(f"link {link['name']}, {direction}: {error}") from None


def serve(fd: int) -> int:
    """Carry frames for the parent at the other end of ``fd``; return the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    sharpen_timers()
    gc.disable()  # records hold no cycles; a collection would hold up frames that are due
    outbox = Outbox.from_fd(fd)
    config = outbox.receive()
    if config is None:
        return 0
    try:
        wire = Wire(config["config"]["links"], outbox)
        urgent = config["config"].get("realtime", wire.keeps_time)
        scheduling = take_precedence() if urgent else "other"
        outbox.post({"ready": {"interfaces": wire.interfaces(), "scheduling": scheduling}})
        wire.run()
    except WireError as error:
        outbox.post({"failed": f"wire: {error}"})
        outbox.flush()
        return 1
    return 0


def main() -> None:
    """Carry frames for the parent at the other end of ``--fd``."""
    parser = argparse.ArgumentParser(prog="python -m seglab.kernel.wire")
    parser.add_argument("--fd", type=int, required=True)
    sys.exit(serve(parser.parse_args().fd))


if __name__ == "__main__":
    main()
