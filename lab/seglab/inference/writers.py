"""Who may have written: for each style, where its writes would end.

A hypothesis is one instance of a style's grammar, with what its parameters cost in bits. A style
pays for what it leaves open: a cut at the end of a field costs the choice of the field, a cut
anywhere costs the choice of a byte.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any, Final, Literal, NamedTuple

from seglab.core.labels import Style
from seglab.core.observation import Layer, Observation
from seglab.core.trace import HeaderField

UNFOLDED_BYTES: Final = 40
"""A header field up to here is one line: folding it would help nobody (RFC 5322, 2.1.1)."""

TERMINATORS_BYTES: Final = (0, 5, 3)
"""End of data: with the body, or `CRLF . CRLF` or `. CRLF` in a write of its own."""

BUFFERS: Final = (512, 1024, 2048, 4096, 8192, 16384, 32768, 65536)
"""Sizes that programmers choose."""

_TERMINATOR_BITS = {0: 0.7, 5: 2.2, 3: 3.2}
_TERMINATOR_BITS_MIN = min(_TERMINATOR_BITS.values())
_SINGLE_WRITE_BITS = 1.0
_BUFFER_BITS = 3.0
_FOLDED_BYTES = 60
_WRITES_MAX = 20_000
_FIELDS_MAX = 64
_PIECES_BITS = [(pieces, math.log2(pieces)) for pieces in range(2, 9)]
_LINES: Final[tuple[tuple[Literal["each", "few"], float, str], ...]] = (
    ("each", 2.0, "a write for each line"),
    ("few", 8.5, "a write for every few lines"),
)
_FREE_CUTS_MAX = 12

_EMPTY_LINE = 2

BITS_MIN: Final = _SINGLE_WRITE_BITS + _TERMINATOR_BITS_MIN
"""No hypothesis costs less."""

Worth = Callable[[float, Sequence[int] | None], bool]
"""Whether writers of at least so many bits, with these ends of writes, may matter: so that others
are not even made. A terminator of its own is not among the ends, which ``None`` leaves open."""

_STYLES: Final[tuple[Style | None, ...]] = (
    "single_write", "relay", "headers_then_body", "distinct_from", "custom_headers",
    "fixed_buffer", "line_by_line", "timed_writes", None,
)  # fmt: skip
RANKS: Final = {style: rank for rank, style in enumerate(_STYLES)}
"""Which style goes first where two explain something equally well."""


class Hypothesis(NamedTuple):
    """One way in which the message may have been written.

    Attributes:
        style: the style; ``None`` for writes that no style explains.
        ends: offsets inside the message where writes end, rising.
        bits: the code length of the choice.
        words: what the parameters are, for people.
        terminator_bytes: how much of the end of data has its own write.
        buffer: the size of a buffer that was filled again and again.
        lines: after each line, or every few, where that is how writes end; the ends in the body
            are unknown, and not in ``ends``.
        paused: whether the sender pauses between its writes.
        lines_known: where lines are known to end.
        fields: where the header fields stand, their values, and where they end.
    """

    style: Style | None
    ends: tuple[int, ...]
    bits: float
    words: str
    terminator_bytes: int = 0
    buffer: int | None = None
    lines: Literal["each", "few"] | None = None
    paused: bool = False
    lines_known: frozenset[int] = frozenset()
    fields: tuple[tuple[int, int, int], ...] = ()

    def amid_line(self, offset: int) -> bool | None:
        """Whether no line ends here, amid a header field; ``None`` where it may be folded.

        None ends within a field's name or right before its last CRLF, nor in a short field.
        """
        for start, value, end in self.fields:
            if start < offset < end:
                short = end - start <= UNFOLDED_BYTES
                return True if short or offset <= value or offset >= end - 2 else None
        return False

    def lines_between(self, start: int, end: int) -> tuple[int, float]:
        """The fewest and the most lines that a piece may have, as far as the header tells."""
        inside = [(a, b) for a, _, b in self.fields if start <= a and b <= end]
        fewest = max(sum(start < known <= end for known in self.lines_known), 1)
        if not inside or inside[0][0] != start or inside[-1][1] != end:
            return fewest, math.inf
        return fewest, sum(1 + (b - a) // _FOLDED_BYTES for a, b in inside)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the hypotheses are made from.

    Attributes:
        total: length of the message.
        cuts: offsets at which the sizes suggest that a write ended, rising.
        pauses: those of them behind which the sender was silent though a full segment followed,
            which Nagle's algorithm never holds back.
        header_end: of the observation.
        fields: of the observation.
        mss: bytes of a full segment.
        layer: whether the sizes are segments' or reads'.
        complete: whether the message's end was seen.
        last_start: where the last size begins.
        ends: where each size ends.
    """

    total: int
    cuts: tuple[int, ...]
    pauses: tuple[int, ...]
    header_end: int | None
    fields: tuple[HeaderField, ...]
    mss: int
    layer: Layer
    complete: bool
    last_start: int
    ends: frozenset[int]


