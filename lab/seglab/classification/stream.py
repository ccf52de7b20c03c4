"""Reads observations from bytes of an unknown kind: a capture or a log, gzipped or not.

Theory of operation
-------------------
A ``Stream`` gets bytes in pieces of any length, from a file or a pipe. It keeps them until they
are enough to tell what they begin (``_is_enough``), and then hands everything to one of three
readers:

============== ================================= ==============================================
reader         first bytes                       what reads it
============== ================================= ==============================================
``_Packets``   a capture's magic, also gzipped   ``seglab.capture``, which unzips by itself
``_Unzipped``  gzip, of which it is no capture   ``_Log``, after decompression
``_Log``       anything else                     ``seglab.logs``
============== ================================= ==============================================

So what is no log either turns out only when the log reader finds no line that it knows: then
``close`` raises. Until the first good line, complaints about bad lines are held back, since one
error says more about such a file than five.

Observations leave in the order in which their last byte came in. ``feed`` gives those that are
complete. ``idle`` also gives a log's last message, whose end only the next message would show.
``close`` gives the rest.

A gzipped log is decompressed piece by piece. Two limits together stop a decompression bomb: more
than ``unzipped_bytes`` bytes have come out, and that is more than ``_RATIO_MAX`` times what went
in.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

from seglab.capture import Capture, sniff
from seglab.core.observation import Observation
from seglab.core.text import safe
from seglab.errors import InputError
from seglab.logs import BadLine, LogReader

CHUNK_BYTES: Final = 1 << 18
"""How much is read, or decompressed, at once."""

HEAD_BYTES: Final = 1 << 16
"""The most bytes that are looked at to tell what a file is."""

UNZIPPED_BYTES: Final = 1 << 30
"""How many bytes of a gzipped log are read, however well they were compressed."""

PARQUET: Final = b"PAR1"
"""The first bytes of a Parquet file."""

_ENOUGH_TO_TELL = 4
_GZIP = b"\x1f\x8b"
_WBITS_GZIP = 31
_RATIO_MAX = 1000
_BAD_LINES_SHOWN = 5

Warn = Callable[[str], object]
"""Takes what a user should know about a source, as one line of text."""


class _Reader(Protocol):
    """What reads one kind of stream."""

    def feed(self, data: bytes) -> Iterable[Observation]: ...

    def idle(self) -> Iterable[Observation]: ...

    def close(self) -> Iterable[Observation]: ...


class Stream:
    """Bytes of a capture or a log, which come in piece by piece."""

    def __init__(
        self,
        name: str,
        *,
        protocol: str = "smtp",
        warn: Warn,
        unzipped_bytes: int = UNZIPPED_BYTES,
    ) -> None:
        """Wait for the first bytes.

        Args:
            name: of the source, for messages and ids.
            protocol: what captures are searched for: ``smtp`` or ``raw``.
            warn: takes warnings.
            unzipped_bytes: how much of a gzipped log is read, however well it was compressed.
        """
        self._name = name
        self._protocol = protocol
        self._warn = warn
        self._unzipped_bytes = unzipped_bytes
        self._head = b""
        self._reader: _Reader | None = None

    def feed(self, data: bytes) -> Iterator[Observation]:
        """Take the next bytes, and yield the messages that they complete."""
        if self._reader is None:
            data = self._head = self._head + data
            if not _is_enough(data):
                return
            self._reader = self._reader_for(data)
            self._head = b""
        yield from self._reader.feed(data)

    def idle(self) -> Iterator[Observation]:
        """Yield the message that only waits for the next one; nothing has come for a while."""
        if self._reader is not None:
            yield from self._reader.idle()

    def close(self) -> Iterator[Observation]:
        """Yield what is left, since no more bytes will come.

        Raises:
            InputError: the bytes were of no known kind.
        """
        if self._reader is None:
            self._reader = self._reader_for(self._head)
            yield from self._reader.feed(self._head)
        yield from self._reader.close()

    def _reader_for(self, head: bytes) -> _Reader:
        if head.startswith(PARQUET):
            raise InputError(f"{self._name}: Parquet cannot be read from a pipe; give its path")
        if sniff(head):
            return _Packets(self._name, self._protocol, self._warn)
        log = _Log(self._name, self._warn)
        if head.startswith(_GZIP):
            return _Unzipped(log, self._name, self._unzipped_bytes)
        return log


def is_readable(head: bytes) -> bool:
    """Return whether a file that begins with these bytes is a capture or a log."""
    if sniff(head):
        return True
    return _begins_log(_unzipped(head, HEAD_BYTES) if head.startswith(_GZIP) else head)


def _is_enough(head: bytes) -> bool:
    """Return whether these bytes are enough to tell what they begin."""
    if not head.startswith(_GZIP) or len(head) >= HEAD_BYTES:
        return len(head) >= _ENOUGH_TO_TELL
    return len(_unzipped(head, _ENOUGH_TO_TELL)) >= _ENOUGH_TO_TELL


def _unzipped(head: bytes, size: int) -> bytes:
    """Return the first ``size`` bytes of what was gzipped; none where it was not gzipped."""
    try:
        return zlib.decompressobj(_WBITS_GZIP).decompress(head, size)
    except zlib.error:
        return b""


def _begins_log(head: bytes) -> bool:
    """Return whether one of the first lines is a line of a log."""
    whole, newline, _ = head.rpartition(b"\n")
    log = LogReader("")
    for line in (whole if newline else head).split(b"\n"):
        for _ in log.line(line):
            return True
        if log.good:
            return True
    return False


class _Packets:
    """Reads a capture, and passes its notes on when it ends."""

    def __init__(self, name: str, protocol: str, warn: Warn) -> None:
        self._capture = Capture(name, protocol="raw" if protocol == "raw" else "smtp")
        self._name = name
        self._warn = warn

    def feed(self, data: bytes) -> Iterable[Observation]:
        return self._capture.feed(data)

    def idle(self) -> Iterable[Observation]:
        return ()

    def close(self) -> Iterable[Observation]:
        found = self._capture.close()
        for note in self._capture.notes:
            self._warn(f"{self._name}: {safe(note)}")
        return found


class _Log:
    """Reads a log, warns of its first bad lines, and counts the others."""

    def __init__(self, name: str, warn: Warn) -> None:
        self._log = LogReader(name, self._on_bad_line)
        self._warn = warn
        self._held_back = list[BadLine]()

    def feed(self, data: bytes) -> Iterable[Observation]:
        for observation in self._log.feed(data):
            self._warn_of_bad_lines()
            yield observation
        self._warn_of_bad_lines()

    def idle(self) -> Iterable[Observation]:
        return self._log.flush()

    def close(self) -> Iterable[Observation]:
        for observation in self._log.end():
            self._warn_of_bad_lines()
            yield observation
        self._warn_of_bad_lines()
        if self._log.bad > _BAD_LINES_SHOWN:
            self._warn(f"{self._log.name}: {self._log.bad} lines in all were skipped")

    def _on_bad_line(self, bad: BadLine) -> None:
        if self._log.bad <= _BAD_LINES_SHOWN:
            self._held_back.append(bad)

    def _warn_of_bad_lines(self) -> None:
        """Warn of bad lines, if a good line has shown that this is a log."""
        if self._log.good:
            for bad in self._held_back:
                self._warn(f"{bad}; skipped")
            self._held_back.clear()


class _Unzipped:
    """Decompresses a gzipped log, which may have several members, for ``_Log``."""

    def __init__(self, log: _Log, name: str, unzipped_bytes: int) -> None:
        self._log = log
        self._name = name
        self._unzipped_bytes = unzipped_bytes
        self._zip = zlib.decompressobj(_WBITS_GZIP)
        self._in = self._out = 0

    def feed(self, data: bytes) -> Iterable[Observation]:
        self._in += len(data)
        while data:
            try:
                plain = self._zip.decompress(data, CHUNK_BYTES)
            except zlib.error as error:
                raise InputError(f"{self._name}: gzip: corrupt: {error}") from error
            self._out += len(plain)
            if self._out > max(self._unzipped_bytes, _RATIO_MAX * self._in):
                raise InputError(f"{self._name}: gzip: {self._out} bytes out of {self._in}: a bomb")
            yield from self._log.feed(plain)
            data = self._zip.unconsumed_tail
            if self._zip.eof:
                data, self._zip = self._zip.unused_data, zlib.decompressobj(_WBITS_GZIP)

    def idle(self) -> Iterable[Observation]:
        return self._log.idle()

    def close(self) -> Iterable[Observation]:
        return self._log.close()
