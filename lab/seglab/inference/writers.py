"""Writers with few parameters: for each style, where its writes would end in this message.

Writers with a parameter of many values are in ``families``. All are made from ``Features``, and
from nothing else.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from seglab.core.trace import HeaderField
from seglab.inference.families import BUFFERS
from seglab.inference.hypothesis import (
    EMPTY_LINE_BYTES,
    TERMINATOR_BITS_MIN,
    Features,
    Hypothesis,
    body_starts,
    density_bits,
    field_value,
    with_terminators,
)

_SINGLE_WRITE_BITS = 1.0
_FREE_ENDS_MAX = 12

BITS_MIN: Final = _SINGLE_WRITE_BITS + TERMINATOR_BITS_MIN
"""No hypothesis costs less."""


def unparametrised(features: Features) -> Iterator[Hypothesis]:
    """The writers with few parameters, each with and without a write for the end of data."""
    for make in (
        _single_write, _relay, _headers_then_body, _distinct_from, _custom_headers,
        _unfilled_buffer, _no_style,
    ):  # fmt: skip
        yield from make(features)


def _single_write(features: Features) -> Iterator[Hypothesis]:
    words = "the whole message at once"
    yield from with_terminators(features, "single_write", (), _SINGLE_WRITE_BITS, words)


def _first_short_ends(features: Features, largest: int) -> Iterator[int]:
    """The suggested ends at which a first header field of its own may end."""
    limit = features.header_end or largest
    for cut in features.suggested_ends[:3]:
        if cut <= min(limit, largest):
            yield cut


def _relay(features: Features) -> Iterator[Hypothesis]:
    if features.fields:
        first = features.fields[0]
        if first.name.lower() == "received" and first.start == 0:
            words = f"its own Received field (0:{first.end}), then the rest"
            yield from with_terminators(features, "relay", (first.end,), 2.0, words)
        return
    for cut in _first_short_ends(features, 1000):
        words = f"a first field of its own (0:{cut}), then the rest"
        bits = 2.0 + density_bits(cut, 150, 0.45)
        yield from with_terminators(features, "relay", (cut,), bits, words)


def _headers_then_body(features: Features) -> Iterator[Hypothesis]:
    for start, bits, words in body_starts(features):
        yield from with_terminators(features, "headers_then_body", (start,), 2.0 + bits, words)


def _distinct_from(features: Features) -> Iterator[Hypothesis]:
    if features.fields:
        for one in features.fields:
            if one.name.lower() == "from":
                words = f"the From field ({one.start}:{one.end}) by itself"
                cuts = (one.start, one.end)
                yield from with_terminators(features, "distinct_from", cuts, 2.0, words)
        return
    for cut in _first_short_ends(features, 400):
        words = f"a short first field (0:{cut}) by itself"
        bits = 2.0 + density_bits(cut, 60, 0.4)
        yield from with_terminators(features, "distinct_from", (cut,), bits, words)


def _custom_headers(features: Features) -> Iterator[Hypothesis]:
    if not features.fields:
        yield from _custom_blind(features)
        return
    header_end = features.header_end or features.fields[-1].end
    edges = _edges(features.fields)
    inside = [cut for cut in features.suggested_ends if cut <= header_end + EMPTY_LINE_BYTES]
    body_starts = (header_end, header_end + EMPTY_LINE_BYTES)
    at_edges = tuple(cut for cut in inside if cut in edges or cut in body_starts)
    choice = math.log2(len(features.fields)) + 2.0
    if any(cut in edges and cut < header_end for cut in at_edges):
        bits = 2.0 + choice * (1 + len(at_edges)) / 2
        words = "single headers by themselves: " + _named(features.fields, at_edges)
        yield from with_terminators(features, "custom_headers", at_edges, bits, words)
    if features.layer == "reads":
        yield from _custom_joined(features, header_end)


def _custom_joined(features: Features, header_end: int) -> Iterator[Hypothesis]:
    """A header field by itself, which the reader may have joined with its neighbours.

    Then nothing shows which field it was. So one field stands for all, and its choice is free.
    """
    one = next((f for f in features.fields if f.name.lower() == "subject"), features.fields[-1])
    for cuts in ((one.start, one.end), field_value(one)):
        for apart in (False, True):
            ends = (*cuts, header_end + EMPTY_LINE_BYTES) if apart else cuts
            yield from with_terminators(
                features,
                "custom_headers",
                tuple(sorted({*ends})),
                4.0,
                "single headers by themselves, joined by the reader",
            )


def _custom_blind(features: Features) -> Iterator[Hypothesis]:
    """Several short writes first, for a header whose fields are not known."""
    header_end = features.header_end
    limit = features.mss if header_end is None else header_end + EMPTY_LINE_BYTES
    short = [cut for cut in features.suggested_ends if cut <= limit][:_FREE_ENDS_MAX]
    for count in range(2, len(short) + 1):
        cuts = tuple(short[:count])
        sizes = (end - start for start, end in pairwise((0, *cuts)))
        bits = 2.0 + sum(density_bits(size, 150, 0.9) for size in sizes)
        yield from with_terminators(
            features, "custom_headers", cuts, bits, f"the headers in {count} writes"
        )


def _edges(fields: Sequence[HeaderField]) -> frozenset[int]:
    """Where header fields and their values begin and end."""
    return frozenset(
        edge for one in fields for edge in (one.start, one.end, *field_value(one)) if edge > 0
    )


def _named(fields: Sequence[HeaderField], cuts: Sequence[int]) -> str:
    """The names of the header fields that ``cuts`` separate from the others, for people."""
    touched = [
        one.name
        for one in fields
        if ((one.start in cuts or not one.start) and one.end in cuts)
        or {*field_value(one)} <= {*cuts}
    ]
    return ", ".join(touched[:4]) or "at their edges"


def _unfilled_buffer(features: Features) -> Iterator[Hypothesis]:
    enough = next((size for size in BUFFERS if size >= features.total), None)
    if enough is not None:
        words = f"a buffer of {enough} bytes or more, which the message did not fill"
        yield from with_terminators(features, "fixed_buffer", (), 5.0, words)


def _no_style(features: Features) -> Iterator[Hypothesis]:
    """Writes of any length. Every style has to explain the sizes better than this.

    Each end costs a little less than the choice of a byte within a full segment, because even a
    writer of no style repeats itself.
    """
    each = math.log2(max(features.mss, 2)) - 1.0
    at_ends = tuple(cut for cut in features.suggested_ends if cut in features.ends)
    for cuts in dict.fromkeys((features.suggested_ends, at_ends)):
        yield Hypothesis(None, cuts, 8.0 + each * len(cuts), "writes of no known style")
