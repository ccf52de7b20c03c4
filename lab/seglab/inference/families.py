"""Writers with one parameter that has many values: buffers, equal parts, lines.

Most of these writers have no chance. So each family asks ``may_matter`` before it makes one.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, pairwise
from typing import Final, Literal

from seglab.core.labels import Style
from seglab.core.trace import content_start
from seglab.inference.hypothesis import (
    BARE_LINE_BYTES,
    EMPTY_LINE_BYTES,
    TERMINATOR_BITS_MIN,
    Features,
    Hypothesis,
    body_starts,
    field_value,
    with_terminators,
)

BUFFERS: Final = (512, 1024, 2048, 4096, 8192, 16384, 32768, 65536)
"""Sizes of buffers that programmers choose."""

_BUFFER_BITS = 3.0
_BEGUN_BITS = 1.0  # a buffer that held commands already, as is known
_PERHAPS_BEGUN_BITS = 10.0  # the same, where nobody knows what came before the message
_PASSED_BITS = 6.0  # a body that a buffer has no room for, and its fields, do not go through it
_WRITES_MAX = 20_000
_PIECES_BITS = [(pieces, math.log2(pieces)) for pieces in range(2, 9)]
_LINES: Final[tuple[tuple[Literal["each", "few"], float, str], ...]] = (
    ("each", 2.0, "a write for each line"),
    ("few", 8.5, "a write for every few lines"),
)
_FREE_ENDS_MAX = 12

MayMatter = Callable[[float, Sequence[int] | None], bool]
"""Whether writers may have weight that cost at least so many bits and whose writes end there.

The ends leave out a write of the end of data. ``None`` stands for ends that are not known.
"""


def parametrised(features: Features, may_matter: MayMatter) -> Iterator[Hypothesis]:
    """The writers with such a parameter that ``may_matter`` accepts."""
    for make in (_body_in_buffers, _fixed_buffer, _line_by_line, _timed_writes):
        yield from make(features, may_matter)


def _body_in_buffers(features: Features, may_matter: MayMatter) -> Iterator[Hypothesis]:
    for start, bits, words in body_starts(features):
        said = words + " in writes of {size}"
        yield from _buffers(features, may_matter, "headers_then_body", start, 4.0 + bits, said)


def _fixed_buffer(features: Features, may_matter: MayMatter) -> Iterator[Hypothesis]:
    words = "a buffer of {size} bytes, emptied when full"
    yield from _buffers(features, may_matter, "fixed_buffer", 0, 2.0, words)
    yield from _begun_buffers(features, may_matter)
    start = content_start(features.header_end, features.fields)
    if start:
        words = (
            f"a buffer of {{size}} bytes that a longer body passed by, from its fields ({start})"
        )
        yield from _buffers(features, may_matter, "fixed_buffer", start, _PASSED_BITS, words)


def _begun_buffers(features: Features, may_matter: MayMatter) -> Iterator[Hypothesis]:
    """A buffer that held something when the message began: the commands before it, say.

    Where that is not known, the first end that shows tells how much, if the next one bears it out.
    """
    cuts = features.suggested_ends
    if features.before == 0 or not cuts or (features.before is None and features.layer == "reads"):
        return
    known = features.before is not None
    for size, size_bits in _sizes(features, 0 if known else cuts[0]):
        first = size - features.before % size if features.before is not None else cuts[0]
        if not known and (cuts[0] >= size or cuts[0] + size not in cuts):
            continue
        bits = 2.0 + size_bits + (_BEGUN_BITS if known else _PERHAPS_BEGUN_BITS)
        ends = range(first, features.total, size)
        if may_matter(bits + TERMINATOR_BITS_MIN, ends):
            words = f"a buffer of {size} bytes that held {size - first} when the message began"
            yield from with_terminators(features, "fixed_buffer", ends, bits, words, buffer=size)


def _buffers(
    features: Features, may_matter: MayMatter, style: Style, start: int, bits: float, words: str
) -> Iterator[Hypothesis]:
    """Writes of one size each; if ``start`` is not 0, a first write up to there comes before."""
    for size, size_bits in _sizes(features, start):
        if style == "fixed_buffer" and size < start:
            continue  # it would have been full before
        ends = range(start or size, features.total, size)
        if may_matter(bits + size_bits + TERMINATOR_BITS_MIN, ends):
            said = words.format(size=size)
            yield from with_terminators(features, style, ends, bits + size_bits, said, buffer=size)


def _sizes(features: Features, start: int) -> Iterator[tuple[int, float]]:
    """The sizes that a buffer may have which is filled from ``start`` on, with their bits."""
    sizes = dict.fromkeys(BUFFERS, _BUFFER_BITS)
    cuts = [cut for cut in features.suggested_ends if cut > start][:8]
    distances = {cut - start for cut in cuts[:3]}
    distances |= {later - earlier for earlier, later in pairwise(cuts)}
    if features.before and cuts and not start:
        distances.add(cuts[0] + features.before)
    if features.layer == "reads" and not start:
        distances |= {features.total // parts for parts in (2, 3, 4) if not features.total % parts}
    for size in distances:
        if size >= 64:
            sizes.setdefault(size, 7.0 if size % 256 == 0 or size % 1000 == 0 else 14.0)
    for size, bits in sizes.items():
        if start + size < features.total and (features.total - start) // size <= _WRITES_MAX:
            yield size, bits


def _line_by_line(features: Features, may_matter: MayMatter) -> Iterator[Hypothesis]:
    for lines, bits, words in _LINES:
        if may_matter(bits + TERMINATOR_BITS_MIN, None):
            ends = frozenset([*(one.end for one in features.fields), *_blank(features)])
            spans = tuple([(one.start, field_value(one)[0], one.end) for one in features.fields])
            yield from with_terminators(
                features,
                "line_by_line",
                (),
                bits,
                words,
                lines=lines,
                lines_known=ends,
                fields=spans,
            )


def _blank(features: Features) -> tuple[int, ...]:
    """Where the last header field ends, and the empty line after it."""
    end = features.header_end
    if end is None:
        return ()
    bare = end + BARE_LINE_BYTES
    return (end, end + EMPTY_LINE_BYTES, *((bare,) if bare in features.ends else ()))


def _timed_writes(features: Features, may_matter: MayMatter) -> Iterator[Hypothesis]:
    shown = frozenset(features.suggested_ends) if features.layer == "segments" else frozenset()
    for size in features.terminators:
        text = features.total - size
        for pieces, choice in _PIECES_BITS:
            if text < pieces:
                break
            bits = 4.0 + choice + features.terminator_bits(size)
            ends = tuple([text * number // pieces for number in range(1, pieces)])
            if (not shown or not shown.isdisjoint(ends)) and may_matter(bits, ends):
                yield Hypothesis(
                    "timed_writes",
                    (*ends, text) if size else ends,
                    bits,
                    f"{pieces} equal parts with pauses between them",
                    terminator_bytes=size,
                    paused=True,
                )
    cuts = features.suggested_ends[:_FREE_ENDS_MAX]
    free = math.log2(max(features.total, 2))
    if not {*cuts} <= {*features.pauses} or not may_matter(3.0 + free + TERMINATOR_BITS_MIN, None):
        return
    for count in range(1, min(len(cuts), 3) + 1):
        for chosen in combinations(cuts, count) if len(cuts) <= 4 else [cuts]:
            words = f"{len(chosen) + 1} parts with pauses between them"
            bits = 3.0 + free * len(chosen)
            yield from with_terminators(features, "timed_writes", chosen, bits, words, paused=True)
