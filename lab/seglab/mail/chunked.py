"""A message that was sent in chunks (RFC 3030): where the commands lie between the chunks.

The lab counts such a message from the first byte of its first chunk to the last byte of its last
one. The BDAT command of the first chunk lies before that, and those of the others lie inside.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from seglab.core.written import Command

_BDAT: Final = re.compile(rb"BDAT[ \t]+(\d{1,18})(?:[ \t]+LAST)?[ \t]*\r?\n", re.I)
_COMMAND: Final = re.compile(rb"[^\n]*\n")
_LINE_MAX_BYTES: Final = 512  # RFC 5321, 4.5.3.1.4


def first_chunk_bytes(before: bytes) -> int | None:
    """Return the size of the first chunk.

    Args:
        before: the client's stream up to the payload, or the end of it.

    Returns:
        ``None`` where the last command before the payload is not BDAT.
    """
    line = before[-_LINE_MAX_BYTES:].splitlines(keepends=True)[-1:]
    match = _BDAT.fullmatch(line[0]) if line else None
    return None if match is None else int(match[1])


def commands_in(payload: bytes, first_bytes: int) -> Iterator[Command]:
    """Yield the commands that lie in a payload.

    Args:
        payload: from the first byte of the first chunk on.
        first_bytes: the size of the first chunk.
    """
    at, left = first_bytes, 0
    while at < len(payload):
        command = _COMMAND.match(payload, at)
        if command is None:
            return
        yield command.span()
        chunk = _BDAT.fullmatch(command[0])
        left = 0 if chunk is None else int(chunk[1])
        at = command.end() + left


def without(payload: bytes, commands: Sequence[Command]) -> bytes:
    """Return the message: the payload without the commands in it."""
    kept, at = [], 0
    for start, end in commands:
        kept.append(payload[at:start])
        at = end
    return b"".join([*kept, payload[at:]])
