"""The event loop: one thread, all sockets, read as libuv reads them under Node.js.

libuv (``src/unix/stream.c``) polls level-triggered and serves the ready sockets in turn. It reads
from each with a 64 KiB buffer until a read does not fill the buffer, at most 32 times, and calls
back after each read. From a listening socket it accepts until no connection waits. Replies are sent
at once; bytes that the socket does not take wait until it is writable. Unlike Node.js, this loop
stops reading from a client that does not take its replies.
"""

import os
import select
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from operator import itemgetter
from time import monotonic_ns

from seglab.server.connection import Address, ConnectionLog, OpenConnection
from seglab.server.limits import Limits
from seglab.server.listening import OUT_OF_DESCRIPTORS, Listener, SpareDescriptor, listen
from seglab.server.process import raise_descriptor_limit, sharpen_timers
from seglab.server.session import ProtocolSession, RawSession
from seglab.server.smtp import SmtpSession
from seglab.server.threads import ReaderThreads

_READS_A_TURN = 32  # uv__read's count
_MAX_EVENTS = 1024
_LINGER_NS = 2_000_000_000
_NO_LINGER = struct.pack("ii", 1, 0)
_S = 1_000_000_000
_DONTWAIT = int(socket.MSG_DONTWAIT)  # plain integers: converting an enum takes longer
_MORE = int(getattr(socket, "MSG_MORE", 0))  # Linux only, as epoll is
_NEVER = 1 << 62
_READABLE = getattr(select, "EPOLLIN", 1)  # macOS has no epoll, and imports this for ``--help``

OnEnd = Callable[[ConnectionLog], None]


