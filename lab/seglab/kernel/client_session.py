"""One session of the client: a socket, and what is written to it and read from it."""

import errno
import fcntl
import hashlib
import os
import socket
import struct
import sys
import termios
import time
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address

from seglab.frames.addresses import BY_VERSION
from seglab.kernel.channel import ChannelMessage
from seglab.mail.header_layout import header_layout
from seglab.sender import steps
from seglab.sender.replies import REPLY_MAX_BYTES, Replies
from seglab.sender.script import needed_s
from seglab.tcp.window import usable

_TCP_INFO_BYTES = 104
_TCPI_OPT_TIMESTAMPS = 1
_NAME_MAX_BYTES = 16
_OPTIONS = {"nodelay": socket.TCP_NODELAY, "cork": socket.TCP_CORK}
_IP_BIND_ADDRESS_NO_PORT = 24
_IPV6_FREEBIND = 78  # with IPv6, an AnyIP route alone does not let a socket take an address


class SessionError(Exception):
    """A session cannot continue; the message says why."""


class ClientSession:
    """One session under way: a socket, and the steps that the sender has still to take.

    Attributes:
        flow: the session's number in its lab.
        script: the steps still to take; none before the connection stands.
        t0_ns: when the session began.
        deadline_ns: when it fails if it has not ended.
        writes: each write call: when, and its range in the connection's stream.
        sends: each call of send(2): when, how many bytes it was given and how many it took. A write
            takes several where the socket is full.
        options: each socket option that was set after the beginning: when, its name, and whether it
            is on.
        looks: when epoll looked at the socket again, which it does after each of its events.
        unsent: the bytes of the last write that the socket did not take yet.
        flags: of the last write: MSG_MORE or 0.
        window_bytes: the size of a send window that counts bytes; ``None`` leaves it to Linux.
        expected: the code of the reply that the sender waits for; ``None`` where it does not.
        finishing: whether the sender has no steps left and the socket is shut down for writing.
        shut_ns: when it was shut down; ``None`` before that.
        late_ns: how much later than due the client did something while the session ran, at most.
        delayed_ns: ``Client.delayed_ns`` when the deadline was last set.
        mss: the MSS in force; 0 until the connection stands.
        congestion_control: the algorithm in force; empty until the connection stands.
    """

    def __init__(self, job: ChannelMessage, script: Sequence[steps.Step], now_ns: int) -> None:
        self.flow: int = job["flow"]
        self._script = script
        self.script: Iterator[steps.Step] = iter(())
        self.t0_ns = now_ns
        own_s = needed_s(script, job["round_trip_s"], job["bw_mbit"])
        self.deadline_ns = now_ns + int((job["time_limit_s"] + own_s) * 1e9)
        self.nodelay: bool = job["nodelay"]
        self.address = (job["client"], 0)
        self.peer = (job["server"], job["port"])
        self.writes: list[tuple[int, int, int]] = []
        self.payload_start: int | None = None
        self.payload_end = 0
        self.digest = hashlib.sha256()
        self.written = 0
        self.sends: list[tuple[int, int, int]] = []
        self.options: list[tuple[int, steps.SocketOption, bool]] = []
        self.looks: list[int] = []
        self.unsent = memoryview(b"")
        self.flags = 0
        self.header = header_of(script) if job.get("protocol") == "smtp" else {}
        self.window_bytes: int | None = job.get("send_window_bytes")
        self.expected: int | None = None
        self.replies = Replies()
        self.finishing = False
        self.shut_ns: int | None = None
        self.late_ns = 0
        self.delayed_ns = 0
        self.mss = 0
        self.congestion_control = ""
        self.timestamps = False
        family = socket.AF_INET6 if ":" in self.peer[0] else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)

    def connect(self) -> None:
        """Start to connect, from the session's own address.

        Raises:
            SessionError: the peer is not the lab's server.
        """
        check_peer(self.peer[0])
        self.sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        if self.sock.family == socket.AF_INET6:
            self.sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
        if self.nodelay:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.bind(self.address)
        status = self.sock.connect_ex(self.peer)
        if status not in (0, errno.EINPROGRESS):
            raise OSError(status, os.strerror(status))

    def connected(self) -> None:
        """Note what was negotiated, once the connection stands; the steps may follow its MSS.

        Raises:
            SessionError: the connection was not made.
        """
        if status := self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise SessionError(f"connect: {os.strerror(status)}")
        info = self.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        self.timestamps = bool(info[5] & _TCPI_OPT_TIMESTAMPS)
        (self.mss,) = struct.unpack_from("=I", info, 16)
        self.script = iter(steps.at_mss(self._script, self.mss))
        name = self.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, _NAME_MAX_BYTES)
        self.congestion_control = name.split(b"\0")[0].decode()

    def result(self, error: str | None) -> ChannelMessage:
        """Return the message to the parent about the session, which has ended."""
        start = 0 if self.payload_start is None else self.payload_start
        return not_begun(self.flow, self.t0_ns, error) | {
            "writes": self.writes,
            "sends": self.sends,
            "options": self.options,
            "looks": self.looks,
            "shut_ns": self.shut_ns,
            "payload": [start, max(start, self.payload_end)],
            "sha256": self.digest.hexdigest(),
            "mss": self.mss,
            "timestamps": self.timestamps,
            "congestion_control": self.congestion_control,
            "late_ns": self.late_ns,
            **self.header,
        }

    def write(self, step: steps.Write) -> None:
        """Record the write call, and hand its bytes to the socket."""
        start, end = self.written, self.written + len(step.data)
        if step.payload:
            if self.payload_start is None:
                self.payload_start = start
            self.payload_end = end
            self.digest.update(step.data)
        self.written = end
        self.unsent = memoryview(step.data)
        self.flags = socket.MSG_MORE if step.more else 0
        self.writes.append((time.monotonic_ns(), start, end))
        self.push()

    def shut(self) -> None:
        """Shut the socket down for writing, since the sender has no steps left."""
        self.finishing = True
        self.shut_ns = time.monotonic_ns()
        self.sock.shutdown(socket.SHUT_WR)

    def set_option(self, step: steps.SetOption) -> None:
        """Set a socket option, and record when."""
        self.options.append((time.monotonic_ns(), step.name, step.on))
        self.sock.setsockopt(socket.IPPROTO_TCP, _OPTIONS[step.name], step.on)

    def push(self) -> None:
        """Hand over as much of the write as the socket, and a window in bytes, can take."""
        while self.unsent:
            allowed = len(self.unsent)
            if self.window_bytes is not None:
                in_flight = unacknowledged_bytes(self.sock)
                allowed = usable(allowed, in_flight, self.window_bytes, self.mss)
                if not allowed:
                    return
            t_ns = time.monotonic_ns()
            try:
                sent = self.sock.send(self.unsent[:allowed], self.flags)
            except BlockingIOError:
                self.sends.append((t_ns, allowed, 0))
                return
            self.sends.append((t_ns, allowed, sent))
            self.unsent = self.unsent[sent:]

    def read(self) -> bool:
        """Read from the server; return whether it has closed its end of the stream.

        Raises:
            ReplyError: a reply of the server is too long.
        """
        try:
            chunk = self.sock.recv(REPLY_MAX_BYTES)
        except BlockingIOError:
            return False
        self.replies.feed(chunk)
        return not chunk

    def take_reply(self) -> bool:
        """Take the reply that is awaited; return whether all of it was there.

        Raises:
            ReplyError: the reply has another code.
        """
        assert self.expected is not None
        if not self.replies.take(self.expected):
            return False
        self.expected = None
        return True


