"""The rules of the paper, to the letter: each with the listing or scenario that it comes from.

The paper looks at what a server read and calls it segments; so do these rules, at either layer.
They are held to what the paper says and shows, and not improved: ``boundaries`` is for that.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Final

from seglab.classification.classifier import Classifier, Verdict
from seglab.core.observation import Observation
from seglab.core.tcpip import full_segment_of_mss
from seglab.core.trace import HeaderField

_END_OF_DATA: Final = 5  # CR LF . CR LF, Listings 6 and 7
_GPRS_MSS: Final = 536  # "the minimum value (associated with GPRS)", Listing 10
_VERY_SMALL_MSS: Final = 920  # Listing 11
_BASES: Final = (1460, 1448, 1440, 1400, 1388, 920, 536)  # all that the paper's rows have
_KILOBYTE: Final = 1024  # Listing 12: "multiples of 1,024 bytes of data"
_PAUSE_NS: Final = 90_000_000  # Scenario #3 has 100 ms; some of it is lost to jitter
_SEVERAL: Final = 2


def classify(observation: Observation) -> Verdict | None:
    """The first rule that fits; ``None`` where none does."""
    if not observation.sizes or observation.encrypted:
        return None
    message = _Message(observation)
    for rule in _RULES:
        verdict = rule(message)
        if verdict is not None:
            return verdict
    return None


class _Message:
    """The sizes, and what the rules ask of them."""

    def __init__(self, observation: Observation) -> None:
        self.observation = observation
        sizes = observation.sizes
        self.mail = observation.header_end is not None or observation.fields is not None
        self.own_end = len(sizes) > 1 and sizes[-1] == _END_OF_DATA and not observation.chunked
        self.sizes: tuple[int, ...] = sizes[:-1] if self.own_end else sizes
        self.ends = tuple(accumulate(self.sizes))
        self.total = self.ends[-1]
        self.base = observation.mss or _base(self.sizes)

    def multiples(self, sizes: Sequence[int]) -> bool:
        """Whether the sizes are multiples of the base MSS, and the last one anything."""
        bases = _BASES if self.base is None else (self.base,)
        return any(all(size % base == 0 for size in sizes[:-1]) for base in bases)

    def field(self, name: str) -> HeaderField | None:
        """The first header field of that name."""
        for field in self.observation.fields or ():
            if field.name.lower() == name:
                return field
        return None

    def has_piece(self, start: int, end: int) -> bool:
        """Whether exactly these bytes came by themselves, in one size or several."""
        return {start, end} <= {0, *self.ends}

    def named(
        self,
        style: str | tuple[str, ...] | None,
        why: str,
        *,
        boundaries: Sequence[int] = (),
        path_condition: str | None = None,
        buffer: int | None = None,
        recut: Sequence[tuple[int, int]] = (),
    ) -> Verdict:
        """The verdict, with what Listing 7 and the base MSS say besides."""
        evidence = [why]
        marks = sorted({*boundaries, *([self.total] if self.own_end else ())})
        if self.own_end:
            evidence.append("Listing 7: the end of data is in a segment of its own, 5 bytes")
        if path_condition is None:
            small = self.base is not None and self.base <= _VERY_SMALL_MSS
            path_condition = "small_mss" if small else "steady"
            if small:
                evidence.append(f"Listing 11: a very small MSS, {self.base} bytes")
        terminator: str | None = "own_write" if self.own_end else "with_body"
        if self.observation.chunked:
            terminator = None
            evidence.append(
                "sent by BDAT: its last chunk ends it, which is none of the terminators"
            )
        return Verdict(
            id=self.observation.id,
            style=style,
            terminator=terminator,
            path_condition=path_condition,
            buffer=buffer,
            boundaries=tuple(marks),
            confidence=1.0,
            evidence=tuple(evidence),
            recut=tuple(recut),
        )


def _base(sizes: Sequence[int]) -> int | None:
    """The base MSS: the size of which most sizes are multiples; the last one is a remainder."""
    least = full_segment_of_mss(_GPRS_MSS, timestamps=True)
    counts = {
        size: sum(other % size == 0 for other in sizes[:-1])
        for size in {*sizes[:-1]}
        if size >= least
    }
    repeated = {size: count for size, count in counts.items() if count >= _SEVERAL}
    return max(repeated, key=lambda size: (repeated[size], size), default=None)


def _variation_of_the_mss(message: _Message) -> Verdict | None:
    """Listing 13: the first segment was cut again, and all others share its new size."""
    if len(message.sizes) <= _SEVERAL:
        return None
    first, second, *others = message.sizes
    original = first + second
    known = original in _BASES or original == message.observation.mss
    if not (known and second < first and others[:-1] == [first] * (len(others) - 1)):
        return None
    if others[-1] > first:
        return None
    why = f"Listing 13: {first} and {second} were one segment of {original} before the MSS fell"
    return message.named("single_write", why, path_condition="pmtu_fall", recut=[(0, original)])


def _cellular(message: _Message) -> Verdict | None:
    """Listing 10: the MSS goes between the least value, which is GPRS's, and higher ones."""
    least = full_segment_of_mss(_GPRS_MSS, timestamps=bool(message.observation.timestamps))
    counts = Counter(message.sizes)
    higher = {size for size in counts if size > least and size in _BASES}
    if message.observation.mss is not None and message.observation.mss > least:
        higher |= {message.observation.mss} & {*counts}
    if counts[least] < _SEVERAL or not higher:
        return None
    why = f"Listing 10: the MSS fluctuates between {least} and {max(higher)}"
    return message.named("single_write", why, path_condition="fluctuating")


