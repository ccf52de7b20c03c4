"""The wire: one process that carries every frame of a lab from one interface to another.

    python -m seglab.kernel.wire --fd N

It stands in the network namespace where all links of the lab meet. A link joins two interfaces;
each of them has a packet socket (``packet(7)``) that reads what the host behind it sends, and
writes what that host is to receive. In between, ``seglab.networks.link`` says when each frame
leaves, or why it does not. Every frame of a session is recorded on every link, with its fate.

Link states belong to a session (a *flow*, known by its pair of addresses), so sessions side by
side share neither bandwidth, queue nor dice. Frames of no open flow pass at once and are counted.
"""

import argparse
import contextlib
import dataclasses
import errno
import gc
import heapq
import os
import select
import signal
import socket
import sys
import time
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from seglab.core.seeds import derive
from seglab.kernel import packet_socket
from seglab.kernel.channel import Message, Outbox
from seglab.kernel.flow import DIRECTIONS, DROP_REASON, FRAME, T_OUT, Flow, Record
from seglab.kernel.headers import IPV4, IPV6, carries_data, may_open, quoted_addresses
from seglab.networks.link import LinkParams, LinkState

_MAX_FRAME_BYTES = 65535 + 14 + 4  # the largest IP packet, Ethernet header and VLAN tag
_BATCH = 64  # frames from one socket before the others have their turn
_RETRY_NS = 100_000
_MAX_HEAD_START_NS = 80_000
_LEARN_NS = 500
_BUSY_NS = 200_000
_NS_PER_S = 1_000_000_000


class WireError(Exception):
    """The wire cannot do what it is told; its parent hears why."""


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
        self._due: list[tuple[int, int, Port, Flow, Record]] = []
        self._pushed = 0
        self._strays = 0
        self._strays_lost = 0
        self._retries = 0
        self._kernel_drops = 0
        self._wake_ns = 0
        self._head_start_ns = 0
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
        """What the kernel granted for each interface."""
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
        """Whether a link does anything to a frame, and so something depends on when it is done.

        Where none does, to be woken for each frame alone would cost sessions a third of their rate.
        """
        return not all(port.transparent for port in self._in_order)

    def run(self) -> None:
        """Carry frames until the parent says stop, or is gone."""
        channel = self._outbox.fileno()
        readable_fds = [channel, *self._ports]
        while not (self._outbox.ended or self._stopping):
            readable, _, _ = select.select(
                readable_fds, [channel] if self._outbox.kept else [], [], self._timeout()
            )
            if not readable and self._due:
                self._await_first()
            self._send_due(time.monotonic_ns())
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
        """Seconds until this process should wake; ``None`` for when a frame comes."""
        if not (self._closing or self._due):
            return None
        due_ns = [flow.deadline_ns for flow in self._closing]
        if self._due:
            due_ns.append(self._due[0][0] - self._head_start_ns)
        now_ns = time.monotonic_ns()
        # select(2) may oversleep by a thousandth (select_estimate_accuracy): wake a little
        # early from a long wait, and then wait for the rest.
        remaining_ns = max(0, min(due_ns) - now_ns)
        remaining_ns -= remaining_ns // 500
        self._wake_ns = now_ns + remaining_ns
        return remaining_ns / _NS_PER_S

    def _await_first(self) -> None:
        """Learn how late the machine wakes us, and stay awake for a frame that is due at once.

        It takes tens of microseconds to wake up from idle. So we ask to be woken that much
        earlier: by the median of what it took so far. Where it takes much longer, others have
        the processor, and asking would not help.
        """
        now_ns = time.monotonic_ns()
        late_ns = now_ns - self._wake_ns
        if late_ns < _BUSY_NS:
            step_ns = _LEARN_NS if late_ns > self._head_start_ns else -_LEARN_NS
            self._head_start_ns = max(0, min(self._head_start_ns + step_ns, _MAX_HEAD_START_NS))
        due_ns = self._due[0][0]
        if due_ns - now_ns <= _MAX_HEAD_START_NS:
            while time.monotonic_ns() < due_ns:
                pass

    def _receive(self, port: Port) -> None:
        """Take what has come in at a port, and settle the fate of each frame."""
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
        """The flow of any frame, where it has one."""
        addresses = frame[22:54] if frame[12:14] == IPV6 else frame[26:34]
        if flow := self._flows.get(addresses):
            return flow
        quoted = quoted_addresses(frame)
        return None if quoted is None else self._flows.get(quoted[0] + quoted[1])

    def _queue(self, due_ns: int, port: Port, flow: Flow, record: Record) -> None:
        flow.queued += 1
        self._pushed += 1  # frames due at the same time leave in the order they came
        heapq.heappush(self._due, (due_ns, self._pushed, port, flow, record))

    def _send_due(self, now_ns: int) -> None:
        due = self._due
        while due and due[0][0] <= now_ns:
            _, _, port, flow, record = heapq.heappop(due)
            flow.queued -= 1
            if not flow.closed:
                self._send(port, flow, record)

    def _send(self, port: Port, flow: Flow, record: Record) -> None:
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
        """Do all that the parent has said so far."""
        for message in self._outbox.drain():
            if "stop" in message:
                self._stopping = True
            else:
                self._handle(message)

    def _handle(self, message: Message) -> None:
        """Do what the parent says.

        Raises:
            WireError: it makes no sense.
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
        flow = Flow(number, (client + server, server + client), self._count_kernel_drops())
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
        self._by_number[number] = flow
        self._flows.update(dict.fromkeys(flow.keys, flow))
        if order.get("acknowledge", True):
            self._outbox.post({"opened": number})

    def _close(self, flow: Flow) -> None:
        if flow not in self._closing:
            flow.deadline_ns = time.monotonic_ns() + flow.grace_ns
            self._closing.append(flow)

    def _finish(self, now_ns: int) -> None:
        """Report the closing flows of which nothing more is to come."""
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
                    "kernel_drops": drops,
                }
            )

    def _count_kernel_drops(self) -> int:
        """Frames that the kernel dropped since the start because we read too slowly."""
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


def _sharpen_timers() -> None:
    """Let the kernel wake this process when asked, not up to 50 us later to save power."""
    with contextlib.suppress(OSError):  # without /proc of our PID namespace: less precise
        Path("/proc/self/timerslack_ns").write_text("1", encoding="ascii")


def _take_precedence() -> str:
    """Run before the hosts' processes where that is allowed, as a network would.

    Returns:
        The scheduling class: ``round-robin``, or ``other`` without the privilege (rootless).
    """
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except OSError:
        return "other"
    return "round-robin"


def serve(fd: int) -> int:
    """Carry frames for the parent at the other end of ``fd``; the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    _sharpen_timers()
    gc.disable()  # records hold no cycles; a collection would hold up frames that are due
    outbox = Outbox.from_fd(fd)
    config = outbox.receive()
    if config is None:
        return 0
    try:
        wire = Wire(config["config"]["links"], outbox)
        urgent = config["config"].get("realtime", wire.keeps_time)
        scheduling = _take_precedence() if urgent else "other"
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
