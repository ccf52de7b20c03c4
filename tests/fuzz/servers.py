"""The server's side of SMTP, and the logs that it writes and reads again.

The rules of RFC 5321 that matter are stated here once more, in a few lines that know the whole
stream at once: what comes in pieces must lead to the same.
"""

import hashlib
import io
import json
import re
from collections.abc import Sequence
from random import Random
from typing import Any, Final
from zlib import crc32

from fuzz.dialogues import ENDS, VERBS, careless, text
from fuzz.kind import Kind, Refusal, outcome
from fuzz.mutation import changed_bytes, changed_text, changed_tree
from seglab.core.observation import Observation
from seglab.logs import BadLine, LogReader
from seglab.server.connection import ConnectionLog, OpenConnection
from seglab.server.limits import Limits
from seglab.server.logs import FORMATS, writer
from seglab.server.session import ProtocolSession, RawSession, ReceivedPayload
from seglab.server.smtp import SmtpSession

_END = re.compile(rb"\r\n\.\r\n")
_REPLY = re.compile(rb"(?:[2-5][0-9][0-9][ -][ -~]*\r\n)*")
_WORDS: Final = (
    *("[1]", "[2]", "(1)", "(2)", "[...]", "'", '"', "\u2018", "{", "}", "[", "]", "\\", "\\x"),
    "<pre>",
)


# --- the protocol -----------------------------------------------------------------------------


def make(random: Random) -> bytes:
    """Return what a client sends on one connection."""
    out = [data for way, data in careless(random).turns if way == 0]
    for _ in range(random.choice((0, 0, 3, 60))):
        out.insert(
            random.randrange(len(out) + 1), random.choice(VERBS) + random.choice((b"\r\n", b"\n"))
        )
    if random.random() < 0.3:
        out.append(
            b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n" + text(random, strange=True)
        )
        out += random.choices(ENDS, k=3)
    data = b"".join(out)
    return changed_bytes(random, data, 3) if random.random() < 0.3 else data


def check(data: bytes) -> None:
    """Replies and messages do not depend on the pieces, and messages are what the bytes say."""
    random = Random(crc32(data))
    limits = Limits(
        command_line_bytes=random.choice((512, 64)),
        message_line_bytes=random.choice((1 << 20, 100)),
        message_bytes=random.choice((32 << 20, 1000)),
        recipients=random.choice((1000, 2)),
        errors=random.choice((50, 3)),
    )
    whole = _fed(SmtpSession(limits, keep_content=True), [data])
    for size in (1, random.randint(2, 90), 1448):
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        assert _fed(SmtpSession(limits, keep_content=True), pieces) == whole, f"by {size}"
    replies, messages, ended, _, begun = whole
    assert _REPLY.fullmatch(replies), replies[:300]
    assert len(replies) < 400 * (data.count(b"\n") + 2)
    before = 0
    for message in messages:
        _true(message, data, before, limits)
        before = message.end
    if begun is not None and ended is None:
        assert begun >= before
        assert not _END.search(b"\r\n" + data[begun:])
    for log_format in FORMATS:
        _read_back(random, data, limits, log_format)


def _fed(session: ProtocolSession, pieces: Sequence[bytes]) -> tuple[Any, ...]:
    replies, messages = b"", list[ReceivedPayload]()
    for piece in pieces:
        said, found = session.feed(piece)
        replies += said
        messages += found
    return replies, messages, session.ended, session.refused, session.payload_start


def _true(message: ReceivedPayload, data: bytes, before: int, limits: Limits) -> None:
    """A message begins after a DATA command, and ends at the first CRLF . CRLF and nowhere else."""
    wire = data[message.start : message.end]
    assert before < message.start < message.end <= len(data)
    assert data[: message.start].endswith(b"\r\n")
    assert wire.endswith((b"\r\n.\r\n", b".\r\n"))
    ends = [found.end() for found in _END.finditer(b"\r\n" + wire)]
    assert ends[:1] == [len(wire) + 2], "not the first end of data"
    assert message.sha256 == hashlib.sha256(wire).hexdigest()
    content = (b"\r\n" + wire)[:-3].replace(b"\r\n.", b"\r\n")[2:]
    assert message.content_bytes == len(content)
    too_big = len(content) > limits.message_bytes
    assert message.reply[:3] == "552" if too_big else message.reply[:3] in {"250", "500"}
    assert too_big or message.content == content
    assert 1 <= len(message.recipients) <= limits.recipients


