"""Makes observations of a log, line by line, in whatever pieces it comes."""

from collections.abc import Callable, Iterable, Iterator
from itertools import product

from seglab.core.observation import Observation
from seglab.errors import InputError
from seglab.logs import eventline, jsonline, sessionline
from seglab.logs.badline import BadLine, LineError, excerpt
from seglab.logs.eventline import EventLine
from seglab.logs.messages import MessageJoiner

LINE_MAX_BYTES = 32 << 20
"""The longest line that is read; a million sizes with their times fit into it."""

BAD_LINES_MAX = 10_000
"""A file whose first lines, this many, are all unusable is no log."""

BAD_BYTES_MAX = 2 * LINE_MAX_BYTES
"""A file whose first bytes, this many, hold no usable line is no log: an endless line, say."""

_BLANK = (b"", b"\r")
_WRAPPED_MAX_BYTES = 1024
_WRAPPED_MAX_LINES = 4
_EXPECTED = (sessionline.EXPECTED, eventline.EXPECTED, "JSON")

Complain = Callable[[BadLine], object]


def observations(
    lines: Iterable[bytes], name: str, complain: Complain | None = None
) -> Iterator[Observation]:
    """Yield the messages of a log.

    Args:
        lines: with their line ends or without; an open binary file is such an iterable.
        name: of the log, for errors and as the source of the observations.
        complain: is called with each line that cannot be used; the others are read all the same.

    Raises:
        InputError: after the last line or after very many, if none was usable.
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
        bad: how many lines were not used, or only in part.
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
        self._events = MessageJoiner(name)
        self._open = b""
        self._held = list[tuple[int, str, bytes]]()

    def feed(self, data: bytes) -> Iterator[Observation]:
        """Take the next bytes of the log, cut anywhere, and yield the messages that end in them.

        Raises:
            InputError: there were very many bytes, and no usable line.
        """
        if data.endswith(b"\n") and not data.strip(b"\r\n") and not self._pending:
            self._lines += data.count(b"\n") - self._skipping
            self._skipping = False
            self._give_up_open()
            *ended, rest = (b"",)
        else:
            *ended, rest = data.split(b"\n")
        for part in ended:
            if self._skipping:
                self._skipping = False
                continue
            if not self._pending and part in _BLANK:  # a file may hold nothing else
                self._lines += 1
                if self._open:
                    self._give_up_open()
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
        """Take a whole line, and yield the messages that end with it."""
        self._lines += 1
        if self._lines == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        line = line.strip(b" \t\r\n")
        if not line:
            self._give_up_open()
            return
        try:
            if len(line) > LINE_MAX_BYTES:
                raise LineError(f"longer than {LINE_MAX_BYTES} bytes")
            found = [*self._parsed(line)]
        except LineError as error:
            yield from self._goes_on(line, f"{error}: {excerpt(line)}")
            return
        self.good += 1
        yield from found

    def flush(self) -> Iterator[Observation]:
        """Yield the open message as far as it has come: no more of it is expected."""
        self._give_up_open()
        yield from self._events.end()

    def end(self) -> Iterator[Observation]:
        """Take it that the log is over, and yield the messages that are still open.

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
            found = jsonline.parse(line, self.name)
            yield from self.flush()
            yield from found
        elif line.startswith(b"["):
            yield from self._bracketed(line)
        else:
            raise LineError(f"expected {', '.join(_EXPECTED[:-1])} or {_EXPECTED[-1]}")

    def _bracketed(self, line: bytes) -> Iterator[Observation]:
        """Take a line of one of the paper's formats: ``[`` follows its number, or ``(`` does."""
        if line.partition(b"]")[2].lstrip(b" \t")[:1] == b"[":
            event = eventline.parse(line)
            self._give_up_open()
            for number, shown in event.reads:
                yield from self._events.take(number, shown)
            self._end_of(event)
            return
        number, sizes = sessionline.parse(line)
        yield from self.flush()
        yield Observation(id=self._numbering.name(number), sizes=sizes, source=self.name)

    def _end_of(self, event: EventLine) -> None:
        """Keep what an event line leaves open, and report what was not read of it."""
        if len(event.reads) > 1:
            self._events.side_by_side([number for number, _ in event.reads])
        if event.unread:
            self._open = b""
            self._bad(
                "expected another read only behind a text in quotes, with the next number and "
                f"a text in quotes, found {excerpt(event.unread)}"
            )
        else:
            self._open = event.open if len(event.open) <= _WRAPPED_MAX_BYTES else b""

    def _goes_on(self, line: bytes, problem: str) -> Iterator[Observation]:
        """Take a line that is of no known kind: the rest of a text that was wrapped, or a bad line.

        It is the rest if it closes the text that the last event line left open.
        """
        if not self._open:
            self._bad(problem)
            return
        self._held.append((self._lines, problem, line))
        wrapped = [self._open, *(held for _, _, held in self._held)]
        if sum(map(len, wrapped)) > _WRAPPED_MAX_BYTES or len(wrapped) > _WRAPPED_MAX_LINES:
            self._give_up_open()
            return
        joined = []
        for blanks in product((b" ", b""), repeat=len(self._held)):
            rest = (blank + held for blank, (_, _, held) in zip(blanks, self._held, strict=True))
            joined.append(eventline.parse(self._open + b"".join(rest)))
        event = max(joined, key=lambda one: one.reads[0][1].closed + one.reads[0][1].exact)
        if not event.reads[0][1].closed:
            return
        self._held.clear()
        self.good += 1
        (_, first), *others = event.reads
        self._events.correct(first)
        for number, shown in others:
            yield from self._events.take(number, shown)
        self._end_of(event)

    def _give_up_open(self) -> None:
        """Stop waiting for the end of an open text, and report the lines held back as its rest."""
        held, self._held, self._open = self._held, [], b""
        for number, problem, _ in held:
            self._bad(problem, number)

    def _unknown(self) -> InputError:
        if not self.bad:
            return InputError(
                f"{self.name}: empty; expected a capture, a server's log or observations"
            )
        return InputError(f"{self.name}: neither a capture nor a known log: {self._first_problem}")

    def _bad(self, problem: str, number: int | None = None) -> None:
        self.bad += 1
        bad = BadLine(self.name, number or self._lines, problem)
        if not self._first_problem:
            self._first_problem = f"line {bad.number}: {problem}"
        if self._complain is not None:
            self._complain(bad)
        if not self.good and self.bad >= BAD_LINES_MAX:
            raise self._unknown()


class _Numbering:
    """Names sessions by their number; a server that was restarted begins a second series."""

    def __init__(self) -> None:
        self._last = 0
        self._series = 1

    def name(self, number: int) -> str:
        if number <= self._last:
            self._series += 1
        self._last = number
        return str(number) if self._series == 1 else f"{self._series}.{number}"
