"""Records what a program does to sockets by notifications of its calls; it needs no privilege.

Theory of operation
-------------------
A thread of its own reads the notifications (``seglab.kernel.program.notification``). Each is of a
call that waits, so what it is about can be looked at: the socket, by a descriptor that is closed
again at once, and the arguments in the program's memory. Then the call continues.

A notification comes before the call, so it does not tell what the call returned. But the kernel
counts what a socket has taken: the bytes acknowledged (``tcpi_bytes_acked``) and those in its queue
(``SIOCOUTQ``). The difference between that sum at a call and at the next one is what the first one
wrote. After the last call the socket is looked at now and then while nothing happens; where it is
gone by then, a blocking call wrote what it was asked to.

What is found are the same events that the kernel's tracing has, so all else is as there.

Deliberately ignored: two threads that write to one socket at the same moment, io_uring, and what
recvmsg or another process brings: a socket counts from its connect(2) on.
"""

import errno
import fcntl
import os
import platform
import select
import socket
import stat
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from seglab.kernel.program import events, notification
from seglab.kernel.program.calls import Event

_RECEIVE: Final = 0xC0502100  # SECCOMP_IOCTL_NOTIF_RECV
_SEND: Final = 0xC0182101  # SECCOMP_IOCTL_NOTIF_SEND
_SET_FLAGS: Final = 0x40082104  # SECCOMP_IOCTL_NOTIF_SET_FLAGS
_SYNC_WAKE_UP: Final = 1
_CONTINUE: Final = 1
_NOTIFICATION = struct.Struct("=QIIiIQ6Q")
_RESPONSE = struct.Struct("=QqiI")
_SIOCOUTQ: Final = 0x5411
_BYTES_ACKED_AT: Final = 120  # in struct tcp_info
_INFO_BYTES: Final = 128
_IOV = struct.Struct("=QQ")
_IOVS_MAX: Final = 1024
_MESSAGE = struct.Struct("=QIIQQ")
_IDLE_MS: Final = 5
_WAIT_MS: Final = 200
_LOOKS_MAX: Final = 20
_ASKED: Final = {"write": 2, "sendto": 2, "sendfile64": 3, "splice": 4}
_FLAGS: Final = {"sendto": 3, "sendmsg": 2, "sendmmsg": 3}
_AT_ARGUMENT: Final = {"splice": 2}
"""Which argument is the descriptor that is written to, where it is not the first."""


@dataclass(slots=True)
class _Outstanding:
    """The last call that wrote to a socket; what it wrote is not known yet."""

    t_ns: int
    thread: int
    process: int
    descriptor: int
    taken: int
    asked: int | None
    blocking: bool
    seen: int = 0
    looks: int = 0


