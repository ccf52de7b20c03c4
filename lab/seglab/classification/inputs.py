"""Finds what holds messages at a path, and reads observations from it.

The contents of a file decide what it is, not its name: a capture, a server's log or observations
as lines of JSON, each also gzipped (all three are a ``seglab.classification.stream``); or sessions
as Parquet. A folder with a ``run.json`` is a run, whose stored sessions are read. Any other folder
is searched for all of these.
"""

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path
from typing import Any, Final

from seglab.classification.rotated import oldest_first
from seglab.classification.stream import (
    CHUNK_BYTES,
    HEAD_BYTES,
    PARQUET,
    UNZIPPED_BYTES,
    Stream,
    Warn,
    is_readable,
)
from seglab.core.observation import Layer, Observation
from seglab.core.record import SessionRecord
from seglab.core.text import count, safe
from seglab.errors import InputError

WRITER_S: Final = 10.0
"""How long a named pipe may be without a writer."""

_POLL_S = 0.05


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
        """The path, safe to print."""
        return safe(str(self.path))


def sources(path: Path, warn: Warn) -> Iterator[Source]:
    """Yield what there is to read at a path: the file, the run, or all of a folder, sorted.

    The files of a rotated log come oldest first.

    Hidden files and folders are left out, and so are devices, sockets and pipes of a folder. One
    warning counts the files that nothing can read.

    Raises:
        InputError: there is nothing to read.
    """
    if not path.is_dir():
        yield Source(path, "parquet" if _head(path, len(PARQUET)) == PARQUET else "stream")
        return
    found = skipped = 0
    for source in _within(path):
        if source is None:
            skipped += 1
        else:
            found += 1
            yield source
    if skipped:
        warn(f"{safe(str(path))}: skipped {count(skipped, 'file')} of other kinds")
    if not found:
        raise InputError(f"{safe(str(path))}: no run, capture, log or observations in this folder")


def read(
    source: Source, *, layer: Layer, protocol: str, warn: Warn, writer_s: float = WRITER_S
) -> Iterator[Observation]:
    """Yield the observations of a source.

    Args:
        source: what is read.
        layer: which layer of stored sessions.
        protocol: what captures are searched for: ``smtp`` or ``raw``.
        warn: takes warnings.
        writer_s: how long a named pipe may be without a writer.

    Raises:
        InputError: the source cannot be read, or is of no known kind.
    """
    if source.kind == "stream":
        try:
            with _opened(source.path) as file:
                head = _first(file, source.name, writer_s)
                yield from read_stream(file, source.name, head, protocol=protocol, warn=warn)
        except OSError as error:
            raise InputError(f"{source.name}: {error.strerror or error}") from error
        return
    for record in _records(source):
        if record.complete:
            yield replace(Observation.of_record(record, layer), source=source.name)


def read_stream(
    file: Any,
    name: str,
    head: bytes = b"",
    *,
    protocol: str,
    warn: Warn,
    unzipped_bytes: int = UNZIPPED_BYTES,
) -> Iterator[Observation]:
    """Yield the observations of an open binary file or pipe, as soon as each is complete.

    Args:
        file: what is read.
        name: its name, for messages and ids.
        head: bytes that were already read from it.
        protocol: what captures are searched for: ``smtp`` or ``raw``.
        warn: takes warnings.
        unzipped_bytes: how much of a gzipped log is read, however well it was compressed.

    Raises:
        InputError: the file is of no known kind.
    """
    stream = Stream(name, protocol=protocol, warn=warn, unzipped_bytes=unzipped_bytes)
    take = getattr(file, "read1", file.read)
    if head:
        yield from stream.feed(head)
    while data := take(CHUNK_BYTES):
        yield from stream.feed(data)
    yield from stream.close()


def _within(folder: Path) -> Iterator[Source | None]:
    """Yield the sources of a folder, and ``None`` for each file that nothing can read."""
    if (folder / "run.json").is_file():
        yield Source(folder, "run")
        return
    if (folder / "manifest.json").is_file() and (folder / "data").is_dir():
        # A dataset: its captures, in archives, hold the messages of its rows.
        folder = folder / "data"
    try:
        entries = oldest_first(sorted(folder.iterdir()))
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
    """Return a source's kind from the file's beginning; ``None`` where nothing can read it."""
    try:
        head = _head(path, HEAD_BYTES)
    except InputError:
        return None
    if head.startswith(PARQUET):
        return "parquet"
    return "stream" if is_readable(head) else None


def _head(path: Path, size: int) -> bytes:
    """Return a file's first bytes; none of a named pipe, which can be read only once."""
    try:
        if path.is_fifo():
            return b""
        with _opened(path) as file:
            return file.read(size) or b""
    except OSError as error:
        raise InputError(f"{safe(str(path))}: {error.strerror or error}") from error


def _opened(path: Path) -> FileIO:
    """Open a file or named pipe so that neither this nor the first read waits for anything."""
    mode = path.stat().st_mode
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise OSError(
            0, "a device; expected a capture, a log or a folder (- reads what is piped in)"
        )
    return FileIO(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC))


def _first(file: FileIO, name: str, writer_s: float) -> bytes:
    """Return the first bytes, or none where a pipe's writer has written nothing yet.

    From then on, reading waits until there is something.

    Raises:
        InputError: nobody opened the pipe for writing in time.
    """
    first = file.read(CHUNK_BYTES)
    if stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):
        until = time.monotonic() + writer_s
        while first == b"" and time.monotonic() < until:
            time.sleep(_POLL_S)
            first = file.read(CHUNK_BYTES)
        if first == b"":
            raise InputError(
                f"{name}: a pipe that nobody opened for writing within {writer_s:g} s; start "
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
