"""How a message was written, by its write calls alone."""

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import accumulate, pairwise
from typing import Any

import pytest

from seglab.core.labels import STYLES
from seglab.core.record import SessionRecord
from seglab.core.trace import HeaderField, Write, WriteCall
from seglab.core.written import BUFFER_MAX_BYTES, Buffer, Structure, labels_of, writes_of
from seglab.experiment.plan import SessionSpec
from seglab.experiment.reader import Reader
from seglab.experiment.registry import network, senders
from seglab.mail.header_layout import structure_of
from seglab.mail.kinds import KINDS
from seglab.mail.message import MessageSpec
from seglab.sender import Sender
from seglab.simulator.worker import carry_out

SIZES = (700, 2000, 6000, 25_000)

VARIANTS: Mapping[str, tuple[dict[str, Any], ...]] = {
    "single_write": ({},),
    "relay": ({},),
    "headers_then_body": (
        {},
        {"with_empty_line": True},
        {"body_buffer_bytes": 1024},
        {"parts": "apart"},
        {"parts": "lines"},
        {"parts": "lines", "body_buffer_bytes": 1024, "with_empty_line": True},
        {"body_lines": True},
        {"body_lines": True, "with_empty_line": True},
    ),
    "distinct_from": ({},),
    "custom_headers": (
        {},
        {"part": "field"},
        {"headers": ["To", "Date"], "body_apart": False},
        {"headers": ["From", "Date"], "part": "field", "body_buffer_bytes": 1024},
    ),
    "fixed_buffer": (
        {},
        {"buffer_bytes": 4096, "hold": "cork"},
        {"buffer_bytes": 1000},
        {"buffer_bytes": 4096, "fills": "unstuffed"},
        {"buffer_bytes": 4093, "fills": "characters", "hold": "more"},
        {"buffer_bytes": 4096, "fills": "lines"},
        {"buffer_bytes": 4096, "fills": "lines_over"},
        {"buffer_bytes": 4096, "mss_multiple": 4},
        {"buffer_bytes": 1000, "overlong": "past"},
    ),
    "line_by_line": (
        {},
        {"lines": 7},
        {"header": "fields"},
        {"header": "fields", "dots_apart": True},
        {"dots_apart": True},
    ),
    "timed_writes": ({}, {"pieces": 5, "gap_ms": 20}),
}
"""Parameters with which each SMTP sender is tried, each with every terminator."""


def cases() -> Iterator[tuple[str, dict[str, Any], int]]:
    """Every shipped SMTP sender, with its variants and each terminator."""
    for name, sender in senders().items():
        if sender.protocol == "smtp":
            for given in VARIANTS[name]:
                for terminator_bytes in (0, 3, 5):
                    yield name, given, terminator_bytes


@cache
def mails() -> tuple[MessageSpec, ...]:
    """Mail of every kind, in every size that the kind can have."""
    sized = [(kind, size) for kind in KINDS for size in SIZES] + [("text", 120_000)]
    return tuple(
        MessageSpec(kind=kind, payload_bytes=size)
        for kind, size in sized
        if size >= 600 + KINDS[kind].body_min_bytes
    )


def recorded(sender: Sender, parameters: dict[str, Any], mail: MessageSpec) -> SessionRecord:
    """A session of the sender on the simulator."""
    path = network("ethernet")
    spec = SessionSpec(
        session_id="s",
        scenario="written",
        sender=sender.name,
        variant="",
        parameters=parameters,
        style=sender.style_for(parameters),
        terminator=sender.terminator_for(parameters),
        nodelay=True,
        protocol="smtp",
        network=path.name,
        path_condition=path.path_condition,
        reader=Reader(),
        repeat=0,
        seed=1,
        message=sender.mail_for(mail),
        message_seed=7,
    )
    (record,) = carry_out([(spec, path)], 600, None)
    assert record.complete, record.error
    return record


def assert_bounds(buffer: Buffer | None, parameters: dict[str, Any], mss: int) -> None:
    """The buffer that was found is the one that the sender has, as far as its filling shows it."""
    size = max(parameters["buffer_bytes"], parameters["mss_multiple"] * mss)
    assert buffer is not None
    assert buffer.most_bytes is not None
    if parameters["fills"] in ("lines", "lines_over", "characters"):
        assert buffer.least_bytes <= size + 1
        assert size <= buffer.most_bytes
    else:
        assert (buffer.least_bytes, buffer.most_bytes) == (size, size)


