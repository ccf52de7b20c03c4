"""The calls by which a server program read one connection, as values."""

import msgspec


class ServerCall(msgspec.Struct, frozen=True, array_like=True):
    """One call that read from a connection, or tried to.

    Attributes:
        began_ns: when it began; a blocking one begins before its bytes arrive.
        t_ns: when the kernel had the result.
        name: the system call's.
        asked_bytes: how many bytes it asked for; ``None`` where the trace does not show that.
        result: how many bytes it took; 0 at the end of the stream; below zero, the error's number.
        peek: whether it left the bytes where they were.
        waited: the call by which this thread last waited, such as ``poll``; empty where it never
            did.
        woken_ns: when that call returned; 0 without one.
    """

    began_ns: int
    t_ns: int
    name: str
    asked_bytes: int | None
    result: int
    peek: bool = False
    waited: str = ""
    woken_ns: int = 0

    def after(self, t_ns: int) -> "ServerCall":
        """Return the call with times that count from ``t_ns``."""
        woken_ns = self.woken_ns - t_ns if self.waited else 0
        return msgspec.structs.replace(
            self, began_ns=self.began_ns - t_ns, t_ns=self.t_ns - t_ns, woken_ns=woken_ns
        )


class SetOption(msgspec.Struct, frozen=True, array_like=True):
    """An option that a program set on the descriptor of a connection: its level and number."""

    level: int
    number: int


class ServerReading(msgspec.Struct, frozen=True):
    """How a server program read one session.

    Attributes:
        program: its name.
        version: its version.
        payload: where the payload lies in the client's stream.
        calls: all calls that read, in order; their times count from the session's beginning.
        options: the options that were set on the connection's descriptor.
    """

    program: str
    version: str
    payload: tuple[int, int]
    calls: tuple[ServerCall, ...]
    options: tuple[SetOption, ...] = ()


def spans(calls: "tuple[ServerCall, ...] | list[ServerCall]") -> list[tuple[int, int, int]]:
    """Return the reads that took bytes: when, and their ranges in the client's stream."""
    found, position = [], 0
    for call in calls:
        if call.result > 0 and not call.peek:
            found.append((call.t_ns, position, position + call.result))
            position += call.result
    return found
