"""From the kernel's trace events to the write calls of each connection of a program: pure.

Theory of operation
-------------------
Events come in the order of time, each with the thread that it happened in.

    event                  what it says
    sys_enter_...          the thread begins a call; its arguments
    inet_sock_set_state    to SYN_SENT: the socket at this address in the kernel begins a connection
    sock_send_length       the call under way in this thread handed bytes to a socket, or failed to
    tcp_rcv_space_adjust   the socket read; its port is known from here on
    tcp_destroy_sock       the socket is gone; its address may be another one's from here on

A call may hand over its bytes in several steps (sendmmsg, and sendfile and splice page by page):
they are one write. The bytes of a connection are numbered in the order in which its socket took
them. Two threads that write to one socket at once are kept apart by their own calls.

Which descriptor a socket has is learnt from the calls that wrote to it. So an option that was set
on a descriptor before anything was written belongs to the first connection that this process wrote
to by that descriptor afterwards.

Deliberately ignored: sockets that never connect to the lab's server, and all that is no TCP.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Final, NamedTuple

from seglab.kernel.program import events as names

_SYN_SENT: Final = 2
_CLOSING: Final = (4, 7, 9)  # FIN_WAIT1, CLOSE, LAST_ACK
_IPPROTO_TCP: Final = 6
_AF_INET6: Final = 10


class Event(NamedTuple):
    """One event: when, in which thread, what, and its fields."""

    t_ns: int
    thread: int
    name: str
    fields: Mapping[str, Any]


@dataclass(slots=True)
class CallSeen:
    """One call that wrote to a connection, or failed to.

    Attributes:
        t_ns: when it began.
        name: the system call's.
        start: the first byte of the connection's stream that it wrote.
        end: the byte after the last one.
        asked_bytes: how many bytes it asked the kernel to take, where the event shows that.
        error: the number of its error; 0 where it had none.
        flags: its flags; ``None`` for a call without any.
    """

    t_ns: int
    name: str
    start: int
    end: int
    asked_bytes: int | None
    error: int
    flags: int | None

    @property
    def result(self) -> int:
        """How many bytes the kernel took; below zero, the number of the error."""
        return self.end - self.start or -self.error


@dataclass(slots=True)
class ConnectionSeen:
    """One connection that a program began to the lab's server.

    Attributes:
        t_ns: when it began.
        client_port: its own port; 0 where it is not known.
        calls: the calls that wrote to it.
        options: the options that were set or asked for: when, which, ``set`` or ``get``, and the
            value where it is known.
        written: how many bytes the socket took so far.
    """

    t_ns: int
    client_port: int = 0
    calls: list[CallSeen] = field(default_factory=list)
    options: list[tuple[int, str, str, int | None]] = field(default_factory=list)
    written: int = 0


@dataclass(slots=True)
class ProgramSeen:
    """What a program did to sockets in one session.

    Attributes:
        connections: those that it began to the lab's server, in order.
        elsewhere: other addresses and ports that it tried to reach, in order.
    """

    connections: list[ConnectionSeen] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)


def program_seen(found: Iterable[Event], server: str, port: int) -> ProgramSeen:
    """Put together what a program did.

    Args:
        found: the events of all of its threads.
        server: the address of the lab's server.
        port: the server's port.
    """
    watch = _Watch(server, port)
    for event in sorted(found, key=lambda event: event.t_ns):
        watch.take(event)
    return watch.seen


class _Watch:
    """Takes the events one after the other."""

    def __init__(self, server: str, port: int) -> None:
        self.seen = ProgramSeen()
        self._peer = ip_address(server), port
        self._sockets: dict[int, ConnectionSeen] = {}
        self._under_way: dict[int, Event] = {}
        self._writing: dict[int, tuple[Event, ConnectionSeen, CallSeen]] = {}
        self._options: list[tuple[int, Event]] = []
        self._descriptors: dict[int, ConnectionSeen] = {}

    def take(self, event: Event) -> None:
        """Take the next event."""
        if event.name in names.CALLS:
            self._under_way[event.thread] = event
        elif event.name in names.OPTIONS:
            self._under_way[event.thread] = event
            self._option(event)
        elif event.name == names.STATE:
            self._state(event)
        elif event.name == names.SENT:
            self._sent(event)
        elif connection := self._sockets.get(event.fields["skaddr"]):
            connection.client_port = event.fields["sport"] or connection.client_port
            if event.name == names.DESTROYED:
                del self._sockets[event.fields["skaddr"]]

    def _state(self, event: Event) -> None:
        fields = event.fields
        address, socket = fields["skaddr"], self._sockets.get(fields["skaddr"])
        if fields["newstate"] != _SYN_SENT:
            if socket is not None:
                socket.client_port = fields["sport"] or socket.client_port
                if fields["newstate"] in _CLOSING:  # the next socket may get its descriptor
                    self._descriptors = {
                        fd: one for fd, one in self._descriptors.items() if one is not socket
                    }
            return
        if fields["protocol"] != _IPPROTO_TCP:
            return
        peer = ip_address(fields["daddr_v6" if fields["family"] == _AF_INET6 else "daddr"])
        peer = getattr(peer, "ipv4_mapped", None) or peer
        if (peer, fields["dport"]) != self._peer:
            self._sockets.pop(address, None)
            self.seen.elsewhere.append(f"{peer} port {fields['dport']}")
            return
        self._sockets[address] = ConnectionSeen(event.t_ns, fields["sport"])
        self.seen.connections.append(self._sockets[address])

    def _sent(self, event: Event) -> None:
        connection = self._sockets.get(event.fields["sk"])
        if connection is None:
            return
        call = self._under_way.get(event.thread)
        if call is None or call.name in names.OPTIONS:
            call = Event(event.t_ns, event.thread, "sys_enter_unknown", {})
        before = self._writing.get(event.thread)
        if before is None or before[0] is not call or before[1] is not connection:
            begun = self._begun(call, connection)
            connection.calls.append(begun)
            self._writing[event.thread] = before = call, connection, begun
        result = event.fields["ret"]
        if result < 0:
            before[2].error = -result
        else:
            connection.written += result
            before[2].end = connection.written

    def _begun(self, call: Event, connection: ConnectionSeen) -> CallSeen:
        descriptor, asked, flags = names.CALLS.get(call.name, (None, None, None))
        if descriptor is not None and call.name != "sys_enter_io_uring_enter":
            self._at_descriptor(call.fields[descriptor], connection)
        return CallSeen(
            call.t_ns,
            call.name.removeprefix("sys_enter_").removesuffix("64"),
            connection.written,
            connection.written,
            call.fields.get("asked_bytes") if asked is None else call.fields[asked],
            0,
            None if flags is None else call.fields[flags] & 0xFFFFFFFF,
        )

    def _option(self, event: Event) -> None:
        if event.fields["level"] == _IPPROTO_TCP:
            self._options.append((event.fields["fd"], event))
            if connection := self._descriptors.get(event.fields["fd"]):
                self._at_descriptor(event.fields["fd"], connection)

    def _at_descriptor(self, descriptor: int, connection: ConnectionSeen) -> None:
        """Note that a connection has a descriptor, and hand it the options set there."""
        self._descriptors[descriptor] = connection
        kept = []
        for fd, event in self._options:
            if fd != descriptor:
                kept.append((fd, event))
                continue
            number = event.fields["optname"]
            name = names.TCP_OPTIONS.get(number, f"TCP_option_{number}")
            value = event.fields.get("value") if number in names.NUMBERS else None
            connection.options.append((event.t_ns, name, names.OPTIONS[event.name], value))
        self._options = kept