@pytest.mark.parametrize(("name", "given", "terminator_bytes"), [*cases()])
def test_emulators_are_named_as_they_are(
    name: str, given: dict[str, Any], terminator_bytes: int
) -> None:
    """The function that labels programs labels an emulator's session as the sender states.

    Where it names several styles, the first that the sender does not state is one that ends its
    writes at the same places: it is not told from the writes.
    """
    sender = senders()[name]
    parameters = sender.resolve({**given, "terminator_bytes": terminator_bytes})
    for mail in mails():
        message = sender.message_for(parameters, mail, 7)
        record = recorded(sender, parameters, mail)
        found = labels_of(record.writes, structure_of(message.wire))
        stated = sender.style_for(parameters)
        assert sender.terminator_for(parameters) in found.terminators
        text = [w for w in record.writes if w.end <= len(message.wire) - terminator_bytes]
        if len(text) == 1:
            one: tuple[str, ...] = ("single_write", "fixed_buffer")
            assert found.styles == one[: 2 if text[0].end <= BUFFER_MAX_BYTES else 1]
            continue
        assert stated in found.styles, (mail, [w.end for w in record.writes])
        if len(text) > 2 and name != "timed_writes":
            assert found.styles == (stated,), (mail, [w.end for w in record.writes])
        elif found.style != stated:
            assert len(text) == 2
            assert name in ("fixed_buffer", "line_by_line")
        if name == "fixed_buffer":
            assert_bounds(found.buffer, parameters, record.mss)
        if len(found.terminators) > 1:
            of_lines = name == "line_by_line" or parameters.get("body_lines")
            assert of_lines or "fixed_buffer" in found.styles


def test_every_style_is_tried() -> None:
    """A new style needs a sender here, or nothing holds the function to it."""
    assert {senders()[name].style for name in VARIANTS} == {*STYLES}
    assert {*VARIANTS} == {name for name, s in senders().items() if s.protocol == "smtp"}


def writes(*lengths: int, gap_ms: int = 0) -> list[Write]:
    """Write calls of these lengths, one after the other."""
    ranges = pairwise(accumulate((0, *lengths)))
    return [Write(n * gap_ms * 1_000_000, a, b) for n, (a, b) in enumerate(ranges)]


FIELDS = (HeaderField("Subject", 0, 20), HeaderField("To", 20, 40))
LINES = (20, 40, 42, *range(92, 893, 50), 895, 900)
MAIL = Structure(payload_bytes=900, header_end=40, fields=FIELDS, line_ends=LINES)


@pytest.mark.parametrize(
    ("lengths", "styles", "terminators", "buffer"),
    [
        ((900,), "single_write fixed_buffer", "with_body", "900 or more"),
        ((897, 3), "single_write fixed_buffer", "own_write", "897 or more"),
        ((20, 880), "custom_headers", "with_body", None),
        ((40, 855, 5), "headers_then_body", "own_write", None),
        ((42, 858), "headers_then_body", "with_body", None),
        ((42, 400, 400, 58), "headers_then_body", "with_body", "400"),
        ((512, 388), "fixed_buffer", "with_body", "512"),
        ((299, 299, 299, 3), "fixed_buffer", "own_write with_body", "299"),
        ((447, 450, 3), "", "own_write", None),
        ((256, 256, 254, 134), "fixed_buffer", "with_body", "256"),
        ((300, 77, 500, 23), "", "with_body", None),
        ((13, 887), "", "with_body", None),
    ],
)
def test_styles(
    lengths: tuple[int, ...], styles: str, terminators: str, buffer: str | None
) -> None:
    """Where the writes end says the styles, the terminators and the buffer."""
    found = labels_of(writes(*lengths), MAIL)
    assert " ".join(found.styles) == styles
    assert " ".join(found.terminators) == terminators
    assert (found.buffer and str(found.buffer)) == buffer
    assert found.style == (styles.split(maxsplit=1)[0] if styles else "unknown")


def test_pauses() -> None:
    """Writes with a pause between each two are timed, whatever their lengths."""
    assert labels_of(writes(300, 300, 300, gap_ms=20), MAIL).styles == (
        "timed_writes",
        "fixed_buffer",
    )
    assert labels_of(writes(300, 77, 523, gap_ms=20), MAIL).styles == ("timed_writes",)


def test_lines_that_a_buffer_gathered() -> None:
    """Pieces of whole lines that leave no room for the next one bound the buffer."""
    uneven = (*range(70, 4061, 70), 4096, *range(4166, 8157, 70), 8246, 8300, 8400)
    found = labels_of(writes(4096, 4060, 244), Structure(payload_bytes=8400, line_ends=uneven))
    assert (found.styles, str(found.buffer)) == (("fixed_buffer",), "4096 to 4149")


def test_commands_before_the_payload_are_in_the_buffer() -> None:
    """A first piece that is shorter by the commands before it was a full buffer."""
    mail = Structure(payload_bytes=900, lead_bytes=56)
    assert str(labels_of(writes(200, 256, 256, 188), mail).buffer) == "256"
    assert labels_of(writes(200, 256, 256, 188), Structure(payload_bytes=900)).styles == ()


def test_a_buffer_that_is_filled_before_dots_are_doubled() -> None:
    """A piece that is longer by the dots that it has in addition was a full buffer (libcurl)."""
    mail = Structure(payload_bytes=900, stuffed=(10, 20, 300))
    assert str(labels_of(writes(258, 257, 256, 129), mail).buffer) == "256"
    assert labels_of(writes(261, 257, 256, 126), Structure(payload_bytes=900)).styles == ()


