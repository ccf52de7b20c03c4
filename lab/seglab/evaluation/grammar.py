"""What each style can write: where its writes end, given a message's layout.

The grammars are those of ``senders/``, with any value of their parameters. All styles share the
end of data: its last 5 or 3 bytes may be a write of their own.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from math import gcd

from seglab.core.record import SessionRecord
from seglab.core.trace import HeaderField, content_start

_TERMINATORS = (0, 3, 5)
_EMPTY_LINE = 2
_PIECES_TRIED = 64
_BUFFERS_TRIED = tuple(1 << power for power in range(8, 18))


@dataclass(frozen=True, slots=True)
class Shape:
    """What a message is like, as far as the grammars ask.

    Attributes:
        total: its length.
        header_end: where the last header field ends; ``None`` where it is no mail.
        fields: the header fields.
        line_ends: where its lines end; ``None`` where the text is not known.
    """

    total: int
    header_end: int | None = None
    fields: tuple[HeaderField, ...] = ()
    line_ends: tuple[int, ...] | None = None

    @classmethod
    def of(cls, record: SessionRecord, line_ends: Sequence[int] | None = None) -> "Shape":
        """The shape of a recorded session's message."""
        lines = None if line_ends is None else tuple(line_ends)
        return cls(record.payload_bytes, record.header_end, record.header_fields, lines)

    @property
    def terminators(self) -> tuple[int, ...]:
        """How many bytes at the end can be a write of their own."""
        return (0,) if self.header_end is None else _TERMINATORS


Ends = frozenset[int]
"""Where writes end inside a text, its own end left out."""


def is_instance(style: str, ends: Iterable[int], shape: Shape) -> bool | None:
    """Whether a sender of that style can write so; ``None`` where the message's lines decide.

    Args:
        style: one of ``seglab.sender.sender.STYLES``.
        ends: offsets inside the message.
        shape: of the message.
    """
    inside = frozenset(end for end in ends if 0 < end < shape.total)
    if style == "line_by_line" and shape.line_ends is None:
        return None
    test = _TESTS.get(style)
    if test is None:
        return False
    return any(
        test(_Text(shape, shape.total - cut, frozenset(e for e in inside if e < shape.total - cut)))
        for cut in shape.terminators
        if not cut or shape.total - cut in inside
    )


def candidates(style: str, seen: Collection[int], shape: Shape) -> Iterator[Ends]:
    """Ways of writing by that style that may have left these ends of short segments.

    They are tried where a classifier has not said how its style could have written the message.
    Not all ways are among them: no more than a few parameters come into question.
    """
    propose = _PROPOSALS.get(style)
    if propose is None:
        return
    for cut in shape.terminators:
        end = shape.total - cut
        text = _Text(shape, end, frozenset(e for e in seen if 0 < e < end))
        for ends in propose(text):
            inside = frozenset(e for e in ends if 0 < e < end)
            yield inside | {end} if cut else inside


@dataclass(frozen=True)
class _Text:
    """A message without what is written apart at its end, and ends inside it."""

    shape: Shape
    end: int
    ends: Ends

    @cached_property
    def ordered(self) -> tuple[int, ...]:
        return tuple(sorted(self.ends))


def _every(size: int, start: int, end: int) -> Ends:
    return frozenset(range(start, end, size))


def _single(text: _Text) -> bool:
    return not text.ends


def _fixed(text: _Text) -> bool:
    if not text.ends or text.ends == _every(text.ordered[0], text.ordered[0], text.end):
        return True
    start = content_start(text.shape.header_end, text.shape.fields)
    return text.ordered[0] == start and _from(start, text)


def _from(start: int, text: _Text) -> bool:
    """Whether the text has an end at ``start``, and behind it pieces of one length."""
    if len(text.ends) == 1:
        return True
    return text.ends == _every(text.ordered[1] - start, start, text.end)


def _relay_ends(shape: Shape) -> Ends | None:
    if not shape.fields or shape.fields[0].name.lower() != "received":
        return None
    return frozenset({shape.fields[0].end})


def _from_ends(shape: Shape) -> Ends | None:
    spans = [field for field in shape.fields if field.name.lower() == "from"]
    ends = frozenset(end for field in spans for end in (field.start, field.end) if end)
    return ends or None


def _body_starts(shape: Shape) -> tuple[int, ...]:
    end = shape.header_end
    return () if end is None else (end, end + _EMPTY_LINE)


def _headers_then_body(text: _Text) -> bool:
    if not text.ends or text.ordered[0] not in _body_starts(text.shape):
        return False
    start = text.ordered[0]
    lines = (start, *(end for end in text.shape.line_ends or () if start < end < text.end))
    return _from(start, text) or text.ends == frozenset(lines)


def _custom(text: _Text) -> bool:
    apart = frozenset(_body_starts(text.shape)[1:])
    for start in apart & text.ends:
        body = frozenset(end for end in text.ends if end >= start)
        if len(body) > 1 and _from(start, replace(text, ends=body)):
            return _of_headers(text.shape, text.ends - body)
    return any(_of_headers(text.shape, ends) for ends in (text.ends, text.ends - apart))


