"""What of a program's session can be compared with another session of it, or of another version.

An aspect reads a value from a stored session: a tuple of texts. What differs from session to
session by itself has no place in a value: times, the lab's addresses, and the bytes of the message.
Lengths stay, and they vary where a program makes something up, such as a Message-ID. So an aspect
whose numbers are lengths also has a *shape*, the value without its numbers.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Literal

from seglab.core.record import SessionRecord
from seglab.core.text import one_line
from seglab.core.trace import first_sent, sizes
from seglab.core.written import writes_of

Value = tuple[str, ...]

_NUMBER: Final = re.compile(r"\d+")
_ADDRESS: Final = re.compile(r"\b\d+\.\d+\.\d+\.\d+\b|\b[0-9a-f]{1,4}(?::[0-9a-f]{0,4}){2,7}\b")
_FLAGS: Final = {0x40: "MSG_DONTWAIT", 0x4000: "MSG_NOSIGNAL", 0x8000: "MSG_MORE"}
"""Flags of a write call by their bits (``include/linux/socket.h``)."""


@dataclass(frozen=True, slots=True)
class Aspect:
    """Something that can be compared.

    Attributes:
        name: for people and for JSON.
        layer: ``program`` for what the program decides alone, ``wire`` for what also depends on
            when things happen on the way.
        read: takes it from a session.
        exact: whether each number counts; else numbers are lengths, which may vary.
        of_failed: whether sessions that failed have it as well.
    """

    name: str
    layer: Literal["program", "wire"]
    read: Callable[[SessionRecord], Value]
    exact: bool = False
    of_failed: bool = False

    def shape(self, value: Value) -> Value:
        """Return a value without the numbers that may vary."""
        return value if self.exact else tuple(_NUMBER.sub("0", text) for text in value)


def _outcome(record: SessionRecord) -> Value:
    code = "still running" if record.exit_code is None else f"exit code {record.exit_code}"
    if record.error is None:
        return record.status, code
    return record.status, code, _ADDRESS.sub("HOST", record.error)


def _options(record: SessionRecord) -> Value:
    return tuple(
        f"{option.action} {option.name}" + ("" if option.value is None else f"={option.value}")
        for option in record.options
    )


def _calls(record: SessionRecord) -> Value:
    """Return the calls that began a write: how often a full socket refused depends on the path."""
    begun = {write.start for write in writes_of(record.calls, record.mss)}
    return tuple(
        " ".join([call.name, *_flags(call.flags or 0)])
        for call in record.calls
        if call.end > call.start and call.start in begun
    )


def _flags(flags: int) -> Iterator[str]:
    for bit, name in _FLAGS.items():
        if flags & bit:
            yield name
    if rest := flags & ~sum(_FLAGS):
        yield hex(rest)


def _sizes_of(layer: Literal["writes", "reads"]) -> Callable[[SessionRecord], Value]:
    return lambda record: tuple(map(str, sizes(getattr(record, layer))))


ASPECTS: Final = (
    Aspect("outcome", "program", _outcome, exact=True, of_failed=True),
    Aspect("dialogue", "program", lambda record: record.dialogue),
    Aspect("options", "program", _options, exact=True),
    Aspect("header", "program", lambda record: tuple(f.name for f in record.header_fields)),
    Aspect("calls", "program", _calls, exact=True),
    Aspect("writes", "program", _sizes_of("writes")),
    Aspect("segments", "wire", lambda record: tuple(map(str, sizes(first_sent(record.segments))))),
    Aspect("reads", "wire", _sizes_of("reads")),
)
"""All that is compared, in the order in which it is shown."""


def words(value: Value, most: int | None = None) -> str:
    """Return a value as one line; equal texts that follow each other are counted.

    Args:
        value: to be shown.
        most: how many different ones that follow each other are shown; ``None`` shows all.
    """
    found = []
    for text, same in groupby(value):
        many = len(list(same))
        shown = one_line(text.replace("\n", " | "), None)
        found.append(f"{shown} x{many}" if many > 1 else shown)
    if most is not None and len(found) > most:
        found[most:] = [f"... ({len(value)} in all)"]
    return ", ".join(found) or "nothing"
