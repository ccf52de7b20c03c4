"""What a classifier gets to know of one message: sizes, and what else is known of them.

An observation comes from a capture, from a server's log, from a stored run, or from a line of
JSON; its origin does not matter to a classifier. ``None`` means unknown throughout, never zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import accumulate
from operator import attrgetter, index
from typing import TYPE_CHECKING, Any, Final, Literal, Self, get_args

import msgspec

from seglab.core import decoding
from seglab.core.text import safe
from seglab.core.trace import OFFSET_MAX, HeaderField, arrived_sizes, first_arrived, sizes
from seglab.errors import InputError, nearest

if TYPE_CHECKING:
    from seglab.core.record import SessionRecord

Layer = Literal["segments", "reads"]
"""Where sizes are looked at: in what the wire carried, or in what the server read."""

Reply = Literal["accepted", "rejected", "unknown"]
"""What the server said last of a message; ``unknown`` where its reply was not captured."""

LAYERS: Final[tuple[Layer, ...]] = get_args(Layer)

SIZES_MAX: Final = 1_000_000
"""The most sizes of one observation."""

SIZE_MAX: Final = OFFSET_MAX
"""The largest single size, and the largest offset, in bytes."""


TIME_MAX_NS: Final = (1 << 63) - 1
"""The furthest time from zero, in nanoseconds: what 64 bits hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One message as it came over the wire, or as a server read it.

    Offsets count the bytes of the message from the first one after the 354 reply, up to and with
    ``CRLF . CRLF``; for raw TCP, from the stream's first byte.

    Attributes:
        id: names it among those of one source.
        sizes: bytes, in stream order: of the segments in which each byte was first seen, without
            what a retransmission repeats; or of the reads. They join to the message.
        layer: whether the sizes are segments' or reads'. Reads are unions of whole segments
            unless the reader's buffer was too small.
        mss: payload bytes of a full segment, TCP options taken off (RFC 6691).
        timestamps: whether TCP timestamps were on; they take 12 bytes of each segment (RFC 7323).
        push: for each size, whether the segment had PSH; ``None`` for a hole, whose bytes were not
            captured.
        t_ns: for each size, when it was seen; only differences matter.
        begins_at: how many bytes of the first size came before the message: commands that share a
            segment, or a write, with its beginning. The first size does not count them.
        header_end: the offset of the end of the last header field; the empty line begins there.
        fields: the header fields' names and places, as far as they were seen; empty where the
            message is known to have none.
        retransmission: for each size, whether the segment filled a hole or came again: sizes
            that the sender's TCP may have cut again.
        rtt_ns: the round-trip time of the connection, from its handshake.
        complete: whether the sizes reach the message's end; ``False`` where it was cut off.
        encrypted: whether the bytes are TLS records, so that nothing inside them is known. The
            sizes are then those of the records, as far as they could be read.
        chunked: whether it was sent by BDAT (RFC 3030): its last chunk ends it, no terminator.
        hidden_bytes: the contents of how many bytes were not captured, though their sizes are
            known; ``None`` where nothing was hidden.
        reply: the server's last reply to the message; ``None`` where nobody looked for one.
        source: the file or run it came from.
        client: the sender's address and port, as text.
        server: the same of the server.
        notes: what a reader should know of it, one line each: bytes that were not captured,
            segments merged by offload.
    """

    id: str
    sizes: tuple[int, ...]
    layer: Layer = "reads"
    mss: int | None = None
    timestamps: bool | None = None
    push: tuple[bool | None, ...] | None = None
    t_ns: tuple[int, ...] | None = None
    begins_at: int | None = None
    header_end: int | None = None
    fields: tuple[HeaderField, ...] | None = None
    retransmission: tuple[bool, ...] | None = None
    rtt_ns: int | None = None
    complete: bool | None = None
    encrypted: bool = False
    chunked: bool = False
    hidden_bytes: int | None = None
    reply: Reply | None = None
    source: str | None = None
    client: str | None = None
    server: str | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._make_plain()
        if len(self.sizes) > SIZES_MAX:
            raise ValueError(f"{len(self.sizes)} sizes, where at most {SIZES_MAX} are taken")
        if self.sizes and not 0 < min(self.sizes) <= max(self.sizes) <= SIZE_MAX:
            raise ValueError("each of `sizes` is at least one byte")
        count = len(self.sizes)
        for name, values in (
            ("push", self.push),
            ("t_ns", self.t_ns),
            ("retransmission", self.retransmission),
        ):
            if values is not None and len(values) != count:
                raise ValueError(f"`{name}` has {len(values)} values for {count} sizes")
        for name, times in (("t_ns", self.t_ns or ()), ("rtt_ns", (self.rtt_ns or 0,))):
            if times and not -TIME_MAX_NS <= min(times) <= max(times) <= TIME_MAX_NS:
                raise ValueError(f"`{name}` is beyond {TIME_MAX_NS} ns")
        if self.mss is not None and not 0 < self.mss <= SIZE_MAX:
            raise ValueError(f"`mss` is {self.mss}, where bytes of a segment are expected")
        for name, offset in (("header_end", self.header_end), ("begins_at", self.begins_at)):
            if offset is not None and not 0 <= offset <= SIZE_MAX:
                raise ValueError(f"`{name}` is {offset}, where an offset is expected")

    def _make_plain(self) -> None:
        """Turn lists and arrays, such as NumPy's, into tuples of Python's own values.

        Raises:
            ValueError: a value is no whole number where one is expected.
        """
        for name in _SEQUENCES:
            values = getattr(self, name)
            if values is None or (type(values) is tuple and type(_first(values)) in _PLAIN):
                continue
            try:
                plain = tuple(map(_flag if name in _FLAG_LISTS else index, values))
            except TypeError as error:
                raise ValueError(f"each of `{name}` is a whole number: {error}") from error
            object.__setattr__(self, name, plain)
        for name in ("mss", "begins_at", "header_end", "rtt_ns"):
            value = getattr(self, name)
            if value is not None and type(value) is not int:
                try:
                    object.__setattr__(self, name, index(value))
                except TypeError as error:
                    raise ValueError(f"`{name}` is a whole number: {error}") from error

    @property
    def ends(self) -> tuple[int, ...]:
        """The offset at which each size ends."""
        return tuple(accumulate(self.sizes))

    @property
    def holes(self) -> tuple[tuple[int, int], ...]:
        """The byte ranges that nobody saw: each is one of ``sizes``, and no segment.

        A hole is a size of a capture whose PSH flag is not known: its segments were not captured.
        """
        if self.push is None or self.layer != "segments":
            return ()
        spans = zip(self.ends, self.sizes, self.push, strict=True)
        return tuple((end - size, end) for end, size, flag in spans if flag is None)

    @property
    def total_bytes(self) -> int:
        """All sizes together."""
        return sum(self.sizes)

    def to_json(self) -> bytes:
        """One line of JSON, without the newline; what is not known is left out."""
        known = {
            name: value
            for name, value in zip(_NAMES, _values(self), strict=True)
            if value is not None
        }
        for name in _LEFT_OUT:
            if not known[name]:
                del known[name]
        return _encode(known)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries and lists, unknown values as ``None``."""
        values: dict[str, Any] = msgspec.to_builtins(self)
        return values

    @classmethod
    def from_json(cls, line: bytes | str) -> Self:
        """The observation of one line of JSON; unknown keys are skipped.

        Raises:
            InputError: the line is no observation; says at which key.
        """
        return decoding.from_json(line, cls, "an observation")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The observation of a mapping with the same keys as the line of JSON.

        Values may be arrays and numbers of NumPy or pandas.

        Raises:
            InputError: it is no observation, or has a key that observations do not have; says at
                which key.
        """
        for name in values:
            if name not in _NAMES:
                raise InputError(
                    f"not an observation: unknown key {safe(str(name))!r}; "
                    f"{nearest(str(name), _NAMES)}"
                )
        values = {name: _builtin(value) for name, value in values.items()}
        return decoding.from_dict(values, cls, "an observation")

    @classmethod
    def of_record(cls, record: "SessionRecord", layer: Layer) -> Self:
        """What could be observed of a recorded session at that layer, and no ground truth.

        At the layer of segments it is the server's view: what arrived, each byte once.
        """
        common: dict[str, Any] = {
            "id": record.session_id,
            "layer": layer,
            "mss": record.mss or None,  # a session that failed early has none
            "timestamps": record.timestamps,
            "begins_at": 0,  # the lab's clients await the 354
            "header_end": record.header_end,
            "fields": None if record.header_end is None else record.header_fields,
            "complete": record.complete,
        }
        if layer == "reads":
            return cls(
                **common,
                sizes=tuple(sizes(record.reads)),
                t_ns=tuple(read.t_ns for read in record.reads),
            )
        first = first_arrived(record.segments)
        return cls(
            **common,
            sizes=tuple(sizes(first)),
            push=tuple(s.psh for _, _, s in first),
            t_ns=tuple(s.t_arrived_ns or 0 for _, _, s in first),
            retransmission=tuple(s.retransmission for _, _, s in first),
        )


def sizes_of(record: "SessionRecord", layer: Layer) -> list[int]:
    """Return the sizes that ``Observation.of_record`` shows of a session at that layer."""
    return sizes(record.reads) if layer == "reads" else arrived_sizes(record.segments)


def _first(values: tuple[object, ...]) -> object:
    return values[0] if values else None


def _flag(value: object) -> bool | None:
    """Return a flag of NumPy as one of Python's; ``None`` stays."""
    return None if value is None else bool(value)


def _builtin(value: Any) -> Any:
    """Return an array, or a number of an array, as Python's own lists and numbers."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_builtin(one) for one in value] if hasattr(_first((*value,)), "tolist") else value
    return value


_SEQUENCES: Final = ("sizes", "push", "t_ns", "retransmission")
_FLAG_LISTS: Final = ("push", "retransmission")
_PLAIN: Final = (int, bool, type(None))
_LEFT_OUT: Final = ("encrypted", "chunked", "notes")
"""Written only where they say something. Empty fields, say, mean that there is no header field."""

_NAMES: Final = tuple(field.name for field in fields(Observation))
_values: Final = attrgetter(*_NAMES)
_encode: Final = msgspec.json.Encoder().encode
