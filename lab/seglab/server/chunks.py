"""One SMTP message that arrives in chunks (RFC 3030), as a value that grows: pure.

The payload of such a message is one range of the client's stream: it begins with the first byte of
the first chunk, and ends with the last byte of the last one. The BDAT commands of the later chunks
lie in that range, between the chunks. So they are bytes of the payload as it was on the wire, but
no bytes of the message.
"""

import hashlib


class Chunks:
    """The chunks of one message.

    Attributes:
        content_bytes: how many bytes the message itself has so far.
    """

    __slots__ = ("_digest", "_kept", "_max_content_bytes", "content_bytes")

    def __init__(self, max_content_bytes: int, *, keep_content: bool = False) -> None:
        self._max_content_bytes = max_content_bytes
        self._kept: list[bytes] | None = [] if keep_content else None
        self._digest = hashlib.sha256()
        self.content_bytes = 0

    @property
    def too_big(self) -> bool:
        """Whether the message is larger than the limit."""
        return self.content_bytes > self._max_content_bytes

    @property
    def content(self) -> bytes | None:
        """The message; ``None`` if it was not kept."""
        return None if self._kept is None or self.too_big else b"".join(self._kept)

    def hexdigest(self) -> str:
        """Return the SHA-256 of the payload's bytes as they were on the wire."""
        return self._digest.hexdigest()

    def feed(self, piece: bytes) -> None:
        """Take bytes of a chunk."""
        self._digest.update(piece)
        self.content_bytes += len(piece)
        if self._kept is not None:
            if self.too_big:
                self._kept.clear()
            else:
                self._kept.append(piece)

    def between(self, piece: bytes) -> None:
        """Take bytes of a command that comes after a chunk."""
        self._digest.update(piece)
