"""One connection: its session, and the log of every ``recv`` on its socket."""

import socket
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from seglab.server.session import ProtocolSession, ReceivedPayload

Address = tuple[str, int]

READ_LOG_BYTES = 16
SAMPLE_END_BYTES = 32
_SAMPLE_BYTES = 2 * SAMPLE_END_BYTES
MESSAGE_LOG_BYTES = 512


@dataclass(frozen=True, slots=True)
class ConnectionLog:
    """The log of a connection that has ended.

    Attributes:
        number: of the connection in the order of acceptance, from 1.
        protocol: ``"raw"`` or ``"smtp"``.
        local: the server's address and port.
        peer: the client's.
        t_accept_ns: when ``accept`` returned, on the monotonic clock.
        t_end_ns: when the server closed its socket, on the same clock.
        ended: ``"quit"``, ``"eof"``, ``"reset"``, ``"idle"``, ``"shutdown"`` or
            ``"limit "`` and the limit's name.
        reads: ``(t_ns, start, end)`` of every ``recv``, right after it returned, as offsets
            in the connection's stream.
        messages: the payloads that have ended.
        unfinished: the range of a payload that has not ended; ``None`` if there is none.
        refused: the first reply by which a limit refused something; ``None`` if none did.
        samples: if asked for, the bytes of each read that the event format prints (all of them, or
            the two ends), for each payload and each read of it; an unfinished payload is last.
    """

    number: int
    protocol: str
    local: Address
    peer: Address
    t_accept_ns: int
    t_end_ns: int
    ended: str
    reads: Sequence[tuple[int, int, int]]
    messages: Sequence[ReceivedPayload]
    unfinished: tuple[int, int] | None = None
    refused: str | None = None
    samples: Sequence[Sequence[bytes]] = field(default=())

    @property
    def payloads(self) -> list[tuple[int, int]]:
        """The ranges of all payloads in the stream; an unfinished one is last."""
        spans = [(message.start, message.end) for message in self.messages]
        if self.unfinished is not None:
            spans.append(self.unfinished)
        return spans

    def as_message(self) -> dict[str, Any]:
        """Return the log as one map for JSON or for the lab's channel."""
        return {
            "number": self.number,
            "protocol": self.protocol,
            "local": self.local,
            "peer": self.peer,
            "t_accept_ns": self.t_accept_ns,
            "t_end_ns": self.t_end_ns,
            "ended": self.ended,
            "refused": self.refused,
            "reads": self.reads,
            "payloads": [(m.start, m.end) for m in self.messages],
            "sha256": [m.sha256 for m in self.messages],
            "unfinished": self.unfinished,
            "envelopes": [_envelope(m) for m in self.messages if m.reply],
        }


def _envelope(message: ReceivedPayload) -> dict[str, Any]:
    return {
        "helo": message.helo,
        "mail_from": message.mail_from,
        "recipients": message.recipients,
        "parameters": message.parameters,
        "content_bytes": message.content_bytes,
        "reply": message.reply,
    }


def clip(reads: Iterable[tuple[int, int, int]], start: int, end: int) -> list[tuple[int, int, int]]:
    """Return the parts of the reads that lie in ``start:end``, as offsets from ``start``.

    A read may hold the end of one thing and the beginning of the next, such as the end of a
    message and a QUIT. Its bytes outside the range are left out.
    """
    return [
        (t_ns, max(low, start) - start, min(high, end) - start)
        for t_ns, low, high in reads
        if low < end and high > start
    ]


