"""The steps of a sender: values that say what to do, and do nothing themselves.

An engine carries the steps out: in the kernel engine, one client module owns the socket. A test
reads them as a list.
"""

import math
from dataclasses import dataclass
from typing import Final, Literal, get_args


@dataclass(frozen=True, slots=True)
class Write:
    """Hand ``data`` to the socket in one write call.

    Attributes:
        data: at least one byte.
        payload: whether the bytes belong to the payload, whose stream the ranges of a trace
            count; ``False`` for SMTP commands.
        more: whether the call has MSG_MORE (send(2)): more will follow, so a last piece that fills
            no segment waits for it.
    """

    data: bytes
    payload: bool = True
    more: bool = False

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


def command(*lines: str) -> Write:
    """Make one write of SMTP commands, each a line with its CRLF; several are a group of RFC 2920.

    Raises:
        ValueError: a line holds more than one line, or is not ASCII.
    """
    for line in lines:
        if not line.isascii() or "\r" in line or "\n" in line:
            raise ValueError(f"an SMTP command is one line of ASCII, not {line!r}")
    return Write("".join(f"{line}\r\n" for line in lines).encode("ascii"), payload=False)
