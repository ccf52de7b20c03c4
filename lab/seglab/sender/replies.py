"""The server's replies as they arrive at an SMTP client (RFC 5321, 4.2), without a socket."""

from functools import lru_cache
from typing import Final

REPLY_MAX_BYTES: Final = 1 << 16
_KEPT: Final = 256  # sessions of one script get the same replies


class ReplyError(Exception):
    """The server's reply is not the one that is awaited; the message says what it is."""


class Replies:
    """The bytes from the server that the client has not taken as replies yet."""

    __slots__ = ("_pending",)

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, chunk: bytes | bytearray) -> None:
        """Take what a read returned.

        Raises:
            ReplyError: more has arrived than any reply may have.
        """
        self._pending += chunk
        if len(self._pending) > REPLY_MAX_BYTES:
            raise ReplyError(f"the server's reply is longer than {REPLY_MAX_BYTES} bytes")

    def take(self, expected: int) -> bool:
        """Take the first reply; return whether all of it was there.

        Args:
            expected: the code that it must have.

        Raises:
            ReplyError: the reply has another code.
        """
        if not self._pending:
            return False
        rest = _behind_first(self._pending, expected)
        if rest is None:
            return False
        self._pending = rest
        return True


@lru_cache(_KEPT)
def _behind_first(rest: bytes, expected: int) -> bytes | None:
    """Return what follows the first reply; ``None`` where not all of it is there.

    Raises:
        ReplyError: its code is another one than ``expected``.
    """
    while rest:
        line, ended, rest = rest.partition(b"\r\n")
        if not ended:
            return None
        if line[3:4] != b"-":
            if line[:3] != b"%d" % expected:
                raise ReplyError(f"the server replied {line[:80]!r} where {expected} was expected")
            return rest
    return None
