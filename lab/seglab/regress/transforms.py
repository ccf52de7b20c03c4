"""What a network, a capture or a reader may do to a message: makes observations of observations.

The same observation and seed give the same result. Each function conserves the bytes, except
``noise``, which draws an observation at random.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Final, TypeVar

from seglab.core.observation import Layer, Observation
from seglab.core.seeds import derive
from seglab.regress.case import anonymous_id

_T = TypeVar("_T")

OFFLOAD_MAX: Final = 65_535
"""The most bytes that GRO or TSO puts into one segment, over IPv4 without BIG TCP."""

RESENT_AFTER_NS: Final = 200_000_000
"""Linux's shortest retransmission timeout (TCP_RTO_MIN)."""

_MERGED_SHARE: Final = 0.3
_OFFLOADED_SHARE: Final = 0.8


def merged_reads(observation: Observation, seed: int) -> Observation:
    """Return the stream as a slower reader sees it: some neighbouring reads are one."""
    draw = _draw(observation, seed, "merged_reads")
    keep = [draw.random() >= _MERGED_SHARE for _ in observation.sizes[1:]]
    merged = _joined(observation, [i for i, kept in enumerate(keep) if kept])
    return replace(
        merged, id=anonymous_id(observation.id, "merged_reads"), layer="reads", push=None,
        retransmission=None,
    )  # fmt: skip


def retransmitted(observation: Observation, seed: int) -> Observation:
    """Return the message with one segment lost and sent again.

    A full segment comes again in two pieces, as ``tcp_fragment`` cuts it. Linux cuts what it sends
    again only where the MSS has fallen meanwhile, so a segment that is not full comes again whole.
    Times are those of the arrival, so the pieces are late. An observation that has a
    retransmission already is returned as it is, since neighbouring pieces of two retransmissions
    could not be told apart.
    """
    draw = _draw(observation, seed, "retransmitted")
    sizes = observation.sizes
    if not sizes or any(observation.retransmission or ()):
        return observation
    at = draw.randrange(len(sizes))
    cut = draw.randint((sizes[at] + 1) // 2, sizes[at])
    full = sizes[at] == (observation.mss or max(sizes))
    pieces = (cut, sizes[at] - cut) if full and cut < sizes[at] else (sizes[at],)
    again = observation.retransmission or (False,) * len(sizes)
    t_ns, push = observation.t_ns, observation.push
    if push is not None:
        push = _spliced(push, at, (*(False for _ in pieces[1:]), push[at]))
    return replace(
        observation,
        id=anonymous_id(observation.id, "retransmitted"),
        sizes=_spliced(sizes, at, pieces),
        retransmission=_spliced(again, at, (True,) * len(pieces)),
        push=push,
        t_ns=None
        if t_ns is None
        else _spliced(t_ns, at, (t_ns[at] + RESENT_AFTER_NS,) * len(pieces)),
    )


def offloaded(observation: Observation, seed: int) -> Observation:
    """Return the message as a capture on a host with GRO shows it: full segments are merged.

    As in ``tcp_gro_receive``, a segment that is not full, or has PSH, ends a merged one.
    """
    draw = _draw(observation, seed, "offloaded")
    mss = observation.mss or max(observation.sizes, default=1)
    push = observation.push or (False,) * len(observation.sizes)
    ends: list[int] = []
    held = 0
    for at, size in enumerate(observation.sizes[:-1]):
        held += size
        following = observation.sizes[at + 1]
        together = size == mss and not push[at] and held + following <= OFFLOAD_MAX
        if not (together and following <= mss and draw.random() < _OFFLOADED_SHARE):
            ends.append(at)
            held = 0
    merged = _joined(observation, ends)
    if len(merged.sizes) < len(observation.sizes):
        merged = replace(merged, notes=(*merged.notes, "segments above the MSS: offload"))
    return replace(merged, id=anonymous_id(observation.id, "offloaded"))


def noise(seed: int, number: int, mss: int, timestamps: bool | None, layer: Layer) -> Observation:
    """Return random sizes: as many as a small message has, each drawn evenly up to the MSS."""
    draw = random.Random(derive(seed, "noise", number, mss, layer))
    sizes = tuple(draw.randint(1, mss) for _ in range(draw.randint(4, 16)))
    return Observation(
        id=anonymous_id("noise", str(seed), str(number), str(mss), layer),
        sizes=sizes,
        layer=layer,
        mss=mss,
        timestamps=timestamps,
        complete=True,
    )


def _draw(observation: Observation, seed: int, what: str) -> random.Random:
    return random.Random(derive(seed, what, observation.id))


def _joined(observation: Observation, ends: Sequence[int]) -> Observation:
    """Merge the sizes up to each index in ``ends``, and those after the last one."""
    if not observation.sizes:
        return observation
    last = [*ends, len(observation.sizes) - 1]
    sums = list(accumulate(observation.sizes))
    stops = [sums[i] for i in last]
    push, t_ns, again = observation.push, observation.t_ns, observation.retransmission
    first = [0, *(i + 1 for i in ends)]
    return replace(
        observation,
        sizes=tuple(stop - start for start, stop in zip([0, *stops], stops, strict=False)),
        push=None if push is None else tuple(push[i] for i in last),
        t_ns=None if t_ns is None else tuple(t_ns[i] for i in last),
        retransmission=None
        if again is None
        else tuple(any(again[i : j + 1]) for i, j in zip(first, last, strict=True)),
    )


def _spliced(values: tuple[_T, ...], at: int, new: tuple[_T, ...]) -> tuple[_T, ...]:
    return (*values[:at], *new, *values[at + 1 :])
