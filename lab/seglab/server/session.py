"""The interface of a protocol's session, and the session of raw TCP.

A session is pure: ``feed`` takes the bytes of one ``recv``, and returns the replies to send and the
payloads that ended. The stream may come in any pieces; the result is the same.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from seglab.server.limits import Limits


@dataclass(frozen=True, slots=True)
class ReceivedPayload:
    """A payload that has ended: a message of SMTP, or the stream of raw TCP.

    Attributes:
        start: offset in the connection's stream of its first byte (SMTP: after the 354 reply).
        end: offset after its last byte (SMTP: after ``CRLF . CRLF``).
        sha256: the SHA-256 of the bytes ``start:end`` as they were on the wire, in hexadecimal.
        content_bytes: its length without SMTP's stuffed dots and terminator.
        reply: the reply to the end of data, without its CRLF; empty for raw TCP.
        helo: the client's name in EHLO or HELO.
        mail_from: the reverse-path between its angle brackets.
        recipients: the accepted forward-paths.
        parameters: the parameters of MAIL FROM, such as ``SIZE=100``.
        content: the content itself; ``None`` unless the session was asked to keep it.
    """

    start: int
    end: int
    sha256: str
    content_bytes: int
    reply: str = ""
    helo: str = ""
    mail_from: str = ""
    recipients: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    content: bytes | None = None


Output = tuple[bytes, Sequence[ReceivedPayload]]


class ProtocolSession(Protocol):
    """The protocol's side of one connection.

    Attributes:
        greeting: what to send when the connection stands; may be empty.
        ended: why the session is over, such as ``"quit"`` or ``"limit errors"``; ``None`` while it
            continues. Once it is over and the replies are sent, the connection is to be closed.
        refused: the first reply by which a limit refused something; ``None`` if none did.
        payload_start: where the payload that is arriving began; ``None`` between payloads.
    """

    greeting: bytes
    ended: str | None
    refused: str | None
    payload_start: int | None

    def feed(self, data: bytes) -> Output:
        """Take what one ``recv`` returned."""

    def stop(self, ended: str, text: str) -> bytes:
        """End the session for a reason of the server, and return the reply that says so."""

    def end_of_stream(self) -> Sequence[ReceivedPayload]:
        """Note that the client sends nothing more; return the payload that this ends, if any."""


class RawSession:
    """Raw TCP: the stream is one payload, and nothing is replied."""

    __slots__ = ("_digest", "_max_bytes", "_size", "ended", "greeting", "payload_start", "refused")

    def __init__(self, limits: Limits) -> None:
        self._max_bytes = limits.message_bytes
        self._digest = hashlib.sha256()
        self._size = 0
        self.greeting = b""
        self.ended: str | None = None
        self.refused: str | None = None
        self.payload_start: int | None = 0

    def feed(self, data: bytes) -> Output:
        """Take what one ``recv`` returned."""
        self._digest.update(data)
        self._size += len(data)
        if self._size > self._max_bytes:
            self.stop("limit message_bytes", f"stream exceeds {self._max_bytes} bytes")
        return b"", ()

    def stop(self, ended: str, text: str) -> bytes:
        """End the session for a reason of the server; raw TCP has no reply for it."""
        self.ended = ended
        if ended.startswith("limit"):
            self.refused = self.refused or text
        return b""

    def end_of_stream(self) -> Sequence[ReceivedPayload]:
        """Return the payload, which ends where the stream does."""
        self.payload_start = None
        if not self._size:
            return ()
        return (ReceivedPayload(0, self._size, self._digest.hexdigest(), self._size),)
