"""Reads the lengths of TLS records, which are in the clear, out of what a client sends."""

from typing import Final

HEADER_BYTES: Final = 5
"""A record begins with type, version and the length of the rest (RFC 8446, 5.1)."""

RECORD_MAX_BYTES: Final = (1 << 14) + 2048
"""The longest that a record is without its header (RFC 5246, 6.2.3)."""

RECORD_COST_BYTES: Final = 96
"""The memory that a record uses, as an estimate."""

_TYPES = frozenset(range(20, 25))
_MAJOR, _MINOR = 3, 4


def begins_record(data: bytes) -> bool:
    """Return whether bytes begin like a TLS record (RFC 8446, 5.1)."""
    if len(data) < HEADER_BYTES or data[0] not in _TYPES or data[1] != _MAJOR or data[2] > _MINOR:
        return False
    return 0 < data[3] << 8 | data[4] <= RECORD_MAX_BYTES


class TlsRecords:
    """Collects the records of one direction.

    A record's header has to be captured whole; its contents need not be. Once a header is missing,
    or is none, nothing says where the next record begins, and ``readable`` is false from then on.

    Attributes:
        readable: whether all headers so far could be read.
        whole: whether the last record has come to its end.
        sizes: the bytes of each record, with its header, as far as they have come.
        times: when the segment was seen that began each record.
        push: the PSH flag of the segment that ended each record.
        again: whether a segment of the record filled a hole or came again.
    """

    __slots__ = ("_header", "_left", "again", "push", "readable", "sizes", "times", "whole")

    def __init__(self) -> None:
        self.readable = True
        self.whole = True
        self.sizes: list[int] = []
        self.times: list[int] = []
        self.push: list[int] = []
        self.again: list[bool] = []
        self._header = b""
        self._left = 0

    def take(self, t_ns: int, push: int, again: bool, size: int, data: bytes) -> int:
        """Take the next bytes; the arguments are those of ``CapturedMessage.add``.

        Returns:
            By how much the memory in use grew.
        """
        at, before = 0, len(self.sizes)
        while at < size and self.readable:
            if not self._left and not self._header:
                self.sizes.append(0)
                self.times.append(t_ns)
                self.push.append(0)
                self.again.append(again)
            if self._left:
                step = min(self._left, size - at)
                self._left -= step
            else:
                step = min(HEADER_BYTES - len(self._header), size - at)
                self._read_header(data[at : at + step], step)
            at += step
            self.sizes[-1] += step
            self.push[-1] = push == 1
            self.again[-1] = self.again[-1] or again
        self.whole = not self._left and not self._header
        return RECORD_COST_BYTES * (len(self.sizes) - before)

    def _read_header(self, part: bytes, size: int) -> None:
        header = self._header + part
        self._header = header
        if len(part) < size or header[0] not in _TYPES or (len(header) > 1 and header[1] != _MAJOR):
            self.readable = False
        elif len(header) == HEADER_BYTES:
            self._header = b""
            self._left = header[3] << 8 | header[4]
            self.readable = self._left <= RECORD_MAX_BYTES
