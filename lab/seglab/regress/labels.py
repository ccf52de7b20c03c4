"""Checks that the answer does not depend on the network alone, where the wire shows the same."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping

from seglab.classification.answer import Answer, Raised, allowed_styles, either, in_words
from seglab.classification.classifier import Verdict
from seglab.regress.case import AskedMessage, Case, Pairing, SentMessage
from seglab.regress.judgement import CheckContext, ExampleSide, Judgement, compared, judged

Label = Callable[[Answer], frozenset[str]]
_Key = tuple[SentMessage | AskedMessage, str, frozenset[int]]
_Entry = tuple[Case, Answer, frozenset[str]]
_Group = list[_Entry]
_SAME: Mapping[Pairing, str] = {
    "writes": "same bytes, same writes",
    "program": "same program, same message",
}
"""What two sessions that are compared have in common, in words."""


def label_ignores_mtu(context: CheckContext) -> Iterator[Judgement]:
    """Judge whether the same message gets the same style over all networks that show the same.

    Each session is compared with those of the same message over other networks that show the very
    same boundaries between writes: of an emulated sender, those with the same bytes; of a program,
    those in which the same program sent the same message in the same style. These hold the same
    evidence of the writes, so the network alone decided an answer that differs. Sets of styles
    agree when they have one in common.
    Exempt are abstentions, sessions whose boundaries left no trace, and sessions that show what
    no other network shows.
    """
    return _ignores_network(context, allowed_styles, lambda case: case.style)


def terminator_ignores_mtu(context: CheckContext) -> Iterator[Judgement]:
    """Judge the terminator as ``label_ignores_mtu`` does the style, where one is named."""
    return _ignores_network(context, _terminator, lambda case: case.terminator)


def answers_ignore_mtu(context: CheckContext) -> Iterator[Judgement]:
    """Judge whether a classifier is silent over one network but not over another with the same.

    A classifier that has learned one network may be silent on all others instead of wrong. This
    check compares segments of the same message over different networks, if they show the same
    boundaries and no other segment that is not full. So a classifier may be silent where the path
    cut segments again, and about reads, since nobody sees which segments they hold.
    """
    groups: dict[_Key, _Group] = defaultdict(list)
    for case, answer in context.pairs:
        if (
            case.message is None
            or not case.has_evidence
            or not case.only_boundaries_visible
            or isinstance(answer, Raised)
        ):
            yield judged(case, None)
        else:
            groups[case.message, case.layer, case.visible_boundaries].append(
                (case, answer, allowed_styles(answer))
            )
    for group in groups.values():
        yield from _judged_silence(group)


def _judged_silence(group: _Group) -> Iterator[Judgement]:
    answered: dict[str, _Entry] = {}
    for entry in sorted(group, key=_length):
        if entry[2]:
            answered.setdefault(entry[0].network, entry)
    networks = {case.network for case, _, _ in group}
    for case, answer, said in group:
        other = next((e for network, e in answered.items() if network != case.network), None)
        if said or other is None:
            yield compared(case, passed=True if networks - {case.network} else None)
            continue
        yield compared(
            case,
            False,
            f"{in_words(other[1])} over {other[0].network} (MTU {other[0].mtu}), but silent over"
            f" {case.network} (MTU {case.mtu}): {_SAME[case.pairing]}, same boundaries visible",
            ExampleSide.of(other[0], other[1]),
            ExampleSide.of(case, answer),
        )


def _terminator(answer: Answer) -> frozenset[str]:
    if not isinstance(answer, Verdict) or answer.terminator is None:
        return frozenset()
    return frozenset({answer.terminator})


def _ignores_network(
    context: CheckContext, label: Label, truth: Callable[[Case], str | None]
) -> Iterator[Judgement]:
    groups: dict[_Key, _Group] = defaultdict(list)
    for case, answer in context.pairs:
        if isinstance(answer, Raised):
            continue
        said = label(answer)
        if case.message is None or not case.has_evidence or not said:
            yield judged(case, None)
        else:
            groups[case.message, case.layer, case.visible_boundaries].append((case, answer, said))
    for group in groups.values():
        yield from _judged_group(group, truth)


def _judged_group(group: _Group, truth: Callable[[Case], str | None]) -> Iterator[Judgement]:
    """Judge the sessions of one message that show the same.

    Of two answers that exclude each other, the one with the truth is held to be right, or else the
    more frequent one; the sessions with the other answer fail.
    """
    if len({case.network for case, _, _ in group}) < 2:
        yield from (compared(case, None) for case, _, _ in group)
        return
    votes = Counter(said for _, _, said in group)
    true = truth(group[0][0])

    def rank(said: frozenset[str]) -> tuple[bool, int, list[str]]:
        return true in said, votes[said], sorted(said)

    order = sorted(votes, key=rank, reverse=True)
    by_answer: dict[frozenset[str], dict[str, _Entry]] = defaultdict(dict)
    for entry in sorted(group, key=_length):
        by_answer[entry[2]].setdefault(entry[0].network, entry)
    for case, answer, said in group:
        partner = _contradiction(case, said, order, by_answer)
        if partner is None:
            yield compared(case, passed=True)
            continue
        other, others_answer, others_said = partner
        here, there = either(said), either(others_said)
        yield compared(
            case,
            False,
            f"{there} over {other.network} (MTU {other.mtu}), {here} over {case.network}"
            f" (MTU {case.mtu}): {_SAME[case.pairing]}, same boundaries visible",
            ExampleSide.of(other, others_answer, said=there),
            ExampleSide.of(case, answer, said=here),
        )


def _contradiction(
    case: Case,
    said: frozenset[str],
    order: list[frozenset[str]],
    by_answer: dict[frozenset[str], dict[str, _Entry]],
) -> _Entry | None:
    """Return the simplest session over another network with a better answer that excludes this."""
    for better in order[: order.index(said)]:
        if not better & said:
            for network, entry in by_answer[better].items():
                if network != case.network:
                    return entry
    return None


def _length(entry: _Entry) -> int:
    return len(entry[0].observation.sizes)
