"""What the holes of an observation may hide: styles that what was captured cannot rule out.

A hole is no evidence. The alignment lets writes end in it for nothing (``likelihood``), so a style
that needs an end there is neither better nor worse. What is left to do is to name the styles whose
ends would *all* lie in holes. The search does not make them, because nothing suggests where their
writes end.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from seglab.core.labels import Style
from seglab.core.observation import Observation

BY_HEADER: Final[frozenset[Style]] = frozenset(
    {"relay", "headers_then_body", "distinct_from", "custom_headers"}
)
"""The styles that only the header's fields tell apart."""

_HEADER_MAX_BYTES = 16_384
"""A hole that begins behind so many bytes hides no header, wherever that ends."""

_PIECES_MAX = 9

_Spans = Sequence[tuple[int, int]]


def hidden_styles(observation: Observation) -> frozenset[Style]:
    """Return the styles whose writes may all have ended in holes, without any trace."""
    holes = observation.holes
    return frozenset(_hidden(observation, holes)) if holes else frozenset()


def _hidden(observation: Observation, holes: _Spans) -> Iterator[Style]:
    total = observation.total_bytes
    first = holes[0][0]
    if observation.fields is None or observation.fields:
        end = observation.header_end
        if first <= (_HEADER_MAX_BYTES if end is None else end):
            yield from BY_HEADER
    if not first:  # behind a first line in the hole, Nagle's algorithm fills segments with lines
        yield "line_by_line"
    if any(_all_within(range(end, total, end), holes) for _, end in holes):
        yield "fixed_buffer"
    for pieces in range(2, _PIECES_MAX):
        if _all_within([total * n // pieces for n in range(1, pieces)], holes):
            yield "timed_writes"


def _all_within(ends: Sequence[int], holes: _Spans) -> bool:
    """Return whether all these ends lie in holes, or where one begins or ends."""
    return all(any(low <= end <= high for low, high in holes) for end in ends)