def _connection(
    session: ProtocolSession, data: bytes, pieces: Sequence[bytes], protocol: str, number: int
) -> ConnectionLog:
    connection = OpenConnection(
        number=number,
        sock=None,  # type: ignore[arg-type] - nothing here does input or output
        local=("192.0.2.1", 25),
        peer=("2001:db8::1", 40000),
        protocol=protocol,
        session=session,
        t_accept_ns=0,
        keep_samples=True,
    )
    for at, piece in enumerate(pieces):
        connection.received(piece, 1000 * at)
    assert connection.stream_bytes == len(data)
    return connection.finished("eof", 1000 * len(pieces))


def _cut(random: Random, data: bytes) -> list[bytes]:
    pieces, at = [], 0
    while at < len(data):
        size = random.choice((1, 5, 64, 65, 536, 1448, 4096, 65536))
        pieces.append(data[at : at + size])
        at += size
    return pieces


def _read_back(random: Random, data: bytes, limits: Limits, log_format: str) -> None:
    """What the server logs, in each of its formats, is read again with the same sizes."""
    raw = random.random() < 0.2
    session = RawSession(limits) if raw else SmtpSession(limits)
    log = _connection(session, data, _cut(random, data), "raw" if raw else "smtp", 1)
    expected = []
    for start, end in log.payloads:
        inside = [(max(a, start), min(b, end)) for _, a, b in log.reads if a < end and b > start]
        expected.append(tuple(b - a for a, b in inside))
        assert sum(expected[-1]) == end - start, "bytes of a payload are in no read"
    file = io.StringIO()
    writer(log_format, file)(log)
    lines = file.getvalue()
    assert lines.isascii()
    if not lines:
        return
    reader = LogReader("x")
    found = [*reader.feed(lines.encode()), *reader.end()]
    assert not reader.bad, f"{log_format}: a line of the server's own is no line of a log"
    assert [one.sizes for one in found] == expected, f"{log_format}: other sizes"


# --- logs -------------------------------------------------------------------------------------


def make_log(random: Random) -> bytes:
    """Return a log of some connections in one format or several, changed by lines and values."""
    parts = []
    for number in range(1, random.choice((2, 2, 4))):
        data = make(random)
        log = _connection(SmtpSession(Limits()), data, _cut(random, data), "smtp", number)
        log_format = random.choice(FORMATS)
        file = io.StringIO()
        writer(log_format, file)(log)
        lines = file.getvalue()
        if log_format == "json" and random.random() < 0.7:
            changed = changed_tree(random, json.loads(lines), most=4)
            lines = json.dumps(changed, ensure_ascii=random.random() < 0.5) + "\n"
        parts.append(lines)
    if random.random() < 0.3:
        parts.append('{"id": "1", "sizes": [1000, 24], "mss": 1440}\n')
    whole = (
        changed_text(random, "".join(parts), _WORDS, 6) if random.random() < 0.7 else "".join(parts)
    )
    data = whole.encode("utf-8", "surrogatepass")
    data = data.replace(b"\n", b"\r\n") if random.random() < 0.1 else data
    return changed_bytes(random, data, 2) if random.random() < 0.2 else data


_Log = tuple[list[Observation], list[BadLine], int]


def _logged(data: bytes, size: int) -> tuple[_Log | Refusal, list[BadLine]]:
    bad = list[BadLine]()
    reader = LogReader("x", bad.append)

    def read() -> _Log:
        found = list[Observation]()
        for at in range(0, len(data), size):
            found += reader.feed(data[at : at + size])
        found += reader.end()
        return found, bad, reader.good

    return outcome(read), bad


def check_log(data: bytes) -> None:
    """The same is read in one piece and in many, and every line that is skipped is reported."""
    whole, bad = _logged(data, max(1, len(data)))
    for size in (7, 1000):
        assert _logged(data, size) == (whole, bad), f"in pieces of {size}"
    for line in bad:
        assert str(line).isprintable()
        assert len(str(line)) < 1000
        assert 1 <= line.number <= data.count(b"\n") + 1
    if isinstance(whole, Refusal):
        return
    for one in whole[0]:
        assert one.sizes
        assert one.header_end is None or one.header_end <= one.total_bytes
        again = Observation.from_json(one.to_json())
        assert again.sizes == one.sizes


SMTP: Final = Kind("smtp", "what a client sends to the server", make, check)
LOGS: Final = Kind("logs", "logs of the server", make_log, check_log)
