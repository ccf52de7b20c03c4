"""Accuracy by network, and the checks that hold it to a baseline or to the other networks."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from seglab.classification.answer import Answer, allowed_styles
from seglab.regress.case import Case
from seglab.regress.judgement import AnswerCounts, CheckContext, Judgement

Place = tuple[str, str]
"""A network's name, and a layer."""

_BEYOND_CHANCE = 2.326
"""How many standard deviations chance exceeds in one case of a hundred, to one side."""


def scores(pairs: Iterable[tuple[Case, Answer]]) -> dict[Place, AnswerCounts]:
    """Count the right answers by network and layer, in order of MTU."""
    counted: dict[Place, Counter[str]] = defaultdict(Counter)
    mtus: dict[str, int] = {}
    for case, answer in pairs:
        said = allowed_styles(answer)
        mtus[case.network] = case.mtu
        counter = counted[case.network, case.layer]
        counter["sessions"] += 1
        counter["right"] += case.style in said
        counter["abstained"] += not said
        counter["alone"] += said == {case.style}
    ordered = sorted(counted, key=lambda place: (mtus[place[0]], place))
    return {place: AnswerCounts(**counted[place]) for place in ordered}


def accuracy(context: CheckContext) -> Iterator[Judgement]:
    """Judge whether its answers are right at least as often as one constant answer would be.

    A network without an answer is exempt, unless there is no answer on any.
    """
    truths: dict[Place, Counter[str]] = defaultdict(Counter)
    for case, answer in context.pairs:
        if allowed_styles(answer):
            truths[case.network, case.layer][case.style] += 1
    mtus = _mtus(context)
    for place, score in scores(context.pairs).items():
        if not score.answered:
            words = f"no answer to any of {score.sessions} sessions, nor on another network"
            yield _of_network(place, mtus, passed=None if truths else False, words=words)
            continue
        style, count = truths[place].most_common(1)[0]
        yield _of_network(
            place,
            mtus,
            passed=score.right >= count,
            words=f"{score.right} of {score.answered} answers hold the truth; always saying"
            f" {style} would be right {count} times",
        )


def no_network_falls(context: CheckContext) -> Iterator[Judgement]:
    """Judge whether a network's accuracy falls below the baseline, or else far below the mean.

    With a baseline of the same sessions, any fall beyond the tolerance counts. With a baseline of
    other sessions, the fall must also be more than chance. Without a baseline, only sessions
    whose writes can still be seen count, and a network is compared with the mean of all others
    at the same layer.
    """
    if context.baseline is not None:
        yield from _below_baseline(context, context.baseline)
    else:
        yield from _below_mean(context)


def _below_baseline(
    context: CheckContext, baseline: dict[Place, AnswerCounts]
) -> Iterator[Judgement]:
    mtus = _mtus(context)
    for place, now in scores(context.pairs).items():
        before = baseline.get(place)
        if before is None or not before.sessions:
            yield _of_network(place, mtus, passed=None)
            continue
        fell = before.accuracy - now.accuracy > context.settings.tolerance + 1e-12
        chance = not context.same_sessions and not _beyond_chance(now, before)
        yield _of_network(
            place,
            mtus,
            passed=not fell or chance,
            words=f"accuracy {_percent(now)}, in the baseline {_percent(before)}"
            f" (tolerance {100 * context.settings.tolerance:g} points)",
        )


def _below_mean(context: CheckContext) -> Iterator[Judgement]:
    found = scores((case, answer) for case, answer in context.pairs if case.has_evidence)
    mtus = _mtus(context)
    for place, score in found.items():
        others = [s for (name, layer), s in found.items() if layer == place[1] and name != place[0]]
        mean = AnswerCounts(
            sessions=sum(other.sessions for other in others),
            right=sum(other.right for other in others),
        )
        if not mean.sessions:
            yield _of_network(place, mtus, passed=None)
            continue
        fell = mean.accuracy - score.accuracy > context.settings.own_tolerance + 1e-12
        yield _of_network(
            place,
            mtus,
            passed=not (fell and _beyond_chance(score, mean)),
            words=f"accuracy {_percent(score)} where the writes can be seen, on the other networks"
            f" {_percent(mean)} (tolerance {100 * context.settings.own_tolerance:g} points)",
        )


def _beyond_chance(low: AnswerCounts, high: AnswerCounts) -> bool:
    """Return whether two shares of independent draws differ beyond chance, by a z-test."""
    pooled = (low.right + high.right) / (low.sessions + high.sessions)
    deviation = math.sqrt(pooled * (1 - pooled) * (1 / low.sessions + 1 / high.sessions))
    return high.accuracy - low.accuracy > _BEYOND_CHANCE * deviation


def _of_network(
    place: Place, mtus: dict[str, int], *, passed: bool | None, words: str = ""
) -> Judgement:
    network, layer = place
    return Judgement(
        network=network,
        mtu=mtus[network],
        layer="reads" if layer == "reads" else "segments",
        style="",
        passed=passed,
        words="" if passed else words,
    )


def _mtus(context: CheckContext) -> dict[str, int]:
    return {case.network: case.mtu for case in context.cases}


def _percent(score: AnswerCounts) -> str:
    return f"{100 * score.accuracy:.1f} % ({score.right} of {score.sessions})"