def seen(observation: Observation, cuts: Sequence[int], pauses: Sequence[int], mss: int) -> Seen:
    """The observation with the cuts that its sizes suggest, and the pauses that its times do."""
    return Seen(
        observation.total_bytes,
        tuple(cuts),
        tuple(pauses),
        observation.header_end,
        (observation.fields or ())[:_FIELDS_MAX],
        mss,
        observation.layer,
        observation.complete is not False,
        observation.total_bytes - observation.sizes[-1],
        frozenset(observation.ends),
    )


def plain(known: Seen) -> Iterator[Hypothesis]:
    """Those with few parameters, each with and without a terminator of its own."""
    for make in (
        _single_write, _relay, _headers_then_body, _distinct_from, _custom_headers,
        _unfilled_buffer, _anyhow,
    ):  # fmt: skip
        yield from make(known)


def parametric(known: Seen, worth: Worth) -> Iterator[Hypothesis]:
    """Those with a parameter that has many values, most of which ``worth`` should decline."""
    for make in (_body_in_buffers, _fixed_buffer, _line_by_line, _timed_writes):
        yield from make(known, worth)


def hidden_terminators(known: Seen, one: Hypothesis) -> Iterator[tuple[int, float]]:
    """Sizes of an end of data of its own that may be within the last size; bits of the writers."""
    if one.style is None or one.terminator_bytes or not known.complete:
        return
    for size in TERMINATORS_BYTES[1:]:
        if known.total - size > known.last_start:
            yield size, one.bits + _TERMINATOR_BITS[size] - _TERMINATOR_BITS[0]


def with_hidden_terminator(known: Seen, one: Hypothesis, size: int) -> Hypothesis:
    """The same writer with an end of data of its own, of so many bytes, within the last size."""
    text_end = known.total - size
    return one._replace(
        ends=(*(end for end in one.ends if end < text_end), text_end),
        bits=one.bits + _TERMINATOR_BITS[size] - _TERMINATOR_BITS[0],
        terminator_bytes=size,
    )


def _with_terminators(
    known: Seen, style: Style | None, cuts: Sequence[int], bits: float, words: str, **more: Any
) -> Iterator[Hypothesis]:
    """The hypothesis with the end of data in the last write, and in a write that shows."""
    for size in TERMINATORS_BYTES:
        text_end = known.total - size
        if size and (text_end != known.last_start or not known.complete):
            continue
        ends = tuple(cut for cut in cuts if 0 < cut < text_end)
        yield Hypothesis(
            style,
            (*ends, text_end) if size else ends,
            bits + _TERMINATOR_BITS[size],
            words,
            terminator_bytes=size,
            **more,
        )


def _single_write(known: Seen) -> Iterator[Hypothesis]:
    words = "the whole message at once"
    yield from _with_terminators(known, "single_write", (), _SINGLE_WRITE_BITS, words)


def _first_cuts(known: Seen, largest: int) -> Iterator[int]:
    limit = known.header_end or largest
    for cut in known.cuts[:3]:
        if cut <= min(limit, largest):
            yield cut


def _relay(known: Seen) -> Iterator[Hypothesis]:
    if known.fields:
        first = known.fields[0]
        if first.name.lower() == "received" and first.start == 0:
            words = f"its own Received field (0:{first.end}), then the rest"
            yield from _with_terminators(known, "relay", (first.end,), 2.0, words)
        return
    for cut in _first_cuts(known, 1000):
        words = f"a first field of its own (0:{cut}), then the rest"
        bits = 2.0 + _density_bits(cut, 150, 0.45)
        yield from _with_terminators(known, "relay", (cut,), bits, words)


def _body_starts(known: Seen) -> Iterator[tuple[int, float, str]]:
    """Where the body may begin, with its bits, and the words for it."""
    if known.header_end is not None:
        starts = [(known.header_end + extra, 1.0) for extra in (0, _EMPTY_LINE)]
    else:
        starts = [(cut, _density_bits(cut, 600, 0.6)) for cut in known.cuts[:3]]
    for start, bits in starts:
        if 0 < start < known.total:
            yield start, bits, f"the headers (0:{start}), then the body"


