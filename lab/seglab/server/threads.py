"""The eager reader: each connection has a thread, which is always in a blocking ``recv``.

The kernel ends a ``recv`` or ``send`` that takes too long (SO_RCVTIMEO, SO_SNDTIMEO), so that no
``poll`` is needed between one ``recv`` and the next.
"""

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic, monotonic_ns

from seglab.server.connection import OpenConnection
from seglab.server.limits import Limits

_LINGER_NS = 2_000_000_000
_S = 1_000_000_000
_GRACE_S = 1.0
_NO_LINGER = struct.pack("ii", 1, 0)


class ReaderThreads:
    """The threads of a server, one for each connection.

    Args:
        limits: what a client may ask.
        on_end: called from a connection's thread with the connection and why it ended.
    """

    def __init__(self, limits: Limits, on_end: Callable[[OpenConnection, str], None]) -> None:
        self._limits = limits
        self._on_end = on_end
        self._running: dict[int, tuple[threading.Thread, OpenConnection]] = {}
        self._lock = threading.Lock()
        self._stopping = False

    def __len__(self) -> int:
        return len(self._running)

    def start(self, connection: OpenConnection) -> None:
        """Serve a connection in a new thread."""
        thread = threading.Thread(
            target=self._run, args=(connection,), name=f"connection {connection.number}"
        )
        with self._lock:
            self._running[connection.number] = (thread, connection)
        thread.start()

    def finish(self) -> None:
        """End all connections and wait for their threads."""
        self._stopping = True
        for direction in (socket.SHUT_RD, socket.SHUT_RDWR):  # first let them send a last reply
            with self._lock:
                running = list(self._running.values())
                for _, connection in running:
                    with suppress(OSError):
                        connection.sock.shutdown(direction)
            until = monotonic() + _GRACE_S
            for thread, _ in running:
                thread.join(max(0.0, until - monotonic()))

    def _run(self, connection: OpenConnection) -> None:
        ended = "reset"
        try:
            ended = read_blocking(connection, self._limits, lambda: self._stopping)
        finally:
            with self._lock:
                del self._running[connection.number]
                connection.sock.close()
            self._on_end(connection, ended)


def read_blocking(connection: OpenConnection, limits: Limits, stopping: Callable[[], bool]) -> str:
    """Serve a connection to its end; the caller closes its socket.

    Args:
        connection: the connection, from which nothing was read yet.
        limits: what its client may ask.
        stopping: whether the server shuts down; asked when a ``recv`` finds the stream's end.

    Returns:
        Why the connection ended, for its log.
    """
    sock = connection.sock
    session = connection.session
    try:
        _set_timeout(sock, socket.SO_SNDTIMEO, int(limits.idle_s * _S))
        if session.greeting:
            sock.sendall(session.greeting)
        _serve(connection, limits, stopping)
        if session.ended != "quit":
            _linger(connection)
    except BlockingIOError:  # it took no reply for idle_s
        session.stop("idle", "idle")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    except OSError:
        return session.ended or "reset"
    return session.ended or "eof"


def _serve(connection: OpenConnection, limits: Limits, stopping: Callable[[], bool]) -> None:
    sock = connection.sock
    session = connection.session
    idle_ns = int(limits.idle_s * _S)
    until_ns = connection.t_accept_ns + int(limits.session_s * _S)
    timeout_ns = 0
    recv = sock.recv
    size = connection.buffer_bytes
    while session.ended is None:
        left_ns = until_ns - monotonic_ns()
        if left_ns <= 0:
            _stop(connection, "limit session_s", f"open for {limits.session_s:g} s")
            return
        if timeout_ns != idle_ns or left_ns < idle_ns:
            timeout_ns = min(idle_ns, left_ns)
            _set_timeout(sock, socket.SO_RCVTIMEO, timeout_ns)
        try:
            data = recv(size)
        except BlockingIOError:
            if timeout_ns == idle_ns:
                _stop(connection, "idle", f"idle for {limits.idle_s:g} s")
            continue
        t_ns = monotonic_ns()
        if not data:
            if stopping():
                _stop(connection, "shutdown", "server shuts down")
            return
        if replies := connection.received(data, t_ns):
            # A last reply is held for a moment, so that it leaves in one segment with the FIN.
            sock.sendall(replies, 0 if session.ended is None else socket.MSG_MORE)
        if connection.log_bytes > limits.log_bytes and session.ended is None:
            _stop(connection, "limit log_bytes", "too much to log")


def _stop(connection: OpenConnection, ended: str, text: str) -> None:
    if reply := connection.session.stop(ended, text):
        connection.sock.sendall(reply)


def _linger(connection: OpenConnection) -> None:
    """Let the client read the last reply before the socket closes (see ``Server._end``)."""
    if connection.session.ended is None:
        return
    sock = connection.sock
    sock.shutdown(socket.SHUT_WR)
    until_ns = monotonic_ns() + _LINGER_NS
    while (left_ns := until_ns - monotonic_ns()) > 0:
        _set_timeout(sock, socket.SO_RCVTIMEO, left_ns)
        try:
            if not sock.recv(connection.buffer_bytes):
                return
        except OSError:
            return


def _set_timeout(sock: socket.socket, option: int, timeout_ns: int) -> None:
    micros = max(1, timeout_ns // 1000)
    value = struct.pack("ll", micros // 1_000_000, micros % 1_000_000)
    sock.setsockopt(socket.SOL_SOCKET, option, value)
