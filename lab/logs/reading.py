"""Reads a log in whatever pieces it comes, line by line, and makes observations of it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from lab.errors import InputError
from lab.logs import eventline, jsonline, sessionline
from lab.logs.badline import BadLine, LineError, excerpt
from lab.logs.eventline import Shown
from lab.logs.visible import FIELD_NAME, HIDDEN_MAX, header_of
from lab.observation import SIZES_MAX, Observation

LINE_MAX_BYTES = 32 << 20
"""The longest line that is read; a million sizes with their times fit."""

BAD_LINES_MAX = 10_000
"""After so many lines of which none was usable, it is no log."""

BAD_BYTES_MAX = 2 * LINE_MAX_BYTES
"""After so many bytes without a usable line, neither: one endless line, or only empty ones."""

_READS_LOOKED_AT = 256
_END_OF_DATA = b"\r\n.\r\n"
_EXPECTED = (sessionline.EXPECTED, eventline.EXPECTED, "JSON")

Complain = Callable[[BadLine], object]


def observations(
    lines: Iterable[bytes], name: str, complain: Complain | None = None
) -> Iterator[Observation]:
    """The messages of a log.

    Args:
        lines: with their line ends or without; an open binary file is such an iterable.
        name: of the log, for messages and as the observations' source.
        complain: is told of each line that cannot be used; the rest is read nevertheless.

    Raises:
        InputError: after the last line, if there was no usable one; or after many.
    """
    reader = LogReader(name, complain)
    for line in lines:
        yield from reader.line(line)
    yield from reader.end()


class LogReader:
    """A log that is read as it comes.

    Attributes:
        name: of the log.
        good: how many lines were used.
        bad: how many were not.
    """

    def __init__(self, name: str, complain: Complain | None = None) -> None:
        """Args: as of ``observations``."""
        self.name = name
        self.good = 0
        self.bad = 0
        self._complain = complain
        self._first_problem = ""
        self._lines = 0
        self._taken = 0
        self._pending = bytearray()
        self._skipping = False
        self._numbering = _Numbering()
        self._events = _Events(name)

    def feed(self, data: bytes) -> Iterator[Observation]:
        """Take the next bytes of the log, cut anywhere.

        Raises:
            InputError: there were very many, and no usable line.
        """
        *ended, rest = data.split(b"\n")
        for part in ended:
            if self._skipping:
                self._skipping = False
                continue
            line = bytes(self._pending) + part if self._pending else part
            self._pending.clear()
            yield from self.line(line)
        self._taken += len(data)
        if not self._skipping:
            self._pending += rest
            if len(self._pending) > LINE_MAX_BYTES:
                yield from self.line(bytes(self._pending))
                self._pending.clear()
                self._skipping = True
        if not self.good and self._taken > BAD_BYTES_MAX:
            raise self._unknown()

    def line(self, line: bytes) -> Iterator[Observation]:
        """Take a whole line."""
        self._lines += 1
        if self._lines == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        line = line.strip(b" \t\r\n")
        if not line:
            return
        try:
            if len(line) > LINE_MAX_BYTES:
                raise LineError(f"longer than {LINE_MAX_BYTES} bytes")
            found = [*self._parsed(line)]
        except LineError as error:
            self._bad(f"{error}: {excerpt(line)}")
            return
        self.good += 1
        yield from found

    def flush(self) -> Iterator[Observation]:
        """The message that is under way, as far as it has come: nothing more of it is expected."""
        yield from self._events.end()

    def end(self) -> Iterator[Observation]:
        """The log ends.

        Raises:
            InputError: there was no usable line.
        """
        if self._pending:
            line = bytes(self._pending)
            self._pending.clear()
            yield from self.line(line)
        yield from self.flush()
        if not self.good:
            raise self._unknown()

    def _parsed(self, line: bytes) -> Iterator[Observation]:
        if line.startswith(b"{"):
            yield from self.flush()
            yield from jsonline.parse(line, self.name)
        elif line.startswith(b"["):
            yield from self._bracketed(line)
        else:
            raise LineError(f"expected {', '.join(_EXPECTED[:-1])} or {_EXPECTED[-1]}")

    def _bracketed(self, line: bytes) -> Iterator[Observation]:
        """A line of one of the paper's formats: after its number comes ``[``, or ``(``."""
        if line.partition(b"]")[2].lstrip(b" \t")[:1] == b"[":
            number, shown = eventline.parse(line)
            yield from self._events.take(number, shown)
            return
        number, sizes = sessionline.parse(line)
        yield from self.flush()
        yield Observation(id=self._numbering.name(number), sizes=sizes, source=self.name)

    def _unknown(self) -> InputError:
        if not self.bad:
            return InputError(
                f"{self.name}: empty; expected a capture, a server's log or observations"
            )
        return InputError(f"{self.name}: neither a capture nor a known log: {self._first_problem}")

    def _bad(self, problem: str) -> None:
        self.bad += 1
        bad = BadLine(self.name, self._lines, problem)
        if not self._first_problem:
            self._first_problem = f"line {bad.number}: {problem}"
        if self._complain is not None:
            self._complain(bad)
        if not self.good and self.bad >= BAD_LINES_MAX:
            raise self._unknown()