def _two_transports(message: _Message) -> Verdict | None:
    """Scenario #3: writes that a pause of 100 ms keeps apart."""
    times = message.observation.t_ns
    if times is None:
        return None
    apart = [
        message.ends[index]
        for index in range(len(message.sizes) - 1)
        if times[index + 1] - times[index] >= _PAUSE_NS
        and not (message.base and message.sizes[index] % message.base == 0)
    ]
    if not apart:
        return None
    why = f"Scenario 3: {len(apart) + 1} transports with a pause of 100 ms or more between them"
    return message.named("timed_writes", why, boundaries=apart)


def _fan_club(message: _Message) -> Verdict | None:
    """Listing 12: distinct sequences, each of the same multiple of 1024 bytes."""
    ends = {*message.ends}
    for size in (end for end in message.ends[:-1] if end % _KILOBYTE == 0):
        if message.base and size % message.base == 0:
            continue
        inside = range(size, message.total, size)
        if not ends >= {*inside}:
            continue
        if message.total == 2 * size:
            if (apart := _two_transports(message)) is not None:
                return apart
            why = f"Scenarios 2 and 3: two chunks of {size} bytes, with a pause between them or not"
            return message.named(("fixed_buffer", "timed_writes"), why, boundaries=inside)
        why = f"Listing 12: sequences of {size} bytes, a multiple of 1024"
        return message.named("fixed_buffer", why, boundaries=inside, buffer=size)
    return None


def _headers_first(message: _Message) -> Verdict | None:
    """Listing 6: the first sequence holds the headers, and nothing else."""
    end = message.observation.header_end
    if end is None:
        return None
    for first in (end, end + 2):
        if first == message.ends[0] and first < message.total:
            why = f"Listing 6: the headers, {first} bytes, are in a sequence of their own"
            return message.named("headers_then_body", why, boundaries=[first])
    return None


def _relay(message: _Message) -> Verdict | None:
    """Listing 5: the relay's own Received header is in its own segment."""
    fields = message.observation.fields
    if not fields or fields[0].name.lower() != "received":
        return None
    end = fields[0].end
    if message.ends[0] != end or not message.multiples(message.sizes[1:]):
        return None
    why = f"Listing 5: the Received header, {end} bytes, is in its own segment"
    return message.named("relay", why, boundaries=[end])


def _distinct_from(message: _Message) -> Verdict | None:
    """Listing 8: the From header is in its own segment, the rest in standard ones."""
    field = message.field("from")
    if field is None or not message.has_piece(field.start, field.end):
        return None
    rest = [size for size, end in zip(message.sizes, message.ends, strict=True) if end > field.end]
    if not message.multiples(rest):
        return None
    why = f"Listing 8: the From header, {field.end - field.start} bytes, is in its own segment"
    ends = [end for end in (field.start, field.end) if end]
    return message.named("distinct_from", why, boundaries=ends)


def _custom_headers(message: _Message) -> Verdict | None:
    """Listing 9: more headers, or their values, are sent in sequences of their own."""
    apart = [
        (start, end)
        for field in message.observation.fields or ()
        for start, end in (
            (field.start, field.end),
            (field.start + len(field.name) + 1, field.end - 2),
        )
        if end < message.total and message.has_piece(start, end)
    ]
    if not apart:
        return None
    names = len({*apart})
    why = f"Listing 9: {names} of the headers, or of their values, in sequences of their own"
    ends = sorted({end for span in apart for end in span if end})
    return message.named("custom_headers", why, boundaries=ends)


def _short_first(message: _Message) -> Verdict | None:
    """Listings 5, 6, 8 and 9 by their sizes alone, where no header is known."""
    if message.mail:
        return None
    base = message.base or min(_BASES)
    short = 0
    while short < len(message.sizes) - 1 and message.sizes[short] < base:
        short += 1
    if not short or not message.multiples(message.sizes[short:]):
        return None
    ends = message.ends[:short]
    if short > 1:
        why = f"Listing 9: {short} short segments before the standard ones"
        return message.named("custom_headers", why, boundaries=ends)
    if message.own_end:
        why = "Listing 6: a short segment, standard ones, and the end of data by itself"
        return message.named("headers_then_body", why, boundaries=ends)
    why = "Listings 5 and 8: a short segment before the standard ones; whose header it is, unknown"
    return message.named(("relay", "distinct_from"), why, boundaries=ends)


def _single_write(message: _Message) -> Verdict | None:
    """Listings 3 and 4, Scenario #1: multiples of the base MSS, and a remainder."""
    if message.multiples(message.sizes):
        listing = "Listing 4" if _improved(message) else "Listing 3"
        why = f"{listing}: sizes are multiples of the base MSS, and a remainder"
        return message.named("single_write", why)
    if message.base and all(size >= message.base for size in message.sizes[:-1]):
        why = "Scenario 2: received as a single block, no remainder by itself"
        return message.named("single_write", why)
    return None


def _improved(message: _Message) -> bool:
    return message.base is not None and any(size > message.base for size in message.sizes[:-1])


_RULES: Final[tuple[Callable[[_Message], Verdict | None], ...]] = (
    _variation_of_the_mss,
    _cellular,
    _fan_club,
    _relay,
    _distinct_from,
    _headers_first,
    _custom_headers,
    _two_transports,
    _short_first,
    _single_write,
)

CLASSIFIER = Classifier(
    name="paper",
    summary="the rules of the paper to the letter, each with its listing",
    classify=classify,
)