def call(start: int, end: int, asked_bytes: int | None) -> WriteCall:
    """A call that asked for so many bytes, and wrote a part of them."""
    return WriteCall(start, "sendto", start, end, asked_bytes, end - start, 0)


def test_a_write_that_the_kernel_took_in_part_goes_on() -> None:
    """The rest is the same write; a call that asks for something else is another one."""
    calls = [call(0, 46, 65), call(46, 46, 19), call(46, 65, 19), call(65, 70, 5)]
    assert [(w.start, w.end) for w in writes_of(calls)] == [(0, 65), (65, 70)]
    calls = [call(0, 46, 65), call(46, 70, 24), call(70, 75, None)]
    assert [(w.start, w.end) for w in writes_of(calls)] == [(0, 46), (46, 70), (70, 75)]


def gathered(*calls: tuple[float, int, int]) -> list[WriteCall]:
    """Calls of writev: when in milliseconds, and which range each wrote."""
    return [
        WriteCall(round(ms * 1e6), "writev", start, end, None, end - start, None)
        for ms, start, end in calls
    ]


WHOLE = [(0, 65), (65, 130)]


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        # the kernel took three segments of 20, then the rest of 65
        ([(0, 0, 60), (40, 60, 65), (40.1, 65, 130)], WHOLE),
        # 5 bytes had left by themselves; then four segments, and the rest
        ([(0, 0, 5), (0.1, 5, 85), (40, 85, 99)], [(0, 5), (5, 99)]),
        # the second write begins amid a segment, and is cut where one begins with it
        ([(0, 0, 65), (9, 65, 125), (40, 125, 130)], WHOLE),
        # the next call comes at once, so nothing had to wait
        ([(0, 0, 60), (0.1, 60, 65), (0.2, 65, 130)], [(0, 60), (60, 65), (65, 130)]),
        # it ends amid a segment
        ([(0, 0, 65), (40, 65, 130)], WHOLE),
        # a call of less than a segment
        ([(0, 0, 10), (40, 10, 20), (80, 20, 33)], [(0, 10), (10, 20), (20, 33)]),
    ],
)
def test_a_gathering_call_that_the_kernel_took_in_part(
    calls: list[tuple[float, int, int]], expected: list[tuple[int, int]]
) -> None:
    """Of a writev only the result is known: one that filled its last segment, and waited then."""
    assert [(w.start, w.end) for w in writes_of(gathered(*calls), 20)] == expected


def test_a_gathering_call_is_whole_where_the_mss_is_not_known() -> None:
    """Nothing says that it was not."""
    calls = gathered((0, 0, 60), (40, 60, 65))
    assert [(w.start, w.end) for w in writes_of(calls)] == [(0, 60), (60, 65)]


def test_the_fields_of_the_body_with_a_buffer_of_their_own() -> None:
    """emailjs: its own fields, then Content-Type and the text in pieces of 12768 bytes, the dot."""
    header = b"Subject: a\r\nContent-Type: text/plain\r\n"
    body = b"\r\n" + b"word " * 5200
    wire = header + body + b"\r\n.\r\n"
    start = header.index(b"Content-")
    rest = len(wire) - 5 - start - 2 * 12_768
    found = labels_of(writes(start, 12_768, 12_768, rest, 5), structure_of(wire))
    assert found.styles == ("fixed_buffer",)
    assert found.buffer == Buffer(12_768, 12_768)
    other = labels_of(writes(start - 1, 12_768, 12_768, rest + 1, 5), structure_of(wire))
    assert other.styles == ()


def test_the_header_block_then_lines() -> None:
    """It is how qpsmtpd writes: the fields at once, the empty line, then each line.

    A header block by itself is headers first, whatever the body's writes are.
    """
    wire = b"A: b\r\nC: d\r\n\r\none\r\ntwo\r\nthree\r\n.\r\n"
    found = labels_of(writes(12, 2, 5, 5, 7, 3), structure_of(wire))
    assert (found.styles, found.terminators) == (("headers_then_body",), ("own_write",))
    with_empty_line = labels_of(writes(14, 5, 5, 7, 3), structure_of(wire))
    assert with_empty_line.styles == ("headers_then_body",)
    lines = labels_of(writes(6, 6, 2, 5, 5, 7, 3), structure_of(wire))
    assert lines.styles == ("line_by_line",)
    other = labels_of(writes(6, 8, 5, 5, 7, 3), structure_of(wire))
    assert not {"line_by_line", "headers_then_body"} & {*other.styles}


@pytest.mark.parametrize("lengths", [(), (500,)])
def test_a_message_that_was_not_all_written(lengths: tuple[int, ...]) -> None:
    """Nothing is said of it."""
    found = labels_of(writes(*lengths), MAIL)
    assert (found.style, found.terminator) == ("unknown", None)
