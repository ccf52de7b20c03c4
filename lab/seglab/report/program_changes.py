"""What a program does otherwise than in an earlier run: pure functions of two runs' sessions.

Theory of operation
-------------------
Sessions that carry the same message over the same network form a cell. Of each cell, each aspect
(``seglab.report.program_aspects``) has values in the earlier run, *before*, and in this one, *now*.
They are judged so:

    same      every session has the same value, before and now
    differs   beyond what the sessions of one run differ by among themselves
    varies    values differ, as they may by chance; no finding
    untold    no value is there before and now, and there are too few sessions for a test

What a program decides alone repeats itself: if all sessions before agree, all sessions now agree,
and the two do not, it differs. That holds for the shape of a value from the first session on. Where
only lengths differ, each run needs ``LENGTHS_MIN`` sessions, since a program that makes up a
Message-ID has other lengths each time.

All else is for a permutation test: the sessions of both runs are dealt to two runs again and again,
and p is the share of deals in which the two are as far apart as they were found. Their distance is
half the sum of the differences between the values' shares (total variation). Deals are taken all
if there are few, else ``DEALS`` of them at random. If values never repeat, each deal is as far
apart as any other, and p is 1. A difference is beyond chance if p is at most ``ALPHA`` divided by
the number of tests (Bonferroni).
"""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final, Literal

from seglab.core.record import SessionRecord
from seglab.report.program_aspects import ASPECTS, Aspect, Value, words

ALPHA: Final = 0.01
"""How likely it is that two runs of one program are said to differ on the wire."""

LENGTHS_MIN: Final = 3
"""How many sessions each run needs for a finding that is only about lengths."""

DEALS: Final = 4999
_ALL_DEALS_MAX: Final = 5000
_VALUES_SHOWN: Final = 2
_GROUPS_SHOWN: Final = 8

Judgement = Literal["same", "differs", "varies", "untold"]


