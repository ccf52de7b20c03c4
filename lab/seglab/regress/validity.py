"""Checks that an answer can be used: there is one, its words are known, its offsets possible."""

from collections.abc import Iterator

from seglab.classification.answer import Raised
from seglab.classification.validation import violations
from seglab.regress.judgement import CheckContext, ExampleSide, Judgement, judged


def answers(context: CheckContext) -> Iterator[Judgement]:
    """Judge whether the classifier answers or abstains, and never raises."""
    for case, answer in context.pairs:
        if isinstance(answer, Raised):
            yield judged(
                case,
                False,
                f"raised {answer.reason}",
                ExampleSide.of(case, answer, said="raised"),
            )
        else:
            yield judged(case, passed=True)


def valid_verdicts(context: CheckContext) -> Iterator[Judgement]:
    """Judge whether words are known ones, and offsets and probabilities possible."""
    for case, answer in context.pairs:
        if isinstance(answer, Raised):
            continue
        wrong = (
            None if answer is None else next(violations(answer, case.observation.total_bytes), None)
        )
        if wrong is None:
            yield judged(case, passed=True)
        else:
            yield judged(
                case,
                False,
                wrong,
                ExampleSide.of(case, answer),
            )
