"""An observation as the units that the inference walks over."""

from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from seglab.core.observation import Observation

STALL_MIN_NS = 3_000_000
"""Less than this between two units never counts as a stall: a busy sender's own time."""

_STALL_FACTOR = 3
_MANY = 8
_RATE_MIN_BYTES = 256


class Unit(NamedTuple):
    """One size of an observation.

    Attributes:
        start: its first byte.
        end: the byte after its last.
        push: whether it had PSH.
        again: whether it was a retransmission, or filled a hole.
        stall: whether the sender was silent before it, for longer than its path explains;
            ``None`` where no times are known.
        union: whether it may hold several segments: a read, or one that offload merged.
        size: bytes.
    """

    start: int
    end: int
    push: bool | None
    again: bool
    stall: bool | None
    union: bool
    size: int


def units_of(observation: Observation) -> tuple[Unit, ...]:
    """The observation's sizes with their places, in stream order."""
    count = len(observation.sizes)
    push: Sequence[bool | None] = observation.push or (None,) * count
    again = observation.retransmission or (False,) * count
    stalls = _stalls(observation)
    reads = observation.layer == "reads"
    mss = observation.mss
    found = []
    start = 0
    for number, (size, end) in enumerate(zip(observation.sizes, observation.ends, strict=True)):
        union = reads or (mss is not None and size > mss)
        found.append(Unit(start, end, push[number], again[number], stalls[number], union, size))
        start = end
    return tuple(found)


def _stalls(observation: Observation) -> list[bool | None]:
    """For each unit, whether the gap before it is longer than its own bytes need on the path.

    The path's time for a byte is taken from the gaps where no write need have ended: their median
    of nanoseconds a byte, a gap belonging to the unit that ends it.
    A path without a bottleneck shows none, and only ``STALL_MIN_NS`` counts there.
    """
    times = observation.t_ns
    if times is None or len(times) < 2:
        return [None] * len(observation.sizes)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    sizes = observation.sizes[1:]
    rates = [
        max(gap, 0) / size
        for gap, size, inside in zip(gaps, sizes, _insides(observation), strict=False)
        if inside and size >= _RATE_MIN_BYTES
    ]
    if not rates:  # each size may be a write of its own: nothing tells the path's own pace
        return [None, *(None if gap > STALL_MIN_NS else False for gap in gaps)]
    per_byte = median(rates) if observation.layer == "segments" else _quick(rates)
    if per_byte is None:
        return [None, *(None if gap > STALL_MIN_NS else False for gap in gaps)]
    return [
        None,
        *(
            gap > STALL_MIN_NS + _STALL_FACTOR * per_byte * size
            for gap, size in zip(gaps, sizes, strict=True)
        ),
    ]


def _quick(rates: Sequence[float]) -> float | None:
    """Nanoseconds a byte of the quicker reads; ``None`` where all are alike, pauses or not."""
    if max(rates) < _STALL_FACTOR * min(rates):
        return None
    return sorted(rates)[len(rates) // 4] if len(rates) >= _MANY else min(rates)


def _insides(observation: Observation) -> list[bool]:
    """For each unit, whether its end is likely to be amid a write: it is full, or has no PSH."""
    if observation.layer == "reads":
        return [True] * len(observation.sizes)
    full = observation.mss or max(observation.sizes)
    push = observation.push or (True,) * len(observation.sizes)
    return [size >= full or on is False for size, on in zip(observation.sizes, push, strict=True)]
