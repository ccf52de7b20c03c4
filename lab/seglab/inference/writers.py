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
    BARE_LINE_BYTES,
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
_HEADERS_FIRST_BITS = 4.0
_BEHIND_NAGLE_BITS = 2.0
_FREE_ENDS_MAX = 12

BITS_MIN: Final = _SINGLE_WRITE_BITS + TERMINATOR_BITS_MIN
"""No hypothesis costs less."""


def unparametrised(features: Features) -> Iterator[Hypothesis]:
    """The writers with few parameters, each with and without a write for the end of data."""
    for make in (
        _single_write, _relay, _headers_then_body, _composed, _distinct_from, _custom_headers,
        _no_style,
    ):  # fmt: skip
        yield from make(features)


def _single_write(features: Features) -> Iterator[Hypothesis]:
    words = "the whole message at once"
    for one in with_terminators(features, "single_write", (), _SINGLE_WRITE_BITS, words):
        text = features.total - one.terminator_bytes
        if text > BUFFERS[-1]:
            yield one
        else:
            words = f"one write, or a buffer of {text} bytes or more that was not filled"
            yield one._replace(words=words, unfilled=text)


def _first_short_ends(features: Features, largest: int) -> Iterator[int]:
    """The suggested ends at which a first header field of its own may end."""
    limit = features.header_end or largest
    for cut in features.suggested_ends[:3]:
        if cut <= min(limit, largest):
            yield cut


def _relay(features: Features) -> Iterator[Hypothesis]:
    if features.headerless:
        return
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


def _composed(features: Features) -> Iterator[Hypothesis]:
    """The headers in a write, then a body in writes of any length: its parts, perhaps."""
    if features.header_end is None:
        return
    each = _each_free_end_bits(features)
    for start, bits, words in body_starts(features):
        cuts = tuple(cut for cut in features.suggested_ends if cut > start)
        if start in features.suggested_ends and cuts:
            yield from with_terminators(
                features,
                "headers_then_body",
                (start, *cuts),
                _HEADERS_FIRST_BITS + bits + each * len(cuts),
                words + " in writes of several lengths",
            )


def _distinct_from(features: Features) -> Iterator[Hypothesis]:
    if features.headerless:
        return
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
    if features.headerless:
        return
    if not features.fields:
        yield from _custom_blind(features)
        return
    header_end = features.header_end or features.fields[-1].end
    edges = _edges(features.fields)
    inside = [cut for cut in features.suggested_ends if cut <= header_end + EMPTY_LINE_BYTES]
    empty_lines = (EMPTY_LINE_BYTES, BARE_LINE_BYTES)
    body_starts = (header_end, *(header_end + size for size in empty_lines))
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
    if len(features.suggested_ends) == 1 and short and features.layer == "segments":
        bits = 2.0 + density_bits(short[0], 150, 0.9) + _BEHIND_NAGLE_BITS
        words = f"the headers in several writes: what came after the first (0:{short[0]}) waited"
        yield from with_terminators(features, "custom_headers", short, bits, words)
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
        edge
        for one in fields
        for edge in (one.start, one.end, *field_value(one), one.end - BARE_LINE_BYTES)
        if edge > 0
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


def _each_free_end_bits(features: Features) -> float:
    """The price of an end that no rule sets: a little less than the choice of a byte."""
    return math.log2(max(features.mss, 2)) - 1.0


def _no_style(features: Features) -> Iterator[Hypothesis]:
    """Writes of any length. Every style has to explain the sizes better than this.

    Each end costs a little less than the choice of a byte within a full segment, because even a
    writer of no style repeats itself.
    """
    each = _each_free_end_bits(features)
    at_ends = tuple(cut for cut in features.suggested_ends if cut in features.ends)
    for cuts in dict.fromkeys((features.suggested_ends, at_ends)):
        yield Hypothesis(None, cuts, 8.0 + each * len(cuts), "writes of no known style")
