"""Opens whatever holds messages, and reads observations from it.

What a file is, its contents tell, not its name: a capture (``seglab.capture``), a server's log or
observations as lines of JSON (``seglab.logs``), each also gzipped; sessions as Parquet. A folder
with a ``run.json`` is a run, of which the stored sessions are taken; any other is searched for all
of these.
"""

import os
import stat
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path
from typing import Any, Final, Protocol

from seglab.capture import Capture, sniff
from seglab.core.observation import Layer, Observation
from seglab.core.record import SessionRecord
from seglab.core.text import count, safe
from seglab.errors import InputError
from seglab.logs import BadLine, LogReader

CHUNK_BYTES: Final = 1 << 18

_HEAD_BYTES = 1 << 16
_ENOUGH_TO_TELL = 4
_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
_WBITS_GZIP = 31
_RATIO_MAX = 1000
_UNZIPPED_FREE = 1 << 30
_BAD_LINES_TOLD = 5
_WRITER_S = 10.0
_LOOK_AGAIN_S = 0.05

Warn = Callable[[str], object]
"""Is told, in one line, what is to be known of a source."""


@dataclass(frozen=True, slots=True)
class Source:
    """Something to read.

    Attributes:
        path: of the file or run folder.
        kind: ``run``, ``parquet``, or ``stream`` for all that is read from first byte to last.
    """

    path: Path
    kind: str

    @property
    def name(self) -> str:
        """As it is told to people."""
        return safe(str(self.path))


def sources(path: Path, warn: Warn) -> Iterator[Source]:
    """What there is to read at a path: the file, the run, or all of a folder, sorted.

    Hidden files and folders are left out, and so is what is no file; of other files that cannot
    be read, the number is told.

    Raises:
        InputError: there is nothing there.
    """
    if not path.is_dir():
        yield Source(path, "parquet" if _head(path, 4) == _PARQUET else "stream")
        return
    found = passed = 0
    for source in _within(path):
        if source is None:
            passed += 1
        else:
            found += 1
            yield source
    if passed:
        warn(f"{safe(str(path))}: passed over {count(passed, 'file')} of other kinds")
    if not found:
        raise InputError(f"{safe(str(path))}: no run, capture, log or observations in this folder")


def read(source: Source, *, layer: Layer, protocol: str, warn: Warn) -> Iterator[Observation]:
    """The observations of a source.

    Raises:
        InputError: it cannot be read, or is of no known kind.
    """
    if source.kind == "stream":
        try:
            with _opened(source.path) as file:
                head = _first(file, source.name)
                yield from read_stream(file, source.name, head, protocol=protocol, warn=warn)
        except OSError as error:
            raise InputError(f"{source.name}: {error.strerror or error}") from error
        return
    for record in _records(source):
        if record.complete:
            yield _with_source(Observation.of_record(record, layer), source.name)


def read_stream(
    file: Any, name: str, head: bytes = b"", *, protocol: str, warn: Warn
) -> Iterator[Observation]:
    """The observations of an open binary file, which may be a pipe; as soon as they are known.

    Args:
        file: to read from.
        name: of it.
        head: what was read of it already.
        protocol: that captures are searched for.
        warn: is told of faults.

    Raises:
        InputError: it is of no known kind.
    """
    stream = Stream(name, protocol=protocol, warn=warn)
    take = getattr(file, "read1", file.read)
    if head:
        yield from stream.feed(head)
    while data := take(CHUNK_BYTES):
        yield from stream.feed(data)
    yield from stream.close()


class _Reader(Protocol):
    """What reads a kind of stream."""

    def feed(self, data: bytes) -> Iterable[Observation]: ...

    def idle(self) -> Iterable[Observation]: ...

    def close(self) -> Iterable[Observation]: ...


class Stream:
    """Bytes of which the first tell the kind: a capture, or a log, gzipped or not."""

    def __init__(self, name: str, *, protocol: str = "smtp", warn: Warn) -> None:
        """Args: name of the source, what captures are searched for, and who is told of faults."""
        self._name = name
        self._protocol = protocol
        self._warn = warn
        self._head = b""
        self._reader: _Reader | None = None

    def feed(self, data: bytes) -> Iterator[Observation]:
        """Take the next bytes."""
        if self._reader is None:
            data = self._head = self._head + data
            if not _tells(data):
                return
            self._reader = self._chosen(data)
            self._head = b""
        yield from self._reader.feed(data)

    def idle(self) -> Iterator[Observation]:
        """Nothing has come for a while: what was only waiting for its successor is given."""
        if self._reader is not None:
            yield from self._reader.idle()

    def close(self) -> Iterator[Observation]:
        """There is no more.

        Raises:
            InputError: it was of no known kind.
        """
        if self._reader is None:
            self._reader = self._chosen(self._head)
            yield from self._reader.feed(self._head)
        yield from self._reader.close()

    def _chosen(self, head: bytes) -> _Reader:
        if head.startswith(_PARQUET):
            raise InputError(f"{self._name}: Parquet cannot be read from a pipe; give its path")
        if sniff(head):
            return _Packets(self._name, self._protocol, self._warn)
        log = _Log(self._name, self._warn)
        return _Unzipped(log, self._name) if head.startswith(_GZIP) else log


