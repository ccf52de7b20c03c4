"""Whether the label of one sender stays the same where only the network differs."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

from seglab.core.record import SessionRecord

MessageKey = tuple[str, str, str, str, int]
"""What two sessions have in common that send the same bytes by the same writes."""


def key_of(record: SessionRecord) -> MessageKey:
    """Scenario, sender, variant, parameters and repeat: they settle the message and its writes."""
    return record.scenario, record.sender, record.variant, record.parameters, record.repeat


@dataclass(frozen=True, slots=True)
class LabelledSession:
    """One session with the label that it got.

    Attributes:
        mtu: of its path when it began.
        visible: the boundaries between writes that the layer shows.
        styles: the answer.
    """

    mtu: int
    visible: frozenset[int]
    styles: frozenset[str]


@dataclass(frozen=True, slots=True)
class Invariance:
    """How often a label survived another MTU, over pairs of sessions that differ in nothing else.

    Attributes:
        pairs: pairs that show the same boundaries.
        same: how many of these pairs have the same answer.
        disjoint: how many of these pairs have two answers without a common style.
        other_traces: pairs that are not counted, because they show different boundaries.
    """

    pairs: int = 0
    same: int = 0
    disjoint: int = 0
    other_traces: int = 0

    @property
    def share(self) -> float | None:
        """The share of pairs with the same answer; ``None`` without pairs."""
        return self.same / self.pairs if self.pairs else None

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        return {name: getattr(self, name) for name in Invariance.__slots__} | {"share": self.share}


def invariance(sessions: Iterable[tuple[MessageKey, LabelledSession]]) -> Invariance:
    """Compare every two sessions of the same sender, parameters and message over other MTUs."""
    groups: dict[MessageKey, list[LabelledSession]] = defaultdict(list)
    for key, session in sessions:
        groups[key].append(session)
    pairs = same = disjoint = other = 0
    for group in groups.values():
        for one, two in combinations(group, 2):
            if one.mtu == two.mtu:
                continue
            if one.visible != two.visible:
                other += 1
                continue
            pairs += 1
            same += one.styles == two.styles
            disjoint += bool(one.styles and two.styles and not one.styles & two.styles)
    return Invariance(pairs, same, disjoint, other)
