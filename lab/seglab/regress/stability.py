"""Checks that change observations, repeat questions or ask about noise."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace

import msgspec

from seglab.classification.answer import Answer, Raised, allowed_styles, either
from seglab.classification.classifier import Verdict
from seglab.core.observation import Observation
from seglab.core.seeds import derive
from seglab.regress.case import Case
from seglab.regress.judgement import CheckContext, ExampleSide, Judgement, judged
from seglab.regress.transforms import merged_reads, noise, offloaded, retransmitted

NOISE_PER_NETWORK = 40

_CONFIDENT = 0.5

Transform = Callable[[Observation, int], Observation]


def stable_under_merged_reads(context: CheckContext) -> Iterator[Judgement]:
    """Judge whether merged reads give more styles or none, but no other style."""
    return _stable(context, merged_reads, ("segments", "reads"), "after some reads were merged")


def stable_under_retransmission(context: CheckContext) -> Iterator[Judgement]:
    """Judge whether a segment that comes again, a full one in two pieces, gives no other style."""
    return _stable(context, retransmitted, ("segments",), "after one segment came again")


def stable_under_offload(context: CheckContext) -> Iterator[Judgement]:
    """Judge whether full segments, merged as GRO merges them, give no other style."""
    return _stable(context, offloaded, ("segments",), "after offload merged full segments")


def deterministic(context: CheckContext) -> Iterator[Judgement]:
    """Judge whether a restarted classifier gives the same verdicts, asked in another order."""
    chosen = sample([(c, a) for c, a in context.pairs if not isinstance(a, Raised)], context)
    order = list(range(len(chosen)))
    random.Random(derive(context.settings.seed, "order")).shuffle(order)
    runner = context.runner.restarted()
    again = dict(zip(order, runner.ask([chosen[i][0].observation for i in order]), strict=True))
    for number, (case, before) in enumerate(chosen):
        now = again[number]
        if _bytes(now) == _bytes(before):
            yield judged(case, passed=True)
        else:
            first, second = _difference(before, now)
            yield judged(
                case,
                False,
                f"the same observation had two answers: {first}, then {second}",
                ExampleSide.of(case, before, said=first),
                ExampleSide.of(case, now, said=second),
            )


def abstains_on_noise(context: CheckContext) -> Iterator[Judgement]:
    """Judge whether few random observations get a single style with confidence.

    To abstain is right, and so is a set of styles.

    A verdict with a single style counts as confident when its confidence is 0.5 or more, or is
    not given.
    """
    found: dict[tuple[str, str], Case] = {}
    for case in context.cases:
        found.setdefault((case.network, case.layer), case)
    asked: list[tuple[Case, Observation]] = []
    for case in found.values():
        shown = case.observation
        mss = shown.mss or max(shown.sizes)
        asked += [
            (case, noise(context.settings.seed, number, mss, shown.timestamps, case.layer))
            for number in range(NOISE_PER_NETWORK)
        ]
    answers = context.runner.ask([observation for _, observation in asked])
    sides: dict[tuple[str, str], list[ExampleSide]] = defaultdict(list)
    for (case, observation), answer in zip(asked, answers, strict=True):
        if _confident(answer):
            side = replace(ExampleSide.of(case, answer, observation), session_id=None)
            sides[case.network, case.layer].append(side)
    for place, case in found.items():
        guesses = sides[place]
        share = len(guesses) / NOISE_PER_NETWORK
        passed = share <= context.settings.noise_share
        yield Judgement(
            network=case.network,
            mtu=case.mtu,
            layer=case.layer,
            style="",
            passed=passed,
            words=""
            if passed
            else f"{len(guesses)} of {NOISE_PER_NETWORK} messages of random sizes got one style"
            f" with confidence (at most {100 * context.settings.noise_share:g} % may)",
            sides=() if passed else (min(guesses, key=lambda s: len(s.sizes)),),
        )


def sample(pairs: list[tuple[Case, Answer]], context: CheckContext) -> list[tuple[Case, Answer]]:
    """Draw at most ``settings.sample`` cases of each network and layer, from all styles alike."""
    places: dict[tuple[str, str], dict[str, list[tuple[Case, Answer]]]] = {}
    for pair in pairs:
        case = pair[0]
        styles_there = places.setdefault((case.network, case.layer), {})
        styles_there.setdefault(case.style, []).append(pair)
    chosen = []
    for place, by_style in places.items():
        draw = random.Random(derive(context.settings.seed, "sample", *place))
        left = context.settings.sample
        for number, style in enumerate(sorted(by_style)):
            members = by_style[style]
            share = -(-left // (len(by_style) - number))
            picked = draw.sample(members, min(share, len(members)))
            left -= len(picked)
            chosen += picked
    return chosen


def _stable(
    context: CheckContext, transform: Transform, layers: tuple[str, ...], after: str
) -> Iterator[Judgement]:
    chosen = sample(
        [(c, a) for c, a in context.pairs if c.layer in layers and allowed_styles(a)], context
    )
    changed: list[tuple[Case, Answer, Observation]] = []
    for case, before in chosen:
        observation = transform(case.observation, context.settings.seed)
        if _unchanged(observation, case.observation):
            yield judged(case, None)
        else:
            changed.append((case, before, observation))
    answers = context.runner.ask([observation for _, _, observation in changed])
    for (case, before, observation), now in zip(changed, answers, strict=True):
        said = allowed_styles(now)
        if not isinstance(now, Raised) and (not said or said & allowed_styles(before)):
            yield judged(case, passed=True)
        else:
            first, second = ExampleSide.of(case, before), ExampleSide.of(case, now, observation)
            yield judged(
                case,
                False,
                f"{first.answer}, but {second.answer} {after}",
                first,
                second,
            )


def _unchanged(one: Observation, other: Observation) -> bool:
    return (one.sizes, one.retransmission) == (other.sizes, other.retransmission) or (
        one.layer != other.layer and one.sizes == other.sizes
    )


def _confident(answer: Answer) -> bool:
    return (
        isinstance(answer, Verdict)
        and len(allowed_styles(answer)) == 1
        and (answer.confidence is None or answer.confidence >= _CONFIDENT)
    )


def _bytes(answer: Answer) -> bytes:
    """Return an answer as JSON, in which a list and a tuple are the same."""
    return msgspec.json.encode(answer)


def _difference(before: Answer, now: Answer) -> tuple[str, str]:
    """Return the first field by which two answers differ, once for each, in words."""
    if not isinstance(before, Verdict) or not isinstance(now, Verdict):
        return _plain(before), _plain(now)
    one, other = before.to_dict(), now.to_dict()
    key = next(key for key in one if one[key] != other[key])
    return f"{key} {str(one[key])[:200]!a}", f"{key} {str(other[key])[:200]!a}"


def _plain(answer: Answer) -> str:
    if isinstance(answer, Raised):
        return f"raised {answer.reason}"
    return "abstained" if answer is None else either(answer.styles) or "abstained"
