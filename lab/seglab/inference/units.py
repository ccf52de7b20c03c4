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
        size: its length in bytes. That of the first unit counts what came before the message.
        hole: whether nobody saw its bytes. Then it is no evidence of anything.
    """

    start: int
    end: int
    push: bool | None
    retransmitted: bool
    silence_before: bool | None
    coalesced: bool
    size: int
    hole: bool = False


def units_of(observation: Observation, before: int | None = None) -> tuple[Unit, ...]:
    """The observation's sizes with their places, in stream order.

    Args:
        observation: what was seen.
        before: how many bytes the first segment, or read, has before the message; ``None`` for
            what the observation says. The first unit then begins so many bytes before offset 0.
    """
    count = len(observation.sizes)
    push: Sequence[bool | None] = observation.push or (None,) * count
    retransmitted = observation.retransmission or (False,) * count
    silences = _silences(observation)
    reads = observation.layer == "reads"
    mss = observation.mss
    if before is None:
        before = observation.begins_at or 0
    holes = {end for _, end in observation.holes}
    found = []
    start = -before
    for number, end in enumerate(observation.ends):
        hole = end in holes
        if hole and not number:
            start = 0
        size = end - start
        coalesced = reads or (mss is not None and size > mss)
        silence = None if hole or start in holes else silences[number]
        found.append(
            Unit(
                start, end, push[number], retransmitted[number], silence,
                coalesced and not hole, size, hole,
            )
        )  # fmt: skip
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