class WatchingRecorder:
    """Records one program at a time, as ``recorder.Recorder`` does.

    Attributes:
        marker: nothing; no process has to announce itself.
    """

    marker: int | None = None
    watches = True

    def __init__(self) -> None:
        self._names = notification.CALLS[platform.machine()]
        self._found: list[Event] = []
        self._last: dict[int, _Outstanding] = {}
        self._processes: dict[int, int] = {}
        self._sockets: dict[int, int] = {}
        self._lock = threading.Lock()
        self._poll = select.poll()
        self._woken, self._wake = os.pipe()
        self._poll.register(self._woken, select.POLLIN)
        threading.Thread(target=self._run, daemon=True).start()

    def listen(self) -> None:
        """Forget the program before."""
        with self._lock:
            self._found.clear()
            self._last.clear()
            self._sockets.clear()
            for process in self._processes.values():
                os.close(process)
            self._processes.clear()

    def begin(self, _announcement: bytes) -> None:
        """Record from here on; there is nothing to do."""

    def drain(self) -> None:
        """Do nothing: no buffer can be full."""

    def attach(self, listener: int) -> None:
        """Take a listener of the program's calls; it is closed when nothing is filtered by it."""
        with suppress(OSError):  # since Linux 6.6; it only makes things faster
            fcntl.ioctl(listener, _SET_FLAGS, _SYNC_WAKE_UP)
        self._poll.register(listener, select.POLLIN)
        os.write(self._wake, b"x")

    def end(self) -> list[Event]:
        """Return what happened since ``listen``."""
        with self._lock:
            for inode in list(self._last):
                self._settle(inode, None)
            found, self._found = self._found, []
            return found

    def _run(self) -> None:
        while True:
            with self._lock:
                waiting = any(one.looks < _LOOKS_MAX for one in self._last.values())
            ready = self._poll.poll(_IDLE_MS if waiting else _WAIT_MS)
            for descriptor, event in ready:
                if descriptor == self._woken:
                    os.read(self._woken, 64)
                elif event & select.POLLIN:
                    self._answer(descriptor)
                else:  # all processes with this filter have ended
                    self._poll.unregister(descriptor)
                    os.close(descriptor)
            if not ready and waiting:
                with self._lock:
                    for inode, one in self._last.items():
                        self._look_again(inode, one)

    def _answer(self, listener: int) -> None:
        buffer = bytearray(_NOTIFICATION.size)
        try:
            fcntl.ioctl(listener, _RECEIVE, buffer)
        except OSError:  # the caller has ended meanwhile
            return
        t_ns = time.monotonic_ns()
        number, thread, _, call, _, _, *arguments = _NOTIFICATION.unpack(buffer)
        try:
            with self._lock:
                self._take(t_ns, thread, self._names[call], arguments)
        except (OSError, KeyError, ValueError, struct.error):
            pass  # it has ended meanwhile, or names what is not there; the call itself will fail
        finally:
            with suppress(OSError):
                fcntl.ioctl(listener, _SEND, _RESPONSE.pack(number, 0, 0, _CONTINUE))

    def _take(self, t_ns: int, thread: int, name: str, arguments: list[int]) -> None:
        if (process := self._processes.get(thread)) is None:
            process = self._processes[thread] = os.pidfd_open(_process_of(thread))
        at = arguments[_AT_ARGUMENT.get(name, 0)] & 0xFFFFFFFF
        descriptor = notification.descriptor_of(process, at)
        inode = os.fstat(descriptor).st_ino
        port = self._sockets.get(inode)
        if port is None and not _is_tcp(descriptor):
            os.close(descriptor)
            return
        # Told what it is, Python does not ask the kernel.
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM, 6, fileno=descriptor) as sock:
            if name == "connect":
                address = _memory(thread, arguments[1], min(arguments[2], 128))
                self._found.append(_connecting(t_ns, thread, inode, address))
            elif name in ("setsockopt", "getsockopt"):
                self._found.append(_option(t_ns, thread, name, at, arguments))
            else:
                if not port and (port := _port(descriptor)):
                    self._sockets[inode] = port
                    fields = {"skaddr": inode, "sport": port}
                    self._found.append(Event(t_ns, thread, events.RECEIVED, fields))
                taken = _taken(sock)
                self._settle(inode, taken)
                call = self._write(t_ns, thread, name, at, arguments)
                self._found.append(call)
                asked = call.fields["asked_bytes"]
                blocking = not fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_NONBLOCK
                last = _Outstanding(t_ns, thread, process, at, taken, asked, blocking)
                self._last[inode] = last

    @staticmethod
    def _write(t_ns: int, thread: int, name: str, at: int, arguments: list[int]) -> Event:
        asked = arguments[_ASKED[name]] if name in _ASKED else _asked(thread, name, arguments)
        fd, length, flags = events.CALLS[f"sys_enter_{name}"]
        fields: dict[str, Any] = {fd: at, "asked_bytes": asked}
        if length is not None:
            fields[length] = asked
        if flags is not None:
            fields[flags] = arguments[_FLAGS[name]]
        return Event(t_ns, thread, f"sys_enter_{name}", fields)

    def _settle(self, inode: int, taken: int | None) -> None:
        """Note what the last call wrote, now that the socket has ``taken`` so much, if known."""
        last = self._last.pop(inode, None)
        if last is None:
            return
        if taken is not None:
            wrote = taken - last.taken
        elif last.blocking and last.asked is not None:
            wrote = last.asked
        else:
            wrote = max(0, last.seen - last.taken)
        fields = {"sk": inode, "ret": wrote or (0 if last.blocking else -errno.EAGAIN)}
        self._found.append(Event(last.t_ns + 1, last.thread, events.SENT, fields))

    def _look_again(self, inode: int, last: _Outstanding) -> None:
        """See how much a socket has taken while its program makes no call."""
        last.looks += 1
        with suppress(OSError):
            descriptor = notification.descriptor_of(last.process, last.descriptor)
            if os.fstat(descriptor).st_ino != inode:
                os.close(descriptor)
                return
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM, 6, fileno=descriptor) as sock:
                last.seen = max(last.seen, _taken(sock))


