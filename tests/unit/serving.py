"""A server in a thread, and a raw client, for tests over loopback."""

import contextlib
import queue
import socket
import struct
import threading
from collections.abc import Iterator

from seglab.experiment.reader import Reader
from seglab.server.connection import ConnectionLog
from seglab.server.limits import Limits
from seglab.server.listening import Listener
from seglab.server.loop import Server

PATIENCE_S = 20.0


class Running:
    """A server in a thread; what it logs comes out of ``logs``."""

    def __init__(self, protocol: str, reader: Reader, limits: Limits) -> None:
        self.logs: queue.Queue[ConnectionLog] = queue.Queue()
        self.server = Server(
            [Listener(port=0, protocol=protocol, reader=reader)], limits, self.logs.put
        )
        self.address = self.server.addresses[0]
        self._thread = threading.Thread(target=self.server.run)
        self._thread.start()

    def connect(self) -> socket.socket:
        """A client whose waiting ends."""
        return socket.create_connection(self.address, timeout=PATIENCE_S)

    def log(self) -> ConnectionLog:
        """The log of the next connection to end."""
        return self.logs.get(timeout=PATIENCE_S)

    def stop(self) -> None:
        """Stop the server and wait for its thread."""
        self.server.stop()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


@contextlib.contextmanager
def running(
    protocol: str = "smtp", reader: Reader | None = None, limits: Limits | None = None
) -> Iterator[Running]:
    server = Running(protocol, reader or Reader(), limits or Limits())
    try:
        yield server
    finally:
        server.stop()


def read_all(sock: socket.socket) -> bytes:
    data = b""
    while chunk := sock.recv(65536):
        data += chunk
    return data


def read_lines(sock: socket.socket, count: int) -> list[bytes]:
    data = b""
    while data.count(b"\n") < count:
        chunk = sock.recv(65536)
        assert chunk, f"the server closed after {data!r}"
        data += chunk
    return data.splitlines()


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
