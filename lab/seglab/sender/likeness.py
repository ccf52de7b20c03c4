"""Which shipped sender, with which parameters, writes a message as a session did.

The senders themselves are asked: each makes its steps for the very message, at the session's MSS,
and they are compared with the session's writes. The parameters to try follow from their types, and
from the numbers that the writes show, such as a write's length or its number of lines.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Any, Final

from seglab.core.parameters import Flag, HeaderNames, Integer, Parameter, Parameters, Word
from seglab.core.trace import SocketOption, WriteCall, sizes
from seglab.core.trace import Write as Written
from seglab.core.written import SLACK_BYTES, Buffer, Structure, WrittenLabels, labels_of, writes_of
from seglab.mail.header_layout import structure_of
from seglab.mail.message import Message
from seglab.sender.profiles import profiles
from seglab.sender.registry import senders
from seglab.sender.sender import Sender
from seglab.sender.steps import SetOption, Write, calls_at_mss

MSG_MORE: Final = 0x8000
"""The flag of send(2) by which a program says that more will follow."""

_TRIES_MAX: Final = 3000
_EMPTY_LINE: Final = b"\r\n"


@dataclass(frozen=True, slots=True)
class ProgramWrites:
    """What a program did to write a message.

    Attributes:
        payload: from after the 354 reply, up to and with the end of data.
        calls: the calls that wrote it.
        options: the options of the socket that it set.
        mss: of the connection.
        lead_bytes: how many bytes of commands its first write had before the payload.
        first_chunk_bytes: the size of the first chunk of BDAT; ``None`` where there is none.
    """

    payload: bytes
    calls: Sequence[WriteCall]
    options: Sequence[SocketOption]
    mss: int
    lead_bytes: int = 0
    first_chunk_bytes: int | None = None

    @property
    def structure(self) -> Structure:
        """The places at which programs end their writes."""
        return structure_of(self.payload, self.lead_bytes, self.first_chunk_bytes)

    @property
    def writes(self) -> tuple[Written, ...]:
        """The writes that it meant."""
        return writes_of(self.calls, self.mss)

    @property
    def labels(self) -> WrittenLabels:
        """The styles, the buffer and the terminator that the writes show."""
        return labels_of(self.writes, self.structure)

    @property
    def message(self) -> Message:
        """The message, as senders get it."""
        end = self.structure.header_end or 0
        body = self.payload[end + len(_EMPTY_LINE) :]
        return Message(self.payload[:end], body, self.payload)


@dataclass(frozen=True, slots=True)
class Likeness:
    """A sender that writes a message as a program did.

    Attributes:
        sender: its name.
        parameters: those that are not its defaults.
        profiles: the profiles of programs that write so as well, by name.
    """

    sender: str
    parameters: Parameters
    profiles: tuple[str, ...]

    def __str__(self) -> str:
        given = ", ".join(f"{name}={_word(value)}" for name, value in self.parameters.items())
        return f"{self.sender}({given})" if given else self.sender

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "sender": self.sender,
            "parameters": dict(self.parameters),
            "profiles": list(self.profiles),
        }


@dataclass(frozen=True, slots=True)
class _Done:
    """What decides, beside the network, how TCP cuts a message.

    Attributes:
        writes: where each ended, and whether it had MSG_MORE.
        nodelay: whether TCP_NODELAY was set.
        cork: whether TCP_CORK was set for a time.
    """

    writes: tuple[tuple[int, bool], ...]
    nodelay: bool
    cork: bool


def likeness(seen: ProgramWrites) -> Likeness | None:
    """Return the sender that writes as the program did.

    Returns:
        Of several, one of the style that says most about the writes, and of these the one with the
        fewest parameters that are not its defaults; ``None`` where no shipped sender writes so.
    """
    if seen.first_chunk_bytes is not None:  # no shipped sender sends by BDAT
        return None
    done, message, labels = _done(seen), seen.message, seen.labels
    hints = _hints(seen, done, labels)
    best: tuple[tuple[int, int], str, dict[str, Any]] | None = None
    for sender in senders().values():
        if sender.protocol != "smtp":
            continue
        for parameters in islice(_tries(sender, hints), _TRIES_MAX):
            style, other = sender.style_for(parameters), _other(sender, parameters)
            if labels.styles and style not in labels.styles:
                continue
            rank = labels.styles.index(style) if labels.styles else 0, len(other)
            if best is not None and rank >= best[0]:
                break
            if _writes_so(sender, parameters, message, seen.mss, done):
                best = rank, sender.name, other
                break
    if best is None:
        return None
    like = (
        name
        for name, profile in profiles().items()
        if _writes_so(profile.sender, profile.sender.defaults, message, seen.mss, done)
    )
    return Likeness(best[1], best[2], tuple(like))


def _done(seen: ProgramWrites) -> _Done:
    writes = seen.writes
    flags = {call.start: call.flags or 0 for call in seen.calls if call.end > call.start}
    values = {o.name: o.value for o in seen.options if o.action == "set"}
    corks = [o.value for o in seen.options if o.action == "set" and o.name == "TCP_CORK"]
    return _Done(
        tuple((write.end, bool(flags[write.start] & MSG_MORE)) for write in writes),
        nodelay=bool(values.get("TCP_NODELAY", 0)),
        cork=any(value != 0 for value in corks),
    )


def _writes_so(
    sender: Sender, parameters: Parameters, message: Message, mss: int, done: _Done
) -> bool:
    """Whether a sender writes a message so; one that refuses it does not."""
    if sender.nodelay_for(parameters) != done.nodelay:
        return False
    number, at, cork = 0, 0, False
    try:
        for step in sender.steps(message, parameters):
            for call in calls_at_mss(step, mss):
                if isinstance(call, SetOption):
                    cork = cork or (call.name == "cork" and call.on)
                elif isinstance(call, Write):
                    at += len(call.data)
                    if done.writes[number : number + 1] != ((at, call.more),):
                        return False
                    number += 1
    except ValueError:  # it cannot send such a message
        return False
    return number == len(done.writes) and cork == done.cork


@dataclass(frozen=True, slots=True)
class _Hints:
    """The values of parameters that the writes suggest.

    Attributes:
        known: parameters that the socket's options and the end of data tell, by name.
        numbers: lengths, counts, and multiples of the MSS.
        fields: the header fields at whose value, or at whose end, a write ended.
    """

    known: Mapping[str, Any]
    numbers: tuple[int, ...]
    fields: tuple[str, ...]


def _hints(seen: ProgramWrites, done: _Done, labels: WrittenLabels) -> _Hints:
    known: dict[str, Any] = {"nodelay": done.nodelay}
    if "own_write" not in labels.terminators:
        known["terminator_bytes"] = 0
    structure, writes = seen.structure, seen.writes
    ends = {write.end for write in writes}
    fields = (
        f.name
        for f in structure.fields
        if {f.start + len(f.name) + 1, f.end - len(_EMPTY_LINE), f.end} & ends
    )
    numbers = _numbers(sizes(writes), structure, labels.buffer, seen.mss)
    return _Hints(known, tuple(dict.fromkeys(numbers)), tuple(dict.fromkeys(fields)))


def _numbers(
    lengths: Sequence[int], structure: Structure, buffer: Buffer | None, mss: int
) -> Iterator[int]:
    if buffer is not None:
        if buffer.most_bytes is not None:
            yield 1 << (buffer.most_bytes.bit_length() - 1)  # which people choose
        yield buffer.least_bytes
    if buffer is None or buffer.least_bytes != buffer.most_bytes:
        yield lengths[0]
    elif buffer.least_bytes - SLACK_BYTES <= lengths[0] <= buffer.least_bytes:
        yield min(length for length in lengths if length >= buffer.least_bytes - SLACK_BYTES)
    yield len(lengths)
    yield len(lengths) - 1
    yield bisect_right(structure.line_ends, lengths[0])
    if mss and lengths[0] % mss == 0:
        yield lengths[0] // mss


def _tries(sender: Sender, hints: _Hints) -> Iterator[dict[str, Any]]:
    """Yield parameters that may be the program's, in the order in which they are to be tried.

    Those with the fewest other values come first, and of these the ones whose numbers the writes
    suggest most.
    """
    names = [*sender.parameters]
    values = [
        [hints.known[name]] if name in hints.known else _values(parameter, hints)
        for name, parameter in sender.parameters.items()
    ]
    tries: list[tuple[int, int, int, dict[str, Any]]] = []
    for places in product(*(range(len(some)) for some in values)):
        chosen = (some[place] for some, place in zip(values, places, strict=True))
        one = dict(zip(names, chosen, strict=True))
        tries.append((len(_other(sender, one)), sum(places), len(tries), one))
    yield from (one for *_, one in sorted(tries, key=lambda each: each[:3]))


def _values(parameter: Parameter, hints: _Hints) -> list[Any]:
    """The values to try of a parameter."""
    match parameter:
        case Flag(default=default):
            return [default, not default]
        case Word(choices=words):
            return [*words]
        case Integer(choices=numbers) if numbers:
            return [*numbers]
        case Integer(default=default, minimum=low, maximum=high):
            wanted = (n for n in hints.numbers if low <= n <= high)
            return [*dict.fromkeys((default, *wanted))]
        case HeaderNames(default=default):
            return [*dict.fromkeys((default, hints.fields or default))]
        case _:
            return [parameter.default]


def _other(sender: Sender, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that are not the sender's defaults."""
    return {
        name: value
        for name, value in parameters.items()
        if value != sender.parameters[name].default
    }


def _word(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "+".join(map(str, value)) if isinstance(value, tuple) else str(value)
