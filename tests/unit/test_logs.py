"""Logs read back: what the server writes exactly, what the paper prints, and anything at all."""

from collections.abc import Iterable
from io import BytesIO, StringIO
from itertools import accumulate
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_server_logs import SMTP, log_of, written

from seglab.core.observation import Observation
from seglab.core.trace import HeaderField
from seglab.errors import InputError
from seglab.logs import BadLine, LogReader, observations, reading
from seglab.mail.header_layout import header_layout
from seglab.reproduction.paper import paper
from seglab.server.connection import ConnectionLog, clip
from seglab.server.logs import FORMATS, event_line, session_line, writer

PRINTED = Path(__file__).parents[2] / "examples" / "paper.log"
PUBLISHED = [
    *(sizes for scenario in paper().scenarios.values() for sizes in scenario.sessions),
    *(listing.sizes for listing in paper().listings.values() if listing.sizes),
]


def read(lines: Iterable[bytes | str]) -> list[Observation]:
    """What a log holds in which every line is good."""

    def fail(bad: BadLine) -> None:
        pytest.fail(str(bad))

    encoded = (line.encode() if isinstance(line, str) else line for line in lines)
    return list(observations(encoded, "mail.log", fail))


def events(*messages: tuple[tuple[int, str], ...]) -> list[Observation]:
    """The messages of event lines with these sizes and texts."""
    return read(
        f"[{number}][{size}] '{text}'"
        for message in messages
        for number, (size, text) in enumerate(message, start=1)
    )


@pytest.mark.parametrize("separator", [" ", "\t"])
def test_the_papers_sessions(separator: str) -> None:
    """Every session of scenarios 1 to 3 and every listing, as the server's sessions log has it."""
    lines = [session_line(n, sizes).replace(" ", separator) for n, sizes in enumerate(PUBLISHED, 1)]
    found = read(lines)
    assert [one.sizes for one in found] == PUBLISHED
    assert [one.id for one in found] == [str(n) for n in range(1, len(PUBLISHED) + 1)]
    assert {(one.layer, one.mss, one.complete, one.source) for one in found} == {
        ("reads", None, None, "mail.log")
    }


def test_the_papers_sizes_as_events() -> None:
    """The same as event lines: a new session begins where the number returns to 1."""
    lines = [
        event_line(number, size, b"x" * min(size, 64))
        for sizes in PUBLISHED
        for number, size in enumerate(sizes, start=1)
    ]
    assert [one.sizes for one in read(lines)] == PUBLISHED


def test_listings_as_the_paper_prints_them() -> None:
    """Listings 5, 6, 7, 9 and 13 with their backticks, blanks, tabs and a lost quote."""
    five, six, seven, nine, thirteen = read(PRINTED.read_bytes().splitlines())
    numbers = (5, 6, 7, 9, 13)
    for number, one in zip(numbers, (five, six, seven, nine, thirteen), strict=True):
        assert one.sizes == paper().listings[number].sizes
        assert one.complete
    assert five.fields == (HeaderField("Received", 0, 77),)
    assert five.header_end is None
    assert six.header_end == 520
    assert seven.fields is None
    assert nine.header_end == 399 + 29 + 184 - len("\r\n")
    assert nine.fields is not None
    assert nine.fields[-1] == HeaderField("Subject", 399 - len("Subject:"), 399 + 29 + 2)
    assert nine.notes, "the text of its second read is a byte short"
    assert thirteen.fields == (HeaderField("MIME-Version", 0, 19),)
    assert thirteen.header_end is None


@pytest.mark.parametrize(
    "line",
    [
        "[1][9] 'Alert: x'",
        "[ 1 ] [9]  `Alert: x'",
        '\t[1][9]"Alert: x"',
        "[1][9] ‘Alert: x’",  # noqa: RUF001
        "[1][9] 'Alert: x",
        "[1][9] Alert: x",
        "[1][9]",
    ],
)
def test_what_typesetting_does_to_a_line(line: str) -> None:
    """Whatever quotes and blanks there are, number and size are read."""
    (one,) = read([line, "[2][1448] 'y[...]z'"])
    assert one.sizes == (9, 1448)


