r"""The server's log formats; ``docs/server.md`` has their grammar.

``sessions`` and ``events`` are those of the paper: a line per payload with the sizes of its reads,
``[2] (1) 4320 (2) 800``, and a line per read with the two ends of what it returned,
``[1][1400] 'MIME-Version: 1.0\r\nX-Received: b[...]ues also were a factor.\r\nChrist,'``.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from io import TextIOBase
from time import monotonic_ns, time_ns
from typing import TextIO

import msgspec

from seglab.core.text import quoted
from seglab.server.connection import SAMPLE_END_BYTES, ConnectionLog, clip
from seglab.server.log_file import LogFile

FORMATS = ("json", "sessions", "events")
GAP = "[...]"


def session_line(number: int, read_sizes: Iterable[int]) -> str:
    """Return a payload's line in the paper's session format, without the end of the line.

    Args:
        number: the number of the session, from 1.
        read_sizes: how many bytes each read of the payload returned, in order.
    """
    segments = (f"({n}) {size}" for n, size in enumerate(read_sizes, start=1))
    return " ".join((f"[{number}]", *segments))


def event_line(number: int, size: int, sample: bytes) -> str:
    """Return a read's line in the paper's event format, without the end of the line.

    Args:
        number: the number of the read within its payload, from 1.
        size: how many bytes the read returned.
        sample: all its bytes where there are at most 64, else the first 32 and the last 32.
    """
    text = quoted(sample)
    if size > len(sample):
        text = quoted(sample[:SAMPLE_END_BYTES]) + GAP + quoted(sample[SAMPLE_END_BYTES:])
    return f"[{number}][{size}] '{text}'"


def writer(log_format: str, stream: TextIO | TextIOBase) -> Callable[[ConnectionLog], None]:
    """Return a function that writes a connection's log to ``stream``, and flushes each line.

    The lines of a connection are never in two files of a log that is rotated.

    Args:
        log_format: one of ``FORMATS``. ``"events"`` needs logs that keep samples.
        stream: the stream to write to; its encoding may be ASCII.
    """
    formats: dict[str, Callable[[ConnectionLog], Iterator[str]]] = {
        "json": _json_lines,
        "sessions": _SessionLines(),
        "events": _event_lines,
    }
    lines = formats[log_format]

    def write(log: ConnectionLog) -> None:
        if isinstance(stream, LogFile):
            stream.begin()
        for line in lines(log):
            stream.write(line + "\n")
            stream.flush()

    return write


def _json_lines(log: ConnectionLog) -> Iterator[str]:
    accepted_ns = time_ns() - (monotonic_ns() - log.t_accept_ns)
    accepted = datetime.fromtimestamp(accepted_ns / 1e9, UTC)
    record = {"time": accepted.isoformat(timespec="milliseconds"), **log.as_message()}
    yield msgspec.json.encode(record).decode("ascii")


class _SessionLines:
    """Numbers the payloads of all connections in the order in which their connections ended."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, log: ConnectionLog) -> Iterator[str]:
        for start, end in log.payloads:
            self._count += 1
            yield session_line(self._count, _sizes(log, start, end))


def _event_lines(log: ConnectionLog) -> Iterator[str]:
    for (start, end), samples in zip(log.payloads, log.samples, strict=True):
        sizes = _sizes(log, start, end)
        for number, (size, sample) in enumerate(zip(sizes, samples, strict=True), start=1):
            yield event_line(number, size, sample)


def _sizes(log: ConnectionLog, start: int, end: int) -> Sequence[int]:
    return [high - low for _, low, high in clip(log.reads, start, end)]
