"""A classifier that has learned one network by heart, and is caught.

It counts which sizes occur with which style over Ethernet, and names the style whose sizes it
sees again. Over Ethernet it is right about every session it has learned from; but `1448` is
Ethernet's maximum segment size, and no sender's. See how it fails:

    seglab regress examples.learned_the_mtu:classify --sessions sample
"""

from collections import Counter, defaultdict
from functools import cache

from seglab.core.observation import Observation
from seglab.regress.sessions import records


@cache
def table() -> dict[int, Counter[str]]:
    """For each size, how often it occurred with each style over Ethernet."""
    seen: dict[int, Counter[str]] = defaultdict(Counter)
    for record in records("sample"):
        if record.network == "ethernet":
            for size in set(Observation.of_record(record, "segments").sizes):
                seen[size][record.style] += 1
    return dict(seen)


def classify(observation: Observation) -> str:
    """The style that has most of these sizes, or of the nearest ones, where they are unknown."""
    votes: dict[str, float] = defaultdict(float)
    for size in set(observation.sizes):
        nearest = min(table(), key=lambda known: (abs(known - size), known))
        for style, count in table()[nearest].items():
            votes[style] += count / table()[nearest].total()
    return max(votes, key=lambda style: (votes[style], style))
