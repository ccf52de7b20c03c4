"""Joins the reads of an event log into messages."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from seglab.core.observation import SIZES_MAX, Observation
from seglab.logs.eventline import Shown
from seglab.logs.visible import FIELD_NAME, HIDDEN_MAX, header_of

_READS_LOOKED_AT = 256
_END_OF_DATA = b"\r\n.\r\n"


@dataclass(slots=True)
class _OpenMessage:
    """The reads of one payload, as far as they have come."""

    first: int
    sizes: list[int] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)
    before: bytes = b""
    end: bytes = b""
    closed: bool = True
    cut: bool = False
    notes: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def add_end(self, shown: Shown) -> None:
        """Keep the last five bytes of the message, of which a read may bring only some."""
        known = shown.head if shown.tail is None else shown.tail
        self.end = ((self.end if shown.tail is None else b"") + known)[-len(_END_OF_DATA) :]
        self.closed = shown.closed


class MessageJoiner:
    """Joins event lines into messages: a new message begins where the number returns to 1."""

    def __init__(self, name: str) -> None:
        """Args: name of the log."""
        self._name = name
        self._count = 0
        self._last = 0
        self._message: _OpenMessage | None = None

    def take(self, number: int, shown: Shown) -> Iterator[Observation]:
        """Take a read, and yield the message before it if this read begins another."""
        if number == 1 or self._message is None:
            yield from self.end()
            self._message = _OpenMessage(number)
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
        message.before = message.end
        message.add_end(shown)

    def correct(self, shown: Shown) -> None:
        """Replace what is shown of the last read, of which more is known now."""
        message = self._message
        if message is None or message.cut:
            return
        if len(message.shown) == len(message.sizes):
            message.shown[-1] = shown
        message.end = message.before
        message.add_end(shown)

    def side_by_side(self, numbers: Sequence[int]) -> None:
        """Note in the open message that the last reads stood on one line."""
        first = max(index for index, number in enumerate(numbers) if number in (1, numbers[0]))
        message = self._message
        if message is not None and numbers[first] < numbers[-1] and len(message.remarks) < 8:
            message.remarks.append(f"reads {numbers[first]} to {numbers[-1]} stand on one line")

    def end(self) -> Iterator[Observation]:
        """Yield the open message, if there is one: no more reads of it come."""
        message, self._message = self._message, None
        if message is None:
            return
        self._count += 1
        header = header_of(message.shown)
        notes = [*message.notes, *message.remarks]
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


def _complete(message: _OpenMessage) -> bool | None:
    """Return whether the text ends as mail does; ``None`` where that is not known.

    A text that does not begin as mail may be something else. Of a text that is not closed, the end
    may be missing.
    """
    if message.end == _END_OF_DATA or (message.end, sum(message.sizes)) == (b".\r\n", 3):
        return True
    begins_as_mail = bool(message.shown) and FIELD_NAME.match(message.shown[0].head)
    return False if begins_as_mail and message.closed else None
