"""Whether the label of one sender stays the same where only the network differs."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

from seglab.core.record import SessionRecord

Key = tuple[str, str, str, str, int]
"""What two sessions have in common that send the same bytes by the same writes."""


def key_of(record: SessionRecord) -> Key:
    """Scenario, sender, variant, parameters and repeat settle the message and its writes."""
    return record.scenario, record.sender, record.variant, record.parameters, record.repeat


@dataclass(frozen=True, slots=True)
class Seen:
    """One session of a group.

    Attributes:
        mtu: of its path when it began.
        ends: the boundaries between writes that left a trace.
        styles: the answer.
    """

    mtu: int
    ends: frozenset[int]
    styles: frozenset[str]


@dataclass(frozen=True, slots=True)
class Constancy:
    """Pairs of sessions that differ in the path's MTU alone.

    Attributes:
        pairs: pairs in which the same boundaries left a trace.
        same: of these, pairs with the same answer.
        disjoint: of these, pairs whose answers have no style in common, of sessions that both
            have an answer.
        other_traces: pairs that are not counted, since the wire shows other boundaries.
    """

    pairs: int = 0
    same: int = 0
    disjoint: int = 0
    other_traces: int = 0

    @property
    def share(self) -> float | None:
        """The share of pairs with the same answer."""
        return self.same / self.pairs if self.pairs else None

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        return {name: getattr(self, name) for name in Constancy.__slots__} | {"share": self.share}


def constancy(sessions: Iterable[tuple[Key, Seen]]) -> Constancy:
    """Compare each two sessions of the same sender, parameters and message over other MTUs."""
    groups: dict[Key, list[Seen]] = defaultdict(list)
    for key, seen in sessions:
        groups[key].append(seen)
    pairs = same = disjoint = other = 0
    for group in groups.values():
        for one, two in combinations(group, 2):
            if one.mtu == two.mtu:
                continue
            if one.ends != two.ends:
                other += 1
                continue
            pairs += 1
            same += one.styles == two.styles
            disjoint += bool(one.styles and two.styles and not one.styles & two.styles)
    return Constancy(pairs, same, disjoint, other)