def _headers_then_body(known: Seen) -> Iterator[Hypothesis]:
    for start, bits, words in _body_starts(known):
        yield from _with_terminators(known, "headers_then_body", (start,), 2.0 + bits, words)


def _body_in_buffers(known: Seen, worth: Worth) -> Iterator[Hypothesis]:
    for start, bits, words in _body_starts(known):
        said = words + " in writes of {size}"
        yield from _buffers(known, worth, "headers_then_body", start, 4.0 + bits, said)


def _distinct_from(known: Seen) -> Iterator[Hypothesis]:
    if known.fields:
        for one in known.fields:
            if one.name.lower() == "from":
                words = f"the From field ({one.start}:{one.end}) by itself"
                cuts = (one.start, one.end)
                yield from _with_terminators(known, "distinct_from", cuts, 2.0, words)
        return
    for cut in _first_cuts(known, 400):
        words = f"a short first field (0:{cut}) by itself"
        bits = 2.0 + _density_bits(cut, 60, 0.4)
        yield from _with_terminators(known, "distinct_from", (cut,), bits, words)


def _custom_headers(known: Seen) -> Iterator[Hypothesis]:
    if not known.fields:
        yield from _custom_blind(known)
        return
    header_end = known.header_end or known.fields[-1].end
    edges = _edges(known.fields)
    inside = [cut for cut in known.cuts if cut <= header_end + _EMPTY_LINE]
    body_starts = (header_end, header_end + _EMPTY_LINE)
    at_edges = tuple(cut for cut in inside if cut in edges or cut in body_starts)
    choice = math.log2(len(known.fields)) + 2.0
    if any(cut in edges and cut < header_end for cut in at_edges):
        bits = 2.0 + choice * (1 + len(at_edges)) / 2
        words = "single headers by themselves: " + _named(known.fields, at_edges)
        yield from _with_terminators(known, "custom_headers", at_edges, bits, words)
    if known.layer == "reads":
        yield from _custom_joined(known, header_end)


def _custom_joined(known: Seen, header_end: int) -> Iterator[Hypothesis]:
    """A header by itself, which the reader may have joined with its neighbours.

    Which one it was then leaves no trace, so one stands for all, and its choice costs nothing.
    """
    one = next((f for f in known.fields if f.name.lower() == "subject"), known.fields[-1])
    for cuts in ((one.start, one.end), _value(one)):
        for apart in (False, True):
            ends = (*cuts, header_end + _EMPTY_LINE) if apart else cuts
            yield from _with_terminators(
                known,
                "custom_headers",
                tuple(sorted({*ends})),
                4.0,
                "single headers by themselves, joined by the reader",
            )


def _custom_blind(known: Seen) -> Iterator[Hypothesis]:
    """Several short writes first, where the header's layout is not known."""
    limit = known.header_end + _EMPTY_LINE if known.header_end is not None else known.mss
    short = [cut for cut in known.cuts if cut <= limit][:_FREE_CUTS_MAX]
    for count in range(2, len(short) + 1):
        cuts = tuple(short[:count])
        sizes = (end - start for start, end in pairwise((0, *cuts)))
        bits = 2.0 + sum(_density_bits(size, 150, 0.9) for size in sizes)
        yield from _with_terminators(
            known, "custom_headers", cuts, bits, f"the headers in {count} writes"
        )


def _value(one: HeaderField) -> tuple[int, int]:
    """A field's value: after its colon, to before its last CRLF."""
    return one.start + len(one.name) + 1, one.end - 2


def _edges(fields: Sequence[HeaderField]) -> frozenset[int]:
    return frozenset(
        edge for one in fields for edge in (one.start, one.end, *_value(one)) if edge > 0
    )


def _named(fields: Sequence[HeaderField], cuts: Sequence[int]) -> str:
    touched = [
        one.name
        for one in fields
        if ((one.start in cuts or not one.start) and one.end in cuts) or {*_value(one)} <= {*cuts}
    ]
    return ", ".join(touched[:4]) or "at their edges"


def _unfilled_buffer(known: Seen) -> Iterator[Hypothesis]:
    enough = next((size for size in BUFFERS if size >= known.total), None)
    if enough is not None:
        words = f"a buffer of {enough} bytes or more, which the message did not fill"
        yield from _with_terminators(known, "fixed_buffer", (), 5.0, words)