def test_several_reads_on_one_line() -> None:
    """As the paper prints Listing 5: all reads are taken, and that they stood so is noted."""
    texts = (
        "`Received: from x (HELO[...]20:37:02 +0800\\r\\n'",
        "`Date: y[...]z'",
        "`a[...]b\\r\\n.\\r\\n'",
    )
    heads = ("[1][77] ", "[2][2896] ", "[3][329] ")
    (one,) = read([" ".join(map("".join, zip(heads, texts, strict=True)))])
    assert one.sizes == (77, 2896, 329)
    assert one.complete
    assert one.notes[0] == "reads 1 to 3 stand on one line"


def test_several_messages_on_one_line() -> None:
    """The number 1 begins another message also there."""
    found = read(["[1][20] 'a[...]b' [2][30] 'c[...]d' [1][40] 'e[...]f'"])
    assert [one.sizes for one in found] == [(20, 30), (40,)]


@pytest.mark.parametrize(
    "text",
    [
        "see [2][2896] 'and so on'",  # behind no quote
        "it said 'a' [3][2896] 'b'",  # not the next number
        "it said 'a' [2][0] 'b'",  # no read has no bytes
        "it said 'a' [2][2896] b",  # no text of its own
    ],
)
def test_a_text_that_looks_like_a_read(text: str) -> None:
    """What may be part of the text is no read; where it is not certain, it is reported."""
    bad: list[BadLine] = []
    (one,) = observations([f"[1][2000] '{text}'".encode()], "mail.log", bad.append)
    assert one.sizes == (2000,)
    assert all("expected another read only behind a text in quotes" in str(one) for one in bad)


def test_a_text_that_the_server_wrote_is_never_cut() -> None:
    """Even if it holds, byte for byte, what would be another read."""
    payload = b"x' [2][2896] 'y"
    (one,) = read([event_line(1, len(payload), payload)])
    assert one.sizes == (len(payload),)


@pytest.mark.parametrize("width", [32, 50, 64])
def test_texts_that_were_wrapped(width: int) -> None:
    """A text that goes on on the next lines is joined again."""
    first = "[1][77] 'Received: from 192.168.1.3 (HELO[...]un, 23 Feb 2014 20:37:02 +0800\\r\\n'"
    lines = [first[at : at + width] for at in range(0, len(first), width)]
    (one,) = read([*lines, "[2][1448] 'y[...]z\\r\\n.\\r\\n'"])
    assert one.sizes == (77, 1448)
    assert one.fields == (HeaderField("Received", 0, 77),)


def test_what_does_not_close_a_text_is_told() -> None:
    """Lines behind an open text that are not its rest are bad lines, each with its number."""
    bad: list[BadLine] = []
    lines = [b"[1][77] 'Received: from", b"rubbish", b"", b"[2][20] 'a[...]b'"]
    (one,) = observations(lines, "mail.log", bad.append)
    assert one.sizes == (77, 20)
    assert [one.number for one in bad] == [2]


def test_reads_beyond_count_on_one_line() -> None:
    """A line of very many reads is cut at a thousand, and that is reported."""
    line = " ".join(f"[{number}][9] 'a'" for number in range(1, 1501))
    bad: list[BadLine] = []
    (one,) = observations([line.encode()], "mail.log", bad.append)
    assert len(one.sizes) == 1000
    assert "[1001][9]" in str(bad[0])


@given(st.lists(st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=5), min_size=1))
def test_what_the_server_writes_is_read_back(streams: list[list[bytes]]) -> None:
    """All three formats give the same sizes; the JSON one times and addresses as well."""
    logs = [log_of(pieces, number=number) for number, pieces in enumerate(streams, start=1)]
    expected = [tuple(map(len, pieces)) for pieces in streams]
    for log_format in FORMATS:
        found = read(written(log_format, *logs))
        assert [one.sizes for one in found] == expected, log_format
        assert [one.id for one in found] == [str(log.number) for log in logs]
    assert found is not None
    for one, log in zip(read(written("json", *logs)), logs, strict=True):
        assert one.t_ns == tuple(t_ns for t_ns, _, _ in log.reads)
        assert (one.client, one.server, one.complete) == (
            "192.0.2.2:4000",
            "192.0.2.1:25",
            True,
        )


