"""The steps of a sender: values that say what to do, and do nothing themselves.

An engine carries the steps out: in the kernel engine, one client module owns the socket. A test
reads them as a list.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, get_args


@dataclass(frozen=True, slots=True)
class MssBuffer:
    """A buffer that a program makes fit the MSS, which it asks the kernel for (TCP_MAXSEG).

    Attributes:
        least_bytes: the buffer's size where the MSS is small.
        segments: the buffer holds as many full segments where that is more.
    """

    least_bytes: int
    segments: int

    def __post_init__(self) -> None:
        if self.least_bytes < 1 or self.segments < 0:
            raise ValueError(f"no buffer has {self.least_bytes} bytes, {self.segments} segments")

    def size_at(self, mss: int) -> int:
        """Return the buffer's size in bytes on a connection with this MSS."""
        return max(self.least_bytes, self.segments * mss)


@dataclass(frozen=True, slots=True)
class Write:
    """Hand ``data`` to the socket in one write call.

    Attributes:
        data: at least one byte.
        payload: whether the bytes belong to the payload, whose stream the ranges of a trace
            count; ``False`` for SMTP commands.
        more: whether the call has MSG_MORE (send(2)): more will follow, so a last piece that fills
            no segment waits for it.
        buffer: through which the program writes ``data``, so that there is a call each time it is
            full; ``None`` for one call.
    """

    data: bytes
    payload: bool = True
    more: bool = False
    buffer: MssBuffer | None = None

    def __post_init__(self) -> None:
        if not self.data:
            raise ValueError("a write of no bytes never reaches the wire")


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for ``seconds``, counted from the end of the step before."""

    seconds: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.seconds) and self.seconds >= 0):
            raise ValueError(f"cannot wait for {self.seconds} seconds")


SocketOption = Literal["nodelay", "cork"]
"""An option that a program may set while it writes: TCP_NODELAY or TCP_CORK (tcp(7))."""

SOCKET_OPTIONS: Final[tuple[SocketOption, ...]] = get_args(SocketOption)


@dataclass(frozen=True, slots=True)
class SetOption:
    """Set a socket option, or take it off.

    TCP_NODELAY sends at once what Nagle's algorithm holds back. TCP_CORK keeps back what fills no
    segment, and taking it off sends that.
    """

    name: SocketOption
    on: bool

    def __post_init__(self) -> None:
        if self.name not in SOCKET_OPTIONS:
            raise ValueError(f"a socket option is {' or '.join(SOCKET_OPTIONS)}, not {self.name!r}")


@dataclass(frozen=True, slots=True)
class Expect:
    """Wait for the server's whole reply, which must have this code (RFC 5321, 4.2)."""

    code: int


Step = Write | Wait | SetOption | Expect


def at_mss(script: Sequence[Step], mss: int) -> Sequence[Step]:
    """Return the steps that a program takes on a connection with this MSS, one a write call."""
    for step in script:
        if isinstance(step, Write) and step.buffer is not None:
            break
    else:
        return script
    return [call for step in script for call in calls_at_mss(step, mss)]


def calls_at_mss(step: Step, mss: int) -> Iterator[Step]:
    """Yield what a step is on a connection with this MSS: itself, or the calls of a write."""
    if not isinstance(step, Write) or step.buffer is None:
        yield step
        return
    size = step.buffer.size_at(mss)
    for start in range(0, len(step.data), size):
        yield Write(step.data[start : start + size], step.payload, step.more)


@lru_cache
def command(*lines: str) -> Write:
    """Make one write of SMTP commands, each a line with its CRLF; several are a group of RFC 2920.

    Raises:
        ValueError: a line holds more than one line, or is not ASCII.
    """
    for line in lines:
        if not line.isascii() or "\r" in line or "\n" in line:
            raise ValueError(f"an SMTP command is one line of ASCII, not {line!r}")
    return Write("".join(f"{line}\r\n" for line in lines).encode("ascii"), payload=False)
