"""Makes a failing input smaller, as long as it fails in the same way."""

import time
from collections.abc import Callable


def minimise(
    data: bytes,
    units: Callable[[bytes], list[bytes]],
    fails: Callable[[bytes], bool],
    seconds: float,
) -> bytes:
    """Return a part of ``data`` that still fails: first fewer units of it, then fewer bytes.

    Args:
        data: an input that fails.
        units: cuts it into parts that join to it.
        fails: whether an input fails in the same way.
        seconds: how long to go on.
    """
    until = time.monotonic() + seconds
    for cut in (units, lambda whole: [whole[at : at + 1] for at in range(len(whole))]):
        data = b"".join(_fewer(cut(data), fails, until))
    return data


def _fewer(parts: list[bytes], fails: Callable[[bytes], bool], until: float) -> list[bytes]:
    """Leave parts out, first many at a time (delta debugging after Zeller)."""
    step = max(1, len(parts) // 2)
    while step and time.monotonic() < until:
        at = 0
        while at < len(parts) and time.monotonic() < until:
            shorter = parts[:at] + parts[at + step :]
            if shorter and fails(b"".join(shorter)):
                parts = shorter
            else:
                at += step
        step //= 2
    return parts