def _fixed_buffer(known: Seen, worth: Worth) -> Iterator[Hypothesis]:
    words = "a buffer of {size} bytes, emptied when full"
    yield from _buffers(known, worth, "fixed_buffer", 0, 2.0, words)


def _buffers(
    known: Seen, worth: Worth, style: Style, start: int, bits: float, words: str
) -> Iterator[Hypothesis]:
    """Writes of one size, behind a first one up to ``start`` unless that is zero."""
    for size, size_bits in _sizes(known, start):
        ends = range(start or size, known.total, size)
        if worth(bits + size_bits + _TERMINATOR_BITS_MIN, ends):
            said = words.format(size=size)
            yield from _with_terminators(known, style, ends, bits + size_bits, said, buffer=size)


def _sizes(known: Seen, start: int) -> Iterator[tuple[int, float]]:
    """Sizes that a buffer may have, filled from ``start`` on, with their bits."""
    sizes = dict.fromkeys(BUFFERS, _BUFFER_BITS)
    cuts = [cut for cut in known.cuts if cut > start][:8]
    distances = {cut - start for cut in cuts[:3]}
    distances |= {later - earlier for earlier, later in pairwise(cuts)}
    if known.layer == "reads" and not start:
        distances |= {known.total // parts for parts in (2, 3, 4) if not known.total % parts}
    for size in distances:
        if size >= 64:
            sizes.setdefault(size, 7.0 if size % 256 == 0 or size % 1000 == 0 else 14.0)
    for size, bits in sizes.items():
        if start + size < known.total and (known.total - start) // size <= _WRITES_MAX:
            yield size, bits


def _line_by_line(known: Seen, worth: Worth) -> Iterator[Hypothesis]:
    for lines, bits, words in _LINES:
        if worth(bits + _TERMINATOR_BITS_MIN, None):
            ends = frozenset([*(one.end for one in known.fields), *_blank(known.header_end)])
            spans = tuple([(one.start, _value(one)[0], one.end) for one in known.fields])
            yield from _with_terminators(
                known, "line_by_line", (), bits, words, lines=lines, lines_known=ends, fields=spans
            )


def _blank(header_end: int | None) -> tuple[int, ...]:
    """Where the empty line after the headers ends."""
    return () if header_end is None else (header_end, header_end + _EMPTY_LINE)


def _timed_writes(known: Seen, worth: Worth) -> Iterator[Hypothesis]:
    shown = frozenset(known.cuts) if known.layer == "segments" else frozenset()
    for size in TERMINATORS_BYTES if known.complete else (0,):
        text = known.total - size
        for pieces, choice in _PIECES_BITS:
            if text < pieces:
                break
            bits = 4.0 + choice + _TERMINATOR_BITS[size]
            ends = tuple([text * number // pieces for number in range(1, pieces)])
            if (not shown or not shown.isdisjoint(ends)) and worth(bits, ends):
                yield Hypothesis(
                    "timed_writes",
                    (*ends, text) if size else ends,
                    bits,
                    f"{pieces} equal parts with pauses between them",
                    terminator_bytes=size,
                    paused=True,
                )
    cuts = known.cuts[:_FREE_CUTS_MAX]
    free = math.log2(max(known.total, 2))
    if not {*cuts} <= {*known.pauses} or not worth(3.0 + free + _TERMINATOR_BITS_MIN, None):
        return
    for count in range(1, min(len(cuts), 3) + 1):
        for chosen in combinations(cuts, count) if len(cuts) <= 4 else [cuts]:
            words = f"{len(chosen) + 1} parts with pauses between them"
            bits = 3.0 + free * len(chosen)
            yield from _with_terminators(known, "timed_writes", chosen, bits, words, paused=True)


def _anyhow(known: Seen) -> Iterator[Hypothesis]:
    """Writes of any length: what every style must be better than.

    Each end costs a little less than the choice of a byte within a full segment: even a writer of
    no style repeats itself.
    """
    each = math.log2(max(known.mss, 2)) - 1.0
    at_ends = tuple(cut for cut in known.cuts if cut in known.ends)
    for cuts in dict.fromkeys((known.cuts, at_ends)):
        yield Hypothesis(None, cuts, 8.0 + each * len(cuts), "writes of no known style")


def _density_bits(size: int, typical: int, spread: float) -> float:
    """The code length of a size under a log-normal density about a typical one."""
    z = math.log(size / typical) / spread
    density = math.exp(-z * z / 2) / (size * spread * math.sqrt(2 * math.pi))
    return -math.log2(max(density, 1e-9))
