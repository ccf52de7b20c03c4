"""Answers that can be used: given at all, with known words, and offsets inside the message."""

from collections.abc import Iterator

from seglab.classification.validation import faults
from seglab.regress.judgement import Bench, Judgement, Raised, Side, judged


def answers(bench: Bench) -> Iterator[Judgement]:
    """It answers or abstains, and never raises."""
    for case, answer in bench.pairs:
        if isinstance(answer, Raised):
            yield judged(
                case,
                False,
                f"raised {answer.reason}",
                Side.of(case, answer, said="raised"),
            )
        else:
            yield judged(case, passed=True)


def valid_verdicts(bench: Bench) -> Iterator[Judgement]:
    """Styles, terminators and path conditions are known ones; offsets and shares are possible."""
    for case, answer in bench.pairs:
        if isinstance(answer, Raised):
            continue
        wrong = None if answer is None else next(faults(answer, case.observation.total_bytes), None)
        if wrong is None:
            yield judged(case, passed=True)
        else:
            yield judged(
                case,
                False,
                wrong,
                Side.of(case, answer),
            )
