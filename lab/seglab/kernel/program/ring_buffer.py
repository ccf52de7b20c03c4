"""Reads pages of the kernel's trace ring buffer: pure.

The layout is that of ``include/linux/ring_buffer.h`` and ``kernel/trace/ring_buffer.c``. A page
begins with the time of its first event and the number of bytes in use (``header_page``). Each event
begins with 32 bits: 5 bits of type or length, and 27 bits of time since the event before.

    type_len    the event
    1 to 28     its data are ``4 * type_len`` bytes
    0           the next 32 bits are the length of its data, themselves included
    29          padding: the rest of the page, or as long as the next 32 bits say
    30          more time has passed: 27 bits, and 32 more above them
    31          an absolute time, in the same form; the bits above 59 are those of the time before

The event's own format, with the offset of each field, stands in its ``format`` file.
"""

import re
import struct
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self

_LENGTH_MASK: Final = (1 << 20) - 1
_MISSED: Final = 1 << 31
_DELTA_BITS: Final = 27
_ABSOLUTE_BITS: Final = 59
_PADDING, _TIME_EXTEND, _TIME_STAMP = 29, 30, 31
_WORD = struct.Struct("=I")
_PAGE_HEADER = struct.Struct("=QQ")
_COMMON = struct.Struct("=HBBi")
_FIELD = re.compile(
    r"field:(?P<words>[^;]+?);\s*offset:(?P<offset>\d+);\s*size:(?P<size>\d+);"
    r"\s*signed:(?P<signed>[01]);"
)
_ARRAY = re.compile(r"(\w+)\[\d+\]\Z")


class RawEvent(NamedTuple):
    """An event as it lies in the buffer.

    Attributes:
        t_ns: when it happened, on the buffer's clock.
        data: its bytes, from its common fields on.
    """

    t_ns: int
    data: bytes

    @property
    def type_id(self) -> int:
        """The number of the event's kind, as its ``id`` file has it."""
        return int(_COMMON.unpack_from(self.data)[0])

    @property
    def thread(self) -> int:
        """The thread that it happened in, as the kernel numbers it in its first namespace."""
        return int(_COMMON.unpack_from(self.data)[3])


@dataclass(frozen=True, slots=True)
class EventFormat:
    """Where the fields of an event's kind lie.

    Attributes:
        name: the event's, without its group.
        type_id: its number.
        fields: by name, in their order: the offset, the size, whether it has a sign, and whether
            it is an array of bytes.
    """

    name: str
    type_id: int
    fields: Mapping[str, tuple[int, int, bool, bool]]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an event's ``format`` file.

        Raises:
            ValueError: it has no name or no number.
        """
        name = re.search(r"^name: (\S+)", text, re.MULTILINE)
        number = re.search(r"^ID: (\d+)", text, re.MULTILINE)
        if name is None or number is None:
            raise ValueError("an event's format without name or ID")
        fields = {}
        for found in _FIELD.finditer(text):
            last = found["words"].split()[-1].lstrip("*")
            array = _ARRAY.match(last)
            fields[array[1] if array else last] = (
                int(found["offset"]),
                int(found["size"]),
                found["signed"] == "1",
                array is not None,
            )
        return cls(name[1], int(number[1]), fields)

    def read(self, data: bytes) -> dict[str, Any]:
        """Return the values of all fields of an event of this kind, by name."""
        values: dict[str, Any] = {}
        for name, (offset, size, signed, array) in self.fields.items():
            raw = data[offset : offset + size]
            values[name] = raw if array else int.from_bytes(raw, sys.byteorder, signed=signed)
        return values


class LostEventsError(Exception):
    """The buffer was full, and events are missing."""


def events(page: bytes) -> Iterator[RawEvent]:
    """Yield the events of a page, as ``trace_pipe_raw`` gives it, in their order.

    Raises:
        LostEventsError: events before this page were lost.
    """
    if len(page) < _PAGE_HEADER.size:
        return
    t_ns, commit = _PAGE_HEADER.unpack_from(page)
    if commit & _MISSED:
        raise LostEventsError
    at, end = _PAGE_HEADER.size, _PAGE_HEADER.size + (commit & _LENGTH_MASK)
    while at + _WORD.size <= min(end, len(page)):
        (word,) = _WORD.unpack_from(page, at)
        type_len, delta = word & 31, word >> 5
        at += _WORD.size
        if type_len == _PADDING:
            if not delta:
                return
            t_ns += delta
            at += _WORD.unpack_from(page, at)[0]
        elif type_len == _TIME_EXTEND:
            t_ns += delta + (_WORD.unpack_from(page, at)[0] << _DELTA_BITS)
            at += _WORD.size
        elif type_len == _TIME_STAMP:
            low = delta + (_WORD.unpack_from(page, at)[0] << _DELTA_BITS)
            t_ns = (t_ns >> _ABSOLUTE_BITS << _ABSOLUTE_BITS) | low
            at += _WORD.size
        else:
            t_ns += delta
            if type_len:
                length, start = 4 * type_len, at
            else:
                length, start = _WORD.unpack_from(page, at)[0] - _WORD.size, at + _WORD.size
            yield RawEvent(t_ns, page[start : start + length])
            at = start + length