def _of_headers(shape: Shape, ends: Ends) -> bool:
    if not ends:
        return False
    for spans in (_values(shape), _whole(shape)):
        chosen = [(a, b) for a, b in spans if (not a or a in ends) and b in ends]
        if ends == frozenset(end for span in chosen for end in span if end):
            return True
    return ends <= frozenset(end for span in _whole(shape) for end in span)


def _values(shape: Shape) -> list[tuple[int, int]]:
    """The fields' values: from after the colon to before the last CRLF."""
    return [(f.start + len(f.name) + 1, f.end - 2) for f in shape.fields]


def _whole(shape: Shape) -> list[tuple[int, int]]:
    return [(f.start, f.end) for f in shape.fields]


def _lines(text: _Text) -> bool:
    return any(
        text.ends == _by_lines(text, count)
        for count in ([_count(text, text.ordered[0])] if text.ends else [text.end])
        if count
    )


def _count(text: _Text, end: int) -> int:
    """How many lines end there or before, where one ends there; else 0."""
    lines = text.shape.line_ends or ()
    index = bisect_left(lines, end)
    return index + 1 if index < len(lines) and lines[index] == end else 0


def _by_lines(text: _Text, count: int) -> Ends:
    ends = islice(text.shape.line_ends or (), count - 1, None, count)
    return frozenset(end for end in ends if end < text.end)


def _timed(text: _Text) -> bool:
    if not text.ends:
        return False
    return text.shape.header_end is None or text.ends == _parts(text.end, len(text.ends) + 1)


def _parts(end: int, pieces: int) -> Ends:
    return frozenset(end * number // pieces for number in range(1, pieces))


_TESTS: dict[str, Callable[[_Text], bool]] = {
    "single_write": _single,
    "relay": lambda text: text.ends == _relay_ends(text.shape),
    "headers_then_body": _headers_then_body,
    "distinct_from": lambda text: text.ends == _from_ends(text.shape),
    "custom_headers": _custom,
    "fixed_buffer": _fixed,
    "line_by_line": _lines,
    "timed_writes": _timed,
}


def _sizes(ends: Iterable[int], whole: int) -> Iterator[int]:
    """Buffers by which all these ends come out, and usual ones."""
    common = gcd(*ends)
    found = {common // part for part in range(1, 65) if common and not common % part}
    yield from sorted({*found, *_BUFFERS_TRIED, whole}, reverse=True)


def _try_fixed(text: _Text) -> Iterator[Ends]:
    for size in _sizes(text.ends, text.end):
        yield _every(size, size, text.end)
    start = content_start(text.shape.header_end, text.shape.fields)
    if start is not None:
        yield from _try_past(start, text)


def _try_past(start: int, text: _Text) -> Iterator[Ends]:
    """An end at ``start``, and behind it a buffer."""
    beyond = [end - start for end in text.ends if end > start]
    for size in _sizes(beyond, text.end):
        yield _every(size, start, text.end)


def _try_headers_then_body(text: _Text) -> Iterator[Ends]:
    for start in _body_starts(text.shape):
        yield frozenset({start})
        yield from _try_past(start, text)
        lines = (end for end in text.shape.line_ends or () if start < end < text.end)
        yield frozenset((start, *lines))


def _try_custom(text: _Text) -> Iterator[Ends]:
    shape = text.shape
    apart = frozenset(_body_starts(shape)[1:])
    for spans in (_values(shape), _whole(shape)):
        seen = {end for span in spans for end in span if end and span[1] in text.ends}
        for chosen in (frozenset(seen), *(frozenset(span) - {0} for span in spans)):
            if chosen:
                yield chosen | apart
                yield chosen
    runs = text.ends & frozenset(end for span in _whole(shape) for end in span)
    if runs:
        yield runs | apart
        yield runs
    for start in apart if runs else ():
        for behind in _try_past(start, text):
            yield runs | behind


def _try_lines(text: _Text) -> Iterator[Ends]:
    for count in range(1, len(text.shape.line_ends or ()) + 1):
        yield _by_lines(text, count)


def _try_timed(text: _Text) -> Iterator[Ends]:
    for pieces in range(2, _PIECES_TRIED + 1):
        yield _parts(text.end, pieces)


def _just(ends: Ends | None) -> Iterator[Ends]:
    if ends is not None:
        yield ends


_PROPOSALS: dict[str, Callable[[_Text], Iterator[Ends]]] = {
    "single_write": lambda _text: _just(frozenset()),
    "relay": lambda text: _just(_relay_ends(text.shape)),
    "headers_then_body": _try_headers_then_body,
    "distinct_from": lambda text: _just(_from_ends(text.shape)),
    "custom_headers": _try_custom,
    "fixed_buffer": _try_fixed,
    "line_by_line": _try_lines,
    "timed_writes": _try_timed,
}