def _tells(head: bytes) -> bool:
    """Whether these bytes are enough to tell what they begin."""
    if not head.startswith(_GZIP) or len(head) >= _HEAD_BYTES:
        return len(head) >= _ENOUGH_TO_TELL
    return len(_unzipped(head, _ENOUGH_TO_TELL)) >= _ENOUGH_TO_TELL


def _unzipped(head: bytes, size: int) -> bytes:
    """The first bytes of a gzipped file; none where it is not even that."""
    try:
        return zlib.decompressobj(_WBITS_GZIP).decompress(head, size)
    except zlib.error:
        return b""


class _Packets:
    """A capture."""

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
    """A log, which tells of its first bad lines and counts the others."""

    def __init__(self, name: str, warn: Warn) -> None:
        self._log = LogReader(name, self._bad)
        self._warn = warn
        self._untold = list[BadLine]()

    def feed(self, data: bytes) -> Iterable[Observation]:
        for observation in self._log.feed(data):
            self._tell()
            yield observation
        self._tell()

    def idle(self) -> Iterable[Observation]:
        return self._log.flush()

    def close(self) -> Iterable[Observation]:
        for observation in self._log.end():
            self._tell()
            yield observation
        self._tell()
        if self._log.bad > _BAD_LINES_TOLD:
            self._warn(f"{self._log.name}: {self._log.bad} lines in all were passed over")

    def _bad(self, bad: BadLine) -> None:
        if self._log.bad <= _BAD_LINES_TOLD:
            self._untold.append(bad)

    def _tell(self) -> None:
        """Tell of bad lines, once it is known to be a log; what is none ends in one error."""
        if self._log.good:
            for bad in self._untold:
                self._warn(f"{bad}; passed over")
            self._untold.clear()


class _Unzipped:
    """A gzipped log."""

    def __init__(self, log: _Log, name: str) -> None:
        self._log = log
        self._name = name
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
            if self._out > max(_UNZIPPED_FREE, _RATIO_MAX * self._in):
                raise InputError(f"{self._name}: gzip: {self._out} bytes out of {self._in}: a bomb")
            yield from self._log.feed(plain)
            data = self._zip.unconsumed_tail
            if self._zip.eof:
                data, self._zip = self._zip.unused_data, zlib.decompressobj(_WBITS_GZIP)

    def idle(self) -> Iterable[Observation]:
        return self._log.idle()

    def close(self) -> Iterable[Observation]:
        return self._log.close()


def _within(folder: Path) -> Iterator[Source | None]:
    """The sources of a folder; ``None`` for each file that is none."""
    if (folder / "run.json").is_file():
        yield Source(folder, "run")
        return
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"{safe(str(folder))}: {error.strerror or error}") from error
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            if not entry.is_symlink():
                yield from _within(entry)
        elif entry.is_file():
            kind = _kind(entry)
            yield None if kind is None else Source(entry, kind)


def _kind(path: Path) -> str | None:
    """What a file of a folder is, from its beginning; ``None`` where nothing can read it."""
    try:
        head = _head(path, _HEAD_BYTES)
    except InputError:
        return None
    if head.startswith(_PARQUET):
        return "parquet"
    if head.startswith(_GZIP) and not sniff(head):
        head = _unzipped(head, _HEAD_BYTES)
    return "stream" if sniff(head) or _begins_log(head) else None


def _begins_log(head: bytes) -> bool:
    """Whether one of the first lines is one of a log."""
    whole, newline, _ = head.rpartition(b"\n")
    log = LogReader("")
    for line in (whole if newline else head).split(b"\n"):
        for _ in log.line(line):
            return True
        if log.good:
            return True
    return False


def _head(path: Path, size: int) -> bytes:
    try:
        if path.is_fifo():  # which is read once, from its beginning
            return b""
        with _opened(path) as file:
            return file.read(size) or b""
    except OSError as error:
        raise InputError(f"{safe(str(path))}: {error.strerror or error}") from error


def _opened(path: Path) -> FileIO:
    """A file or named pipe, opened so that neither this nor the first read waits for anything."""
    mode = path.stat().st_mode
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise OSError(
            0, "a device; expected a capture, a log or a folder (- reads what is piped in)"
        )
    return FileIO(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC))


def _first(file: FileIO, name: str) -> bytes:
    """The first bytes, or none where a writer has still to write; later reads wait for theirs.

    Raises:
        InputError: nobody writes.
    """
    first = file.read(CHUNK_BYTES)
    if stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):
        until = time.monotonic() + _WRITER_S
        while first == b"" and time.monotonic() < until:
            time.sleep(_LOOK_AGAIN_S)
            first = file.read(CHUNK_BYTES)
        if first == b"":
            raise InputError(
                f"{name}: a pipe that nobody opened for writing within {_WRITER_S:g} s; start "
                "what writes into it first"
            )
    elif first is None:
        raise InputError(f"{name}: has nothing to read now; pipe it in, and give -")
    os.set_blocking(file.fileno(), True)
    return first or b""


def _records(source: Source) -> Iterator[SessionRecord]:
    if source.kind == "run":
        from seglab.runs.folder import RunFolder  # noqa: PLC0415, PyArrow takes a moment to import

        yield from RunFolder.open(source.path).sessions()
        return
    from seglab.runs.parquet import read_sessions  # noqa: PLC0415

    yield from read_sessions(source.path)


def _with_source(observation: Observation, name: str) -> Observation:
    return replace(observation, source=name)