class OpenConnection:
    """An open connection: its session and its log. Its owner does the I/O and reports it here.

    Attributes:
        sock: its socket.
        session: its protocol.
        pending: replies that the socket did not take yet.
        t_active_ns: when something last moved in either direction.
        log_bytes: about how much memory the log of this connection takes.
        buffer_bytes: how much a ``recv`` is to return at most.
        turn_ns: how long the event loop is to be busy after each turn of reading from it.
        ready_ns: when the event loop may read from it again.
        wake_ns: how long after the socket became readable the event loop is to read from it.
        woken: whether that time has begun.
        paced: whether ``turn_ns`` or ``wake_ns`` is above 0.
        t_linger_ns: when the server stops waiting for the client to close; ``None`` until the
            session is over and all replies are sent.
    """

    __slots__ = (
        "_ends",
        "_messages",
        "_samples",
        "_times",
        "buffer_bytes",
        "local",
        "log_bytes",
        "number",
        "paced",
        "peer",
        "pending",
        "protocol",
        "ready_ns",
        "session",
        "sock",
        "stream_bytes",
        "t_accept_ns",
        "t_active_ns",
        "t_linger_ns",
        "turn_ns",
        "wake_ns",
        "woken",
    )

    def __init__(
        self,
        *,
        number: int,
        sock: socket.socket,
        local: Address,
        peer: Address,
        protocol: str,
        session: ProtocolSession,
        t_accept_ns: int,
        keep_samples: bool = False,
    ) -> None:
        self.number = number
        self.sock = sock
        self.local = local
        self.peer = peer
        self.protocol = protocol
        self.session = session
        self.t_accept_ns = t_accept_ns
        self.t_active_ns = t_accept_ns
        self.t_linger_ns: int | None = None
        self.pending = b""
        self.stream_bytes = 0
        self.buffer_bytes = 0
        self.turn_ns = 0
        self.wake_ns = 0
        self.woken = False
        self.paced = False
        self.ready_ns = 0
        self._times = array("q")
        self._ends = array("q")
        self._messages: list[ReceivedPayload] = []
        self.log_bytes = 0
        self._samples: list[list[bytes]] | None = [] if keep_samples else None

    def received(self, data: bytes, t_ns: int) -> bytes:
        """Log what a ``recv`` returned, give it to the session, and return the replies."""
        start = self.stream_bytes
        self.stream_bytes = end = start + len(data)
        self.t_active_ns = t_ns
        self._times.append(t_ns)
        self._ends.append(end)
        self.log_bytes += READ_LOG_BYTES
        begun = self.session.payload_start
        replies, messages = self.session.feed(data)
        if messages:
            self._messages.extend(messages)
            for message in messages:
                self.log_bytes += MESSAGE_LOG_BYTES + sum(map(len, message.recipients))
        if self._samples is not None:
            spans = [(message.start, message.end) for message in messages]
            if (under_way := self.session.payload_start) is not None and under_way < end:
                spans.append((under_way, end))
            self._sample(data, start, begun, spans)
        return replies

    def _sample(
        self, data: bytes, start: int, begun: int | None, spans: list[tuple[int, int]]
    ) -> None:
        """Keep what the event format prints of this read, for each payload it touches."""
        assert self._samples is not None
        for low, high in spans:
            if low != begun or low >= start:
                self._samples.append([])
            piece = data[max(low, start) - start : high - start]
            if len(piece) > _SAMPLE_BYTES:
                piece = piece[:SAMPLE_END_BYTES] + piece[-SAMPLE_END_BYTES:]
            self._samples[-1].append(piece)
            self.log_bytes += _SAMPLE_BYTES

    def finished(self, ended: str, t_end_ns: int) -> ConnectionLog:
        """Return the log of the connection, whose socket is closed."""
        unfinished = None
        if ended == "eof":
            self._messages.extend(self.session.end_of_stream())
        begun = self.session.payload_start
        if begun is not None and begun < self.stream_bytes:
            unfinished = (begun, self.stream_bytes)
        ends = self._ends.tolist()
        return ConnectionLog(
            number=self.number,
            protocol=self.protocol,
            local=self.local,
            peer=self.peer,
            t_accept_ns=self.t_accept_ns,
            t_end_ns=t_end_ns,
            ended=ended,
            reads=list(zip(self._times.tolist(), [0, *ends], ends, strict=False)),
            messages=self._messages,
            unfinished=unfinished,
            refused=self.session.refused,
            samples=self._samples or (),
        )
