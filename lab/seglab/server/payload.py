"""The data of one SMTP message as it arrives: its end, digest, size, and lines.

The code is pure, and takes the data in any pieces. The data ends at ``CRLF . CRLF`` and nowhere
else: RFC 5321, 4.1.1.4 forbids taking a bare LF for the end of a line. The CRLF of the DATA command
counts, so a message may consist of ``. CRLF`` alone. Bytes that may be the beginning of the
terminator are held back until the next bytes decide; there are never more than four of them.
"""

from seglab.server.content import Content

TERMINATOR = b"\r\n.\r\n"
_STUFFED = b"\r\n."
_CRLF = b"\r\n"
_MAY_CONTINUE = (b"\r", b"\n", b".")


class Payload(Content):
    """One message, from the first byte after the 354 reply.

    Stuffed dots and the terminator are no bytes of its content. Bytes that are held back are not
    counted yet.

    Attributes:
        wire_bytes: how many bytes came so far, with stuffed dots and terminator.
        line_too_long: whether a line, with its CRLF, was longer than the limit.
    """

    __slots__ = (
        "_at_data",
        "_held",
        "_line_bytes",
        "_max_line_bytes",
        "line_too_long",
        "wire_bytes",
    )

    def __init__(
        self, max_content_bytes: int, max_line_bytes: int, *, keep_content: bool = False
    ) -> None:
        super().__init__(max_content_bytes, keep_content=keep_content)
        self._max_line_bytes = max_line_bytes
        self._held = _CRLF  # the end of the DATA command's line, not part of the content
        self._at_data = True
        self._line_bytes = 0
        self.wire_bytes = 0
        self.line_too_long = False

    def feed(self, data: bytes, position: int) -> int:
        """Take bytes from ``position`` on.

        Returns:
            The position after the terminator, or -1 where the message continues.
        """
        chunk = data[position:] if position else data
        held = self._held
        buffer = held + chunk if held else chunk
        dot = buffer.find(_STUFFED)
        found = buffer.find(TERMINATOR, dot) if dot >= 0 else -1
        if found >= 0:
            taken = found + len(TERMINATOR) - len(held)
            self._content(buffer, found + len(_CRLF), dot)
            self._held = b""
            self._wire(chunk[:taken])
            return position + taken
        hold = _undecided(buffer)
        self._content(buffer, len(buffer) - hold, dot)
        self._held = buffer[len(buffer) - hold :]
        self._wire(chunk)
        return -1

    def _wire(self, chunk: bytes) -> None:
        self._digest.update(chunk)
        size = len(chunk)
        self.wire_bytes += size
        if self._line_bytes + size > self._max_line_bytes:
            self._measure_lines(chunk)
        end_of_line = chunk.rfind(b"\n")
        self._line_bytes = self._line_bytes + size if end_of_line < 0 else size - 1 - end_of_line

    def _measure_lines(self, chunk: bytes) -> None:
        *ended, rest = chunk.split(b"\n")
        before = self._line_bytes
        for line in ended:
            self.line_too_long |= before + len(line) + 1 > self._max_line_bytes
            before = 0
        self.line_too_long |= before + len(rest) > self._max_line_bytes

    def _content(self, buffer: bytes, end: int, dot: int) -> None:
        """Count, and maybe keep, what is decided of the content.

        Args:
            buffer: the content, and what may be the terminator behind it.
            end: where it ends.
            dot: where the first dot after a CRLF is, with its CRLF; below zero where none is.
        """
        if end == 0:
            return
        self.content_bytes += end
        if 0 <= dot < end:
            self.content_bytes -= buffer.count(_STUFFED, dot, end)
        start = 0
        if self._at_data:
            self._at_data = False
            self.content_bytes -= len(_CRLF)
            start = len(_CRLF)
        if self._kept is not None:
            self._keep(buffer[:end].replace(_STUFFED, _CRLF)[start:])


def _undecided(buffer: bytes) -> int:
    """Return how many bytes at the end of ``buffer`` may be the beginning of the terminator."""
    if not buffer.endswith(_MAY_CONTINUE):
        return 0
    for length in (4, 3, 2, 1):
        if buffer.endswith(TERMINATOR[:length]):
            return length
    return 0