def _process_of(thread: int) -> int:
    """Return the process that a thread belongs to."""
    status = Path(f"/proc/{thread}/status").read_text("utf-8", "replace")
    return int(status.partition("\nTgid:")[2].split(maxsplit=1)[0])


def _is_tcp(descriptor: int) -> bool:
    if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        return False
    with socket.socket(fileno=os.dup(descriptor)) as sock:
        return sock.type == socket.SOCK_STREAM and sock.proto == socket.IPPROTO_TCP


def _port(descriptor: int) -> int:
    with socket.socket(fileno=os.dup(descriptor)) as sock:
        return int(sock.getsockname()[1])


def _taken(sock: socket.socket) -> int:
    """Return how many bytes a socket has taken, counted from some number."""
    queued = bytearray(4)
    before = _acknowledged(sock)
    while True:
        fcntl.ioctl(sock, _SIOCOUTQ, queued)
        if (after := _acknowledged(sock)) == before:
            return before + int.from_bytes(queued, "little")
        before = after  # an acknowledgement has come meanwhile


def _acknowledged(sock: socket.socket) -> int:
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
    return int.from_bytes(info[_BYTES_ACKED_AT : _BYTES_ACKED_AT + 8], "little")


def _connecting(t_ns: int, thread: int, inode: int, address: bytes) -> Event:
    """Return the event of a connection that begins; ``address`` is a ``struct sockaddr``."""
    family, port = struct.unpack_from("=H", address)[0], struct.unpack_from("!H", address, 2)[0]
    fields: dict[str, Any] = {
        "skaddr": inode,
        "newstate": 2,  # TCP_SYN_SENT
        "protocol": socket.IPPROTO_TCP,
        "family": family,
        "daddr": address[4:8],
        "daddr_v6": address[8:24],
        "dport": port,
        "sport": 0,
    }
    return Event(t_ns, thread, events.STATE, fields)


def _option(t_ns: int, thread: int, name: str, at: int, arguments: list[int]) -> Event:
    fields: dict[str, Any] = {"fd": at, "level": arguments[1], "optname": arguments[2]}
    if name == "setsockopt" and arguments[4] & 0xFFFFFFFF >= 4:
        fields["value"] = struct.unpack("=i", _memory(thread, arguments[3], 4))[0]
    return Event(t_ns, thread, f"sys_enter_{name}", fields)


def _asked(thread: int, name: str, arguments: list[int]) -> int | None:
    """Return how many bytes a call asks to be taken that names them in a list."""
    if name in ("writev", "pwritev2"):
        at, many = arguments[1], arguments[2]
    elif name == "sendmsg":
        _, _, _, at, many = _MESSAGE.unpack(_memory(thread, arguments[1], _MESSAGE.size))
    else:
        return None
    if many > _IOVS_MAX:
        return None
    lengths = [length for _, length in _IOV.iter_unpack(_memory(thread, at, many * _IOV.size))]
    return sum(map(int, lengths))


def _memory(thread: int, at: int, size: int) -> bytes:
    """Return some of a thread's memory."""
    descriptor = os.open(f"/proc/{thread}/mem", os.O_RDONLY)
    try:
        return os.pread(descriptor, size, at)
    finally:
        os.close(descriptor)
