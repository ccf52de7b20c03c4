"""Pages of the kernel's trace ring buffer, made by hand after its documentation."""

import struct
import sys

import pytest

from seglab.kernel.program.ring_buffer import EventFormat, LostEventsError, RawEvent, events

SENT_FORMAT = """name: sock_send_length
ID: 2284
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;
\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:void * sk;\toffset:8;\tsize:8;\tsigned:0;
\tfield:int ret;\toffset:20;\tsize:4;\tsigned:1;
\tfield:__u8 daddr[4];\toffset:24;\tsize:4;\tsigned:0;

print fmt: "sk address = %p, family = %s", REC->sk
"""


def word(type_len: int, delta: int) -> bytes:
    """An event's first 32 bits."""
    return struct.pack("=I", delta << 5 | type_len)


def data(kind: int, thread: int, rest: bytes = b"") -> bytes:
    """An event's data."""
    return struct.pack("=HBBi", kind, 0, 0, thread) + rest


def page(*parts: bytes, t_ns: int = 1000, flags: int = 0) -> bytes:
    """A page of these parts, as it is read: with the rest of it unused."""
    body = b"".join(parts)
    return (struct.pack("=QQ", t_ns, len(body) | flags) + body).ljust(4096, b"\xff")


def test_times_add_up() -> None:
    """Short and long events, time that has passed, absolute times and padding."""
    short, long = data(7, 42), data(9, -1, b"x" * 200)
    found = list(
        events(
            page(
                word(2, 0) + short,
                word(30, 5) + struct.pack("=I", 1),  # 2**27 + 5 later
                word(0, 10) + struct.pack("=I", len(long) + 4) + long,
                word(29, 3) + struct.pack("=I", 12) + b"\0" * 8,
                word(2, 1) + short,
                word(31, 77) + struct.pack("=I", 2),
                word(2, 0) + short,
                word(29, 0),
            )
        )
    )
    after = 1000 + (1 << 27) + 5 + 10
    assert found == [
        RawEvent(1000, short),
        RawEvent(after, long),
        RawEvent(after + 3 + 1, short),
        RawEvent((2 << 27) + 77, short),
    ]
    assert [(event.type_id, event.thread) for event in found[:2]] == [(7, 42), (9, -1)]


def test_lost_events_are_not_passed_over() -> None:
    """The kernel's mark on the page becomes an error."""
    with pytest.raises(LostEventsError):
        list(events(page(word(2, 0) + data(7, 42), flags=1 << 31)))


@pytest.mark.parametrize("rest", [b"", b"\0" * 15])
def test_an_empty_page(rest: bytes) -> None:
    """Nothing to read is no event."""
    assert list(events(rest)) == []
    assert list(events(page())) == []


def test_formats() -> None:
    """Fields come by name, with their signs; arrays stay bytes."""
    form = EventFormat.parse(SENT_FORMAT)
    assert (form.name, form.type_id) == ("sock_send_length", 2284)
    raw = data(2284, 5, struct.pack("=QIi", 0xFFFF800000000001, 0, -11) + bytes([10, 64, 0, 1]))
    values = form.read(raw)
    assert values["sk"] == 0xFFFF800000000001
    assert values["ret"] == -11
    assert values["common_pid"] == 5
    assert values["daddr"] == bytes([10, 64, 0, 1])
    assert sys.byteorder == "little" or values["common_type"] == 2284


def test_a_format_without_a_name() -> None:
    """It is refused."""
    with pytest.raises(ValueError, match="without name"):
        EventFormat.parse("ID: 3\n")
