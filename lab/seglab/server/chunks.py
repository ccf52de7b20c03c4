"""One SMTP message that arrives in chunks (RFC 3030), as a value that grows: pure.

The payload of such a message is one range of the client's stream: it begins with the first byte of
the first chunk, and ends with the last byte of the last one. The BDAT commands of the later chunks
lie in that range, between the chunks. So they are bytes of the payload as it was on the wire, but
no bytes of the message.
"""

from seglab.server.content import Content


class Chunks(Content):
    """The chunks of one message."""

    __slots__ = ()

    def feed(self, piece: bytes) -> None:
        """Take bytes of a chunk."""
        self._digest.update(piece)
        self.content_bytes += len(piece)
        self._keep(piece)

    def between(self, piece: bytes) -> None:
        """Take bytes of a command that comes after a chunk."""
        self._digest.update(piece)
