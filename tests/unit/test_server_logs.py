"""The log formats: the paper's, byte for byte, and back again by the documented grammar."""

import ast
import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seglab.server.connection import ConnectionLog, OpenConnection, clip
from seglab.server.limits import Limits
from seglab.server.logs import event_line, session_line, writer
from seglab.server.session import ProtocolSession, RawSession
from seglab.server.smtp import SmtpSession

# The grammars of docs/server.md.
SESSION = re.compile(r"\[([0-9]+)\]((?: \([0-9]+\) [0-9]+)*)")
EVENT = re.compile(r"\[([0-9]+)\]\[([0-9]+)\] '((?:[^'\\]|\\.)*)'")
SMTP = b"EHLO c\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n"


def log_of(
    pieces: list[bytes], protocol: str = "raw", ended: str = "eof", number: int = 1
) -> ConnectionLog:
    limits = Limits()
    session: ProtocolSession = SmtpSession(limits) if protocol == "smtp" else RawSession(limits)
    connection = OpenConnection(
        number=number,
        sock=None,  # type: ignore[arg-type]
        local=("192.0.2.1", 25),
        peer=("192.0.2.2", 4000),
        protocol=protocol,
        session=session,
        t_accept_ns=100,
        keep_samples=True,
    )
    for t_ns, piece in enumerate(pieces, start=101):
        connection.received(piece, t_ns)
    return connection.finished(ended, 999)


def written(log_format: str, *logs: ConnectionLog) -> list[str]:
    stream = io.StringIO()
    write = writer(log_format, stream)
    for log in logs:
        write(log)
    return stream.getvalue().splitlines()


def test_session_line_is_the_papers() -> None:
    """The example line of the paper."""
    assert session_line(2, [4320, 800]) == "[2] (1) 4320 (2) 800"


def test_event_line_is_the_papers() -> None:
    """A line of Listing 3 of the paper, and one short enough to be whole."""
    data = (
        b"MIME-Version: 1.0\r\nX-Received: b"
        + b"y" * (1400 - 64)
        + b"ues also were a factor.\r\nChrist,"
    )
    assert written("events", log_of([data])) == [
        r"[1][1400] 'MIME-Version: 1.0\r\nX-Received: b[...]ues also were a factor.\r\nChrist,'"
    ]
    assert (
        event_line(8, 36, b"-e385b177227b0265de9baa986ec4--\r\n.\r\n")
        == r"[8][36] '-e385b177227b0265de9baa986ec4--\r\n.\r\n'"
    )
    assert event_line(2, 12, b"Gizlof's sch") == r"[2][12] 'Gizlof\'s sch'"


@given(st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=5))
def test_event_lines_read_back(pieces: list[bytes]) -> None:
    """By the documented grammar, each line gives number, size, and the bytes that were kept."""
    lines = written("events", log_of(pieces))
    assert len(lines) == len(pieces)
    for number, (line, piece) in enumerate(zip(lines, pieces, strict=True), start=1):
        match = EVENT.fullmatch(line)
        assert match is not None
        assert int(match[1]) == number
        assert int(match[2]) == len(piece)
        data = ast.literal_eval(f"b'{match[3]}'")
        if len(piece) <= 64:
            assert data == piece
        else:
            assert (data[:32], data[32:-32], data[-32:]) == (piece[:32], b"[...]", piece[-32:])


@given(st.lists(st.lists(st.integers(1, 99999), min_size=1), min_size=1))
def test_session_lines_read_back(sessions: list[list[int]]) -> None:
    """By the documented grammar, each line gives the session's number and its sizes."""
    for number, sizes in enumerate(sessions, start=1):
        match = SESSION.fullmatch(session_line(number, sizes))
        assert match is not None
        assert int(match[1]) == number
        assert [int(size) for size in re.findall(r"\) ([0-9]+)", match[2])] == sizes


def test_smtp_logs_only_the_message() -> None:
    """Commands before a message, and a QUIT in its last read, are no part of its log."""
    log = log_of([SMTP[:20], SMTP[20:], b"x" * 1440, b"y\r\n.\r\nQUIT\r\n"], "smtp", "quit")
    assert written("sessions", log) == ["[1] (1) 1440 (2) 6"]
    assert [line[:8] for line in written("events", log)] == ["[1][1440", "[2][6] '"]


def test_two_messages_and_an_unfinished_one() -> None:
    """Every payload is a session of its own, with its reads numbered from 1."""
    again = SMTP[8:]
    pieces = [SMTP + b"one\r\n.\r\n" + again, b"two\r\n", b".\r\n" + again + b"thr", b"ee"]
    log = log_of(pieces, "smtp", "reset")
    assert written("sessions", log) == ["[1] (1) 8", "[2] (1) 5 (2) 3", "[3] (1) 3 (2) 2"]
    assert written("events", log) == [
        r"[1][8] 'one\r\n.\r\n'",
        r"[1][5] 'two\r\n'",
        r"[2][3] '.\r\n'",
        "[1][3] 'thr'",
        "[2][2] 'ee'",
    ]
    assert log.unfinished == log.payloads[-1]
    assert len(log.messages) == 2


@pytest.mark.parametrize("ended", ["reset", "idle", "shutdown", "limit session_s"])
def test_a_raw_payload_is_complete_only_at_the_end_of_the_stream(ended: str) -> None:
    """Cut off by anything but the client's own end, it is unfinished; its reads stay, and lines."""
    found = log_of([b"ab", b"c"], ended=ended)
    message = found.as_message()
    assert (message["payloads"], message["sha256"]) == ([], [])
    assert message["unfinished"] == (0, 3)
    assert written("sessions", found) == ["[1] (1) 2 (2) 1"]
    assert len(written("events", found)) == 2
    assert log_of([], ended=ended).unfinished is None
    whole = log_of([b"ab", b"c"]).as_message()
    assert (whole["payloads"], whole["unfinished"]) == ([(0, 3)], None)


def test_sessions_are_numbered_across_connections() -> None:
    """The session number counts payloads in the order in which connections end."""
    logs = [log_of([b"abc"], number=7), log_of([], number=8), log_of([b"d", b"ef"], number=9)]
    assert written("sessions", *logs) == ["[1] (1) 3", "[2] (1) 1 (2) 2"]


def test_json_lines() -> None:
    """One object a connection, with the reads as they were and the payloads' digests."""
    (line,) = written("json", log_of([SMTP, b"hi\r\n.\r\n"], "smtp", "eof"))
    record = json.loads(line)
    assert record["reads"] == [[101, 0, len(SMTP)], [102, len(SMTP), len(SMTP) + 7]]
    assert record["payloads"] == [[len(SMTP), len(SMTP) + 7]]
    assert record["peer"] == ["192.0.2.2", 4000]
    assert record["ended"] == "eof"
    assert record["envelopes"][0]["recipients"] == ["d@e.f"]
    assert len(record["sha256"][0]) == 64


def test_clip_counts_from_the_payload() -> None:
    """Reads are cut to the payload, and those outside it are left out."""
    reads = [(1, 0, 10), (2, 10, 25), (3, 25, 40), (4, 40, 50)]
    assert clip(reads, 20, 40) == [(2, 0, 5), (3, 5, 20)]
