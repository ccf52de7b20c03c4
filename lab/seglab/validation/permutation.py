"""A permutation test: can the simulator's sessions be told from the kernel engine's?

Theory of operation
-------------------
Each session of a cell was carried out four times: twice on the kernel engine, and twice on the
simulator with other times of the programs. Sessions differ from each other in their mail and in the
seeds of their links, so what can be compared is the four results of one session. Each result is a
bag of *pieces* (its segments, or its reads), and the distance of two bags is the share of pieces
that they do not have in common (Jaccard's distance of multisets).

The statistic is the energy distance (Székely and Rizzo, 2013) within a session, summed over the
sessions of a cell: twice the mean distance between the engines, less the distance of the kernel's
two results and that of the simulator's two. It is large where the engines are further from each
other than from themselves, whether it is because they give other results or because one of them
repeats itself and the other does not.

If the simulator were one more kernel, it would not matter which two of a session's four results are
called the kernel's: there are three ways to make two pairs of four. The test draws a way for each
session, again and again, and p is the share of draws whose statistic is as large as the one that
was found. That is exact for any number of sessions, and needs no assumption about distributions.

Where the path's MTU changes, it does so at times that differ between the kernel's two runs, and
each run of the simulator has the times of one of them. Then only a kernel's result and the
simulator's on the same path can change places, and two ways are left.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from random import Random
from typing import Final

import numpy as np

from seglab.core.record import SessionRecord

PERMUTATIONS: Final = 9999

Bag = Counter[Hashable]
"""What a session showed in one layer: its pieces, each with how often it was there."""

Four = Sequence[Bag]
"""The results of one session: the kernel's two, then the simulator's on the path of each."""

_TIES = 1e-9


def segments(record: SessionRecord) -> Bag:
    """Return the segments of a session: range, PSH, and whether they were sent again."""
    return Counter((s.start, s.end, s.psh, s.retransmission) for s in record.segments)


def reads(record: SessionRecord) -> Bag:
    """Return the reads of a session, by their ranges."""
    return Counter((read.start, read.end) for read in record.reads)


def distance(one: Bag, other: Bag) -> float:
    """Return the share of pieces that two bags do not have in common, from 0 to 1."""
    together = (one | other).total()
    return 1 - (one & other).total() / together if together else 0.0


def p_value(sessions: Iterable[Four], seed: int, *, paired: bool = False) -> float:
    """Return p of the hypothesis that both engines draw a session's results from one distribution.

    Args:
        sessions: the four results of each session.
        seed: of the permutations.
        paired: whether each of the simulator's results is for the path of one of the kernel's.
    """
    table = np.array([_ways(four, paired=paired) for four in sessions])
    found = table[:, 0].sum()
    draw = np.random.default_rng(Random(seed).getrandbits(64))
    chosen = draw.integers(table.shape[1], size=(PERMUTATIONS, len(table)))
    drawn = table[np.arange(len(table)), chosen].sum(axis=1)
    return float(((drawn >= found - _TIES).sum() + 1) / (PERMUTATIONS + 1))


def _ways(four: Four, *, paired: bool) -> Sequence[float]:
    """Return the energy distance for each way to make two pairs; the first is the true one."""
    kernel, again, simulated, simulated_again = four
    within = (
        distance(kernel, again) + distance(simulated, simulated_again),
        distance(kernel, simulated_again) + distance(again, simulated),
        distance(kernel, simulated) + distance(again, simulated_again),
    )
    total = sum(within)
    # Between the pairs lie the four other distances, of which twice the mean is half the sum.
    ways = [(total - one) / 2 - one for one in within]
    return ways[:2] if paired else ways