@given(
    st.lists(
        st.tuples(
            st.from_regex(r"[A-Z][a-z]{0,20}", fullmatch=True),
            st.text("ab :\t", max_size=60),
            st.booleans(),
        ),
        max_size=6,
    ),
    st.text("ab: \r\n", max_size=120),
    st.sets(st.integers(1, 600), max_size=12),
)
def test_reads_that_are_shown_whole(
    header: list[tuple[str, str, bool]], body: str, cuts: set[int]
) -> None:
    """However a message is cut into reads of at most 64 bytes, its header is found as it is."""
    lines = [
        f"{name}: {value}\r\n" + ("\tfolded\r\n" if folded else "")
        for name, value, folded in header
    ]
    payload = ("".join(lines) + "\r\n" + body + "\r\n.\r\n").encode()
    ends = {min(cut, len(payload)) for cut in cuts} | {*range(64, len(payload), 64), len(payload)}
    pieces = [payload[a:b] for a, b in zip([0, *sorted(ends)], sorted(ends), strict=False)]
    (one,) = read(written("events", log_of([SMTP, *pieces], "smtp", "quit"))[: len(pieces)])
    true = header_layout(payload)
    assert one.sizes == tuple(map(len, pieces))
    assert one.complete
    assert one.header_end == true.header_end
    fields = true.fields
    assert one.fields == (fields or None)


def test_only_what_is_certain_is_said_of_the_header() -> None:
    """A long hidden middle ends all conclusions; a text line at a line's beginning as well."""
    begin = r"Received: from a (a [192.0.2.1])"
    far, near, body = events(
        ((1400, begin + r"[...]Content-Disposition: attach\r\n\r\n"), (100, "x[...]y")),
        ((500, begin + r"[...]\r\nContent-Disposition: attach\r\n"), (2, r"\r\n"), (5, "Dear ")),
        ((300, begin + r"[...]\r\nWe are glad to tell you:\r\nX: "), (100, r"y\r\n\r\n[...]z")),
    )
    assert (far.fields, far.header_end) == (None, None)
    assert near.header_end == 500
    assert near.fields == (HeaderField("Content-Disposition", 500 - 29, 500),)
    assert (body.fields, body.header_end) == (None, None)


def test_a_received_field_is_known_by_its_date() -> None:
    """A field with a hidden middle is one if it is Received and ends in a date."""
    tail = r"x; Sun, 23 Feb 2014 20:37:02 +0100 (CET)\r\n"[-34:]
    relay, other = events(
        ((200, r"Received: from a (a [192.0.2.1])[...]" + tail), (1448, "Date: Sun[...]abc")),
        ((200, r"DKIM-Signature: v=1; a=rsa-sha25[...]" + tail), (1448, "Date: Sun[...]abc")),
    )
    assert relay.fields == (HeaderField("Received", 0, 200),)
    assert other.fields is None


@pytest.mark.parametrize(
    ("reads", "complete"),
    [
        (((9, r"From: a\r\n"), (5, r"\r\n.\r\n")), True),
        (((7, r"From: a"), (4, r"\r\n.\r"), (1, r"\n")), True),
        (((3, r".\r\n"),), True),
        (((9, r"From: a\r\n"), (3, r".\r\n")), True),
        (((9, r"From: a\r\n"),), False),
        (((1400, r"From: a[...]b"), (3, r".\r\n")), False),
        (((4, "abcd"),), None),
    ],
)
def test_whether_a_message_is_complete(
    reads: tuple[tuple[int, str], ...], complete: bool | None
) -> None:
    """It ends in CRLF.CRLF, in whatever reads; what does not begin as mail may be anything."""
    (one,) = events(reads)
    assert one.complete is complete


