"""An observation as units: its sizes, each with its place and with what is known of it."""

from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from seglab.core.observation import Observation

SILENCE_MIN_NS = 3_000_000
"""A shorter gap between two units never counts as a silence: a busy sender takes so long."""

_SILENCE_FACTOR = 3
_MANY = 8
_RATE_MIN_BYTES = 256


class Unit(NamedTuple):
    """One size of an observation.

    Attributes:
        start: its first byte.
        end: the byte after its last.
        push: whether it had PSH; ``None`` where that is not known.
        retransmitted: whether it was sent again, or filled a hole.
        silence_before: whether the sender was silent before it, for longer than the path explains;
            ``None`` where the times do not tell.
        coalesced: whether it may hold several segments: it is a read, or offload merged it.
        size: its length in bytes.
    """

    start: int
    end: int
    push: bool | None
    retransmitted: bool
    silence_before: bool | None
    coalesced: bool
    size: int


def units_of(observation: Observation) -> tuple[Unit, ...]:
    """The observation's sizes with their places, in stream order."""
    count = len(observation.sizes)
    push: Sequence[bool | None] = observation.push or (None,) * count
    retransmitted = observation.retransmission or (False,) * count
    silences = _silences(observation)
    reads = observation.layer == "reads"
    mss = observation.mss
    found = []
    start = 0
    for number, (size, end) in enumerate(zip(observation.sizes, observation.ends, strict=True)):
        coalesced = reads or (mss is not None and size > mss)
        found.append(
            Unit(start, end, push[number], retransmitted[number], silences[number], coalesced, size)
        )
        start = end
    return tuple(found)


def _silences(observation: Observation) -> list[bool | None]:
    """For each unit, whether the gap before it is longer than its own bytes need on the path.

    How long the path needs for a byte is the median over the gaps before which no write need have
    ended; a gap belongs to the unit that ends it. A path without a bottleneck needs no time, and
    then only ``SILENCE_MIN_NS`` counts.
    """
    times = observation.t_ns
    if times is None or len(times) < 2:
        return [None] * len(observation.sizes)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    sizes = observation.sizes[1:]
    rates = [
        max(gap, 0) / size
        for gap, size, inside in zip(gaps, sizes, _likely_inside(observation), strict=False)
        if inside and size >= _RATE_MIN_BYTES
    ]
    if not rates:  # each size may be a write of its own, so no gap shows the pace of the path
        return [None, *(None if gap > SILENCE_MIN_NS else False for gap in gaps)]
    per_byte = median(rates) if observation.layer == "segments" else _quick_reads_rate(rates)
    if per_byte is None:
        return [None, *(None if gap > SILENCE_MIN_NS else False for gap in gaps)]
    return [
        None,
        *(
            gap > SILENCE_MIN_NS + _SILENCE_FACTOR * per_byte * size
            for gap, size in zip(gaps, sizes, strict=True)
        ),
    ]


def _quick_reads_rate(rates: Sequence[float]) -> float | None:
    """Nanoseconds a byte of the quicker reads; ``None`` where all reads have about the same."""
    if max(rates) < _SILENCE_FACTOR * min(rates):
        return None
    return sorted(rates)[len(rates) // 4] if len(rates) >= _MANY else min(rates)


def _likely_inside(observation: Observation) -> list[bool]:
    """For each unit, whether a write probably continues after it: it is full, or has no PSH."""
    if observation.layer == "reads":
        return [True] * len(observation.sizes)
    full = observation.mss or max(observation.sizes)
    push = observation.push or (True,) * len(observation.sizes)
    return [size >= full or on is False for size, on in zip(observation.sizes, push, strict=True)]
