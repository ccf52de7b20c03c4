"""What a program said to the server beside its message, write by write: pure."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

WRITES_MAX: Final = 200
"""How many writes are kept."""

WRITE_MAX_CHARACTERS: Final = 1000
"""How much of each write is kept."""

_STREAM_MAX_BYTES: Final = 1 << 20
_SECRET: Final = re.compile(r"(?im)^(AUTH[ \t]+\S+)[ \t].*$")


def dialogue(
    calls: Iterable[Sequence[Any]],
    payload: tuple[int, int],
    sent: Mapping[tuple[int, int], bytes],
    names: Mapping[str, str],
) -> list[str]:
    """Return what each write carried outside of the payload.

    Args:
        calls: the write calls of the connection: when, which, first byte, byte after the last...
        payload: the payload's range in the connection's stream.
        sent: the bytes of some ranges of that stream.
        names: what to put in the place of an address, which differs from session to session.

    Returns:
        A text for each write. CRLF is a newline, and the last one is left out. The secret that is
        given with AUTH is left out.
    """
    found = []
    for _, _, start, end, *_ in calls:
        for low, high in outside(start, end, payload):
            text = _bytes(low, high, sent).decode("utf-8", "replace").replace("\r\n", "\n")
            text = _SECRET.sub(r"\1 ***", text.removesuffix("\n"))
            for address, name in names.items():
                text = text.replace(address, name)
            found.append(text[:WRITE_MAX_CHARACTERS])
    return found[:WRITES_MAX]


def outside(start: int, end: int, payload: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Yield the parts of a range that are not of the payload."""
    before, after = (start, min(end, payload[0])), (max(start, payload[1]), end)
    yield from (part for part in dict.fromkeys((before, after)) if part[0] < part[1])


def ranges(payload: tuple[int, int], written: int) -> list[tuple[int, int]]:
    """Return the ranges of a connection's stream that are commands, as far as they are looked at.

    Args:
        payload: the payload's range; empty where there is none.
        written: the length of the stream.
    """
    if payload[0] == payload[1]:
        return [(0, min(written, _STREAM_MAX_BYTES))]
    found = [(0, payload[0]), (payload[1], written)]
    return [(low, min(high, low + _STREAM_MAX_BYTES)) for low, high in found if low < high]


def _bytes(start: int, end: int, sent: Mapping[tuple[int, int], bytes]) -> bytes:
    for (low, high), data in sent.items():
        if low <= start < high:
            return data[start - low : end - low]
    return b""
