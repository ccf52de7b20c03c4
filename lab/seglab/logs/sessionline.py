"""Reads a line of the paper's session format, ``[2] (1) 4320 (2) 800``, with blanks or tabs."""

import re

from seglab.core.observation import SIZE_MAX, SIZES_MAX
from seglab.logs.badline import LineError

EXPECTED = "a session as [number] (1) bytes (2) bytes ..."

_HEAD = re.compile(rb"\s*\[\s*([0-9]{1,12})\s*\]\s*(?=\()")
_READ = re.compile(rb"\(\s*([0-9]{1,7})\s*\)\s*([0-9]{1,13})(?![0-9])\s*")


def parse(line: bytes) -> tuple[int, tuple[int, ...]]:
    """Return the number of a session, and the sizes of its reads.

    Raises:
        LineError: the line is not of that form, or a number in it cannot be.
    """
    head = _HEAD.match(line)
    if head is None:
        raise LineError(f"expected {EXPECTED}")
    at, sizes = head.end(), list[int]()
    while at < len(line):
        read = _READ.match(line, at)
        if read is None:
            raise LineError(f"expected {EXPECTED}, found something else at column {at + 1}")
        number, size = int(read[1]), int(read[2])
        if number != len(sizes) + 1:
            raise LineError(f"expected read ({len(sizes) + 1}), found ({number})")
        if not 0 < size <= SIZE_MAX:
            raise LineError(f"expected bytes from 1 to {SIZE_MAX}, found {size}")
        if number > SIZES_MAX:
            raise LineError(f"expected at most {SIZES_MAX} reads")
        sizes.append(size)
        at = read.end()
    return int(head[1]), tuple(sizes)