def test_reads_that_are_missing_are_told() -> None:
    """A log that begins in the middle or skips a number says so, and nothing of the header."""
    begun, skipped = read(
        ["[3][20] 'From: a@example.org\\r\\n'", "[1][1] 'F'", "[3][20] 'From: a@example.org\\r\\n'"]
    )
    assert begun.sizes == (20,)
    assert "begins with read 3" in begun.notes[0]
    assert skipped.sizes == (1, 20)
    assert "after read 1 comes read 3" in skipped.notes[0]
    assert begun.header_end is begun.fields is skipped.fields is None


def test_a_connection_with_several_messages() -> None:
    """Each payload of the JSON log has the reads inside it, clipped; an unfinished one says so."""
    again = SMTP[8:]
    pieces = [SMTP + b"one\r\n.\r\n" + again, b"two\r\n", b".\r\n" + again + b"thr", b"ee"]
    log = log_of(pieces, "smtp", "reset", number=7)
    one, two, three = read(written("json", log))
    assert [(o.id, o.sizes, o.complete) for o in (one, two, three)] == [
        ("7/1", (8,), True),
        ("7/2", (5, 3), True),
        ("7/3", (3, 2), False),
    ]
    assert two.t_ns == (102, 103)


def test_observations_as_json_lines() -> None:
    """They are read as they are, but for the source, which is the log unless it is said."""
    mine = Observation(id="a", sizes=(1448, 52), layer="segments", mss=1448, push=(False, None))
    named = Observation(id="b", sizes=(1,), source="elsewhere")
    first, second = read([mine.to_json(), named.to_json()])
    assert (first.source, second.source) == ("mail.log", "elsewhere")
    assert first.to_dict() == mine.to_dict() | {"source": "mail.log"}


def test_a_second_series_of_sessions() -> None:
    """A server that was started again numbers from 1; its sessions have names of their own."""
    lines = ["[1] (1) 5", "[2] (1) 6", "[1] (1) 7", "[2] (1) 8", "[1] (1) 9"]
    assert [one.id for one in read(lines)] == ["1", "2", "2.1", "2.2", "3.1"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"hello\x1b]0;owned\x07", "expected a session as"),
        (b"[1] (1) 5 (3) 3", "expected read (2), found (3)"),
        (b"[1] (1) 0", "expected bytes from 1"),
        (b"[1] (1) 99999999999999", "expected a session as"),
        (b"[1] (1) 4320 (2)", "at column 14"),
        (b"[1]", "expected a session as"),
        (b"[0][5] 'hello'", "expected a read's number"),
        (b"[1][x] 'hello'", "expected a read as"),
        (b'{"id": 1}', "expected an observation"),
        (b'{"id": "a", "sizes": [0]}', "at least one byte"),
        (b'{"id": "a", "sizes": [' + b"[" * 3000, "expected an observation"),
        (b'{"number": 1, "reads": [[0, 5, 9]], "payloads": []}', "follow each other"),
        (b'{"number": 1, "reads": [[0, 0, 9]], "payloads": [[5, 10]]}', "within the reads"),
        (b'{"number": 1, "reads": [[0, 0, 9]], "payloads": [[5, 6], [0, 1]]}', "in order"),
        (b'{"\xff', "expected an observation"),
    ],
)
def test_bad_lines_are_told_and_the_rest_is_read(line: bytes, words: str) -> None:
    """With the log's name, the line's number, what was expected; and nothing for the terminal."""
    bad: list[BadLine] = []
    (one,) = observations([b"\n", line + b"\n", b"[2] (1) 800\r\n"], "mail.log", bad.append)
    assert one.sizes == (800,)
    (text,) = map(str, bad)
    assert text.startswith("mail.log: line 2: ")
    assert words in text
    assert text.isprintable()
    assert len(text) < 600
    with pytest.raises(InputError, match=r"^mail.log: neither a capture nor a known log: line 1: "):
        list(observations([line], "mail.log"))


