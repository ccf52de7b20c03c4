"""The server inside a lab: ``python -m seglab.kernel.server --fd N``.

The server talks to the lab's parent over a channel on the inherited descriptor ``N``. The first
message names its listeners and limits. It answers ``{"ready": [...]}`` or ``{"failed": "one
line"}``, and sends ``{"connection": {...}}`` for each connection that has ended. To ``{"ping": N}``
it answers ``{"pong": N}``, a sign that it does not hang. It ends at end-of-file.
"""

import os
import select
import signal
import sys
import threading
from collections import deque
from typing import Any

from seglab.errors import SeglabError
from seglab.experiment.offers import Offers
from seglab.experiment.reader import Reader
from seglab.kernel.channel import Channel
from seglab.server.connection import ConnectionLog
from seglab.server.limits import Limits
from seglab.server.listening import Listener
from seglab.server.loop import Server


class _Outbox:
    """Sends logs to the parent; the server's loop never waits for a parent that is busy."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._waiting: deque[dict[str, Any]] = deque()
        self._writable = select.poll()
        self._writable.register(channel.fileno(), select.POLLOUT)
        self._server: Server | None = None
        self._lock = threading.Lock()

    def attach(self, server: Server) -> None:
        self._server = server
        server.watch(self._channel.fileno(), self._ready)

    def connection(self, log: ConnectionLog) -> None:
        with self._lock:
            self._waiting.append({"connection": log.as_message()})
            self._flush()

    def _ready(self) -> None:
        if select.select([self._channel], [], [], 0)[0]:
            messages = self._channel.drain()
            if self._channel.ended:
                os._exit(0)  # the parent is gone, and nobody wants to know the rest
            with self._lock:
                self._waiting += [{"pong": m["ping"]} for m in messages if "ping" in m]
        with self._lock:
            self._flush()

    def _flush(self) -> None:
        waited = len(self._waiting) > 1
        while self._waiting and self._writable.poll(0):
            self._channel.send(self._waiting.popleft())
        if self._server is not None and (waited or self._waiting):
            events = select.EPOLLIN | (select.EPOLLOUT if self._waiting else 0)
            self._server.watch(self._channel.fileno(), self._ready, events)

    def finish(self) -> None:
        while self._waiting:
            self._channel.send(self._waiting.popleft())


def serve(fd: int) -> int:
    """Serve as the first message says until the channel ends or SIGTERM; return the exit status."""
    channel = Channel.from_fd(fd)
    first = channel.receive()
    if first is None:
        return 0
    outbox = _Outbox(channel)
    try:
        config = first["config"]
        listeners = [
            Listener(
                host=entry["host"],
                port=entry["port"],
                protocol=entry["protocol"],
                reader=Reader.from_mapping(entry.get("reader") or {}),
                offers=Offers(**entry.get("offers") or {}),
            )
            for entry in config["listeners"]
        ]
        limits = Limits.from_mapping(config.get("limits") or {})
        server = Server(listeners, limits, outbox.connection)
    except (SeglabError, ValueError, TypeError) as error:
        channel.send({"failed": str(error)})
        return 1
    except KeyError as error:
        channel.send({"failed": f"server configuration: {error.args[0]!r} is missing"})
        return 1
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the lab decides what Ctrl-C means
    signal.signal(signal.SIGTERM, lambda *_: server.stop())
    outbox.attach(server)
    channel.send({"ready": [{"host": host, "port": port} for host, port in server.addresses]})
    try:
        server.run()
        outbox.finish()
    except OSError:
        return 0  # the lab closed the channel
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] != "--fd" or not sys.argv[2].isdigit():
        sys.exit(
            "usage: python -m seglab.kernel.server --fd N  "
            "(for use by a lab; people use `seglab serve`)"
        )
    sys.exit(serve(int(sys.argv[2])))
