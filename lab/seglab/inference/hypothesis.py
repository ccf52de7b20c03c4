"""A hypothesis: one way in which the message may have been written, and what it is made from.

A hypothesis is one instance of a style's grammar. It says where writes would end, and it has a
price in bits for what its parameters leave open: an end at the end of a header field costs the
choice of the field, an end anywhere costs the choice of a byte.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from seglab.core.labels import Style
from seglab.core.observation import Layer, Observation
from seglab.core.trace import HeaderField

UNFOLDED_BYTES: Final = 40
"""A header field up to this length is one line. Folding it would help nobody (RFC 5322, 2.1.1)."""

TERMINATORS_BYTES: Final = (0, 5, 3, 2)
"""How much of the end of data may be a write of its own.

Nothing, `CRLF . CRLF`, `. CRLF` or `LF . LF`, `. LF`."""

TERMINATOR_BITS: Final = {0: 0.7, 5: 2.2, 3: 3.2, 2: 5.2}
"""The price of each."""

_LAST_ALONE_BITS = 7.0
"""The last size is that of an end of data, and is none: only the rest of a full segment may be."""

_HIDDEN_TERMINATORS_BYTES = (5, 3)

TERMINATOR_BITS_MIN: Final = min(TERMINATOR_BITS.values())

EMPTY_LINE_BYTES: Final = 2
"""The CRLF between the headers and the body."""

BARE_LINE_BYTES: Final = 1
"""The same where lines end in LF alone."""

_BARE_BITS = 3.0

_FOLDED_BYTES = 60
_FIELDS_MAX = 64

_STYLES: Final[tuple[Style | None, ...]] = (
    "single_write", "relay", "headers_then_body", "distinct_from", "custom_headers",
    "fixed_buffer", "line_by_line", "timed_writes", None,
)  # fmt: skip
RANKS: Final = {style: rank for rank, style in enumerate(_STYLES)}
"""The order of styles that explain a message equally well."""


class Hypothesis(NamedTuple):
    """One way in which the message may have been written.

    Attributes:
        style: the style; ``None`` for writes that no style explains.
        ends: the offsets inside the message at which writes end, in rising order.
        bits: the price of choosing this style with these parameters.
        words: the parameters, for people.
        terminator_bytes: how many bytes of the end of data are a write of their own.
        buffer: the size of the buffer, where the writer fills one again and again.
        lines: whether a write ends after each line, or after every few. Where lines end in the
            body is not known, so these ends are not in ``ends``. ``None`` for other writers.
        paused: whether the sender pauses between its writes.
        lines_known: where the header says that lines end.
        fields: for each header field, where it begins, where its value begins, where it ends.
        unfilled: for a single write, the bytes from which on a buffer would not have been filled.
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
    unfilled: int | None = None

    def within_line(self, offset: int) -> bool | None:
        """Whether the offset is certainly within a line of the header.

        No line ends within the name of a field, right before its last CRLF, or in a short field.

        Returns:
            ``None`` where a line may end because the field may be folded, and ``False`` outside
            of the header fields.
        """
        for start, value, end in self.fields:
            if start < offset < end:
                short = end - start <= UNFOLDED_BYTES
                return True if short or offset <= value or offset >= end - 2 else None
        return False

    def lines_between(self, start: int, end: int) -> tuple[int, float]:
        """The fewest and the most lines that ``start:end`` may have, as far as the header tells."""
        inside = [(a, b) for a, _, b in self.fields if start <= a and b <= end]
        fewest = max(sum(start < known <= end for known in self.lines_known), 1)
        if not inside or inside[0][0] != start or inside[-1][1] != end:
            return fewest, math.inf
        return fewest, sum(1 + (b - a) // _FOLDED_BYTES for a, b in inside)


@dataclass(frozen=True, slots=True)
class Features:
    """What the hypotheses are made from: an observation, as one path makes it look.

    Attributes:
        total: length of the message.
        suggested_ends: the offsets at which the sizes suggest that a write ended, in rising order.
        pauses: the offsets at which the sender was silent before a full segment. Nagle's algorithm
            never holds back a full segment, so the sender paused.
        header_end: of the observation.
        fields: of the observation.
        mss: bytes of a full segment.
        layer: whether the sizes are of segments or of reads.
        complete: whether the message's end was seen.
        last_start: where the last size begins.
        ends: where each size ends.
        before: how many bytes came before the message in its first segment; ``None`` where that is
            not known.
        headerless: whether the message is known to have no header fields.
    """

    total: int
    suggested_ends: tuple[int, ...]
    pauses: tuple[int, ...]
    header_end: int | None
    fields: tuple[HeaderField, ...]
    mss: int
    layer: Layer
    complete: bool
    last_start: int
    ends: frozenset[int]
    before: int | None = 0
    headerless: bool = False

    @property
    def terminators(self) -> tuple[int, ...]:
        """The lengths of the ends of data that may have a write of their own, hidden or not."""
        if not self.complete:
            return (0,)
        last = self.total - self.last_start
        return tuple(s for s in TERMINATORS_BYTES if s in (0, last, *_HIDDEN_TERMINATORS_BYTES))

    def terminator_bits(self, size: int) -> float:
        """The price of an end of data of so many bytes in a write of its own; 0 is none."""
        last = self.total - self.last_start
        alone = not size and self.complete and self.last_start and last in TERMINATORS_BYTES
        return TERMINATOR_BITS[size] + (_LAST_ALONE_BITS if alone else 0.0)


def features_of(
    observation: Observation,
    ends: Sequence[int],
    pauses: Sequence[int],
    mss: int,
    before: int | None = 0,
) -> Features:
    """The features of an observation; the other arguments are attributes of ``Features``."""
    return Features(
        observation.total_bytes,
        tuple(ends),
        tuple(pauses),
        observation.header_end,
        (observation.fields or ())[:_FIELDS_MAX],
        mss,
        observation.layer,
        observation.complete is not False,
        observation.total_bytes - observation.sizes[-1],
        frozenset(observation.ends),
        before,
        observation.fields is not None and not observation.fields,
    )


def hidden_terminators(features: Features, one: Hypothesis) -> Iterator[tuple[int, float]]:
    """The ends of data that the last size may hide, as writes of their own.

    Returns:
        For each, its length in bytes and the price of the writer who writes it apart.
    """
    if one.style is None or one.terminator_bytes or not features.complete:
        return
    for size in _HIDDEN_TERMINATORS_BYTES:
        if features.total - size > features.last_start:
            yield size, one.bits + TERMINATOR_BITS[size] - TERMINATOR_BITS[0]


def with_hidden_terminator(features: Features, one: Hypothesis, size: int) -> Hypothesis:
    """The writer who writes the last ``size`` bytes apart, and nothing shows it."""
    text_end = features.total - size
    return one._replace(
        ends=(*(end for end in one.ends if end < text_end), text_end),
        bits=one.bits + TERMINATOR_BITS[size] - TERMINATOR_BITS[0],
        terminator_bytes=size,
    )


def with_terminators(
    features: Features,
    style: Style | None,
    ends: Iterable[int],
    bits: float,
    words: str,
    **more: Any,
) -> Iterator[Hypothesis]:
    """The hypothesis with the end of data in its last write, and in a write of its own that shows.

    Args:
        features: of the message.
        style: of the writer.
        ends: where writes end; those outside of the text are left out.
        bits: the price without the end of data.
        words: the parameters, for people.
        more: other attributes of the hypothesis.
    """
    for size in TERMINATORS_BYTES:
        text_end = features.total - size
        if size and (text_end != features.last_start or not features.complete):
            continue
        inside = tuple(end for end in ends if 0 < end < text_end)
        yield Hypothesis(
            style,
            (*inside, text_end) if size else inside,
            bits + features.terminator_bits(size),
            words,
            terminator_bytes=size,
            **more,
        )


def field_value(one: HeaderField) -> tuple[int, int]:
    """Where a field's value stands: after the colon, and before the last CRLF."""
    return one.start + len(one.name) + 1, one.end - 2


def body_starts(features: Features) -> Iterator[tuple[int, float, str]]:
    """Where the body may begin, each with its price and with words for people."""
    if features.headerless:
        return
    if features.header_end is not None:
        starts = [(features.header_end + extra, 1.0) for extra in (0, EMPTY_LINE_BYTES)]
        bare = features.header_end + BARE_LINE_BYTES
        if bare in features.ends:
            starts.append((bare, 1.0 + _BARE_BITS))
    else:
        starts = [(cut, density_bits(cut, 600, 0.6)) for cut in features.suggested_ends[:3]]
    for start, bits in starts:
        if 0 < start < features.total:
            yield start, bits, f"the headers (0:{start}), then the body"


def density_bits(size: int, typical: int, spread: float) -> float:
    """The code length of a size under a log-normal density about a typical one."""
    z = math.log(size / typical) / spread
    density = math.exp(-z * z / 2) / (size * spread * math.sqrt(2 * math.pi))
    return -math.log2(max(density, 1e-9))