def test_what_is_no_log_is_not_read_to_its_end() -> None:
    """After ten thousand lines without a good one it is given up; after a good one it is not."""
    lines = iter([b"x\n"] * 10_001 + [b"[1] (1) 5\n"])
    with pytest.raises(InputError, match="neither a capture nor a known log: line 1"):
        list(observations(lines, "mail.log"))
    assert len(list(lines)) == 2
    assert len(list(observations([b"[1] (1) 5\n", *[b"x\n"] * 10_001, b"[2] (1) 5\n"], "x"))) == 2


@pytest.mark.parametrize(
    "line",
    [
        b'{"id":"a","sizes":[' + b"1," * 5_000_001 + b"1]}",
        b'{"number":1,"payloads":[],"reads":[' + b"[]," * 1_500_001 + b"[]]}",
        b'{"id":"a","sizes":[1],"notes":[' + b'"",' * 500_001 + b'""]}',
    ],
    ids=["values", "lists", "strings"],
)
def test_a_line_is_refused_before_it_fills_the_memory(line: bytes) -> None:
    """It is reported by what it has too many of, without being decoded."""
    with pytest.raises(InputError, match="expected at most"):
        list(observations([line], "mail.log"))


@pytest.mark.parametrize("lines", [[], [b"\n", b"  \r\n"]])
def test_an_empty_log_is_an_error(lines: list[bytes]) -> None:
    """Nothing to read is not the same as nothing found."""
    with pytest.raises(InputError, match=r"mail\.log: empty"):
        list(observations(lines, "mail.log"))


def test_a_line_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line beyond the limit is dropped up to its end, and memory is not filled with it."""
    monkeypatch.setattr(reading, "LINE_MAX_BYTES", 1000)
    bad: list[BadLine] = []
    reader = LogReader("mail.log", bad.append)
    found = [*reader.feed(b"[1] (1) 5\n[2] (1) 6")]
    for _ in range(5000):
        found += reader.feed(b" (2) 777")
        assert len(reader._pending) <= 1008
    found += reader.feed(b"\n[3] (1) 7\n")
    assert [one.id for one in found] == ["1", "3"]
    assert [one.number for one in bad] == [2]
    assert "longer than 1000 bytes" in str(bad[0])


@given(st.lists(st.one_of(st.binary(max_size=80), st.sampled_from(
    [b"\n", b"[1][", b"] '", b"[1] (1) 5", b"[2][70] 'a[...]b'\n", b"{", b'"sizes":[1', b"]}\n",
     b'{"id":"a","sizes":[3]}\n', b'{"number":1,"reads":[[0,0,4]],"payloads":[[1,3]]}\n', b"\\x"]
))))  # fmt: skip
def test_any_bytes_end_in_observations_or_one_error(parts: list[bytes]) -> None:
    """Nothing but InputError is raised, and where the pieces end does not matter."""
    outcomes = []
    for pieces in (parts, [b"".join(parts)], BytesIO(b"".join(parts)).readlines()):
        reader, found, error = LogReader("x"), list[Observation](), ""
        try:
            for piece in pieces:
                found += reader.feed(piece)
            found += reader.end()
        except InputError as caught:
            error = str(caught)
            assert error.isprintable()
        outcomes.append((found, error, reader.good, reader.bad))
    assert outcomes[0] == outcomes[1] == outcomes[2]


@given(st.binary(max_size=200))
def test_any_text_in_an_event_line(text: bytes) -> None:
    """Whatever stands behind a read's size, the size is read and nothing is raised."""
    line = b"[1][70] " + text.replace(b"\n", b"")
    (one,) = read([line, b"[2][9] '" + text.replace(b"\n", b"") + b"'"])
    assert one.sizes == (70, 9)