@dataclass(frozen=True, slots=True)
class Change:
    """One aspect of one cell in both runs.

    Attributes:
        network: the cell's network.
        message: the cell's message.
        aspect: what was compared.
        before: how many sessions of the earlier run had each value.
        now: how many sessions of this run had each.
        judgement: what is to be said about it.
        p: of the permutation test that decided; ``None`` where none was needed.
    """

    network: str
    message: str
    aspect: Aspect
    before: Counter[Value]
    now: Counter[Value]
    judgement: Judgement
    p: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The comparison as JSON data."""
        return {
            "network": self.network,
            "message": self.message,
            "aspect": self.aspect.name,
            "layer": self.aspect.layer,
            "judgement": self.judgement,
            "p": self.p,
            "before": _counted(self.before),
            "now": _counted(self.now),
        }

    def texts(self) -> tuple[str, str]:
        """Return what was there before and now, shortened, the most frequent values first."""
        return _shown(self.before), _shown(self.now)

    def whole_texts(self) -> tuple[str, str]:
        """Return all that was there before and now."""
        return _whole(self.before), _whole(self.now)


def changes(before: Iterable[SessionRecord], now: Iterable[SessionRecord]) -> list[Change]:
    """Compare the sessions of two runs.

    Args:
        before: the earlier run's.
        now: this run's, in the order of the result.

    Returns:
        Each aspect of each cell that both runs have.
    """
    cells = _cells(before), _cells(now)
    values = [
        (key, aspect, _values(cells[0][key], aspect), _values(cells[1][key], aspect))
        for key in cells[1]
        if key in cells[0]
        for aspect in ASPECTS
    ]
    values = [one for one in values if one[2] and one[3]]
    tests = sum(_tests(aspect, a, b) for _, aspect, a, b in values)
    limit = ALPHA / max(1, tests)
    return [
        Change(*key, aspect, Counter(a), Counter(b), *judge(aspect, a, b, limit))
        for key, aspect, a, b in values
    ]


def judge(
    aspect: Aspect, before: Sequence[Value], now: Sequence[Value], limit: float
) -> tuple[Judgement, float | None]:
    """Judge the values of one aspect, and return p of the test that decided, if one did.

    Args:
        aspect: what they are of.
        before: the earlier run's, one a session.
        now: this run's.
        limit: the largest p that is beyond chance.
    """
    least = min(_judge(aspect, *pair, limit) for pair in _features(aspect, before, now))
    return _ORDER[least[0]], least[1]


_ORDER: Final[tuple[Judgement, ...]] = ("differs", "untold", "varies", "same")


def _judge(
    aspect: Aspect,
    before: Sequence[Value],
    now: Sequence[Value],
    lengths: bool,
    limit: float,
) -> tuple[int, float | None]:
    if {*before} == {*now} and len({*now}) == 1:
        return _ORDER.index("same"), None
    if _decided(aspect, before, now, lengths):
        return _ORDER.index("differs"), None
    p = permutation_p(before, now)
    if p <= limit:
        return _ORDER.index("differs"), p
    too_few = least_p(len(before), len(now)) > limit and {*before}.isdisjoint(now)
    return _ORDER.index("untold" if too_few else "varies"), p


def _decided(aspect: Aspect, before: Sequence[Value], now: Sequence[Value], lengths: bool) -> bool:
    """Whether values differ of which no session of a run differs from the others."""
    if aspect.layer != "program" or len({*before}) > 1 or len({*now}) > 1:
        return False
    return not lengths or min(len(before), len(now)) >= LENGTHS_MIN


def _features(
    aspect: Aspect, before: Sequence[Value], now: Sequence[Value]
) -> Iterator[tuple[Sequence[Value], Sequence[Value], bool]]:
    """Yield the values, and their shapes where these are something else."""
    yield before, now, not aspect.exact
    if not aspect.exact:
        yield [aspect.shape(value) for value in before], [aspect.shape(v) for v in now], False


def _tests(aspect: Aspect, before: Sequence[Value], now: Sequence[Value]) -> int:
    """How many permutation tests these values need."""
    return sum(
        ({*a} != {*b} or len({*b}) > 1) and not _decided(aspect, a, b, lengths)
        for a, b, lengths in _features(aspect, before, now)
    )


def permutation_p(before: Sequence[Value], now: Sequence[Value]) -> float:
    """Return how likely two samples of one distribution are as far apart as these."""
    values = [*before, *now]
    number = {value: n for n, value in enumerate(dict.fromkeys(values))}
    drawn = [number[value] for value in values]
    total, size = len(drawn), len(before)
    found = _distance(drawn[:size], drawn, size)
    if math.comb(total, size) <= _ALL_DEALS_MAX:
        deals = [_distance(deal, drawn, size) for deal in combinations(drawn, size)]
        return sum(distance >= found - 1e-9 for distance in deals) / len(deals)
    chance = random.Random(1)  # the same sessions have the same p
    as_far = sum(
        _distance(chance.sample(drawn, size), drawn, size) >= found - 1e-9 for _ in range(DEALS)
    )
    return (as_far + 1) / (DEALS + 1)


def least_p(before: int, now: int) -> float:
    """Return the least p that so many sessions can have, if no value is there before and now."""
    return (2 if before == now else 1) / math.comb(before + now, now)


def _distance(one: Sequence[int], drawn: Sequence[int], size: int) -> float:
    """Return the total variation distance between some of the drawn values and the others."""
    first, all_ = Counter(one), Counter(drawn)
    rest = len(drawn) - size
    return sum(abs(first[v] / size - (many - first[v]) / rest) for v, many in all_.items()) / 2


def _cells(records: Iterable[SessionRecord]) -> dict[tuple[str, str], list[SessionRecord]]:
    found: defaultdict[tuple[str, str], list[SessionRecord]] = defaultdict(list)
    for record in records:
        found[record.network, record.message].append(record)
    return found


def _values(records: Iterable[SessionRecord], aspect: Aspect) -> list[Value]:
    return [aspect.read(record) for record in records if record.complete or aspect.of_failed]


def _counted(values: Counter[Value]) -> list[dict[str, Any]]:
    return [{"value": list(value), "sessions": many} for value, many in values.most_common()]


def _shown(values: Counter[Value]) -> str:
    found = values.most_common(_VALUES_SHOWN)
    rest = [f"{len(values) - len(found)} more"] if len(values) > len(found) else []
    return "; ".join([*(_with_count(values, value, _GROUPS_SHOWN) for value, _ in found), *rest])


def _whole(values: Counter[Value]) -> str:
    return "; ".join(_with_count(values, value, None) for value, _ in values.most_common())


def _with_count(values: Counter[Value], value: Value, most: int | None) -> str:
    return words(value, most) + (f" ({values[value]})" if len(values) > 1 else "")
