"""How a server reads its sockets, as a value.

A read never splits a segment unless the reader's buffer is too small. But it merges all segments
that lie in the socket's receive buffer when the reader comes to read. How many these are depends
on how it reads.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from seglab.errors import nearest

KINDS = ("event-loop", "recv-loop")
MAX_BUFFER_BYTES = 1 << 24
MAX_TURN_US = 10_000_000.0


@dataclass(frozen=True, slots=True)
class Reader:
    """A way of reading.

    Attributes:
        kind: ``"event-loop"`` waits for all sockets at once in one thread and reads those that
            are ready, one after another, as libuv does under Node.js (``uv__read`` in
            ``src/unix/stream.c``). ``"recv-loop"`` has a thread for each connection, which waits
            in a blocking ``recv``.
        buffer_bytes: the size of the buffer of each ``recv``; libuv's is 64 KiB.
        turn_us: for how many microseconds the event loop's callback is busy with a connection
            after it read from it. The connection is not read again before that, and other
            connections do not have to wait. Zero stands for a callback that takes no time.
        wake_us: how many microseconds after a socket became readable the event loop reads it. What
            arrives within that time is one read. Zero stands for as soon as the machine can.

    Raises:
        ValueError: a value cannot be used; the message names the field.
    """

    kind: str = "event-loop"
    buffer_bytes: int = 65536
    turn_us: float = 0.0
    wake_us: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"reader kind: {self.kind!r}; {nearest(str(self.kind), KINDS)}")
        if not _is_number(self.buffer_bytes, int) or not 1 <= self.buffer_bytes <= MAX_BUFFER_BYTES:
            raise ValueError(
                f"reader buffer_bytes: expected 1 to {MAX_BUFFER_BYTES}, found {self.buffer_bytes}"
            )
        for name in ("turn_us", "wake_us"):
            value = getattr(self, name)
            if not _is_number(value, (int, float)) or not 0 <= value <= MAX_TURN_US:
                raise ValueError(
                    f"reader {name}: expected 0 to {MAX_TURN_US:.0f} microseconds, found {value}"
                )
            if value and self.kind != "event-loop":
                raise ValueError(
                    f"reader {name}: only an event-loop has one, found {value} "
                    f"for a {self.kind}; leave it out"
                )

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> "Reader":
        """The reader that a scenario file or a message describes.

        Raises:
            ValueError: a key is unknown or a value cannot be used.
        """
        known = [field.name for field in fields(cls)]
        for key in mapping:
            if key not in known:
                raise ValueError(f"reader: unknown key {key!r}; {nearest(key, known)}")
        return cls(**mapping)


def _is_number(value: object, kinds: type | tuple[type, ...]) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)