def test_ranges_are_those_of_the_server() -> None:
    """A payload's reads are the server's own clipping of them, for payloads side by side."""
    reads = [
        (t, a, b) for t, (a, b) in enumerate(zip([0, 9, 20, 21], [9, 20, 21, 60], strict=True))
    ]
    spans = [(0, 4), (4, 10), (10, 10), (21, 40), (40, 59)]
    line = msgspec.json.encode({"number": 1, "reads": reads, "payloads": spans})
    found = read([line])
    expected = [clip(reads, *span) for span in spans if span[0] < span[1]]
    assert [one.sizes for one in found] == [tuple(b - a for _, a, b in part) for part in expected]
    assert [one.t_ns for one in found] == [tuple(t for t, _, _ in part) for part in expected]
    assert [tuple(accumulate(one.sizes))[-1] for one in found] == [4, 6, 19, 19]


def test_a_log_that_is_written_while_it_is_read() -> None:
    """A message of event lines is given when the next begins, or when it is asked for."""
    stream = StringIO()
    write = writer("events", stream)
    log: ConnectionLog = log_of([b"From: a\r\n\r\n", b".\r\n"])
    reader = LogReader("x")
    write(log)
    assert [*reader.feed(stream.getvalue().encode())] == []
    assert [one.sizes for one in reader.flush()] == [(11, 3)]
    assert [*reader.flush()] == []
    write(log)
    write(log)
    assert [one.id for one in reader.feed(stream.getvalue().encode())] == ["2", "3"]


@pytest.mark.parametrize("digits", [400, 5000])
@pytest.mark.parametrize(
    "line",
    [
        '{"id": "a", "sizes": [NUMBER]}',
        '{"id": "a", "sizes": [5], "t_ns": [NUMBER]}',
        '{"id": "a", "sizes": [5], "rtt_ns": NUMBER}',
        '{"id": "a", "sizes": [5], "mss": NUMBER}',
        '{"id": "a", "sizes": [5], "header_end": NUMBER}',
        '{"id": "a", "sizes": [5], "fields": [{"name": "To", "start": 0, "end": NUMBER}]}',
        '{"number": NUMBER, "reads": [[1, 0, 5]], "payloads": [[0, 5]]}',
        '{"number": 1, "reads": [[NUMBER, 0, 5]], "payloads": [[0, 5]]}',
        '{"number": 1, "reads": [[1, 0, NUMBER]], "payloads": [[0, 5]]}',
        '{"number": 1, "reads": [[1, 0, 5]], "payloads": [[0, NUMBER]]}',
        "[NUMBER] (1) 5",
        "[1] (1) NUMBER",
        "[1][NUMBER] 'x'",
    ],
)
def test_a_number_of_very_many_digits_costs_its_line_alone(line: str, digits: int) -> None:
    """It is reported, in a short line, and the messages after it are read."""
    complaints: list[BadLine] = []
    lines = [line.replace("NUMBER", "1" * digits).encode(), b'{"id": "z", "sizes": [7]}']
    (found,) = observations(lines, "log", complaints.append)
    assert found.id == "z"
    (bad,) = complaints
    assert len(str(bad)) < 400


def test_blank_lines_count_as_lines() -> None:
    """Whether they come alone or between others, and wherever the pieces are cut."""
    text = b"\n\r\n[1] (1) 5\r\n\n \nx\n"
    for cut in range(len(text)):
        complaints: list[BadLine] = []
        reader = LogReader("log", complaints.append)
        pieces = (text[:cut], text[cut:])
        found = [one for piece in pieces for one in reader.feed(piece)] + [*reader.end()]
        assert [one.sizes for one in found] == [(5,)]
        assert [bad.number for bad in complaints] == [6]


def test_a_text_that_is_longer_than_its_read() -> None:
    """Somebody changed the text: what is said of the header stays within the message."""
    lines = [rb"[1][3] 'a:bcdefgh\r\n\r\n'", rb"[2][6] 'c: d\r\n'"]
    (found,) = observations(lines, "log")
    assert found.sizes == (3, 6)
    assert found.header_end is None
    assert all(0 <= place.start < place.end <= 9 for place in found.fields or ())