class _Numbering:
    """Names sessions by their number; a server that starts anew begins a second series."""

    def __init__(self) -> None:
        self._last = 0
        self._series = 1

    def name(self, number: int) -> str:
        if number <= self._last:
            self._series += 1
        self._last = number
        return str(number) if self._series == 1 else f"{self._series}.{number}"


@dataclass(slots=True)
class _Message:
    """The reads of one payload, as far as they have come."""

    first: int
    sizes: list[int] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)
    end: bytes = b""
    cut: bool = False
    notes: list[str] = field(default_factory=list)


class _Events:
    """Joins event lines to messages: a new one begins where the number returns to 1."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0
        self._last = 0
        self._message: _Message | None = None

    def take(self, number: int, shown: Shown) -> Iterator[Observation]:
        """A read; gives the message before it, if this is the first of another."""
        if number == 1 or self._message is None:
            yield from self.end()
            self._message = _Message(number)
            if number > 1:
                self._message.notes.append(f"begins with read {number}: those before are missing")
        elif number != self._last + 1 and len(self._message.notes) < 8:
            self._message.notes.append(f"after read {self._last} comes read {number}")
        self._last = number
        message = self._message
        if len(message.sizes) >= SIZES_MAX:
            if not message.cut:
                message.notes.append(f"cut after {SIZES_MAX} reads")
            message.cut = True
            return
        message.sizes.append(shown.size)
        if len(message.shown) < _READS_LOOKED_AT and message.first == 1 and not message.notes:
            message.shown.append(shown)
        known = shown.head if shown.tail is None else shown.tail
        message.end = ((message.end if shown.tail is None else b"") + known)[-len(_END_OF_DATA) :]

    def end(self) -> Iterator[Observation]:
        """The message under way, if there is one."""
        message, self._message = self._message, None
        if message is None:
            return
        self._count += 1
        header = header_of(message.shown)
        notes = [*message.notes]
        if header.hidden:
            notes.append(
                f"header_end {header.header_end} is read off the text; of what stands before, "
                f"{header.hidden} bytes are not shown (at most {HIDDEN_MAX} are accepted)"
            )
        if not header.exact and (header.fields or header.header_end is not None):
            notes.append("the text is not as the server writes it: places in it may be off")
        yield Observation(
            id=str(self._count),
            sizes=tuple(message.sizes),
            header_end=header.header_end,
            fields=header.fields or None,
            complete=_complete(message),
            source=self._name,
            notes=tuple(notes),
        )


def _complete(message: _Message) -> bool | None:
    """Whether the text ends as mail does; what does not begin as mail may be something else."""
    if message.end == _END_OF_DATA or (message.end, sum(message.sizes)) == (b".\r\n", 3):
        return True
    begins_as_mail = bool(message.shown) and FIELD_NAME.match(message.shown[0].head)
    return False if begins_as_mail else None