class Server:
    """A logging server.

    Args:
        listeners: where to listen; the sockets are open when the constructor returns.
        limits: what a client may ask.
        on_end: called with the log of each connection that has ended, from one thread at a
            time. What it raises ends the server.
        keep_samples: keep what the event format prints.

    Raises:
        InputError: an address or port cannot be used.
        EnvironmentLacksError: a port needs a privilege.
    """

    def __init__(
        self,
        listeners: Sequence[Listener],
        limits: Limits,
        on_end: OnEnd,
        *,
        keep_samples: bool = False,
    ) -> None:
        self._limits = limits
        self._on_end = on_end
        self._keep_samples = keep_samples
        self._idle_ns = int(limits.idle_s * _S)
        self._session_ns = int(limits.session_s * _S)
        self._max_connections = raise_descriptor_limit(limits.connections)
        self._listening: dict[int, tuple[socket.socket, Listener]] = {}
        self._connections: dict[int, OpenConnection] = {}
        self._threads = ReaderThreads(limits, self._log)
        self._watched: dict[int, Callable[[], None]] = {}
        self._lock = threading.Lock()
        self._held_back: deque[tuple[int, OpenConnection]] = deque()
        self._check_ns = _NEVER
        self._accepted = 0
        self._stopping = False
        self._closed = False
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._spare = SpareDescriptor()
        self._failure: BaseException | None = None
        try:
            for listener in listeners:
                sock = listen(listener)
                self._listening[sock.fileno()] = (sock, listener)
        except BaseException:
            self._close_all()
            raise
        for fd in (*self._listening, self._wake):
            self._epoll.register(fd, select.EPOLLIN)

    @property
    def addresses(self) -> list[Address]:
        """Address and port of each listener, in the order they were given."""
        return [sock.getsockname()[:2] for sock, _ in self._listening.values()]

    @property
    def max_connections(self) -> int:
        """How many connections at once the limits and the limit of open files allow."""
        return self._max_connections

    def watch(self, fd: int, on_ready: Callable[[], None], events: int = _READABLE) -> None:
        """Call ``on_ready`` from the loop whenever ``fd`` is ready; call again for other events."""
        if fd in self._watched:
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)
        self._watched[fd] = on_ready

    def stop(self) -> None:
        """Make ``run`` return soon; may be called from a signal handler or another thread."""
        self._stopping = True
        if not self._closed:
            os.eventfd_write(self._wake, 1)

    def run(self) -> None:
        """Serve until ``stop``; then close what is open, log it, and return."""
        readers = [listener.reader for _, listener in self._listening.values()]
        if any(reader.turn_us or reader.wake_us for reader in readers):
            sharpen_timers()
        try:
            while not self._stopping:
                self._turn()
        finally:
            self._shut_down()
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Stop listening, if ``run`` has not done so already."""
        if not self._closed:
            self._close_all()

    # The loop ------------------------------------------------------------------------------

    def _turn(self) -> None:
        connections = self._connections
        for fd, event in self._poll():
            connection = connections.get(fd)
            if connection is None:
                self._serve_other(fd)
            elif event != select.EPOLLIN:
                self._serve_event(connection, event)
            elif connection.paced:
                self._readable_in_turn(connection)
            else:
                self._readable(connection)
        if self._held_back:
            self._release(monotonic_ns())
        if self._check_ns != _NEVER and (now_ns := monotonic_ns()) >= self._check_ns:
            self._check_times(now_ns)

    def _serve_other(self, fd: int) -> None:
        if fd in self._listening:
            self._accept(*self._listening[fd])
        elif fd in self._watched:
            self._watched[fd]()
        elif fd == self._wake:
            os.eventfd_read(self._wake)

    def _serve_event(self, connection: OpenConnection, event: int) -> None:
        if event & select.EPOLLOUT:
            self._writable(connection)
        elif connection.pending:
            self._finish(connection, "reset")
        else:  # hung up, or in error: recv tells which, and what is left to read
            self._readable(connection)

    def _poll(self) -> list[tuple[int, int]]:
        if self._check_ns == _NEVER and not self._held_back:
            return self._epoll.poll(None, _MAX_EVENTS)
        now_ns = monotonic_ns()
        if self._held_back:
            # epoll waits in whole milliseconds; select on the epoll itself in microseconds.
            until_ns = min(self._held_back[0][0], self._check_ns)
            select.select([self._epoll], [], [], max(0, until_ns - now_ns) / _S)
            return self._epoll.poll(0, _MAX_EVENTS)
        return self._epoll.poll(max(0, self._check_ns - now_ns) / _S, _MAX_EVENTS)

    def _readable(self, connection: OpenConnection) -> None:
        recv = connection.sock.recv
        size = connection.buffer_bytes
        for _ in range(_READS_A_TURN):
            try:
                data = recv(size, _DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                self._finish(connection, "reset")
                return
            t_ns = monotonic_ns()
            if not data:
                self._finish(connection, "eof")
                return
            if connection.t_linger_ns is None and not self._received(connection, data, t_ns):
                return
            if len(data) < size:
                return

    def _received(self, connection: OpenConnection, data: bytes, t_ns: int) -> bool:
        """Log and answer what was read; return whether to read again."""
        replies = connection.received(data, t_ns)
        if connection.session.ended is not None:
            if replies:  # held for a moment, so that it leaves in one segment with the FIN
                self._send(connection, replies, _DONTWAIT | _MORE)
            self._end(connection)
            return False
        if replies:
            self._send(connection, replies)
        if connection.log_bytes > self._limits.log_bytes:
            self._refuse(connection, "limit log_bytes", "too much to log")
            return False
        return not connection.pending

    def _readable_in_turn(self, connection: OpenConnection) -> None:
        """Read from a paced connection, or hold it back until the event loop may read from it."""
        now_ns = monotonic_ns()
        if connection.wake_ns and not connection.woken and now_ns >= connection.ready_ns:
            connection.woken = True
            connection.ready_ns = now_ns + connection.wake_ns
        if now_ns < connection.ready_ns:
            self._epoll.modify(connection.sock.fileno(), 0)
            self._hold_back(connection)
            return
        connection.woken = False
        self._readable(connection)
        connection.ready_ns = monotonic_ns() + connection.turn_ns

    def _hold_back(self, connection: OpenConnection) -> None:
        self._held_back.append((connection.ready_ns, connection))
        if len(self._held_back) > 1 and self._held_back[-2][0] > connection.ready_ns:
            self._held_back = deque(sorted(self._held_back, key=itemgetter(0)))

    def _release(self, now_ns: int) -> None:
        while self._held_back and self._held_back[0][0] <= now_ns:
            _, connection = self._held_back.popleft()
            fd = connection.sock.fileno()
            if fd >= 0 and not connection.pending:
                self._epoll.modify(fd, select.EPOLLIN)

    # Accepting -----------------------------------------------------------------------------

    def _accept(self, listening: socket.socket, listener: Listener) -> None:
        while True:
            try:
                sock, peer = listening.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in OUT_OF_DESCRIPTORS and self._spare.drop_one(listening):
                    continue
                return
            self._open(sock, peer[:2], listener)

    def _open(self, sock: socket.socket, peer: Address, listener: Listener) -> None:
        now_ns = monotonic_ns()
        self._accepted += 1
        session = _new_session(listener, self._limits)
        connection = OpenConnection(
            number=self._accepted,
            sock=sock,
            local=sock.getsockname()[:2],
            peer=peer,
            protocol=listener.protocol,
            session=session,
            t_accept_ns=now_ns,
            keep_samples=self._keep_samples,
        )
        connection.buffer_bytes = listener.reader.buffer_bytes
        connection.turn_ns = int(listener.reader.turn_us * 1000)
        connection.wake_ns = int(listener.reader.wake_us * 1000)
        connection.paced = bool(connection.turn_ns or connection.wake_ns)
        if len(self._connections) + len(self._threads) >= self._max_connections:
            self._turn_away(connection)
        elif listener.reader.kind == "recv-loop":
            self._threads.start(connection)
        else:
            fd = sock.fileno()
            self._connections[fd] = connection
            self._epoll.register(fd, select.EPOLLIN)
            self._check_ns = min(self._check_ns, self._deadline_ns(connection))
            if session.greeting:
                self._send(connection, session.greeting)

    def _turn_away(self, connection: OpenConnection) -> None:
        """Refuse a connection above the limit at once, without keeping it."""
        reply = connection.session.stop("limit connections", "too many connections")
        with suppress(OSError):  # it may have gone already
            if reply:
                connection.sock.send(reply, _DONTWAIT)
            connection.sock.shutdown(socket.SHUT_WR)
        connection.sock.close()
        self._log(connection, "limit connections")

    # Writing and ending --------------------------------------------------------------------

    def _send(self, connection: OpenConnection, replies: bytes, flags: int = _DONTWAIT) -> None:
        try:
            sent = connection.sock.send(replies, flags)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # the next recv finds the error
        if sent < len(replies):
            connection.pending = replies[sent:]
            self._epoll.modify(connection.sock.fileno(), select.EPOLLOUT)

    def _writable(self, connection: OpenConnection) -> None:
        try:
            sent = connection.sock.send(connection.pending, _DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            self._finish(connection, "reset")
            return
        connection.t_active_ns = monotonic_ns()
        connection.pending = connection.pending[sent:]
        if connection.pending:
            return
        self._epoll.modify(connection.sock.fileno(), select.EPOLLIN)
        if connection.session.ended is not None:
            self._end(connection)

    def _refuse(self, connection: OpenConnection, ended: str, text: str) -> None:
        """End a session from the server's side, with the reply that says why."""
        if connection.session.ended is not None or connection.pending:
            # The client takes no reply any more; the kernel must not keep unsent data either.
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            connection.session.stop(ended, text)
            self._finish(connection, ended)
            return
        reply = connection.session.stop(ended, text)
        if reply:
            self._send(connection, reply)
        self._end(connection)

    def _end(self, connection: OpenConnection) -> None:
        """Close a connection whose session is over, once its replies are sent.

        If data is unread at a close, the kernel sends RST, which may overtake the last reply. So
        after a refusal the server only shuts down its own direction, and drops what still comes
        for a while. After QUIT nothing more comes, and it closes at once.
        """
        if connection.pending:
            return
        if connection.session.ended == "quit":
            self._finish(connection, "quit")
            return
        connection.t_linger_ns = monotonic_ns() + _LINGER_NS
        self._check_ns = min(self._check_ns, connection.t_linger_ns)
        try:
            connection.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._finish(connection, connection.session.ended or "reset")

    def _finish(self, connection: OpenConnection, ended: str) -> None:
        del self._connections[connection.sock.fileno()]
        connection.sock.close()
        if not self._connections:
            self._check_ns = _NEVER
        self._log(connection, connection.session.ended or ended)

    def _log(self, connection: OpenConnection, ended: str) -> None:
        log = connection.finished(ended, monotonic_ns())
        try:
            with self._lock:
                self._on_end(log)
        except Exception as error:
            self._failure = self._failure or error
            self.stop()

    def _deadline_ns(self, connection: OpenConnection) -> int:
        if connection.t_linger_ns is not None:
            return connection.t_linger_ns
        return min(
            connection.t_active_ns + self._idle_ns, connection.t_accept_ns + self._session_ns
        )

    def _check_times(self, now_ns: int) -> None:
        """End connections that were idle or open for too long; set the time of the next check."""
        limits = self._limits
        for connection in list(self._connections.values()):
            if now_ns < self._deadline_ns(connection):
                continue
            if connection.t_linger_ns is not None:
                self._finish(connection, "reset")
            elif now_ns >= connection.t_accept_ns + self._session_ns:
                self._refuse(connection, "limit session_s", f"open for {limits.session_s:g} s")
            else:
                self._refuse(connection, "idle", f"idle for {limits.idle_s:g} s")
        self._check_ns = min(map(self._deadline_ns, self._connections.values()), default=_NEVER)

    def _shut_down(self) -> None:
        for connection in list(self._connections.values()):
            if not connection.pending and connection.t_linger_ns is None:
                self._send(connection, connection.session.stop("shutdown", "server shuts down"))
            self._finish(connection, "shutdown")
        self._threads.finish()
        self._close_all()

    def _close_all(self) -> None:
        self._closed = True
        for sock, _ in self._listening.values():
            sock.close()
        self._epoll.close()
        os.close(self._wake)
        self._spare.close()


def _new_session(listener: Listener, limits: Limits) -> ProtocolSession:
    if listener.protocol == "smtp":
        return SmtpSession(limits, offers=listener.offers)
    return RawSession(limits)
