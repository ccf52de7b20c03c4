"""Reads lines of JSON: observations, and what the server logs of a connection."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import msgspec

from seglab.core.observation import SIZE_MAX, SIZES_MAX, Observation
from seglab.core.text import one_line, shorten
from seglab.errors import InputError
from seglab.logs.badline import LineError

EXPECTED = "an observation (with id and sizes), or a server's connection (with reads and payloads)"

_Span = tuple[int, int]
_Read = tuple[int, int, int]
_T_MAX = 1 << 63
_NUMBER_MAX = 10**12
_SIGNS_MAX = {b"[": SIZES_MAX + SIZES_MAX // 2, b",": 5 * SIZES_MAX, b'"': SIZES_MAX}
"""How often each of these may occur in a line: bounds the memory that decoding it can take."""


class _Kind(msgspec.Struct):
    """Tells an observation from a connection's log."""

    sizes: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    reads: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Connection(msgspec.Struct):
    """The part of a connection's log that is used; ``docs/server.md`` has all of it."""

    number: int
    reads: list[_Read]
    payloads: list[_Span]
    peer: tuple[str, int] | None = None
    local: tuple[str, int] | None = None
    unfinished: _Span | None = None


_KIND = msgspec.json.Decoder(_Kind)
_CONNECTION = msgspec.json.Decoder(_Connection)


def parse(line: bytes, name: str) -> Iterator[Observation]:
    """Return the observations of a line: the one it is, or one for each of a connection's payloads.

    Raises:
        LineError: the line is neither an observation nor a connection's log.
    """
    for sign, most in _SIGNS_MAX.items():
        if line.count(sign) > most:
            raise LineError(f"expected at most {most} {sign.decode()} in a line")
    try:
        kind = _KIND.decode(line)
        if kind.sizes is not msgspec.UNSET:
            observation = Observation.from_json(line)
            return iter((replace(observation, source=observation.source or name),))
        if kind.reads is not msgspec.UNSET:
            return iter(_payloads(_CONNECTION.decode(line), name))
    except (msgspec.MsgspecError, InputError, RecursionError, ValueError) as error:
        raise LineError(f"expected {EXPECTED}: {one_line(str(error), 200)}") from error
    raise LineError(f"expected {EXPECTED}")


def _payloads(log: _Connection, name: str) -> list[Observation]:
    reads = log.reads
    if not 0 <= log.number < _NUMBER_MAX:
        raise LineError(f"expected a number below {_NUMBER_MAX}, found {_short(log.number)}")
    if len(reads) > SIZES_MAX:
        raise LineError(f"expected at most {SIZES_MAX} reads, found {len(reads)}")
    last = 0
    for t_ns, start, end in reads:
        if not last == start < end <= SIZE_MAX or not -_T_MAX <= t_ns < _T_MAX:
            raise LineError(
                f"expected reads that follow each other, found {_short(start)}:{_short(end)}"
            )
        last = end
    spans = [(*span, True) for span in log.payloads]
    if log.unfinished is not None:
        spans.append((*log.unfinished, False))
    found, at, before = list[Observation](), 0, 0
    for index, (start, end, complete) in enumerate(spans, start=1):
        if not before <= start <= end <= last:
            raise LineError(
                f"expected payloads within the reads, in order, found {_short(start)}:{_short(end)}"
            )
        before = end
        at, inside = _inside(reads, at, start, end)
        if not inside:
            continue  # a message of no bytes shows no sizes
        found.append(
            Observation(
                id=str(log.number) if len(spans) == 1 else f"{log.number}/{index}",
                sizes=tuple(high - low for _, low, high in inside),
                t_ns=tuple(t_ns for t_ns, _, _ in inside),
                complete=complete,
                source=name,
                client=_address(log.peer),
                server=_address(log.local),
            )
        )
    return found


def _inside(reads: Sequence[_Read], at: int, start: int, end: int) -> tuple[int, list[_Read]]:
    """The parts of the reads from ``at`` on that lie in ``start:end``, and where to go on."""
    while at < len(reads) and reads[at][2] <= start:
        at += 1
    inside = []
    while at < len(reads) and reads[at][1] < end:
        t_ns, low, high = reads[at]
        if max(low, start) < min(high, end):
            inside.append((t_ns, max(low, start), min(high, end)))
        if high > end:
            break
        at += 1
    return at, inside


def _short(number: int) -> str:
    """Return a number that may have very many digits, as text of some of them."""
    return shorten(str(number), 24) if abs(number) < 10**1000 else "a very large number"


def _address(pair: tuple[str, int] | None) -> str | None:
    if pair is None:
        return None
    host, port = pair
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