def unacknowledged_bytes(sock: socket.socket) -> int:
    """Return how many bytes the socket was given and the server has not acknowledged.

    See ``SIOCOUTQ`` in tcp(7).
    """
    answer = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0" * 4)
    return int.from_bytes(answer, sys.byteorder)


def header_of(script: Iterable[steps.Step]) -> ChannelMessage:
    """Return where the message's header fields are, for the record."""
    writes = (step for step in script if isinstance(step, steps.Write) and step.payload)
    found = header_layout(b"".join(step.data for step in writes))
    fields = [(field.name, field.start, field.end) for field in found.fields]
    return {"header_end": found.header_end, "header_fields": fields}


def not_begun(flow: int, t0_ns: int, error: str | None) -> ChannelMessage:
    """Return the result of a session that has sent nothing."""
    return {
        "flow": flow,
        "t0_ns": t0_ns,
        "t_end_ns": time.monotonic_ns(),
        "writes": [],
        "payload": [0, 0],
        "sha256": hashlib.sha256().hexdigest(),
        "mss": 0,
        "timestamps": False,
        "error": error,
    }


def check_peer(address: str) -> None:
    """Make sure that a session's peer is the lab's own server.

    Raises:
        SessionError: the peer is another host.
    """
    peer = ip_address(address)
    if peer not in BY_VERSION[peer.version].servers:
        raise SessionError(f"{address} is not an address of the lab's server")
