"""From the kernel's trace events to what a server program read of each connection: pure.

Theory of operation
-------------------
Events come in the order of time, each with the thread that it happened in.

    event                  what it says
    sys_enter_read, ...    the thread begins a call that reads; its arguments
    tcp_rcv_space_adjust   the call under way took bytes from the socket at this address, whose
                           addresses and ports are known from here on
    sock_recv_length       the call under way read so many bytes from a socket, or failed to
    sys_enter_poll, ...    the thread begins to wait
    sys_exit_poll, ...     the thread has waited
    sys_enter_setsockopt   the thread sets an option of a descriptor
    inet_sock_set_state    the server closes the socket: the connection has ended
    tcp_destroy_sock       the socket is gone; its address may be another one's from here on

The first reads of a connection may find nothing (EAGAIN). They come before the socket's addresses
are known, and are kept until they are.

A read that only peeks (``MSG_PEEK``) takes nothing, so it is noted and moves no position.

Deliberately ignored: sockets that listen on another port than the lab's, and all that is no TCP.
"""

from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any, Final

import msgspec

from seglab.core.reading import ServerCall
from seglab.kernel.program import events as names
from seglab.kernel.program.calls import Event

CALLS: Final = {
    "sys_enter_read": ("fd", "count"),
    "sys_enter_readv": ("fd", None),
    "sys_enter_recvfrom": ("fd", "size"),
    "sys_enter_recvmsg": ("fd", None),
    "sys_enter_recvmmsg": ("fd", None),
}
"""The calls that read, by their events: the fields with descriptor and size asked for."""

WAITS: Final = (
    "poll",
    "ppoll",
    "select",
    "pselect6",
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
)
"""The calls that wait for descriptors."""

_READ: Final = "sock_recv_length"

WANTED: Final = (
    f"sock/{_READ}",
    f"sock/{names.STATE}",
    f"tcp/{names.RECEIVED}",
    f"tcp/{names.DESTROYED}",
    *(f"syscalls/{name}" for name in CALLS),
    *(f"syscalls/sys_{edge}_{name}" for name in WAITS for edge in ("enter", "exit")),
    "syscalls/sys_enter_setsockopt",
)
"""All events that are recorded of a server."""

_CLOSING: Final = frozenset((4, 7, 9))  # FIN_WAIT1, CLOSE, LAST_ACK
_PEEK: Final = 2
_AF_INET6: Final = 10
_PENDING_MAX: Final = 64


class ServedConnection(msgspec.Struct):
    """What a server program did to one connection.

    Attributes:
        local: the server's address and port.
        peer: the client's.
        calls: the calls that read, in order.
        options: the options that were set on its descriptor: the level and the number.
    """

    local: tuple[str, int]
    peer: tuple[str, int]
    calls: list[ServerCall] = msgspec.field(default_factory=list)
    options: list[tuple[int, int]] = msgspec.field(default_factory=list)


class ServerWatch:
    """Takes the events of a server program, and keeps its connections until they are taken.

    Args:
        port: the port that it serves; other connections are nobody's business.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._open: dict[int, ServedConnection] = {}
        self._unknown: dict[int, list[ServerCall]] = {}
        self._under_way: dict[int, Event] = {}
        self._waited: dict[int, tuple[str, int]] = {}
        self._waiting: dict[int, str] = {}
        self._options: dict[int, list[tuple[int, int]]] = {}
        self._ended: list[ServedConnection] = []

    def take(self, events: Iterable[Event]) -> list[ServedConnection]:
        """Take further events, in the order of time; return the connections that have ended."""
        for event in events:
            self._take(event)
        ended, self._ended = self._ended, []
        return ended

    def _take(self, event: Event) -> None:
        name, fields = event.name, event.fields
        if name in CALLS:
            self._under_way[event.thread] = event
        elif name.startswith("sys_enter_") and name[10:] in WAITS:
            self._waiting[event.thread] = name[10:]
        elif name.startswith("sys_exit_") and name[9:] in WAITS:
            if (what := self._waiting.pop(event.thread, None)) is not None:
                self._waited[event.thread] = what, event.t_ns
        elif name == "sys_enter_setsockopt":
            option = fields["level"], fields["optname"]
            self._options.setdefault(fields["fd"], []).append(option)
        elif name == _READ:
            self._read(event)
        elif name == names.STATE:
            self._state(fields)
        elif name == names.DESTROYED:
            self._end(fields["skaddr"])
        elif name == names.RECEIVED:
            self._know(fields)

    def _know(self, fields: Mapping[str, Any]) -> None:
        """Note which connection a socket is."""
        if fields["sport"] != self._port:
            return
        address, six = fields["skaddr"], fields["family"] == _AF_INET6
        local, peer = (
            (_plain(fields[f"{side}addr_v6" if six else f"{side}addr"]), fields[f"{side}port"])
            for side in ("s", "d")
        )
        found = self._open.get(address)
        if found is None or found.peer != peer:
            tried = self._unknown.pop(address, [])
            self._end(address)
            self._open[address] = ServedConnection(local, peer, tried)

    def _read(self, event: Event) -> None:
        call = self._under_way.get(event.thread)
        if call is None:
            return
        descriptor, size = CALLS[call.name]
        waited, woken_ns = self._waited.get(event.thread, ("", 0))
        found = ServerCall(
            began_ns=call.t_ns,
            t_ns=event.t_ns,
            name=call.name.removeprefix("sys_enter_"),
            asked_bytes=None if size is None else call.fields[size],
            result=event.fields["ret"],
            peek=bool(event.fields["flags"] & _PEEK),
            waited=waited,
            woken_ns=woken_ns,
        )
        connection = self._open.get(event.fields["sk"])
        if connection is None:
            pending = self._unknown.setdefault(event.fields["sk"], [])
            pending.append(found)
            del pending[:-_PENDING_MAX]
            return
        connection.calls.append(found)
        connection.options += self._options.pop(call.fields[descriptor], [])

    def _state(self, fields: Mapping[str, Any]) -> None:
        if fields["sport"] == self._port and fields["newstate"] in _CLOSING:
            self._end(fields["skaddr"])

    def _end(self, address: int) -> None:
        self._unknown.pop(address, None)
        if (connection := self._open.pop(address, None)) is not None:
            self._ended.append(connection)


def _plain(packed: bytes) -> str:
    """Return an address as text; an IPv4 one that is mapped into IPv6 as IPv4."""
    address = ip_address(packed)
    return str(getattr(address, "ipv4_mapped", None) or address)
